"""Open questions, the most worthwhile first, leased to one person at a time."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.errors import AnnotatorPaused
from annotation.models import Answer, Question, QuestionFace, User, Vote

LEASE = timedelta(minutes=5)  # someone who went for coffee costs the queue no more than this


def take_next(
    annotator: User, *, kind: str | None = None, ahead: int = 1, now: datetime | None = None
) -> list[Question]:
    """Lease up to `ahead` of the most worthwhile questions that this person has not answered.

    The UPDATE names the state that it expects, so of two people who ask at once one changes the row
    and the other looks further down. What is leased to this person already is among them, and renewed.
    Raises AnnotatorPaused.
    """
    now = now or timezone.now()
    if annotator.paused_at is not None:
        raise AnnotatorPaused(annotator.paused_because)
    taken = list[Question]()
    seen = set[int]()
    while len(taken) < ahead:
        candidates = list(_free(annotator, kind, now).exclude(pk__in=seen)[: ahead - len(taken)])
        if not candidates:
            break
        for question in candidates:
            seen.add(question.pk)
            claimed = Question.objects.filter(pk=question.pk, state=Question.State.OPEN).filter(
                _available(annotator, now)
            )
            if claimed.update(leased_to=annotator, leased_until=now + LEASE):
                taken.append(question)
    return taken


def _available(annotator: User, now: datetime) -> Q:
    return Q(leased_to=None) | Q(leased_to=annotator) | Q(leased_until__lt=now)


def _free(annotator: User, kind: str | None, now: datetime) -> QuerySet[Question]:
    answered = Answer.objects.filter(annotator=annotator, undone_at=None, question__state=Question.State.OPEN)
    questions = Question.objects.filter(_available(annotator, now), state=Question.State.OPEN)
    verdict = Q(purpose=Question.Purpose.VERDICT)
    again = Q(purpose__in=[Question.Purpose.VERDICT, *([Question.Purpose.DOUBT] if annotator.curates else [])])
    if not annotator.curates:
        questions = questions.exclude(verdict)
    # Whoever spoke of a face in a grid is no second opinion on it; a curator may think again about their own word.
    spoken = Vote.objects.filter(
        annotator=annotator,
        answer__undone_at=None,
        attribute=OuterRef("attribute"),
        face__in=QuestionFace.objects.filter(question=OuterRef(OuterRef("pk"))).values("face"),
    )
    questions = questions.exclude(~again & Q(kind__in=[Question.Kind.GRID, Question.Kind.VALUE]) & Exists(spoken))
    if kind is not None:
        questions = questions.filter(kind=kind)
    return questions.exclude(pk__in=answered.values("question_id")).order_by("-worth", "id")


def give_back(annotator: User) -> None:
    """On leaving the page: what this person holds is free at once."""
    Question.objects.filter(leased_to=annotator, state=Question.State.OPEN).update(leased_to=None, leased_until=None)


@transaction.atomic
def bring_back_skipped(annotator: User, now: datetime | None = None) -> int:
    """Offer what this person skipped once more. Returns how many questions came back."""
    skipped = Answer.objects.filter(
        annotator=annotator, undone_at=None, question__state=Question.State.OPEN, content__verdict="skip"
    )
    return skipped.update(undone_at=now or timezone.now())


def open_counts() -> dict[str, int]:
    """How many questions are open, by kind."""
    counts = Question.objects.filter(state=Question.State.OPEN).values_list("kind").annotate(count=Count("id"))
    return dict.fromkeys(Question.Kind.values, 0) | dict(counts.order_by())
