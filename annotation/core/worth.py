"""What an answer is worth: labels settled × doubt × rarity, over the actions it takes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation.core.certificate import needed

Floats = npt.NDArray[np.float64]

GRID = 20  # faces of one value, looked over at a glance
ASIDE = 1.25  # actions that a marked face costs: the mark, which says what it is, and now and then somebody else's word
RAREST = 4.0  # the most that rarity multiplies by
# The machine's calibrated doubt about a region has to be this share of the target, for an audit to be worth it.
PROMISING = 0.7
HOPELESS = 3  # times the answers that a faultless region needs: so many audits without a certificate are enough


def grid_pays(confidence: float) -> bool:
    """Whether a face costs less in a grid of the value proposed for it than asked about alone."""
    return 1 / GRID + (1 - confidence) * ASIDE < 1


def of_grid(confidence: Sequence[float], labels: Sequence[int], rarity: float) -> float:
    """Of a grid with these beliefs in its value; each face settles so many labels."""
    doubt = 1 - np.asarray(confidence)
    return float((np.asarray(labels) * doubt).sum() * rarity / (1 + ASIDE * doubt.sum()))


def of_single(confidence: float, labels: int, rarity: float) -> float:
    return labels * (1 - confidence) * rarity


def rarity(share: float, classes: int) -> float:
    """How much more an answer about a value counts that so few faces have; 1 where all are equally common."""
    return float(min(1 / max(share * classes, 1e-9), RAREST))


@dataclass(frozen=True)
class Draw:
    """Audits to make of one value: the confidence from which on faces are drawn, and how many more."""

    above: float
    faces: int


def next_draw(
    confidence: Floats,
    waiting: Floats,
    sequence: Sequence[float],
    *,
    certified: float | None,
    audited: int,
    target: float,
) -> Draw | None:
    """Which proposals of one value are worth auditing next, from the confidence of all (n,) and of those that nobody
    has settled (m,); None if none are.

    Drawn from the loosest threshold whose proposals are, as far as their calibrated confidence goes, good enough:
    such a sample speaks for every stricter threshold, too.
    """
    regions = {at: confidence[confidence >= at] for at in sequence}
    promising = [at for at, region in regions.items() if len(region) and (1 - region).mean() <= PROMISING * target]
    if not promising:
        return None
    above = min(promising)
    least = needed(target)
    inside = int((waiting >= above).sum())
    if inside + audited < 2 * least or (certified is not None and above >= certified) or audited >= HOPELESS * least:
        return None
    return Draw(above, min(inside, HOPELESS * least - audited))
