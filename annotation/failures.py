"""What failed, in one list, and the way to try it again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet

from annotation import clustering, sightings
from annotation.models import ClusteringRun, Face, Intake, Photo, Release, User

CHUNK = 500  # SQLite takes so many values in one query, and more


@dataclass(frozen=True)
class Kind:
    """One kind of thing that can fail: its rows, how one is told of, and how some of them are tried again."""

    rows: Callable[[], QuerySet[Any]]
    told: Callable[[Any], tuple[str, str]]  # its name, and why it failed
    again: Callable[[Collection[int], User], int]  # how many rows it was that go on; the sweep finds them then
    page: str  # the name of the page that shows it
    of_page: Callable[[Any], int] = attrgetter("pk")  # and whose id is in its address
    related: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    kind: str
    pk: int
    name: str
    error: str
    page: str
    of_page: int


def photos_again(keys: Collection[int], by: User) -> int:
    """Their faces are sought anew."""
    rows = Photo.objects.filter(pk__in=keys).exclude(failure="")
    return rows.update(failure="", faces_sought_at=None, claimed_until=None)


def faces_again(keys: Collection[int], by: User) -> int:
    """They are embedded, and looked at, anew."""
    return Face.objects.filter(pk__in=keys).exclude(failure="").update(failure="", claimed_until=None)


def intakes_again(keys: Collection[int], by: User) -> int:
    """They start over, and know by their hashes what they have taken in."""
    rows = Intake.objects.filter(pk__in=keys, state=Intake.State.FAILED)
    return rows.update(state=Intake.State.WAITING, error="", claimed_until=None, finished_at=None)


def releases_again(keys: Collection[int], by: User) -> int:
    """They are built from the start, as they were asked for."""
    rows = Release.objects.filter(pk__in=keys, state=Release.State.FAILED)
    return rows.update(state=Release.State.WAITING, error="", claimed_until=None, finished_at=None, written=0)


def runs_again(keys: Collection[int], by: User) -> int:
    """A run that failed stays so, as what it saw may have changed: another one is started."""
    if not ClusteringRun.objects.filter(pk__in=keys, state=ClusteringRun.State.FAILED).exists():
        return 0
    clustering.start_run(by=by)
    return 1


def failed_runs() -> QuerySet[ClusteringRun]:
    """The last run, if it failed: of earlier ones a later run has made good."""
    last = ClusteringRun.objects.order_by("-pk").values("pk")[:1]
    return ClusteringRun.objects.filter(pk__in=last, state=ClusteringRun.State.FAILED)


KINDS: Mapping[str, Kind] = {
    "intake": Kind(
        rows=lambda: Intake.objects.filter(state=Intake.State.FAILED),
        told=lambda row: (f"{row.source.name}: {row.path}", row.error),
        page="source",
        of_page=attrgetter("source_id"),
        again=intakes_again,
        related=("source",),
    ),
    "photo": Kind(
        rows=lambda: Photo.objects.exclude(failure=""),
        told=lambda row: (row.file, row.failure),
        page="photo",
        again=photos_again,
    ),
    "face": Kind(
        rows=lambda: Face.objects.exclude(failure="").defer("landmarks", "points"),
        told=lambda row: (str(row), row.failure),
        page="face",
        again=faces_again,
        related=("photo",),
    ),
    "run": Kind(rows=failed_runs, told=lambda row: (str(row.pk), row.error), page="run", again=runs_again),
    "release": Kind(
        rows=lambda: Release.objects.filter(state=Release.State.FAILED),
        told=lambda row: (row.name, row.error),
        page="release",
        again=releases_again,
    ),
}


def count(kinds: Mapping[str, Kind]) -> dict[str, int]:
    return {name: kind.rows().count() for name, kind in kinds.items()}


def listed(kinds: Mapping[str, Kind], most: int) -> list[Failure]:
    """The latest of each kind, so many at most. A photo is told of by its file, which may say who is on it."""
    found = [_failure(name, kind, row) for name, kind in kinds.items() for row in _rows(kind)[:most]]
    of = {name: [each.pk for each in found if each.kind == name] for name in ("photo", "face")}
    sightings.show(photos=of["photo"], faces=of["face"])
    return found


def _rows(kind: Kind) -> QuerySet[Any]:
    rows = kind.rows().order_by("-pk")
    return rows.select_related(*kind.related) if kind.related else rows


def _failure(name: str, kind: Kind, row: Any) -> Failure:
    told, error = kind.told(row)
    return Failure(kind=name, pk=row.pk, name=told, error=error, page=kind.page, of_page=kind.of_page(row))


def try_again(kinds: Mapping[str, Kind], name: str, key: int | None, by: User) -> int:
    """Let one thing, or all of its kind, go on. Returns how many do; what went on meanwhile is left alone.

    Raises KeyError for a kind that there is not.
    """
    kind = kinds[name]
    keys = list(kind.rows().order_by("pk").values_list("pk", flat=True)) if key is None else [key]
    return sum(kind.again(keys[start : start + CHUNK], by) for start in range(0, len(keys), CHUNK))
