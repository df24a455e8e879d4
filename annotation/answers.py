"""Answers in, settled questions and lines of the ledger out."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import IntegrityError
from django.db.models import Q, QuerySet
from django.utils import timezone

from annotation import ledger, visible, votes
from annotation.core.answers import (
    ClusterAnswer,
    GridAnswer,
    Malformed,
    PairAnswer,
    RecordAnswer,
    Skip,
    ValueAnswer,
    cluster_answer,
    grid_answer,
    pair_answer,
    skip,
    value_answer,
)
from annotation.core.answers import record_answer as read_record
from annotation.core.batches import batched
from annotation.core.consensus import pair_settled
from annotation.errors import AnnotatorPaused, BadAnswer, NotUndoable, QuestionClosed, QuestionHeld
from annotation.models import (
    Answer,
    AttributeLabel,
    Cluster,
    ClusteringRun,
    Decision,
    Face,
    Identity,
    Label,
    Question,
    QuestionFace,
    User,
)
from annotation.prepared import Prepared
from annotation.questions import GRID, drop_moot_pairs, withdraw
from annotation.turns import beginning_again, only_one_settles
from inference.core.attributes import attribute

IN_HAND = timedelta(hours=1)  # what is kept is settled within seconds; if nobody does it, it is asked of others then
LARGEST = 2**63 - 1  # id
AT_ONCE, LOOK_AT_MOST = 50, 1_000  # questions settled in one transaction, and in one go
PAIRS_AT_ONCE = 10  # each is weighed by itself


def record_answer(
    *,
    question_id: int,
    annotator: User,
    client_id: UUID,
    content: Mapping[str, Any],
    elapsed_ms: int | None = None,
    settle_later: bool = False,
    now: datetime | None = None,
) -> Answer:
    """Keep one answer, and settle its question.

    The same `client_id` twice is one answer, so a retry over a bad line does no harm. With `settle_later` what only has
    to be weighed is kept and left to `settle_kept`, seconds later. Raises QuestionClosed if it was settled meanwhile,
    QuestionHeld if somebody else holds it, AnnotatorPaused, BadAnswer.
    """
    try:
        return _record(question_id, annotator, client_id, content, elapsed_ms, settle_later, now or timezone.now())
    except IntegrityError:
        # Two requests with one client_id at once: the other one won.
        return Answer.objects.get(annotator=annotator, client_id=client_id)


@beginning_again
def _record(
    question_id: int,
    annotator: User,
    client_id: UUID,
    content: Mapping[str, Any],
    elapsed_ms: int | None,
    settle_later: bool,
    now: datetime,
) -> Answer:
    # Whoever is being paused at this moment is paused first, or has this answer taken back with all others.
    (annotator,) = _locked(annotator.pk)
    # The lock queues up answers that arrive together: the first settles it, the others find themselves or it closed.
    # An id beyond what the database can hold is no question, and no failure either.
    question = next(iter(_question(question_id) if question_id <= LARGEST else ()), None)
    if annotator.restricted and not visible.questions(annotator).filter(pk=question_id).exists():
        question = None
    own = _own(annotator.pk, client_id, 0 if question is None else question.pk)
    for earlier in own:
        if earlier.client_id == client_id:
            return earlier
    if annotator.paused_at is not None:
        raise AnnotatorPaused(annotator.paused_because)
    question = _require_open(question, question_id, annotator, now)
    shown = _shown(question.pk)
    if question.kind == Question.Kind.PAIR and content.get("marks"):
        shown = list(_faces_of(*_sides_now(question)).values_list("face_id", flat=True))
    gone = _settled_meanwhile(question, content, shown, annotator)
    try:
        said = _read(question, content, shown, gone)
    except Malformed as error:
        raise BadAnswer(str(error)) from error
    if any(each.content.get("verdict") != "skip" for each in own):
        raise QuestionClosed(question_id, "answered by you already, perhaps in another tab")
    if own:  # whoever skipped it and answers after all has one answer, not two
        Answer.objects.filter(pk__in=[each.pk for each in own]).update(undone_at=now)
    answer = Answer.objects.create(
        question=question,
        annotator=annotator,
        client_id=client_id,
        content=_without(gone, said.content) if gone else said.content,
        actions=said.actions,
        elapsed_ms=elapsed_ms,
        at=now,
    )
    if isinstance(said, Skip):
        Question.objects.filter(pk=question.pk).update(leased_to=None, leased_until=None)
        return answer
    if settle_later and _may_wait(question, said):
        _keep(question, said, answer, shown)
        return answer
    settled = _settle(question, said, answer, shown)
    # What one answer does not settle waits for somebody else.
    state = {"state": Question.State.SETTLED, "settled_at": now} if settled else {}
    Question.objects.filter(pk=question.pk).update(leased_to=None, leased_until=None, **state)
    return answer


_question = Prepared[Question](lambda pk: Question.objects.select_for_update().filter(pk=pk))
_own = Prepared[Answer](
    lambda annotator, client_id, question: Answer.objects.filter(
        Q(client_id=client_id) | Q(question=question, undone_at=None), annotator=annotator
    )
)
_locked = Prepared[User](lambda person: User.objects.select_for_update(no_key=True).filter(pk=person))
_shown = Prepared[int](
    lambda question: QuestionFace.objects.filter(question=question).order_by("place").values_list("face_id", flat=True)
)

SaidToIt = ClusterAnswer | PairAnswer | GridAnswer | ValueAnswer | RecordAnswer


def _read(question: Question, content: Mapping[str, Any], shown: list[int], gone: set[int]) -> SaidToIt | Skip:
    faces = gone.union(shown)
    if content.get("verdict") == "skip":
        return skip(content)
    if question.kind == Question.Kind.CLUSTER:
        return cluster_answer(content, faces)
    if question.kind == Question.Kind.PAIR:
        return pair_answer(content, faces)
    if question.kind == Question.Kind.RECORD:
        return read_record(content, faces)
    asked = attribute(question.attribute)
    return grid_answer(content, faces, asked) if question.kind == Question.Kind.GRID else value_answer(content, asked)


def _settled_meanwhile(question: Question, content: Mapping[str, Any], shown: list[int], annotator: User) -> set[int]:
    """Of the faces that are marked, those that the question showed until somebody settled them elsewhere: what that
    person said stands, and the rest is an answer all the same. Whoever sees some sources only learns by it of no
    others."""
    marks = content.get("marks")
    named = (str(face) for face in marks) if isinstance(marks, Mapping) else ()
    marked = {int(face) for face in named if face.isdecimal() and len(face) < len(str(LARGEST))} - set(shown)
    if not marked or len(marked) > GRID:
        return set()
    match question.kind:
        case Question.Kind.CLUSTER | Question.Kind.GRID:
            settled = visible.faces(annotator).filter(pk__in=marked).exclude(label=None)
            return set(settled.values_list("pk", flat=True))
        case Question.Kind.PAIR:  # it shows what its two people have, or had
            people = [each.pk for each in _sides_now(question) if each is not None]
            of_both = Q(identity__in=people) | Q(identity__merged_into__in=people)
            lines = Decision.objects.filter(of_both, kind=Decision.Kind.LABEL, face__in=marked)
            return {face for face in lines.values_list("face_id", flat=True) if face}
    return set()


def _without(gone: set[int], content: dict[str, Any]) -> dict[str, Any]:
    """What is said of a face that the question does not show any more is not kept: no erasure would find it."""
    marks = content.get("marks")
    if marks is None:
        return content
    return content | {"marks": {face: mark for face, mark in marks.items() if int(face) not in gone}}


def _settle(question: Question, said: SaidToIt, answer: Answer, shown: list[int]) -> bool:
    """Write down what was said. Returns whether that is all that there is to say."""
    match said:
        case ClusterAnswer():
            _settle_cluster(question, said, answer, shown)
        case PairAnswer():
            settled = _settle_pair(question, said, answer)
            if not settled:  # somebody else is asked; curators see it among the conflicts
                Question.objects.filter(pk=question.pk).update(purpose=Question.Purpose.AGAIN)
            return settled
        case GridAnswer() | ValueAnswer():
            return _settle_values(question, answer, _words(question, said, shown))
        case RecordAnswer():
            _settle_record(question, said, answer, shown)
    return True


def _words(question: Question, said: SaidToIt, shown: list[int]) -> dict[int, str]:
    """By face: a value, or one of "other", "not_a_face" and "cannot_tell"."""
    if isinstance(said, GridAnswer):
        return {face: said.marks.get(face, question.value) for face in shown}
    assert isinstance(said, ValueAnswer)
    return dict.fromkeys(shown, said.value or said.verdict)


def _settle_values(question: Question, answer: Answer, words: Mapping[int, str]) -> bool:
    _settle_no_faces(question, answer, [face for face, word in words.items() if word == "not_a_face"])
    return votes.cast(answer, question, _said_of_values(words, question))


def _settle_no_faces(question: Question, answer: Answer, faces: list[int]) -> None:
    if faces:
        ledger.write([ledger.line(answer, Decision.Kind.NOT_A_FACE, face=face) for face in faces])
        drop_settled_faces(faces, but=question.pk)


def _said_of_values(words: Mapping[int, str], question: Question) -> dict[int, votes.Said]:
    return {
        face: votes.Said(question.value, denied=True) if word == "other" else votes.Said(word)
        for face, word in words.items()
        if word != "not_a_face"
    }


# ---- what is settled later: an open question that nobody holds, until a time


def _may_wait(question: Question, said: SaidToIt) -> bool:
    """Whether this is one opinion among others: nobody's word that holds by itself, and nothing that is known."""
    if question.purpose in (Question.Purpose.VERDICT, Question.Purpose.GOLD):
        return False
    match said:
        case GridAnswer():
            return "not_a_face" not in said.marks.values()
        case ValueAnswer():
            return said.verdict != "not_a_face"
    return isinstance(said, PairAnswer) and not said.marks


