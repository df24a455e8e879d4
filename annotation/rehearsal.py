"""A labelled set replayed as the answers of people: what the engine would ask of them, and what would come of it.

The set's faces, vectors and the networks' proposals are copied into a scratch database, without a label. There the
very engine runs; simulated annotators, who know the set's labels but for their slips, answer what it asks.
"""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from django.apps import apps
from django.db import connections, models
from django.db.models import Max

from annotation import clustering, engine
from annotation.answers import record_answer
from annotation.errors import NothingToRehearse, QuestionClosed
from annotation.models import (
    AttributeLabel,
    Certificate,
    Decision,
    Embedding,
    Face,
    Identity,
    Label,
    NetworkOutput,
    Photo,
    Proposal,
    Question,
    Source,
    User,
)
from annotation.proposals import vectors_of
from annotation.queue import take_next
from inference import registry
from inference.core import attributes
from inference.core.attributes import Attribute
from inference.core.probe import predict
from inference.models import ModelVersion

CHUNK = 500
NOTED = 100  # how often, over as many answers as there are faces, it is noted how things stand
IDENTITY = "identity"
NO_METADATA = "trusting the metadata: this source has none that speaks of it"
CLEAR = 0.7  # of a face's votes for one value: where people agree less, no label of one value is right or wrong


@dataclass(frozen=True)
class Plan:
    """What is rehearsed, and with whom."""

    what: tuple[str, ...]  # attributes, and "identity"
    annotators: int = 5
    slips: float = 0.02  # the share of their answers that are wrong, where the set has no votes
    # The share of their marks in grids that say only "not this". The desk asks for what it is instead, "if you can": no
    # team's share was counted yet, and one in five is a guess.
    bare: float = 0.2
    seed: int = 0
    think_every: float = 0.05  # of the answers so far: how often the engine thinks anew
    stop_at: float = 1.0  # the share of the faces labelled that is enough
    people_known: bool = False  # who everybody is stands from the start, as the set says it


@dataclass(frozen=True)
class Truth:
    """What the set says: by face, the person, and each attribute's value; and the votes, where it has them."""

    person: Mapping[int, str]
    value: Mapping[str, Mapping[int, str]]
    votes: Mapping[str, Mapping[int, Mapping[str, int]]]

    def clear(self, attribute: Attribute) -> dict[int, str]:
        """The faces of which one value is known."""
        votes = self.votes.get(attribute.name, {})
        return {
            face: value
            for face, value in self.value[attribute.name].items()
            if value in attribute.values
            and (face not in votes or votes[face].get(value, 0) >= CLEAR * sum(votes[face].values()))
        }


@dataclass(frozen=True)
class Moment:
    """How things stood after so many actions."""

    answers: int
    actions: int
    labelled: Mapping[str, int]  # by attribute
    right: Mapping[str, int]
    by_machine: Mapping[str, int]  # of those labelled, accepted under a certificate
    settled: Mapping[
        str, int
    ]  # all faces that nobody has to answer about any more, those that are not scored among them


@dataclass(frozen=True)
class Baseline:
    """What another way of labelling comes to, with the same people."""

    attribute: str
    name: str
    actions: int
    labelled: int
    right: int


@dataclass
class Outcome:
    plan: Plan
    faces: int
    known: Mapping[str, int]  # by attribute: faces of which the set clearly knows it; only these are scored
    moments: list[Moment] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)  # questions by kind and purpose
    actions_for: Counter[str] = field(default_factory=Counter)  # by attribute or "identity"
    certificates: list[dict[str, Any]] = field(default_factory=list)
    baselines: list["Baseline"] = field(default_factory=list)
    with_votes: list[str] = field(default_factory=list)  # attributes of which the set says what people voted

    @property
    def last(self) -> Moment:
        return self.moments[-1]

    def as_json(self) -> dict[str, Any]:
        counts = {"asked": dict(self.asked), "actions_for": dict(self.actions_for)}
        plain = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in counts}
        plain |= {"plan": asdict(self.plan)}
        plain |= {name: [asdict(each) for each in plain[name]] for name in ("moments", "baselines")}
        return plain | counts


# ---- what the set says


def knows(source: Source, what: str) -> bool:
    """Whether a source has labels of this attribute, or of identity, at all."""
    try:
        truth_of(source, [what])
    except NothingToRehearse:
        return False
    return True


