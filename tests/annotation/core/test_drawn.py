"""Drawn people are found, are told apart, and are who they are said to be."""

import csv
import io
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotation.core.drawn import (
    CAST,
    draw_group,
    draw_portrait,
    draw_sample,
    look_of,
    middle_of,
    person_of,
    search_term,
)
from annotation.core.portrait import draw, draw_hills
from inference.core.align import align, stack
from inference.core.bundle import cold_start, open_embedder
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import Detector, FaceFound, Landmarker, Picture


@cache
def models() -> tuple[Detector, Landmarker]:
    return cold_detector(), cold_landmarker()


def faces_of(image: Image.Image) -> tuple[Picture, list[FaceFound]]:
    picture = np.asarray(image)
    return picture, find_faces(picture, *models())


def test_the_same_seeds_draw_the_same_picture():
    first, again = draw_portrait(3, 14), draw_portrait(3, 14)

    assert first.tobytes() == again.tobytes()
    assert draw_portrait(3, 15).tobytes() != first.tobytes()
    assert draw_portrait(4, 14).tobytes() != first.tobytes()


@pytest.mark.parametrize("size", [(200, 240), (360, 420), (500, 333)])
def test_a_picture_has_the_size_asked_for(size: tuple[int, int]):
    picture = draw_portrait(0, 0, size)

    assert picture.size == size
    assert picture.mode == "RGB"


def test_each_of_the_cast_is_found_once_and_is_fit_for_a_question():
    for person in range(len(CAST)):
        _, faces = faces_of(draw_portrait(person, 70 + person))

        assert len(faces) == 1
        assert faces[0].detection.score >= 0.85
        assert faces[0].quality.usable, faces[0].quality.reason


def test_one_threshold_tells_the_cast_apart():
    """Real faces are told apart at a lower cosine, about 0.91; `CAST` says what was measured on drawn ones."""
    people = np.repeat(np.arange(len(CAST)), 2)
    embedder = open_embedder(cold_start())
    crops = []
    for number, person in enumerate(people):
        picture, faces = faces_of(draw_portrait(int(person), 300 + number))
        crops.append(align(picture, faces[0].landmarks, embedder.crop)[0])
    vectors = embedder.embed(stack(crops))

    alike = vectors @ vectors.T
    one_person = people[:, None] == people
    assert alike[one_person].min() > 0.94
    assert alike[~one_person].max() < 0.94


@pytest.mark.parametrize("yaw", [-18.0, 18.0])
def test_a_head_turns_to_the_side_it_is_told(yaw: float):
    look = replace(look_of(1), yaw=yaw, pitch=0.0, roll=0.0)

    _, faces = faces_of(draw([(person_of(1), look)], (360, 420)))

    assert faces[0].pose.yaw * np.sign(yaw) > 5


@pytest.mark.parametrize("roll", [-14.0, 0.0, 14.0])
def test_a_head_tilts_as_far_as_it_is_told(roll: float):
    look = replace(look_of(1), yaw=0.0, pitch=0.0, roll=roll)

    _, faces = faces_of(draw([(person_of(1), look)], (360, 420)))

    assert faces[0].pose.roll == pytest.approx(roll, abs=4)


@pytest.mark.parametrize("people", [[5, 2], [1, 4, 8], [0, 3, 6, 9]])
def test_of_a_group_everyone_is_found_and_the_middle_one_is_chosen(people: list[int]):
    _, faces = faces_of(draw_group(people, 21))

    assert len(faces) == len(people)
    assert people[[face.chosen for face in faces].index(True)] == middle_of(people)


def test_hills_have_no_face():
    _, faces = faces_of(draw_hills(look_of(5), (480, 360)))

    assert faces == []


def test_a_sample_is_as_a_scraper_would_have_left_it(tmp_path: Path):
    drawn = draw_sample(tmp_path, people=5, photos_each=4)

    with (tmp_path / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["query"]) for row in rows] == [(one.file, one.query) for one in drawn]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.jpg")} == {one.file for one in drawn}
    assert {one.query for one in drawn} == {search_term(person) for person in range(5)}
    faults = Counter(one.fault for one in drawn)
    assert faults == {None: 18, "wrong person": 2, "group": 5, "copy": 6, "re-encoded": 7, "truncated": 3, "no face": 3}
    for one in drawn:
        content, of = (tmp_path / one.file).read_bytes(), (tmp_path / one.of).read_bytes() if one.of else b""
        if one.fault == "truncated":
            with pytest.raises(OSError, match="truncated"):
                Image.open(io.BytesIO(content)).load()
        else:
            Image.open(io.BytesIO(content)).load()
        assert (content == of) == (one.fault == "copy")
        if one.people:
            assert (one.query == search_term(middle_of(one.people))) == (one.fault != "wrong person")


def test_a_sample_is_the_same_every_time(tmp_path: Path):
    first = draw_sample(tmp_path / "first", people=2, photos_each=2)
    again = draw_sample(tmp_path / "again", people=2, photos_each=2)

    assert first == again
    for path in (tmp_path / "first").rglob("*.*"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "first")).read_bytes()


def test_one_person_alone_makes_a_sample_too(tmp_path: Path):
    drawn = draw_sample(tmp_path, people=1, photos_each=2)

    assert {one.query for one in drawn} == {search_term(0)}
