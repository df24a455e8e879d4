"""The pages of releases: looked at before, frozen, told, compared, checked, taken along."""

import io
import tarfile

import pytest
from django.test import Client

from annotation import releases, tasks
from annotation.core import splits
from annotation.models import Release
from tests.annotation.test_releases import released, says, some_labelled
from tests.factories import a_person, a_source, a_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folder(settings, tmp_path):
    settings.RELEASES_DIR = tmp_path / "releases"


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def test_one_looks_before_anything_is_frozen(curator):
    some_labelled(20)

    page = curator.post("/releases/new", {"act": "preview", "attributes": ["gender"], "usable_only": "on"})

    assert page.status_code == 200
    assert page.context["planned"]["splits"] == {"train": 14, "validation": 3, "test": 3}
    assert [row["value"] for row in page.context["tables"][0]["rows"]] == ["female", "male"]
    assert not Release.objects.exists()


def test_what_was_looked_at_is_frozen_by_the_belt(curator, monkeypatch, django_capture_on_commit_callbacks):
    source = a_source("mine")
    some_labelled(4, source)
    some_labelled(4)
    monkeypatch.setattr(tasks.build_release, "delay", tasks.build_release)
    said = {"act": "freeze", "name": "spring", "purpose": "To learn.", "sources": [source.pk], "min_confidence": "0.5"}

    with django_capture_on_commit_callbacks(execute=True):
        page = curator.post("/releases/new", said)

    made = Release.objects.get()
    assert page.url == f"/releases/{made.pk}/"
    assert (made.state, made.counts["faces"], made.created_by.username) == ("done", 4, "carol")
    assert made.query["sources"] == ["mine"]
    assert made.query["usable_only"] is False


def test_what_cannot_be_is_told_beside_the_form(curator):
    some_labelled(2)
    released("spring")

    page = curator.post("/releases/new", {"act": "freeze", "name": "spring"})
    assert page.status_code == 400
    assert "never edited" in page.content.decode()
    page = curator.post("/releases/new", {"act": "freeze", "name": "other", "min_size": "9000"})
    assert "No labelled face fits" in page.content.decode()
    page = curator.post("/releases/new", {"act": "freeze", "name": "", "min_confidence": "7"})
    assert page.status_code == 400
    assert Release.objects.count() == 1


def test_a_release_s_page_tells_counts_rights_filters_changes_and_the_datasheet(curator):
    some_labelled(10, a_source("Album <b>"))
    released()
    some_labelled(10)
    second = released("second", attributes=["gender"])

    text = curator.get(f"/releases/{second.pk}/").content.decode()

    assert second.checksum in text
    assert "Album &lt;b&gt;" in text
    assert "The test only grew." in text
    assert "# Datasheet: second" in text
    assert "<dt>Attributes</dt>" in text
    for layout in ("parquet", "webdataset", "images", "csv", "coco"):
        assert f"/releases/{second.pk}/download/{layout}" in text


def test_it_is_compared_with_any_other(curator):
    some_labelled(6)
    first = released()
    released("second", min_size=10)
    says_happy = some_labelled(1)
    says(says_happy[0], "emotion", "happy")
    third = released("third")

    page = curator.get(f"/releases/{third.pk}/?against={first.pk}")

    assert page.context["older"] == first
    assert page.context["changes"]["added"]["count"] == 1
    assert curator.get(f"/releases/{third.pk}/?against=99999").status_code == 404
    assert curator.get(f"/releases/{third.pk}/?against=x").context["changes"] == third.changes


@pytest.mark.parametrize("layout", ["parquet", "webdataset", "images", "csv", "coco"])
def test_a_download_is_a_tar_that_is_made_while_it_is_sent(curator, layout):
    some_labelled(5)
    release = released("Spring 2026")

    response = curator.get(f"/releases/{release.pk}/download/{layout}")

    assert response.streaming
    assert response["Content-Disposition"] == f'attachment; filename="spring-2026-{layout}.tar"'
    with tarfile.open(fileobj=io.BytesIO(b"".join(response.streaming_content))) as tar:
        assert tar.getnames()


def test_an_unknown_format_is_not_found(curator):
    some_labelled(2)
    pk = released().pk

    assert curator.get(f"/releases/{pk}/download/zip").status_code == 404
    assert curator.get(f"/releases/{pk}/download/coco?by=gender").status_code == 404
    assert curator.get(f"/releases/{pk}/download/images?by=height").status_code == 404


def test_the_check_s_outcome_is_told(curator, monkeypatch, django_capture_on_commit_callbacks):
    some_labelled(2)
    release = released()
    monkeypatch.setattr(tasks.verify_release, "delay", lambda pk: tasks.verify_release(pk) or pk)
    (releases.folder_of(release) / "faces/99999.parquet").write_bytes(b"more")

    with django_capture_on_commit_callbacks(execute=True):
        curator.post(f"/releases/{release.pk}/verify")

    text = curator.get(f"/releases/{release.pk}/").content.decode()
    assert "does not belong" in text
    assert "Damaged" in text


def test_what_was_erased_since_is_listed_and_it_is_not_handed_out(curator):
    faces = some_labelled(3)
    release = released()
    releases.mark_erased(faces[0].photo)

    text = curator.get(f"/releases/{release.pk}/").content.decode()
    response = curator.get(f"/releases/{release.pk}/download/csv", follow=True)

    assert faces[0].photo.sha256 in text
    assert "1 photo erased since" in text
    assert "/download/" not in text
    assert "not handed out any more" in response.content.decode()


def test_a_release_that_is_lost_still_has_its_page(curator):
    some_labelled(2)
    release = released()
    (releases.folder_of(release) / "DATASHEET.md").unlink()

    page = curator.get(f"/releases/{release.pk}/")

    assert page.status_code == 200
    assert "is missing" in page.content.decode()
    assert curator.get(f"/releases/{release.pk}/datasheet").status_code == 404


def test_one_under_way_and_one_that_failed_are_told_as_such(curator):
    some_labelled(2)
    waiting = releases.create_release(name="waiting", query={}, by=None)
    failed = Release.objects.create(name="failed", query={}, state="failed", error="The disk is full.")

    assert "data-reload" in curator.get(f"/releases/{waiting.pk}/").content.decode()
    assert "The disk is full." in curator.get(f"/releases/{failed.pk}/").content.decode()
    assert "failed" in curator.get("/releases/").content.decode()


def test_a_part_without_a_label_of_an_attribute_is_told_before_and_after(curator):
    says(some_labelled(20)[0], "real_age", "30")

    warned = "real_age has no labelled face in: "
    assert warned in curator.post("/releases/new", {"act": "preview"}).content.decode()
    frozen = released()
    assert warned in curator.get(f"/releases/{frozen.pk}/").content.decode()
    assert f"**{warned}" in curator.get(f"/releases/{frozen.pk}/datasheet").content.decode()


def test_a_group_that_has_too_many_faces_is_told_before(curator, monkeypatch):
    monkeypatch.setattr(splits, "FEW", 10)
    a_person(some_labelled(12))
    some_labelled(8)

    page = curator.post("/releases/new", {"act": "preview"})

    assert "One group has 12 of 20 faces" in page.content.decode()
    frozen = released()
    assert "One group has 12 of 20 faces" in curator.get(f"/releases/{frozen.pk}/").content.decode()
    assert "**One group has 12 of 20 faces" in curator.get(f"/releases/{frozen.pk}/datasheet").content.decode()
    assert "One group has" in curator.get(f"/api/v1/releases/{frozen.pk}").json()["warnings"][0]
