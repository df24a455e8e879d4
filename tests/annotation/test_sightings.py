"""Whoever is shown a face is in the audit log: one line a page, its pictures told by it, and nothing besides."""

import json
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse

from annotation.models import AuditEvent, Face
from tests.factories import a_face, a_person, a_single, a_user, an_annotator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    cache.clear()


@pytest.fixture
def faces() -> list[Face]:
    found = [a_face() for _ in range(3)]
    for face in found:
        if not default_storage.exists(face.crop_key):
            default_storage.save(face.crop_key, ContentFile(b"a crop"))
    return found


def seen(client: Client, address: str) -> int:
    """The status of a picture that was asked for, and read to its end."""
    response = client.get(address)
    assert response.status_code != 200 or b"".join(response.streaming_content)  # type: ignore[attr-defined]
    return response.status_code


def told(action: str = "see") -> list[tuple[str, dict[str, Any]]]:
    return list(AuditEvent.objects.filter(action=action).order_by("pk").values_list("subject", "details"))


def test_a_page_of_faces_is_one_line_with_their_ids_and_its_pictures_are_none(client: Client, faces: list[Face]):
    curator = a_user()
    client.force_login(curator)
    client.get("/faces/")
    ((subject, details),) = told()
    assert (subject, details["page"], set(details["faces"])) == ("", "faces", {face.pk for face in faces})
    for face in faces:
        assert seen(client, reverse("face-crop", args=[face.pk]) + "?pass=made-up") == 200
    assert len(told()) == 1
    line = AuditEvent.objects.get(action="see")
    assert (line.by, line.token, bool(line.request)) == (curator, None, True)


def test_a_picture_that_nobody_was_shown_is_a_line_of_its_own_and_once(client: Client, faces: list[Face]):
    client.force_login(a_user())
    address = reverse("face-crop", args=[faces[0].pk])
    for _ in range(2):
        seen(client, address + "?pass=made-up")  # a pass is believed of those who need one, and only if it is theirs
    assert told() == [(f"face {faces[0].pk}", {"page": "face-crop"})]
    client.force_login(a_user("another"))
    seen(client, address)
    assert len(told()) == 2
    kept = client.get(address)
    assert b"".join(kept.streaming_content)  # type: ignore[attr-defined]  # read to its end, which closes the file
    cache.clear()  # a quarter of an hour later
    assert client.get(address, headers={"If-None-Match": kept["ETag"]}).status_code == 304
    assert len(told()) == 3


def test_what_is_refused_or_shows_nobody_leaves_no_line_and_costs_no_query(
    client: Client, faces: list[Face], django_assert_num_queries: Any
):
    client.force_login(an_annotator())
    assert seen(client, reverse("face-crop", args=[faces[0].pk])) == 403
    assert client.get(reverse("faces")).status_code == 403
    client.force_login(a_user())
    assert client.get(reverse("face", args=[10**9])).status_code == 404
    client.logout()
    with django_assert_num_queries(0):
        client.get(reverse("login"))
    assert told() == []


def test_a_question_is_a_line_and_neither_its_pictures_nor_its_answer_are_more(client: Client, faces: list[Face]):
    question = a_single(faces[0])
    client.force_login(an_annotator())
    shown = client.get("/api/v1/questions/next").json()["questions"][0]
    ((_, details),) = told()
    assert (details["page"], details["faces"]) == ("api-next", [faces[0].pk])
    (crop,) = [each["crop"] for each in shown["faces"]]
    assert seen(client, crop) == 200
    body = {
        "client_id": "7b9b0c5e-3f0a-4c8e-9a55-0d4a9c1e7a11",
        "content": {"verdict": "value", "value": "female"},
        "elapsed_ms": 900,
    }
    assert client.post(f"/api/v1/questions/{question.pk}/answer", body, "application/json").status_code == 201
    assert len(told()) == 1


def test_rows_of_the_api_people_and_exports_are_told_by_their_ids(client: Client, faces: list[Face]):
    client.force_login(a_user())
    person = a_person(faces, name="Ada")
    client.get("/api/v1/faces")
    client.get(f"/api/v1/identities/{person.pk}")
    client.get("/people/")
    assert [details["page"] for _, details in told()] == ["face-list", "identity-detail", "people"]
    assert set(told()[0][1]["faces"]) == {face.pk for face in faces}
    assert told()[1][1]["people"] == [person.pk]
    assert "Ada" not in json.dumps(told())
    client.get(reverse("labels-csv"))
    assert [details["page"] for _, details in told("export")] == ["labels-csv"]
    client.get(reverse("labels-csv"), {"source": "a\x00b\n" + 200 * "c"})
    assert told("export")[-1][1]["source"] == "ab" + 98 * "c"


def test_a_form_that_is_shown_again_with_its_mistake_shows_people_all_the_same(client: Client):
    client.force_login(a_user(role="admin"))
    face = a_face()
    asked = {"kind": "photo", "ids": str(face.photo_id), "reason": "request 7", "confirm": "7"}
    assert client.post(reverse("erasure-ask"), asked).status_code == 400
    line = AuditEvent.objects.get(action="see")
    assert line.details["photos"] == [face.photo_id]
