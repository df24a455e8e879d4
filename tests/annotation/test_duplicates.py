"""Copies of a photo become a group; one of them stands for it in questions, and goes on to."""

import cv2
import numpy as np
import pytest

from annotation import duplicates, pictures
from annotation.models import Face, Photo
from inference.core.duplicates import crop_hash, perceptual_hash
from inference.models import ModelVersion
from tests.factories import a_face, a_photo, a_version, an_embedding
from tests.inference.core.test_duplicates import a_picture, reencoded

pytestmark = pytest.mark.django_db


@pytest.fixture
def version() -> ModelVersion:
    return a_version()


def shown(
    version: ModelVersion, picture: np.ndarray, vector: list[float], photo: Photo | None = None, **fields
) -> Face:
    """A face with this picture as its crop, in a photo that looks the same."""
    photo = photo or a_photo(perceptual_hash=duplicates_signed(perceptual_hash(picture)), **fields)
    first = not photo.faces.exists()
    face = a_face(photo, number=int(not first), chosen=first, perceptual_hash=duplicates_signed(crop_hash(picture)))
    pictures.keep(face.crop_key, picture)
    an_embedding(face, version, vector)
    return face


def duplicates_signed(hashed: int | None) -> int | None:
    return hashed - 2**64 if hashed is not None and hashed >= 2**63 else hashed


def stands_for(face: Face) -> int | None:
    face.refresh_from_db()
    return face.duplicate_of_id


def test_the_larger_photo_stands_for_its_copies(version: ModelVersion):
    picture, vector = a_picture(0), [1, 0, 0, 0]
    small = shown(version, reencoded(picture, 40), vector, width=200, height=150)
    large = shown(version, picture, vector)
    other = shown(version, a_picture(1), [0, 1, 0, 0])

    assert duplicates.find(version) == 1

    assert stands_for(small) == large.pk
    assert stands_for(large) is None
    assert stands_for(other) is None
    small.photo.refresh_from_db()
    assert small.photo.duplicate_of_id == large.photo_id


def test_hashes_alone_do_not_make_a_copy(version: ModelVersion):
    picture = a_picture(0)
    shown(version, picture, [1, 0, 0, 0])
    shown(version, picture, [0, 1, 0, 0])

    assert duplicates.find(version) == 0


def test_vectors_and_hashes_do_not_either_if_the_detail_differs(version: ModelVersion):
    picture = a_picture(0)
    light = cv2.GaussianBlur(picture, (0, 0), 12)
    hair = a_picture(7).astype(np.float32) - cv2.GaussianBlur(a_picture(7), (0, 0), 12)
    other = np.clip(light + 0.5 * hair, 0, 255).astype(np.uint8)
    assert (perceptual_hash(picture) ^ perceptual_hash(other)).bit_count() <= 10
    shown(version, picture, [1, 0, 0, 0])
    shown(version, other, [1, 0, 0, 0])

    assert duplicates.find(version) == 0


def test_two_faces_of_one_photo_are_two(version: ModelVersion):
    twin = shown(version, a_picture(0), [1, 0, 0, 0])
    shown(version, a_picture(0), [1, 0, 0, 0], photo=twin.photo)

    assert duplicates.find(version) == 0


def test_who_stands_for_a_group_goes_on_though_a_better_copy_comes(version: ModelVersion):
    picture, vector = a_picture(0), [1, 0, 0, 0]
    first, second = (shown(version, picture, vector) for _ in range(2))
    duplicates.find(version)
    best = shown(version, picture, vector, width=4000, height=3000)

    assert duplicates.find(version, {best.pk}) == 1

    assert stands_for(first) is None
    assert stands_for(second) == stands_for(best) == first.pk


def test_looking_again_changes_nothing(version: ModelVersion):
    for _ in range(3):
        shown(version, a_picture(0), [1, 0, 0, 0])

    assert [duplicates.find(version), duplicates.find(version)] == [2, 0]


def test_photos_without_faces_are_compared_by_their_hash_alone(version: ModelVersion):
    small, large, other = (
        a_photo(perceptual_hash=hashed, width=width) for hashed, width in ((8, 10), (8, 99), (-9, 9))
    )

    duplicates.find(version)

    assert Photo.objects.get(duplicate_of__isnull=False).pk == small.pk
    assert {large.pk, other.pk} == set(Photo.objects.filter(duplicate_of=None).values_list("pk", flat=True))
