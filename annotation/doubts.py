"""Settled labels in, the few that the models disbelieve out, to be asked again with the reason shown."""

import numpy as np
from django.db import transaction

from annotation import live_settings
from annotation.core.doubt import disbelieved
from annotation.core.sampling import face_key, in_control_slice
from annotation.models import AttributeLabel, Decision, Proposal, Question, Vote
from annotation.presence import faces_there
from annotation.questions import store, withdraw
from inference.core.attributes import Attribute

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
    said = _said(attribute, list(labels))
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


def _said(attribute: Attribute, faces: list[int]) -> dict[int, list[float]]:
    """The models' calibrated belief, for one face of each person where the attribute is the person's."""
    rows = Proposal.objects.filter(attribute=attribute.name, calibration__isnull=False, stands=True)
    wanted = set(faces)
    told = rows.values_list("face_id", "belief").iterator(chunk_size=5_000)
    return {face: belief for face, belief in told if face in wanted}


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
