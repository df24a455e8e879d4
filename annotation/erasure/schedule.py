"""What is kept longer than it may be is erased by itself, and what soon will be is told."""

from datetime import date, timedelta

from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from annotation import holds
from annotation.erasure.asked import keep
from annotation.erasure.scope import copies_of, photos_of
from annotation.models import Copy, Erasure, Photo, Source

Kind = Erasure.Kind
NOTICE = timedelta(days=30)  # before what a source's date will erase is told


def expired(today: date) -> QuerySet[Source]:
    """Sources whose day is over, with photos that nothing holds."""
    return Source.objects.filter(retention_until__lt=today).filter(
        Exists(Photo.objects.filter(source=OuterRef("pk"))) | Exists(Copy.objects.filter(source=OuterRef("pk")))
    )


def expire(today: date | None = None) -> list[Erasure]:
    """Ask for the erasure of what is kept longer than it may be; what is under a legal hold waits for its end."""
    today = today or timezone.now().date()
    asked = []
    for source in expired(today):
        if holds.standing(today).filter(source=source).exists():
            continue
        made = Erasure(kind=Kind.EXPIRY, ids=[source.pk], reason=f"Its retention ended on {source.retention_until}.")
        if photos_of(made).exists() or copies_of(made).exists():
            asked.append(keep(made))
    return asked


def expiring(today: date | None = None) -> QuerySet[Source]:
    """Sources with photos that the schedule erases within NOTICE, or would if no hold stood in the way."""
    today = today or timezone.now().date()
    held = Exists(Photo.objects.filter(source=OuterRef("pk")))
    near = Source.objects.filter(retention_until__isnull=False, retention_until__lt=today + NOTICE).filter(held)
    return near.annotate(photo_count=Count("photos")).order_by("retention_until", "name")
