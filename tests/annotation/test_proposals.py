"""Which beliefs are made anew when a label, a person or the live model changes, and which are left alone."""

from uuid import uuid4

import numpy as np
import pytest
from django.utils import timezone

from annotation import engine, ledger, people, proposals
from annotation.answers import record_answer, undo_answer
from annotation.models import AttributeLabel, Calibration, Decision, Face, Photo, Proposal, Thought, User
from inference.core.attributes import GENDER
from inference.models import ModelVersion
from tests.factories import (
    a_face,
    a_person,
    a_photo,
    a_proposal,
    a_single,
    a_user,
    a_version,
    an_annotator,
    an_embedding,
)

pytestmark = pytest.mark.django_db

NEAR, FAR = 40, 40


@pytest.fixture(autouse=True)
def _no_control_slice(settings) -> None:
    settings.CONTROL_SHARE = 0.0


@pytest.fixture
def faces() -> list[Face]:
    """Two groups that lie apart; half of each is labelled, the first group as women and the second as men."""
    version, rng = a_version(dimensions=8), np.random.default_rng(0)
    made = []
    for number in range(NEAR + FAR):
        face = a_face(a_photo(query="near" if number < 2 else ""))
        middle = np.eye(8)[0 if number < NEAR else 1]
        an_embedding(face, version, middle + rng.normal(0, 0.1, 8))
        a_proposal(face, [0.6, 0.4], evidence={"network": [0.6, 0.4]})
        made.append(face)
    ledger.write(
        [
            Decision(
                kind="value", face=face, attribute="gender", value="female" if number < NEAR else "male", by="import"
            )
            for number, face in enumerate(made)
            if number % 2 == 0
        ]
    )
    return made


def beliefs() -> dict[int, list[float]]:
    return dict(Proposal.objects.values_list("face_id", "belief"))


def thought() -> int:
    engine.think(GENDER)
    return Decision.objects.latest("pk").pk


def say(face: Face, value: str) -> None:
    """The only one there is says so: their word settles it."""
    record_answer(
        question_id=a_single(face).pk,
        annotator=User.objects.first() or a_user(),
        client_id=uuid4(),
        content={"verdict": "value", "value": value},
    )


def test_a_corrected_label_makes_the_beliefs_beside_it_anew_and_no_others(faces):
    since, before = thought(), beliefs()
    say(faces[0], "male")
    assert AttributeLabel.objects.get(face=faces[0]).value == "male"

    assert proposals.corrected(GENDER, since) == {faces[0].pk}
    engine.think(GENDER, since=since)

    after = beliefs()
    changed = {face for face in after if after[face] != before[face]}
    assert changed
    assert changed <= {face.pk for face in faces[:NEAR]}  # the other group has none of them for a neighbour
    assert Calibration.objects.count() == 1
    assert not Proposal.objects.filter(calibration=None).exists()


def test_a_label_that_is_taken_back_counts_as_corrected(faces):
    say(fresh := faces[1], "male")
    since = thought()
    answer = fresh.votes.get().answer
    undo_answer(answer_id=answer.pk, by=answer.annotator)
    assert proposals.corrected(GENDER, since) == {fresh.pk}


def test_a_label_said_again_or_come_in_besides_corrects_nothing(faces):
    since = thought()
    say(faces[0], "female")
    say(faces[1], "male")
    assert proposals.corrected(GENDER, since) == set()
    before = beliefs()
    engine.think(GENDER, since=since)
    assert beliefs() == before


def test_what_was_said_wrongly_of_a_person_is_corrected_for_all_of_their_faces(faces):
    person = a_person(faces[1:6:2])
    act = people.describe(identity_id=person.pk, attribute="gender", value="male", by=a_user())
    since = thought()
    undo_answer(answer_id=act.pk, by=act.annotator)
    assert proposals.corrected(GENDER, since) == {face.pk for face in faces[1:6:2]}


def test_the_search_term_of_a_corrected_face_is_heard_anew(faces):
    far = faces[-1]
    Photo.objects.filter(pk=far.photo_id).update(query="near")
    since = thought()
    say(faces[0], "male")
    engine.think(GENDER, since=since)
    assert Proposal.objects.get(face=far).evidence["metadata"][1] > 0.5


def test_many_corrections_teach_everything_anew(faces, monkeypatch):
    monkeypatch.setattr(engine, "LEARN_FIRST", 3)
    thought()
    for face in faces[0:10:2]:
        say(face, "male")
    engine.think(GENDER)
    assert Calibration.objects.count() == 2


def test_the_engine_is_behind_as_soon_as_another_model_is_live(faces):
    engine.keep_up(GENDER)
    Thought.objects.update(at=timezone.now())
    assert not engine.behind(GENDER)
    ModelVersion.objects.update(state="retired")
    another = a_version(name="another", dimensions=8)
    assert engine.behind(GENDER)
    engine.keep_up(GENDER)
    assert Calibration.objects.latest("pk").version == another
    assert not engine.behind(GENDER)


def test_killed_in_the_middle_of_learning_it_leaves_what_was_and_goes_on_later(faces, monkeypatch):
    engine.keep_up(GENDER)
    before, count = beliefs(), Calibration.objects.count()
    for face in faces[0:40:2]:
        say(face, "male")

    def killed(*args: object) -> None:
        raise SystemExit

    monkeypatch.setattr(engine, "LEARN_FIRST", 3)
    with monkeypatch.context() as attack:
        attack.setattr(proposals, "_store", killed)
        with pytest.raises(SystemExit):
            engine.keep_up(GENDER)
    assert (beliefs(), Calibration.objects.count()) == (before, count)
    # Not even the claim was given back: whoever comes after its time goes on.
    Thought.objects.update(claimed_until=(now := timezone.now()) + engine.CLAIM)
    assert not engine.behind(GENDER, now)
    assert not engine.keep_up(GENDER, now)
    later = now + 2 * engine.CLAIM
    assert engine.behind(GENDER, later)
    assert engine.keep_up(GENDER, later)
    assert Calibration.objects.count() == count + 1


def test_whoever_outstays_their_claim_does_not_end_that_of_the_next(faces, monkeypatch):
    next_claim = timezone.now() + 3 * engine.CLAIM

    def slow(*args: object, **options: object) -> None:
        Thought.objects.update(claimed_until=next_claim)  # somebody else took over meanwhile

    monkeypatch.setattr(engine, "think", slow)
    engine.keep_up(GENDER)
    assert Thought.objects.get().claimed_until == next_claim


def test_a_face_answered_by_its_person_teaches_no_calibration(faces, settings):
    """Calibrators learn from what was said blind of faces that chance drew, not from what follows for others."""
    settings.CONTROL_SHARE = 1.0
    person = a_person([faces[1], faces[3]])
    people.describe(identity_id=person.pk, attribute="gender", value="female", by=a_user())
    an_annotator()
    assert proposals.learn(GENDER).answers == 0  # neither the two of the person nor those that a set labels
    question, content = a_single(faces[5], purpose="verdict"), {"verdict": "value", "value": "female"}
    record_answer(question_id=question.pk, annotator=a_user(), client_id=uuid4(), content=content)
    held = proposals.learn(GENDER)
    assert held.answers == 1
    assert held.learnt_from == (NEAR + FAR) // 2 + 2 + 1
