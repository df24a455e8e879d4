"""What single answers say of an attribute, weighed together: a label once they settle it, a question until then."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from django.db import transaction
from django.db.models import F, Q, QuerySet

from annotation import ledger, live_settings
from annotation.core.batches import batched
from annotation.core.consensus import MACHINE_AT_MOST, Votes, believed, next_step, starting, stranger
from annotation.core.sampling import face_key, in_control_slice
from annotation.core.worth import grid_pays
from annotation.models import (
    KEPT,
    Agreement,
    Answer,
    AttributeLabel,
    Decision,
    Face,
    Identity,
    Label,
    Proposal,
    Question,
    Reliability,
    User,
    Vote,
)
from annotation.prepared import Prepared
from annotation.questions import ask_single, withdraw
from inference.core import attributes as registry
from inference.core.attributes import Attribute

Floats = npt.NDArray[np.float64]
Settled = dict[int, tuple[str, dict[str, Any]]]  # by face: the value, and what speaks for it
Open = dict[int, str]  # by face: "ask" now, "grid" when the engine next makes some, or a "curator"

CANNOT_TELL = "cannot_tell"
CHUNK = 400
# Of the control slice the machine learns how far it is right: the belief that settles a face, and the most answers, are
# no less than these. And two people say each, whatever the first one says: they would agree but seldom on the faces
# that a second one is asked about because of what the first one said.
CONTROL_BAR, CONTROL_LEAST, CONTROL_MOST = 0.95, 2, 5
WIDEST = 3.0  # years that a record of an age may leave open and still teach what faces of that age look like
ASKED = (User.Role.ANNOTATOR, User.Role.CURATOR, User.Role.ADMIN)
ALONE = 0.9  # belief that settles where nobody else is there to ask


@dataclass(frozen=True)
class Said:
    """What one answer says of one face."""

    value: str
    denied: bool = False


@dataclass
class Story:
    """All that people said of one face, in order."""

    voters: list[int] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    crowd: Counter[str] = field(default_factory=Counter)  # voices that came with a set: how many said what, never who

    def hear(self, voter: int, said: Said) -> None:
        """Whoever is asked again has one voice: the latest."""
        if voter in self.voters:
            place = self.voters.index(voter)
            del self.voters[place], self.said[place]
        self.voters.append(voter)
        self.said.append(said)

    @property
    def named(self) -> Counter[str]:
        return Counter(each.value for each in self.said if not each.denied) + self.crowd

    def allows(self, attribute: Attribute) -> npt.NDArray[np.bool_]:
        """Which values (values,) somebody named, or did not deny."""
        denied, named = {each.value for each in self.said if each.denied}, self.named
        return np.array([named[value] > 0 or bool(denied - {value}) for value in attribute.values], np.bool_)

    @property
    def nobody_can_tell(self) -> bool:
        """Two people could not, and they are more than half."""
        count = self.named[CANNOT_TELL]
        return count >= 2 and 2 * count > len(self.said) + self.crowd.total()


def cast(answer: Answer, question: Question, said: Mapping[int, Said]) -> bool:
    """Keep what this answer says of each face, and settle what it settles. Call within a transaction.

    What is not settled is asked of somebody else. A curator's verdict settles all that it names; an answer to gold
    settles nothing, as that was known. Returns whether nothing is left to ask with this question.
    """
    keep(answer, question, said)
    wanted = registry.attribute(question.attribute)
    if question.purpose == Question.Purpose.GOLD:
        return True
    if question.purpose == Question.Purpose.VERDICT:
        _write(
            wanted,
            {face: (each.value, {"verdict": True}) for face, each in said.items()},
            told(said, wanted),
            dict.fromkeys(said, answer),
        )
        return True
    return not weigh(dict.fromkeys(said, answer), wanted, of_grids=question.kind == Question.Kind.GRID)


def keep(answer: Answer, question: Question, said: Mapping[int, Said]) -> None:
    Vote.objects.bulk_create(
        Vote(
            answer=answer,
            annotator=answer.annotator,
            face_id=face,
            attribute=question.attribute,
            value=each.value,
            denied=each.denied,
        )
        for face, each in said.items()
    )


def weigh(latest: Mapping[int, Answer], attribute: Attribute, *, of_grids: bool) -> set[int]:
    """Settle what is settled by now of the faces that these answers, by face the last one about it, spoke of.

    Returns the faces that their own questions go on to ask about. Grids ask about none: what one leaves open, other
    questions ask.
    """
    open_ = _weigh(latest, attribute, in_grids=of_grids)
    return set() if of_grids else set(open_)


def _weigh(latest: Mapping[int, Answer], attribute: Attribute, *, in_grids: bool = False) -> Open:
    """Settle what these faces' votes settle, each signed by the last answer about it, and ask about the others, which
    are returned.

    With `in_grids` those of whom the answer is likely wait for the engine, which makes grids of them.
    """
    stories = told(latest, attribute)
    settled, open_ = _guesses(attribute, stories) if attribute.in_years else _values(attribute, stories, in_grids)
    _write(attribute, settled, stories, latest)
    _close(settled, attribute.name, but={answer.question_id for answer in latest.values()})
    of_step = {name: {face for face, step in open_.items() if step == name} for name in ("ask", "curator")}
    ask_single(attribute.name, of_step["ask"], Question.Purpose.AGAIN)
    ask_single(attribute.name, of_step["curator"], Question.Purpose.VERDICT)
    return open_


def told(faces: Iterable[int], attribute: Attribute) -> dict[int, Story]:
    """What people said of these faces, but for what was taken back and for people who are paused.

    The votes that a set like FER+ came with are voices, too: each as that of somebody of whom nothing is known.
    """
    stories = {face: Story() for face in faces}
    for face, detail in _crowds(attribute.name, list(stories)):
        stories[face].crowd = Counter(detail.get("votes", {}))
    for face, voter, value, denied in _said(attribute.name, list(stories)):
        stories[face].hear(voter, Said(value, denied))
    return stories


_crowds = Prepared[tuple[int, dict[str, Any]]](
    lambda attribute, faces: (
        Decision.objects.standing()
        .filter(kind=Decision.Kind.VALUE, by=Decision.By.IMPORT, attribute=attribute, face__in=faces)
        .values_list("face_id", "detail")
    )
)
_said = Prepared[tuple[int, int, str, bool]](
    lambda attribute, faces: (
        _counted(attribute).filter(face__in=faces).order_by("id").values_list("face", "annotator", "value", "denied")
    )
)


def _values(attribute: Attribute, stories: dict[int, Story], in_grids: bool) -> tuple[Settled, Open]:
    settled: Settled = {face: (CANNOT_TELL, {}) for face, story in stories.items() if story.nobody_can_tell}
    faces = [face for face in stories if face not in settled]
    if not faces:
        return settled, {}
    control = in_control(faces)
    prior = machine_says(faces, attribute, control)
    belief = _believed(attribute, faces, stories, prior)
    accepted = _accepted(faces, attribute) if in_grids else set()
    asked = dict(answering())
    curators = {pk for pk, role in asked.items() if role != User.Role.ANNOTATOR}
    open_: Open = {}
    for face, row, machine in zip(faces, belief, prior, strict=True):
        story, people, heard = stories[face], set(stories[face].voters), stories[face].allows(attribute)
        step: str = _next_step(row, story, attribute, in_control=face in control)
        if step == "curator" and attribute.keeps == "distribution":
            heard = np.array([story.named[value] > 0 for value in attribute.values])
            step = "settled" if heard.any() else "ask"  # of opinions nobody is the judge
        if step == "ask" and not set(asked) - people:
            last = story.said[-1]
            if story.voters[-1] in curators and not last.denied:
                settled[face] = last.value, {"verdict": True}  # there is nobody else whose word could weigh more
                continue
            step = "settled" if row.max() >= ALONE and heard[row.argmax()] else "curator"
        if step == "settled":
            best = int(np.where(heard, row, 0.0).argmax())
            evidence = {"belief": round(float(row[best]), 4), "machine": [round(float(each), 4) for each in machine]}
            settled[face] = attribute.values[best], evidence
        else:
            likely = in_grids and face not in control | accepted and grid_pays(float(row.max()))
            open_[face] = "grid" if step == "ask" and likely else step
    return settled, open_


def _accepted(faces: Collection[int], attribute: Attribute) -> set[int]:
    """Those whose label is the machine's: the engine makes no grids of these, so who doubts one is heard at once."""
    labels = AttributeLabel.objects.filter(attribute=attribute.name, face__in=faces)
    return set(labels.filter(decision__by=Decision.By.MACHINE).values_list("face_id", flat=True))


