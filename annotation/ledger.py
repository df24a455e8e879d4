"""Decisions in. The ledger only grows: what was decided is undone by a later line, never by an edit."""

from collections.abc import Iterable, Sequence

from annotation import audit, labels
from annotation.errors import NotUndoable
from annotation.models import Answer, Decision, Identity, User


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
    """Add these lines and bring the labels that they touch up to date. Call within a transaction."""
    Decision.objects.bulk_create(lines, batch_size=500)
    _log(lines)
    _follow(lines)


def undo(lines: Iterable[Decision], *, person: User | None, answer: Answer | None = None) -> None:
    """Add a line against each of these; without a person, the machine takes its own word back.

    Raises NotUndoable for one that was undone before.
    """
    lines = list(lines)
    if not lines:
        return
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
    """One line of the audit log for all of these, which names theirs: what they say is in the ledger alone."""
    if lines:
        numbers = audit.spans(line.pk for line in lines)
        audit.write(audit.Action.DECIDE, by=lines[0].person, details={"lines": numbers})


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
