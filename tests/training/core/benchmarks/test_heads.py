"""A linear head learns what is linear, in distributions, and chooses its strength without the faces it is judged on."""

import numpy as np
import pytest

from inference.core.attributes import EMOTION, GENDER, REAL_AGE
from inference.core.cold_attributes import expected_years
from tests.training.core.benchmarks.sets import ColourEmbedder
from training.core.benchmarks.heads import LinearHead, _labels

HEAD = LinearHead(ColourEmbedder(), "colours")


def some_faces(n: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, 16))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_class_that_lies_in_one_direction_is_learnt():
    faces, unseen = some_faces(400), some_faces(200, 1)
    learnt = HEAD.fit(faces, (faces[:, 0] > 0) * 1.0, GENDER, people=[str(n % 50) for n in range(400)])

    told = learnt(unseen)

    assert told.sum(axis=1) == pytest.approx(np.ones(200))
    assert (told.argmax(axis=1) == (unseen[:, 0] > 0)).mean() > 0.95


def test_an_age_that_lies_in_one_direction_is_learnt():
    faces, unseen = some_faces(600), some_faces(200, 1)
    people = [str(n % 60) for n in range(600)]

    learnt = HEAD.fit(faces, 40 + 60 * faces[:, 0], REAL_AGE, people=people)

    assert learnt(unseen).shape == (200, 117)
    error = np.abs(expected_years(learnt(unseen)) - (40 + 60 * unseen[:, 0])).mean()
    assert error < 4 < np.abs(60 * unseen[:, 0]).mean()


def test_a_value_that_nobody_shows_is_hardly_believed():
    faces = some_faces(100)
    learnt = HEAD.fit(faces, np.arange(100) % 3 * 1.0, EMOTION, people=["a"] * 100)

    assert learnt(some_faces(20, 1))[:, 3:].max() < 0.05


def test_a_label_is_as_wide_as_the_guesses():
    narrow, wide, unknown = _labels(np.array([30.0, 30.0, 30.0]), REAL_AGE, np.array([1.0, 5.0, 0.0]))

    def deviation(label: np.ndarray) -> float:
        years = np.arange(117)
        return float(np.sqrt(label @ (years - label @ years) ** 2))

    assert deviation(narrow) == pytest.approx(1, abs=0.02)
    assert deviation(wide) == pytest.approx(5, abs=0.02)
    assert deviation(unknown) == pytest.approx(2, abs=0.02)


def test_without_faces_there_is_nothing_to_learn():
    with pytest.raises(ValueError, match="No face"):
        HEAD.fit(np.zeros((0, 4)), np.zeros(0), GENDER, people=[])
