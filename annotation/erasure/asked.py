"""What is asked for: it is there, nothing holds it, and the reason names nobody."""

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from annotation import audit, holds, tombstones
from annotation.core.batches import batched
from annotation.erasure.scope import faces_of, photos_of, with_absorbed
from annotation.errors import BadErasure
from annotation.models import Erasure, Face, Identity, Photo, Source, User

Kind, State = Erasure.Kind, Erasure.State
MOST = 10_000  # photos or faces that are named one by one
CHUNK = 500


def draft(
    *,
    kind: str,
    ids: Collection[int],
    reason: str = "",
    legal_reference: str = "",
    black_out: bool = False,
    by: User | None,
) -> Erasure:
    """An erasure as it would be asked for, not kept yet. Raises BadErasure for what there is not, HeldBack."""
    wanted = sorted(set(ids))
    if not wanted:
        raise BadErasure(f"No {kind} is named. Name at least one by its id.", "ids")
    if len(wanted) > MOST:
        raise BadErasure(f"{len(wanted):,} are named; at most {MOST:,} at a time.", "ids")
    if kind in (Kind.SOURCE, Kind.EXPIRY) and len(wanted) > 1:
        raise BadErasure("One source at a time.", "ids")
    if black_out and kind not in (Kind.FACE, Kind.PERSON):
        raise BadErasure("Only faces are blacked out: of a face, or of a person on photos of others.", "black_out")
    if kind == Kind.PERSON:
        wanted = with_absorbed(wanted)
    _require_there(kind, wanted)
    made = Erasure(
        kind=kind,
        ids=wanted,
        black_out=black_out,
        reason=reason.strip()[:500],
        legal_reference=legal_reference.strip()[:200],
        by=by,
    )
    if kind != Kind.EXPIRY:
        _require_not_held(made)
    return made


def request(*, reason: str, by: User, **asked: Any) -> Erasure:
    """Ask for an erasure; the belt carries it out. One that is under way for the same is returned as it is.

    Raises BadErasure, HeldBack.
    """
    made = draft(reason=reason, by=by, **asked)
    if not made.reason:
        raise BadErasure("Say why: the report tells it to whoever asks later.", "reason")
    _require_no_name(made)
    return keep(made)


def keep(made: Erasure) -> Erasure:
    under_way = Erasure.objects.filter(state__in=[State.WAITING, State.RUNNING], kind=made.kind)
    same = next((each for each in under_way if each.ids == made.ids), None)
    if same is None:
        with transaction.atomic():
            made.save()
            action = audit.Action.EXPIRE if made.kind == Kind.EXPIRY else audit.Action.ERASE
            audit.write(action, by=made.by, subject=made.subject[:100], details={"erasure": made.pk, "step": "asked"})
    return same or made


def _require_there(kind: str, ids: list[int]) -> None:
    tables: dict[str, Any] = {Kind.PHOTO: Photo, Kind.FACE: Face, Kind.PERSON: Identity}
    table = tables.get(kind, Source)
    there = set[int]()
    for chunk in batched(ids, CHUNK):
        there.update(table.objects.filter(pk__in=chunk).values_list("pk", flat=True))
    gone = [pk for pk in ids if pk not in there]
    if gone:
        word = "source" if table is Source else kind
        raise BadErasure(f"There is no {word} {gone[0]}: it was erased before, or never was.", "ids")


def _require_not_held(made: Erasure) -> None:
    ids = made.ids
    photos = photos_of(made)
    if made.kind in (Kind.FACE, Kind.PERSON):
        photos = Photo.objects.filter(Q(pk__in=photos.values("pk")) | Q(faces__in=faces_of(made).values("pk")))
    holds.require_none(
        photos,
        sources=ids if made.kind == Kind.SOURCE else (),
        people=ids if made.kind == Kind.PERSON else (),
    )


def _require_no_name(made: Erasure) -> None:
    """The reason outlives the person. Raises BadErasure if it names them."""
    if made.kind != Kind.PERSON:
        return
    told = f"{made.reason} {made.legal_reference}".casefold()
    for name in Identity.objects.filter(pk__in=made.ids).exclude(name="").values_list("name", flat=True):
        if len(name) >= 3 and name.casefold() in told:
            raise BadErasure("The reason names the person, and it is kept. Say it without the name.", "reason")


@transaction.atomic
def lift_tombstones(made: Erasure, *, by: User) -> int:
    """Let the photos of an erasure come back. Returns how many could not before."""
    made.erased_files.all().delete()
    at = timezone.now().isoformat(timespec="seconds")
    tombstones.write_down(
        [{"at": at, "what": "lifted", "key": key} for key in made.tombstones.values_list("key", flat=True)]
    )
    audit.write(audit.Action.ERASE, by=by, subject=made.subject[:100], details={"erasure": made.pk, "step": "lifted"})
    return made.tombstones.all().delete()[0]
