"""How far what a model says now has moved from what it said before."""

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST
from inference.core.said import Choice, Said

SCORES = tuple(edge / 10 for edge in range(1, 11))  # upper edges; ten are enough for a drift, and steady with few faces
DRIFTED = 0.25  # of `stability`, from which on somebody should look (see there)


def score(told: Said) -> float:
    """One number from 0 to 1 of what was said, whose distribution is watched: a confidence, or a share of 116 years."""
    return told.confidence if isinstance(told, Choice) else told.mean / OLDEST


def histogram(scores: npt.ArrayLike) -> list[int]:
    """How many scores lie in each bin of SCORES."""
    bins = np.searchsorted(SCORES, np.minimum(np.asarray(scores, np.float64), SCORES[-1]), side="left")
    return [int(each) for each in np.bincount(bins, minlength=len(SCORES))]


def stability(reference: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """The population stability index of two histograms of the same bins: sum of (p - q) ln(p / q), without a unit.

    By custom (Siddiqi, *Credit Risk Scorecards*, 2006) below 0.1 is no drift to speak of, above 0.25 one to look into.
    Half a count is added to each bin, so that an empty one is no infinity. Raises ValueError for other shapes.
    """
    counts = np.asarray([reference, now], np.float64)
    if counts.ndim != 2 or counts.min() < 0:
        raise ValueError(f"Two histograms of the same bins are compared, not arrays of shape {counts.shape}.")
    q, p = (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True)
    return float(((p - q) * np.log(p / q)).sum())
