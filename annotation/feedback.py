"""Corrections by clients in, questions out: never a label by itself, and whoever is asked is not told the claim."""

import hashlib
from collections.abc import Mapping

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from annotation import intake, questions
from annotation.errors import BadFeedback, SourceExists
from annotation.models import Face, Feedback, Label, Photo, Question, Source, User
from annotation.turns import take_turn
from inference.core import attributes as registry
from inference.core.types import Box

SOURCE = "Feedback"  # its photos' rights are not stated until a curator does: worked on, but not released
IDENTITY = "identity"
WORTH = 50.0  # before all that the machine asks of itself (a page is worth 24 at most), after what curators want
SAME_PLACE = 0.3  # intersection over union of the client's box and a face's
AT_ONCE = 500

Shares = Mapping[str, float]  # x, y, width, height of a box, as shares of the photo


def give(
    *, photo: bytes, attribute: str, claimed: str, box: Shares | None, predicted: Mapping[str, object], by: User
) -> Feedback:
    """Keep a photo and what a client says of one of its faces; the question follows as soon as the face is found.

    A photo that is here already is not kept twice, and stays in its source. Raises BadFeedback, also for a photo that
    intake refuses.
    """
    _require_sense(attribute, claimed)
    name = hashlib.sha256(photo).hexdigest()
    taken = intake.take_upload(source=_source(by), name=name, data=photo, by=by)
    if taken.photo is None:
        assert taken.refusal is not None
        raise BadFeedback(taken.refusal.code, taken.refusal.reason, "photo")
    with transaction.atomic():
        take_turn(shared=True)  # an erasure is before or after this
        if not Photo.objects.filter(pk=taken.photo.pk).exists():
            raise BadFeedback("erased", intake.ERASED, "photo")
        given = Feedback.objects.create(
            photo=taken.photo, box=box, attribute=attribute, claimed=claimed, predicted=dict(predicted), by=by
        )
    _ask(given)
    return given


def _require_sense(attribute: str, claimed: str) -> None:
    if attribute == IDENTITY:
        return
    try:
        about = registry.attribute(attribute)
    except registry.UnknownAttribute as error:
        raise BadFeedback("unknown_attribute", f"{error} Or say {IDENTITY!r}.", "attribute") from error
    if not about.asked:
        message = (
            f"Nobody is asked about {attribute}: it follows from dates. Take the photo in with them in a manifest."
        )
        raise BadFeedback("never_asked", message, "attribute")
    if claimed in ("not_a_face", "cannot_tell") or claimed in about.values:
        return
    if not (about.in_years and claimed.isascii() and claimed.isdecimal() and int(claimed) <= registry.OLDEST):
        known = f"whole years from 0 to {registry.OLDEST}" if about.in_years else ", ".join(about.values)
        raise BadFeedback("unknown_value", f"{claimed!r} is no {attribute}. Known: {known}, not_a_face.", "value")


def _source(by: User) -> Source:
    source = Source.objects.filter(name=SOURCE).first()
    try:
        return source or intake.create_source(name=SOURCE, by=by)
    except SourceExists:  # somebody else's feedback came at the same moment
        return Source.objects.get(name=SOURCE)


def ask_waiting() -> int:
    """Ask about faces that were found since, and about people whose page came since. Returns how many were asked."""
    waiting = Feedback.objects.filter(state=Feedback.State.WAITING, photo__faces_sought_at__isnull=False)
    # Who somebody is may have no page for long, and must not stand before all others meanwhile.
    page = Question.objects.filter(kind=Question.Kind.CLUSTER, state=Question.State.OPEN, shown__face=OuterRef("face"))
    waiting = waiting.filter(~Q(attribute=IDENTITY) | Q(face=None) | Exists(page))
    return sum(_ask(each) for each in waiting.select_related("photo").order_by("pk")[:AT_ONCE])


@transaction.atomic
def _ask(given: Feedback) -> bool:
    take_turn(shared=True)
    if not Feedback.objects.filter(pk=given.pk).exists():
        return False  # erased meanwhile
    photo = Photo.objects.get(pk=given.photo_id)
    if photo.faces_sought_at is None:
        return False
    face = given.face or _face(photo, given.box)
    if face is None:
        return _close(given, None, "No face was found in the photo, or none where the client saw one.")
    face = face.duplicate_of or face
    if not face.usable:
        return _close(given, face, f"The face cannot be asked about: {face.unusable_because}.")
    if given.attribute == IDENTITY:
        return _ask_who(given, face)
    questions.ask_single(given.attribute, [face.pk], Question.Purpose.WANTED, worth=WORTH)
    asked = Question.objects.filter(
        kind=Question.Kind.VALUE, attribute=given.attribute, state=Question.State.OPEN, shown__face=face
    ).exclude(purpose=Question.Purpose.GOLD)
    return _close(given, face, "", asked.first())


def _ask_who(given: Feedback, face: Face) -> bool:
    """Who somebody is, is asked a page at a time: the page with this face comes forward, or is waited for."""
    if Label.objects.filter(face=face).exclude(verdict=Label.Verdict.CANNOT_TELL).exists():
        return _close(given, face, "Somebody has said who this is. Curators find this on the face's page.")
    page = Question.objects.filter(kind=Question.Kind.CLUSTER, state=Question.State.OPEN, shown__face=face).first()
    if page is None:
        Feedback.objects.filter(pk=given.pk).update(face=face)
        return False
    Question.objects.filter(pk=page.pk, worth__lt=WORTH).update(worth=WORTH)
    return _close(given, face, "", page)


def _close(given: Feedback, face: Face | None, reason: str, question: Question | None = None) -> bool:
    given.face, given.reason, given.question = face, reason[:300], question
    given.state = Feedback.State.NOTHING if reason else Feedback.State.ASKED
    given.save(update_fields=["face", "reason", "question", "state"])
    return not reason


def _face(photo: Photo, shares: Shares | None) -> Face | None:
    faces = list(photo.faces.select_related("duplicate_of"))
    if shares is None:
        return next((face for face in faces if face.chosen), None)
    seen = Box(
        shares["x"] * photo.width,
        shares["y"] * photo.height,
        shares["width"] * photo.width,
        shares["height"] * photo.height,
    )
    overlaps = [(seen.iou(Box(face.x, face.y, face.width, face.height)), face) for face in faces]
    overlap, face = max(overlaps, key=lambda pair: pair[0], default=(0.0, None))
    return face if overlap >= SAME_PLACE else None
