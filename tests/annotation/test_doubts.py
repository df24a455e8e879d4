"""Settled labels that the models disbelieve are asked again, a few at a time, with the reason."""

from uuid import uuid4

import pytest
from django.utils import timezone

from annotation import doubts, ledger
from annotation.answers import record_answer
from annotation.models import AttributeLabel, Calibration, Decision, Face, Question, Release, User
from annotation.queue import take_next
from annotation.words import against
from inference import registry
from inference.core.attributes import GENDER
from tests.factories import a_face, a_person, a_proposal, a_single, a_user, a_version, an_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _shares(settings) -> None:
    settings.CONTROL_SHARE = 0.0
    settings.DOUBT_SHARE = 0.05


def imported(count: int = 80, wrong: int = 6) -> list[Face]:
    """Faces that a set labels; of the first few the models say something else, the sooner the surer."""
    calibration = Calibration.objects.create(
        attribute="gender", sources=[], weights=[], bias=[], answers=100, learnt_from=100
    )
    faces = [a_face() for _ in range(count)]
    for number, face in enumerate(faces):
        female = number % 2 == 0
        sure = 0.99 - 0.01 * number if number < wrong else 0.95
        a_proposal(face, [sure, 1 - sure] if female else [1 - sure, sure], calibration=calibration)
        said = female if number >= wrong else not female
        ledger.write(
            [Decision(kind="value", face=face, attribute="gender", value="female" if said else "male", by="import")]
        )
    return faces


def asked() -> list[int]:
    return list(
        Question.objects.filter(purpose="doubt", state="open").order_by("pk").values_list("shown__face", flat=True)
    )


def say(question: Question, by: User, value: str) -> None:
    record_answer(
        question_id=question.pk, annotator=by, client_id=uuid4(), content={"verdict": "value", "value": value}
    )


def test_the_least_believed_are_asked_first_and_no_more_than_the_share():
    faces = imported()
    assert doubts.ask(GENDER) == 4
    assert asked() == [face.pk for face in faces[:4]]
    assert doubts.ask(GENDER) == 4
    reason = against(Question.objects.filter(purpose="doubt").earliest("pk").reason)
    assert (
        reason == "Labelled male by the set that it came with. The models, which have not seen that, say female (99%)."
    )


def test_a_label_that_the_live_network_learnt_is_not_doubted_by_it_and_a_later_one_is():
    network = a_version(task="gender", name="learnt here", release_ids="ab cd", state="live")
    faces = imported(wrong=4)
    done = {"state": "done", "folder": "taught", "counts": {}, "finished_at": timezone.now()}
    Release.objects.create(name="taught", query={}, checksum="ab", **done)
    assert registry.network_of("gender") == network
    a_person([faces[2], a_face(split="validation")])
    for number, part in enumerate(["train", "test", "", "train"]):
        Face.objects.filter(pk=faces[number].pk).update(split=part)
    ledger.write([Decision(kind="value", face=faces[3], attribute="gender", value="female", by="import")])

    doubts.ask(GENDER)

    assert asked() == [faces[1].pk, faces[3].pk]


def test_a_label_is_replaced_once_people_agree_and_is_not_doubted_again():
    faces = imported()
    doubts.ask(GENDER)
    (question,) = take_next(ann := an_annotator())
    say(question, ann, "female")

    label = AttributeLabel.objects.get(face=faces[0], attribute="gender")
    assert (label.value, label.decision.by) == ("female", "person")
    doubts.ask(GENDER)
    assert faces[0].pk not in asked()


def test_who_labelled_it_is_not_asked_again_but_a_curator_may_change_their_mind():
    faces = imported()
    annotator, curator = an_annotator(), a_user()
    for by in (annotator, curator):
        say(a_single(faces[0]), by, "male")
    doubts.ask(GENDER)
    question = Question.objects.get(purpose="doubt", shown__face=faces[0])

    assert question not in take_next(annotator, ahead=10)
    assert question in take_next(curator, ahead=10)


def test_control_answers_are_given_blind_and_never_doubted(settings):
    settings.CONTROL_SHARE = 1.0
    imported()
    assert doubts.ask(GENDER) == 0
