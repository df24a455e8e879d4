"""Beliefs in, questions out: control and audits by chance, all else by what an answer is worth.

Only so many questions wait at a time: what is asked next depends on what was answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import transaction
from django.db.models import Count
from django.utils import timezone

from annotation import certificates, votes
from annotation.core.batches import batched
from annotation.core.sampling import draw, in_control_slice
from annotation.core.worth import GRID, Draw, grid_pays, next_draw, of_grid, of_single, rarity
from annotation.models import (
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Face,
    Label,
    Proposal,
    Question,
    QuestionFace,
    Vote,
)
from annotation.questions import ask_single, withdraw
from annotation.votes import face_keys
from inference.core.attributes import Attribute

WAITING = 40  # grids, and as many times twenty single questions, of one attribute at a time
FIRST = 100  # control answers that come before anything else of an attribute: calibration begins with them
ENOUGH = 50  # control answers before anybody relies on the machine's confidence
SURE = 0.9  # proposals that wait until then: a certificate may settle them unseen
# Cluster pages are worth up to 24: who a person is comes first, as it makes many labels of one answer.
WORTH_OF_CONTROL, WORTH_OF_FIRST_CONTROL, WORTH_OF_AUDIT, WORTH_OF_GOLD = 1.0, 4.0, 3.0, 1.0


@dataclass(frozen=True)
class Candidate:
    """A face that nobody has settled, of a proposal that stands."""

    face: int
    key: str
    value: str
    confidence: float
    labels: int  # that an answer settles: one, or as many as the person has faces
    voters: tuple[int, ...] = ()  # who spoke of it already: others are asked


def route(attribute: Attribute, calibration: Calibration, *, now: datetime | None = None) -> int:
    """Replace the questions about an attribute that nobody holds. Returns how many wait now."""
    now = now or timezone.now()
    with transaction.atomic():
        open_ = Question.objects.filter(attribute=attribute.name, kind__in=[Question.Kind.GRID, Question.Kind.VALUE])
        replaced = [Question.Purpose.WORK, Question.Purpose.CONTROL, Question.Purpose.AUDIT]
        withdraw(open_.filter(purpose__in=replaced), now=now)
        candidates = _candidates(attribute)
        control = [each for each in candidates if in_control_slice(each.key, settings.CONTROL_SHARE)]
        drawn = {each.face for each in control}
        early = bool(control) and calibration.answers < ENOUGH
        rest = [each for each in candidates if each.face not in drawn and not (early and each.confidence > SURE)]
        _ask_control(attribute, calibration, control)
        for value in attribute.values:
            of_value = [each for each in rest if each.value == value]
            audited = _ask_audit(attribute, calibration, value, [each for each in of_value if not each.voters])
            _ask_work(attribute, [each for each in of_value if each.face not in audited], _rarity(attribute, value))
        _ask_about_accepted(attribute)
        _ask_gold(attribute)
    return Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN).count()


def ask_years(attribute: Attribute) -> int:
    """Ask how old faces look: of so many at a time, by hash. Returns how many questions are new."""
    open_ = Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN)
    room = WAITING * GRID - open_.count()
    if room <= 0:
        return 0
    faces = (
        Face.objects.askable()
        .exclude(attribute_labels__attribute=attribute.name)
        .exclude(label__verdict=Label.Verdict.NOT_A_FACE)
        .exclude(pk__in=open_.values("shown__face"))
    )
    picked = faces.order_by("photo__sha256", "number").values_list("pk", flat=True)[:room]
    return ask_single(attribute.name, list(picked), Question.Purpose.WORK, worth=1 / attribute.answers)


def _candidates(attribute: Attribute) -> list[Candidate]:
    asked = Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN).exclude(
        purpose=Question.Purpose.GOLD
    )
    rows = (
        Proposal.objects.filter(attribute=attribute.name, stands=True, calibration__isnull=False)
        .filter(face__usable=True, face__duplicate_of=None)
        .exclude(face__attribute_labels__attribute=attribute.name)
        .exclude(face__label__verdict=Label.Verdict.NOT_A_FACE)
        .exclude(face__in=asked.values("shown__face"))
        .order_by("face_id")
    )
    columns = ("face_id", "face__photo__sha256", "face__number", "value", "confidence", "face__label__identity")
    found = list(rows.values_list(*columns))
    sizes = _sizes({row[5] for row in found if row[5]}) if attribute.of_identity else {}
    plain = [
        Candidate(face, f"{sha256}-{number}", value, confidence, sizes.get(person or 0, 1))
        for face, sha256, number, value, confidence, person in found
    ]
    return _with_votes(attribute, plain)


def _with_votes(attribute: Attribute, candidates: list[Candidate]) -> list[Candidate]:
    """Where somebody spoke already without settling it, what they said counts, too."""
    spoken = dict[int, set[int]]()
    rows = Vote.objects.filter(attribute=attribute.name, answer__undone_at=None, annotator__paused_at=None)
    open_ = {each.face for each in candidates}
    for face, person in rows.values_list("face_id", "annotator_id").iterator(chunk_size=10_000):
        if face in open_:
            spoken.setdefault(face, set()).add(person)
    belief = dict[int, npt.NDArray[np.float64]]()
    for chunk in batched(sorted(spoken), 400):
        belief |= zip(chunk, votes.believed_of(chunk, attribute), strict=True)
    return [
        replace(
            each,
            value=attribute.values[int(belief[each.face].argmax())],
            confidence=float(belief[each.face].max()),
            voters=tuple(sorted(spoken[each.face])),
        )
        if each.face in belief
        else each
        for each in candidates
    ]


def _sizes(people: set[int]) -> dict[int, int]:
    sizes = dict[int, int]()
    for chunk in batched(sorted(people), 400):
        sizes |= dict(Label.objects.filter(identity__in=chunk).values_list("identity").annotate(count=Count("pk")))
    return sizes


def _rarity(attribute: Attribute, value: str) -> float:
    of_all = Proposal.objects.filter(attribute=attribute.name, stands=True)
    return rarity(of_all.filter(value=value).count() / max(of_all.count(), 1), len(attribute.values))


def _ask_control(attribute: Attribute, calibration: Calibration, control: Sequence[Candidate]) -> None:
    early = max(FIRST - calibration.answers, 0)
    picked = sorted(control, key=lambda each: draw(each.key, "control"))[: WAITING * GRID]
    for count, each in enumerate(picked):
        worth = WORTH_OF_FIRST_CONTROL if count < early else WORTH_OF_CONTROL
        _ask(Question(purpose=Question.Purpose.CONTROL, worth=worth), attribute, [each])


def _ask_audit(attribute: Attribute, calibration: Calibration, value: str, of_value: Sequence[Candidate]) -> set[int]:
    """Grids of faces drawn by chance from what might be accepted. Returns the faces of all that might be."""
    found = _next_draw(attribute, calibration, value, np.array([each.confidence for each in of_value]))
    if found is None:
        return set()
    region = [each for each in of_value if each.confidence >= found.above]
    purpose = f"audit{calibration.pk}"
    picked = sorted(region, key=lambda each: draw(each.key, purpose))[: min(found.faces, WAITING * GRID)]
    for page in batched(picked, GRID):
        question = Question(
            purpose=Question.Purpose.AUDIT,
            value=value,
            worth=WORTH_OF_AUDIT,
            drawn_above=found.above,
            calibration=calibration,
        )
        _ask(question, attribute, page)
    return {each.face for each in region}


def _next_draw(
    attribute: Attribute, calibration: Calibration, value: str, waiting: npt.NDArray[np.float64]
) -> Draw | None:
    sequence = calibration.sequences.get(value, [])
    if not sequence or calibration.answers < ENOUGH:
        return None  # nobody knows yet how far the machine's confidence can be believed
    of_value = Proposal.objects.filter(attribute=attribute.name, value=value, stands=True, calibration__isnull=False)
    confidence: npt.NDArray[np.float64] = np.array(of_value.values_list("confidence", flat=True), np.float64)
    held = Certificate.objects.filter(attribute=attribute.name, value=value, state=Certificate.State.VALID).first()
    return next_draw(
        confidence,
        waiting,
        sequence,
        certified=held.threshold if held else None,
        audited=len(certificates.audit_of(calibration, value).wrong),
        target=settings.TARGET_ERROR,
    )


def _ask_work(attribute: Attribute, work: Sequence[Candidate], rare: float) -> None:
    """The most doubtful first, in grids of faces that are about as doubtful."""
    ordered = sorted(work, key=lambda each: (each.voters, each.confidence))
    alone = [each for each in ordered if not grid_pays(each.confidence)]
    for each in alone[: WAITING * GRID]:
        _ask(Question(worth=of_single(each.confidence, each.labels, rare)), attribute, [each])
    together = [each for each in ordered if grid_pays(each.confidence)]
    for _, group in groupby(together, key=lambda each: each.voters):
        for page in list(batched(group, GRID))[:WAITING]:
            worth = of_grid([each.confidence for each in page], [each.labels for each in page], rare)
            _ask(Question(value=page[0].value, worth=worth), attribute, page)


def _ask_about_accepted(attribute: Attribute) -> None:
    """Some of what certificates let through is looked at all the same."""
    for held in Certificate.objects.filter(attribute=attribute.name).exclude(state=Certificate.State.REVOKED):
        lines = Decision.objects.standing().filter(
            kind=Decision.Kind.VALUE, by=Decision.By.MACHINE, attribute=attribute.name, evidence__certificate=held.pk
        )
        confidence = {line.evidence["face"]: line.evidence["confidence"] for line in lines}
        keys = dict[int, str]()
        for chunk in batched(list(confidence), 400):
            keys |= face_keys(chunk)
        asked = set(QuestionFace.objects.filter(question__certificate=held).values_list("face_id", flat=True))
        due = [
            Candidate(face, key, held.value, confidence[face], 1)
            for face, key in keys.items()
            if face not in asked and draw(f"{held.pk}/{key}", "audit") < settings.AUDIT_SHARE
        ]
        for page in batched(sorted(due, key=lambda each: each.key), GRID):
            question = Question(
                purpose=Question.Purpose.AUDIT,
                value=held.value,
                worth=WORTH_OF_AUDIT,
                drawn_above=held.threshold,
                certificate=held,
            )
            _ask(question, attribute, page)


def _ask_gold(attribute: Attribute) -> None:
    """Faces that at least two people agreed on, asked again as if they were new: so many as the share set."""
    singles = Question.objects.filter(attribute=attribute.name, kind=Question.Kind.VALUE)
    wanted = int(settings.GOLD_SHARE * singles.filter(state=Question.State.OPEN).count())
    wanted -= singles.filter(purpose=Question.Purpose.GOLD, state=Question.State.OPEN).count()
    if wanted <= 0:
        return
    labels = AttributeLabel.objects.filter(
        attribute=attribute.name, value__in=attribute.values, decision__evidence__votes__gte=2
    ).exclude(face__in=singles.filter(purpose=Question.Purpose.GOLD).values("shown__face"))
    for label in labels.order_by("?")[:wanted]:
        known = Candidate(label.face_id, "", label.value, 1.0, 1)
        gold = Question(purpose=Question.Purpose.GOLD, value=label.value, worth=WORTH_OF_GOLD)
        _ask(gold, attribute, [known], single=True)


def _ask(question: Question, attribute: Attribute, faces: Sequence[Candidate], *, single: bool = False) -> None:
    grid = question.value and not single
    question.kind = Question.Kind.GRID if grid else Question.Kind.VALUE
    question.attribute = attribute.name
    question.belief = float(np.mean([each.confidence for each in faces]))
    question.save()
    QuestionFace.objects.bulk_create(
        QuestionFace(question=question, face_id=each.face, place=place, belief=each.confidence)
        for place, each in enumerate(sorted(faces, key=lambda each: draw(each.key, f"place{question.pk}")))
    )
