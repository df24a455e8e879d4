"""Open questions, the most worthwhile first, leased to one person at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation import visible
from annotation.errors import AnnotatorPaused
from annotation.models import Answer, Question, QuestionFace, User, Vote
from annotation.prepared import Prepared

LEASE = timedelta(minutes=5)  # someone who went for coffee costs the queue no more than this
FIRST_LOOK, LOOK_AT_MOST = 20, 500  # questions at a time that this person might answer


def take_next(
    annotator: User, *, kind: str | None = None, ahead: int = 1, now: datetime | None = None
) -> list[Question]:
    """Lease up to `ahead` of the most worthwhile questions that this person has not answered.

    What is leased to them already is among these, and renewed. Of two people who ask at once one gets a question, and
    the other looks further down. Raises AnnotatorPaused.
    """
    now = now or timezone.now()
    if annotator.paused_at is not None:
        raise AnnotatorPaused(annotator.paused_because)
    taken = list[Question]()
    for parts in visible.may_be_asked(annotator):
        below, size = None, FIRST_LOOK  # of faces in grids that they did, this person has spoken: they ask others
        while len(taken) < ahead:
            candidates = _best(annotator, parts, kind, now, below, size)
            new = [each for each in candidates if each not in taken]
            may = _not_spoken_of(annotator, _seen_whole(annotator, new))
            taken += _lease(may, annotator, now, at_most=ahead - len(taken))
            if len(candidates) < size:
                break
            below, size = candidates[-1], min(2 * size, LOOK_AT_MOST)
    return taken


def _lease(questions: list[Question], annotator: User, now: datetime, *, at_most: int) -> list[Question]:
    """The first of these that nobody else is taking at this moment."""
    ids = [each.pk for each in questions]
    ours = set(_claim(at_most)(annotator.pk, now, ids, last=(annotator.pk, now + LEASE)))
    return [each for each in questions if each.pk in ours]


@cache
def _claim(at_most: int) -> Prepared[int]:
    """One statement: whatever it locks is leased, and what somebody else has locked is theirs.

    The limit counts what was locked, not what was looked at: a question that is passed over here is somebody else's.
    """

    def free(annotator: int, now: datetime, ids: Sequence[int]) -> QuerySet[Question, int]:
        rows = Question.objects.filter(_available(annotator, now), pk__in=ids, state=Question.State.OPEN)
        locked = rows.order_by("-worth", "id").select_for_update(skip_locked=True, no_key=True)
        return locked.values_list("pk", flat=True)[:at_most]

    claim = (
        "WITH free AS MATERIALIZED ({}) UPDATE annotation_question SET leased_to_id = %s, leased_until = %s"
        " WHERE id IN (SELECT * FROM free) RETURNING id"
    )
    return Prepared(free, sql=claim)


def _available(annotator: int, now: datetime) -> Q:
    """Of a question that nobody holds until some time the answer waits to be weighed."""
    return Q(leased_until=None) | Q(leased_to=annotator) | Q(leased_until__lt=now)


def _free(annotator: int, curates: bool, kind: str | None, now: datetime) -> QuerySet[Question]:
    """In the order of their worth."""
    answered = Answer.objects.filter(annotator=annotator, undone_at=None, question=OuterRef("pk"))
    others = Answer.objects.filter(annotator=annotator, reassigned_at__isnull=False, question=OuterRef("pk"))
    questions = Question.objects.filter(
        _available(annotator, now), ~Exists(answered), ~Exists(others), state=Question.State.OPEN
    )
    if not curates:
        questions = questions.exclude(purpose=Question.Purpose.VERDICT)
    if kind is not None:
        questions = questions.filter(kind=kind)
    return questions.order_by("-worth", "id")


def _best(
    annotator: User, parts: Sequence[Q], kind: str | None, now: datetime, below: Question | None, size: int
) -> list[Question]:
    """The first of these parts of the queue below another question.

    Each part is a query of its own: in one query a database would not find it by an index.
    """
    if below is None and not annotator.restricted:
        return _first_look(annotator.curates, kind)(annotator.pk, now)
    questions = _free(annotator.pk, annotator.curates, kind, now)
    if below is not None:
        after = Q(worth__lt=below.worth) | Q(id__gt=below.pk)
        questions = questions.filter(after, worth__lte=below.worth)
    found = {question.pk: question for part in parts for question in questions.filter(part)[:size]}
    return sorted(found.values(), key=lambda question: (-question.worth, question.pk))[:size]


@cache
def _first_look(curates: bool, kind: str | None) -> Prepared[Question]:
    return Prepared(lambda annotator, now: _free(annotator, curates, kind, now)[:FIRST_LOOK])


def _seen_whole(annotator: User, questions: list[Question]) -> list[Question]:
    """Those of which whoever sees some sources only sees every face, and all faces of whom they are about."""
    if not annotator.restricted or not questions:
        return questions
    ids = visible.questions(annotator).filter(pk__in=[each.pk for each in questions]).values_list("pk", flat=True)
    seen = set(ids)
    return [each for each in questions if each.pk in seen]


def _not_spoken_of(annotator: User, questions: list[Question]) -> list[Question]:
    """Whoever spoke of a face in a grid is no second opinion on it; a curator may think again about their own word."""
    again = {Question.Purpose.VERDICT, *([Question.Purpose.DOUBT] if annotator.curates else [])}
    of_values = (Question.Kind.GRID, Question.Kind.VALUE)
    asked = {each.pk: each for each in questions if each.kind in of_values and each.purpose not in again}
    shown = _shown(list(asked)) if asked else []
    spoken_of = set(_spoken_of(annotator.pk, sorted({face for _, face in shown}))) if shown else set()
    known = {question for question, face in shown if (face, asked[question].attribute) in spoken_of}
    return [each for each in questions if each.pk not in known]


_shown = Prepared[tuple[int, int]](
    lambda questions: (
        QuestionFace.objects.filter(question__in=questions).order_by().values_list("question_id", "face_id")
    )
)
# Of these faces alone, by index: a person's history grows for years.
_spoken_of = Prepared[tuple[int, str]](
    lambda annotator, faces: Vote.objects.filter(
        Q(answer__undone_at=None) | Q(answer__reassigned_at__isnull=False), annotator=annotator, face__in=faces
    ).values_list("face_id", "attribute")
)


def hold(annotator: User, question: int, now: datetime | None = None) -> bool:
    """Lease this very question to somebody who took their answer back, so that they can answer it anew.

    False if somebody else holds it. One whose other answers wait to be weighed is left to that, and can be answered.
    """
    now = now or timezone.now()
    open_ = Question.objects.filter(pk=question, state=Question.State.OPEN)
    open_.filter(_available(annotator.pk, now)).update(leased_to=annotator, leased_until=now + LEASE)
    return not open_.filter(leased_until__gt=now, leased_to__isnull=False).exclude(leased_to=annotator).exists()


def holds(annotator: User, question: int, now: datetime | None = None) -> bool:
    """Whether a question is in this person's hands."""
    held = visible.questions(annotator).filter(pk=question, state=Question.State.OPEN, leased_to=annotator)
    return held.filter(leased_until__gte=now or timezone.now()).exists()


def give_back(annotator: User) -> None:
    """On leaving the page: what this person holds is free at once."""
    Question.objects.filter(leased_to=annotator, state=Question.State.OPEN).update(leased_to=None, leased_until=None)


@transaction.atomic
def bring_back_skipped(annotator: User, now: datetime | None = None) -> int:
    """Offer what this person skipped once more. Returns how many questions came back."""
    skipped = visible.answers(annotator).filter(
        annotator=annotator, undone_at=None, question__state=Question.State.OPEN, content__verdict="skip"
    )
    return skipped.update(undone_at=now or timezone.now())


@transaction.atomic
def remember_practice(annotator: User, part: str) -> None:
    """Real questions of this kind follow."""
    user = User.objects.select_for_update(no_key=True).get(pk=annotator.pk)
    if part not in user.practised:
        user.practised = [*user.practised, part]
        user.save(update_fields=["practised"])


def open_counts() -> dict[str, int]:
    """How many questions are open, by kind."""
    counts = Question.objects.filter(state=Question.State.OPEN).values_list("kind").annotate(count=Count("id"))
    return dict.fromkeys(Question.Kind.values, 0) | dict(counts.order_by())
