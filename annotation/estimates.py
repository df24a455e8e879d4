"""Faces whose age by dates or record is not what the network sees are asked about: the right person and photo?"""

import numpy as np
from django.db import transaction

from annotation import live_settings
from annotation.core.estimates import BEYOND, improbable
from annotation.models import AttributeLabel, Decision, Label, Proposal, Question
from annotation.presence import faces_there, known_people
from annotation.questions import store
from inference.core.attributes import REAL_AGE

SEEN = "seen"
WORTH = 0.5  # a wrong person found, now and then: what dates contradict comes first


def ask() -> int:
    """Ask about those that differ most, a set share of all known ages in the end. Returns how many are new.

    Only faces of a known person are asked about: of whom else could it be the wrong one?
    """
    # A page about contradicting dates settles more; whoever was asked about once is not asked again.
    asked = Question.objects.filter(kind=Question.Kind.RECORD).exclude(state=Question.State.WITHDRAWN)
    before = set(asked.values_list("shown__face", flat=True))
    ages = {
        label.face_id: label
        for label in AttributeLabel.objects.filter(
            attribute=REAL_AGE.name, face__chosen=True, face__usable=True, face__duplicate_of=None
        )
        .exclude(decision__by=Decision.By.PERSON)
        .iterator(chunk_size=5_000)
    }
    seen = _estimated()
    faces = sorted(set(ages) & set(seen))
    known = np.array([float(ages[face].value) for face in faces])
    half = np.array([(ages[face].detail["high"] - ages[face].detail["low"]) / 2 for face in faces])
    estimated = np.array([seen[face] for face in faces])
    off = improbable(estimated, known, half)
    reasons = Question.objects.filter(pk__in=asked.values("pk"), reason__kind=SEEN)
    room = int(live_settings.get("DOUBT_SHARE") * len(faces)) - reasons.count()
    people = dict(Label.objects.filter(identity__isnull=False).values_list("face_id", "identity_id"))
    doubted = [int(row) for row in np.argsort(-off) if off[row] > BEYOND and faces[row] not in before]
    picked = [row for row in doubted if faces[row] in people][: max(room, 0)]
    with transaction.atomic():
        there = faces_there([faces[row] for row in picked])
        still = known_people({people[faces[row]] for row in picked})
        picked = [row for row in picked if faces[row] in there and people[faces[row]] in still]
        for row in picked:
            question = Question(
                kind=Question.Kind.RECORD,
                attribute=REAL_AGE.name,
                identity_id=people[faces[row]],
                worth=WORTH,
                reason={
                    "kind": SEEN,
                    "seen": float(estimated[row]),
                    "written": float(known[row]),
                    "times": float(off[row]),
                },
            )
            store([(question, [(faces[row], 0.0)])])
    return len(picked)


def _estimated() -> dict[int, float]:
    """By face, the years that the network sees: other photos of a person may share the wrong date with this one."""
    rows = Proposal.objects.filter(attribute=REAL_AGE.name).values_list("face_id", "evidence__network")
    return {face: said[0] for face, said in rows.iterator(chunk_size=5_000)}
