"""Where people disagree: everybody's word and how far each is believed; decided by a curator, or opened again."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from annotation import answers, ledger, reads, visible, votes, words
from annotation.core.sampling import draw
from annotation.errors import BadAct
from annotation.models import (
    DECIDED,
    TO_DECIDE,
    Answer,
    AttributeLabel,
    Decision,
    Proposal,
    Question,
    Reliability,
    User,
    Vote,
)
from annotation.turns import beginning_again
from inference.core.attributes import attribute

PAIRS = 200  # of the latest settled pairs that somebody answered: what their word about pairs is worth
LATEST = 2_000  # answers that a sample is drawn from


# ---- reading


@dataclass(frozen=True)
class Voice:
    """What one person said, and how far they are believed."""

    annotator: User
    said: str
    at: datetime
    right: float | None  # the share of their answers of this kind that are right, as learnt from all answers
    right_of_value: float | None  # of faces that are what they said here, the share that they recognise


@dataclass(frozen=True)
class Conflict:
    """A question on which people disagree, with all that was said of it."""

    asked: reads.Asked
    voices: list[Voice]
    proposal: Proposal | None  # what the machine believes
    holds: AttributeLabel | None  # what holds now

    @property
    def question(self) -> Question:
        return self.asked.question

    @property
    def against(self) -> str:
        """What speaks against what is written, if that is why it is asked."""
        return words.against(self.question.reason)

    @property
    def title(self) -> str:
        return _(self.question.attribute.replace("_", " ")) if self.question.attribute else _("same person?")

    @property
    def tally(self) -> list[tuple[str, int]]:
        return reads.tally_of(voice.said for voice in self.voices)


def to_decide(user: User, kind: str = "") -> QuerySet[Question]:
    """Open questions that wait for a curator's word, or on which the first answers did not agree."""
    return _of(visible.questions(user).filter(TO_DECIDE), kind)


def decided(user: User, kind: str = "") -> QuerySet[Question]:
    """What was settled at a second look."""
    return _of(visible.questions(user).filter(DECIDED), kind)


def _of(questions: QuerySet[Question], kind: str) -> QuerySet[Question]:
    """Of one attribute, or of pairs."""
    if not kind:
        return questions
    return questions.filter(kind=Question.Kind.PAIR) if kind == "pair" else questions.filter(attribute=kind)


def shown(questions: Sequence[Question], user: User) -> list[Conflict]:
    """These questions with every answer; in a fixed number of queries."""
    asked = reads.asked(questions, user)
    faces = {face.pk for each in asked for face in each.faces}
    about = {each.question.attribute for each in asked} - {""}
    said = _votes(faces, about)
    pairs = _pair_answers([each for each in questions if each.kind == Question.Kind.PAIR])
    people = {vote.annotator_id for rows in said.values() for vote in rows} | {
        answer.annotator_id for rows in pairs.values() for answer in rows
    }
    known = {(row.annotator_id, row.attribute): row for row in Reliability.objects.filter(annotator__in=people)}
    of_pairs = right_about_pairs(people) if pairs else {}
    proposed = {(row.face_id, row.attribute): row for row in Proposal.objects.filter(face__in=faces)}
    labels = AttributeLabel.objects.filter(face__in=faces).select_related("decision__person")
    held = {(row.face_id, row.attribute): row for row in labels}
    found = []
    for each in asked:
        name, question = each.question.attribute, each.question
        key = (each.faces[0].pk if each.faces else 0, name)
        voices = [_of_vote(vote, known.get((vote.annotator_id, name))) for vote in said[key]]
        voices += [_of_pair(answer, of_pairs.get(answer.annotator_id)) for answer in pairs.get(question.pk, [])]
        found.append(Conflict(each, voices, proposed.get(key), held.get(key)))
    return found


def _votes(faces: Collection[int], about: Collection[str]) -> dict[tuple[int, str], list[Vote]]:
    """Whoever spoke of a face twice has one voice, the latest."""
    rows = Vote.objects.filter(face__in=faces, attribute__in=about, answer__undone_at=None)
    latest: dict[tuple[int, str], dict[int, Vote]] = defaultdict(dict)
    for vote in rows.select_related("annotator", "answer").order_by("pk"):
        voices = latest[vote.face_id, vote.attribute]
        voices.pop(vote.annotator_id, None)
        voices[vote.annotator_id] = vote
    return defaultdict(list, {key: list(voices.values()) for key, voices in latest.items()})


def _pair_answers(pairs: Sequence[Question]) -> dict[int, list[Answer]]:
    rows = Answer.objects.filter(question__in=pairs, undone_at=None).exclude(content__verdict="skip")
    found: dict[int, list[Answer]] = defaultdict(list)
    for answer in rows.select_related("annotator").order_by("pk"):
        found[answer.question_id or 0].append(answer)
    return found


def _of_vote(vote: Vote, known: Reliability | None) -> Voice:
    about = attribute(vote.attribute)
    diagonal = {value: known.confusion[row][row] for row, value in enumerate(about.values)} if known else {}
    return Voice(
        annotator=vote.annotator,
        said=_("not {value}").format(value=_(vote.value)) if vote.denied else _(vote.value.replace("_", " ")),
        at=vote.answer.at,
        right=sum(diagonal.values()) / len(diagonal) if diagonal else None,
        right_of_value=diagonal.get(vote.value),
    )


def _of_pair(answer: Answer, right: float | None) -> Voice:
    known = {"same": _("one person"), "different": _("two people"), "cannot_tell": _("cannot tell")}
    said = known.get(answer.content["verdict"], answer.content["verdict"])
    return Voice(answer.annotator, said, answer.at, right, None)


