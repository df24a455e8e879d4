"""How well vectors tell people apart."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from inference.core.bundle import EMBEDDING, Calibration
from inference.core.types import Vectors
from training.core import bootstrap
from training.core.bootstrap import ROUNDS
from training.core.evaluate import Compared, Comparison

MOST = 6_000  # faces whose pairs are all looked at: 18 million
TRUE_ACCEPTS = "true_accepts"
FEWEST = 20  # pairs of one person; of fewer nothing is said

Ints = npt.NDArray[np.int64]


def pairs(vectors: Vectors, identity: Ints, *, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The cosine of every pair of these faces, and whether both are one person; of many faces a random part."""
    rows = _looked_at(len(vectors), seed)
    vectors, identity = vectors[rows], identity[rows]
    one, other = np.triu_indices(len(vectors), 1)
    return (vectors @ vectors.T)[one, other], identity[one] == identity[other]


def true_accepts(vectors: Vectors, identity: Ints, false_accepts: float) -> float | None:
    """The share of pairs of one person above the cosine that so few pairs of two people pass; None with too few."""
    accepted = _accepted(vectors, identity, false_accepts)
    return None if accepted is None else float(accepted.mean())


def _accepted(vectors: Vectors, identity: Ints, false_accepts: float) -> npt.NDArray[np.bool_] | None:
    """Which pairs of one person are above the bar."""
    if len(vectors) < 2:
        return None
    cosine, same = pairs(vectors, identity)
    if same.sum() < FEWEST or (~same).sum() * false_accepts < 1:
        return None
    return np.asarray(cosine[same] > np.quantile(cosine[~same], 1 - false_accepts))


def _looked_at(count: int, seed: int = 0) -> Ints:
    return np.sort(np.random.default_rng(seed).permutation(count)[:MOST])


def compare_accepts(
    ours: Vectors,
    theirs: Vectors,
    identity: Ints,
    false_accepts: float,
    *,
    slices: Mapping[str, npt.NDArray[np.str_]] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Comparison | None:
    """Two backbones on the same pairs of faces; None with too few. A slice has the pairs with both faces in it.

    The bar of each model stays as it is: it rests on millions of pairs of two people. What varies is whom the pairs of
    one person are of, and so people are drawn anew.
    """
    new, old = _accepted(ours, identity, false_accepts), _accepted(theirs, identity, false_accepts)
    if new is None or old is None:
        return None
    rows = _looked_at(len(identity))
    one, other = np.triu_indices(len(rows), 1)
    same = identity[rows][one] == identity[rows][other]
    one, other = rows[one[same]], rows[other[same]]

    def of(chosen: npt.NDArray[np.bool_]) -> Compared:
        gain = bootstrap.less(bootstrap.mean(new[chosen]), bootstrap.mean(old[chosen]))
        people = identity[one[chosen]]
        found = bootstrap.measured(gain, people, rounds=rounds, seed=seed)
        known = found.low is not None
        p = bootstrap.chance(bootstrap.drawn(gain, people, rounds=rounds, seed=seed)) if known else 1.0
        return Compared(int(chosen.sum()), float(new[chosen].mean()), float(old[chosen].mean()), found, p)

    parts = dict[str, dict[str, Compared]]()
    for by, column in (slices or {}).items():
        inside = {str(name): (column[one] == name) & (column[other] == name) for name in np.unique(column) if name}
        parts[by] = {name: of(chosen) for name, chosen in inside.items() if chosen.sum() >= FEWEST}
    whole = {TRUE_ACCEPTS: of(np.ones(len(one), np.bool_))}
    return Comparison(EMBEDDING, TRUE_ACCEPTS, metrics=whole, slices=parts, mcnemar=None)


def calibrated(vectors: Vectors, identity: Ints) -> Calibration | None:
    """From a cosine to the probability of one person, where as many pairs are of one person as not; None with too few.

    Platt's fit (1999) by Newton's method, on pairs weighed so that both kinds count alike.
    """
    if len(vectors) < 2:
        return None
    cosine, same = pairs(vectors, identity)
    if same.sum() < FEWEST or (~same).sum() < FEWEST:
        return None
    weight = np.where(same, 0.5 / same.sum(), 0.5 / (~same).sum())
    x = np.stack([cosine, np.ones_like(cosine)], axis=1).astype(np.float64)
    told = np.array([10.0, -5.0])
    for _ in range(100):
        probability = 1 / (1 + np.exp(-np.clip(x @ told, -50, 50)))
        slope = x.T @ (weight * (probability - same)) + 1e-6 * told
        curve = (x * (weight * probability * (1 - probability))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        told = told - step * min(1.0, 20 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < 1e-8:
            break
    return Calibration(float(told[0]), float(told[1]))
