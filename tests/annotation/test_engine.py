"""The engine on drawn beliefs: what it learns, accepts, revokes and asks."""

import random
from uuid import uuid4

import numpy as np
import pytest

from annotation import certificates, engine, ledger, people, proposals, reliabilities, routing
from annotation.answers import record_answer
from annotation.errors import AnnotatorPaused
from annotation.models import (
    AttributeLabel,
    Calibration,
    Certificate,
    Decision,
    Face,
    Label,
    NetworkOutput,
    Photo,
    Proposal,
    Question,
    QuestionFace,
    User,
)
from annotation.queue import take_next
from inference import registry
from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER
from inference.models import ModelVersion
from tests.factories import a_face, a_person, a_proposal, a_single, a_source, a_user, a_version, an_annotator, some_gold

pytestmark = pytest.mark.django_db

FACES = 2_400
BARE = {"format": "jpg", "size": 1, "width": 9, "height": 9}


@pytest.fixture(autouse=True)
def _version() -> None:
    a_version()


def a_corpus(faces: int = FACES, sure: float = 0.999, seed: int = 0) -> dict[int, str]:
    """Faces with proposals that are right as often as they say. Returns the truth."""
    rng = np.random.default_rng(seed)
    face = a_face(a_photo_row("0" * 64))
    photos = Photo.objects.bulk_create(
        Photo(
            source=face.photo.source,
            sha256=f"{number:064x}",
            file=f"{number}.jpg",
            format="jpg",
            size=1,
            width=9,
            height=9,
        )
        for number in range(1, faces + 1)
    )
    fields = {
        f.attname: getattr(face, f.attname) for f in Face._meta.concrete_fields if f.attname not in ("id", "photo_id")
    }
    made = Face.objects.bulk_create(Face(photo=photo, **fields) for photo in photos)
    female = rng.random(faces) < 0.5
    right = rng.random(faces) < sure
    truth = {each.pk: "female" if f else "male" for each, f in zip(made, female, strict=True)}
    says_female = female == right
    Proposal.objects.bulk_create(
        Proposal(
            face=each,
            attribute="gender",
            value="female" if f else "male",
            confidence=sure,
            belief=[sure, 1 - sure] if f else [1 - sure, sure],
            evidence={"network": [sure, 1 - sure] if f else [1 - sure, sure]},
        )
        for each, f in zip(made, says_female, strict=True)
    )
    network = registry.network_of("gender")
    NetworkOutput.objects.bulk_create(
        NetworkOutput(face=each, version=network, belief=proposals.packed([sure, 1 - sure] if f else [1 - sure, sure]))
        for each, f in zip(made, says_female, strict=True)
    )
    Face.objects.filter(pk=face.pk).update(usable=False)
    return truth


def a_photo_row(sha256: str) -> Photo:
    return Photo.objects.create(source=a_source(), sha256=sha256, file="0.jpg", **BARE)


def answer_all(truth: dict[int, str], people: list[User], most: int = 10_000, slips: float = 0.0) -> int:
    chance = random.Random(0)
    actions = 0
    for _ in range(most):
        before = actions
        for person in people:
            for question in take_next(person):
                said = {
                    face: truth[face] if chance.random() >= slips else {"female": "male", "male": "female"}[truth[face]]
                    for face in question.shown.values_list("face_id", flat=True)
                }
                content = (
                    {"verdict": "marked", "marks": {str(f): v for f, v in said.items() if v != question.value}}
                    if question.kind == "grid"
                    else {"verdict": "value", "value": next(iter(said.values()))}
                )
                actions += record_answer(
                    question_id=question.pk, annotator=person, client_id=uuid4(), content=content
                ).actions
        if actions == before:
            break
    return actions


