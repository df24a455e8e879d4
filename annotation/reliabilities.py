"""All votes in, how far each annotator can be believed out; who falls below the bar is paused."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.utils import timezone

from annotation import votes
from annotation.core.batches import batched
from annotation.core.certificate import upper_bound
from annotation.core.consensus import Consensus, Votes, dawid_skene
from annotation.core.reliability import below_the_bar
from annotation.models import Question, Reliability, User, Vote
from inference.core.attributes import Attribute

Ints = npt.NDArray[np.int64]

MOST = 200_000  # of the latest votes: older ones say little of how somebody answers now
CHUNK = 400


@dataclass(frozen=True, eq=False)
class Told:
    """The latest votes about one attribute."""

    faces: list[int]
    people: list[int]
    votes: Votes
    gold: Ints  # (faces,): the value that is known, −1 without


def learn(attribute: Attribute) -> None:
    """Learn everybody's confusion anew from all that was said, and pause who answers gold too badly."""
    told = _told(attribute)
    if not told.people:
        return
    found = dawid_skene(
        told.votes,
        items=len(told.faces),
        voters=len(told.people),
        classes=len(attribute.values),
        machine=votes.machine_says(told.faces, attribute),
        gold=told.gold,
    )
    right, answered = _gold(attribute)
    _store(attribute, told, found, right, answered)
    for person in told.people:
        if below_the_bar(right[person], answered[person], _at_most):
            pause(
                person,
                f"{right[person]} of {answered[person]} answers about {attribute.name} that are known were right.",
            )


def _at_most(answered: int, right: int) -> float:
    """The share of right answers that is not exceeded, at whatever time one looks."""
    return upper_bound(answered, right) if answered else 1.0


def _told(attribute: Attribute) -> Told:
    rows = list(
        Vote.objects.filter(attribute=attribute.name, answer__undone_at=None)
        .exclude(value=votes.CANNOT_TELL)
        .order_by("-id")
        .values_list("face_id", "annotator_id", "value", "denied")[:MOST]
    )
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
    """What gold questions ask: settled before, whatever is answered now."""
    rows = Question.objects.filter(purpose=Question.Purpose.GOLD, attribute=attribute.name)
    return dict(rows.values_list("shown__face", "value"))


def _gold(attribute: Attribute) -> tuple[Counter[int], Counter[int]]:
    """By annotator: right and all answers to gold."""
    rows = Vote.objects.filter(
        attribute=attribute.name, answer__undone_at=None, answer__question__purpose=Question.Purpose.GOLD
    ).values_list("annotator_id", "value", "answer__question__value")
    right, answered = Counter[int](), Counter[int]()
    for person, said, known in rows:
        answered[person] += 1
        right[person] += said == known
    return right, answered


def _store(attribute: Attribute, told: Told, found: Consensus, right: Counter[int], answered: Counter[int]) -> None:
    count = np.bincount(told.votes.voter, minlength=len(told.people))
    Reliability.objects.bulk_create(
        [
            Reliability(
                annotator_id=person,
                attribute=attribute.name,
                confusion=found.confusion[number].round(5).tolist(),
                votes=int(count[number]),
                gold=answered[person],
                gold_right=right[person],
                at=timezone.now(),
            )
            for number, person in enumerate(told.people)
        ],
        update_conflicts=True,
        unique_fields=["annotator", "attribute"],
        update_fields=["confusion", "votes", "gold", "gold_right", "at"],
    )


@transaction.atomic
def pause(person: int, because: str) -> int:
    """Let somebody answer no more, and ask again what only they answered. Returns how many faces that are.

    Their votes count no more until they are let back; what others said stands.
    """
    user = User.objects.select_for_update().get(pk=person)
    if user.paused_at is not None or user.curates:
        return 0  # a curator who errs is for an admin to judge
    User.objects.filter(pk=person).update(paused_at=timezone.now(), paused_because=because[:300])
    Question.objects.filter(leased_to=person, state=Question.State.OPEN).update(leased_to=None, leased_until=None)
    return _weigh_again(person)


@transaction.atomic
def let_back(person: int) -> int:
    """Believe somebody again: their votes count as before. Returns how many faces are weighed anew."""
    User.objects.filter(pk=person).update(paused_at=None, paused_because="")
    return _weigh_again(person)


def _weigh_again(person: int) -> int:
    mine = Vote.objects.filter(annotator=person, answer__undone_at=None).exclude(
        answer__question__purpose=Question.Purpose.GOLD
    )
    count = 0
    for name in mine.values_list("attribute", flat=True).distinct():
        faces = sorted(set(mine.filter(attribute=name).values_list("face_id", flat=True)))
        for chunk in batched(faces, CHUNK):
            votes.reopen(chunk, name, by=None)
        count += len(faces)
    return count
