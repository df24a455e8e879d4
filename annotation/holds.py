"""Legal holds: what may not be erased, whoever asks, until an admin lifts it."""

from collections.abc import Iterable
from datetime import date

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation import audit
from annotation.errors import BadErasure, HeldBack
from annotation.models import Face, Identity, LegalHold, Photo, Source, User
from annotation.turns import take_turn

SHOWN = 5
KINDS: dict[str, type[Source | Photo | Identity]] = {"source": Source, "photo": Photo, "person": Identity}


def about(kind: str, pk: int) -> Source | Photo | Identity:
    """What is to be held. Raises BadErasure."""
    found = KINDS[kind]._default_manager.filter(pk=pk).first()
    if found is None:
        raise BadErasure(f"There is no {kind} {pk}: it was erased before, or never was.", "id")
    return found


def standing(today: date | None = None) -> QuerySet[LegalHold]:
    """Those that were not lifted and whose day is not over."""
    today = today or timezone.now().date()
    return LegalHold.objects.filter(Q(until=None) | Q(until__gte=today), lifted_at=None)


@transaction.atomic
def place(*, on: Source | Photo | Identity, because: str, until: date | None = None, by: User) -> LegalHold:
    """Nothing of this is erased from now on. Raises BadErasure without a reason, or for a day that is over."""
    because = because.strip()
    if not because:
        raise BadErasure("A legal hold says why: the case, or who ordered it.", "because")
    if until is not None and until < timezone.now().date():
        raise BadErasure(f"{until} is over. Name a day to come, or none.", "until")
    hold = LegalHold(because=because[:300], until=until, by=by)
    if isinstance(on, Source):
        hold.source = on
    elif isinstance(on, Photo):
        hold.photo = on
    else:
        hold.identity = on.merged_into or on
    take_turn(shared=True)  # an erasure is before or after this
    if not type(on).objects.filter(pk=on.pk).exists():
        raise BadErasure("It was erased meanwhile: there is nothing to hold.", "on")
    hold.save()
    audit.write(audit.Action.HOLD, by=by, subject=str(hold).partition(" on ")[2], details={"hold": hold.pk})
    return hold


@transaction.atomic
def lift(*, hold: LegalHold, because: str, by: User) -> None:
    """What it held may be erased again. Raises BadErasure without a reason, or if it was lifted before."""
    because = because.strip()
    if not because:
        raise BadErasure("Say why the hold is lifted.", "because")
    if not LegalHold.objects.filter(pk=hold.pk, lifted_at=None).update(
        lifted_at=timezone.now(), lifted_by=by, lifted_because=because[:300]
    ):
        raise BadErasure(f"Hold {hold.pk} was lifted before.", "hold")
    audit.write(audit.Action.LIFT, by=by, subject=str(hold).partition(" on ")[2], details={"hold": hold.pk})


def held(photos: QuerySet[Photo]) -> QuerySet[Photo]:
    """Those of these photos that a hold keeps: on itself, a source that it came from, a person whom it shows."""
    holds = standing()
    shown = Face.objects.filter(photo=OuterRef("pk")).filter(
        Q(label__identity__in=_of("identity")) | Q(label__identity__absorbed__in=_of("identity"))
    )
    return photos.filter(
        Q(pk__in=holds.filter(photo__isnull=False).values("photo"))
        | Q(source__in=_of("source"))
        | Q(copies__source__in=_of("source"))
        | Exists(shown)
    ).distinct()


def _of(column: str) -> QuerySet[LegalHold, int]:
    return standing().filter(**{f"{column}__isnull": False}).values_list(column, flat=True)


def held_people() -> QuerySet[Identity, int]:
    """Whom a hold is on, and whoever is one with them."""
    people = Q(pk__in=_of("identity")) | Q(merged_into__in=_of("identity")) | Q(absorbed__in=_of("identity"))
    return Identity.objects.filter(people).values_list("pk", flat=True)


def require_none(photos: QuerySet[Photo], *, sources: Iterable[int] = (), people: Iterable[int] = ()) -> None:
    """Raises HeldBack if a hold keeps one of these."""
    named = standing().filter(
        Q(source__in=list(sources)) | Q(identity__in=list(people)) | Q(identity__merged_into__in=list(people))
    )
    keeping = [*named.select_related("by")[:SHOWN]]
    kept = held(photos).order_by("pk").values_list("pk", flat=True)
    first = list(kept[: SHOWN + 1])
    if not keeping and first:
        keeping = list(_keeping(first[0])[:SHOWN])
    if keeping or first:
        raise HeldBack([_told(hold) for hold in keeping], first)


def _keeping(photo: int) -> QuerySet[LegalHold]:
    people = Identity.objects.filter(labels__face__photo=photo)
    return (
        standing()
        .filter(
            Q(photo=photo)
            | Q(source__photos=photo)
            | Q(source__copies__photo=photo)
            | Q(identity__in=people)
            | Q(identity__merged_into__in=people)
        )
        .distinct()
        .select_related("by")
    )


def _told(hold: LegalHold) -> str:
    until = f" until {hold.until}" if hold.until else ""
    return f"{hold} (by {hold.by.username}{until}: {hold.because})"
