"""All votes in, how far each annotator can be believed out; who falls below the bar is paused."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from django.utils import timezone

from annotation import answers, votes
from annotation.core.batches import batched
from annotation.core.certificate import upper_bound
from annotation.core.consensus import Votes, dawid_skene
from annotation.core.reliability import (
    below_the_bar,
    biases,
    drifted,
    in_line,
    intraclass_correlation,
    krippendorff_alpha,
    too_fast,
)
from annotation.models import Agreement, Answer, AttributeLabel, Question, Reliability, User, Vote
from annotation.turns import beginning_again, nobody_settles
from inference.core.attributes import Attribute

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

MOST = 200_000  # of the latest votes: older ones say little of how somebody answers now
CHUNK = 400
OF_PEOPLE = [Question.Kind.CLUSTER, Question.Kind.PAIR, Question.Kind.RECORD]


@dataclass(frozen=True, eq=False)
class Told:
    """The latest votes about one attribute."""

    faces: list[int]
    people: list[int]
    votes: Votes
    gold: Ints  # (faces,): the value that is known, −1 without


def learn(attribute: Attribute) -> None:
    """Learn anew how far everybody can be believed, and how far they agree; pause who answers gold too badly."""
    if attribute.in_years:
        _learn_years(attribute)
        return
    began = timezone.now()
    told = _told(attribute)
    if not told.people:
        return
    drawn = {face for chunk in batched(told.faces, CHUNK) for face in votes.in_control(chunk)}
    found = dawid_skene(
        _teaching(attribute, told, drawn),
        items=len(told.faces),
        voters=len(told.people),
        classes=len(attribute.values),
        machine=np.concatenate([votes.machine_says(chunk, attribute) for chunk in batched(told.faces, CHUNK)]),
        gold=told.gold,
    )
    gold = _gold(attribute)
    count = np.bincount(told.votes.voter, minlength=len(told.people))
    hasty = _hasty(attribute)
    _store(
        Reliability(
            annotator_id=person,
            attribute=attribute.name,
            confusion=found.confusion[number].round(5).tolist(),
            votes=int(count[number]),
            too_fast=hasty[person],
            **_outcome(gold[person]),
        )
        for number, person in enumerate(told.people)
    )
    _agree(attribute, told, drawn, found.frequency)
    for person, right, of in _below_the_bar(gold):
        why = f"{right} of {of} answers about {attribute.name} that are known were right."
        pause(person, why, known_at=began)


def _learn_years(attribute: Attribute) -> None:
    """Guesses have no right and wrong: who guesses older or younger than the others, and who is out of line with them.

    Ten guess each age, so each of their guesses is one whose answer is known; gold asks of others what ten have said.
    """
    began = timezone.now()
    rows = _latest(attribute, "answer__at")
    faces, people = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    unit = np.searchsorted(faces, [row[0] for row in rows])
    voter = np.searchsorted(people, [row[1] for row in rows])
    years = np.array([float(row[2]) for row in rows])
    hasty = _hasty(attribute)
    tried = defaultdict[int, list[Tried]](list)
    let_back = dict(User.objects.filter(let_back_at__isnull=False).values_list("pk", "let_back_at"))
    anew = np.array([row[1] in let_back and row[-1] > let_back[row[1]] for row in rows], np.bool_)
    begun = voter + len(people) * anew  # let back, somebody is known by what they guess from then on
    for row, fits in zip(rows, in_line(unit, begun, years), strict=True):
        if not np.isnan(fits):
            tried[row[1]].append(Tried(bool(fits), row[-1]))
    _store(
        Reliability(
            annotator_id=person,
            attribute=attribute.name,
            confusion=[],
            votes=int((voter == number).sum()),
            bias=_finite(bias.years),
            bias_error=_finite(bias.error),
            too_fast=hasty[person],
            **_outcome(tried[person]),
        )
        for number, (person, bias) in enumerate(zip(people, biases(unit, voter, years, len(people)), strict=True))
    )
    if people:
        shared = np.bincount(unit) > 1
        _keep_agreement(attribute, Agreement.Measure.INTRACLASS, intraclass_correlation(unit, years), int(shared.sum()))
    for person, right, of in _below_the_bar(tried):
        why = f"{right} of {of} guesses of an age that ten people agree on were in line with theirs."
        pause(person, why, known_at=began)


def _teaching(attribute: Attribute, told: Told, drawn: Collection[int]) -> Votes:
    """The votes that say how far people can be believed: of opinions those about the control slice and gold alone.

    Faces are not equally hard to judge. Where one is, machine and voter both are often wrong: whoever speaks of it
    alone explains it, and is believed more for it. Two at least speak of what chance drew, whatever the first one says.
    """
    if attribute.keeps != "distribution" or not drawn:
        return told.votes
    teaches = np.array([face in drawn for face in told.faces], np.bool_) | (told.gold >= 0)
    return told.votes.only(teaches[told.votes.item])


def _agree(attribute: Attribute, told: Told, drawn: Collection[int], frequency: Floats) -> None:
    """On the control slice alone: of other faces a second answer is asked where the first one is doubtful."""
    counted = np.array([told.faces[item] in drawn for item in told.votes.item], np.bool_)
    if told.votes.denied is not None:
        counted &= ~told.votes.denied
    unit, value = told.votes.item[counted], told.votes.value[counted]
    shared = int((np.bincount(unit) > 1).sum()) if len(unit) else 0
    alpha = krippendorff_alpha(unit, value.astype(np.float64)) if shared else float("nan")
    _keep_agreement(attribute, Agreement.Measure.ALPHA, alpha, shared, frequency=frequency.round(5).tolist())


def _keep_agreement(
    attribute: Attribute, measure: Agreement.Measure, value: float, faces: int, **learnt: list[float]
) -> None:
    kept = {"measure": measure, "value": _finite(value), "faces": faces, "at": timezone.now()}
    Agreement.objects.update_or_create(attribute=attribute.name, defaults=kept | learnt)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _hasty(attribute: Attribute) -> Counter[int]:
    """By annotator: how many of the latest answers came too fast to have looked."""
    rows = list(
        Answer.objects.filter(question__attribute=attribute.name, undone_at=None, elapsed_ms__isnull=False)
        .exclude(content__verdict="skip")
        .order_by("-id")
        .values_list("annotator_id", "question__kind", "elapsed_ms")[:MOST]
    )
    if not rows:
        return Counter()
    kinds = {kind: number for number, kind in enumerate(sorted({row[1] for row in rows}))}
    fast = too_fast(np.array([row[2] for row in rows]), np.array([kinds[row[1]] for row in rows]))
    return Counter(row[0] for row, hasty in zip(rows, fast, strict=True) if hasty)


def _at_most(answered: int, right: int) -> float:
    """The share of right answers that is not exceeded, at whatever time one looks."""
    return upper_bound(answered, right) if answered else 1.0


def _latest(attribute: Attribute, *also: str) -> list[tuple[Any, ...]]:
    """Face, annotator, what they said, whether as a denial, and what else is wanted of it.

    Whoever was asked twice has one voice, the latest; who is paused has none.
    """
    rows = (
        Vote.objects.filter(attribute=attribute.name, answer__undone_at=None, annotator__paused_at=None)
        .exclude(value=votes.CANNOT_TELL)
        .order_by("-id")
        .values_list("face_id", "annotator_id", "value", "denied", *also)[:MOST]
    )
    return list({row[:2]: row for row in reversed(rows)}.values())


def _told(attribute: Attribute) -> Told:
    rows = _latest(attribute)
    faces, people = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    item, voter = ({pk: number for number, pk in enumerate(order)} for order in (faces, people))
    told = Votes(
        item=np.array([item[row[0]] for row in rows], np.int64),
        voter=np.array([voter[row[1]] for row in rows], np.int64),
        value=np.array([attribute.index(row[2]) for row in rows], np.int64),
        denied=np.array([row[3] for row in rows], np.bool_),
    )
    gold = np.full(len(faces), -1, np.int64)
    known = _known(attribute)
    for number, face in enumerate(faces):
        if face in known:
            gold[number] = attribute.index(known[face])
    return Told(faces, people, told, gold)


def _known(attribute: Attribute) -> dict[int, str]:
    """What gold questions ask, where it still holds."""
    rows = Question.objects.filter(purpose=Question.Purpose.GOLD, attribute=attribute.name)
    asked = dict(rows.values_list("shown__face", "value"))
    holds = dict[int, str]()
    for chunk in batched(sorted(asked), CHUNK):
        labels = AttributeLabel.objects.filter(attribute=attribute.name, face__in=chunk)
        holds |= dict(labels.values_list("face_id", "value"))
    # Settled otherwise since, or taken back, as who settled it was paused: nobody is to blame for having seen it.
    return {face: value for face, value in asked.items() if holds.get(face) == value}


@dataclass(frozen=True)
class Tried:
    """An answer to a question whose answer is known."""

    right: bool
    at: datetime


def _gold(attribute: Attribute) -> dict[int, list[Tried]]:
    """By annotator: their answers to gold, the oldest first."""
    rows = Vote.objects.filter(
        attribute=attribute.name, answer__undone_at=None, answer__question__purpose=Question.Purpose.GOLD
    ).order_by("id")
    known = _known(attribute)
    found = defaultdict[int, list[Tried]](list)
    for person, face, said, at in rows.values_list("annotator_id", "face_id", "value", "answer__at"):
        if face in known:
            found[person].append(Tried(said == known[face], at))
    return found


def _outcome(tried: Sequence[Tried]) -> dict[str, Any]:
    """What is kept of somebody's answers to what is known, the oldest first."""
    right = np.array([each.right for each in tried], np.bool_)
    return {"gold": len(right), "gold_right": int(right.sum()), "drifted": drifted(right)}


