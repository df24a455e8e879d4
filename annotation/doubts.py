"""Settled labels in, the few that the models disbelieve out, to be asked again with the reason shown."""

from collections.abc import Collection

import numpy as np
from django.db import transaction
from django.db.models import Max

from annotation import live_settings
from annotation.core.doubt import disbelieved
from annotation.core.sampling import face_key, in_control_slice
from annotation.core.splits import Split
from annotation.models import AttributeLabel, Decision, Label, Proposal, Question, Release, Vote
from annotation.presence import faces_there
from annotation.questions import store, withdraw
from inference import registry
from inference.core.attributes import Attribute

LEARNT: tuple[Split, ...] = ("train", "validation")  # the parts of a release that make a network what it is
WORTH = 0.05  # what nobody has answered yet comes first


def ask(attribute: Attribute) -> int:
    """Ask again about the labels that are least believed, a set share of all in the end. Returns how many wait now.

    The models' word is out of fold: no face's label is among what its own belief was learnt from.
    """
    open_ = Question.objects.filter(attribute=attribute.name, purpose=Question.Purpose.DOUBT, state=Question.State.OPEN)
    withdraw(open_.filter(answers=None))
    labels = _labels(attribute)
    asked = set(
        Question.objects.filter(attribute=attribute.name, purpose=Question.Purpose.DOUBT).values_list(
            "shown__face", flat=True
        )
    )
    room = int(live_settings.get("DOUBT_SHARE") * len(labels)) - len(asked)
    if room <= 0:
        return open_.count()
    said = _said(attribute, labels.keys() - _learnt(attribute))
    faces = sorted(said)
    belief = np.array([said[face] for face in faces]).reshape(len(faces), len(attribute.values))
    given = np.array([attribute.index(labels[face]) for face in faces], np.int64)
    doubted = [int(row) for row in disbelieved(belief, given) if faces[row] not in asked]
    with transaction.atomic():
        there = faces_there([faces[row] for row in doubted[:room]])
        for row in doubted[:room]:
            if faces[row] in there:
                _ask(attribute, faces[row], labels[faces[row]], belief[row])
    return open_.count()


def _labels(attribute: Attribute) -> dict[int, str]:
    """By face: what people or a record say, but for the control slice, which is answered blind."""
    rows = (
        AttributeLabel.objects.filter(attribute=attribute.name, value__in=attribute.values)
        .exclude(decision__by=Decision.By.MACHINE)
        .filter(face__usable=True, face__duplicate_of=None)
        .values_list("face_id", "value", "face__photo__sha256", "face__number")
    )
    share = live_settings.get("CONTROL_SHARE")
    return {
        face: value
        for face, value, sha256, number in rows.iterator(chunk_size=5_000)
        if not in_control_slice(face_key(sha256, number), share)
    }


def _learnt(attribute: Attribute) -> set[int]:
    """The faces whose label the live network learnt, or was chosen by. While another one spoke they were judged."""
    network = registry.network_of(attribute.name)
    releases = Release.objects.filter(checksum__in=network.release_ids.split() if network else [])
    until = releases.aggregate(last=Max("finished_at"))["last"]
    if until is None:
        return set()
    labels = AttributeLabel.objects.filter(attribute=attribute.name, decision__at__lte=until)
    learnt = set(labels.filter(face__split__in=LEARNT).values_list("face_id", flat=True))
    if attribute.of_identity:
        # In the program: of a million faces PostgreSQL looked through all of these people for each label.
        taught = Label.objects.filter(face__split__in=LEARNT, identity__isnull=False)
        people = set(taught.values_list("identity_id", flat=True).distinct())
        theirs = labels.filter(face__label__identity__isnull=False).exclude(face__split__in=LEARNT)
        rows = theirs.values_list("face_id", "face__label__identity").iterator(chunk_size=5_000)
        learnt |= {face for face, person in rows if person in people}
    return learnt


def _said(attribute: Attribute, faces: Collection[int]) -> dict[int, list[float]]:
    """The models' calibrated belief, for one face of each person where the attribute is the person's."""
    rows = Proposal.objects.filter(attribute=attribute.name, calibration__isnull=False, stands=True)
    told = rows.values_list("face_id", "belief").iterator(chunk_size=5_000)
    return {face: belief for face, belief in told if face in faces}


def _ask(attribute: Attribute, face: int, value: str, belief: np.typing.NDArray[np.float64]) -> None:
    votes = Vote.objects.filter(face=face, attribute=attribute.name, answer__undone_at=None).count()
    best = int(belief.argmax())
    question = Question(
        kind=Question.Kind.VALUE,
        purpose=Question.Purpose.DOUBT,
        attribute=attribute.name,
        worth=WORTH,
        belief=float(belief[best]),
        reason={
            "kind": "disbelieved",
            "label": value,
            "votes": votes,
            "models": attribute.values[best],
            "belief": float(belief[best]),
        },
    )
    store([(question, [(face, float(belief[best]))])])