@pytest.mark.once  # in one transaction PostgreSQL never learns how large the tables are, which takes it minutes
@pytest.mark.timeout(600)
def test_from_proposals_to_labels_with_few_answers_and_a_certificate(settings) -> None:
    settings.CONTROL_SHARE = 0.05
    truth = a_corpus()
    people = [an_annotator() for _ in range(3)]
    actions = 0
    for _ in range(12):
        engine.think(GENDER)
        actions += answer_all(truth, people, most=15)
    while Question.objects.filter(state="open").exists() and actions < FACES:
        engine.think(GENDER)
        done = answer_all(truth, people)
        actions += done
        if not done:
            break

    labels = dict(AttributeLabel.objects.values_list("face_id", "value"))
    assert len(labels) >= 0.99 * FACES
    assert np.mean([truth[face] == value for face, value in labels.items()]) > 0.99
    assert actions < 0.35 * FACES
    held = Certificate.objects.order_by("pk").first()
    assert held is not None
    assert held.bound <= held.target
    machine = Decision.objects.filter(by="machine").first()
    assert machine is not None
    assert machine.evidence["certificate"]


def test_the_control_slice_is_asked_blind_and_alone(settings) -> None:
    settings.CONTROL_SHARE = 0.1
    truth = a_corpus(200)
    engine.think(GENDER)

    control = Question.objects.filter(purpose="control")
    assert 5 < control.count() < 50
    assert set(control.values_list("kind", flat=True)) == {"value"}
    drawn = set(control.values_list("shown__face", flat=True))
    assert not QuestionFace.objects.exclude(question__purpose="control").filter(face__in=drawn).exists()
    assert drawn <= set(truth)


def audited(truth: dict[int, str], wrong: int, calibration: Calibration, count: int = 400) -> None:
    """So many proposals of "female" audited, of which so many were wrong."""
    faces = list(Proposal.objects.filter(value="female").order_by("pk").values_list("face_id", flat=True)[:count])
    question = Question.objects.create(
        kind="grid", attribute="gender", value="female", purpose="audit", calibration=calibration, drawn_above=0.0,
        state="settled", settled_at="2026-01-01T00:00Z",
    )  # fmt: skip
    QuestionFace.objects.bulk_create(
        QuestionFace(question=question, face_id=face, place=place, belief=0.999) for place, face in enumerate(faces)
    )
    lines = [
        Decision(
            kind="value", face_id=face, attribute="gender", value="male" if place < wrong else "female", by="import"
        )
        for place, face in enumerate(faces)
    ]
    from annotation import ledger  # noqa: PLC0415

    ledger.write(lines)


@pytest.mark.parametrize(("wrong", "issued"), [(0, True), (8, False)])
def test_a_certificate_needs_audits_that_are_right(wrong: int, issued: bool) -> None:
    truth = a_corpus(1_000)
    held = proposals.learn(GENDER)
    Calibration.objects.filter(pk=held.pk).update(sequences={"female": [0.9]})
    held.refresh_from_db()
    audited(truth, wrong, held)

    found = certificates.review(GENDER, held)

    assert [each.value for each in found] == (["female"] if issued else [])
    assert AttributeLabel.objects.filter(decision__by="machine").exists() == issued


def test_a_revoked_certificate_takes_its_labels_along() -> None:
    truth = a_corpus(1_000)
    held = proposals.learn(GENDER)
    Calibration.objects.filter(pk=held.pk).update(sequences={"female": [0.9]})
    held.refresh_from_db()
    audited(truth, 0, held)
    (certificate,) = certificates.review(GENDER, held)
    accepted = AttributeLabel.objects.filter(decision__by="machine").count()
    assert accepted == certificate.accepted > 0

    assert certificates.revoke(certificate, "A curator found it wrong.") == accepted

    assert not AttributeLabel.objects.filter(decision__by="machine").exists()
    certificate.refresh_from_db()
    assert (certificate.state, certificate.ended_because) == ("revoked", "A curator found it wrong.")
    assert certificates.review(GENDER, held) == [] or certificate.pk not in {
        c.pk for c in certificates.review(GENDER, held)
    }


