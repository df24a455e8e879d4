import dlib
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference.core.align import (
    TEMPLATES,
    PointsDoNotAlign,
    UnknownTemplate,
    align,
    apply,
    compose,
    five_points,
    invert,
    scale_of,
    similarity,
    warp,
)
from inference.core.detect import cold_detector
from inference.core.landmarks import cold_landmarker
from inference.core.types import CropSpec
from tests.inference.core.drawn_face import drawn_face

ARCFACE, DLIB = CropSpec("arcface-112", 112), CropSpec("dlib-150", 150)
Floats = npt.NDArray[np.float64]

faces = arrays(np.float64, (5, 2), elements=st.floats(0, 4000)).filter(lambda points: points.std(axis=0).min() > 5)
turns = st.floats(-np.pi, np.pi)
scales = st.floats(0.05, 20)


def turned(angle: float, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> Floats:
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]]])


@given(faces, turns, scales)
def test_similarity_finds_the_turn_and_scale_that_was_done(points: Floats, angle: float, scale: float) -> None:
    done = turned(angle, scale, (7, -3))

    found = similarity(points, apply(done, points))

    np.testing.assert_allclose(apply(found, points), apply(done, points), atol=1e-5)
    assert scale_of(found) == pytest.approx(scale)


@given(faces)
def test_similarity_never_mirrors(points: Floats) -> None:
    assert np.linalg.det(similarity(points, points * [-1, 1])[:, :2]) >= 0


@given(faces, turns, scales)
def test_align_then_invert_gives_the_point_back(points: Floats, angle: float, scale: float) -> None:
    transform = turned(angle, scale, (100, 50))

    np.testing.assert_allclose(apply(invert(transform), apply(transform, points)), points, atol=1e-6)
    np.testing.assert_allclose(compose(invert(transform), transform), np.eye(2, 3), atol=1e-8)


@given(faces, turns)
def test_turning_the_picture_leaves_the_aligned_points_where_they_are(points: Floats, angle: float) -> None:
    upright = similarity(points, TEMPLATES["arcface-112"].five)
    leaning = apply(turned(angle, 1, (5, 9)), points)

    again = similarity(leaning, TEMPLATES["arcface-112"].five)

    np.testing.assert_allclose(apply(again, leaning), apply(upright, points), atol=1e-6)


@pytest.mark.parametrize("spec", [ARCFACE, DLIB])
def test_points_on_the_template_need_no_transform(spec: CropSpec) -> None:
    template = TEMPLATES[spec.template].five * spec.size - 0.5

    crop, transform = align(drawn_face(width=spec.size, height=spec.size), template, spec)

    assert crop.shape == (spec.size, spec.size, 3)
    np.testing.assert_allclose(transform, np.eye(2, 3), atol=1e-9)


def test_the_dlib_crop_is_what_dlib_cuts_out() -> None:
    picture = drawn_face()
    landmarks = cold_landmarker().landmarks(picture, cold_detector().detect(picture)[0])
    points = [dlib.point(round(float(x)), round(float(y))) for x, y in landmarks]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 9, 9), points)

    ours, _ = align(picture, np.array([(point.x, point.y) for point in points]), DLIB)
    theirs = dlib.get_face_chip(picture, shape, 150, 0.25)

    assert np.abs(ours.astype(int) - theirs.astype(int)).mean() < 2.5  # of 255; half a pixel apart would be more


def test_five_points_of_68_are_eyes_nose_and_mouth() -> None:
    landmarks = np.arange(136, dtype=np.float64).reshape(68, 2)

    points = five_points(landmarks)

    np.testing.assert_array_equal(points[0], landmarks[36:42].mean(axis=0))
    np.testing.assert_array_equal(points[2:], landmarks[[30, 48, 54]])


def test_beyond_the_picture_is_black() -> None:
    white = np.full((50, 50, 3), 255, np.uint8)

    crop = warp(white, turned(0, 1, (25, 25)), 100)

    assert crop[0, 0].max() == 0
    assert crop[50, 50].min() == 255


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    stripes = np.zeros((800, 800, 3), np.uint8)
    stripes[:, ::2] = 255  # half white: any honest reduction is gray

    crop = warp(stripes, turned(0, 0.1), 80)[2:-2, 2:-2]

    assert 120 < crop.mean() < 135
    assert crop.std() < 10


def test_shrinking_keeps_places_to_a_fraction_of_a_pixel() -> None:
    picture = np.zeros((900, 900, 3), np.uint8)
    picture[440:460, 540:560] = 255  # its centre is (549.5, 449.5)
    transform = turned(0.3, 0.11, (3, 5))

    crop = warp(picture, transform, 100)[..., 0].astype(float)

    rows, columns = np.indices(crop.shape)
    seen = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    np.testing.assert_allclose(seen, apply(transform, np.array([[549.5, 449.5]]))[0], atol=0.15)


def test_an_unknown_template_names_the_known_ones() -> None:
    with pytest.raises(UnknownTemplate, match="arcface-112, dlib-150"):
        align(drawn_face(), np.zeros((5, 2)), CropSpec("arcface-224", 224))


@pytest.mark.parametrize(
    ("points", "reason"),
    [
        (np.zeros((5, 2)), "one place"),
        (np.full((5, 2), np.nan), "not finite"),
        (np.zeros((4, 2)), "5 or 68 points"),
    ],
)
def test_points_that_say_nothing_are_refused(points: Floats, reason: str) -> None:
    with pytest.raises(PointsDoNotAlign, match=reason):
        align(drawn_face(), points, ARCFACE)
