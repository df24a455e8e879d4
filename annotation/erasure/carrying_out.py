"""An erasure from its beginning to its signed report; stopped anywhere, it goes on where it was."""

import logging
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.dispatch import Signal
from django.utils import timezone

from annotation import audit, gallery, holds
from annotation.erasure.files import deliveries_of, drop_deliveries, overwrite, remove_files
from annotation.erasure.leftovers import drop_what_names_nobody
from annotation.erasure.piece import Piece, write_down
from annotation.erasure.pieces import erase_piece
from annotation.erasure.report import report_of, signature
from annotation.erasure.rows import delete, forget_names_of, forget_people
from annotation.erasure.scope import copies_of, count, faces_of, photos_of
from annotation.errors import BadErasure, HeldBack
from annotation.models import Erasure, Identity, Intake, KeptAnswer, Photo, Refusal, Source
from annotation.turns import beginning_again, take_turn
from inference.core.images import PictureRefused

log = logging.getLogger(__name__)

Kind, State = Erasure.Kind, Erasure.State
PIECE = 50  # photos a transaction: a second or so in which nobody labels
CLAIM = timedelta(minutes=10)
TIMES = 5  # that a piece is begun again

# Sent once the rows are gone; whoever keeps something made from them drops it, and says what that was.
erased = Signal()


def due(now: datetime) -> QuerySet[Erasure]:
    """Erasures that wait, or whose worker has not been heard of."""
    unfinished = Erasure.objects.filter(state__in=[State.WAITING, State.RUNNING])
    return unfinished.filter(Q(claimed_until=None) | Q(claimed_until__lte=now)).order_by("pk")


def carry_out(
    erasure_id: int,
    *,
    now: datetime | None = None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> Erasure | None:
    """Erase until nothing is left; somebody else at it is enough. Stopped half-way, it goes on where it was."""
    now = now or timezone.now()
    if not due(now).filter(pk=erasure_id).update(state=State.RUNNING, claimed_until=now + CLAIM, error=""):
        return None
    made = Erasure.objects.get(pk=erasure_id)
    try:
        if made.total is None:
            made.total = count(made)
            Erasure.objects.filter(pk=made.pk).update(total=made.total)
        _stop_intakes(made)
        ended, deliveries = False, set[str]()
        while not ended:  # somebody may have labelled another photo, or taken one in, since the last was erased
            while _next(made) is not None:
                remove_files(made)
                _renew(made)
                on_progress(made.done, made.total or 0)
            deliveries |= deliveries_of(made.ids) if made.kind == Kind.SOURCE else set()
            ended = end_rows(made)
        _end(made, deliveries)
    except (HeldBack, OSError, PictureRefused) as error:
        log.warning("Erasure %s stopped: %s", made.pk, error)
        Erasure.objects.filter(pk=made.pk).update(
            state=State.FAILED, error=str(error) or type(error).__name__, claimed_until=None
        )
    made.refresh_from_db()
    return made


def _renew(made: Erasure) -> None:
    Erasure.objects.filter(pk=made.pk).update(claimed_until=timezone.now() + CLAIM)
    made.refresh_from_db()


def go_on(erasure: Erasure) -> None:
    """Let one that stopped go on, once what stopped it is out of the way. Raises BadErasure."""
    if not Erasure.objects.filter(pk=erasure.pk, state=State.FAILED).update(state=State.WAITING, error=""):
        raise BadErasure(f"Erasure {erasure.pk} is {erasure.state}: there is nothing to go on with.")


def _next(made: Erasure) -> Piece | None:
    photos = list(photos_of(made).order_by("pk").values_list("pk", flat=True)[:PIECE])
    faces = [] if photos else list(faces_of(made).order_by("photo", "pk").values_list("pk", "photo")[:PIECE])
    if not photos and not faces:
        return None
    if faces and made.black_out:
        faces = [row for row in faces if row[1] == faces[0][1]]  # one photo a time: it is encoded anew
    for _ in range(TIMES):
        try:
            return erase_piece(made, photos, [pk for pk, _ in faces])
        except IntegrityError as error:  # of whoever wrote about one of them meanwhile the row is seen now
            log.info("%s begins a piece again: %s", made, error)
    return erase_piece(made, photos, [pk for pk, _ in faces])


def _stop_intakes(made: Erasure) -> None:
    """Nothing more comes into a source that is being erased."""
    if made.kind == Kind.SOURCE:
        Intake.objects.filter(source__in=made.ids, state__in=[Intake.State.WAITING, Intake.State.RUNNING]).update(
            state=Intake.State.FAILED, error="Its source is being erased.", claimed_until=None
        )


def _end(made: Erasure, deliveries: Collection[str]) -> None:
    remove_files(made)
    _renew(made)
    extra: dict[str, int] = drop_deliveries(deliveries)
    extra["galleries"] = gallery.forget()
    for _, told in erased.send(sender=Erasure):
        extra.update(told)  # type: ignore[arg-type]
    counts = dict(made.counts) | {name: number for name, number in extra.items() if number}
    Erasure.objects.filter(pk=made.pk).update(counts=counts)
    _renew(made)
    database = overwrite(made.counts)
    _close(made, report_of(made, timezone.now()) | {"database": database})


@transaction.atomic
def _close(made: Erasure, report: dict[str, Any]) -> None:
    action = audit.Action.EXPIRE if made.kind == Kind.EXPIRY else audit.Action.ERASE
    details = {"erasure": made.pk, "step": "done", "rows": report["rows"], "files": report["files"]}
    audit.write(action, by=made.by, subject=made.subject[:100], details=details)
    Erasure.objects.filter(pk=made.pk).update(
        state=State.DONE,
        claimed_until=None,
        finished_at=datetime.fromisoformat(report["finished"]),
        report=report,
        signature=signature(report),
    )


@beginning_again
def end_rows(made: Erasure) -> bool:
    """What is left of a person or a source, and what names ids in passing. False if there are photos to erase again.

    Raises HeldBack.
    """
    piece = Piece()
    take_turn()
    if photos_of(made).exists() or faces_of(made).exists():
        return False
    # One that was placed since the last piece, or on somebody who has no photo, is no less a hold.
    holds.require_none(
        Photo.objects.none(),
        sources=made.ids if made.kind == Kind.SOURCE else (),
        people=made.ids if made.kind == Kind.PERSON else (),
    )
    if made.kind == Kind.PERSON:
        # Not those into whom they were merged since: a merge while they are erased makes nobody else one with them.
        theirs = Identity.objects.filter(Q(pk__in=made.ids) | Q(merged_into__in=made.ids))
        forget_people(sorted(theirs.values_list("pk", flat=True)), piece)
    if made.kind in (Kind.SOURCE, Kind.EXPIRY):
        delete(copies_of(made), piece)
        delete(Refusal.objects.filter(source__in=made.ids), piece)
        forget_names_of(made.ids, piece)
    if made.kind == Kind.SOURCE:
        delete(Intake.objects.filter(source__in=made.ids), piece)
        delete(Source.objects.filter(pk__in=made.ids), piece)
    drop_what_names_nobody(piece)
    delete(KeptAnswer.objects.exclude(status=None), piece)
    write_down(made, piece)
    return True
