"""Nearest neighbours: exact for small sets, nearly so by inverted lists."""

import numpy as np
import pytest

from inference.core import search
from inference.core.search import nearest


def some_vectors(n, seed=0, people=40):
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(people, 32))[rng.integers(0, people, n)] + 0.5 * rng.normal(size=(n, 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_nearest_are_those_of_the_largest_cosine():
    vectors = some_vectors(300)

    rows, cosines = nearest(vectors[:50], vectors, 10)

    expected = -np.sort(-(vectors[:50] @ vectors.T), axis=1)[:, :10]
    assert np.allclose(cosines, expected, atol=1e-5)  # compared by cosine, so that ties do not matter
    assert np.allclose(np.einsum("id,ikd->ik", vectors[:50], vectors[rows]), expected, atol=1e-5)


def test_there_are_no_more_neighbours_than_vectors():
    vectors = some_vectors(5)

    rows, cosines = nearest(vectors, vectors, 80)

    assert rows.shape == cosines.shape == (5, 5)


@pytest.mark.parametrize("queries", [0, 3])
def test_few_queries_are_no_trouble(queries):
    vectors = some_vectors(20)

    assert nearest(vectors[:queries], vectors, 4)[0].shape == (queries, 4)


def test_inverted_lists_find_most_of_the_nearest(monkeypatch):
    vectors = some_vectors(4_000)
    exact, _ = nearest(vectors, vectors, 10)
    monkeypatch.setattr(search, "EXACT", 100)

    found, _ = nearest(vectors, vectors, 10)

    shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    assert np.mean(shared) > 8
