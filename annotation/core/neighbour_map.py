"""Vectors on a plane, those of neighbours beside one another.

UMAP's layout (McInnes, Healy and Melville, arXiv 1802.03426), of which only this much is needed: neighbours are drawn
together, others that chance picks are pushed apart, from the first two principal components on.
"""

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix

from inference.core.search import nearest
from inference.core.types import Vectors

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NEIGHBOURS = 15
APART = 5  # random others that each draw pushes away
STEPS = 200
# The curve of UMAP's `min_dist=0.1, spread=1`: how alike two points are at a distance d is 1 / (1 + A d^(2B)).
A, B = 1.577, 0.895
FURTHEST = 4.0  # that one draw moves a point


def layout(vectors: Vectors, seed: int = 0) -> npt.NDArray[np.float32]:
    """Where each of these unit vectors (n, d) lies: (n, 2), from 0 to 1. The same vectors lie in the same places."""
    count = len(vectors)
    if count < 3:
        return np.linspace(0.25, 0.75, max(count, 1), dtype=np.float32)[:count, None].repeat(2, axis=1)
    heads, tails, weights = _edges(vectors)
    places = _principal(vectors, seed)
    _draw(places, heads, tails, weights / weights.max(), STEPS, seed)
    return _within(places)


def _principal(vectors: Vectors, seed: int) -> Floats:
    """The first two principal components, ten wide, a little shaken: equal vectors must be able to part."""
    centred = vectors - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    found = centred @ axes[:, -2:]
    found *= 10 / max(float(np.abs(found).max()), 1e-9)
    return np.ascontiguousarray(found + np.random.default_rng(seed).normal(0, 1e-3, found.shape), np.float64)


def _edges(vectors: Vectors) -> tuple[Ints, Ints, Floats]:
    """Both ends (edges,) of what is to be near, and how much (edges,), 0 to 1."""
    count, k = len(vectors), min(NEIGHBOURS, len(vectors) - 1)
    rows, cosines = nearest(vectors, vectors, k + 1)
    distances = np.sqrt(np.maximum(2 - 2 * cosines.astype(np.float64), 0))
    own = (rows == np.arange(count)[:, None]) | (rows < 0)
    distances = np.where(own, np.inf, distances)
    strength = _strength(distances, k)
    ends = np.repeat(np.arange(count), k + 1), np.maximum(rows, 0).ravel()
    graph = coo_matrix((strength.ravel(), ends), shape=(count, count)).tocsr()
    either = graph + graph.T - graph.multiply(graph.T)  # a neighbour of one, of the other, or of both
    found = either.tocoo()
    kept = found.data > 1 / STEPS  # the others would be drawn less than once
    return found.row[kept].astype(np.int64), found.col[kept].astype(np.int64), found.data[kept]


def _strength(distances: Floats, k: int) -> Floats:
    """How near each neighbour is, (n, k + 1), 1 to 0: the nearest 1, all of a point about log2 k together."""
    nearest_ = distances.min(axis=1, keepdims=True)
    beyond = np.where(np.isinf(distances), np.inf, distances - nearest_)
    low, high = np.full((len(distances), 1), 1e-6), np.full((len(distances), 1), 10.0)
    for _ in range(40):
        middle = (low + high) / 2
        much = np.exp(-beyond / middle).sum(axis=1, keepdims=True) > np.log2(max(k, 2))
        low, high = np.where(much, low, middle), np.where(much, middle, high)
    return np.asarray(np.exp(-beyond / ((low + high) / 2)), np.float64)


def _within(places: Floats) -> npt.NDArray[np.float32]:
    """From 0 to 1, both ways by one scale; the few that lie far out do not press all others together."""
    low, high = np.percentile(places, 0.5, axis=0), np.percentile(places, 99.5, axis=0)
    middle, half = (low + high) / 2, float((high - low).max()) / 2 or 1.0
    return np.clip(0.5 + 0.48 * (places - middle) / half, 0, 1).astype(np.float32)


@nb.njit(cache=True)
def _draw(places: Any, heads: Any, tails: Any, weights: Any, steps: int, seed: int) -> None:
    """Stochastic gradient descent: an edge is drawn as often as it weighs."""
    np.random.seed(seed)
    count = len(places)
    due = 1 / weights
    every = 1 / weights
    for step in range(steps):
        rate = 1 - step / steps
        for edge in range(len(heads)):
            if due[edge] > step + 1:
                continue
            due[edge] += every[edge]
            one, other = heads[edge], tails[edge]
            dx, dy = places[one, 0] - places[other, 0], places[one, 1] - places[other, 1]
            square = dx * dx + dy * dy
            if square > 0:
                pull = -2 * A * B * square ** (B - 1) / (1 + A * square**B)
                _move(places, one, other, pull * dx, pull * dy, rate)
            for _ in range(APART):
                far = np.random.randint(count)
                dx, dy = places[one, 0] - places[far, 0], places[one, 1] - places[far, 1]
                square = dx * dx + dy * dy
                if far != one and square > 0:
                    push = 2 * B / ((0.001 + square) * (1 + A * square**B))
                    _move(places, one, one, push * dx, push * dy, rate)


@nb.njit(cache=True)
def _move(places: Any, one: int, other: int, dx: float, dy: float, rate: float) -> None:
    dx, dy = min(max(dx, -FURTHEST), FURTHEST) * rate, min(max(dy, -FURTHEST), FURTHEST) * rate
    places[one, 0] += dx
    places[one, 1] += dy
    if other != one:
        places[other, 0] -= dx
        places[other, 1] -= dy
