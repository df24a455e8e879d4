"""Dates in, ages out, with what is not known of a date as the uncertainty of the age."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from annotation.core.dates import PartialDate
from inference.core.attributes import OLDEST

DAYS = 365.2425  # of a year
Key = TypeVar("Key", bound=Hashable)
SLACK = 0.02  # years: a week's difference between two records of one birth date is no contradiction


class ImpossibleAge(ValueError):
    """These dates cannot both be right; the message says why."""


@dataclass(frozen=True)
class Age:
    """A real age in years: what it is at least, at most, and in the middle."""

    low: float
    high: float

    @property
    def years(self) -> float:
        return (self.low + self.high) / 2

    @property
    def uncertainty(self) -> float:
        """± so many years: half a year for a year without a day."""
        return (self.high - self.low) / 2


def real_age(birth: PartialDate, taken: PartialDate) -> Age:
    """How old somebody born then is in a photo taken then. Raises ImpossibleAge."""
    high, low = _years(birth.first, taken.last), _years(birth.last, taken.first)
    if high < 0:
        raise ImpossibleAge(f"Born {birth}, after the photo was taken {taken}. One of the dates is wrong.")
    if low > OLDEST:
        raise ImpossibleAge(f"Born {birth}, the person would be {low:.0f} in a photo of {taken}, more than {OLDEST}.")
    return Age(max(low, 0.0), min(high, OLDEST + 1.0))


def _years(start: date, end: date) -> float:
    return (end - start).days / DAYS


@dataclass(frozen=True)
class BirthRecord:
    """When a person was born, as one photo has it: from `first` to `last`, in years."""

    first: float
    last: float


def stated_birth(birth: PartialDate) -> BirthRecord:
    return BirthRecord(in_years(birth.first), in_years(birth.last))


def implied_birth(taken: PartialDate, low: float, high: float) -> BirthRecord:
    """What a photo of somebody between `low` and `high` years old says of the birth: recorded, or as it looks."""
    return BirthRecord(in_years(taken.first) - high, in_years(taken.last) - low)


def in_years(day: date) -> float:
    """A date as a number."""
    return day.year + (day - date(day.year, 1, 1)) / timedelta(days=DAYS)


def contradicting(records: Mapping[Key, BirthRecord]) -> list[Key]:
    """Of the records of one person, by whatever names them: those that cannot be true together with most of the others.

    Two birth dates, and ages that run against the dates of their photos, are the same: the time of birth that most
    records allow is sought, and who does not allow it is asked about. Among two that differ nobody knows which is
    wrong: both are named.
    """
    likely = likely_birth(records)
    if likely is None:
        return []
    # What is known of a birth has no gap: who allows its first and last moment allows all between.
    moments = (likely.first, likely.last)
    return [key for key, record in records.items() if not all(_allows(record, moment) for moment in moments)]


def likely_birth(records: Mapping[Key, BirthRecord]) -> BirthRecord | None:
    """From the earliest to the latest time of birth that most records allow; None without any.

    Of all moments at which a record begins or ends, that is. Takes as long as sorting them.
    """
    if not records:
        return None
    begin = sorted(record.first - SLACK for record in records.values())
    end = sorted(record.last + SLACK for record in records.values())
    moments = {record.first for record in records.values()} | {record.last for record in records.values()}
    allowed = {moment: _meeting(begin, end, moment, moment) for moment in moments}
    most = max(allowed.values())
    best = [moment for moment, count in allowed.items() if count == most]
    return BirthRecord(min(best), max(best))


def could_be_of(taken: PartialDate, birth: BirthRecord) -> bool:
    """Whether a photo taken then may show somebody born in that time: alive by then, and no older than people get."""
    first, last = _alive(birth)
    return in_years(taken.last) >= first and in_years(taken.first) <= last


def possible(births: Mapping[Key, BirthRecord], taken: Collection[PartialDate]) -> dict[Key, int]:
    """For each of these times of birth, how many of the photos may show somebody born then: see `could_be_of`."""
    begin, end = sorted(in_years(each.first) for each in taken), sorted(in_years(each.last) for each in taken)
    return {key: _meeting(begin, end, *_alive(birth)) for key, birth in births.items()}


def _meeting(begin: Sequence[float], end: Sequence[float], first: float, last: float) -> int:
    """How many of the spans that begin and end at these times, each sorted, have a moment from `first` to `last`."""
    return bisect_right(begin, last) - bisect_left(end, first)


def _alive(birth: BirthRecord) -> tuple[float, float]:
    return birth.first - SLACK, birth.last + OLDEST + SLACK


def _allows(record: BirthRecord, moment: float) -> bool:
    return record.first - SLACK <= moment <= record.last + SLACK
