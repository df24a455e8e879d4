"""How far what a model says now has moved from what it said before."""

import numpy as np
import numpy.typing as npt


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