def truth_of(source: Source, what: Sequence[str]) -> Truth:
    """The labels that came with a source, or that people gave it. Raises NothingToRehearse."""
    faces = Face.objects.filter(photo__source=source, usable=True, duplicate_of=None)
    person = dict[int, str]()
    if IDENTITY in what:
        labels = Label.objects.filter(face__in=faces, verdict=Label.Verdict.IDENTITY)
        person = {face: str(identity) for face, identity in labels.values_list("face_id", "identity_id")}
    values, votes = dict[str, dict[int, str]](), dict[str, dict[int, dict[str, int]]]()
    for name in what:
        if name == IDENTITY:
            continue
        known = AttributeLabel.objects.filter(face__in=faces, attribute=name).exclude(decision__by="machine")
        rows = list(known.values_list("face_id", "value", "detail"))
        values[name] = {face: value for face, value, _ in rows}
        votes[name] = {face: detail["votes"] for face, _, detail in rows if detail.get("votes")}
    for name in what:
        if not (person if name == IDENTITY else values[name]):
            raise NothingToRehearse(source.name, name)
    return Truth(person, values, votes)


# ---- the scratch database


@contextmanager
def scratch(source: Source, faces: set[int], *, people_known: bool = False) -> Iterator[None]:
    """Within it, the database is an empty one with these faces, their vectors and the networks' proposals.

    With `people_known` also with the people that they are labelled as.
    """
    version = list(ModelVersion.objects.all())
    rows: list[Sequence[models.Model]] = [
        [source],
        list(Photo.objects.filter(source=source)),
        list(Face.objects.filter(pk__in=Face.objects.filter(photo__source=source).values("pk"))),
        list(Embedding.objects.filter(face__photo__source=source)),
        list(Proposal.objects.filter(face__photo__source=source)),
        list(NetworkOutput.objects.filter(face__photo__source=source, version__state=ModelVersion.State.LIVE)),
        *(_people_of(source, faces) if people_known else []),
    ]
    kept = connections["default"]
    with tempfile.TemporaryDirectory(prefix="dager-rehearsal-") as folder:
        settings_dict = dict(kept.settings_dict) | {"ENGINE": "django.db.backends.sqlite3"}
        settings_dict |= {"NAME": str(Path(folder) / "scratch.sqlite3"), "HOST": "", "PORT": ""}
        settings_dict["OPTIONS"] = {"timeout": 60}
        connections.settings["default"], before = settings_dict, connections.settings["default"]
        connections["default"] = connections.create_connection("default")
        try:
            _make_tables()
            ModelVersion.objects.bulk_create(version)
            for table in rows:
                _copy(table, faces)
            yield
        finally:
            connections["default"].close()
            connections.settings["default"] = before
            connections["default"] = kept


def _make_tables() -> None:
    """As the models have them now, which takes a tenth of the time that going through all migrations does."""
    with connections["default"].schema_editor() as editor:
        for model in apps.get_models():
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)


def _people_of(source: Source, faces: set[int]) -> list[Sequence[models.Model]]:
    labels = Label.objects.filter(face__photo__source=source, verdict=Label.Verdict.IDENTITY)
    kept = [label for label in labels.select_related("identity", "decision") if label.face_id in faces]
    people = {label.identity_id: label.identity for label in kept if label.identity}
    return [list(people.values()), [label.decision for label in kept], kept]


def _copy(rows: Sequence[models.Model], faces: set[int]) -> None:
    """Bare: nothing that points to what is not copied, and no label."""
    for row in rows:
        if isinstance(row, Source):
            row.created_by = None
        elif isinstance(row, Photo):
            row.intake = row.duplicate_of = row.imported = None
        elif isinstance(row, Face):
            row.duplicate_of = None
            row.usable = row.pk in faces
        elif isinstance(row, Proposal):
            row.calibration = None
            row.evidence = {"network": row.evidence["network"]}
        elif isinstance(row, Identity):
            row.merged_into = None
        elif isinstance(row, Decision):
            row.person = row.answer = row.other_identity = None
    if rows:
        type(rows[0])._default_manager.bulk_create(rows, batch_size=CHUNK)


# ---- the people


