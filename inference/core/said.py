"""What is said of a face, from what a network believes: a value with its confidence, or years with an interval."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST, Attribute
from inference.core.cold_attributes import expected_years
from inference.core.years import YEARS, interval

INTERVAL = 0.9  # of the belief lies between `low` and `high`


@dataclass(frozen=True)
class Sureness:
    """How far a model's confidence can be trusted."""

    calibrated: bool  # it was fitted on faces that the model had not seen
    abstain_below: float  # the confidence below which it should not say


@dataclass(frozen=True)
class Choice:
    """One of a class, the likeliest."""

    value: str
    confidence: float  # 0–1
    distribution: Mapping[str, float]  # by value; adds up to 1
    calibrated: bool  # the confidence was measured on faces that the model had not seen
    abstained: bool  # the model should not say: its confidence is too low, or the face cannot be made out


@dataclass(frozen=True)
class Years:
    """An age: the mean of the belief, its standard deviation, and the central interval that holds nine tenths of it."""

    mean: float
    sd: float
    low: int
    high: int
    calibrated: bool  # so was the spread
    abstained: bool


Said = Choice | Years


def say(attribute: Attribute, belief: npt.NDArray[np.float64], *, sureness: Sureness, usable: bool) -> Said:
    """What to say by a belief over the attribute's values, or over the years 0–116.

    It is said in any case, and `abstained` where it should not be relied on: the confidence is too low, or the face too
    small, blurred or turned to tell (`usable` is false). Raises ValueError for what is no belief, or of another length.
    """
    wanted = OLDEST + 1 if attribute.in_years else len(attribute.values)
    if belief.shape != (wanted,):
        raise ValueError(f"A belief in {attribute.name} has shape ({wanted},), not {belief.shape}.")
    if not np.isfinite(belief).all():
        raise ValueError(f"A belief in {attribute.name} holds what is no finite number.")
    confidence = float(belief.max())
    abstained = not usable or confidence < sureness.abstain_below
    if attribute.in_years:
        return _years(belief, sureness.calibrated, abstained)
    distribution = {value: float(share) for value, share in zip(attribute.values, belief, strict=True)}
    return Choice(attribute.values[int(belief.argmax())], confidence, distribution, sureness.calibrated, abstained)


def _years(belief: npt.NDArray[np.float64], calibrated: bool, abstained: bool) -> Years:
    mean = float(expected_years(belief[None])[0])
    variance = float(belief @ (YEARS - mean) ** 2)
    return Years(mean, variance**0.5, *interval(belief, INTERVAL), calibrated, abstained)