def _keep(question: Question, said: SaidToIt, answer: Answer, shown: list[int]) -> None:
    if not isinstance(said, PairAnswer):
        votes.keep(answer, question, _said_of_values(_words(question, said, shown), question))
    Question.objects.filter(pk=question.pk).update(leased_to=None, leased_until=answer.at + IN_HAND)


def settle_kept() -> int:
    """Settle what the answers settle that were kept for later. Returns of how many questions.

    Many at once take little longer than one. Whoever is killed leaves them as they were, and of two who are at it at
    once one leaves them to the other.
    """
    groups = defaultdict[tuple[str, str], list[int]](list)
    waiting = Question.objects.kept().order_by("pk").values_list("kind", "attribute", "pk")
    for kind, name, pk in waiting[:LOOK_AT_MOST]:
        groups[kind, name].append(pk)
    # Each part is a transaction of its own: whoever settles something at once waits for its end.
    return sum(
        _settle_part(kind, name, part)
        for (kind, name), pks in groups.items()
        for part in batched(pks, PAIRS_AT_ONCE if kind == Question.Kind.PAIR else AT_ONCE)
    )


@beginning_again
def _settle_part(kind: str, name: str, pks: list[int]) -> int:
    if not only_one_settles():  # nor is anybody being paused, whose word would count here and not there
        return 0
    counted = Answer.objects.filter(question__in=pks, undone_at=None, annotator__paused_at=None)
    # As an undo does, first the answers and then their questions: one that is taken back at this moment is let be.
    answers = counted.exclude(content__verdict="skip").select_for_update(skip_locked=True, of=("self",)).order_by("pk")
    last = {answer.question_id: answer for answer in answers.select_related("annotator")}
    waiting = Question.objects.kept().filter(pk__in=pks).order_by("pk")
    questions = {each.pk: each for each in waiting.select_for_update(skip_locked=True, of=("self",))}
    for pk in questions.keys() & last.keys():
        last[pk].question = questions[pk]
    said = {pk: last[pk] for pk in questions if pk in last}  # of others all was taken back meanwhile
    settled = _settle_pairs(said) if kind == Question.Kind.PAIR else _settle_votes(kind, name, said)
    rows = Question.objects.filter(pk__in=questions)
    rows.filter(pk__in=settled).update(state=Question.State.SETTLED, settled_at=timezone.now(), leased_until=None)
    rows.exclude(pk__in=settled).update(leased_until=None)
    return len(questions)