class Annotator:
    """Knows what the set says, and slips; where it has votes, each answer is one of those, drawn by chance."""

    def __init__(self, user: User, truth: Truth, plan: Plan, chance: random.Random, marking: random.Random) -> None:
        self.user = user
        self._truth = truth
        self._slips = plan.slips
        self._bare = plan.bare
        self._chance = chance
        self._marking = marking  # a chance of its own: whoever names all marks slips where they did before

    def answer(self, question: Question) -> dict[str, Any]:
        faces = list(question.shown.values_list("face_id", flat=True))
        if question.kind == Question.Kind.PAIR:
            same = self._person_of(question.identity_id) == self._person_of(question.other_identity_id)
            return {"verdict": "same" if same != self._slip() else "different"}
        if question.kind == Question.Kind.CLUSTER:
            return self._cluster(question, faces)
        if question.kind == Question.Kind.GRID:
            said = {face: self.says(face, question.attribute) for face in faces}
            marks = {str(f): self._mark(v, question.attribute) for f, v in said.items() if v != question.value}
            return {"verdict": "marked", "marks": marks}
        said_of_it = self.says(faces[0], question.attribute)
        known = said_of_it in attributes.attribute(question.attribute).values
        return {"verdict": "value", "value": said_of_it} if known else {"verdict": said_of_it}

    def _mark(self, said: str, name: str) -> str:
        """What the face is, or now and then only that it is not what the grid says."""
        bare = self._marking.random() < self._bare
        return "other" if bare and said in attributes.attribute(name).values else said

    def _cluster(self, question: Question, faces: list[int]) -> dict[str, Any]:
        known = question.identity_id or (question.cluster.identity_id if question.cluster else None)
        people = {face: self._truth.person.get(face, f"face {face}") for face in faces}
        main = self._person_of(known) if known else Counter(people.values()).most_common(1)[0][0]
        marks = {str(face): "other" for face, person in people.items() if (person != main) != self._slip()}
        return {"verdict": "one_person", "marks": marks}

    def _person_of(self, identity: int | None) -> str | None:
        now = Identity.objects.filter(pk=identity or 0).values_list("merged_into", flat=True).first() or identity
        labels = Label.objects.filter(identity=now).values_list("face_id", flat=True)
        people = Counter(self._truth.person.get(face, f"face {face}") for face in labels)
        return people.most_common(1)[0][0] if people else None

    def says(self, face: int, name: str) -> str:
        """An answer to what this attribute of this face is."""
        attribute = attributes.attribute(name)
        votes = self._truth.votes.get(name, {}).get(face)
        if votes:
            said = self._chance.choices(list(votes), weights=list(votes.values()))[0]
            return said if said in (*attribute.values, "not_a_face") else "cannot_tell"
        value = self._truth.value[name].get(face, "cannot_tell")
        if value not in attribute.values or not self._slip():
            return value if value in (*attribute.values, "not_a_face") else "cannot_tell"
        return self._chance.choice([each for each in attribute.values if each != value])

    def _slip(self) -> bool:
        return self._chance.random() < self._slips


# ---- the rehearsal


def rehearse(source: Source, plan: Plan, on_progress: Callable[[Moment], None] = lambda _: None) -> Outcome:
    """Run the engine on a labelled source until nothing is left to ask. Raises NothingToRehearse."""
    truth = truth_of(source, plan.what)
    faces = set(truth.person).union(*(values for values in truth.value.values()))
    with scratch(source, faces, people_known=plan.people_known):
        return _Run(plan, truth, len(faces), on_progress).play()


