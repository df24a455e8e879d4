"""Decisions in. The ledger only grows: what was decided is undone by a later line, never by an edit."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Q, QuerySet

from annotation import audit, labels, presence
from annotation.core.batches import batched
from annotation.errors import NotUndoable
from annotation.models import Answer, AttributeLabel, Decision, Identity, Label, User
from annotation.turns import take_turn

CHUNK = 500


def line(
    answer: Answer,
    kind: Decision.Kind,
    *,
    face: int | None = None,
    identity: Identity | None = None,
    other_identity: Identity | None = None,
    attribute: str = "",
    value: str = "",
) -> Decision:
    """A line to write, signed by whoever answered, with what they were asked as its evidence."""
    question = answer.question
    evidence: dict[str, object] = {"act": answer.content.get("act", "answer")}
    if question is not None:
        evidence |= {"question": question.pk, "kind": question.kind, "belief": round(question.belief, 4)}
    return Decision(
        kind=kind,
        face_id=face,
        identity=identity,
        other_identity=other_identity,
        attribute=attribute,
        value=value,
        person=answer.annotator,
        answer=answer,
        evidence=evidence,
        at=answer.at,
    )


def write(lines: Sequence[Decision]) -> None:
    """Add these lines and bring the labels that they touch up to date. Call within a transaction.

    Lines about whom was erased meanwhile are left out.
    """
    if not lines:
        return
    _take_turn_of(lines)
    lines = _of_whom_is_there(lines)
    Decision.objects.bulk_create(lines, batch_size=CHUNK)
    _log(lines)
    _follow(lines)


def _take_turn_of(lines: Sequence[Decision]) -> None:
    """The turn in which labels will be derived from these: two who share one first, and then both want it alone, would
    wait for each other."""
    take_turn(shared=all(line.kind == Decision.Kind.VALUE for line in lines))


def _of_whom_is_there(lines: Sequence[Decision]) -> list[Decision]:
    faces = presence.known_faces({line.face_id for line in lines if line.face_id is not None})
    named = {pk for line in lines for pk in (line.identity_id, line.other_identity_id) if pk is not None}
    people = presence.known_people(named)
    return [
        line
        for line in lines
        if (line.face_id is None or line.face_id in faces)
        and all(pk is None or pk in people for pk in (line.identity_id, line.other_identity_id))
    ]


def undo(lines: Iterable[Decision], *, person: User | None, answer: Answer | None = None) -> None:
    """Add a line against each of these; without a person, the machine takes its own word back.

    Of whom was erased meanwhile nothing is left to undo. Raises NotUndoable for one that was undone before.
    """
    lines = list(lines)
    if not lines:
        return
    _take_turn_of(lines)
    there = set(Decision.objects.filter(pk__in=[line.pk for line in lines]).values_list("pk", flat=True))
    lines = [line for line in lines if line.pk in there]
    gone = Decision.objects.filter(undoes__in=[line.pk for line in lines]).first()
    if gone is not None:
        raise NotUndoable(
            f"Line {gone.undoes_id} of the ledger was undone before, on {gone.at:%Y-%m-%d %H:%M}. Nothing was changed."
        )
    by = Decision.By.PERSON if person else Decision.By.MACHINE
    against = [Decision(kind=Decision.Kind.UNDO, undoes=line, by=by, person=person, answer=answer) for line in lines]
    _log(Decision.objects.bulk_create(against, batch_size=500))
    _follow(lines)


def _log(lines: Sequence[Decision]) -> None:
    """One line of the audit log for all of somebody's, which names theirs: what they say is in the ledger alone."""
    of = {line.person_id: line.person for line in lines}
    for pk, person in of.items():
        numbers = audit.spans(line.pk for line in lines if line.person_id == pk)
        audit.write(audit.Action.DECIDE, by=person, details={"lines": numbers})


def _follow(lines: Iterable[Decision]) -> None:
    faces, identities = set[int](), set[int]()
    valued, valued_identities = set[int](), set[int]()  # whose attributes changed, and nothing else
    for line in lines:
        of_value = line.kind == Decision.Kind.VALUE
        if line.face_id is not None:
            (valued if of_value else faces).add(line.face_id)
        if of_value or line.kind in (Decision.Kind.MERGE, Decision.Kind.NAME):
            people = {pk for pk in (line.identity_id, line.other_identity_id) if pk is not None}
            (valued_identities if of_value else identities).update(people)
    if faces or identities:
        labels.derive(faces=faces, identities=identities)
    if valued or valued_identities:
        labels.derive_attributes(faces=valued - faces, identities=valued_identities)


# ---- the one way by which the ledger shrinks


@dataclass
class Forgotten:
    """Lines that were removed, and whom and what they touched."""

    lines: int = 0
    faces: set[int] = field(default_factory=set)  # whose labels have to be derived anew
    identities: set[int] = field(default_factory=set)
    answers: set[int] = field(default_factory=set)
    named: set[int] = field(default_factory=set)  # those of them that gave a name


def forget(lines: Collection[int]) -> Forgotten:
    """Remove these lines and those that undo them, with the labels that rest on them: for an erasure, and nothing else.

    A line about a face that must be forgotten is itself about that face, so the law outranks the rule that the ledger
    only grows. The erasure's report and the audit log say how many lines went; what they said is gone. Call within a
    transaction, after taking one's turn, and derive afterwards.
    """
    gone = Forgotten()
    rows: QuerySet[Decision] = QuerySet(Decision)  # past the refusals of DecisionQuerySet
    for chunk in batched(sorted(lines), CHUNK):
        met = rows.filter(Q(pk__in=chunk) | Q(undoes__in=chunk))
        columns = ("kind", "face_id", "identity_id", "other_identity_id", "answer_id")
        for kind, face, identity, other, answer in met.values_list(*columns):
            gone.lines += 1
            gone.faces |= {face} if face else set()
            gone.identities |= {pk for pk in (identity, other) if pk}
            gone.answers |= {answer} if answer else set()
            if kind == Decision.Kind.NAME and answer is not None:
                gone.named.add(answer)
        who, what = Label.objects.filter(decision__in=chunk), AttributeLabel.objects.filter(decision__in=chunk)
        gone.identities |= {pk for pk in who.values_list("identity_id", flat=True) if pk is not None}
        for resting in (who, what):
            gone.faces.update(resting.values_list("face_id", flat=True))
            resting.delete()
        rows.filter(undoes__in=chunk).delete()
        rows.filter(pk__in=chunk).delete()
    return gone