def _settle_votes(kind: str, name: str, said: Mapping[int, Answer]) -> set[int]:
    """By question the last answer to it. Returns the questions that ask nothing any more."""
    shown = QuestionFace.objects.filter(question__in=said).order_by("question").values_list("question_id", "face_id")
    latest = {face: said[question] for question, face in shown}
    open_ = votes.weigh(latest, attribute(name), of_grids=kind == Question.Kind.GRID)
    return said.keys() - {latest[face].question_id for face in open_}


def _settle_pairs(said: Mapping[int, Answer]) -> set[int]:
    settled = set[int]()
    for pk, answer in said.items():
        question = answer.question
        # What is marked was written down at once; where the last answer was taken back, one with marks may be the last.
        if question is not None and _settle(question, pair_answer(answer.content | {"marks": {}}, ()), answer, []):
            settled.add(pk)
    return settled


def _require_open(question: Question | None, question_id: int, annotator: User, now: datetime) -> Question:
    if question is None:
        raise QuestionClosed(question_id, "gone")
    if question.state != Question.State.OPEN:
        raise QuestionClosed(question_id, question.state)
    if question.leased_to_id not in (None, annotator.pk) and question.leased_until and question.leased_until > now:
        raise QuestionHeld(question_id)
    return question


def _settle_cluster(question: Question, said: ClusterAnswer, answer: Answer, shown: list[int]) -> None:
    # Somebody may have settled some of these faces on another page meanwhile: their word stands.
    undecided = set(Face.objects.filter(pk__in=shown, label=None).values_list("pk", flat=True))
    faces = [face for face in shown if face in undecided]
    if said.verdict == "cannot_tell":
        ledger.write([ledger.line(answer, Decision.Kind.CANNOT_TELL, face=face) for face in faces])
    else:
        # The lock makes two pages of one cluster, confirmed at once, name one identity and not two.
        cluster = Cluster.objects.select_for_update().get(pk=question.cluster_id or 0)
        ledger.write(list(_cluster_lines(question, cluster, said, answer, faces)))
    drop_settled_faces(shown, but=question.pk)