def _below_the_bar(tried: Mapping[int, Sequence[Tried]]) -> Iterator[tuple[int, int, int]]:
    """Who answers too badly what is known, since they were last let back: their number, how many right, of how many."""
    let_back = dict(User.objects.values_list("pk", "let_back_at"))
    for person, theirs in tried.items():
        since = let_back.get(person)
        counted = [each.right for each in theirs if since is None or each.at > since]
        if below_the_bar(sum(counted), len(counted), _at_most):
            yield person, sum(counted), len(counted)


def _store(rows: Iterable[Reliability]) -> None:
    fields = ["confusion", "votes", "bias", "bias_error", "gold", "gold_right", "too_fast", "drifted", "at"]
    Reliability.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["annotator", "attribute"], update_fields=fields
    )


@beginning_again
def pause(person: int, because: str, *, known_at: datetime | None = None) -> int:
    """Let somebody answer no more, and ask again what only they answered. Returns how many faces that are.

    Nobody is, for what was known of them at `known_at`, who was let back since.
    Their votes count no more until they are let back; what others said stands. Who is who rests on one answer, as a
    rule: those answers are taken back for good.
    """
    nobody_settles()
    user = User.objects.select_for_update().get(pk=person)
    if user.paused_at is not None or user.curates:
        return 0  # a curator who errs is for an admin to judge
    if known_at is not None and user.let_back_at is not None and user.let_back_at >= known_at:
        return 0
    User.objects.filter(pk=person).update(paused_at=timezone.now(), paused_because=because[:300])
    Question.objects.filter(leased_to=person, state=Question.State.OPEN).update(leased_to=None, leased_until=None)
    about_people = Answer.objects.filter(annotator=person, undone_at=None, question__kind__in=OF_PEOPLE)
    for answer in about_people.exclude(content__verdict="skip").order_by("-id").values_list("pk", flat=True):
        answers.undo_answer(answer_id=answer, by=None)
    return _weigh_again(person)


@beginning_again
def let_back(person: int) -> int:
    """Believe somebody again: their votes count as before, and only gold that they answer from now on can pause them.

    Returns how many faces are weighed anew.
    """
    nobody_settles()
    paused = User.objects.filter(pk=person, paused_at__isnull=False)
    if not paused.update(paused_at=None, paused_because="", let_back_at=timezone.now()):
        return 0
    return _weigh_again(person)


def _weigh_again(person: int) -> int:
    mine = Vote.objects.filter(annotator=person, answer__undone_at=None)
    count = 0
    for name in mine.values_list("attribute", flat=True).distinct():
        faces = sorted(set(mine.filter(attribute=name).values_list("face_id", flat=True)))
        for chunk in batched(faces, CHUNK):
            votes.reopen(chunk, name, by=None)
        count += len(faces)
    return count
