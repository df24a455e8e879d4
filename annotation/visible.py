"""What a person sees: everything, or only what came from the sources that an admin named.

Each list, each count and each look at one thing begins with a function of this module. Of somebody unrestricted it adds
no condition: their queries are what they would be if there were no restrictions at all.

A photo came from a source that received its bytes, first or again (`Copy`). Somebody who sees only the latter is told
of it what that source said: `as_received`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TypeVar

from django.db.models import Count, Exists, Model, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.models import (
    Answer,
    Copy,
    Decision,
    Face,
    FaceQuerySet,
    Identity,
    Label,
    Photo,
    PhotoQuerySet,
    Question,
    QuestionFace,
    Source,
    User,
)

Row = TypeVar("Row", bound=Model)
SOURCES_APART = 10  # of whoever sees no more of them each is looked through by itself
CAME_ALONG = ("set", "file", "born", "taken")  # of a line's evidence: what a photo's source said


# ---- conditions


def of(user: User, photo: str = "") -> Q:
    """That the photo at this path (of a photo itself: none) came from a source that this person sees."""
    if not user.restricted:
        return Q()
    again = user.came_again
    if again is not None:
        return _first_of(user, photo) | Q(**{f"{photo or 'pk'}__in": again})
    copied = Copy.objects.filter(photo=OuterRef(photo or "pk"), source__in=user.own_sources)
    return _first_of(user, photo) | Q(Exists(copied))


def told_by(user: User, photo: str = "") -> Q:
    """That this person may be told what came along with the photo: its term, dates, rights are of its first source."""
    return _first_of(user, photo) if user.restricted else Q()


def _first_of(user: User, photo: str) -> Q:
    return Q(**{f"{photo}__source__in" if photo else "source__in": user.own_sources})


def hidden(user: User, photo: str = "") -> Q:
    """That the photo at this path came from no source that this person, who is restricted, sees."""
    assert user.restricted, f"Nothing is hidden from {user}"
    return ~of(user, photo)


# ---- rows


def sources(user: User) -> QuerySet[Source]:
    return Source.objects.filter(pk__in=user.own_sources) if user.restricted else Source.objects.all()


def photos(user: User) -> PhotoQuerySet:
    return Photo.objects.filter(of(user))


def faces(user: User) -> FaceQuerySet:
    return Face.objects.filter(of(user, "photo"))


def labels(user: User) -> QuerySet[Label]:
    return Label.objects.filter(of(user, "face__photo"))


def identities(user: User) -> QuerySet[Identity]:
    """Those of whom a face is seen; of the unrestricted everybody, also who has no face any more."""
    everybody = Identity.objects.all()
    return everybody.filter(Exists(labels(user).filter(identity=OuterRef("pk")))) if user.restricted else everybody


def whole_identities(user: User) -> QuerySet[Identity]:
    """Those of whom every face is seen. What is said of a person holds for all of their faces: names, merges."""
    if not user.restricted:
        return Identity.objects.all()
    others = Label.objects.filter(hidden(user, "face__photo"), identity=OuterRef("pk"))
    return identities(user).filter(~Exists(others))


def questions(user: User) -> QuerySet[Question]:
    """Those of which every face is seen, and every face of whomever they are about."""
    if not user.restricted:
        return Question.objects.all()
    shown = QuestionFace.objects.filter(question=OuterRef("pk"))
    about = [_whole(user, name, may_be_bare=True) for name in ("cluster__identity", "identity", "other_identity")]
    faces_seen = Q(Exists(shown), ~Exists(shown.filter(hidden(user, "face__photo"))))
    both_seen = Q(kind=Question.Kind.PAIR) & _whole(user, "identity") & _whole(user, "other_identity")
    return Question.objects.filter(both_seen | (faces_seen & about[0] & about[1] & about[2]))


def may_be_asked(user: User) -> list[list[Q]]:
    """Which questions might be seen, in parts each of which a database finds by an index: `questions` tells for sure.

    First what came from one source, which is found at once; then what several brought. All that are seen are in one
    part or another, some in two.
    """
    if not user.restricted:
        return [[Q()]]
    own, pair = user.own_sources, Q(kind=Question.Kind.PAIR)
    of_one = [Q(source=pk) for pk in own] if len(own) <= SOURCES_APART else [Q(source__in=own)]
    shown = QuestionFace.objects.filter(question=OuterRef("pk"))
    # Two people may have lost all faces of a source since they were asked about, or be one with somebody else.
    people = [Label.objects.filter(identity=OuterRef(path)) for path in ("identity", "identity__merged_into")]
    of_several = [
        asked & Q(Exists(rows.filter(**{f"face__photo__{path}__in": own})))
        for asked, rows in ((Q(source=None) & ~pair, shown), *((pair, faces) for faces in people))
        for path in ("source", "copies__source")
    ]
    return [of_one, of_several]


def _person_at(path: str) -> Q:
    """That a label is of the person at this path of the row outside, as they are after all merges."""
    return Q(identity=OuterRef(path)) | Q(identity=OuterRef(f"{path}__merged_into"))


def _seen(user: User, path: str) -> Q:
    return Q(Exists(labels(user).filter(_person_at(path))))


def _whole(user: User, path: str, *, may_be_bare: bool = False) -> Q:
    """That every face of the person at this path is seen; and one there is, unless they may have none."""
    others = ~Exists(Label.objects.filter(hidden(user, "face__photo")).filter(_person_at(path)))
    return Q(others) if may_be_bare else _seen(user, path) & Q(others)


def decisions(user: User, *, to_undo: bool = False) -> QuerySet[Decision]:
    """Lines of the ledger that name no face and nobody who is not seen.

    Of whom a merge made one, every face has to be seen: who they were before is nobody's business else. With `to_undo`
    also of whom a line names or describes: it is said of all of their faces.
    """
    if not user.restricted:
        return Decision.objects.all()
    of_all = Q(kind=Decision.Kind.MERGE)
    if to_undo:
        of_all |= Q(kind=Decision.Kind.NAME) | Q(kind=Decision.Kind.VALUE, face=None)
    face_seen = Q(face=None) | of(user, "face__photo")
    people_seen = [_told_of(user, name, of_all) for name in ("identity", "other_identity")]
    return Decision.objects.filter(face_seen, *people_seen)


def _told_of(user: User, path: str, of_all: Q) -> Q:
    return Q(**{path: None}) | (_seen(user, path) & (~of_all | _whole(user, path)))


def answers(user: User, *, to_undo: bool = False) -> QuerySet[Answer]:
    """Answers and acts that are about nothing, and wrote nothing, that is not seen; of `to_undo` see `decisions`.

    An act that wrote no line (somebody wanted faces asked) tells of itself alone how many: it is shown to nobody
    restricted.
    """
    if not user.restricted:
        return Answer.objects.all()
    lines = Decision.objects.filter(answer=OuterRef("pk"))
    seen = decisions(user, to_undo=to_undo).filter(pk=OuterRef("pk"))
    asked = questions(user).filter(pk=OuterRef("question"))
    about = (Q(question=None) & Exists(lines)) | Exists(asked)
    return Answer.objects.filter(about, ~Exists(lines.filter(~Exists(seen))))


# ---- as they are told


def as_seen(user: User, rows: Sequence[Row]) -> Sequence[Row]:
    """The same rows, in place, telling nothing of what this person does not see. They are to be shown, never saved."""
    if user.restricted:
        kinds: dict[type[Model], list[Model]] = {}
        for row in rows:
            kinds.setdefault(type(row), []).append(row)
        _tell_people(user, kinds.get(Identity, []))  # type: ignore[arg-type]
        _tell_faces(user, kinds.get(Face, []))  # type: ignore[arg-type]
        _tell_photos(user, kinds.get(Photo, []))  # type: ignore[arg-type]
    return rows


def _tell_people(user: User, people: Sequence[Identity]) -> None:
    seen = labels(user).filter(identity__in=[each.pk for each in people]).order_by()
    counts = dict(seen.values_list("identity").annotate(count=Count("pk")))
    for person in people:
        person.face_count = counts.get(person.pk, 0)


def _tell_faces(user: User, shown: Sequence[Face]) -> None:
    wanted = {face.duplicate_of_id for face in shown if face.duplicate_of_id is not None}
    seen = set(faces(user).filter(pk__in=wanted).values_list("pk", flat=True)) if wanted else set()
    for face in shown:
        if face.duplicate_of_id not in seen:
            face.duplicate_of = None
    tell_evidence(user, [line for face in shown for line in _read_with(face)])
    _tell_photos(user, [face.photo for face in shown if "photo" in face._state.fields_cache])


def _read_with(face: Face) -> Iterator[Decision]:
    """The lines that were read along with a face: those that its labels rest on."""
    described = getattr(face, "_prefetched_objects_cache", {}).get("attribute_labels", ())
    for label in (face._state.fields_cache.get("label"), *described):
        if label is not None and "decision" in label._state.fields_cache:
            yield label.decision


def tell_evidence(user: User, lines: Collection[Decision]) -> None:
    """Lines of the ledger, in place: what came along with a photo of a source that is not seen is in none of them.

    A duplicate's label rests on a line about the photo that stands for it; a birth date may be of any photo.
    """
    if not user.restricted:
        return
    about = {line.face_id for line in lines if line.face_id is not None}
    own = set(Face.objects.filter(_first_of(user, "photo"), pk__in=about).values_list("pk", flat=True))
    for line in lines:
        if line.face_id not in own or "person" in line.evidence:
            line.evidence = {name: told for name, told in line.evidence.items() if name not in CAME_ALONG}


def _tell_photos(user: User, shown: Sequence[Photo]) -> None:
    wanted = {photo.duplicate_of_id for photo in shown if photo.duplicate_of_id is not None}
    seen = set(photos(user).filter(pk__in=wanted).values_list("pk", flat=True)) if wanted else set()
    for photo in shown:
        if photo.duplicate_of_id not in seen:
            photo.duplicate_of = None
    as_received(user, shown)


def as_received(user: User, shown: Iterable[Photo]) -> None:
    """Photos whose bytes came first from a source that is not seen tell what the one that is seen said of them.

    One whose seen source was erased since the photo was read tells nothing.
    """
    strange = [photo for photo in shown if photo.source_id not in user.own_sources]
    if not strange:
        return
    copies = Copy.objects.filter(photo__in={photo.pk for photo in strange}, source__in=user.own_sources)
    said = {copy.photo_id: copy for copy in copies.select_related("source").order_by("-pk")}  # the first one received
    for photo in strange:
        copy = said.get(photo.pk) or Copy(source=Source(pk=0), received_at=timezone.now())
        photo.source, photo.intake_id, photo.received_at = copy.source, copy.intake_id, copy.received_at
        photo.file, photo.query, photo.source_url = copy.file, copy.query, copy.source_url
        photo.licence = photo.name = photo.caption = photo.taken_at_precision = photo.birth_date_precision = ""
        photo.taken_at = photo.birth_date = photo.imported = None
        photo.metadata = {}
