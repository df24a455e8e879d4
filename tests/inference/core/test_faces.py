from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.core.detect import cold_detector
from inference.core.faces import find_faces, framed, most_centred
from inference.core.landmarks import cold_landmarker
from inference.core.types import Box, FaceFound, Picture
from tests.inference.core.drawn_face import add_face, drawn_face


def faces_of(picture: Picture) -> list[FaceFound]:
    return find_faces(picture, cold_detector(), cold_landmarker())


def several(*heads: tuple[tuple[float, float], float]) -> Picture:
    picture = Image.new("RGB", (900, 400), (120, 140, 160))
    for centre, scale in heads:
        add_face(picture, centre=centre, scale=scale)
    return np.asarray(picture)


def test_one_face_is_measured_and_chosen() -> None:
    (face,) = faces_of(drawn_face())

    assert face.chosen
    assert face.quality.usable
    assert face.landmarks.shape == (68, 2)
    assert abs(face.pose.yaw) < 10
    assert abs(face.pose.roll) < 5


def test_a_picture_without_a_face_has_none() -> None:
    assert faces_of(np.full((200, 300, 3), 128, np.uint8)) == []


def test_faces_come_from_left_to_right_and_the_middle_one_is_chosen() -> None:
    faces = faces_of(several(((150, 200), 0.8), ((450, 200), 0.8), ((750, 200), 0.8)))

    centres = [face.detection.box.centre[0] for face in faces]
    np.testing.assert_allclose(centres, [150, 450, 750], atol=20)
    assert [face.chosen for face in faces] == [False, True, False]


def test_a_small_face_in_the_middle_does_not_win_over_the_main_one() -> None:
    faces = faces_of(several(((230, 210), 1.3), ((480, 200), 0.35)))

    assert [face.chosen for face in faces] == [True, False]


def test_a_cropped_face_is_enlarged_but_a_strip_does_not_fill_the_memory() -> None:
    enlarged, times, frame = framed(np.zeros((64, 80, 3), np.uint8))
    assert (enlarged.shape, times, frame) == ((256 + 2 * 64, 320 + 2 * 64, 3), 4, 64)
    assert framed(np.zeros((1, 20_000, 3), np.uint8))[0].shape == (1, 20_000, 3)
    assert framed(np.zeros((2, 500, 3), np.uint8))[0].nbytes < 50_000


def test_of_faces_alike_in_size_the_most_centred_wins() -> None:
    assert most_centred([Box(0, 0, 60, 60), Box(45, 45, 40, 40)], width=130, height=130) == 1


def test_of_equally_near_faces_the_larger_wins_and_then_the_first() -> None:
    left, right, larger = Box(0, 40, 20, 20), Box(80, 40, 20, 20), Box(75, 35, 30, 30)

    assert most_centred([left, right], width=100, height=100) == 0
    assert most_centred([left, larger], width=100, height=100) == 1


def test_most_centred_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        most_centred([], width=10, height=10)


@pytest.mark.realdata
def test_exactly_one_face_of_a_real_group_is_chosen(shared_data: Path) -> None:
    picture = np.asarray(Image.open(shared_data / "groups" / "18.jpg").convert("RGB"))

    faces = faces_of(picture)

    assert len(faces) == 6
    assert sum(face.chosen for face in faces) == 1
    assert all(face.quality.usable for face in faces)