def _cluster_lines(
    question: Question, cluster: Cluster, said: ClusterAnswer, answer: Answer, faces: list[int]
) -> list[Decision]:
    marked = {face: mark for face, mark in said.marks.items() if face in faces}
    together = [face for face in faces if face not in marked]
    others = [face for face, mark in marked.items() if mark == "other"]
    known = question.identity or cluster.identity
    identity = known or Identity.objects.create() if together or others else known
    lines = [ledger.line(answer, Decision.Kind.LABEL, face=face, identity=identity) for face in together]
    if said.name and identity is not None:
        lines.append(ledger.line(answer, Decision.Kind.NAME, identity=identity, value=said.name))
    lines += [ledger.line(answer, Decision.Kind.CANNOT_LINK, face=face, identity=identity) for face in others]
    if said.marked_are_one and others:
        second = Identity.objects.create()
        lines += [ledger.line(answer, Decision.Kind.LABEL, face=face, identity=second) for face in others]
        lines.append(ledger.line(answer, Decision.Kind.CANNOT_LINK, identity=second, other_identity=identity))
    for face, mark in marked.items():
        if mark != "other":
            lines.append(ledger.line(answer, Decision.Kind(mark), face=face))
    return lines


def _settle_pair(question: Question, said: PairAnswer, answer: Answer) -> bool:
    """Returns whether that settles it: an answer against what the machine believes is somebody else's to confirm."""
    one, other = _sides_now(question)
    theirs = _faces_of(one, other)
    if said.marks:  # of a face that is theirs no more somebody else decided meanwhile
        marked = theirs.filter(face__in=said.marks).order_by("face")
        _settle_no_faces(question, answer, list(marked.values_list("face_id", flat=True)))
    if said.verdict == "cannot_tell":
        return True
    if one is None or other is None or theirs.values("identity").distinct().count() < 2:
        return True  # erased meanwhile, merged elsewhere, or with no face left to compare
    verdict = _pair_verdict(question, answer)
    if verdict is None:
        return False
    kind = Decision.Kind.MERGE if verdict == "same" else Decision.Kind.CANNOT_LINK
    if kind == Decision.Kind.MERGE and one.pk < other.pk:
        one, other = other, one  # the older identity stays
    ledger.write([ledger.line(answer, kind, identity=one, other_identity=other)])
    drop_moot_pairs([one.pk, other.pk])
    return True


def are_two(question: Question) -> bool:
    """Whether a pair is of two people by now, each with a face that can be compared."""
    return _faces_of(*_sides_now(question)).values("identity").distinct().count() == 2