def test_where_somebody_has_spoken_no_certificate_decides() -> None:
    truth = a_corpus(1_000)
    held = proposals.learn(GENDER)
    Calibration.objects.filter(pk=held.pk).update(sequences={"female": [0.9]})
    held.refresh_from_db()
    spoken = Proposal.objects.filter(value="female").order_by("-pk").values_list("face_id", flat=True)[0]
    an_annotator()
    an_annotator()
    record_answer(
        question_id=a_single(Face.objects.get(pk=spoken)).pk,
        annotator=an_annotator(),
        client_id=uuid4(),
        content={"verdict": "value", "value": "male"},
    )
    audited(truth, 0, held)
    certificates.review(GENDER, held)

    label = AttributeLabel.objects.filter(face=spoken).first()
    assert label is None or label.decision.by == "person"


def test_one_face_stands_for_a_person_and_all_of_their_faces_speak() -> None:
    faces = [a_face() for _ in range(3)]
    a_person(faces)
    for face, belief in zip(faces, ([0.9, 0.1], [0.8, 0.2], [0.4, 0.6]), strict=True):
        a_proposal(face, belief, evidence={"network": belief})

    proposals.learn(GENDER)

    rows = list(Proposal.objects.order_by("face_id"))
    assert [row.stands for row in rows] == [True, False, False]
    assert rows[2].evidence["identity"][0] > 0.8
    routing.route(GENDER, proposals.latest(GENDER))
    assert [shown.face_id for shown in QuestionFace.objects.all()] == [faces[0].pk]


def test_a_merge_makes_the_proposals_of_both_people_anew_and_no_others() -> None:
    one, other, third = (a_person([a_face(), a_face()]) for _ in range(3))
    for person, belief in ((one, [0.9, 0.1]), (other, [0.3, 0.7]), (third, [0.8, 0.2])):
        for label in person.labels.all():
            a_proposal(label.face, belief, evidence={"network": belief})
    engine.think(GENDER)
    seen = Decision.objects.latest("pk").pk
    before = dict(Proposal.objects.values_list("face_id", "belief"))

    people.merge(identity_ids=[other.pk], into_id=one.pk, by=a_user())
    engine.think(GENDER, since=seen)

    after = dict(Proposal.objects.values_list("face_id", "belief"))
    changed = {face for face in after if after[face] != before[face]}
    assert changed == set(Label.objects.filter(identity=one).values_list("face_id", flat=True))
    assert Proposal.objects.filter(face__in=changed, stands=True).count() == 1
    assert Calibration.objects.count() == 1
    assert not Proposal.objects.filter(calibration=None).exists()


def test_another_backbone_makes_all_proposals_anew() -> None:
    a_proposal(a_face(), [0.9, 0.1], evidence={"network": [0.9, 0.1]})
    first = engine.think(GENDER)
    assert engine.think(GENDER) == first
    ModelVersion.objects.update(state="retired")
    version = a_version(name="another")
    again = engine.think(GENDER)
    assert again is not None
    assert again != first
    assert again.version == version


def test_only_what_two_people_made_certain_and_nobody_disputes_is_asked_as_if_it_were_not_known(settings) -> None:
    """Three opinions settle an emotion that nobody is sure of: who sees another one there has not erred."""
    settings.GOLD_SHARE = 0.5
    evidence = [
        {"votes": 2, "belief": 0.985},
        {"votes": 3, "belief": 0.6},
        {"votes": 1, "belief": 0.99},
        {"votes": 4, "belief": 0.99, "verdict": True},
    ]
    faces = [a_face() for _ in range(len(evidence) + 2)]
    disputed, not_the_machines = faces[-2:]
    for face in faces:
        a_proposal(face, [0.9, 0.1], "emotion")  # angry, or disgusted
    Proposal.objects.exclude(face=not_the_machines).update(value="sad")
    evidence += [evidence[0], evidence[0]]
    ledger.write(
        [
            Decision(
                kind="value",
                face=face,
                attribute="emotion",
                value="sad",
                by="import",
                evidence=each,
                detail={"votes": {"sad": 2, "angry": 1} if face == disputed else {"sad": 2}},
            )
            for face, each in zip(faces, evidence, strict=True)
        ]
    )
    for _ in range(8):
        say = {"verdict": "value", "value": "sad"}
        single = a_single(attribute="emotion")
        record_answer(question_id=single.pk, annotator=an_annotator(), client_id=uuid4(), content=say)

    routing.route(EMOTION, Calibration.objects.create(attribute="emotion", sources=[], weights=[], bias=[], answers=0))

    gold = Question.objects.filter(purpose="gold")
    assert list(gold.values_list("shown__face", flat=True)) == [faces[0].pk]


