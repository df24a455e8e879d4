"""How far answers agree, who departs from the others, and who answers without looking."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from annotation.core.estimates import SIGMA

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RECENT = (50, 100)  # answers that drift is looked for in: a great one is seen in few, a small one in many
DRIFTED = 2.5e-4  # the probability, of somebody who answers as before, that the latest are right so seldom
TOO_FAST = 0.25  # of the usual time for a kind of question: nobody reads a face in that
OTHERS = 9  # people's guesses of an age, at least, that somebody's is held against
IN_LINE = 2.5  # usual spreads: of guesses that lie apart like a normal distribution 1.2 % are further off
NARROWEST = 2.0  # years: guesses are whole numbers, and of small children nobody is off by more than one
FEWEST = 5  # known answers before anybody is paused
BAR = 0.7  # of gold answered rightly, with all doubt in the annotator's favour; below it they are paused


def krippendorff_alpha(unit: Ints, value: Floats, level: Literal["nominal", "interval"] = "nominal") -> float:
    """Agreement beyond chance of answers `value` (answers,) to questions `unit` (answers,): 1 full, 0 as by chance.

    Any number of answers a question; those answered once say nothing (Krippendorff, "Content analysis", 2004). NaN
    where nothing can be compared, or where there is only one value. Computed from moments, not from pairs.
    """
    counts = np.bincount(unit)
    paired = counts[unit] > 1
    _, unit = np.unique(unit[paired], return_inverse=True)
    value = value[paired]
    if len(value) == 0:
        return float("nan")
    apart = _apart_nominal if level == "nominal" else _apart_interval
    within = apart(unit, value) / (np.bincount(unit) - 1)
    overall = apart(np.zeros(len(value), np.int64), value)[0] / (len(value) - 1)
    return float("nan") if overall == 0 else float(1 - within.sum() / overall)


def _apart_nominal(unit: Ints, value: Floats) -> Floats:
    """In each unit: the number of ordered pairs that differ."""
    _, code = np.unique(value, return_inverse=True)
    classes = int(code.max()) + 1
    table = np.bincount(unit * classes + code, minlength=(int(unit.max()) + 1) * classes).reshape(-1, classes)
    size = table.sum(axis=1)
    return np.asarray(size**2 - (table**2).sum(axis=1), np.float64)


def _apart_interval(unit: Ints, value: Floats) -> Floats:
    """In each unit: the sum of squared differences over ordered pairs."""
    centred = value - value.mean()
    size = np.bincount(unit)
    total, squares = np.bincount(unit, weights=centred), np.bincount(unit, weights=centred**2)
    return np.asarray(2 * (size * squares - total**2), np.float64)


def intraclass_correlation(unit: Ints, value: Floats) -> float:
    """How much of the variance of guesses lies between faces, ICC(1) (Shrout & Fleiss, 1979), for uneven numbers.

    Of `value` (answers,) about `unit` (answers,); NaN where no face has two answers or there is one face only.
    """
    _, unit = np.unique(unit, return_inverse=True)
    size = np.bincount(unit)
    faces, answers = len(size), len(unit)
    if faces < 2 or answers == faces:
        return float("nan")
    mean = np.bincount(unit, weights=value) / size
    within = ((value - mean[unit]) ** 2).sum() / (answers - faces)
    between = (size * (mean - value.mean()) ** 2).sum() / (faces - 1)
    typical = (answers - (size**2).sum() / answers) / (faces - 1)
    scale = between + (typical - 1) * within
    return float("nan") if scale == 0 else float((between - within) / scale)


@dataclass(frozen=True)
class Bias:
    """By how many years somebody guesses older (+) or younger (−) than the others do, and its standard error."""

    years: float
    error: float


def biases(unit: Ints, voter: Ints, value: Floats, voters: int) -> list[Bias]:
    """Each voter's against the mean of all other answers to the same question; NaN who shares no question."""
    size, total = np.bincount(unit)[unit], np.bincount(unit, weights=value)[unit]
    shared = size > 1
    gap = value[shared] - (total - value)[shared] / (size[shared] - 1)
    return [_bias(gap[voter[shared] == one]) for one in range(voters)]


