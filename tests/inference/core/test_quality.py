import re
from dataclasses import replace
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from inference.core.align import apply
from inference.core.detect import cold_detector
from inference.core.landmarks import cold_landmarker
from inference.core.quality import _FACE_3D, _RIGID, LIMITS, Limits, measure, outside_share, pose_of, reaches_frame
from inference.core.types import Box, Picture, Points, Pose, Quality
from tests.inference.core.drawn_face import drawn_face


def landmarks_of_a_head(yaw: float, pitch: float, roll: float) -> Points:
    """The generic face turned by these angles and photographed from afar; only the rigid landmarks are set."""
    y, p, r = np.radians([yaw, pitch, roll])
    sideways = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    nod = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    lean = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    points = np.zeros((68, 2), np.float32)
    points[list(_RIGID)] = 100 * (_FACE_3D @ (lean @ sideways @ nod).T)[:, :2] + (300, 200)
    return points


def quality(picture: Picture, limits: Limits = LIMITS) -> Quality:
    detection = cold_detector().detect(picture)[0]
    landmarks = cold_landmarker().landmarks(picture, detection)
    return measure(picture, detection, landmarks, pose_of(landmarks), limits)


@given(st.floats(-80, 80))
def test_yaw_is_positive_towards_the_pictures_right(degrees: float) -> None:
    pose = pose_of(landmarks_of_a_head(yaw=degrees, pitch=0, roll=0))

    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((degrees, 0, 0), abs=1e-3)


@given(st.floats(-80, 80))
def test_pitch_is_positive_looking_up(degrees: float) -> None:
    pose = pose_of(landmarks_of_a_head(yaw=0, pitch=degrees, roll=0))

    assert (pose.yaw, pose.pitch, pose.roll) == pytest.approx((0, degrees, 0), abs=1e-3)


@given(st.floats(-170, 170))
def test_roll_is_the_turn_of_the_picture(degrees: float) -> None:
    frontal = landmarks_of_a_head(yaw=0, pitch=0, roll=0)
    clockwise = cv2.getRotationMatrix2D((300, 200), -degrees, 1)

    assert pose_of(apply(clockwise, frontal)).roll == pytest.approx(degrees, abs=1e-3)


@given(st.floats(-40, 40), st.floats(-30, 30), st.floats(-60, 60))
def test_mirroring_the_picture_mirrors_the_pose(yaw: float, pitch: float, roll: float) -> None:
    head, mirrored = pose_of(landmarks_of_a_head(yaw, pitch, roll)), pose_of(landmarks_of_a_head(-yaw, pitch, -roll))

    assert (mirrored.yaw, mirrored.pitch, mirrored.roll) == pytest.approx((-head.yaw, head.pitch, -head.roll), abs=1e-3)


def test_the_nose_points_to_where_the_head_is_turned() -> None:
    right = landmarks_of_a_head(yaw=30, pitch=0, roll=0)

    assert right[30, 0] > right[[36, 45], 0].mean()


def test_an_ordinary_face_is_usable() -> None:
    found = quality(drawn_face())

    assert found.usable
    assert found.reason == ""
    assert found.size == pytest.approx(140, abs=40)
    assert not found.gray
    assert not found.truncated


def test_a_blurred_face_is_less_sharp() -> None:
    face = drawn_face()
    blurred = np.asarray(cv2.GaussianBlur(face, (0, 0), 5), np.uint8)

    assert quality(blurred).sharpness < quality(face).sharpness / 5


def test_a_gray_face_is_known_and_usable() -> None:
    gray = np.asarray(Image.fromarray(drawn_face()).convert("L").convert("RGB"))

    assert quality(gray).gray
    assert quality(gray).usable


def test_brightness_is_the_share_of_full_white() -> None:
    face = drawn_face()

    assert quality((face * 0.5).astype(np.uint8)).brightness == pytest.approx(quality(face).brightness / 2, abs=0.02)


def test_what_lies_beyond_the_frame_neither_darkens_nor_sharpens() -> None:
    whole = drawn_face()
    cut = quality(np.ascontiguousarray(whole[:, 130:]))

    assert cut.truncated
    assert cut.brightness == pytest.approx(quality(whole).brightness, abs=0.1)


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (replace(LIMITS, smallest=500), "too small"),
        (replace(LIMITS, blurred=1e6), "blurred"),
        (replace(LIMITS, dark=1.0), "too dark"),
        (replace(LIMITS, bright=0.0), "too bright"),
        (replace(LIMITS, yaw=-1), "turned away"),
        (replace(LIMITS, pitch=-1), "turned away"),
        (replace(LIMITS, outside=-1), "cut off"),
    ],
)
def test_what_is_beyond_a_limit_is_not_usable_and_says_why(limits: Limits, reason: str) -> None:
    found = quality(drawn_face(), limits)

    assert not found.usable
    assert found.reason.startswith(reason)


def test_what_is_just_below_a_limit_is_not_said_to_reach_it() -> None:
    found = quality(drawn_face())

    small = quality(drawn_face(), replace(LIMITS, smallest=found.size + 0.01))
    blurred = quality(drawn_face(), replace(LIMITS, blurred=found.sharpness + 0.001))

    assert re.findall(r"[\d.]+", small.reason) == [str(floor(found.size)), str(ceil(found.size + 0.01))]
    said, least = map(float, re.findall(r"[\d.]+", blurred.reason))
    assert said <= found.sharpness < least


def test_the_share_outside_of_the_frame_counts_landmarks() -> None:
    points = np.array([[0, 0], [99, 99], [-1, 50], [50, 100]], np.float32)

    assert outside_share(points, width=100, height=100) == 0.5


def test_a_box_reaches_the_frame_or_not() -> None:
    assert not reaches_frame(Box(1, 1, 98, 98), width=100, height=100)
    assert reaches_frame(Box(-3, 10, 50, 50), width=100, height=100)
    assert reaches_frame(Box(10, 60, 30, 40), width=100, height=100)


@pytest.mark.realdata
def test_real_heads_turn_the_way_that_imfdb_says(shared_data: Path) -> None:
    """IMFDB's *left* is the person's own left, which is the picture's right."""
    lines = (shared_data / "imfdb" / "labels.csv").read_text().splitlines()[1:]
    medians = {}
    for side in ("LEFT", "RIGHT", "UP", "DOWN"):
        files = [line.split(",")[0] for line in lines if line.endswith(f",{side}")][:60]
        poses = [_pose(shared_data / "imfdb" / "images" / file) for file in files]
        medians[side] = Pose(*np.median([(p.yaw, p.pitch, p.roll) for p in poses if p], axis=0))

    assert medians["LEFT"].yaw > 10
    assert medians["RIGHT"].yaw < -10
    assert medians["UP"].pitch > medians["DOWN"].pitch + 10


def _pose(file: Path) -> Pose | None:
    picture = np.asarray(Image.open(file).convert("RGB"))
    faces = cold_detector().detect(picture)
    return pose_of(cold_landmarker().landmarks(picture, faces[0])) if faces else None
