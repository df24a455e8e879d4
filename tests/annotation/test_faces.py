"""Photos become rows of faces in the photo's own pixels, once, whoever looks."""

import io

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from PIL import Image

from annotation import faces, pictures
from annotation.models import Face, Photo
from inference.core.align import apply
from tests.factories import a_photo
from tests.inference.core.drawn_face import add_face, drawn_face

pytestmark = pytest.mark.django_db


def a_photo_of(picture: Image.Image | np.ndarray, **fields: object) -> Photo:
    image = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    encoded = io.BytesIO()
    image.save(encoded, "JPEG", quality=95)
    photo = a_photo(width=image.width, height=image.height, faces_sought_at=None, **fields)
    default_storage.save(photo.key, ContentFile(encoded.getvalue()))
    return photo


def test_a_face_is_found_measured_and_cropped():
    photo = a_photo_of(drawn_face())

    assert faces.seek([photo]) == 1

    face = Face.objects.get()
    assert face.chosen
    assert face.usable
    assert abs(face.x + face.width / 2 - 160) < 15
    assert len(face.landmarks) == 68
    assert len(face.points) == 5
    assert pictures.read_crop(face).shape == (384, 384, 3)
    assert face.perceptual_hash is not None
    photo.refresh_from_db()
    assert photo.faces_sought_at is not None
    assert photo.perceptual_hash is not None


def test_the_kept_transform_maps_the_photo_to_the_crop():
    photo = a_photo_of(drawn_face())
    faces.seek([photo])
    face = Face.objects.get()

    eyes = apply(np.array(face.transform), np.array(face.points)[:2])

    template = 384 * np.array([[0.373, 0.476], [0.627, 0.475]])  # of `wide-384`
    assert np.abs(eyes - template).max() < 25


def test_faces_of_a_large_photo_are_given_in_its_own_pixels():
    large = Image.new("RGB", (3000, 2400), (120, 140, 160))
    add_face(large, centre=(1900, 1100), scale=5)
    photo = a_photo_of(large)

    faces.seek([photo])

    face = Face.objects.get()
    assert abs(face.x + face.width / 2 - 1900) < 75
    assert 500 < face.width < 1100
    nose = apply(np.array(face.transform), np.array(face.landmarks)[30:31])[0]
    assert np.abs(nose / 384 - [0.5, 0.6]).max() < 0.1


def test_the_most_centred_of_several_is_chosen():
    group = Image.new("RGB", (900, 400), (120, 140, 160))
    for across in (160, 450, 740):
        add_face(group, centre=(across, 200), scale=1)
    photo = a_photo_of(group)

    faces.seek([photo])

    assert Face.objects.count() == 3
    chosen = Face.objects.get(chosen=True)
    assert abs(chosen.x + chosen.width / 2 - 450) < 20


def test_a_photo_without_a_face_is_done_too():
    photo = a_photo_of(Image.new("RGB", (300, 300), (120, 140, 160)))

    assert faces.seek([photo]) == 1

    photo.refresh_from_db()
    assert photo.faces_sought_at is not None
    assert not Face.objects.exists()


def test_who_comes_second_writes_nothing():
    photo = a_photo_of(drawn_face())
    mine, theirs = Photo.objects.get(pk=photo.pk), Photo.objects.get(pk=photo.pk)

    assert faces.seek([mine]) == 1
    assert faces.seek([theirs]) == 0  # read before the other wrote
    assert faces.seek([Photo.objects.get(pk=photo.pk)]) == 0
    assert Face.objects.count() == 1


@pytest.mark.parametrize(("left", "cause"), [(b"", "Empty"), (b"\xff\xd8\xff\xe0 cut off", "NotAPicture")])
def test_a_photo_damaged_since_intake_says_so_and_holds_up_nobody(left: bytes, cause: str):
    damaged, whole = a_photo_of(drawn_face()), a_photo_of(drawn_face(seed=1))
    default_storage.delete(damaged.key)
    default_storage.save(damaged.key, ContentFile(left))

    assert faces.seek([damaged, whole]) == 2

    damaged.refresh_from_db()
    assert damaged.failure.startswith(cause)
    assert Face.objects.get().photo_id == whole.pk


def test_a_photo_that_is_gone_says_so():
    photo = a_photo(faces_sought_at=None)

    faces.seek([photo])

    photo.refresh_from_db()
    assert "FileNotFoundError" in photo.failure


def test_a_hash_fits_a_signed_column():
    assert faces.signed(2**64 - 1) == -1
    assert faces.signed(2**63) == -(2**63)
    assert faces.signed(5) == 5
    assert faces.signed(None) is None
