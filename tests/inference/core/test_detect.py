import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from inference.core.detect import MOST, TILE, TILE_OVERLAP, _starts, cold_detector, merged
from inference.core.types import Box, Detection, Picture
from tests.inference.core.drawn_face import add_face, drawn_face


def crowd(width: int, height: int, columns: int, rows: int, scale: float) -> Picture:
    picture = Image.new("RGB", (width, height), (120, 140, 160))
    for row in range(rows):
        for column in range(columns):
            add_face(picture, centre=((column + 0.5) * width / columns, (row + 0.5) * height / rows), scale=scale)
    return np.asarray(picture)


def resident_kilobytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def a_detection(x: float, score: float, side: float = 100) -> Detection:
    return Detection(Box(x, 0, side, side), score, np.zeros((5, 2), np.float32))


def test_a_drawn_face_is_found_where_it_was_drawn() -> None:
    (face,) = cold_detector().detect(drawn_face())

    assert face.score >= 0.7
    assert face.box.centre == pytest.approx((160, 165), abs=12)
    np.testing.assert_allclose(face.points[:2], [[128, 147], [192, 147]], atol=9)
    assert face.points.dtype == np.float32


def test_a_picture_without_a_face_has_none() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8)

    assert cold_detector().detect(noise) == []
    assert cold_detector().detect(np.zeros((300, 300, 3), np.uint8)) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 700), (700, 2), (7, 7), (33, 31), (223, 225), (641, 639)])
def test_odd_sizes_do_no_harm(size: tuple[int, int]) -> None:
    assert cold_detector().detect(np.full((*size, 3), 90, np.uint8)) == []


def test_a_view_of_a_picture_is_read_like_a_copy() -> None:
    picture = drawn_face(width=400, height=400)
    view = np.flipud(np.flipud(picture))[40:, 40:]
    assert not view.flags.c_contiguous

    seen, copied = cold_detector().detect(view)[0], cold_detector().detect(view.copy())[0]

    assert seen.box == copied.box


def test_a_face_that_fills_a_large_picture_is_found_once() -> None:
    large = np.asarray(Image.fromarray(drawn_face(width=190, height=230, centre=(95, 120))).resize((1900, 2300)))

    (face,) = cold_detector().detect(large)

    assert face.box.centre == pytest.approx((950, 1200), abs=150)


def test_small_faces_of_a_large_picture_are_all_found_once() -> None:
    faces = cold_detector().detect(crowd(2400, 1800, columns=12, rows=6, scale=0.2))

    assert len(faces) == 72


def test_detections_are_the_same_every_time() -> None:
    picture = crowd(1200, 800, columns=4, rows=3, scale=0.5)

    first, second = cold_detector().detect(picture), cold_detector().detect(picture)

    assert [(face.box, face.score) for face in first] == [(face.box, face.score) for face in second]


def test_threads_may_share_the_detector() -> None:
    picture = drawn_face()
    alone = cold_detector().detect(picture)[0].box

    with ThreadPoolExecutor(4) as pool:
        boxes = [faces[0].box for faces in pool.map(cold_detector().detect, [picture] * 12)]

    assert boxes == [alone] * 12


def test_memory_stays_where_it_is() -> None:
    small = drawn_face()[::4, ::4]
    for _ in range(20):
        cold_detector().detect(small)
    before = resident_kilobytes()

    for _ in range(300):
        cold_detector().detect(small)

    assert resident_kilobytes() - before < 300 * 36 / 4  # yuface's own module leaked 36 KiB a call


def test_of_two_detections_of_one_face_the_better_stays() -> None:
    faces = merged([a_detection(0, 0.8), a_detection(20, 0.9), a_detection(300, 0.75)])

    assert [face.score for face in faces] == [0.9, 0.75]


def test_a_part_of_a_better_face_goes() -> None:
    assert len(merged([a_detection(0, 0.9, side=100), a_detection(30, 0.8, side=30)])) == 1


def test_of_more_faces_than_anybody_photographs_the_surest_are_told() -> None:
    many = [a_detection(100 * place, 0.7 + place / 10_000) for place in range(2 * MOST)]

    assert [face.score for face in merged(many)] == [face.score for face in many[: MOST - 1 : -1]]


@pytest.mark.parametrize("length", [1, TILE, TILE + 1, 1024, 2560])
def test_tiles_cover_the_picture_and_overlap(length: int) -> None:
    starts = _starts(length)

    assert starts[0] == 0
    assert starts[-1] + TILE >= length
    assert all(right - left <= TILE - TILE_OVERLAP for left, right in pairwise(starts))


@pytest.mark.realdata
def test_real_groups_are_found_whole(shared_data: Path) -> None:
    picture = np.asarray(Image.open(shared_data / "groups" / "boxed" / "2007_007763.jpg").convert("RGB"))

    assert len(cold_detector().detect(picture)) == 7
