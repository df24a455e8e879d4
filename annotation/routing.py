"""Beliefs in, questions out: control and audits by chance, all else by what an answer is worth.

Only so many questions wait at a time: what is asked next depends on what was answered.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import CharField, Count, Exists, F, OuterRef, Value
from django.db.models.functions import MD5, Cast, Concat
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation import certificates, live_settings, votes
from annotation.core.batches import batched
from annotation.core.sampling import draw, face_key, in_control_slice, is_audited
from annotation.core.worth import GRID, Draw, grid_pays, next_draw, of_grid, of_single, rarity
from annotation.models import (
    Answer,
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Face,
    Label,
    Proposal,
    Question,
    QuestionFace,
    Thought,
    Vote,
)
from annotation.presence import faces_there
from annotation.questions import ask_single, store, withdraw
from annotation.votes import face_keys
from inference.core.attributes import Attribute

WAITING = 40  # grids of one attribute at a time
SINGLES = 200  # and single questions: nobody is behind what they teach by more than that
FIRST = 100  # control answers that come before anything else of an attribute: calibration begins with them
ENOUGH = 50  # control answers before anybody relies on the machine's confidence
SURE = 0.9  # proposals that wait until then: a certificate may settle them unseen
CLOSE = 4.0  # years: within so many two standard errors of ten guesses lie, and more is not known of an age
# Belief from which on a value is known: whoever contradicts it has erred. An emotion is settled with much less.
GOLD = 0.98
# Cluster pages are worth up to 32: who a person is comes first, as it makes many labels of one answer.
WORTH_OF_CONTROL, WORTH_OF_FIRST_CONTROL, WORTH_OF_AUDIT, WORTH_OF_GOLD = 1.0, 4.0, 3.0, 3.0


@dataclass(frozen=True)
class Candidate:
    """A face that nobody has settled, of a proposal that stands."""

    face: int
    key: str
    value: str
    confidence: float
    labels: int  # that an answer settles: one, or as many as the person has faces
    voters: tuple[int, ...] = ()  # who spoke of it already: others are asked


Asked = tuple[Question, Sequence[Candidate]]  # a question to be asked, and what it shows


def route(attribute: Attribute, calibration: Calibration, *, now: datetime | None = None) -> int:
    """Replace the questions about an attribute that nobody holds. Returns how many wait now."""
    now = now or timezone.now()
    with transaction.atomic():
        # Two workers that think at once do this one after the other: no face is asked about twice.
        Thought.objects.select_for_update().filter(attribute=attribute.name).first()
        open_ = Question.objects.filter(attribute=attribute.name, kind__in=[Question.Kind.GRID, Question.Kind.VALUE])
        replaced = [Question.Purpose.WORK, Question.Purpose.CONTROL, Question.Purpose.AUDIT]
        withdraw(open_.filter(purpose__in=replaced), now=now)
        candidates = _candidates(attribute)
        control = [each for each in candidates if in_control_slice(each.key, live_settings.get("CONTROL_SHARE"))]
        drawn = {each.face for each in control}
        early = calibration.answers < ENOUGH <= calibration.answers + len(control) + _in_hand(attribute)
        rest = [each for each in candidates if each.face not in drawn and not (early and each.confidence > SURE)]
        asked = _control(attribute, calibration, control)
        together = len({person for each in rest for person in each.voters}) // 2
        singles, grids = list[Asked](), list[Asked]()
        for value in attribute.values:
            of_value = [each for each in rest if each.value == value]
            audits, audited = _audits(attribute, calibration, value, [each for each in of_value if not each.voters])
            asked += audits
            work = [each for each in of_value if each.face not in audited]
            for question, faces in _work(work, _rarity(attribute, value), together):
                (grids if question.value else singles).append((question, faces))
        asked += sorted(singles, key=lambda each: -each[0].worth)[:SINGLES]
        asked += _first(grids, _audited(attribute, calibration))[:WAITING]
        _ask([*asked, *_about_accepted(attribute)], attribute)
        _ask(_gold(attribute), attribute)
    return Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN).count()


def ask_years(attribute: Attribute) -> int:
    """Ask how old faces look: of so many at a time, by hash; and of gold, as of the others. Returns how many questions
    are new."""
    _ask(_gold(attribute), attribute)
    open_ = Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN)
    room = SINGLES - open_.exclude(purpose=Question.Purpose.GOLD).count()
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
    """All that nobody has settled, and of the control slice what only a record speaks of: people answer that, too."""
    asked = Question.objects.filter(attribute=attribute.name, state=Question.State.OPEN).exclude(
        purpose=Question.Purpose.GOLD
    )
    rows = (
        Proposal.objects.filter(attribute=attribute.name, stands=True, calibration__isnull=False)
        .filter(face__usable=True, face__duplicate_of=None)
        .exclude(face__label__verdict=Label.Verdict.NOT_A_FACE)
        .exclude(face__in=asked.values("shown__face"))
        .order_by("face_id")
    )
    columns = ("face_id", "face__photo__sha256", "face__number", "value", "confidence", "face__label__identity")
    share = live_settings.get("CONTROL_SHARE")
    records = AttributeLabel.objects.filter(attribute=attribute.name, decision__by=Decision.By.IMPORT)
    mere = records.filter(decision__face=F("face"), detail__votes__isnull=True)
    found = list(rows.exclude(face__attribute_labels__attribute=attribute.name).values_list(*columns))
    recorded = rows.filter(face__attribute_labels__in=mere).values_list(*columns).iterator(chunk_size=5_000)
    found += [row for row in recorded if in_control_slice(face_key(row[1], row[2]), share)]
    sizes = _sizes({row[5] for row in found if row[5]}) if attribute.of_identity else {}
    plain = [
        Candidate(face, face_key(sha256, number), value, confidence, sizes.get(person or 0, 1))
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


def _in_hand(attribute: Attribute) -> int:
    """Faces of the control slice that open questions ask about."""
    asked = QuestionFace.objects.filter(question__attribute=attribute.name, question__state=Question.State.OPEN)
    shown = asked.exclude(question__purpose=Question.Purpose.GOLD).values_list("face_id", flat=True)
    return sum(len(votes.in_control(chunk)) for chunk in batched(sorted(set(shown)), 400))


def _sizes(people: set[int]) -> dict[int, int]:
    sizes = dict[int, int]()
    for chunk in batched(sorted(people), 400):
        sizes |= dict(Label.objects.filter(identity__in=chunk).values_list("identity").annotate(count=Count("pk")))
    return sizes


def _rarity(attribute: Attribute, value: str) -> float:
    of_all = Proposal.objects.filter(attribute=attribute.name, stands=True)
    return rarity(of_all.filter(value=value).count() / max(of_all.count(), 1), len(attribute.values))


def _control(attribute: Attribute, calibration: Calibration, control: Sequence[Candidate]) -> list[Asked]:
    early = max(FIRST - calibration.answers, 0)
    picked = sorted(control, key=lambda each: draw(each.key, "control"))[:SINGLES]
    worth = [WORTH_OF_FIRST_CONTROL if count < early else WORTH_OF_CONTROL for count in range(len(picked))]
    return [
        (Question(purpose=Question.Purpose.CONTROL, worth=value), [each])
        for value, each in zip(worth, picked, strict=True)
    ]


def _audits(
    attribute: Attribute, calibration: Calibration, value: str, of_value: Sequence[Candidate]
) -> tuple[list[Asked], set[int]]:
    """Grids of faces drawn by chance from what might be accepted, and the faces of all that might be."""
    found = _next_draw(attribute, calibration, value, np.array([each.confidence for each in of_value]))
    if found is None:
        return [], set()
    region = [each for each in of_value if each.confidence >= found.above]
    purpose = f"audit{calibration.pk}"
    picked = sorted(region, key=lambda each: draw(each.key, purpose))[: min(found.faces, WAITING * GRID)]
    drawn = {"worth": WORTH_OF_AUDIT, "drawn_above": found.above, "calibration": calibration}
    asked: list[Asked] = [
        (Question(purpose=Question.Purpose.AUDIT, value=value, **drawn), page) for page in batched(picked, GRID)
    ]
    return asked, {each.face for each in region}


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
        target=live_settings.get("TARGET_ERROR"),
    )


def _work(work: Sequence[Candidate], rare: float, together: int) -> Iterator[Asked]:
    """The most doubtful first, in grids of faces that are about as doubtful."""
    ordered = sorted(work, key=lambda each: (each.voters, each.confidence))
    for each in ordered:
        if not grid_pays(each.confidence):
            yield Question(worth=of_single(each.confidence, each.labels, rare)), [each]
    for page in _pages([each for each in ordered if grid_pays(each.confidence)], together):
        worth = of_grid([each.confidence for each in page], [each.labels for each in page], rare)
        yield Question(value=page[0].value, worth=worth), page


def _pages(ordered: Sequence[Candidate], together: int) -> Iterator[list[Candidate]]:
    """Faces that nobody spoke of, and then those that somebody did: such a page is for others than all of these.

    So many people's may be `together`, half of those who answer: one person's faces of one value hardly fill a page.
    """
    page, spoken = list[Candidate](), set[int]()
    for each in ordered:
        if page and (
            len(page) == GRID
            or bool(each.voters) != bool(spoken)
            or len(spoken | set(each.voters)) > max(together, len(page[0].voters))
        ):
            yield page
            page, spoken = [], set()
        page.append(each)
        spoken |= set(each.voters)
    if page:
        yield page


def _first(grids: Sequence[Asked], audited: Collection[int]) -> list[Asked]:
    """A page costs an action, however few faces it has: what does not fill one waits for more, unless an audit waits
    for a second word on one of them, as whoever is marked counts as wrong until then."""

    def order(each: Asked) -> tuple[bool, float]:
        question, faces = each
        return len(faces) < GRID and not any(face.face in audited for face in faces), -question.worth

    return sorted(grids, key=order)


def _audited(attribute: Attribute, calibration: Calibration) -> set[int]:
    shown = QuestionFace.objects.filter(
        question__attribute=attribute.name, question__purpose=Question.Purpose.AUDIT, question__calibration=calibration
    )
    return set(shown.filter(question__state=Question.State.SETTLED).values_list("face_id", flat=True))


def _about_accepted(attribute: Attribute) -> Iterator[Asked]:
    """Some of what certificates let through is looked at all the same."""
    for held in Certificate.objects.filter(attribute=attribute.name).filter(
        state__in=[Certificate.State.VALID, Certificate.State.REPLACED]
    ):
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
            if face not in asked and is_audited(key, str(held.pk), live_settings.get("AUDIT_SHARE"))
        ]
        drawn = {"worth": WORTH_OF_AUDIT, "drawn_above": held.threshold, "certificate": held}
        for page in batched(sorted(due, key=lambda each: each.key), GRID):
            yield Question(purpose=Question.Purpose.AUDIT, value=held.value, **drawn), page


def _gold(attribute: Attribute) -> Iterator[Asked]:
    """Faces that two people at least made certain, asked again as if they were new: so many as the share set.

    An age is known within a few years: by ten guesses that lie close.
    """
    singles = Question.objects.filter(attribute=attribute.name, kind=Question.Kind.VALUE)
    answers = Answer.objects.filter(question__attribute=attribute.name, undone_at=None).count()
    wanted = int(live_settings.get("GOLD_SHARE") * answers) - singles.filter(purpose=Question.Purpose.GOLD).count()
    if wanted <= 0:
        return
    known = _ages_known(attribute) if attribute.in_years else _undisputed(attribute)
    asked = set(singles.filter(purpose=Question.Purpose.GOLD).values_list("shown__face", flat=True))
    for label in islice((each for each in known if each.face_id not in asked), wanted):
        shown = Candidate(label.face_id, "", label.value, 1.0, 1)
        yield Question(purpose=Question.Purpose.GOLD, value=label.value, worth=WORTH_OF_GOLD), [shown]


def _by_chance() -> MD5:
    """The same in every run of an installation; but nobody who knows the photos' hashes can tell what is known.

    An expression, which no index has: PostgreSQL reads a cursor's first rows in the order of an index, where it takes
    few to fit, and took 35 s for some of 20,000.
    """
    secret = salted_hmac("gold", "").hexdigest()
    return MD5(Concat("face__photo__sha256", Value("-"), Cast("face__number", CharField()), Value(secret)))


def _undisputed(attribute: Attribute) -> Iterator[AttributeLabel]:
    """By chance, labels that two people at least made certain.

    Of an opinion only what nobody disputes, the machine neither. Of the emotions that two people's words made certain
    (FER+) ten people say the same in 0.64: honest ones would fail, and be paused. Of these it is 0.89.
    """
    labels = AttributeLabel.objects.filter(
        attribute=attribute.name,
        value__in=attribute.values,
        decision__evidence__votes__gte=2,
        decision__evidence__belief__gte=GOLD,
        decision__evidence__verdict__isnull=True,  # a curator's word is asked where people do not agree
    )
    if attribute.keeps == "distribution":
        proposed = Proposal.objects.filter(attribute=attribute.name, face=OuterRef("face"), value=OuterRef("value"))
        labels = labels.filter(Exists(proposed))
    return (label for label in labels.order_by(_by_chance()).iterator() if len(label.detail.get("votes", ())) <= 1)


def _ages_known(attribute: Attribute) -> Iterator[AttributeLabel]:
    """By chance, ages that ten guesses tell closely enough to hold somebody's guess against them."""
    labels = AttributeLabel.objects.filter(attribute=attribute.name, face__usable=True, face__duplicate_of=None)
    rows = labels.filter(detail__has_key="guesses").order_by(_by_chance())
    return (label for label in rows.iterator() if _is_close(label.detail))


def _is_close(told: Mapping[str, Any]) -> bool:
    return bool(2 * told["deviation"] <= CLOSE * np.sqrt(told["guesses"]))


@transaction.atomic
def _ask(asked: Iterable[Asked], attribute: Attribute) -> None:
    """A grid where a value is proposed; of gold the value is known, and not shown."""
    asked = list(asked)
    there = faces_there({each.face for _, faces in asked for each in faces})
    asked = [(question, [each for each in faces if each.face in there]) for question, faces in asked]
    asked = [(question, faces) for question, faces in asked if faces]
    for question, faces in asked:
        grid = question.value and question.purpose != Question.Purpose.GOLD
        question.kind = Question.Kind.GRID if grid else Question.Kind.VALUE
        question.attribute = attribute.name
        question.belief = float(np.mean([each.confidence for each in faces]))
    store([(question, [(each.face, each.confidence) for each in faces]) for question, faces in asked])