def _next_step(
    belief: Floats, story: Story, attribute: Attribute, *, in_control: bool
) -> Literal["settled", "ask", "curator"]:
    bar, least, most = attribute.bar, 1, attribute.most
    if attribute.keeps == "distribution":
        bar, most = live_settings.get("OPINION_BELIEF"), live_settings.get("OPINIONS")
    if in_control:
        bar, least, most = max(bar, CONTROL_BAR), CONTROL_LEAST, max(most, CONTROL_MOST)
    if not story.allows(attribute)[belief.argmax()]:  # a person signs: the machine alone gainsays nobody
        belief = np.zeros_like(belief)
    return next_step(belief, len(story.said), bar=bar, least=least, most=most)


def believed_of(faces: list[int], attribute: Attribute) -> Floats:
    """What the machine and all votes so far make of these faces (faces, values)."""
    return _believed(attribute, faces, told(faces, attribute), machine_says(faces, attribute))


def in_control(faces: Iterable[int]) -> set[int]:
    """Those of these faces that chance drew for the control slice."""
    return {face for face, key in face_keys(faces).items() if in_control_slice(key, live_settings.get("CONTROL_SHARE"))}


def _guesses(attribute: Attribute, stories: dict[int, Story]) -> tuple[Settled, Open]:
    """Ages as people see them: the mean of so many guesses, each by somebody else, and how far they lie apart."""
    settled: Settled = {}
    open_: Open = {}
    for face, story in stories.items():
        guesses = [float(each.value) for each in story.said if each.value != CANNOT_TELL]
        if len(guesses) >= attribute.answers:
            deviation = float(np.std(guesses, ddof=1))
            settled[face] = f"{np.mean(guesses):.2f}", {"deviation": round(deviation, 3), "guesses": len(guesses)}
        elif story.nobody_can_tell:
            settled[face] = CANNOT_TELL, {}
        else:
            open_[face] = "ask"
    return settled, open_


