"""Dates of a person's photos in, real ages out; and questions about photos whose dates do not fit the others'.

A birth date that one photo states holds for all photos of that person. Where the dates of a person contradict each
other a date is wrong, or the photo is of somebody else: people are asked, and nothing is computed until they answered.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from django.db import transaction
from django.db.models import Q, QuerySet

from annotation import labels, ledger
from annotation.core.ages import (
    Age,
    BirthRecord,
    ImpossibleAge,
    contradicting,
    could_be_of,
    implied_birth,
    likely_birth,
    possible,
    real_age,
    stated_birth,
)
from annotation.core.batches import batched
from annotation.core.dates import PartialDate
from annotation.models import AttributeLabel, Decision, Face, Identity, Label, Photo, Question, QuestionFace
from annotation.presence import faces_there, known_people
from annotation.questions import store, withdraw
from inference.core.attributes import REAL_AGE

CHUNK = 400
MOST = 24  # photos a question
OVERLAP = timedelta(seconds=20)  # an answer may be on its way while a later line is there already
WORTH = 2.0  # a label each, as a rule, and a wrong person found


@dataclass
class Record:
    """What is written of one face of a person."""

    face: Face
    age: Age | None = None  # as a set has it
    known: bool = False  # some real age is written down already, or somebody said that its date is wrong
    wrong: bool = False  # somebody said that its date is wrong
    right: bool = False  # somebody was asked whether it is, and left it as it was
    derived: Decision | None = None  # an age that the machine made of this person's birth date

    @property
    def born(self) -> PartialDate | None:
        return date_of(self.face.photo, "birth_date")

    @property
    def taken(self) -> PartialDate | None:
        return date_of(self.face.photo, "taken_at")


@dataclass
class Lifetime:
    """All dated faces of one person."""

    person: int
    records: dict[int, Record] = field(default_factory=dict)  # by face
    merged: set[int] = field(default_factory=set)  # whom merges made one with them: a page may be about one of these

    @property
    def births(self) -> dict[tuple[int, str], BirthRecord]:
        """When they were born, by each thing that says so."""
        found: dict[tuple[int, str], BirthRecord] = {}
        for pk, record in self.records.items():
            if record.wrong:
                continue
            if record.born is not None:
                found[pk, "stated"] = stated_birth(record.born)
            if record.taken is not None and record.age is not None:
                found[pk, "implied"] = implied_birth(record.taken, record.age.low, record.age.high)
        return found

    @property
    def disputed(self) -> list[int]:
        """The faces whose dates do not fit most others', in the order in which to ask about them.

        Where a time of birth rules out more photos than have told it, what told it may be what is wrong: these are
        asked about, too. A photo that somebody was shown and called right counts twice. Records come first, those
        before that fewer photos agree with.
        """
        births = self.births
        odd = {face for face, _ in contradicting(births)}
        agreeing = {face for face, _ in births} - odd
        ruled_out = self._ruled_out(births)
        stand_by_it = sum(2 if self.records[face].right else 1 for face in ruled_out)
        found = odd | ruled_out | (agreeing if stand_by_it > len(agreeing) else set())
        dated = [each.taken for each in self.records.values() if each.taken is not None and not each.wrong]
        fitting: dict[int, int] = {}
        for (face, _), photos in possible(births, dated).items():
            fitting[face] = min(photos, fitting.get(face, photos))
        return sorted(found, key=lambda face: (face not in fitting, fitting.get(face, 0), face))

    def _ruled_out(self, births: Mapping[tuple[int, str], BirthRecord]) -> set[int]:
        """The photos of a time when a person who was born as most of this has it could not be alive."""
        born, likely = self.born, likely_birth(births)  # of a day or year that is stated; and as recorded ages have it
        return {
            face
            for face, record in self.records.items()
            if record.taken is not None
            and not record.wrong
            and ((born and _impossible(born, record.taken)) or (likely and not could_be_of(record.taken, likely)))
        }

    @property
    def born(self) -> PartialDate | None:
        """As it is known best, by what most others do not contradict."""
        births = self.births
        odd = set(contradicting(births))
        stated = [self.records[face].born for face, how in births if how == "stated" and (face, how) not in odd]
        order = ("year", "month", "day")
        return max(filter(None, stated), key=lambda each: order.index(each.precision), default=None)


def date_of(photo: Photo, name: Literal["birth_date", "taken_at"]) -> PartialDate | None:
    """A date that a photo came with."""
    day = getattr(photo, name)
    return None if day is None else PartialDate(day, getattr(photo, f"{name}_precision") or "day")


def _impossible(born: PartialDate, taken: PartialDate) -> bool:
    try:
        real_age(born, taken)
    except ImpossibleAge:
        return True
    return False


def keep_up(since: int = 0) -> int:
    """Look at everybody whom a line of the ledger after `since` touched, or a page that was answered since.

    Returns how many questions wait then.
    """
    written = Decision.objects.filter(pk=since).values_list("at", flat=True).first()
    rows = answered(written and written - OVERLAP).values_list("identity", "identity__merged_into")
    of_pages = {now or one for one, now in rows if one is not None}
    for chunk in batched(sorted(labels.people_since(since) | of_pages), CHUNK):
        for lifetime in _lifetimes(chunk):
            _settle(lifetime)
    return Question.objects.filter(kind=Question.Kind.RECORD, state=Question.State.OPEN).count()


def answered(since: datetime | None) -> QuerySet[Question]:
    """Pages that somebody answered since. Who calls all of one right leaves no line in the ledger."""
    settled = Question.objects.filter(kind=Question.Kind.RECORD, state=Question.State.SETTLED)
    return settled if since is None else settled.filter(settled_at__gte=since)


def _lifetimes(people: Collection[int]) -> Iterator[Lifetime]:
    rows = Label.objects.filter(identity__in=people, face__chosen=True, face__duplicate_of=None).filter(
        Q(face__photo__taken_at__isnull=False) | Q(face__photo__birth_date__isnull=False)
    )
    found: dict[int, Lifetime] = {person: Lifetime(person) for person in people}
    now = dict(Identity.objects.filter(merged_into__in=people).values_list("pk", "merged_into_id"))
    for one, person in now.items():
        found[person or 0].merged.add(one)
    for label in rows.select_related("face__photo").order_by("face_id"):
        found[label.identity_id or 0].records[label.face_id] = Record(label.face)
    of_face = {pk: record for lifetime in found.values() for pk, record in lifetime.records.items()}
    for chunk in batched(sorted(of_face), CHUNK):
        settled = _shown([*people, *now], Question.State.SETTLED).filter(face__in=chunk)
        for asked, pk in settled.values_list("question__identity", "face_id"):
            records = found[now.get(asked or 0) or asked or 0].records
            if pk in records:  # else it is somebody else's by now
                records[pk].right = True
        ages = AttributeLabel.objects.filter(attribute=REAL_AGE.name, face__in=chunk).select_related("decision")
        for age in ages:
            _read(of_face[age.face_id], age)
    _drop_stale(people, of_face)
    yield from found.values()


def _shown(people: Collection[int], *states: Question.State) -> QuerySet[QuestionFace]:
    """What people were or are asked about of these persons."""
    asked = {"question__kind": Question.Kind.RECORD, "question__identity__in": people, "question__state__in": states}
    return QuestionFace.objects.filter(**asked)


def _read(record: Record, age: AttributeLabel) -> None:
    record.known = True
    if age.decision.by == Decision.By.PERSON:
        record.wrong = age.value == "cannot_tell"
    elif age.decision.by == Decision.By.IMPORT:
        record.age = Age(age.detail["low"], age.detail["high"])
    elif "person" in age.decision.evidence:
        record.derived = age.decision


@transaction.atomic
def _drop_stale(people: Collection[int], of_face: Mapping[int, Record]) -> None:
    """Ages that rest on a person's birth date, of faces that are not that person's any more."""
    lines = Decision.objects.standing().filter(
        kind=Decision.Kind.VALUE,
        by=Decision.By.MACHINE,
        attribute=REAL_AGE.name,
        evidence__person__in=list(people),
    )
    ledger.undo([line for line in lines if line.face_id not in of_face], person=None)


@transaction.atomic
def _settle(lifetime: Lifetime) -> None:
    withdraw(Question.objects.filter(kind=Question.Kind.RECORD, identity__in=[lifetime.person, *lifetime.merged]))
    disputed = lifetime.disputed
    if disputed:
        ledger.undo([each.derived for each in lifetime.records.values() if each.derived], person=None)
        _ask(lifetime, disputed)
    elif lifetime.born is not None:
        _derive(lifetime, lifetime.born)


def _derive(lifetime: Lifetime, born: PartialDate) -> None:
    """Ages that the birth date gives; those that another one gave are made anew."""
    lines = list[Decision]()
    for record in lifetime.records.values():
        if record.taken is None or record.wrong or (record.known and record.derived is None):
            continue
        age = real_age(born, record.taken)
        evidence = {"person": lifetime.person, "born": str(born), "taken": str(record.taken)}
        if record.derived is not None and record.derived.evidence == evidence:
            continue
        if record.derived is not None:
            ledger.undo([record.derived], person=None)
        lines.append(
            Decision(
                kind=Decision.Kind.VALUE,
                face=record.face,
                attribute=REAL_AGE.name,
                value=f"{age.years:.2f}",
                detail={"low": round(age.low, 4), "high": round(age.high, 4)},
                by=Decision.By.MACHINE,
                evidence=evidence,
            )
        )
    ledger.write(lines)


def _ask(lifetime: Lifetime, disputed: list[int]) -> None:
    """One page a person, at most so many photos at once. What somebody called right is not asked about again."""
    asked = _shown([lifetime.person, *lifetime.merged], Question.State.OPEN, Question.State.SETTLED)
    said = set(asked.values_list("face_id", flat=True))
    if said >= set(disputed):
        return
    there = faces_there(disputed)
    disputed = [face for face in disputed if face in there]
    if not disputed or not known_people([lifetime.person]):
        return  # erased meanwhile
    others = len({face for face, _ in lifetime.births}.difference(disputed))  # who else says when they were born
    question = Question(
        kind=Question.Kind.RECORD,
        attribute=REAL_AGE.name,
        identity_id=lifetime.person,
        worth=WORTH,
        reason={"kind": "dates", "others": others},
    )
    new_first = sorted(disputed, key=said.__contains__)  # else who has more of them is shown the same page for ever
    store([(question, [(face, 0.0) for face in new_first[:MOST]])])
