"""Even over ages: photos on the web show people of 20 to 40, and a network that sees these learns only them.

The paper's remedy is to collect many under 20 and over 70. What a corpus has too much of is left out by a cap, or
counts less by a weight; both by age, and both only in training: validation and test stay as they are.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST

YEARS_A_BAND = 5
HEAVIEST = 20.0  # weights beyond it would have a few faces learnt by heart

Floats = npt.NDArray[np.float64]  # (faces,)


def age_weights(years: Floats, *, heaviest: float = HEAVIEST) -> Floats:
    """How often each face counts, so that all bands of five years that occur count alike; 1 on average.

    `years` is NaN where no age is known: such a face counts 1. None counts more than `heaviest` times as much as it
    would among even ages.
    """
    weights = np.ones(len(years))
    known = np.isfinite(years)
    if not known.any():
        return weights
    _, band, sizes = np.unique(band_of(years[known]), return_inverse=True, return_counts=True)
    even = known.sum() / (len(sizes) * sizes[band])
    capped = np.minimum(even, heaviest)
    weights[known] = capped / capped.mean()
    return weights


def band_of(years: Floats) -> npt.NDArray[np.int64]:
    """The number of the five years that an age is in."""
    return np.asarray(np.clip(years, 0, OLDEST) // YEARS_A_BAND, np.int64)


def within_cap(years: Floats, order: Floats, cap: int) -> npt.NDArray[np.bool_]:
    """Which faces stay if no year of age may have more than `cap`: the first by `order`, which is as good as random.

    Faces without a known age all stay. Raises ValueError for a cap below 1.
    """
    if cap < 1:
        raise ValueError(f"A cap of {cap} faces a year would leave none. Give 1 or more.")
    stays = ~np.isfinite(years)
    known = np.flatnonzero(~stays)
    year = np.floor(years[known])
    placed = known[np.lexsort((order[known], year))]
    _, first, sizes = np.unique(np.floor(years[placed]), return_index=True, return_counts=True)
    rank = np.arange(len(placed)) - np.repeat(first, sizes)
    stays[placed[rank < cap]] = True
    return stays


def histogram(years: Sequence[float] | Floats) -> dict[str, int]:
    """How many faces there are by ten years."""
    decades = np.clip(np.asarray(years, np.float64), 0, OLDEST) // 10
    return {f"{int(ten) * 10}–{int(ten) * 10 + 9}": int((decades == ten).sum()) for ten in np.unique(decades)}
