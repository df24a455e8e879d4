from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from inference.core.align import apply, five_points
from inference.core.detect import cold_detector
from inference.core.landmarks import cold_landmarker
from inference.core.types import Picture, Points
from tests.inference.core.drawn_face import drawn_face


def landmarks(picture: Picture) -> Points:
    return cold_landmarker().landmarks(picture, cold_detector().detect(picture)[0])


def test_landmarks_lie_on_the_features_that_were_drawn() -> None:
    points = landmarks(drawn_face())

    assert points.shape == (68, 2)
    assert points.dtype == np.float32
    left, right, _, mouth_left, mouth_right = five_points(points)
    np.testing.assert_allclose([left, right], [[128, 147], [192, 147]], atol=6)
    np.testing.assert_allclose([mouth_left, mouth_right], [[132, 217], [188, 217]], atol=10)


def test_landmarks_come_in_the_order_of_the_300w_mark_up() -> None:
    points = landmarks(drawn_face())

    assert points[0, 0] < points[16, 0]  # the jaw runs from the picture's left to its right
    assert points[8, 1] == points[:, 1].max()  # its lowest point is the chin
    assert points[36, 0] < points[39, 0] < points[42, 0] < points[45, 0]


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_turning_the_picture_turns_the_landmarks(degrees: float) -> None:
    picture = drawn_face(width=480, height=480, centre=(240, 240))
    turn = cv2.getRotationMatrix2D((239.5, 239.5), degrees, 1)
    leaning = np.asarray(cv2.warpAffine(picture, turn, (480, 480), borderMode=cv2.BORDER_REPLICATE), np.uint8)

    error = np.linalg.norm(landmarks(leaning) - apply(turn, landmarks(picture)), axis=1)

    assert error.mean() < 0.05 * 64  # a twentieth of the distance between the eyes


@pytest.mark.realdata
def test_real_eye_and_mouth_corners_are_met(shared_data: Path) -> None:
    from tests.benchmarks.landmarks import errors, read_points  # noqa: PLC0415 - only where the data is

    for name in ("002A03", "002A12"):
        picture = np.asarray(Image.open(next((shared_data / "fgnet" / "images").glob(f"{name}*"))).convert("RGB"))
        marked = read_points(next((shared_data / "fgnet" / "points").glob(f"{name}*")))
        assert errors(landmarks(picture), marked).mean() < 0.08