def _bias(gap: Floats) -> Bias:
    if len(gap) < 2:
        return Bias(float("nan"), float("nan"))
    return Bias(float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap))))


def in_line(unit: Ints, voter: Ints, value: Floats) -> Floats:
    """Of guesses `value` (answers,) of how old faces `unit` (answers,) look: 1 in line with what is known of the face,
    0 out of line, NaN where too little is known.

    Known is the median of what all others guess, so many at least. Off is what remains once the voter's own bias is
    taken away, the median of their gaps: who guesses old, guesses old evenly. Far off is beyond what people lie apart,
    of this face or, where that is more, of most faces. All by medians, which people who type at random do not move as
    they move a mean.
    """
    known, spread = _of_others(unit, value)
    told = np.isfinite(known)
    found = np.full(len(value), np.nan)
    if not told.any():
        return found
    gap, spread = (value - known)[told], spread[told]
    usual = max(float(np.median(spread)), NARROWEST)
    for one in np.unique(voter[told]):
        own = voter[told] == one
        gap[own] -= np.median(gap[own])
    found[told] = np.abs(gap) <= IN_LINE * np.maximum(spread, usual)
    return found


def _of_others(unit: Ints, value: Floats) -> tuple[Floats, Floats]:
    """For each guess, the median of all others of the same face and how far these lie apart; NaN for too few."""
    middle, spread = np.full(len(value), np.nan), np.full(len(value), np.nan)
    order = np.argsort(unit, kind="stable")
    size = np.bincount(unit)
    start = np.cumsum(size) - size
    for count in np.unique(size[size > OTHERS]):
        rows = order[start[size == count][:, None] + np.arange(count)]  # (faces, count)
        for own in range(count):
            rest = np.delete(value[rows], own, axis=1)
            median = np.median(rest, axis=1)
            middle[rows[:, own]] = median
            spread[rows[:, own]] = SIGMA * np.median(np.abs(rest - median[:, None]), axis=1)
    return middle, spread


def drifted(right: npt.NDArray[np.bool_]) -> bool:
    """Whether somebody's latest answers to gold (answers,), oldest first, are worse than their own earlier ones.

    Had nothing changed, every answer would be as likely to be one of the wrong ones: that no more of the latest are
    right has the probability of a hypergeometric draw. It is looked at after each answer, so it has to be far below
    what one look would ask for: of people who stay as they are 4 in 100 at most are ever accused within 1,000 answers,
    whether they are right in 0.5 or in 0.98; of those who fall from 0.95 to 0.8 after 300, 0.8 are found within 100
    more (simulated; the test holds it).
    """
    return any(
        len(right) >= 2 * recent and hypergeom.cdf(right[-recent:].sum(), len(right), right.sum(), recent) <= DRIFTED
        for recent in RECENT
    )


def too_fast(elapsed: Ints, kind: Ints) -> npt.NDArray[np.bool_]:
    """Which of the answers were given in less than a quarter of the median time (ms) of their kind of question."""
    median = np.zeros(int(kind.max(initial=-1)) + 1)
    for each in np.unique(kind):
        median[each] = np.median(elapsed[kind == each])
    return np.asarray(elapsed < TOO_FAST * median[kind], np.bool_)


def below_the_bar(right: int, answered: int, upper_bound: Callable[[int, int], float], bar: float = BAR) -> bool:
    """Whether even the most that may be believed of somebody is too little.

    `upper_bound` of their share of right answers, from (answered, right): valid however often it is looked at, so
    that nobody is paused for a bad hour, and at the earliest after FEWEST. Over 300 known answers whoever is right in
    0.95 is ever paused with a probability of 4e-7, in 0.89 (honest people about emotions that nobody disputes) of 3e-5,
    in 0.8 of 9e-4. Half of those who answer by chance are after 47, where there are two values, after 7 with seven.
    """
    return answered >= FEWEST and upper_bound(answered, right) < bar