def _faces_of(*people: Identity | None) -> QuerySet[Label]:
    return Label.objects.filter(identity__in=[each.pk for each in people if each is not None])


def _sides_now(question: Question) -> tuple[Identity | None, Identity | None]:
    """The two people of a pair, as they are after all merges; none for whoever was erased."""
    sides = Identity.objects.select_related("merged_into").in_bulk([question.identity_id, question.other_identity_id])
    one, other = (sides.get(pk or 0) for pk in (question.identity_id, question.other_identity_id))
    return one and (one.merged_into or one), other and (other.merged_into or other)


def _pair_verdict(question: Question, answer: Answer) -> str | None:
    """What all answers to it say together; the latest, where a curator gave it or nobody else is there to ask."""
    counted = question.answers.filter(undone_at=None, annotator__paused_at=None)
    said = [(each.annotator_id, each.content["verdict"]) for each in counted]
    if answer.annotator.curates or not {pk for pk, _ in votes.answering()} - {pk for pk, _ in said}:
        return str(answer.content["verdict"])
    count = Counter(verdict for _, verdict in said)
    return pair_settled(question.belief, count["same"], count["different"])


def _settle_record(question: Question, said: RecordAnswer, answer: Answer, shown: list[int]) -> None:
    """Who is marked is somebody else; where the date is marked, no age is known. The others are as they were."""
    lines = []
    for face in shown:
        match said.marks.get(face):
            case "other":
                lines.append(ledger.line(answer, Decision.Kind.CANNOT_LINK, face=face, identity=_now(question)))
            case "wrong_date":
                about = question.attribute
                lines.append(
                    ledger.line(answer, Decision.Kind.VALUE, face=face, attribute=about, value=votes.CANNOT_TELL)
                )
            case "not_a_face" | "cannot_tell" as mark:
                lines.append(ledger.line(answer, Decision.Kind(mark), face=face))
    ledger.write(lines)
    drop_settled_faces(shown, but=question.pk)


def _now(question: Question) -> Identity:
    """The person that the question is about, as they are after all merges."""
    person = Identity.objects.select_related("merged_into").get(pk=question.identity_id or 0)
    return person.merged_into or person


def drop_settled_faces(faces: list[int], *, but: int | None = None) -> None:
    """Faces that are settled now leave the other open questions; a question that has none left is withdrawn."""
    settled = Face.objects.filter(pk__in=faces).exclude(label=None)
    no_faces = settled.filter(label__verdict="not_a_face")
    others = Question.objects.filter(state=Question.State.OPEN).exclude(pk=but or 0)
    lines = Decision.objects.filter(kind=Decision.Kind.LABEL, face__in=faces, face__label__verdict="not_a_face")
    drop_pairs_of_nobody({now or pk for pk, now in lines.values_list("identity", "identity__merged_into") if pk})
    of_clusters = others.filter(kind=Question.Kind.CLUSTER, faces__in=settled)
    of_values = others.filter(kind__in=[Question.Kind.GRID, Question.Kind.VALUE], faces__in=no_faces)
    touched = list(of_clusters.union(of_values).values_list("pk", flat=True))
    if not touched:
        return
    QuestionFace.objects.filter(question__in=touched, question__kind=Question.Kind.CLUSTER, face__in=settled).delete()
    QuestionFace.objects.filter(question__in=touched, face__in=no_faces).delete()
    Question.objects.filter(pk__in=touched, shown=None).update(
        state=Question.State.WITHDRAWN, leased_to=None, leased_until=None
    )


def drop_pairs_of_nobody(people: Collection[int]) -> None:
    """Whether one of these is somebody else nobody can say, once no face of theirs is left."""
    gone = set(people) - set(Label.objects.filter(identity__in=people).values_list("identity_id", flat=True))
    if gone:
        group = {*gone, *Identity.objects.filter(merged_into__in=gone).values_list("pk", flat=True)}
        of_them = Q(identity__in=group) | Q(other_identity__in=group)
        withdraw(Question.objects.filter(of_them, kind=Question.Kind.PAIR, state=Question.State.OPEN))


