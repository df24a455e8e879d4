"""What the dashboard counts. Each part takes a few queries, none of which reads more than it must at a million faces.

Where no index holds what is counted, it is counted in stretches of rows: exact, and no query takes long.
"""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, F, Model, Q, QuerySet, Sum
from django.db.models.functions import Abs, Least
from django.utils import timezone

from annotation import live_settings, progress
from annotation.core.batches import batched
from annotation.core.datasets.entry import CANNOT_TELL
from annotation.core.pace import DAY, HOUR, WEEK
from annotation.core.sampling import face_key, in_control_slice
from annotation.models import (
    Answer,
    AttributeLabel,
    ClusteringRun,
    Copy,
    Face,
    Label,
    Membership,
    Photo,
    Proposal,
    Question,
    QuestionFace,
    Refusal,
    Release,
    Source,
)
from annotation.stretches import stretches
from inference.core.attributes import ATTRIBUTES
from inference.core.quality import LIMITS

IDENTITY = "identity"  # who somebody is, beside the attributes
QUESTIONS = 4_000  # of which a page has some tens of faces
CHUNK = 500
AT_MOST = 120_000  # ms of one answer that count as work: beyond, somebody had a break
SPANS = {"hour": HOUR, "day": DAY, "week": WEEK}
AGES = 5  # years a bar
LARGE = 10_000  # photos of a source that is counted in the background
SOURCES = 12  # that are told apart; those with fewer labels are one
OTHERS = ""  # what those are called in the data

# Where one bar of a histogram ends and the next begins. The first of sharpness and size, and the last of the turn, are
# the limits beyond which nobody is asked about a face.
EDGES: dict[str, tuple[str, tuple[float, ...]]] = {
    "sharpness": ("sharpness", (LIMITS.blurred, 25, 50, 100, 200, 400, 800, 1600)),
    "size": ("width", (LIMITS.smallest, 40, 60, 80, 120, 160, 240, 320, 640)),
    "brightness": ("brightness", (LIMITS.dark, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, LIMITS.bright)),
    "yaw": ("turned", (10, 20, 30, 40, LIMITS.yaw)),
    "pitch": ("nodded", (10, 20, 30, 40, LIMITS.pitch)),
}
REASONS = ("too small", "cut off", "too dark", "too bright", "blurred", "turned away")


@dataclass(frozen=True)
class Part:
    """Something that is counted now and then."""

    read: Callable[[], dict[str, Any]]
    every: timedelta


def counted(model: type[Model], *columns: str) -> Counter[Any]:
    """How many rows there are of each combination of these columns, which may lie in other tables."""
    found = Counter[Any]()
    for piece in stretches(model._default_manager.all()):
        for *values, count in piece.order_by().values_list(*columns).annotate(count=Count("pk")):
            found[tuple(values)] += count
    return found


def asked_about() -> list[str]:
    """The attributes that people are asked about here."""
    return [name for name in ATTRIBUTES if name in live_settings.get("ASKED")]


# ---- the funnel


def funnel() -> dict[str, Any]:
    """From photos to releases, all of it read from indexes."""
    found: dict[str, Any] = progress.funnel()
    run = ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).first()
    release = Release.objects.filter(state=Release.State.DONE).order_by("-pk").first()
    found |= {
        "looked_at": found["photos"] - Photo.objects.without_faces_sought().count(),
        "photos_failed": Photo.objects.exclude(failure="").count(),
        "faces_failed": Face.objects.exclude(failure="").count(),
        "not_a_face": Label.objects.filter(verdict=Label.Verdict.NOT_A_FACE).count(),
        "grouped": Membership.objects.filter(run=run).count() if run else 0,
        "answers": Answer.objects.count(),
        "released": release.counts.get("faces", 0) if release else 0,
        "releases": Release.objects.filter(state=Release.State.DONE).count(),
    }
    for name in ATTRIBUTES:
        found[f"proposed.{name}"] = Proposal.objects.filter(attribute=name).count()
        found[f"labelled.{name}"] = AttributeLabel.objects.filter(attribute=name).count()
    found["proposed"] = max(found[f"proposed.{name}"] for name in ATTRIBUTES)
    found["labelled"] = found["labels"] + sum(found[f"labelled.{name}"] for name in ATTRIBUTES)
    return found


# ---- the queue


def queue(now: datetime | None = None) -> dict[str, Any]:
    """What waits for people, by kind, and how much of it was settled lately."""
    now = now or timezone.now()
    waiting = Question.objects.filter(state=Question.State.OPEN)
    settled = Question.objects.filter(state=Question.State.SETTLED)
    return {
        "open": _by(waiting, "kind"),
        "old": waiting.filter(created_at__lt=now - DAY).exists(),
        "held": waiting.filter(leased_until__gt=now).count(),
        "verdicts": waiting.filter(purpose=Question.Purpose.VERDICT).count(),
        "settled": {name: _by(settled.filter(settled_at__gte=now - span), "kind") for name, span in SPANS.items()},
        "faces": {name or IDENTITY: count for name, count in _faces_asked().items()},
    }


