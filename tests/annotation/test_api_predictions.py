"""Search over REST: a photo of somebody known, of a stranger, and who may look."""

import csv
from io import BytesIO, StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.test import Client
from PIL import Image
from rest_framework.response import Response

from annotation import gallery
from annotation.core.drawn import draw_portrait
from annotation.likeness import search as search_photo
from annotation.models import AuditEvent, FaceSearch, Identity, User
from inference import registry
from inference.core import sameness
from inference.predict import embed
from tests.annotation.test_likeness import vector_of
from tests.factories import a_face, a_person, a_user, an_embedding

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_held", None)


@pytest.fixture
def curator(client: Client) -> Client:
    client.force_login(a_user("carol"))
    return client


def a_file(picture: Image.Image) -> SimpleUploadedFile:
    content = BytesIO()
    picture.save(content, "JPEG")
    return SimpleUploadedFile("photo.jpg", content.getvalue(), "image/jpeg")


def search(client: Client, picture: Image.Image, **more: object) -> Response:
    return client.post("/api/v1/search", {"photo": a_file(picture)} | more)


def test_a_photo_finds_who_it_is_or_nobody_whom_we_know(curator: Client):
    live = registry.ensure_live()
    known = {}
    for person in (0, 1, 2):
        an_embedding(face := a_face(), live, vector_of(person, 0))
        known[person] = a_person([face], f"Person {person}")

    (face,) = search(curator, draw_portrait(1, 5)).json()["faces"]
    (strange,) = search(curator, draw_portrait(10245, 1), most=2).json()["faces"]

    assert (face["identity"], face["candidates"][0]["name"]) == (known[1].pk, "Person 1")
    assert len(face["candidates"]) == 3
    assert len(strange["candidates"]) == 2
    for each in (face, strange):
        assert each["nobody"] + sum(one["probability"] for one in each["candidates"]) <= 1.001
        assert not each["calibrated"]  # three people teach nothing
    assert (strange["identity"] is None) == (strange["nobody"] > strange["candidates"][0]["probability"])
    assert FaceSearch.objects.count() == 2


def test_who_looks_for_somebody_by_a_face_is_in_the_audit_log_and_so_is_whom_it_told_of(
    curator: Client, tmp_path: Path
):
    an_embedding(face := a_face(), registry.ensure_live(), vector_of(1, 0))
    person, ada = a_person([face], "Ada"), a_user("ada", role="admin")
    photo = tmp_path / "photo.jpg"
    draw_portrait(1, 5).save(photo)

    search(curator, draw_portrait(1, 5))
    curator.post("/people/by-face", {"photo": a_file(draw_portrait(1, 5))})
    call_command("erase", "person", photo=str(photo), by="ada", stdout=StringIO())

    lines = AuditEvent.objects.filter(action="search").order_by("pk")
    assert [line.details["page"] for line in lines] == ["api-search", "by-face", "manage.py erase"]
    assert [line.details["people"] for line in lines] == [[person.pk]] * 3
    assert lines[2].by == ada


def test_what_the_gallery_learnt_from_its_own_faces_is_kept_with_it(curator: Client, monkeypatch: pytest.MonkeyPatch):
    live, rng = registry.ensure_live(), np.random.default_rng(0)
    told, real = list[tuple[np.ndarray, ...]](), sameness.fit
    monkeypatch.setattr(sameness, "fit", lambda *seen: told.append(seen) or real(*seen))
    monkeypatch.setattr(sameness, "FEWEST", 8)
    for _person in range(5):
        centre = rng.normal(size=live.dimensions)
        faces = [a_face() for _ in range(2)]
        for face in faces:
            an_embedding(face, live, centre + 0.3 * rng.normal(size=live.dimensions))
        a_person(faces)
    an_embedding(single := a_face(), live, rng.normal(size=live.dimensions))
    a_person([single])
    an_embedding(a_face(duplicate_of=faces[0]), live, centre)

    gallery.keep_up()

    (cosines, counts, own, own_counts) = told[0]
    assert cosines.shape == counts.shape == (9, 5)  # a face that has a duplicate tells nothing
    assert list(own_counts) == [1] * 9
    assert own.min() > 0.7 > 0.5 > cosines.max()
    learnt = gallery._learnt(live)
    assert learnt is not None
    assert learnt.faces == 9
    (found,) = gallery.recognise((centre / np.linalg.norm(centre))[None].astype(np.float32), 3)
    assert found.calibrated
    assert found.candidates[0].probability > 0.9


@pytest.mark.parametrize("most", [0, 51, "many"])
def test_how_many_are_told_has_its_bounds(curator: Client, most: object):
    answer = search(curator, draw_portrait(1, 5, (60, 70)), most=most)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "most")


def test_only_curators_look_for_people_by_their_face(client: Client):
    for role in (User.Role.ANNOTATOR, User.Role.ENGINEER):
        client.force_login(a_user(role=role))
        assert client.post("/api/v1/search", {}).status_code == 403
    client.logout()
    assert client.post("/api/v1/search", {}).status_code == 401
    assert not FaceSearch.objects.exists()


def test_what_is_no_photo_is_refused(curator: Client):
    answer = curator.post("/api/v1/search", {"photo": SimpleUploadedFile("a.jpg", b"no")})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "photo")
    assert search(curator, Image.new("RGB", (200, 200), "gray")).json()["faces"] == []


@pytest.mark.realdata
def test_real_people_are_found_and_strangers_are_nobody(shared_data: Path):
    with (shared_data / "scrape" / "truth.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["identity"] and not row["fault"]]
    photos = dict[str, list[bytes]]()
    for row in rows:
        photos.setdefault(row["identity"], []).append((shared_data / "scrape" / row["file"]).read_bytes())
    live, known = registry.ensure_live(), list[Identity]()
    asked = [each for each in photos.values() if len(each) >= 5][:8]
    for number, of_person in enumerate(asked[:4]):
        faces = [a_face() for _ in range(3)]
        for face, data in zip(faces, of_person, strict=False):
            predicted, vectors = embed(data, live)
            main = next(row for row, each in enumerate(predicted.faces) if each.found.chosen)
            an_embedding(face, live, vectors[main])
        known.append(a_person(faces, f"Person {number}"))
    curator, right = a_user(), 0
    for number, of_person in enumerate(asked):
        _, (face, *_rest) = search_photo(of_person[4], by=curator)
        best = face.matches[0]
        right += best.probability < face.nobody if number >= 4 else best.identity == known[number]

    assert right >= 7
