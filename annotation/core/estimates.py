"""Ages as a network sees them against ages as dates give them: which differ by more than the network errs."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ENOUGH = 50  # known ages, before anything is said of how far the network errs
NEAR = 101  # of the ages nearest to one's own: a network errs otherwise on children than on the old
SIGMA = 1.4826  # of a normal distribution, in its median absolute deviations
LEAST = 1.0  # years: no network is surer than that
BEYOND = 4.0  # of a normal distribution one in 16,000 lies as far out; of these errors, somewhat more


def improbable(estimated: Floats, known: Floats, half: Floats) -> Floats:
    """By face, how many usual errors its estimate is off, beyond the uncertainty `half` of the date itself.

    The usual error is the network's on known ages near this one: its bias and its spread there, by medians, which
    wrong dates among them hardly move. All zero with fewer than ENOUGH.
    """
    off = np.zeros(len(known))
    if len(known) < ENOUGH:
        return off
    order = np.argsort(known, kind="stable")
    error = (estimated - known)[order]
    for place, face in enumerate(order):
        start = min(max(place - NEAR // 2, 0), max(len(order) - NEAR, 0))
        near = error[start : start + NEAR]
        bias = np.median(near)
        spread = max(SIGMA * float(np.median(np.abs(near - bias))), LEAST)
        off[face] = max(abs(error[place] - bias) - half[face], 0.0) / spread
    return off
