"""How sure a figure is: faces drawn anew many times, whole groups of them together (Efron & Tibshirani, 1993).

Faces of one person err alike, so a group, and not a face, is what is drawn; otherwise intervals come out too narrow.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDS = 1_000
SPAN = (2.5, 97.5)  # percentiles: 95 %
_AT_ONCE = 2_000_000  # drawn numbers held at a time


@dataclass(frozen=True)
class Measured:
    """A figure with its 95 % interval; without one where there are fewer than two groups to draw from."""

    value: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        return f"{self.value:.3f}" + ("" if self.low is None else f" ({self.low:.3f}–{self.high:.3f})")


@dataclass(frozen=True, eq=False)
class Statistic:
    """A figure that follows from sums over the faces: so one draw of groups is one product of matrices.

    `parts` (faces, d) is what each face adds; `of` maps such sums (rounds, d) to figures (rounds,).
    """

    parts: Floats
    of: Callable[[Floats], Floats]

    @property
    def value(self) -> float:
        return float(self.of(self.parts.sum(axis=0, keepdims=True))[0])


def mean(values: npt.ArrayLike) -> Statistic:
    """The mean over the faces."""
    each = np.asarray(values, np.float64)
    return Statistic(np.stack([each, np.ones(len(each))], axis=1), lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1))


def less(one: Statistic, other: Statistic) -> Statistic:
    """The first less the second, both of the same faces."""
    width = one.parts.shape[1]
    parts = np.concatenate([one.parts, other.parts], axis=1)
    return Statistic(parts, lambda sums: one.of(sums[:, :width]) - other.of(sums[:, width:]))


def drawn(
    statistic: Statistic, groups: npt.NDArray[np.int64] | None = None, *, rounds: int = ROUNDS, seed: int = 0
) -> Floats:
    """The figure (rounds,) of as many groups drawn anew, with replacement; without groups each face is one."""
    sums = statistic.parts
    if groups is not None:
        which, place = np.unique(groups, return_inverse=True)
        sums = np.zeros((len(which), statistic.parts.shape[1]))
        np.add.at(sums, place, statistic.parts)
    rng = np.random.default_rng(seed)
    count = len(sums)
    step = max(1, _AT_ONCE // max(count, 1))
    told = []
    for start in range(0, rounds, step):
        often = [
            np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(min(step, rounds - start))
        ]
        told.append(statistic.of(np.array(often, np.float64) @ sums))
    return np.concatenate(told)


def measured(
    statistic: Statistic, groups: npt.NDArray[np.int64] | None = None, *, rounds: int = ROUNDS, seed: int = 0
) -> Measured:
    """The figure with its 95 % interval."""
    if len(statistic.parts) < 2 or (groups is not None and len(np.unique(groups)) < 2):
        return Measured(statistic.value)
    low, high = np.percentile(drawn(statistic, groups, rounds=rounds, seed=seed), SPAN)
    return Measured(statistic.value, float(low), float(high))


def chance(differences: Floats) -> float:
    """The two-sided p of no difference, from differences drawn anew; never 0, as no number of rounds shows that."""
    rounds = len(differences)
    one_side = min((differences <= 0).sum(), (differences >= 0).sum())
    return float(min(1.0, 2 * (one_side + 1) / (rounds + 1)))
