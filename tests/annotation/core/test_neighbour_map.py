"""The map of the embeddings: neighbours beside one another, and the same again from the same vectors."""

import numpy as np
import pytest

from annotation.core.neighbour_map import layout


def people(count: int, faces: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(count, 64))
    vectors = np.repeat(centres, faces, axis=0) + 0.35 * rng.normal(size=(count * faces, 64))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), np.repeat(
        np.arange(count), faces
    )


def test_faces_of_one_person_lie_beside_one_another_and_apart_from_others():
    vectors, person = people(12, 25)
    places = layout(vectors)
    assert places.shape == (300, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    beside = np.argsort(apart, axis=1)[:, :10]
    assert (person[beside] == person[:, None]).mean() > 0.95
    centres = np.array([places[person == each].mean(axis=0) for each in range(12)])
    inside = np.mean([np.linalg.norm(places[person == each] - centres[each], axis=1).mean() for each in range(12)])
    between = np.linalg.norm(centres[:, None] - centres[None], axis=2)[np.triu_indices(12, 1)]
    assert np.median(between) > 5 * inside


def test_the_same_vectors_lie_in_the_same_places():
    vectors, _ = people(3, 10)
    assert np.array_equal(layout(vectors), layout(vectors))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
def test_a_few_faces_have_their_place_too(count: int):
    places = layout(people(1, max(count, 1))[0][:count])
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()


def test_equal_faces_neither_fail_nor_fly_off():
    places = layout(np.tile(np.eye(8, dtype=np.float32)[0], (40, 1)))
    assert np.isfinite(places).all()