def _by(rows: QuerySet[Any], column: str) -> dict[str, int]:
    return dict(rows.order_by().values_list(column).annotate(count=Count("pk")))


def _faces_asked() -> Counter[str]:
    """Faces that open questions show, by what is asked. A question about two people shows none."""
    found = Counter[str]()
    for piece in stretches(Question.objects.filter(state=Question.State.OPEN), QUESTIONS):
        shown = QuestionFace.objects.filter(question__in=piece)
        found.update(dict(shown.order_by().values_list("question__attribute").annotate(count=Count("pk"))))
    return found


# ---- what labels cost


def effort() -> dict[str, Any]:
    """Actions and time by what was asked about, the control slice apart; acts on pages are about who somebody is."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    timed = Q(elapsed_ms__isnull=False)
    names = ("actions", "ms", "timed")
    sums = {
        "all_actions": Sum("actions"),
        "all_ms": Sum(Least(F("elapsed_ms"), AT_MOST), filter=timed),
        "all_timed": Sum("actions", filter=timed),
    }
    for piece in stretches(Answer.objects.all()):
        for name, *told in piece.order_by().values_list("question__attribute").annotate(**sums):
            found[name or IDENTITY].update(dict(zip(names, (number or 0 for number in told), strict=True)))
    for name, labels, actions in _control():
        found[name].update(control_labels=labels, control_actions=actions)
    return dict(found)


def _control() -> Iterator[tuple[str, int, int]]:
    """By attribute: faces of the control slice that people have settled one by one, and the actions that this took.

    By the face and not by the purpose of its question, which changes when a second answer is asked for.
    """
    drawn = dict[int, str]()
    single = Question.objects.filter(kind=Question.Kind.VALUE, state=Question.State.SETTLED)
    for piece in stretches(single):
        shown = QuestionFace.objects.filter(question__in=piece).order_by()
        columns = ("question_id", "question__attribute", "face__photo__sha256", "face__number")
        for question, name, photo, number in shown.values_list(*columns):
            if in_control_slice(face_key(photo, number), live_settings.get("CONTROL_SHARE")):
                drawn[question] = name
    labels, actions = Counter[str](), Counter[str]()
    for chunk in batched(list(drawn), CHUNK):
        said = Answer.objects.filter(question__in=chunk).order_by().values_list("question_id")
        for question, took in said.annotate(took=Sum("actions")):
            labels[drawn[question]] += 1
            actions[drawn[question]] += took
    return ((name, labels[name], actions[name]) for name in labels)


# ---- what the labels are


def labels() -> dict[str, Any]:
    """Labels by who gave them, by value and source, and ages by source; years in bars of AGES."""
    by: dict[str, Counter[str]] = defaultdict(Counter)
    values: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    named = dict(Source.objects.values_list("pk", "name"))
    columns = ("attribute", "value", "decision__by", "face__photo__source")
    for (attribute, value, who, source), count in counted(AttributeLabel, *columns).items():
        if attribute not in ATTRIBUTES:
            continue
        by[attribute][who] += count
        if ATTRIBUTES[attribute].in_years and value != CANNOT_TELL:
            value = str(int(float(value)) // AGES * AGES)
        values[attribute][named.get(source, OTHERS)][value] += count
    for (verdict, who), count in counted(Label, "verdict", "decision__by").items():
        if verdict == Label.Verdict.IDENTITY:
            by[IDENTITY][who] += count
    return {"by": dict(by), "values": {name: _largest(sources) for name, sources in values.items()}}


def _largest(sources: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    """The sources with the most labels, and all others as one."""
    ordered = sorted(sources, key=lambda name: -sources[name].total())
    found = {name: dict(sources[name]) for name in ordered[:SOURCES]}
    if ordered[SOURCES:]:
        found[OTHERS] = dict(sum((sources[name] for name in ordered[SOURCES:]), Counter[str]()))
    return found


# ---- how good the faces are


def quality() -> dict[str, Any]:
    """Histograms of what was measured of each face, and why some are not asked about."""
    found = Counter[str]()
    wanted = {
        f"{name}.{number}": Count("pk", filter=_between(column, edges, number))
        for name, (column, edges) in EDGES.items()
        for number in range(len(edges) + 1)
    }
    wanted |= {f"because.{reason}": Count("pk", filter=Q(unusable_because__startswith=reason)) for reason in REASONS}
    for flag in ("gray", "truncated", "usable", "chosen"):
        wanted[flag] = Count("pk", filter=Q(**{flag: True}))
    wanted |= {"faces": Count("pk"), "duplicates": Count("duplicate_of")}
    names = {f"n{number}": name for number, name in enumerate(wanted)}  # as the database bears no points in them
    aggregates = {short: wanted[name] for short, name in names.items()}
    for piece in stretches(Face.objects.all()):
        turned = piece.annotate(turned=Abs("yaw"), nodded=Abs("pitch"))
        found.update({names[short]: number for short, number in turned.aggregate(**aggregates).items()})
    return dict(found)


def _between(column: str, edges: tuple[float, ...], number: int) -> Q:
    wanted = Q()
    if number > 0:
        wanted &= Q(**{f"{column}__gte": edges[number - 1]})
    if number < len(edges):
        wanted &= Q(**{f"{column}__lt": edges[number]})
    return wanted


# ---- the disk


def files() -> dict[str, Any]:
    """Bytes by folder of what this installation keeps. A million photos are a few million files: some seconds."""
    own = {"releases": Path(settings.RELEASES_DIR), "models": Path(settings.MODELS_DIR)}
    places = {path.name: path for path in sorted(Path(settings.MEDIA_ROOT).iterdir()) if path.is_dir()}
    places |= own | {"queue": Path(settings.QUEUE_DIR), "logs": Path(settings.DATA_DIR) / "logs"}
    kept = {path.resolve() for path in places.values()}
    return {name: size(path, but=kept - {path.resolve()}) for name, path in places.items()}


def size(folder: Path, but: set[Path] = frozenset()) -> int:  # type: ignore[assignment]
    """Bytes of all files in it; what is gone while one looks counts nothing, nor does what is counted elsewhere."""
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += 0 if Path(entry.path) in but else size(Path(entry.path), but)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        return total
    return total


def database_bytes() -> int | None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_database_size(current_database())")
        else:
            cursor.execute("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")
        row = cursor.fetchone()
    return int(row[0]) if row else None


def disks() -> list[dict[str, Any]]:
    """The disks that data and files lie on: one, where both lie on the same."""
    found = dict[int, dict[str, Any]]()
    for folder in (Path(settings.DATA_DIR), Path(settings.MEDIA_ROOT), Path(settings.RELEASES_DIR)):
        try:
            device, usage = folder.stat().st_dev, shutil.disk_usage(folder)
        except OSError:
            continue
        found.setdefault(device, {"folder": str(folder), "total": usage.total, "free": usage.free})
    return list(found.values())


# ---- sources


def sources() -> dict[str, Any]:
    """What came of each source with so many photos that counting takes a while, piece by piece."""
    photos = counted(Photo, "source")
    counts = {pk: {"photos": count} for (pk,), count in photos.items() if count > LARGE}
    if not counts:
        return {}
    labels = counted(Label, "face__photo__source", "verdict")
    rows = {
        "copies": counted(Copy, "source"),
        "refusals": counted(Refusal, "source"),
        "faces": counted(Face, "photo__source"),
        "labels": {(pk,): count for (pk, verdict), count in labels.items() if verdict == Label.Verdict.IDENTITY},
    }
    return {str(pk): told | {name: of[pk,] for name, of in rows.items() if (pk,) in of} for pk, told in counts.items()}


def of_sources(of: Collection[int]) -> dict[int, dict[str, int]]:
    """What came of each of these sources, counted now."""
    chosen, labels = Source.objects.filter(pk__in=of), Label.objects.filter(verdict=Label.Verdict.IDENTITY)
    columns: dict[str, QuerySet[Any]] = {
        "photos": chosen.values_list("pk").annotate(count=Count("photos")),
        "copies": chosen.values_list("pk").annotate(count=Count("copies")),
        "refusals": chosen.values_list("pk").annotate(count=Count("refusals")),
        "faces": Face.objects.filter(photo__source__in=of).values_list("photo__source").annotate(count=Count("pk")),
        "labels": labels.filter(face__photo__source__in=of)
        .values_list("face__photo__source")
        .annotate(count=Count("pk")),
    }
    counts: dict[int, dict[str, int]] = {pk: {} for pk in of}
    for column, rows in columns.items():
        for pk, count in rows.order_by():
            counts[pk][column] = count
    return counts


PARTS: dict[str, Part] = {
    "funnel": Part(funnel, timedelta(seconds=15)),
    "queue": Part(queue, timedelta(seconds=15)),
    "effort": Part(effort, timedelta(seconds=30)),
    "labels": Part(labels, timedelta(seconds=30)),
    "quality": Part(quality, timedelta(minutes=1)),
    "sources": Part(sources, timedelta(minutes=1)),
    "database": Part(lambda: {"bytes": database_bytes()}, timedelta(minutes=5)),
    "files": Part(files, timedelta(hours=1)),
}
