"""What is said of an age: by each source a mean and how far it errs, and together a distribution over the years.

Networks are surer of an age than they are right, and a year more or less is no other class: so each source is heard as
a mean with a spread, which labelled faces teach, and a belief over the years is made of these only at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST
from inference.core.calibrate import Reliability
from inference.core.cold_attributes import expected_years
from inference.core.late import Late
from inference.core.probe import FEWEST, FOLDS, NEAR, nearest
from inference.core.types import Beliefs, Vectors

if TYPE_CHECKING:
    from sklearn import linear_model, model_selection
else:
    linear_model, model_selection = Late("sklearn.linear_model"), Late("sklearn.model_selection")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

YEARS = np.arange(OLDEST + 1, dtype=np.float64)
_MIDDLE = (YEARS - OLDEST / 2) / (OLDEST / 2)
# What all sources miss together is a pull to older or younger, and to the middle or the ends: not a bias for each year.
TILT = np.stack([_MIDDLE, _MIDDLE**2], axis=1)  # (117, 2)
FREEDOM = 8.0  # degrees, of Student's t: a source may be far off now and then, by a wrong label or a hidden face
SHARPEST, BLUNTEST = 1.0, 40.0  # years of spread: no source is surer, nor says less
ROUGH = 8.0  # years that a network is off before labels tell how far: dlib's on UTKFace, somewhat more than its mean
STRENGTH = 10.0  # of the ridge, for vectors of length √dimensions
CROWD = 15.0  # years that ages lie apart among strangers: half a neighbour's weight of it makes nobody sure
NORMAL = float(np.sqrt(np.pi / 2))  # of a normal distribution's mean absolute deviation, in its standard deviation
LEVELS = tuple(round(0.1 * tenth, 1) for tenth in range(1, 10))  # of the intervals that a calibration is judged by


def summary(beliefs: Beliefs) -> Floats:
    """Mean and spread (n, 2) of distributions over the years (n, 117)."""
    mean = expected_years(beliefs)
    spread = np.sqrt(np.clip(beliefs @ YEARS**2 - (beliefs @ YEARS) ** 2, 0, None))
    return np.stack([mean, np.clip(spread, SHARPEST, BLUNTEST)], axis=1)


def over_years(said: Floats) -> Beliefs:
    """Distributions (..., 117) of means and spreads (..., 2), by Student's t; NaN stays NaN."""
    off = (YEARS - said[..., :1]) / said[..., 1:]
    density = (1 + off**2 / FREEDOM) ** (-(FREEDOM + 1) / 2)
    return np.asarray(density / density.sum(axis=-1, keepdims=True), np.float64)


def as_far_off(said: Floats, years: Floats) -> Floats:
    """Means (n, 2) with the spread that the source is really off by, as labelled faces show; NaN `years` (n,) without.

    How far it is off goes linearly with its mean, as children are told better than the old, and with its own spread.
    """
    known = np.isfinite(years) & np.isfinite(said[:, 0])
    if known.sum() < FEWEST:
        return np.stack([said[:, 0], np.clip(said[:, 1], ROUGH, BLUNTEST)], axis=1)
    terms = np.column_stack([np.ones(len(said)), said])
    off = np.abs(said[known, 0] - years[known])
    line, *_ = np.linalg.lstsq(terms[known], off, rcond=None)
    return np.stack([said[:, 0], np.clip(NORMAL * (terms @ line), SHARPEST, BLUNTEST)], axis=1)


@dataclass(frozen=True, eq=False)
class ToldYears:
    """What the labelled faces say of the ages of all, each face judged without its own label."""

    head: Floats  # (n, 2): mean and spread, NaN where there are too few labels
    neighbours: Floats  # (n, 2), NaN for a face without a labelled neighbour


def tell_years(vectors: Vectors, years: Floats, group: Ints) -> ToldYears:
    """From vectors (n, dimensions), ages `years` (n,), NaN without, and `group` (n,): as `probe.tell` does for classes.

    A ridge regression on the vectors, and the mean of the nearest labelled faces, each weighed by how near it is.
    """
    if not len(vectors) == len(years) == len(group):
        raise ValueError(f"{len(vectors)} vectors, {len(years)} ages and {len(group)} groups differ.")
    return ToldYears(
        as_far_off(_head(vectors, years, group), years), as_far_off(_neighbours(vectors, years, group), years)
    )


def _head(vectors: Vectors, years: Floats, group: Ints) -> Floats:
    found = np.full((len(vectors), 2), np.nan)
    known = np.flatnonzero(np.isfinite(years))
    folds = min(FOLDS, len(np.unique(group[known])))
    if len(known) < FEWEST or folds < 2:
        return found
    scaled = vectors * np.sqrt(vectors.shape[1], dtype=np.float32)
    found[:, 1] = ROUGH
    for learn, judge in model_selection.GroupKFold(folds).split(known, groups=group[known]):
        found[known[judge], 0] = _fitted(scaled, years, known[learn], known[judge])
    rest = np.flatnonzero(~np.isfinite(years))
    if len(rest):
        found[rest, 0] = _fitted(scaled, years, known, rest)
    return found


def _fitted(vectors: Vectors, years: Floats, learn: Ints, judge: Ints) -> Floats:
    head = linear_model.Ridge(alpha=STRENGTH).fit(vectors[learn].astype(np.float64), years[learn])
    return np.asarray(np.clip(head.predict(vectors[judge].astype(np.float64)), 0, OLDEST), np.float64)


