"""How far off: the measures that the field states its results in, on plain arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST
from inference.core.late import Late
from inference.core.types import Beliefs

if TYPE_CHECKING:
    from scipy import stats
else:
    stats = Late("scipy.stats")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]

WITHIN = 15  # years up to which the cumulative score is stated


@dataclass(frozen=True)
class AgeGroups:
    """Ages in groups, as a set labels them: whole years, from and to, both included."""

    spans: tuple[tuple[int, int], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{low}+" if high >= OLDEST else f"{low}–{high}" for low, high in self.spans)

    @property
    def middles(self) -> tuple[float, ...]:
        return tuple((low + min(high, 100)) / 2 for low, high in self.spans)

    def of(self, years: npt.ArrayLike) -> Ints:
        """The group (n,) of each age; between two it is the nearer one, in the middle the older."""
        ages = np.asarray(years, np.float64)[..., None]
        low, high = np.array(self.spans, np.float64).T
        whole = np.floor(ages)  # somebody of 2.9 years is 2
        apart = np.where((whole >= low) & (whole <= high), -np.inf, np.maximum(low - ages, ages - high))
        return np.asarray(len(self.spans) - 1 - apart[..., ::-1].argmin(axis=-1), np.int64)

    def beliefs(self, years: Beliefs) -> Beliefs:
        """How much of each distribution over the years (n, 117) lies in each group: (n, groups)."""
        membership = np.eye(len(self.spans))[self.of(np.arange(years.shape[1]))]
        return np.asarray(years @ membership, np.float64)


# What errors are stated by: the paper's point is an even spread over ages, many of them under 20 and over 70.
AGE_BANDS = AgeGroups(((0, 2), (3, 12), (13, 19), (20, 39), (40, 59), (60, 69), (70, OLDEST)))


def age_bands(years: npt.ArrayLike) -> npt.NDArray[np.str_]:
    """The names of the bands (n,), empty where an age is not a number."""
    ages = np.asarray(years, np.float64)
    known = np.isfinite(ages)
    names = np.array(AGE_BANDS.names)[AGE_BANDS.of(np.where(known, ages, 0))]
    return np.where(known, names, "")


def confusion(told: Ints, truth: Ints, classes: int) -> Ints:
    """How often which class (row) was told to be which (column)."""
    return np.bincount(truth * classes + told, minlength=classes * classes).reshape(classes, classes)


def macro_f1(counts: npt.NDArray[np.floating] | Ints) -> Floats:
    """The mean F1 over the classes that occur, of confusion tables (..., classes, classes).

    A class that nobody has counts nothing: of it there is neither precision nor recall.
    """
    table = np.asarray(counts, np.float64)
    hits = np.diagonal(table, axis1=-2, axis2=-1)
    have, told = table.sum(axis=-1), table.sum(axis=-2)
    each = 2 * hits / np.maximum(have + told, 1e-12)
    return np.asarray((each * (have > 0)).sum(axis=-1) / np.maximum((have > 0).sum(axis=-1), 1), np.float64)


def one_off(told: Ints, truth: Ints) -> Truths:
    """Whether each group told is the true one or a neighbour of it (Eidinger et al., 2014)."""
    return np.asarray(np.abs(told - truth) <= 1)


def epsilon(told: Floats, mean: Floats, deviation: Floats) -> Floats:
    """ChaLearn's error of each apparent age: 1 − exp(−(x − μ)² / 2σ²), 0 for the people's mean, towards 1 far off.

    Raises ValueError where a deviation is not above zero: then nothing but the mean itself would be right.
    """
    if not (deviation > 0).all():
        raise ValueError(f"A deviation of {deviation.min()} years: guesses must spread for ε. Leave that face out.")
    return np.asarray(1 - np.exp(-((told - mean) ** 2) / (2 * deviation**2)), np.float64)


def cumulative_score(errors: Floats, within: int = WITHIN) -> Floats:
    """The share of faces whose age is off by at most 0, 1, …, `within` years (Geng et al., 2007)."""
    return np.array([(errors <= years).mean() if len(errors) else np.nan for years in range(within + 1)])


def mcnemar(one: Truths, other: Truths) -> float:
    """How likely a difference as large between two models' right answers on the same faces is by chance: exact p."""
    only_one, only_other = int((one & ~other).sum()), int((other & ~one).sum())
    return float(stats.binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0