def machine_says(faces: Collection[int], attribute: Attribute, control: Collection[int] | None = None) -> Floats:
    """The machine's vote (faces, values): its proposal, never quite certain; of the control slice it says nothing."""
    count = len(attribute.values)
    prior = np.full((len(faces), count), 1 / count)
    proposed = dict(_proposed(attribute.name, list(faces)))
    control = in_control(proposed) if control is None else control
    for row, face in enumerate(faces):
        if face in proposed and face not in control:
            prior[row] = proposed[face]
    most = prior.max(axis=1, keepdims=True)
    capped = np.where(prior == most, MACHINE_AT_MOST, prior * (1 - MACHINE_AT_MOST) / np.maximum(1 - most, 1e-9))
    return np.asarray(np.where(most > MACHINE_AT_MOST, capped, prior), np.float64)


_proposed = Prepared[tuple[int, list[float]]](
    lambda attribute, faces: Proposal.objects.filter(attribute=attribute, face__in=faces).values_list(
        "face_id", "belief"
    )
)


def face_keys(faces: Iterable[int]) -> dict[int, str]:
    """What each face stays itself by, in whatever database."""
    return {pk: face_key(sha256, number) for pk, sha256, number in _keys(list(faces))}


_keys = Prepared[tuple[int, str, int]](
    lambda faces: Face.objects.filter(pk__in=faces).values_list("pk", "photo__sha256", "number")
)


def _believed(attribute: Attribute, faces: list[int], stories: dict[int, Story], prior: Floats) -> Floats:
    people = sorted({voter for face in faces for voter in stories[face].voters})
    row = {voter: index for index, voter in enumerate(people)}
    cells = [
        (item, row[voter], attribute.index(said.value), said.denied)
        for item, face in enumerate(faces)
        for voter, said in zip(stories[face].voters, stories[face].said, strict=True)
        if said.value != CANNOT_TELL
    ] + [
        (item, len(people), attribute.index(value), False)
        for item, face in enumerate(faces)
        for value in stories[face].crowd.elements()
        if value in attribute.values
    ]
    if not cells:
        return prior
    item, voter, value, denied = (np.array(column) for column in zip(*cells, strict=True))
    start = starting(prior, _frequencies(attribute))
    return believed(Votes(item, voter, value, denied), start, _confusions(attribute, people))


def _confusions(attribute: Attribute, people: list[int]) -> Floats:
    """How these people answer, and after them whoever is nobody in particular."""
    known = dict(_reliability(attribute.name, people))
    unknown = stranger(len(attribute.values))
    return np.array([*(known.get(person, unknown) for person in people), unknown], np.float64)


_reliability = Prepared[tuple[int, list[list[float]]]](
    lambda attribute, people: Reliability.objects.filter(attribute=attribute, annotator__in=people).values_list(
        "annotator_id", "confusion"
    )
)


