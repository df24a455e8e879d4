"""When it is worth training again: a rule over what is known, and nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Why = Literal["labels", "coverage", "schedule"]

FEWEST = (
    200  # labels to learn from at all: a test part of a tenth then tells two models apart by no less than ten points
)
LITTLE = 0.05  # of the labels before: fewer new ones are no growth


@dataclass(frozen=True)
class Rule:
    labels: int  # so many new ones are enough
    growth: float  # or such a share of those before
    coverage: float  # the share of proposals that certificates should accept
    days: int  # after so many it is time again; 0: never
    cooldown: timedelta  # since the last training, whatever became of it


@dataclass(frozen=True)
class Seen:
    """What is known of one task."""

    now: datetime
    labels: int  # by people and records
    new: int  # of them, since the release that was last learnt from; all of them if there is none
    last: datetime | None  # the end of the last training, or of the attempt at one
    under_way: bool  # one is planned, waits or runs
    coverage: float | None  # the share of proposals that certificates accept; None where they cannot


def why_train(seen: Seen, rule: Rule) -> Why | None:
    """The reason to train now, or None."""
    if seen.under_way or seen.labels < FEWEST:
        return None
    if seen.last is not None and seen.now < seen.last + rule.cooldown:
        return None
    before = seen.labels - seen.new
    grew = seen.new >= max(LITTLE * before, 1)
    if seen.new >= rule.labels or (before > 0 and grew and seen.new >= rule.growth * before):
        return "labels"
    if grew and seen.coverage is not None and seen.coverage < rule.coverage:
        return "coverage"
    due = seen.last is None or seen.now >= seen.last + timedelta(days=rule.days)
    return "schedule" if rule.days and due and seen.new else None
