"""Practice: every example can be answered rightly, and its pictures are what they are said to be."""

import io

import numpy as np
import pytest
from PIL import Image

from annotation.core.answers import cluster_answer, grid_answer, pair_answer, record_answer, value_answer
from annotation.core.practice import EXAMPLES, HILLS, SIDE, Example, drawn, pictures
from inference.core.attributes import attribute
from inference.core.detect import cold_detector

ALL = [each for examples in EXAMPLES.values() for each in examples]


@pytest.mark.parametrize("example", ALL, ids=[each.name for each in ALL])
def test_what_is_called_right_is_an_answer_that_real_questions_take(example: Example):
    number = {name: place for place, name in enumerate(example.faces, 1)}
    for verdict in example.verdicts:
        marks = {str(number[name]): right[0] for name, right in example.marks.items()}
        content = {"verdict": verdict, "marks": marks}
        if example.kind == "cluster":
            assert cluster_answer(content, set(number.values())).marks
        elif example.kind == "pair":
            assert pair_answer(content, ()).verdict == verdict
        elif example.kind == "grid":
            assert grid_answer(content, set(number.values()), attribute(example.attribute)).marks
        elif example.kind == "record":
            assert record_answer(content, set(number.values())).marks
        else:
            value = example.values[0] if example.values else example.years[0] if example.years else None
            assert value_answer(content | {"value": value}, attribute(example.attribute)).verdict == verdict


def test_every_kind_that_is_asked_can_be_practised():
    assert set(EXAMPLES) == {"cluster", "pair", "grid", "value", "years", "record"}


def test_a_drawn_face_is_found_as_one_and_hills_are_none():
    for name in ("0.1.plain", "4.3.sad", "8.3.old", HILLS):
        picture = np.asarray(Image.open(io.BytesIO(drawn(name))))
        assert picture.shape == (SIDE, SIDE, 3)
        assert len(cold_detector().detect(picture)) == (name != HILLS), name


def test_the_same_name_is_the_same_picture():
    assert drawn("0.1.plain") == drawn("0.1.plain")
    assert "0.1.plain" in pictures()