def _frequencies(attribute: Attribute) -> Floats:
    """How often each value is that of a face of which the machine says nothing; all alike before anything is learnt."""
    count = len(attribute.values)
    learnt = [each for each in _frequency(attribute.name) if len(each) == count]
    return np.array(learnt[0] if learnt else [1 / count] * count, np.float64)


_frequency = Prepared[list[float]](
    lambda attribute: Agreement.objects.filter(attribute=attribute).values_list("frequency", flat=True)
)


def answering() -> Iterable[tuple[int, str]]:
    """Who may be asked, and as what."""
    return _answering()


_answering = Prepared[tuple[int, str]](
    lambda: User.objects.filter(is_active=True, paused_at=None, role__in=ASKED).values_list("pk", "role")
)


def _write(
    attribute: Attribute, settled: Settled, stories: Mapping[int, Story], signed_by: Mapping[int, Answer]
) -> None:
    """A line for each; where the attribute is the person's, it is said of the person."""
    people = {}
    if attribute.of_identity:
        labels = Label.objects.filter(face__in=list(settled), identity__isnull=False)
        people = {label.face_id: label.identity for label in labels.select_related("identity")}
    lines = []
    for face, (value, evidence) in settled.items():
        person = people.get(face)
        line = ledger.line(
            signed_by[face],
            Decision.Kind.VALUE,
            face=None if person else face,
            identity=person,
            attribute=attribute.name,
            value=value,
        )
        line.evidence |= {"votes": len(stories[face].said), "face": face} | evidence
        line.detail = _detail(attribute, stories[face], evidence)
        lines.append(line)
    ledger.write(lines)


def _detail(attribute: Attribute, story: Story, evidence: Mapping[str, Any]) -> dict[str, Any]:
    if attribute.keeps == "distribution":
        return {"votes": dict(story.named)}
    if attribute.keeps == "mean and deviation" and "deviation" in evidence:
        return {"deviation": evidence["deviation"], "guesses": evidence["guesses"]}
    return {}


def _close(faces: Iterable[int], attribute: str, *, but: Collection[int | None] = ()) -> None:
    """Nobody else needs to say what is settled."""
    others = set(_asked_still(attribute, list(faces))) - set(but)
    if others:
        withdraw(Question.objects.filter(pk__in=others))


_asked_still = Prepared[int](
    lambda attribute, faces: (
        Question.objects.filter(
            kind=Question.Kind.VALUE, attribute=attribute, state=Question.State.OPEN, shown__face__in=faces
        )
        .exclude(purpose=Question.Purpose.GOLD)
        .values_list("pk", flat=True)
    )
)


def settle_clear(attribute: Attribute) -> int:
    """Settle faces whose votes weigh enough now that more is known of those who gave them. Returns how many."""
    labels = AttributeLabel.objects.filter(attribute=attribute.name).exclude(decision__by=Decision.By.MACHINE)
    # What a curator is to judge, or wants asked again, no arithmetic settles; what was answered just now is in hand.
    judged = Q(purpose__in=[Question.Purpose.VERDICT, Question.Purpose.WANTED])
    reserved = Question.objects.filter(judged | KEPT, attribute=attribute.name, state=Question.State.OPEN)
    # Three passes over three tables: joined in one statement they took PostgreSQL minutes before it knew their sizes.
    waiting = set(_counted(attribute.name).values_list("face_id", flat=True))
    waiting -= set(labels.values_list("face_id", flat=True))
    waiting -= set(reserved.values_list("shown__face", flat=True))
    count = 0
    for chunk in batched(sorted(waiting), CHUNK):
        stories, control = told(chunk, attribute), in_control(chunk)
        belief = _believed(attribute, chunk, stories, machine_says(chunk, attribute, control))
        clear = [
            face
            for face, row in zip(chunk, belief, strict=True)
            if _next_step(row, stories[face], attribute, in_control=face in control) == "settled"
        ]
        with transaction.atomic():
            settled = set(clear) - set(_weigh_again(attribute, clear, in_grids=True))
            _close(settled, attribute.name)
        count += len(settled)
    return count


def take_back(answer: Answer, *, by: User | None) -> None:
    """What was settled with the help of an answer that no longer counts is weighed again without it."""
    said = dict(Vote.objects.filter(answer=answer).values_list("face_id", "attribute"))
    for name in set(said.values()):
        reopen([face for face, of in said.items() if of == name], name, by=by, answer=answer)