class _Run:
    def __init__(self, plan: Plan, truth: Truth, faces: int, on_progress: Callable[[Moment], None]) -> None:
        chance, marking = random.Random(plan.seed), random.Random(f"marks {plan.seed}")
        self._plan = plan
        self._truth = truth
        self._on_progress = on_progress
        self._attributes = [attributes.attribute(name) for name in plan.what if name != IDENTITY]
        self._people = [
            Annotator(
                User.objects.create_user(f"annotator{number}"), truth, plan, random.Random(chance.random()), marking
            )
            for number in range(plan.annotators)
        ]
        curator = User.objects.create_user("curator", role=User.Role.CURATOR)
        self._curator = Annotator(curator, truth, plan, random.Random(chance.random()), marking)
        known = {each.name: len(truth.clear(each)) for each in self._attributes}
        if IDENTITY in plan.what:
            known[IDENTITY] = len(truth.person)
        self.outcome = Outcome(
            plan, faces, known, with_votes=sorted(name for name, said in truth.votes.items() if said)
        )
        self._answers = self._actions = self._noted = 0
        self._note_every = max(faces // NOTED, 1)  # of few faces oftener than the engine thinks
        self._thought_of = 0  # the last line of the ledger that the engine knows

    def play(self) -> Outcome:
        self._think()
        waited = 0
        while True:
            done = self._round(max(40, int(self._answers * self._plan.think_every)))
            self._think()
            self._note()
            waited = 0 if done else waited + 1
            if waited == 2 or self._enough():
                return self._finish()

    def _round(self, most: int) -> int:
        """Everybody answers in turn; returns how many answers that were."""
        done = 0
        while done < most:
            count = sum(self._answer(person) for person in self._people)
            if not count:
                return done + self._curate(all_that_waits=True)
            done += count
            if self._answers - self._noted >= self._note_every:
                self._note()
        return done + self._curate(all_that_waits=False)

    def _curate(self, *, all_that_waits: bool) -> int:
        """The curator judges what others cannot, and takes what waits when all of them have spoken of it."""
        done = 0
        while questions := take_next(self._curator.user, kind=None if all_that_waits else Question.Kind.VALUE):
            mine = all_that_waits or questions[0].purpose == Question.Purpose.VERDICT
            if not mine or not self._record(self._curator, questions[0]):
                break
            done += 1
        return done

    def _answer(self, person: Annotator) -> int:
        questions = take_next(person.user)
        return int(bool(questions) and self._record(person, questions[0]))

    def _record(self, person: Annotator, question: Question) -> bool:
        try:
            said = record_answer(
                question_id=question.pk, annotator=person.user, client_id=uuid4(), content=person.answer(question)
            )
        except QuestionClosed:
            return False
        self._answers += 1
        self._actions += said.actions
        self.outcome.asked[f"{question.attribute or IDENTITY} {question.kind} {question.purpose}"] += 1
        self.outcome.actions_for[question.attribute or IDENTITY] += said.actions
        return True

    def _think(self) -> None:
        if IDENTITY in self._plan.what:
            clustering.keep_up()
        seen = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
        for attribute in self._attributes:
            engine.think(attribute, since=self._thought_of)
        self._thought_of = seen
        # Whoever answers what is known too badly is paused, as on the site: the others go on.
        paused = set(User.objects.exclude(paused_at=None).values_list("pk", flat=True))
        self._people = [person for person in self._people if person.user.pk not in paused]

    def _note(self) -> None:
        labelled, right, by_machine = dict[str, int](), dict[str, int](), dict[str, int]()
        for attribute in self._attributes:
            name = attribute.name
            labelled[name], right[name], by_machine[name] = self._scored(attribute)
        if IDENTITY in self._plan.what:
            labelled[IDENTITY], right[IDENTITY] = self._scored_people()
        settled = {name: self._settled(name) for name in self._plan.what}
        self._noted = self._answers
        moment = Moment(self._answers, self._actions, labelled, right, by_machine, settled)
        self.outcome.moments.append(moment)
        self._on_progress(moment)

    def _settled(self, name: str) -> int:
        faces = AttributeLabel.objects.filter(attribute=name, face__usable=True)
        return Label.objects.filter(face__usable=True).count() if name == IDENTITY else faces.count()

    def _scored(self, attribute: Attribute) -> tuple[int, int, int]:
        truth = self._truth.clear(attribute)
        rows = AttributeLabel.objects.filter(attribute=attribute.name, value__in=attribute.values)
        labels = list(rows.values_list("face_id", "value", "decision__by"))
        labels = [row for row in labels if row[0] in truth]
        right = sum(truth[face] == value for face, value, _ in labels)
        return len(labels), right, sum(by == Decision.By.MACHINE for _, _, by in labels)

    def _scored_people(self) -> tuple[int, int]:
        """A label is right if most labels of its identity are of the same person."""
        labels = Label.objects.filter(verdict=Label.Verdict.IDENTITY).values_list("identity_id", "face_id")
        people = [(identity, self._truth.person.get(face)) for identity, face in labels]
        most = dict[int | None, Counter[str | None]]()
        for identity, person in people:
            most.setdefault(identity, Counter())[person] += 1
        main = {identity: count.most_common(1)[0][0] for identity, count in most.items()}
        known = [(identity, person) for identity, person in people if person is not None]
        return len(known), sum(main[identity] == person for identity, person in known)

    def _baselines(self, attribute: Attribute) -> list[Baseline]:
        """One answer each, three each by majority, the networks unquestioned, the search term, and active learning."""
        truth = self._truth.clear(attribute)
        faces = list(truth)
        said = {face: [self._curator.says(face, attribute.name) for _ in range(3)] for face in faces}
        one = sum(said[face][0] == truth[face] for face in faces)
        three = sum(Counter(said[face]).most_common(1)[0][0] == truth[face] for face in faces)
        proposed = dict(Proposal.objects.filter(attribute=attribute.name).values_list("face_id", "evidence"))
        networks = {face: attribute.values[int(np.argmax(told["network"]))] for face, told in proposed.items()}
        trusted = [face for face in faces if face in networks]
        count = len(faces)
        return [
            Baseline(attribute.name, "one answer each", count, count, one),
            Baseline(attribute.name, "three answers each, the majority", 3 * count, count, three),
            Baseline(
                attribute.name,
                "the network, unquestioned",
                0,
                len(trusted),
                sum(networks[f] == truth[f] for f in trusted),
            ),
            self._metadata(attribute, truth),
            self._margin(attribute, {face: words[0] for face, words in said.items()}, truth),
        ]

    def _metadata(self, attribute: Attribute, truth: Mapping[int, str]) -> Baseline:
        """The label that most others found under the same search term have. It is told the truth of all of these, so it
        is the most that a term could say; never the face's own. A photo without a term has no metadata that speaks."""
        rows = Face.objects.filter(pk__in=list(truth), chosen=True).exclude(photo__query="")
        terms = dict(rows.values_list("pk", "photo__query"))
        by_term = dict[str, Counter[str]]()
        for face, term in terms.items():
            by_term.setdefault(term, Counter())[truth[face]] += 1
        said = dict[int, str]()
        for face, term in terms.items():
            others = by_term[term] - Counter([truth[face]])
            if others:
                said[face] = max(sorted(others), key=others.__getitem__)
        name = "trusting the search term" if said else NO_METADATA
        return Baseline(attribute.name, name, 0, len(said), sum(said[face] == truth[face] for face in said))

    def _baselines_of_people(self) -> list[Baseline]:
        """One answer each, three each by majority, and the search term under which a photo was found."""
        person, chance = self._truth.person, random.Random(self._plan.seed)
        slips = [sum(chance.random() < self._plan.slips for _ in range(3)) for _ in person]
        first = sum(chance.random() >= self._plan.slips for _ in person)
        rows = Face.objects.filter(pk__in=list(person), chosen=True).exclude(photo__query="")
        terms = dict(rows.values_list("pk", "photo__query"))
        by_term = dict[str, Counter[str]]()
        for face, term in terms.items():
            by_term.setdefault(term, Counter())[person[face]] += 1
        trusted = sum(people.most_common(1)[0][1] for people in by_term.values())
        count = len(person)
        told = [
            Baseline(IDENTITY, "one answer each", count, count, first),
            Baseline(IDENTITY, "three answers each, the majority", 3 * count, count, sum(each < 2 for each in slips)),
        ]
        return [*told, Baseline(IDENTITY, "trusting the search term" if terms else NO_METADATA, 0, len(terms), trusted)]

    def _margin(self, attribute: Attribute, said: Mapping[int, str], truth: Mapping[int, str]) -> Baseline:
        """As many single answers as the engine took actions, each where a head on the vectors is least sure; the head's
        word for all others (Settles, "Active learning literature survey", 2009)."""
        budget = min(self.outcome.actions_for[attribute.name], len(said))
        known = np.array(list(said), np.int64)
        network = registry.network_of(attribute.name)
        has, vectors = vectors_of(attribute, known, registry.ensure_live(), network)
        faces = known[has].tolist()
        label = np.full(len(faces), -1, np.int64)
        order = np.random.default_rng(self._plan.seed).permutation(len(faces))
        belief = np.full((len(faces), len(attribute.values)), 1 / len(attribute.values))
        asked = 0
        while asked < min(budget, len(faces)):
            top = np.sort(belief, axis=1)
            margin = top[:, -1] - top[:, -2]
            margin[label >= 0] = np.inf
            step = max(50, asked // 4)
            picked = (order if asked == 0 else np.argsort(margin))[: min(step, budget - asked, len(faces) - asked)]
            for row in picked:
                word = said[faces[row]]
                label[row] = attribute.values.index(word) if word in attribute.values else 0
            asked += len(picked)
            found = predict(vectors, label, len(attribute.values))
            belief = belief if np.isnan(found).any() else found
        given = np.where(label >= 0, label, belief.argmax(axis=1))
        right = sum(attribute.values[int(value)] == truth[face] for face, value in zip(faces, given, strict=True))
        return Baseline(attribute.name, "active learning by margin", asked, len(faces), right)

    def _enough(self) -> bool:
        last = self.outcome.last
        return all(last.labelled[name] >= self._plan.stop_at * count for name, count in self.outcome.known.items())

    def _finish(self) -> Outcome:
        columns = ("attribute", "value", "state", "threshold", "audited", "wrong", "bound", "coverage", "accepted")
        if IDENTITY in self._plan.what:
            self.outcome.baselines += self._baselines_of_people()
        for attribute in self._attributes:
            self.outcome.baselines += self._baselines(attribute)
        self.outcome.certificates = list(Certificate.objects.order_by("pk").values(*columns))
        return self.outcome
