"""Clusters in, questions out: what a person is asked of the grouping that holds now."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery, Value
from django.utils import timezone

from annotation.core.batches import batched
from annotation.models import (
    Cluster,
    ClusteringRun,
    Copy,
    Decision,
    Face,
    Identity,
    Label,
    Membership,
    Photo,
    Question,
    QuestionFace,
)
from annotation.presence import faces_there, people_there
from annotation.turns import beginning_again

GRID = 32  # faces a page: as many as 1280 × 800 show without scrolling, each a hundred pixels wide
CHUNK = 500
WORTH_OF_WANTED = 100.0  # what a curator wants asked comes first: a page of faces is worth 32 at most

Page = Sequence[tuple[int, float]]  # faces in the order in which they are shown, each with the machine's belief


@transaction.atomic(savepoint=False)
def store(asked: Sequence[tuple[Question, Page]]) -> list[Question]:
    """New questions, with the faces that each of them shows."""
    questions = Question.objects.bulk_create([question for question, _ in asked], batch_size=CHUNK)
    QuestionFace.objects.bulk_create(
        (
            QuestionFace(question=question, face_id=face, place=place, belief=belief)
            for question, (_, shown) in zip(questions, asked, strict=True)
            for place, (face, belief) in enumerate(shown)
        ),
        batch_size=1_000,
    )
    ids = [question.pk for question in questions]
    for chunk in batched(ids, CHUNK):
        find_sources(Question.objects.filter(pk__in=chunk))
    # Another source may bring one of the photos at this moment, and neither transaction sees what the other writes:
    # once they are there, both look again.
    transaction.on_commit(partial(_look_again, ids))
    return questions


def _look_again(ids: Sequence[int]) -> None:
    again = Copy.objects.filter(photo__faces__questions=OuterRef("pk")).exclude(source=OuterRef("source"))
    for chunk in batched(ids, CHUNK):
        _of_several(Question.objects.filter(Exists(again), pk__in=chunk, source__isnull=False))


def find_sources(questions: QuerySet[Question]) -> None:
    """Write down the one source that all photos of a question came from: of a pair, all of the two people's."""
    shown = QuestionFace.objects.filter(question=OuterRef("pk"))
    people = Label.objects.filter(Q(identity=OuterRef("identity")) | Q(identity=OuterRef("other_identity")))
    pair = Question.Kind.PAIR
    questions.exclude(kind=pair).update(source=_only_source(shown))
    questions.filter(kind=pair).update(source=_only_source(people))


def _only_source(rows: QuerySet[Any]) -> Subquery:
    """Of the photos of these rows' faces; null where several sources brought them, or one of them."""
    source, copied = F("face__photo__source"), "face__photo__copies"
    told = rows.order_by().annotate(all=Value(1)).values("all")
    told = told.annotate(
        first=Min(source), last=Max(source), again=Count(copied, filter=~Q(**{f"{copied}__source": source}))
    )
    return Subquery(told.filter(first=F("last"), again=0).values("first"))


def another_brought(photo: Photo) -> None:
    """Another source brought this photo, too: what shows it is not of one source any more. See `store`."""
    shows = Question.objects.filter(shown__face__photo=photo, source__isnull=False)
    _of_several(shows)
    transaction.on_commit(partial(_of_several, shows))


@beginning_again
def _of_several(questions: QuerySet[Question]) -> None:
    locked = questions.order_by("pk").select_for_update(of=("self",), no_key=True)
    Question.objects.filter(pk__in=list(locked.values_list("pk", flat=True))).update(source=None)