@beginning_again
def undo_answer(*, answer_id: int, by: User | None, now: datetime | None = None) -> None:
    """Take back an answer or an act, at any later time: its lines are undone and its question is asked again.

    Without a person, the engine takes it back. Raises NotUndoable if it was undone before, or is somebody else's and
    `by` is no curator.
    """
    answer = Answer.objects.select_for_update().filter(pk=answer_id).first()
    if answer is None or not (by is None or by.curates or _is_own(answer, by)) or _is_hidden(answer, by):
        raise NotUndoable(f"There is no answer {answer_id} of yours.")
    if answer.undone_at is not None:
        raise NotUndoable(f"Answer {answer_id} was undone before, on {answer.undone_at:%Y-%m-%d %H:%M}.")
    if not answer.may_be_undone:
        raise NotUndoable("What was opened again is not closed by an undo. Decide it, or let people answer it.")
    now = now or timezone.now()
    Answer.objects.filter(pk=answer.pk).update(undone_at=now)
    ledger.undo(_lines_of(answer).order_by("-id"), person=by, answer=answer)
    votes.take_back(answer, by=by)
    if answer.content.get("act") == "ask":
        _ask_no_more(answer.content["questions"], now)
    if answer.question_id is not None and answer.content["verdict"] != "skip":  # a skip settled nothing
        _ask_again(answer.question_id, unless_settled=answer.reassigned_at is not None)


def _is_own(answer: Answer, by: User) -> bool:
    """An answer of theirs. An act, a merge or a name, is a curator's: whoever is none any more takes none back."""
    return answer.annotator_id == by.pk and "act" not in answer.content


def _is_hidden(answer: Answer, by: User | None) -> bool:
    """Whether it would change what whoever takes it back does not see."""
    if by is None or not by.restricted:
        return False
    if answer.content.get("act") == "ask" and answer.annotator_id == by.pk:  # it wrote no line: its questions tell
        wanted = set(answer.content["questions"])
        seen = sum(visible.questions(by).filter(pk__in=chunk).count() for chunk in batched(sorted(wanted), 500))
        return seen < Question.objects.filter(pk__in=wanted).count()
    return not visible.answers(by, to_undo=True).filter(pk=answer.pk).exists()


def _ask_no_more(questions: list[int], now: datetime) -> None:
    """What a curator wanted asked and takes back; whatever was answered meanwhile stands."""
    for chunk in batched(questions, 500):
        wanted = Question.objects.filter(pk__in=chunk, purpose=Question.Purpose.WANTED, answers=None)
        withdraw(wanted, now=now)


def _lines_of(answer: Answer) -> QuerySet[Decision]:
    """What rests on an answer: what it wrote, and of a pair what it and the others' answers settled together."""
    theirs = Q(answer=answer)
    if answer.question is not None and answer.question.kind == Question.Kind.PAIR:
        theirs |= Q(answer__question=answer.question, face=None)  # a face is one person's word
    return Decision.objects.standing().filter(theirs)


def _ask_again(question_id: int, *, unless_settled: bool) -> None:
    """With `unless_settled` only if what others said does not settle its faces by itself."""
    question = Question.objects.select_for_update().get(pk=question_id)
    if question.state == Question.State.OPEN:
        if question.leased_to_id is None and not question.answers.filter(undone_at=None).exists():
            Question.objects.filter(pk=question_id).update(leased_until=None)  # nothing waits to be settled any more
        return
    if unless_settled and question.kind in (Question.Kind.GRID, Question.Kind.VALUE):
        faces = set(question.shown.values_list("face_id", flat=True))
        labels = AttributeLabel.objects.filter(face__in=faces, attribute=question.attribute)
        if set(labels.values_list("face_id", flat=True)) == faces:
            return
    if question.kind == Question.Kind.VALUE and Question.objects.filter(
        kind=question.kind, attribute=question.attribute, state=Question.State.OPEN, faces__in=question.faces.all()
    ):
        return  # it is asked again already, by another question
    if question.kind == Question.Kind.PAIR and not are_two(question):
        return  # nothing is left of one of them to compare
    run = question.cluster.run if question.cluster else None
    if run is not None and run.state != ClusteringRun.State.APPLIED:
        return  # its cluster is history; the faces are asked about in the clusters that hold now
    Question.objects.filter(pk=question_id).update(state=Question.State.OPEN, settled_at=None)
