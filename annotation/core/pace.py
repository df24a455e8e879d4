"""Rates from counts over time, and which of them are worth keeping."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
RECENT = timedelta(hours=2)  # in which every moment is kept
# Older than the first, one moment in each slot of the second is enough: a week's plot has 84 points, one of years 365 a
# year.
THINNED = ((timedelta(days=15), DAY), (RECENT, timedelta(minutes=15)))
LEAST = 0.5  # of the span: with less behind it a rate over a week would be one over an afternoon


@dataclass(frozen=True)
class Moment:
    at: datetime
    counts: Mapping[str, int]


def rate(moments: Sequence[Moment], name: str, span: timedelta, per: timedelta) -> float | None:
    """How much a count grew over the last `span`, scaled to `per`; what was erased meanwhile counts against it.

    `moments` in order of time. None while they reach back less than half of the span, or do not know the count.
    """
    known = [moment for moment in moments if name in moment.counts]
    if not known:
        return None
    last = known[-1]
    first = next(moment for moment in known if last.at - moment.at <= span)
    passed = last.at - first.at
    if passed < LEAST * span:
        return None
    return (last.counts[name] - first.counts[name]) * (per / passed)


def series(
    moments: Sequence[Moment], name: str, *, since: datetime, slot: timedelta, per: timedelta
) -> Iterator[tuple[datetime, float]]:
    """The growth of a count, slot by slot: the end of each slot, and the rate within it, scaled to `per`."""
    known = [moment for moment in moments if name in moment.counts]
    ends = {(moment.at - since) // slot: moment for moment in known}  # the last moment of each slot
    before = None
    for number in sorted(ends):
        if before is not None and number >= 0:
            passed = ends[number].at - before.at
            yield ends[number].at, (ends[number].counts[name] - before.counts[name]) * (per / passed)
        before = ends[number]


def too_many(times: Iterable[tuple[int, datetime]], now: datetime) -> list[int]:
    """The keys of the moments that may go: of those that are old, all but the first of each slot."""
    taken, gone = set[tuple[timedelta, int]](), list[int]()
    for key, at in sorted(times, key=lambda each: each[1]):
        slot = next((slot for age, slot in THINNED if now - at > age), None)
        if slot is None:
            continue
        place = slot, int(at.timestamp() // slot.total_seconds())
        if place in taken:
            gone.append(key)
        taken.add(place)
    return gone


def seconds_left(waiting: int, settled: Mapping[str, int], spans: Mapping[str, timedelta]) -> tuple[float, str] | None:
    """How long what waits will take at the pace of the shortest span in which anything was done, and which that is."""
    for name, span in spans.items():
        if settled.get(name, 0) > 0:
            return waiting / settled[name] * span.total_seconds(), name
    return None