def right_about_pairs(people: Collection[int]) -> dict[int, float]:
    """By person: of the latest pairs that they answered and that are settled, the share that they saw as it was
    settled."""
    kinds = {Decision.Kind.MERGE: "same", Decision.Kind.CANNOT_LINK: "different"}
    own = Answer.objects.filter(
        annotator__in=people, undone_at=None, question__kind=Question.Kind.PAIR, question__state=Question.State.SETTLED
    )
    latest = list(own.order_by("-pk").values_list("annotator_id", "question_id", "content__verdict"))[
        : PAIRS * max(len(people), 1)
    ]
    lines = Decision.objects.standing().filter(
        answer__question__in={question for _, question, _ in latest}, kind__in=kinds
    )
    settled = {question: kinds[kind] for question, kind in lines.values_list("answer__question_id", "kind")}  # type: ignore[index]
    told: dict[int, list[bool]] = defaultdict(list)
    for person, question, verdict in latest:
        if question in settled and verdict in kinds.values() and len(told[person]) < PAIRS:
            told[person].append(verdict == settled[question])
    return {person: sum(right) / len(right) for person, right in told.items() if right}


def sample(
    user: User, share: float = 1.0, *, annotator: int | None = None, kind: str = "", size: int = 24
) -> list[Answer]:
    """The latest answers as they come in, or a share of them that chance picks once and for all."""
    rows = visible.answers(user).filter(question__isnull=False, undone_at=None).exclude(content__verdict="skip")
    if annotator is not None:
        rows = rows.filter(annotator=annotator)
    if kind:
        rows = rows.filter(question__kind=kind)
    latest = rows.select_related("annotator", "question").order_by("-pk")[: size if share >= 1 else LATEST]
    return [answer for answer in latest if draw(str(answer.client_id), "watched") < share][:size]


# ---- acting


@beginning_again
def decide(*, question_id: int, content: Mapping[str, Any], by: User) -> Answer:
    """A curator's word on a question: it settles it, whatever was said before and whoever holds it.

    What was settled already is opened first, so that both the old and the new word are in the ledger. Raises BadAct
    for a question that nothing hangs on any more, BadAnswer.
    """
    question = _locked(question_id, by)
    if question.state == Question.State.SETTLED:
        reopen(question_id=question_id, by=by)
        question = _locked(question_id, by)
    if question.state != Question.State.OPEN:
        raise BadAct(f"Question {question_id} cannot be decided: it is {question.state}. Look at the list again.")
    own = question.answers.filter(annotator=by, undone_at=None)  # one voice: the latest
    if question.kind == Question.Kind.PAIR:  # with what it marked
        for earlier in own:
            answers.undo_answer(answer_id=earlier.pk, by=by)
    own.update(undone_at=timezone.now())
    changed: dict[str, Any] = {"leased_to": None, "leased_until": None}
    if question.kind == Question.Kind.VALUE:
        changed["purpose"] = Question.Purpose.VERDICT
    Question.objects.filter(pk=question_id).update(**changed)
    return answers.record_answer(question_id=question_id, annotator=by, client_id=uuid4(), content=content)


@beginning_again
def reopen(*, question_id: int, by: User) -> Answer:
    """Ask a settled question again: what it settled is taken back, and what people said of it stays known.

    Whoever answered it before is not asked again. Raises BadAct if it is not settled, or of a grouping that holds no
    more.
    """
    question = _locked(question_id, by)
    if question.state != Question.State.SETTLED:
        raise BadAct(f"Question {question_id} is {question.state}; only a settled one can be opened again.")
    act = Answer.objects.create(annotator=by, content={"act": "reopen", "question": question_id}, actions=1)
    if question.kind in (Question.Kind.VALUE, Question.Kind.PAIR):
        ledger.undo(_settled_by(question), person=by, answer=act)
        if question.kind == Question.Kind.PAIR and not answers.are_two(question):
            raise BadAct(
                f"Question {question_id} cannot be opened again: its two people are one by now, or no face of one of "
                "them is left. Undo that in their history instead."
            )
        purpose = Question.Purpose.AGAIN if question.kind == Question.Kind.PAIR else Question.Purpose.WANTED
        votes.withdraw_others(question)
        Question.objects.filter(pk=question_id).update(state=Question.State.OPEN, settled_at=None, purpose=purpose)
        return act
    for answer in question.answers.filter(undone_at=None).exclude(content__verdict="skip").order_by("-pk"):
        answers.undo_answer(answer_id=answer.pk, by=by)
    if not Question.objects.filter(pk=question_id, state=Question.State.OPEN).exists():
        raise BadAct(
            f"Question {question_id} cannot be opened again: its faces have been grouped anew since. "
            "Undo its answers in the history of the person instead."
        )
    return act


def _locked(question_id: int, by: User) -> Question:
    question = Question.objects.select_for_update().filter(pk=question_id).first()
    if question is None or (by.restricted and not visible.questions(by).filter(pk=question_id).exists()):
        raise BadAct(f"There is no question {question_id}: it became pointless. Look at the list again.")
    return question


def _settled_by(question: Question) -> QuerySet[Decision]:
    if question.kind == Question.Kind.PAIR:
        kinds = [Decision.Kind.MERGE, Decision.Kind.CANNOT_LINK]
        return Decision.objects.standing().filter(answer__question=question, kind__in=kinds).order_by("-pk")
    faces = list(question.shown.values_list("face_id", flat=True))
    no_face = Q(kind=Decision.Kind.NOT_A_FACE, answer__question=question)
    ids = votes.settled_lines(faces, question.attribute).values("pk")
    return Decision.objects.standing().filter(no_face | Q(pk__in=ids))
