"""Every sample of a set is seen, and it is said of how many the face was not found."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.core.drawn import draw_group
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import CropSpec
from tests.benchmarks.shared_data import picture
from tests.training.core.benchmarks.sets import paint, portrait
from training.core.benchmarks.faces import View, look, whole
from training.core.benchmarks.protocol import NotMeasured, Sample

PIXELS = View(CropSpec("arcface-112", 48), lambda crops: crops)


def test_where_no_face_is_found_the_whole_picture_is_shown_and_counted(tmp_path: Path):
    face, none = portrait(tmp_path / "face.jpg", 0, 1), paint(tmp_path / "none.png", 90, (200, 150))

    seen = look([Sample("face", face), Sample("none", none)], [PIXELS])

    assert seen.found.tolist() == [True, False]
    assert (seen.arrays[0][1] == 90).all()
    assert str(seen.faces) == "face found in 1 of 2 pictures; 1 without: whole picture used"


def test_a_cropped_face_is_shown_without_the_frame_that_was_laid_around_it(tmp_path: Path):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)

    seen = look([Sample("noise", pixels, cropped=True)], [PIXELS])

    assert not seen.found[0]
    # Enlarged, framed and reduced again it is blurred, but lies where it lay.
    likeness = np.corrcoef(seen.arrays[0][0].ravel(), pixels.ravel())[0, 1]
    assert likeness > 0.8


def test_the_face_that_the_set_means_is_the_one_with_its_eyes(tmp_path: Path):
    draw_group([0, 3, 5], 11).save(tmp_path / "group.png")
    faces = find_faces(picture(tmp_path / "group.png"), cold_detector(), cold_landmarker())
    assert len(faces) == 3
    eyes = [face.detection.points[:2].astype(np.float64) for face in faces]
    samples = [Sample(str(n), tmp_path / "group.png", eyes=each) for n, each in enumerate(eyes)]
    beside = Sample("beside", tmp_path / "group.png", eyes=np.array([[20.0, 20.0], [40.0, 20.0]]))

    seen = look([*samples, beside], [PIXELS])

    assert seen.found.tolist() == [True, True, True, False]
    assert len({crop.tobytes() for crop in seen.arrays[0]}) == 4
    assert "by the eyes that the set gives" in str(seen.faces)


def test_the_eyes_that_a_set_gives_align_a_face_that_is_not_found(tmp_path: Path):
    dots = np.zeros((100, 200, 3), np.uint8)
    dots[40:44, 60:64] = dots[40:44, 100:104] = 255
    Image.fromarray(dots).save(tmp_path / "dots.png")
    right_first = np.array([[101.5, 41.5], [61.5, 41.5]])  # in whatever order

    seen = look([Sample("dots", tmp_path / "dots.png", eyes=right_first)], [PIXELS])

    (rows, columns) = np.nonzero(seen.arrays[0][0].max(axis=2) > 128)
    assert rows.mean() == pytest.approx(51.6 / 112 * 48, abs=1)
    assert columns.min() == pytest.approx(38.3 / 112 * 48, abs=2)
    assert columns.max() == pytest.approx(73.5 / 112 * 48, abs=2)


def test_several_views_see_the_same_faces_in_the_order_given(tmp_path: Path):
    grays = [paint(tmp_path / f"{level}.png", level) for level in (40, 80, 120)]
    mean = View(CropSpec("dlib-64", 32), lambda crops: crops.mean(axis=(1, 2, 3)))

    seen = look([Sample(path.name, path) for path in grays], [PIXELS, mean])

    assert seen.arrays[1].tolist() == [40, 80, 120]
    assert seen.arrays[0].shape == (3, 48, 48, 3)


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_picture_that_cannot_be_read_is_not_measured(tmp_path: Path, content: bytes):
    (tmp_path / "bad.jpg").write_bytes(content)

    with pytest.raises(NotMeasured, match=r"bad\.jpg cannot be read"):
        look([Sample("bad", tmp_path / "bad.jpg")], [PIXELS])


def test_nothing_to_look_at_is_not_measured():
    with pytest.raises(NotMeasured, match="no sample"):
        look([], [PIXELS])


def test_the_middle_of_a_wide_picture_is_its_square():
    wide = np.zeros((10, 30, 3), np.uint8)
    wide[:, 10:20] = 200

    assert (whole(wide, 5, cropped=False) == 200).all()
