"""What an erasure is about and that is still there: what is left to do is a query."""

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation import holds
from annotation.models import Copy, Erasure, Face, Identity, Photo

Kind = Erasure.Kind


def photos_of(made: Erasure) -> QuerySet[Photo]:
    """The photos that go wholly, or from this source."""
    if made.kind == Kind.PHOTO:
        return Photo.objects.filter(pk__in=made.ids)
    if made.kind == Kind.SOURCE:
        return Photo.objects.filter(source__in=made.ids)
    if made.kind == Kind.EXPIRY:
        of_source = Photo.objects.filter(source__in=made.ids)
        return of_source.exclude(pk__in=holds.held(of_source).values("pk"))
    if made.kind == Kind.PERSON:
        shown = Photo.objects.filter(Exists(theirs(made).filter(photo=OuterRef("pk"))))
        if not made.black_out:
            return shown
        others = Face.objects.filter(photo=OuterRef("pk")).exclude(pk__in=theirs(made).values("pk"))
        return shown.exclude(Exists(others))
    return Photo.objects.none()


def count(made: Erasure) -> int:
    """Photos, and faces of photos that stay."""
    return photos_of(made).count() + faces_of(made).count()


def copies_of(made: Erasure) -> QuerySet[Copy]:
    """Under which other names this source brought photos; of a photo that is held nothing goes by itself."""
    copies = Copy.objects.filter(source__in=made.ids if made.kind in (Kind.SOURCE, Kind.EXPIRY) else [])
    if made.kind == Kind.EXPIRY:
        photos = Photo.objects.filter(copies__source__in=made.ids)
        return copies.exclude(photo__in=holds.held(photos).values("pk"))
    return copies


def faces_of(made: Erasure) -> QuerySet[Face]:
    """The faces that go from photos that stay."""
    if made.kind == Kind.FACE:
        return Face.objects.filter(pk__in=made.ids)
    if made.kind == Kind.PERSON and made.black_out:
        return theirs(made)
    return Face.objects.none()


def theirs(made: Erasure) -> QuerySet[Face]:
    """Whoever is labelled as this person, also where they were merged into somebody since they were asked about."""
    return Face.objects.filter(Q(label__identity__in=made.ids) | Q(label__decision__identity__in=made.ids))


def with_absorbed(people: list[int]) -> list[int]:
    """These as they are after all merges, and all who are one with them."""
    top = {into or pk for pk, into in Identity.objects.filter(pk__in=people).values_list("pk", "merged_into_id")}
    found = Identity.objects.filter(Q(pk__in=top) | Q(merged_into__in=top))
    return sorted({*found.values_list("pk", flat=True), *people})
