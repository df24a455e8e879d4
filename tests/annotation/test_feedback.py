"""A client corrects a prediction: people are asked, blind; nothing is a label by itself."""

import json
from io import BytesIO
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from rest_framework.response import Response

from annotation import feedback, tasks
from annotation.answers import record_answer
from annotation.core.drawn import draw_portrait
from annotation.models import AttributeLabel, Feedback, Label, Photo, Question, Source, User
from annotation.queue import take_next
from tests.factories import a_cluster, a_face, a_person, a_question, a_user, an_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_belt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "feed_belt", lambda: None)


@pytest.fixture(scope="module")
def portrait() -> bytes:
    content = BytesIO()
    draw_portrait(10368, 1).save(content, "JPEG")
    return content.getvalue()


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(a_user("eve", User.Role.ENGINEER))
    return client


def give(client: Client, photo: bytes, **said: object) -> Response:
    body = {"keep": "true", "attribute": "gender", "value": "male"} | said
    return client.post("/api/v1/feedback", {"photo": SimpleUploadedFile("photo.jpg", photo)} | body)


def test_a_correction_becomes_a_question_that_does_not_tell_the_claim(client: Client, portrait: bytes):
    share = {"x": 0.2, "y": 0.2, "width": 0.6, "height": 0.6}
    told = give(client, portrait, box=json.dumps(share), predicted=json.dumps({"gender": {"value": "female"}}))

    assert told.status_code == 201
    assert (told.json()["state"], told.json()["question"]) == ("waiting", None)
    photo = Photo.objects.get(source__name="Feedback")
    assert not photo.source.rights_stated  # worked on, but not released until a curator states them
    assert not Question.objects.exists()
    tasks.find_faces([photo.pk])

    asked = client.get(f"/api/v1/feedback/{told.json()['id']}").json()
    question = Question.objects.get()
    assert (asked["state"], asked["question"], asked["settled"]) == ("asked", question.pk, False)
    assert (question.kind, question.attribute, question.value, question.reason) == ("value", "gender", "", {})
    assert not Label.objects.exists()
    assert not AttributeLabel.objects.exists()
    ann = an_annotator("ann")
    assert take_next(ann) == [question]  # before anything the machine asks by itself
    client.force_login(ann)
    shown = client.get("/api/v1/questions/next").content.decode()
    assert "male" not in shown.replace('"values":["female","male"]', "")
    record_answer(
        question_id=question.pk, annotator=ann, content={"verdict": "value", "value": "female"}, client_id=uuid4()
    )
    assert AttributeLabel.objects.filter(attribute="gender", value="male").count() == 0


def test_a_photo_that_is_here_already_is_asked_about_at_once_and_not_kept_twice(client: Client, portrait: bytes):
    give(client, portrait)
    photo = Photo.objects.get()
    tasks.find_faces([photo.pk])
    told = give(client, portrait, attribute="emotion", value="happy").json()

    assert (told["state"], told["face"]) == ("asked", photo.faces.get().pk)
    assert Photo.objects.count() == 1
    assert sorted(Question.objects.values_list("attribute", flat=True)) == ["emotion", "gender"]
    give(client, portrait, attribute="emotion", value="sad")
    assert Question.objects.count() == 2  # one question about a face, whatever is claimed of it


def test_where_no_face_is_nobody_is_asked(client: Client, portrait: bytes):
    told = give(client, portrait, box=json.dumps({"x": 0, "y": 0, "width": 0.05, "height": 0.05})).json()
    tasks.find_faces([Photo.objects.get().pk])

    made = Feedback.objects.get(pk=told["id"])
    assert (made.state, made.question) == ("nothing", None)
    assert "where the client saw one" in made.reason


def test_who_somebody_is_is_asked_by_the_page_that_shows_them():
    face, other, known = a_face(), a_face(), a_face()
    a_person([known])
    eve = a_user("eve", User.Role.ENGINEER)
    made = [
        Feedback.objects.create(photo=each.photo, attribute="identity", claimed="Ada", by=eve)
        for each in (face, other, known)
    ]
    page = a_question([face], cluster=a_cluster([face]))

    assert feedback.ask_waiting() == 1

    for each in made:
        each.refresh_from_db()
    page.refresh_from_db()
    assert [each.state for each in made] == ["asked", "waiting", "nothing"]
    assert made[0].question == page
    assert page.worth == feedback.WORTH
    a_question([other], cluster=a_cluster([other]))  # the grouping came to it since
    assert feedback.ask_waiting() == 1


@pytest.mark.parametrize(
    ("said", "code", "field"),
    [
        ({"keep": "false"}, "not_to_be_kept", "keep"),
        ({"attribute": "real_age", "value": "30"}, "never_asked", "attribute"),
        ({"attribute": "beauty"}, "unknown_attribute", "attribute"),
        ({"value": "robot"}, "unknown_value", "value"),
        ({"attribute": "apparent_age", "value": "117"}, "unknown_value", "value"),
        ({"attribute": "apparent_age", "value": "-1"}, "unknown_value", "value"),
        ({"box": "{"}, "invalid", "box"),
        ({"box": '{"x": 1}'}, "invalid", "box.y"),
        ({"predicted": "[]"}, "invalid", "predicted"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_nothing_is_kept(client: Client, said: dict, code: str, field: str):
    answer = give(client, b"whatever", **said)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
    assert answer.json()["error"]["field"] == field
    assert not Photo.objects.exists()
    assert not Feedback.objects.exists()


def test_what_is_no_photo_is_refused_as_intake_does(client: Client):
    answer = give(client, b"no picture")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_a_picture")
    assert not Feedback.objects.exists()


def test_everybody_sees_their_own_and_curators_all(client: Client, portrait: bytes):
    pk = give(client, portrait).json()["id"]
    for user, seen in ((a_user("carol"), 200), (a_user("max", User.Role.ENGINEER), 404), (an_annotator(), 403)):
        client.force_login(user)
        assert client.get(f"/api/v1/feedback/{pk}").status_code == seen
    assert Source.objects.get().created_by.username == "eve"


@pytest.mark.parametrize(
    "odd",
    [
        '{"a": NaN}',
        '{"a": 1e400}',
        "[" * 100_000,
        '{"a": "\\u0000"}',
        '{"a": "\\ud800"}',
        '{"a": "' + "x" * 70_000 + '"}',
    ],
)
def test_what_no_database_could_hold_is_refused_before_the_photo_is_kept(client: Client, portrait: bytes, odd: str):
    told = give(client, portrait, predicted=odd)
    assert (told.status_code, told.json()["error"]["field"]) == (400, "predicted")
    assert not Photo.objects.exists()


def test_people_without_a_page_do_not_stand_before_all_others(client: Client, portrait: bytes, monkeypatch):
    monkeypatch.setattr(feedback, "AT_ONCE", 1)
    first = give(client, portrait, attribute="identity", value="Ada")
    tasks.find_faces([Photo.objects.get().pk])  # no page shows the face
    later = Feedback.objects.create(
        photo=Photo.objects.get(), attribute="gender", claimed="male", by=User.objects.get(username="eve")
    )
    feedback.ask_waiting()
    later.refresh_from_db()
    assert later.state == Feedback.State.ASKED
    assert Feedback.objects.get(pk=first.json()["id"]).state == Feedback.State.WAITING
