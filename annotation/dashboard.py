"""Figures in, snapshots out: what the dashboard shows is counted in the background, for all who look.

The latest snapshot holds all that was counted, each part with its time; of the earlier ones the plain counts stay, for
rates and plots, fewer the older they are. What is cheap to look up (workers, failures, disks) is not in it: the page
looks for itself, so that it tells of silent workers, too.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation import belt
from annotation.core.pace import DAY, HOUR, WEEK, Moment, rate, series, too_many
from annotation.figures import PARTS, Part
from annotation.models import Snapshot
from annotation.stretches import row_by_row

log = logging.getLogger(__name__)

CLAIMED, CLAIM = "snapshot", timedelta(minutes=10)
REST = 30  # times as long as counting a part took, it is left alone: 3 % of one core at most, for each of a few parts
# What is told over time; of the funnel and the queue, whose counts are read from indexes.
FOLLOWED = ("photos", "faces", "embedded", "grouped", "proposed", "questions", "answers", "labelled", "released")
RATES = {"hour": (HOUR, HOUR), "day": (DAY, DAY), "week": (WEEK, DAY)}  # over the first, scaled to the second
PLOTS = {"hour": (HOUR, timedelta(minutes=2)), "day": (DAY, timedelta(minutes=30)), "week": (WEEK, timedelta(hours=4))}


@dataclass(frozen=True)
class Shown:
    """A part as it was counted last."""

    at: datetime
    ms: float
    found: dict[str, Any]


def take(parts: Mapping[str, Part] = PARTS, now: datetime | None = None) -> Snapshot | None:
    """Count what is due, and keep it with what is not. None if nothing was due, or somebody else is at it."""
    now = now or timezone.now()
    held = belt.claim(CLAIMED, CLAIM, now)
    if held is None:
        return None
    try:
        return _take(parts, now)
    finally:
        belt.let_go(CLAIMED, held)


def _take(parts: Mapping[str, Part], now: datetime) -> Snapshot | None:
    last = Snapshot.objects.first()
    kept = dict(last.parts) if last is not None else {}
    due = [name for name, part in parts.items() if _due(kept.get(name), part, now)]
    if not due:
        return None
    for name in due:
        begun = monotonic()
        with row_by_row():
            found = parts[name].read()
        kept[name] = {"at": now.isoformat(), "ms": round(1000 * (monotonic() - begun), 1), "is": found}
    counts = {name: value for name, value in kept.get("funnel", {}).get("is", {}).items() if isinstance(value, int)}
    kept["pace"] = {"at": now.isoformat(), "ms": 0.0, "is": _pace([*moments(now), Moment(now, counts)], now)}
    with transaction.atomic():
        made = Snapshot.objects.create(at=now, counts=counts, parts=kept)
        Snapshot.objects.filter(at__lt=now).exclude(parts={}).update(parts={})
    if last is None or last.at.replace(minute=0, second=0, microsecond=0) <= now - HOUR:
        thin(now)
    return made


def _due(kept: Mapping[str, Any] | None, part: Part, now: datetime) -> bool:
    if kept is None:
        return True
    wait = max(part.every, timedelta(milliseconds=REST * kept["ms"]))
    return datetime.fromisoformat(kept["at"]) + wait <= now


def moments(now: datetime) -> list[Moment]:
    """The counts of a week and a little more, in order of time."""
    rows = Snapshot.objects.filter(at__gt=now - WEEK - PLOTS["week"][1], at__lt=now).order_by("at")
    return [Moment(at, counts) for at, counts in rows.values_list("at", "counts")]


def _pace(known: list[Moment], now: datetime) -> dict[str, Any]:
    rates = {name: {span: rate(known, name, length, per) for span, (length, per) in RATES.items()} for name in FOLLOWED}
    plots = {
        span: {
            name: [
                [at.isoformat(), round(value, 1)]
                for at, value in series(known, name, since=now - length, slot=slot, per=HOUR)
            ]
            for name in FOLLOWED
        }
        for span, (length, slot) in PLOTS.items()
    }
    return {"rates": rates, "plots": plots, "since": known[0].at.isoformat()}


def thin(now: datetime) -> int:
    """Let go of moments that are so old that fewer are enough. Returns how many."""
    gone = too_many(Snapshot.objects.filter(at__lt=now).values_list("pk", "at"), now)
    Snapshot.objects.filter(pk__in=gone).delete()
    return len(gone)


def shown() -> tuple[Snapshot | None, dict[str, Shown]]:
    """The latest snapshot, by part."""
    last = Snapshot.objects.first()
    kept = last.parts if last is not None else {}
    return last, {
        name: Shown(datetime.fromisoformat(part["at"]), part["ms"], part["is"]) for name, part in kept.items()
    }
