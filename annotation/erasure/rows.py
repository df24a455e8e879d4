"""The rows of faces, photos and people, and of what others said of them."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from annotation import holds, labels, ledger
from annotation.contradictions import MERGED
from annotation.core.batches import batched
from annotation.erasure.piece import Piece
from annotation.erasure.scope import with_absorbed
from annotation.models import (
    Answer,
    AttributeLabel,
    Cluster,
    Decision,
    Face,
    Feedback,
    Identity,
    Label,
    LegalHold,
    Membership,
    Photo,
    Question,
    QuestionFace,
    Refusal,
)

CHUNK = 500
IDENTITY = "identity"  # what a client's correction is about, where it is who somebody is


def forget_faces(faces: list[int], photos: list[Photo], asked: list[int], piece: Piece) -> None:
    """The rows of these faces, and of these photos."""
    known = Label.objects.filter(face__in=faces, identity__isnull=False)
    people = {pk for pk in known.values_list("identity_id", flat=True) if pk is not None}
    orphans = set(Face.objects.filter(duplicate_of__in=faces).exclude(pk__in=faces).values_list("pk", flat=True))
    clusters = set(Membership.objects.filter(face__in=faces).values_list("cluster_id", flat=True))
    answers = set(Answer.objects.filter(question__in=asked).values_list("pk", flat=True))
    delete(Label.objects.filter(face__in=faces), piece)
    delete(AttributeLabel.objects.filter(face__in=faces), piece)
    gone = forget_lines(list(Decision.objects.filter(face__in=faces).values_list("pk", flat=True)), piece)
    for photo in photos:
        forget_file(photo.source_id, photo.file, photo, piece)
    delete(Feedback.objects.filter(Q(face__in=faces) | Q(photo__in=photos)), piece)
    delete(Face.objects.filter(pk__in=faces), piece)
    delete(Photo.objects.filter(pk__in=[photo.pk for photo in photos]), piece)
    empty = Question.objects.filter(pk__in=asked, shown=None).exclude(kind=Question.Kind.PAIR)
    delete(empty, piece)
    Cluster.objects.filter(pk__in=clusters).count_faces()
    delete(Cluster.objects.filter(pk__in=clusters, face_count=0, questions=None), piece)
    scrub_answers(answers | gone.answers, set(faces), set(), gone.named, piece)
    piece.people |= people | gone.identities
    labels.derive(faces=(orphans | gone.faces) - set(faces), identities=())
    labels.count_faces(people)
    bare = Identity.objects.filter(pk__in=people, face_count=0).filter(labels=None)
    forget_people(with_absorbed(list(bare.values_list("pk", flat=True))), piece)


def forget_file(source: int, file: str, photo: Photo, piece: Piece) -> None:
    """Refusals that name the photo, and the file as evidence for a name that stays."""
    refusals = Refusal.objects.filter(Q(source=source, file=file) | Q(code="contradicts", reason__contains=repr(file)))
    delete(refusals, piece)
    ledger_rows: QuerySet[Decision] = QuerySet(Decision)  # past its refusals: the line stays, its evidence is shorter
    lines = ledger_rows.filter(kind=Decision.Kind.NAME, by=Decision.By.IMPORT, evidence__file=file)
    for line in lines:
        evidence = {name: value for name, value in line.evidence.items() if name != "file"}
        ledger_rows.filter(pk=line.pk).update(evidence=evidence)


def forget_people(people: list[int], piece: Piece) -> None:
    """Identities, with their names and all lines that name them."""
    if not people:
        return
    named = Decision.objects.filter(Q(identity__in=people) | Q(other_identity__in=people))
    gone = forget_lines(list(named.values_list("pk", flat=True)), piece)
    names = set(Identity.objects.filter(pk__in=people).exclude(name="").values_list("name", flat=True))
    _forget_claims({name.casefold() for name in names}, piece)
    about = Question.objects.filter(Q(identity__in=people) | Q(other_identity__in=people))
    answers = set(Answer.objects.filter(question__in=about).values_list("pk", flat=True))
    delete(about, piece)
    _forget_reasons(people, piece)
    delete(LegalHold.objects.filter(identity__in=people), piece)
    delete(Identity.objects.filter(pk__in=people), piece)
    scrub_answers(answers | gone.answers, set(), set(people), gone.named, piece)
    piece.people |= gone.identities | set(people)
    follow(gone, piece, without=set(people))


def _forget_reasons(people: Collection[int], piece: Piece) -> None:
    """What speaks against a value of somebody who stays, if it was said of these before they were one."""
    for row in Question.objects.filter(reason__kind=MERGED).only("reason").iterator(chunk_size=2_000):
        left = {
            "said": [[pk, value] for pk, value in row.reason["said"] if pk not in people],
            "into": 0 if row.reason["into"] in people else row.reason["into"],
        }
        if row.reason | left != row.reason:
            Question.objects.filter(pk=row.pk).update(reason=row.reason | left)
            piece.rows["annotation.Question (shortened)"] += 1


def _forget_claims(names: Collection[str], piece: Piece) -> None:
    """What clients said and were told on photos that stay: these names in it, in any spelling of their letters."""
    given = Feedback.objects.filter(Q(attribute=IDENTITY) | ~Q(predicted={})) if names else Feedback.objects.none()
    for row in given.only("claimed", "predicted").iterator(chunk_size=2_000):
        claimed, predicted = _unnamed(row.claimed, names), _unnamed(row.predicted, names)
        if (claimed, predicted) != (row.claimed, row.predicted):
            Feedback.objects.filter(pk=row.pk).update(claimed=claimed, predicted=predicted)
            piece.rows["annotation.Feedback (shortened)"] += 1


def _unnamed(told: Any, names: Collection[str]) -> Any:
    if isinstance(told, dict):
        return {key: _unnamed(inner, names) for key, inner in told.items() if key.casefold() not in names}
    if isinstance(told, list):
        return [_unnamed(inner, names) for inner in told]
    return "" if isinstance(told, str) and told.strip().casefold() in names else told


def forget_names_of(sources: Collection[int], piece: Piece) -> None:
    """Whom these sources named, and have no photo of any more: who has no face from elsewhere goes, the others lose
    the name that the source gave them."""
    for source in sources:
        if Photo.objects.filter(source=source).exists():
            continue  # a hold keeps some of it
        named = Identity.objects.filter(imported_as__startswith=f"{source}/").exclude(pk__in=holds.held_people())
        for chunk in batched(list(named.order_by("pk").values_list("pk", flat=True)), CHUNK):
            said = Decision.objects.filter(identity__in=chunk, kind=Decision.Kind.NAME, by=Decision.By.IMPORT)
            follow(forget_lines(list(said.values_list("pk", flat=True)), piece), piece)
            Identity.objects.filter(pk__in=chunk).update(imported_as=None)
            bare = Identity.objects.filter(pk__in=chunk, face_count=0, labels=None, merged_into=None)
            forget_people(with_absorbed(list(bare.values_list("pk", flat=True))), piece)


def forget_lines(lines: Collection[int], piece: Piece) -> ledger.Forgotten:
    gone = ledger.forget(lines)
    piece.rows["annotation.Decision"] += gone.lines
    return gone


def follow(gone: ledger.Forgotten, piece: Piece, without: Collection[int] = ()) -> None:
    """Derive anew what rested on lines that are gone."""
    faces = set(Face.objects.filter(pk__in=gone.faces).values_list("pk", flat=True))
    labels.derive(faces=faces, identities=gone.identities - set(without))
    labels.count_faces(gone.identities - set(without))


def delete(rows: QuerySet[Any], piece: Piece) -> None:
    _, by_table = rows.delete()
    piece.rows.update(by_table)


def scrub_answers(pks: Collection[int], faces: set[int], people: set[int], named: set[int], piece: Piece) -> None:
    """An answer that was about nobody else goes; of the others what they said of whom is erased."""
    for chunk in batched(sorted(pks), CHUNK):
        answers = Answer.objects.filter(pk__in=chunk).annotate(
            rests=Exists(Decision.objects.filter(answer=OuterRef("pk"))),
            shows=Exists(QuestionFace.objects.filter(question=OuterRef("question"))),
        )
        for answer in answers:
            pair = answer.question is not None and answer.question.kind == Question.Kind.PAIR
            if not (answer.rests or answer.shows or pair or answer.content.get("act") in ("ask", "reopen", "reassign")):
                piece.rows.update(answer.delete()[1])
                continue
            content = without(answer.content, faces, people, named=answer.pk in named)
            if content != answer.content:
                Answer.objects.filter(pk=answer.pk).update(content=content)
                piece.rows["annotation.Answer (shortened)"] += 1


def without(content: Mapping[str, Any], faces: set[int], people: set[int], *, named: bool) -> dict[str, Any]:
    """What an answer said, without what it said of these."""
    kept = dict(content)
    if "marks" in kept:
        kept["marks"] = {face: mark for face, mark in kept["marks"].items() if int(face) not in faces}
    for name, gone in (("faces", faces), ("identities", people)):
        if isinstance(kept.get(name), list):
            kept[name] = [pk for pk in kept[name] if pk not in gone]
    for name in ("identity", "into"):
        if kept.get(name) in people:
            kept[name] = 0
    if named and "name" in kept:
        kept["name"] = ""
    return kept
