"""How well vectors tell people apart."""

import numpy as np
import numpy.typing as npt

from inference.core.bundle import Calibration
from inference.core.types import Vectors

MOST = 6_000  # faces whose pairs are all looked at: 18 million
FEWEST = 20  # pairs of one person; of fewer nothing is said

Ints = npt.NDArray[np.int64]


def pairs(vectors: Vectors, identity: Ints, *, seed: int = 0) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The cosine of every pair of these faces, and whether both are one person; of many faces a random part."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST])
    vectors, identity = vectors[rows], identity[rows]
    one, other = np.triu_indices(len(vectors), 1)
    return (vectors @ vectors.T)[one, other], identity[one] == identity[other]


def true_accepts(vectors: Vectors, identity: Ints, false_accepts: float) -> float | None:
    """The share of pairs of one person above the cosine that so few pairs of two people pass; None with too few."""
    if len(vectors) < 2:
        return None
    cosine, same = pairs(vectors, identity)
    if same.sum() < FEWEST or (~same).sum() * false_accepts < 1:
        return None
    bar = np.quantile(cosine[~same], 1 - false_accepts)
    return float((cosine[same] > bar).mean())


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
