"""What curators want asked: a set of faces, or again, of others, what one person said."""

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from annotation import answers, visible
from annotation.core.batches import batched
from annotation.errors import BadAct, NotUndoable
from annotation.models import Answer, Face, Label, Question, User
from annotation.questions import WORTH_OF_WANTED, ask_single
from inference.core import attributes as registry

MOST = 10_000  # faces at a time: what ten people get through in a day
CHUNK = 500
WHO = "identity"


@transaction.atomic
def ask(*, faces: QuerySet[Face], what: str, by: User, labelled_too: bool = False, because: str = "") -> Answer:
    """Put questions about these faces before all others: an attribute of each, or who they are.

    Of an attribute that is the person's, one face of each is asked about. Who somebody is, is asked on the pages that
    the grouping makes: those pages come first. Undone, what nobody has answered yet is asked no more. Raises BadAct if
    nothing is left to ask, or far too much is.
    """
    usable = faces.filter(usable=True, duplicate_of=None).exclude(label__verdict=Label.Verdict.NOT_A_FACE)
    asked = _pages(usable, by) if what == WHO else _singles(usable, what, labelled_too)
    content = {"act": "ask", "what": what, "count": len(asked), "questions": asked, "because": because}
    return Answer.objects.create(annotator=by, content=content, actions=1)


def _singles(faces: QuerySet[Face], what: str, labelled_too: bool) -> list[int]:
    try:
        about = registry.attribute(what)
    except registry.UnknownAttribute as error:
        raise BadAct(str(error)) from error
    if not about.asked:
        raise BadAct(f"Nobody is asked about {what}: people guess it worse than a machine does.")
    if not labelled_too:
        faces = faces.exclude(attribute_labels__attribute=what)
    rows = list(faces.order_by("pk").values_list("pk", "label__identity")[: MOST + 1])
    if len(rows) > MOST:
        raise BadAct(f"These are more than {MOST:,} faces. Narrow the filter: nobody answers so many in a day.")
    if about.of_identity:
        first = {person or -face: face for face, person in reversed(rows)}
        rows = [(face, person) for face, person in rows if first[person or -face] == face]
    found = list[int]()
    for chunk in batched([face for face, _ in rows], CHUNK):
        ask_single(what, chunk, Question.Purpose.WANTED, worth=WORTH_OF_WANTED)
        found += Question.objects.filter(
            kind=Question.Kind.VALUE,
            attribute=what,
            state=Question.State.OPEN,
            purpose=Question.Purpose.WANTED,
            shown__face__in=chunk,
        ).values_list("pk", flat=True)
    if not found:
        raise BadAct("None of these faces is left to ask about: all are labelled, unusable, or stand behind another.")
    return found


def _pages(faces: QuerySet[Face], by: User) -> list[int]:
    pages = visible.questions(by).filter(kind=Question.Kind.CLUSTER, state=Question.State.OPEN)
    found = sorted(set(pages.filter(shown__face__in=faces.values("pk")).values_list("pk", flat=True)[:MOST]))
    if not found:
        raise BadAct("No open question asks who these are: they are known already, or nobody is like them yet.")
    for chunk in batched(found, CHUNK):
        Question.objects.filter(pk__in=chunk).update(worth=WORTH_OF_WANTED)
    return found


@transaction.atomic
def reassign(
    *, person: int, by: User, kind: str = "", since: datetime | None = None, now: datetime | None = None
) -> int:
    """Have others asked what this person said; answers to known questions stay. Returns how many answers that are.

    They are only marked here, at once; `take_back` then takes them back, some at a time. Labels that rest on what
    others said as well stand.
    """
    own = Answer.objects.filter(annotator=person, undone_at=None, reassigned_at=None, question__isnull=False)
    own = own.exclude(content__verdict="skip").exclude(question__purpose=Question.Purpose.GOLD)
    if kind:
        own = own.filter(question__kind=kind)
    if since is not None:
        own = own.filter(at__gte=since)
    count = Answer.objects.filter(pk__in=own.values("pk")).update(reassigned_at=now or timezone.now(), reassigned_by=by)
    if count:
        name = User.objects.values_list("username", flat=True).get(pk=person)
        content = {"act": "reassign", "annotator": person, "name": name, "count": count, "kind": kind}
        Answer.objects.create(annotator=by, content=content, actions=1)
    return count


def due() -> QuerySet[Answer]:
    """Answers that others are to give instead, and that still stand."""
    return Answer.objects.filter(reassigned_at__isnull=False, undone_at=None)


def take_back(most: int = 1_000) -> int:
    """Take back answers that were reassigned, the latest first. Returns how many; safe to run twice at once."""
    count = 0
    for pk in due().order_by("-pk").values_list("pk", flat=True)[:most]:
        answer = Answer.objects.select_related("reassigned_by").get(pk=pk)
        try:
            answers.undo_answer(answer_id=pk, by=answer.reassigned_by)
        except NotUndoable:
            continue  # another worker, or the person, was quicker
        count += 1
    return count