def settled_lines(faces: Collection[int], name: str) -> QuerySet[Decision]:
    """What people's votes settled about these faces, or about the people whom they are of."""
    # What was said of a person stays a line about them as they were then, whoever they are one with by now.
    of_person = Q(identity__isnull=False, evidence__face__in=list(faces), answer__votes__face__in=list(faces))
    lines = Decision.objects.standing().filter(
        Q(face__in=list(faces)) | of_person,
        kind=Decision.Kind.VALUE,
        by=Decision.By.PERSON,
        attribute=name,
        evidence__votes__gte=0,
    )
    return lines.distinct()


def withdraw_others(question: Question) -> None:
    """One open question about an attribute of a face is enough: this one."""
    if question.kind == Question.Kind.VALUE:
        _close(question.shown.values_list("face_id", flat=True), question.attribute, but={question.pk})


def reopen(faces: Collection[int], name: str, *, by: User | None, answer: Answer | None = None) -> None:
    """Take back what people's votes settled about these faces, and weigh those votes that still count."""
    attribute = registry.attribute(name)
    _answered_no_more(faces, name)
    ledger.undo(settled_lines(faces, name), person=by, answer=answer)
    silent = [face for face, story in told(faces, attribute).items() if not story.said]
    _close(silent, name, but={answer.question_id} if answer else ())
    _weigh_again(attribute, set(faces) - set(silent))


def _answered_no_more(faces: Collection[int], attribute: str) -> None:
    """Until the transaction ends. An answer on its way is waited for: it would be none of the votes that are read next,
    and its question, closed as nobody's, would not be asked again."""
    asked = Question.objects.filter(kind__in=[Question.Kind.GRID, Question.Kind.VALUE], attribute=attribute)
    mine = asked.filter(state=Question.State.OPEN, shown__face__in=list(faces)).order_by("pk")
    list(mine.select_for_update(of=("self",)).values_list("pk", flat=True))


def follow_people(attribute: Attribute) -> int:
    """What was said of a person by looking at a face goes with that face, once it is somebody else's, or nobody's; and
    what was said of a face alone goes for its person, once it has one.

    Returns how many lines were taken back or written. The votes are weighed anew, of whom the face is now.
    """
    return _leave(attribute) + _arrive(attribute)


def _leave(attribute: Attribute) -> int:
    lines = Decision.objects.standing().filter(
        kind=Decision.Kind.VALUE, attribute=attribute.name, identity__isnull=False, evidence__face__isnull=False
    )
    said_of = {line: (face, person) for line, face, person in lines.values_list("pk", "evidence__face", "identity")}
    now = dict(Identity.objects.filter(merged_into__isnull=False).values_list("pk", "merged_into_id"))
    person_of = dict[int, int | None]()
    for chunk in batched(sorted({face for face, _ in said_of.values()}), CHUNK):
        person_of |= dict(Label.objects.filter(face__in=chunk).values_list("face_id", "identity_id"))
    gone = [line for line, (face, person) in said_of.items() if person_of.get(face) != now.get(person, person)]
    for chunk in batched(gone, CHUNK):
        with transaction.atomic():
            taken = list(Decision.objects.standing().filter(pk__in=chunk))
            ledger.undo(taken, person=None)
            _weigh_again(attribute, {line.evidence["face"] for line in taken if line.by == Decision.By.PERSON})
    return len(gone)


def _arrive(attribute: Attribute) -> int:
    """Where a person's faces that were settled alone agree, and nothing is said of the person."""
    spoken = Decision.objects.standing().filter(
        kind=Decision.Kind.VALUE, attribute=attribute.name, identity__isnull=False
    )
    known = {now or one for one, now in spoken.values_list("identity", "identity__merged_into")}
    labels = AttributeLabel.objects.filter(
        attribute=attribute.name,
        value__in=attribute.values,
        decision__by=Decision.By.PERSON,
        decision__answer__isnull=False,
        decision__evidence__face__isnull=False,
        decision__face=F("face"),
        face__label__identity__isnull=False,
    ).order_by("decision_id")
    of_person = dict[int, dict[str, int]]()  # by value the last line that says so
    rows = labels.values_list("face__label__identity", "value", "decision").iterator(chunk_size=5_000)
    for person, value, line in rows:
        if person not in known:  # not asked of the database, which takes only so many at once
            of_person.setdefault(person, {})[value] = line
    agreed = {person: line for person, lines in of_person.items() if len(lines) == 1 for line in lines.values()}
    for chunk in batched(sorted(agreed), CHUNK):
        with transaction.atomic():
            lines = Decision.objects.standing().select_related("answer__annotator", "answer__question")
            said = lines.in_bulk([agreed[person] for person in chunk])
            there = Identity.objects.in_bulk(chunk)
            ledger.write(
                [
                    _said_of(there[person], said[agreed[person]])
                    for person in chunk
                    if person in there and agreed[person] in said
                ]
            )
    return len(agreed)


