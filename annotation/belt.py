"""Keeps the workers fed. Every stage is a query for rows that have its input and lack its output.

Only a few batches are in flight at a time, each claimed by its rows for a while. So the queue stays short
however large the corpus, a lost message costs no more than its claim's time, and no row is done twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation.core.batches import batched
from annotation.models import Claim, ClusteringRun, Embedding, Face, Intake, Membership, Photo, Release, Thought
from inference.models import ModelVersion

CLAIM = timedelta(minutes=10)  # a batch takes seconds; a worker that was killed holds its rows no longer than this


@dataclass(frozen=True)
class Stage:
    """A step of the data's way that works on one row at a time."""

    due: Callable[[], QuerySet[Any]]
    send: Callable[[list[int]], object]  # None where the queue does not answer, as a task's `delay` has it
    batch: int


def feed(stage: Stage, *, now: datetime | None = None) -> int:
    """Send as many batches as there is room for; returns how many rows that were."""
    now = now or timezone.now()
    with transaction.atomic():
        in_flight = stage.due().filter(claimed_until__gt=now).count()
        room = settings.BATCHES_IN_FLIGHT * stage.batch - in_flight
        if room < stage.batch:
            return 0
        free = stage.due().filter(Q(claimed_until=None) | Q(claimed_until__lte=now))
        ids = list(
            free.select_for_update(skip_locked=True, of=("self",)).order_by("pk").values_list("pk", flat=True)[:room]
        )
        if in_flight:
            ids = ids[: len(ids) // stage.batch * stage.batch]  # a small batch goes out only when nothing else does
        if not ids:
            return 0
        rows = stage.due().model._default_manager
        rows.filter(pk__in=ids).update(claimed_until=now + CLAIM)
        for batch in batched(ids, stage.batch):
            transaction.on_commit(lambda batch=batch: _send(stage, rows.filter(pk__in=batch), batch, now + CLAIM))  # type: ignore[misc]
    return len(ids)


def _send(stage: Stage, rows: QuerySet[Any], ids: list[int], until: datetime) -> None:
    """What the queue does not take is free for the next sweep, and does not wait for its claim to run out."""
    if stage.send(ids) is None:
        rows.filter(claimed_until=until).update(claimed_until=None)


def photos_due() -> QuerySet[Photo]:
    return Photo.objects.without_faces_sought()


def faces_due(version: ModelVersion) -> QuerySet[Face]:
    return Face.objects.without_vector(version).filter(failure="")


def intakes_due(now: datetime) -> QuerySet[Intake]:
    """Deliveries that wait, or whose worker has not been heard of."""
    unfinished = Intake.objects.filter(state__in=[Intake.State.WAITING, Intake.State.RUNNING])
    return unfinished.exclude(kind=Intake.Kind.UPLOAD).filter(Q(claimed_until=None) | Q(claimed_until__lte=now))


def releases_due(now: datetime) -> QuerySet[Release]:
    """Releases that wait, or whose worker has not been heard of; the oldest first."""
    unfinished = Release.objects.filter(state__in=[Release.State.WAITING, Release.State.BUILDING])
    return unfinished.filter(Q(claimed_until=None) | Q(claimed_until__lte=now)).order_by("pk")


def drained(version: ModelVersion) -> bool:
    """Nothing is on its way to becoming a vector."""
    arriving = Intake.objects.filter(state__in=[Intake.State.WAITING, Intake.State.RUNNING]).exclude(
        kind=Intake.Kind.UPLOAD
    )
    return not (arriving.exists() or photos_due().exists() or faces_due(version).exists())


def ungrouped(version: ModelVersion, run: ClusteringRun | None) -> QuerySet[Embedding]:
    """Vectors of faces that are in no cluster of the run and that nobody called not a face."""
    vectors = Embedding.objects.filter(version=version).exclude(face__label__verdict="not_a_face")
    if run is None:
        return vectors
    return vectors.exclude(face__in=Membership.objects.filter(run=run).values("face"))


def claim(name: str, length: timedelta, now: datetime | None = None) -> datetime | None:
    """Take work in hand that one worker at a time does. Returns until when; none while somebody else has it."""
    now = now or timezone.now()
    Claim.objects.get_or_create(name=name, defaults={"until": now})
    taken = Claim.objects.filter(name=name, until__lte=now).update(until=now + length)
    return now + length if taken else None


def claimed(name: str, now: datetime) -> bool:
    return Claim.objects.filter(name=name, until__gt=now).exists()


def let_go(name: str, until: datetime) -> None:
    """Whoever took longer than their claim leaves that of the next one alone."""
    Claim.objects.filter(name=name, until=until).delete()


def release_all_claims() -> None:
    """For the start of the only set of workers: whatever an earlier one held, it holds no more."""
    Claim.objects.all().delete()
    for model in (Photo, Face, Intake, Release):
        model._default_manager.filter(claimed_until__isnull=False).update(claimed_until=None)
    Thought.objects.update(claimed_until=None)
    ClusteringRun.objects.filter(state=ClusteringRun.State.RUNNING).update(
        state=ClusteringRun.State.FAILED, error="Stopped before it was done.", finished_at=timezone.now()
    )
