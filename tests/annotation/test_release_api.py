"""Releases over REST: asked for, looked at, compared, checked, taken along; each by its roles."""

import io
import tarfile

import pytest
from django.test import Client

from annotation import releases, tasks
from annotation.models import Release, User
from tests.annotation.test_releases import released, some_labelled
from tests.factories import a_user

pytestmark = pytest.mark.django_db

V1 = "/api/v1"


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.RELEASES_DIR = tmp_path / "releases"


@pytest.fixture
def engineer(client: Client) -> Client:
    client.force_login(a_user("eve", User.Role.ENGINEER))
    return client


def post(client: Client, path: str, body: object = None):
    return client.post(f"{V1}/{path}", body or {}, content_type="application/json")


def test_a_release_is_asked_for_built_and_listed(engineer, monkeypatch, django_capture_on_commit_callbacks):
    some_labelled(4)
    monkeypatch.setattr(tasks.build_release, "delay", tasks.build_release)

    with django_capture_on_commit_callbacks(execute=True):
        asked = post(engineer, "releases", {"name": "spring", "query": {"attributes": ["gender"]}})

    assert asked.status_code == 202
    assert asked.json()["state"] == "waiting"
    told = engineer.get(f"{V1}/releases/{asked.json()['id']}").json()
    assert (told["state"], told["counts"]["faces"], len(told["checksum"])) == ("done", 4, 64)
    assert [each["name"] for each in engineer.get(f"{V1}/releases?state=done").json()["results"]] == ["spring"]
    assert engineer.get(f"{V1}/releases?state=failed").json()["results"] == []


def test_a_preview_keeps_nothing(engineer):
    some_labelled(20)

    told = post(engineer, "releases/preview", {"query": {"attributes": ["gender"]}}).json()

    assert told["splits"] == {"train": 14, "validation": 3, "test": 3}
    assert not Release.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "r", "query": {"atributes": []}}, 400, "bad_release_query"),
        ({"name": "r", "query": {"sources": ["nowhere"]}}, 400, "bad_release_query"),
        ({"name": "a/b"}, 400, "bad_release_query"),
        ({"name": "taken"}, 409, "release_exists"),
        ({"query": {}}, 400, "invalid"),
        ({"name": "r", "query": []}, 400, "invalid"),
        ({"name": "r", "predecessor": 999}, 400, "invalid"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_in_the_envelope(engineer, body, status, code):
    some_labelled(2)
    released("taken")

    answer = post(engineer, "releases", body)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code


def test_downloads_diffs_and_checks(engineer, monkeypatch, django_capture_on_commit_callbacks):
    monkeypatch.setattr(tasks.verify_release, "delay", lambda pk: tasks.verify_release(pk) or pk)
    some_labelled(4)
    first = released()
    some_labelled(2)
    second = released("second")

    response = engineer.get(f"{V1}/releases/{second.pk}/download?layout=coco")
    with tarfile.open(fileobj=io.BytesIO(b"".join(response.streaming_content))) as tar:
        assert "annotations/train.json" in tar.getnames()
    assert engineer.get(f"{V1}/releases/{second.pk}/diff?against={first.pk}").json()["added"]["count"] == 2
    with django_capture_on_commit_callbacks(execute=True):
        assert post(engineer, f"releases/{second.pk}/verify").status_code == 202
    told = engineer.get(f"{V1}/releases/{second.pk}").json()
    assert (told["damage"], bool(told["checked_at"])) == ("", True)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("download", 400),
        ("download?layout=zip", 400),
        ("download?layout=csv&by=gender", 400),
        ("diff", 400),
        ("diff?against=999", 400),
    ],
)
def test_a_bad_wish_is_refused(engineer, path, status):
    some_labelled(2)

    assert engineer.get(f"{V1}/releases/{released().pk}/{path}").status_code == status


def test_one_that_waits_or_lost_photos_is_not_handed_out(engineer):
    faces = some_labelled(2)
    done = released()
    waiting = releases.create_release(name="waiting", query={}, by=None)
    releases.mark_erased(faces[0].photo)

    answer = engineer.get(f"{V1}/releases/{waiting.pk}/download?layout=csv")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "release_not_done")
    answer = engineer.get(f"{V1}/releases/{done.pk}/download?layout=csv")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "release_has_erased")
    assert engineer.get(f"{V1}/releases/{done.pk}").json()["erased_photos"] == [faces[0].photo.sha256]


@pytest.mark.parametrize("role", User.Role.values)
def test_whoever_annotates_only_has_no_part_in_it(client, role, monkeypatch):
    monkeypatch.setattr(tasks.verify_release, "delay", lambda pk: pk)
    some_labelled(2)
    pk = released().pk
    client.force_login(a_user(role=role))

    answers = [
        client.get(f"{V1}/releases"),
        client.get(f"{V1}/releases/{pk}"),
        client.get(f"{V1}/releases/{pk}/download?layout=csv"),
        client.get(f"{V1}/releases/{pk}/diff?against={pk}"),
        post(client, f"releases/{pk}/verify"),
        post(client, "releases/preview"),
        post(client, "releases", {"name": "mine"}),
    ]

    allowed = role not in (User.Role.ANNOTATOR, User.Role.CLIENT)
    assert {answer.status_code for answer in answers} == ({200, 202} if allowed else {403})


def test_nobody_comes_in_without_signing_in(client):
    assert client.get(f"{V1}/releases").status_code == 401


def test_openapi_describes_the_calls(client):
    client.force_login(a_user())

    paths = client.get("/api/schema?format=json").json()["paths"]

    described = {path: set(of) for path, of in paths.items() if path.startswith("/api/v1/releases")}
    assert described["/api/v1/releases"] == {"get", "post"}
    assert "application/x-tar" in paths["/api/v1/releases/{id}/download"]["get"]["responses"]["200"]["content"]
    assert {parameter["name"] for parameter in paths["/api/v1/releases/{id}/download"]["get"]["parameters"]} == {
        "id", "layout", "by",
    }  # fmt: skip
