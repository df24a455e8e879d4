"""Legal holds: what may not be erased, whoever asks, until an admin lifts it."""

from collections.abc import Iterable
from datetime import date

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation import audit
from annotation.errors import BadErasure, HeldBack
from annotation.models import Decision, Face, Identity, LegalHold, Photo, Source, User
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
    """Those of these photos that a hold keeps: on itself, a source that it came from, a person whom it shows, or did
    when the hold was placed or later."""
    holds = standing()
    shown = Face.objects.filter(photo=OuterRef("pk")).filter(
        Q(label__identity__in=_of("identity")) | Q(label__identity__absorbed__in=_of("identity"))
    )
    kept = (
        Q(pk__in=holds.filter(photo__isnull=False).values("photo"))
        | Q(source__in=_of("source"))
        | Q(copies__source__in=_of("source"))
        | Q(Exists(shown))
    )
    for hold in holds.filter(identity__isnull=False):
        kept |= _said_to_show(hold)
    return photos.filter(kept).distinct()


def _said_to_show(hold: LegalHold) -> Q:
    """Of a photo: that a face of it was said to be this person's at some time since the hold was placed.

    So nobody takes a face out of a hold by splitting it off. What was corrected before is not held.
    """
    by_then = Decision.objects.filter(at__lte=hold.at)
    otherwise = by_then.filter(face=OuterRef("face"), kind__in=Decision.OF_FACES, pk__gt=OuterRef("pk"))
    said = Decision.objects.filter(
        Q(identity=hold.identity_id) | Q(identity__merged_into=hold.identity_id),
        ~Exists(otherwise),
        ~Exists(by_then.filter(undoes=OuterRef("pk"))),
        kind=Decision.Kind.LABEL,
        face__photo=OuterRef("pk"),
    )
    return Q(Exists(said))


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
    itself = Photo.objects.filter(pk=photo)
    of_people = standing().filter(identity__isnull=False)
    said = [hold.pk for hold in of_people if itself.filter(_said_to_show(hold)).exists()]
    return (
        standing()
        .filter(
            Q(photo=photo)
            | Q(source__photos=photo)
            | Q(source__copies__photo=photo)
            | Q(identity__in=people)
            | Q(identity__merged_into__in=people)
            | Q(pk__in=said)
        )
        .distinct()
        .select_related("by")
    )


def _told(hold: LegalHold) -> str:
    until = f" until {hold.until}" if hold.until else ""
    return f"{hold} (by {hold.by.username}{until}: {hold.because})"
