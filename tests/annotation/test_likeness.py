"""Whom a face may be, told by everybody's mean vector, which follows every decision."""

import io

import numpy as np
import pytest
from PIL import Image

from annotation import accounts, gallery
from annotation.core.drawn import draw_portrait
from annotation.likeness import search, spread
from annotation.models import FaceSearch, Source
from inference import registry
from inference.core.align import align
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.images import PictureRefused
from inference.core.landmarks import cold_landmarker
from tests.factories import a_face, a_person, a_user, a_version, an_embedding

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nobody_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_held", None)


def as_file(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG")
    return encoded.getvalue()


def vector_of(person: int, number: int) -> np.ndarray:
    picture = np.asarray(draw_portrait(person, number))
    network = registry.embedder(registry.ensure_live())
    found = find_faces(picture, cold_detector(), cold_landmarker())
    return network.embed(np.stack([align(picture, face.landmarks, network.crop)[0] for face in found]))[0]


def test_a_dropped_photo_finds_the_person_whose_other_photos_are_known():
    live = registry.ensure_live()
    known = {}
    for person in (0, 1, 2):
        faces = [a_face() for _ in range(2)]
        for number, face in enumerate(faces):
            an_embedding(face, live, vector_of(person, number))
        known[person] = a_person(faces, f"Person {person}")
    curator = a_user()

    _, (sought,) = search(as_file(draw_portrait(1, 5)), by=curator)

    assert sought.matches[0].identity == known[1]
    cosines = [match.cosine for match in sought.matches]
    assert cosines == sorted(cosines, reverse=True)
    assert sought.picture.startswith("data:image/jpeg;base64,")
    logged = FaceSearch.objects.get()
    assert (logged.by, logged.faces) == (curator, 1)
    assert set(logged.found) == {person.pk for person in known.values()}

    # Who sees one source only is told of nobody else, and the likeliest counts as nobody.
    some = a_user()
    accounts.restrict(some, Source.objects.filter(photos__faces__label__identity=known[0]), by=None)
    _, (told,) = search(as_file(draw_portrait(1, 5)), by=some)
    assert [match.identity for match in told.matches] == [known[0]]
    assert {face.photo.source_id for face in told.matches[0].faces} <= set(some.own_sources)
    assert told.nobody > sought.nobody
    assert FaceSearch.objects.latest("pk").found == [known[0].pk]


def test_a_photo_without_a_face_finds_nobody_and_one_that_is_none_is_refused():
    assert search(as_file(Image.new("RGB", (200, 200), "gray")), by=a_user())[1] == []
    with pytest.raises(PictureRefused):
        search(b"no picture", by=a_user())


def test_a_minority_of_somebody_else_falls_out_first():
    version = a_version()
    faces = [a_face() for _ in range(9)]
    for number, face in enumerate(faces):
        an_embedding(face, version, [1, 0.05 * number, 0, 0] if number < 5 else [0.3, 0, 1, 0])
    person = a_person([*faces, a_face()])  # one has no vector yet

    alike = spread(person, a_user())

    assert len(alike) == 9
    assert {each.face for each in alike[:4]} == set(faces[5:])
    assert alike[3].cosine < 0.5 < alike[4].cosine
