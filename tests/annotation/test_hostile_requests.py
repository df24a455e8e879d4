"""Whatever a client sends to any page or call, the server never fails: it answers, redirects or refuses."""

import json
import random
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.http import HttpResponseBase, StreamingHttpResponse
from django.test import Client

from annotation import forms
from annotation.models import Question, User
from annotation.urls import pages
from tests.factories import a_cluster, a_face, a_pair, a_person, a_photo, a_question, a_user

pytestmark = pytest.mark.django_db

ODD = [
    *[
        "",
        "0",
        "-1",
        "1",
        "99999999999999999999",
        str(2**63),
        "1e3",
        "NaN",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "null",
        "[]",
        "{}",
        "cj0xJnA9MQ==",
    ],
    *["\x00", "%00", "\ud7ff", "😀" * 300, "a" * 5000, "\"'<script>", "../../etc/passwd", "2020-13-45", "0000-00-00"],
]
CONTENTS = [
    *[{}, [], None, 5, {"verdict": {"a": 1}}, {"verdict": "same"}, {"verdict": "one_person", "marks": {"1": []}}],
    *[{"verdict": "one_person", "marks": odd} for odd in ODD],
    *[{"verdict": "one_person", "name": odd} for odd in ODD],
]
CALLS = [
    "releases",
    "sources",
    "photos",
    "faces",
    "identities",
    "labels",
    "standing",
    "questions/next",
    "answers",
    "feedback",
]


def words() -> list[str]:
    """Every field that any form has, and what the API calls its own."""
    fields = {name for each in vars(forms).values() for name in getattr(each, "base_fields", ())}
    return sorted(fields | {"cursor", "kind", "ahead", "pass", "next", "face", "act", "into", "limit", "client_id"})


def paths() -> Iterator[str]:
    for page in pages:
        route = f"/{page.pattern}".replace("<slug:layout>", "csv")
        for pk in (1, 99999, 2**63, 2**70) if "<int:pk>" in route else (1,):
            yield route.replace("<int:pk>", str(pk))
    for call in CALLS:
        yield f"/api/v1/{call}"
        yield from (f"/api/v1/{call}/{pk}" for pk in (1, 2**63, 2**70, "abc", "-1"))


@pytest.fixture
def admin() -> Client:
    faces = [a_face(a_photo(query="Ada")) for _ in range(6)]
    a_question(faces[:3], cluster=a_cluster(faces[:3]))
    a_pair(a_person(faces[3:5], name="Bo"), a_person(faces[5:]))
    client = Client(raise_request_exception=False)
    client.force_login(a_user(role=User.Role.ADMIN))
    return client


def read(answer: HttpResponseBase) -> None:
    """An export is an open file until it is read to its end."""
    if isinstance(answer, StreamingHttpResponse):
        assert sum(len(piece) for piece in answer.streaming_content) >= 0


def test_no_query_makes_a_page_fail(admin: Client):
    chance = random.Random(0)
    names = words()
    for path in paths():
        for _ in range(7):
            query = {chance.choice(names): chance.choice(ODD) for _ in range(chance.randint(0, 3))}
            answer = admin.get(path, query)
            read(answer)
            assert answer.status_code < 500, (path, query)


def test_no_form_and_no_json_makes_an_act_fail(admin: Client):
    chance = random.Random(0)
    names = words()
    for path in paths():
        for _ in range(5):
            body = {chance.choice(names): chance.choice(ODD) for _ in range(chance.randint(0, 4))}
            sent = chance.choice([body, [body], None, 5, "x"])
            answer = (
                admin.post(path, json.dumps(sent), content_type="application/json")
                if path.startswith("/api/")
                else admin.post(path, body)
            )
            read(answer)
            assert answer.status_code < 500, (path, body)


@pytest.mark.parametrize("pk", [0, 10**9, 2**63, 2**70, 10**30])
def test_no_id_makes_an_answer_fail(admin: Client, pk: int):
    body = json.dumps({"client_id": str(uuid4()), "content": {"verdict": "cannot_tell"}})
    for path in (f"questions/{pk}/answer", f"questions/{pk}/skip", f"answers/{pk}/undo", f"sources/{pk}/photos"):
        assert admin.post(f"/api/v1/{path}", body, "application/json").status_code in (400, 404, 409, 415), path


def test_no_answer_makes_a_question_fail(admin: Client):
    chance = random.Random(0)
    for content in CONTENTS:
        for question in Question.objects.all():
            sent = {
                "client_id": chance.choice([str(uuid4()), "x", None, 5]),
                "content": content,
                "elapsed_ms": chance.choice([None, 5, -1, 2**70, "x", 1.5]),
            }
            answer = admin.post(
                f"/api/v1/questions/{question.pk}/answer", json.dumps(sent), content_type="application/json"
            )
            assert answer.status_code < 500, sent
