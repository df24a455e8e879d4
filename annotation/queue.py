"""Open questions, the most worthwhile first, leased to one person at a time."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation import visible
from annotation.errors import AnnotatorPaused
from annotation.models import Answer, Question, QuestionFace, User, Vote
from annotation.prepared import Prepared

LEASE = timedelta(minutes=5)  # someone who went for coffee costs the queue no more than this
LOOK_AT_MOST = 500  # questions at a time that this person might answer


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
    below, size = None, 2 * ahead  # of faces in grids that they did, this person has spoken: they ask others
    while len(taken) < ahead:
        candidates = _best(annotator, _free(annotator, kind, now, below), size)
        may = _not_spoken_of(annotator, _seen_whole(annotator, candidates))
        taken += _lease(may, annotator, now, at_most=ahead - len(taken))
        if len(candidates) < size:
            break
        below, size = candidates[-1], min(2 * size, LOOK_AT_MOST)
    return taken


@transaction.atomic
def _lease(questions: list[Question], annotator: User, now: datetime, *, at_most: int) -> list[Question]:
    """The first of these that nobody else is taking at this moment.

    The limit counts what was locked, not what was looked at: a question that is passed over here is somebody else's.
    """
    rows = Question.objects.filter(pk__in=[each.pk for each in questions], state=Question.State.OPEN)
    free = rows.filter(_available(annotator, now)).order_by("-worth", "id")
    locked = free.select_for_update(skip_locked=True, no_key=True)[:at_most]
    ours = set(locked.values_list("pk", flat=True))
    Question.objects.filter(pk__in=ours).update(leased_to=annotator, leased_until=now + LEASE)
    return [each for each in questions if each.pk in ours]


def _available(annotator: User, now: datetime) -> Q:
    return Q(leased_to=None) | Q(leased_to=annotator) | Q(leased_until__lt=now)


def _free(annotator: User, kind: str | None, now: datetime, below: Question | None) -> QuerySet[Question]:
    """In the order of their worth, from the one below this on."""
    answered = Answer.objects.filter(annotator=annotator, undone_at=None, question=OuterRef("pk"))
    others = Answer.objects.filter(annotator=annotator, reassigned_at__isnull=False, question=OuterRef("pk"))
    questions = Question.objects.filter(
        _available(annotator, now), ~Exists(answered), ~Exists(others), state=Question.State.OPEN
    )
    if not annotator.curates:
        questions = questions.exclude(purpose=Question.Purpose.VERDICT)
    if kind is not None:
        questions = questions.filter(kind=kind)
    if below is not None:
        after = Q(worth__lt=below.worth) | Q(id__gt=below.pk)
        questions = questions.filter(after, worth__lte=below.worth)
    return questions.order_by("-worth", "id")


def _best(annotator: User, questions: QuerySet[Question], size: int) -> list[Question]:
    """The first of these; for whoever sees some sources only, the first of those that show something of them.

    Each part is a query of its own: a database finds it from the worth of the questions where much of them is theirs,
    and from their faces where little is. In one query it could not.
    """
    parts = [list(part[:size]) for part in visible.may_be_asked(annotator, questions)]
    if len(parts) == 1:
        return parts[0]
    found = {question.pk: question for part in parts for question in part}
    return sorted(found.values(), key=lambda question: (-question.worth, question.pk))[:size]


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
    asked = [each.pk for each in questions if each.kind in of_values and each.purpose not in again]
    if not asked:
        return questions
    known = set(_spoken_of(annotator.pk, asked))
    return [each for each in questions if each.pk not in known]


def _shown_that_they_know(annotator: int, questions: Sequence[int]) -> QuerySet[QuestionFace, int]:
    counts = Q(answer__undone_at=None) | Q(answer__reassigned_at__isnull=False)
    own = Vote.objects.filter(
        counts, annotator=annotator, face=OuterRef("face"), attribute=OuterRef("question__attribute")
    )
    shown = QuestionFace.objects.filter(Exists(own), question__in=questions).order_by()
    return shown.values_list("question_id", flat=True)


_spoken_of = Prepared[int](_shown_that_they_know)


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