@transaction.atomic
def ask_about_clusters(
    run: ClusteringRun, clusters: Collection[int] | None = None, *, now: datetime | None = None
) -> int:
    """Replace the open questions about these clusters (all of the run without them). Returns how many are asked now.

    A question that somebody holds is left in their hands, and its faces are not asked twice.
    """
    if clusters is None:
        withdraw(Question.objects.filter(kind=Question.Kind.CLUSTER), now=now)
        return _ask(run, Membership.objects.filter(run=run))
    asked = 0
    for chunk in batched(sorted(clusters), CHUNK):
        withdraw(Question.objects.filter(kind=Question.Kind.CLUSTER, cluster__in=chunk), now=now)
        asked += _ask(run, Membership.objects.filter(run=run, cluster__in=chunk))
    return asked


@transaction.atomic(savepoint=False)
def withdraw(questions: QuerySet[Question], *, now: datetime | None = None) -> int:
    """Take open questions that nobody holds out of the queue; those that nobody ever saw leave no row behind.

    One whose answer waits to be weighed is held by whoever weighs it.
    """
    free = Q(leased_until=None) | Q(leased_until__lt=now or timezone.now())
    idle = questions.filter(free, state=Question.State.OPEN).order_by("pk")
    # Locked before anything is deleted: one that somebody takes or answers at this moment is left to them.
    ids = list(idle.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True))
    for chunk in batched(ids, CHUNK):
        rows = Question.objects.filter(pk__in=chunk)
        rows.filter(answers=None).delete()
        rows.update(state=Question.State.WITHDRAWN, leased_to=None, leased_until=None)
    return len(set(ids))


def _ask(run: ClusteringRun, members: QuerySet[Membership]) -> int:
    elsewhere = {"question__kind": Question.Kind.CLUSTER, "question__state": Question.State.OPEN}
    asked_elsewhere = QuestionFace.objects.filter(face=OuterRef("face"), **elsewhere)
    to_ask = members.filter(
        ~Exists(asked_elsewhere), face__usable=True, face__duplicate_of=None, face__label=None
    ).order_by("cluster_id", "belief", "face_id")
    rows = to_ask.values_list("cluster_id", "face_id", "belief").iterator(chunk_size=10_000)
    known: dict[int, int | None] = dict(Cluster.objects.filter(run=run).values_list("pk", "identity_id"))
    count = 0
    faces_there(())  # nobody is erased between what is read here and what is written
    for piece in batched(_pages(rows, known), CHUNK):
        count += len(store(piece))
    return count


def _pages(rows: Iterable[tuple[int, int, float]], known: dict[int, int | None]) -> Iterable[tuple[Question, Page]]:
    for cluster, group in groupby(rows, key=lambda row: row[0]):
        faces = [(face, belief) for _, face, belief in group]
        identity = known[cluster]
        if len(faces) < 2 and identity is None:
            continue  # alone, it says nothing about anybody: it waits for company
        for page in pages(faces):
            yield Question(kind=Question.Kind.CLUSTER, cluster_id=cluster, worth=worth(page), belief=_mean(page)), page