def _neighbours(vectors: Vectors, years: Floats, group: Ints) -> Floats:
    found = np.full((len(vectors), 2), np.nan)
    known = np.flatnonzero(np.isfinite(years))
    if len(known) == 0:
        return found
    near, cosine = nearest(vectors, known)
    strange = float(np.median(cosine[:, -1]))
    weight = np.clip((cosine - strange) / NEAR, 0, None).astype(np.float64)
    weight[group[near] == group[:, None]] = 0
    return _weighed(years[near], weight)


def _weighed(ages: Floats, weight: Floats) -> Floats:
    """Mean and spread (n, 2) of ages (n, neighbours) by their weight, NaN where nobody weighs anything."""
    total = weight.sum(axis=1)
    mean = (weight * ages).sum(axis=1) / np.where(total > 0, total, np.nan)
    apart = (weight * (ages - mean[:, None]) ** 2).sum(axis=1) + CROWD**2 / 2
    return np.stack([mean, np.sqrt(apart / (total + 0.5))], axis=1)


def of_term(term: Ints, years: Floats, group: Ints) -> Floats:
    """Mean and spread (n, 2) of the ages of others who were found under the same search term, as `probe.same_term`."""
    found = np.full((len(years), 2), np.nan)
    known = np.flatnonzero(np.isfinite(years) & (term >= 0))
    if len(known) == 0:
        return found
    keys, own = np.unique(np.stack([term, group]), axis=1, return_inverse=True)
    sums = np.stack([np.ones(len(years)), years, years**2], axis=1)  # how many, their sum, and their squares'
    of_all, of_own = np.zeros((int(term.max()) + 1, 3)), np.zeros((keys.shape[1], 3))
    np.add.at(of_all, term[known], sums[known])
    np.add.at(of_own, own[known], sums[known])
    count, total, squares = (of_all[term] - of_own[own]).T
    heard = (term >= 0) & (count > 0.5)
    mean = total[heard] / count[heard]
    apart = np.clip(squares[heard] - count[heard] * mean**2, 0, None) + CROWD**2 / 2
    found[heard] = np.stack([mean, np.sqrt(apart / (count[heard] + 0.5))], axis=1)
    return found


def of_person(said: Floats, taken: Floats, person: Ints, alike: float) -> Floats:
    """How old each face (n, 2) is by the other dated photos of the same person.

    `said` (n, 2) is what is known of each age by itself, `taken` (n,) when the photo was taken, in years, NaN for a
    photo that says nothing. Each photo's date less its age is a birth; the births that the others give are
    weighed by their precision. Their errors are alike in part, so many of them are worth less than as many strangers.
    """
    found = np.full((len(said), 2), np.nan)
    dated = np.flatnonzero(np.isfinite(taken) & np.isfinite(said).all(axis=1))
    if len(dated) == 0:
        return found
    _, number = np.unique(person[dated], return_inverse=True)
    precision = said[dated, 1] ** -2.0
    born = taken[dated] - said[dated, 0]
    sums = np.stack([np.ones(len(dated)), precision, precision * born], axis=1)
    of_all = np.zeros((number.max() + 1, 3))
    np.add.at(of_all, number, sums)
    count, weight, total = (of_all[number] - sums).T
    heard = count > 0.5
    age = taken[dated][heard] - total[heard] / weight[heard]
    spread = np.sqrt((1 + alike * (count[heard] - 1)) / weight[heard])
    found[dated[heard]] = np.stack([np.clip(age, 0, OLDEST), np.clip(spread, SHARPEST, BLUNTEST)], axis=1)
    return found


def shares(years: Floats) -> Beliefs:
    """Ages (n,) as shares of the years (n, 117): one between two years is in part each."""
    held = np.clip(years, 0, OLDEST)
    return np.asarray(np.clip(1 - np.abs(held[:, None] - YEARS), 0, 1), np.float64)


def placed(beliefs: Beliefs, years: Floats) -> Floats:
    """Where the true age lies in the distribution over the years (n, 117): the share (n,) believed to be younger.

    The mass of a year is spread over half a year on both sides of it. Of a calibrated model these are even over 0–1.
    """
    below = np.clip(years[:, None] - np.arange(beliefs.shape[1]) + 0.5, 0, 1)
    return np.asarray((beliefs * below).sum(axis=1), np.float64)


def covered(beliefs: Beliefs, years: Floats, levels: Sequence[float]) -> Floats:
    """For each level the share of true ages inside the central interval that should hold so many of them."""
    off = np.abs(placed(beliefs, years) - 0.5) * 2
    return np.array([(off <= level).mean() if len(off) else np.nan for level in levels])


def coverage(beliefs: Beliefs, years: Floats) -> Reliability:
    """The reliability of beliefs in ages, which are never told to the year: do intervals of nine in ten hold nine in
    ten? Its error is the mean difference (Kuleshov, Fenner, Ermon, ICML 2018)."""
    count = np.full(len(LEVELS), len(years), np.int64)
    return Reliability(np.array(LEVELS), covered(beliefs, years, LEVELS), count)


def interval(belief: npt.ArrayLike, level: float = 0.9) -> tuple[int, int]:
    """The years, from and to, of the central interval of a belief (117,)."""
    below = np.cumsum(belief)
    low, high = np.searchsorted(below, [(1 - level) / 2 * below[-1], (1 + level) / 2 * below[-1]])
    return int(low), int(high)


def median(belief: npt.ArrayLike) -> int:
    """The year that half of a belief (117,) lies below: off by the least years on average."""
    below = np.cumsum(belief)
    return int(np.searchsorted(below, below[-1] / 2))
