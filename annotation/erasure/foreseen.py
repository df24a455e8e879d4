"""What an erasure would remove: of some photos all of it is done and taken back, of very many it is counted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from annotation.erasure.carrying_out import PIECE, end_rows
from annotation.erasure.piece import Piece
from annotation.erasure.pieces import erase_piece
from annotation.erasure.scope import count, faces_of, photos_of
from annotation.models import ClusteringRun, Copy, Decision, Erasure, Face, Label, Membership, Photo, Release

Kind = Erasure.Kind
EXACT = 500  # photos up to which a dry run does all of it and takes it back: seconds in which nobody labels


@dataclass(frozen=True)
class Foreseen:
    """What an erasure would remove, as a dry run counts it."""

    count: int  # photos, and faces of photos that stay
    exact: bool  # all of it was done and taken back; else only the main tables are counted
    rows: dict[str, int]
    files: int
    photos: list[int]  # the first of those that go
    handed_over: int  # photos that stay under another source
    releases: list[str]
    guessed: list[int]  # of a person: photos of faces that only the grouping takes for theirs; these stay
    duplicates: list[int]  # near-duplicates of what goes; these stay

    def as_json(self) -> dict[str, Any]:
        names = ("count", "exact", "rows", "files", "photos", "handed_over", "releases", "guessed", "duplicates")
        return {name: getattr(self, name) for name in names}


def dry_run(made: Erasure) -> Foreseen:
    """What it would remove. Of up to EXACT photos all is done and taken back, so the counts are what will be."""
    photos = photos_of(made)
    first = list(photos.order_by("pk").values_list("pk", flat=True)[:20])
    guessed = _guessed(made)
    twins = Photo.objects.filter(Q(duplicate_of__in=photos.values("pk")) | Q(duplicates__in=photos.values("pk")))
    duplicates = list(
        twins.exclude(pk__in=photos.values("pk")).order_by("pk").values_list("pk", flat=True).distinct()[:20]
    )
    foreseen = count(made)
    if foreseen > EXACT:
        return _roughly(made, first, guessed, duplicates)
    tried = _tried(made)
    named = list(Release.objects.filter(pk__in=tried.releases).order_by("pk").values_list("name", flat=True))
    return Foreseen(
        count=foreseen,
        exact=True,
        rows=dict(sorted((name, number) for name, number in tried.rows.items() if number)),
        files=sum(default_storage.exists(key) for key in tried.files),
        photos=first,
        handed_over=tried.rows.get("handed over", 0),
        releases=named,
        guessed=guessed,
        duplicates=duplicates,
    )


def _tried(made: Erasure) -> Piece:
    total = Piece()
    with transaction.atomic():
        kept = Erasure(kind=made.kind, ids=made.ids, reason="dry run", by=made.by)
        kept.save()
        for piece in _pieces(kept, black_out=made.black_out):
            total.rows += piece.rows
            total.releases += piece.releases
            total.files |= piece.files
        end_rows(kept)
        kept.refresh_from_db()
        total.rows = Counter(kept.counts)
        transaction.set_rollback(True)
    return total


def _pieces(kept: Erasure, *, black_out: bool) -> Iterator[Piece]:
    """Of a dry run, in which no picture is encoded anew: of who is blacked out the rows go as they would."""
    kept.black_out = black_out
    while True:
        photos = list(photos_of(kept).order_by("pk").values_list("pk", flat=True)[:PIECE])
        faces = [] if photos else list(faces_of(kept).order_by("pk").values_list("pk", flat=True)[:PIECE])
        if not photos and not faces:
            return
        kept.black_out = False
        yield erase_piece(kept, photos, faces, listed=False)
        kept.black_out = black_out


def _roughly(made: Erasure, first: list[int], guessed: list[int], duplicates: list[int]) -> Foreseen:
    photos, rows = photos_of(made), dict[str, int]()
    handed = 0
    if made.kind in (Kind.SOURCE, Kind.EXPIRY):
        others = Copy.objects.filter(photo=OuterRef("pk")).exclude(source__in=made.ids)
        handed = photos.filter(Exists(others)).count()
        photos = photos.exclude(Exists(others))
    faces = Face.objects.filter(photo__in=photos.values("pk"))
    rows["annotation.Photo"], rows["annotation.Face"] = photos.count(), faces.count()
    rows["annotation.Label"] = Label.objects.filter(face__in=faces.values("pk")).count()
    rows["annotation.Decision"] = Decision.objects.filter(face__in=faces.values("pk")).count()
    return Foreseen(
        count=count(made),
        exact=False,
        rows=rows,
        files=rows["annotation.Photo"] + rows["annotation.Face"],
        photos=first,
        handed_over=handed,
        releases=list(Release.objects.filter(state="done").order_by("pk").values_list("name", flat=True)),
        guessed=guessed,
        duplicates=duplicates,
    )


def _guessed(made: Erasure) -> list[int]:
    """Photos of faces that share a cluster with this person and that nobody has confirmed."""
    if made.kind != Kind.PERSON:
        return []
    members = Membership.objects.filter(
        run__state=ClusteringRun.State.APPLIED, cluster__identity__in=made.ids, face__label=None
    )
    photos = members.order_by("face__photo").values_list("face__photo", flat=True).distinct()
    return list(photos[:200])
