"""One vector per face and model version, from the kept crop alone."""

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation import embeddings, faces
from annotation.models import Embedding, Face
from inference import registry
from inference.core.align import align
from tests.annotation.test_faces import a_photo_of
from tests.factories import a_face, a_version, an_embedding
from tests.inference.core.drawn_face import drawn_face

pytestmark = pytest.mark.django_db


def found(seed: int = 0) -> Face:
    photo = a_photo_of(drawn_face(seed=seed))
    faces.seek([photo])
    return Face.objects.select_related("photo").get(photo=photo)


def test_a_vector_from_the_kept_crop_is_nearly_that_from_the_photo():
    version, face = registry.ensure_live(), found()

    assert embeddings.embed([face], version) == 1

    kept = embeddings.vectors([face.pk], version)[0]
    network = registry.embedder(version)
    crop, _ = align(drawn_face(), np.array(face.landmarks), network.crop)
    direct = network.embed(crop[None])[0]
    assert kept @ direct > 0.998
    assert np.linalg.norm(kept) == pytest.approx(1, abs=1e-6)


def test_who_has_a_vector_is_left_alone():
    version, face = registry.ensure_live(), found()
    embeddings.embed([face], version)

    assert embeddings.embed([face], version) == 0
    assert Embedding.objects.count() == 1


def test_each_version_has_its_own_vector():
    face, old, new = a_face(), a_version(), a_version(state="candidate")
    an_embedding(face, old, [1, 0, 0, 0])
    an_embedding(face, new, [0, 1, 0, 0])

    assert embeddings.vectors([face.pk], new).tolist() == [[0, 1, 0, 0]]


def test_a_lost_crop_fails_one_face_only():
    version, lost, whole = registry.ensure_live(), found(0), found(1)
    default_storage.delete(lost.crop_key)

    assert embeddings.embed([lost, whole], version) == 1

    lost.refresh_from_db()
    assert "FileNotFoundError" in lost.failure
    assert Embedding.objects.get().face_id == whole.pk


def test_a_damaged_crop_names_itself():
    version, face = registry.ensure_live(), found()
    default_storage.delete(face.crop_key)
    default_storage.save(face.crop_key, ContentFile(b"no picture"))

    embeddings.embed([face], version)

    face.refresh_from_db()
    assert face.crop_key in face.failure
    assert "backup" in face.failure


def test_vectors_come_in_the_order_asked_for_and_none_is_made_up():
    version = a_version()
    one, other, without = a_face(), a_face(), a_face()
    an_embedding(one, version, [1, 0, 0, 0])
    an_embedding(other, version, [0, 1, 0, 0])

    assert embeddings.vectors([other.pk, one.pk], version).argmax(axis=1).tolist() == [1, 0]
    with pytest.raises(KeyError, match=str(without.pk)):
        embeddings.vectors([one.pk, without.pk], version)
