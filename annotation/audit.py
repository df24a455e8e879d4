"""Who did what: a log that only grows, each line of it sealed by the hash of the line before.

A line is written where the thing is done, within its transaction: what is rolled back was not done and leaves none, and
what is answered is in the log before. Writing is one INSERT, and nobody waits for anybody: pages are read too often for
each reader to queue up for the end of a chain. So `seal` chains the lines afterwards, in the order of their ids, a
second to some seconds later: a worker does it all the time, and `verify` before it looks. What that order means: a line
stands after all lines that were sealed before it was committed.

What the chain proves: no sealed line was edited, removed, inserted or moved, unless all lines after it were made
anew. That, and the loss of its end, is shown by a hash that was written down elsewhere: each sealing tells the last
hash to the log of the process, an export ends with it, and `verify(head=…)` looks for it. What it does not prove: that
whoever can write to the database (past its triggers) did not remove a line in the seconds before it was sealed.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from annotation.models import AuditEvent, User
from annotation.turns import only_one_seals

log = logging.getLogger(__name__)

Action = AuditEvent.Action
BEFORE_THE_FIRST = "0" * 64
AT_ONCE = 1_000  # lines sealed in one transaction
READ = 2_000


@dataclass
class Origin:
    """What a request says of itself to each line that is written while it is answered."""

    request: str = ""
    token: int | None = None
    reader: Callable[[], User | None] = lambda: None  # who is signed in, for what no stage is told of


origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def write(action: str, *, by: User | None, subject: str = "", details: dict[str, Any] | None = None) -> AuditEvent:
    """Add a line. Ids only: no names of depicted people, nothing of a face, no secret.

    `subject` is what it was done to, as "face 12". Call it within the transaction of what is done. Raises ValueError
    for an action that AuditEvent does not name.
    """
    told = origin.get() or Origin()
    return AuditEvent.objects.create(
        action=Action(action),
        by=by,
        subject=subject,
        details=details or {},
        token=told.token,
        request=told.request,
    )


def spans(ids: Iterable[int]) -> list[list[int]]:
    """Many ids in few words: [first, last] of each stretch without a gap."""
    found: list[list[int]] = []
    for each in sorted(set(ids)):
        if found and each == found[-1][1] + 1:
            found[-1][1] = each
        else:
            found.append([each, each])
    return found


# ---- the chain


def seal() -> int:
    """Chain all lines that are not chained yet. Returns how many; 0 if somebody else is at it."""
    sealed = 0
    while count := _seal_some():
        sealed += count
        if count < AT_ONCE:
            break
    if sealed:
        number, last = head()
        log.info("The audit log is sealed up to line %d: %s", number, last)  # a copy of the head outside the database
    return sealed


@transaction.atomic
def _seal_some() -> int:
    if not only_one_seals():
        return 0
    last, previous = head()
    events = list(AuditEvent.objects.unsealed().order_by("pk")[:AT_ONCE])
    for number, event in enumerate(events, last + 1):
        event.number = number
        event.hash = previous = digest(previous, as_line(event))
    # Past the refusal of AuditEventQuerySet: this is the one change that there is.
    QuerySet[AuditEvent](AuditEvent).bulk_update(events, ["number", "hash"], batch_size=200)
    return len(events)


def head() -> tuple[int, str]:
    """The last sealed line: its number and hash. Written down elsewhere, it proves that nothing before it is gone."""
    last = AuditEvent.objects.exclude(number=None).order_by("-number").values_list("number", "hash").first()
    return (last[0] or 0, last[1]) if last else (0, BEFORE_THE_FIRST)


def as_line(event: AuditEvent) -> dict[str, Any]:
    """A line as it is exported."""
    return {
        "number": event.number,
        "id": event.pk,
        "at": event.at.astimezone(UTC).isoformat(timespec="microseconds"),
        "action": event.action,
        "by": event.by_id,
        "token": event.token,
        "request": event.request,
        "subject": event.subject,
        "details": event.details,
        "hash": event.hash,
    }


def digest(previous: str, line: dict[str, Any]) -> str:
    """SHA-256 of the hash before, a line feed, and the line without its own as JSON: keys sorted, no blanks, ASCII."""
    told = json.dumps({name: line[name] for name in line if name != "hash"}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{previous}\n{told}".encode()).hexdigest()


@dataclass(frozen=True)
class Verified:
    lines: int  # that are sealed, up to the first that is broken
    head: str  # the hash of the last of them
    broken: str  # what is wrong with the first that is; empty: nothing
    unsealed: int  # lines not chained yet, by whatever is writing at this moment

    @property
    def whole(self) -> bool:
        return not self.broken


def verify(*, head: str = "") -> Verified:
    """Look at every line. With `head`, a hash that was told earlier, it must be there: a lost end shows by that."""
    seal()
    rows = AuditEvent.objects.exclude(number=None).order_by("number").iterator(chunk_size=READ)
    checked = check((as_line(event) for event in rows), head=head)
    return Verified(*checked, unsealed=AuditEvent.objects.unsealed().count())


def check(lines: Iterable[dict[str, Any]], *, head: str = "") -> tuple[int, str, str]:
    """Of lines from the first on, in order: how many hold, the hash of the last of them, and what is wrong after it."""
    number, previous, wanted = 0, BEFORE_THE_FIRST, head.strip().lower()
    seen = not wanted or wanted == BEFORE_THE_FIRST
    for line in lines:
        if line["number"] != number + 1:
            return number, previous, f"Line {number + 1} is missing: line {line['number']} follows line {number}."
        if digest(previous, line) != line["hash"]:
            told = f"Line {number + 1} (id {line['id']}) is not what was sealed: it or its hash was changed."
            return number, previous, told
        number, previous = number + 1, line["hash"]
        seen = seen or previous == wanted
    told = "" if seen else f"No line has the hash {head}: lines were removed from the end, or all made anew."
    return number, previous, told


def lines(since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Sealed lines in their order, as they are exported."""
    rows = AuditEvent.objects.exclude(number=None)
    if since is not None:
        rows = rows.filter(at__gte=since)
    for event in rows.order_by("number").iterator(chunk_size=READ):
        yield as_line(event)