def test_ages_that_ten_people_see_alike_are_asked_of_others_too(settings) -> None:
    settings.GOLD_SHARE = 0.5
    details = [{"deviation": 4.0, "guesses": 10}, {"deviation": 9.0, "guesses": 10}, {"low": 30, "high": 32}]
    faces = [a_face() for _ in range(len(details))]
    ledger.write(
        [
            Decision(kind="value", face=face, attribute="apparent_age", value="31.40", by="import", detail=each)
            for face, each in zip(faces, details, strict=True)
        ]
    )
    say = {"verdict": "value", "value": "30"}
    for _ in range(8):
        single = a_single(attribute="apparent_age")
        record_answer(question_id=single.pk, annotator=an_annotator(), client_id=uuid4(), content=say)

    routing.ask_years(APPARENT_AGE)

    gold = Question.objects.get(purpose="gold")
    assert (gold.kind, gold.faces.get(), gold.value) == ("value", faces[0], "31.40")
    record_answer(question_id=gold.pk, annotator=an_annotator(), client_id=uuid4(), content=say)
    assert AttributeLabel.objects.get(face=faces[0]).value == "31.40"


def test_who_fails_gold_is_paused_and_what_only_they_said_is_asked_again() -> None:
    spammer, honest = an_annotator(), an_annotator()
    gold = [some_gold() for _ in range(40)]
    for question in gold:
        record_answer(
            question_id=question.pk, annotator=spammer, client_id=uuid4(), content={"verdict": "value", "value": "male"}
        )
    face = a_face()
    a_proposal(face, [0.03, 0.97])
    alone = a_single(face)
    record_answer(
        question_id=alone.pk, annotator=spammer, client_id=uuid4(), content={"verdict": "value", "value": "male"}
    )

    reliabilities.learn(GENDER)

    spammer.refresh_from_db()
    assert spammer.paused_at is not None
    assert "0 of 40" in spammer.paused_because
    assert not AttributeLabel.objects.filter(face=face).exists()
    with pytest.raises(AnnotatorPaused, match="0 of 40"):
        take_next(spammer)
    honest.refresh_from_db()
    assert honest.paused_at is None


def test_nobody_is_paused_for_a_few_mistakes() -> None:
    person = an_annotator()
    for number in range(40):
        record_answer(
            question_id=some_gold().pk,
            annotator=person,
            client_id=uuid4(),
            content={"verdict": "value", "value": "male" if number % 8 == 0 else "female"},
        )

    reliabilities.learn(GENDER)

    person.refresh_from_db()
    assert person.paused_at is None


def test_the_engine_thinks_when_something_was_said_and_one_at_a_time() -> None:
    assert not engine.behind(GENDER)
    a_corpus(50)
    assert engine.behind(GENDER)
    assert engine.keep_up(GENDER)
    assert not engine.behind(GENDER)


def test_apparent_age_is_asked_once_for_each_face() -> None:
    faces = [a_face() for _ in range(3)]

    assert routing.ask_years(APPARENT_AGE) == 3
    assert routing.ask_years(APPARENT_AGE) == 0
    assert {q.faces.get().pk for q in Question.objects.all()} == {face.pk for face in faces}


def test_gold_that_nobody_is_left_to_answer_keeps_no_other_face_from_being_asked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(routing, "SINGLES", 5)
    for _ in range(6):
        a_single(a_face(), attribute="apparent_age", purpose="gold", value="30")
    for _ in range(8):
        a_face()
    assert routing.ask_years(APPARENT_AGE) == 5
