"""A request that comes again under its key is done once."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from rest_framework.response import Response

from annotation import idempotency, intake
from annotation.errors import KeyInHand
from annotation.models import KeptAnswer, Source, User
from tests.factories import a_question, a_source, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def make(client: Client, key: str, name: str = "Spring") -> Response:
    headers = {"Idempotency-Key": key}
    return client.post("/api/v1/sources", {"name": name}, content_type="application/json", headers=headers)


def test_the_same_request_again_is_answered_the_same_and_done_once(client: Client):
    first, again = make(client, "one"), make(client, "one")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Source.objects.count() == 1
    assert make(client, "two").status_code == 409  # SourceExists: another request, though its body is the same
    client.force_login(a_user("dora"))
    assert make(client, "one").status_code == 409  # somebody else's key is theirs


def test_another_request_under_a_key_is_refused(client: Client):
    make(client, "one")
    answer = make(client, "one", name="Autumn")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "key_reused")
    assert Source.objects.count() == 1


def test_an_answer_taken_back_twice_over_a_bad_line_is_taken_back_once(client: Client):
    question = a_question()
    content, headers = {"verdict": "one_person"}, {"Idempotency-Key": "back"}
    given = client.post(
        f"/api/v1/questions/{question.pk}/answer",
        {"content": content, "client_id": str(uuid4())},
        content_type="application/json",
    ).json()

    first, again = (client.post(f"/api/v1/answers/{given['id']}/undo", headers=headers) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["question"]["id"] == question.pk
    assert client.post(f"/api/v1/answers/{given['id']}/undo").status_code == 409  # another request


def test_a_request_that_was_refused_frees_its_key(client: Client):
    assert make(client, "one", name="a/b").status_code == 400
    assert make(client, "one").status_code == 201


def test_a_failure_of_the_server_frees_its_key(client: Client, monkeypatch: pytest.MonkeyPatch):
    client.raise_request_exception = False
    with monkeypatch.context() as patch:
        patch.setattr(intake, "create_source", lambda **_: 1 / 0)
        assert make(client, "one").status_code == 500
    assert make(client, "one").status_code == 201


class Killed(BaseException):
    """As a kill: nobody gets to tidy up."""


def test_whoever_is_killed_before_the_answer_is_kept_has_done_nothing(client: Client, monkeypatch: pytest.MonkeyPatch):
    def killed(*words: object, **more: object) -> None:
        assert Source.objects.count() == 1
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(idempotency, "keep", killed)
        with pytest.raises(Killed):
            make(client, "one")
    assert not Source.objects.exists()
    assert make(client, "one").json()["error"]["code"] == "key_in_hand"
    KeptAnswer.objects.update(at=timezone.now() - idempotency.PATIENCE - timedelta(seconds=1))
    assert make(client, "one").status_code == 201
    assert Source.objects.count() == 1


def test_a_request_that_another_overtook_is_taken_back(client: Client, monkeypatch: pytest.MonkeyPatch):
    create = intake.create_source

    def slowly(**said: object) -> Source:
        made = create(**said)
        KeptAnswer.objects.update(at=timezone.now())  # it came again, long after, and was begun anew
        return made

    monkeypatch.setattr(intake, "create_source", slowly)
    assert make(client, "one").json()["error"]["code"] == "key_in_hand"
    assert not Source.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 201, "tab\there"])
def test_a_key_that_is_none_is_refused(client: Client, key: str):
    answer = make(client, key)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Idempotency-Key")


def test_files_are_told_apart_by_their_bytes_and_not_by_the_form_around_them(client: Client):
    source = a_source()

    def upload(data: bytes) -> Response:
        body = {"file": SimpleUploadedFile("one.jpg", data)}
        return client.post(f"/api/v1/sources/{source.pk}/photos", body, headers={"Idempotency-Key": "one"})

    assert upload(b"no picture").json() == upload(b"no picture").json()
    assert upload(b"another").status_code == 422


def test_a_request_in_hand_is_waited_for_but_not_for_ever():
    user, now = a_user(role=User.Role.CURATOR), timezone.now()
    held = idempotency.claim(user=user, key="one", digest="d", now=now)
    with pytest.raises(KeyInHand):
        idempotency.claim(user=user, key="one", digest="d", now=now)
    later = now + idempotency.PATIENCE + timedelta(seconds=1)
    assert idempotency.claim(user=user, key="one", digest="d", now=later) == held
    with pytest.raises(KeyInHand):
        idempotency.claim(user=user, key="one", digest="d", now=later)
    idempotency.forget(now + idempotency.KEPT + idempotency.PATIENCE + timedelta(hours=1))
    assert not KeptAnswer.objects.exists()