def _said_of(person: Identity, line: Decision) -> Decision:
    """The same, said of the person, and signed by the same answer: whoever takes that back takes both back."""
    assert line.answer is not None
    found = ledger.line(line.answer, Decision.Kind.VALUE, identity=person, attribute=line.attribute, value=line.value)
    found.evidence |= line.evidence
    found.detail = line.detail
    return found


def _weigh_again(attribute: Attribute, faces: Collection[int], *, in_grids: bool = False) -> Open:
    """Settle what the votes that count settle: each face by the last answer about it, which signs for it. Returns the
    others."""
    last = dict(
        _counted(attribute.name).filter(face__in=list(faces)).order_by("id").values_list("face_id", "answer_id")
    )
    answers = Answer.objects.select_related("question", "annotator").in_bulk(set(last.values()))
    return _weigh({face: answers[pk] for face, pk in last.items()}, attribute, in_grids=in_grids)


def _counted(attribute: str) -> QuerySet[Vote]:
    """All that was said of an attribute, but for what was taken back and for people who are paused."""
    return Vote.objects.filter(attribute=attribute, answer__undone_at=None, annotator__paused_at=None)


@dataclass(frozen=True)
class Known:
    """What people or a record say, by face."""

    value: dict[int, float]  # a class by its number, an age in years
    blind: set[int]  # said of this very face by people who were shown no proposal; of ages by a record, too


def known_of(attribute: Attribute) -> Known:
    """A face that is a person's, or another's duplicate, has its label from there: what was shown there, who knows.

    A record is nobody's answer: the machine is not judged by it. The votes that a set came with are answers.
    """
    if attribute.in_years:
        return _ages_known(attribute)
    labels = AttributeLabel.objects.filter(attribute=attribute.name, value__in=attribute.values)
    line = ("decision__face", "decision__by", "decision__evidence__kind", "decision__evidence__face")
    rows = labels.exclude(decision__by=Decision.By.MACHINE).values_list("face_id", "value", "detail", *line)
    known = Known({}, set())
    for face, value, detail, of_face, by, kind, seen in rows.iterator(chunk_size=5_000):
        known.value[face] = attribute.index(value)
        of_crowd = by == Decision.By.IMPORT and of_face == face and "votes" in detail
        if of_crowd or (kind == Question.Kind.VALUE and seen == face):
            known.blind.add(face)
    return known


def number_of(attribute: Attribute, value: str) -> float | None:
    """A value as it is counted with: a class by its number, an age in years; None where nobody could tell."""
    if attribute.in_years:
        return None if value == CANNOT_TELL else float(value)
    return attribute.index(value) if value in attribute.values else None


def _ages_known(attribute: Attribute) -> Known:
    """Nobody sees a proposal before a guess, and dates are no answers: all that is said of a face itself is blind.

    A record that leaves more than a few years open, as Adience's do, says too little to learn from.
    """
    labels = AttributeLabel.objects.filter(attribute=attribute.name).exclude(value=CANNOT_TELL)
    rows = labels.values_list("face_id", "value", "detail", "decision__face").iterator(chunk_size=5_000)
    known = Known({}, set())
    for face, value, detail, of_face in rows:
        if is_narrow(detail):
            known.value[face] = float(value)
            if of_face == face:
                known.blind.add(face)
    return known


def is_narrow(detail: Mapping[str, Any]) -> bool:
    """Whether a record of an age leaves open no more than a few years."""
    return bool(detail.get("high", 0.0) - detail.get("low", 0.0) <= WIDEST)


def control_said(attribute: Attribute) -> dict[int, str]:
    """By face of the control slice: the value that was answered blind."""
    known = known_of(attribute)
    return {face: attribute.values[int(known.value[face])] for face in control_known(known)}


def control_known(known: Known) -> set[int]:
    """The faces of the control slice of which something was said blind."""
    drawn = set[int]()
    for chunk in batched(sorted(known.blind), CHUNK):
        drawn |= in_control(chunk)
    return drawn