def pages(faces: Sequence[tuple[int, float]]) -> list[Page]:
    """Even pages of at most GRID faces, dealt out like cards: each shows the person as well as doubtful faces."""
    count = -(-len(faces) // GRID)
    return [list(faces[start::count]) for start in range(count)]


def worth(page: Page) -> float:
    """Labels that the question would settle, over the expected actions: one, and one for each misfit."""
    fitting = sum(belief for _, belief in page)
    return fitting / (1 + len(page) - fitting)


def _mean(page: Page) -> float:
    return sum(belief for _, belief in page) / len(page)


@transaction.atomic
def ask_about_pairs(pairs: Iterable[tuple[int, int, float, int]]) -> int:
    """Ask whether these pairs of people are one: (identity, other identity, belief, faces of the smaller one).

    A pair that was ever asked, or is open, is not asked again. Returns how many are new.
    """
    asked, wanted = dict[tuple[int, int], Question](), list(pairs)
    there = people_there({pk for one, other, _, _ in wanted for pk in (one, other)})
    for one, other, belief, faces in wanted:
        low, high = sorted((one, other))
        if not {low, high} <= there or (low, high) in asked:
            continue
        if (
            Question.objects.filter(kind=Question.Kind.PAIR, identity=low, other_identity=high)
            .exclude(state=Question.State.WITHDRAWN)
            .exists()
        ):
            continue
        # Merging relabels nothing but makes two people of one right: half a label each.
        value = 0.5 * faces * belief
        asked[low, high] = Question(
            kind=Question.Kind.PAIR, identity_id=low, other_identity_id=high, belief=belief, worth=value
        )
    return len(store([(question, ()) for question in asked.values()]))


def drop_moot_pairs(people: Collection[int]) -> int:
    """Withdraw open questions about pairs that these people's decisions answered: that are one person by now, are
    parted, or are asked twice since a merge. Returns how many that were."""
    open_ = Question.objects.filter(kind=Question.Kind.PAIR, state=Question.State.OPEN)
    columns = ("worth", "pk", "identity", "identity__merged_into", "other_identity", "other_identity__merged_into")
    known, rows = set[tuple[int, int]](), set[Any]()
    for chunk in batched(sorted(people), CHUNK):
        # Ids, not a subquery: a database that is told whom it looks for finds them by index.
        group = {*chunk, *Identity.objects.filter(merged_into__in=chunk).values_list("pk", flat=True)}
        known |= set(parted(group))
        rows |= set(open_.filter(Q(identity__in=group) | Q(other_identity__in=group)).values_list(*columns))
    moot = list[int]()
    for _, pk, one, one_now, other, other_now in sorted(rows, key=lambda row: (-row[0], row[1])):
        low, high = sorted((one_now or one, other_now or other))
        if low == high or (low, high) in known:
            moot.append(pk)
        known.add((low, high))
    return sum(withdraw(Question.objects.filter(pk__in=chunk)) for chunk in batched(moot, CHUNK))


def parted(among: Collection[int] | None = None) -> Iterator[tuple[int, int]]:
    """Pairs of people whom somebody called two, as they are after all merges, the older first.

    With `among` those that one of these is part of.
    """
    lines = Decision.objects.standing().filter(kind=Decision.Kind.CANNOT_LINK, other_identity__isnull=False)
    if among is not None:
        lines = lines.filter(Q(identity__in=among) | Q(other_identity__in=among))
    columns = ("identity", "identity__merged_into", "other_identity", "other_identity__merged_into")
    for one, one_now, other, other_now in lines.values_list(*columns):
        low, high = sorted((one_now or one, other_now or other))
        yield low, high


@transaction.atomic(savepoint=False)
def ask_single(attribute: str, faces: Collection[int], purpose: Question.Purpose, *, worth: float = 1.0) -> int:
    """Ask which value an attribute of each of these faces is, one face a question.

    A face that is asked about so already keeps its question, which may become a curator's. Returns how many are new.
    """
    if not faces:
        return 0
    there = faces_there(faces)
    if purpose == Question.Purpose.WANTED:
        # Of two who want one face asked at the same moment the second waits here, and finds the question of the first.
        rows = Face.objects.filter(pk__in=list(faces)).order_by("pk")
        list(rows.select_for_update(no_key=True).values_list("pk", flat=True))
    kept = Question.objects.filter(
        kind=Question.Kind.VALUE, attribute=attribute, state=Question.State.OPEN, shown__face__in=list(faces)
    ).exclude(purpose=Question.Purpose.GOLD)
    if purpose == Question.Purpose.VERDICT:
        kept.update(purpose=purpose)
    if purpose == Question.Purpose.WANTED:
        kept.exclude(purpose=Question.Purpose.VERDICT).update(purpose=purpose, worth=worth)
    asked = set(kept.values_list("shown__face", flat=True))
    new = [face for face in faces if face in there and face not in asked]
    asks = {"kind": Question.Kind.VALUE, "attribute": attribute, "purpose": purpose, "worth": worth}
    return len(store([(Question(**asks), [(face, 0.0)]) for face in new]))
