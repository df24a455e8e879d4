"""Vectors in, people out: communities of the neighbour graph, with what is decided as hard constraints.

Every pair of faces has the log-odds of being one person: from their cosine, by the backbone's calibration, plus
what a shared search term says. Faces are grouped so that the sum over pairs within groups is largest; a pair
counts no less than −`floor`, since a face that was seen badly must not tear a person apart. That is the constant
Potts model (Traag, Van Dooren and Nesterov, 2011) on weights log-odds + floor with resolution `floor`,
solved by local moves on ever coarser graphs (Blondel et al., 2008), which here never make a forbidden move.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from inference.core.bundle import Calibration
from inference.core.potts import Graph, Groups, coarsest, local_moves
from inference.core.search import nearest
from inference.core.types import Vectors

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Of dlib's vectors. Threshold and floor gave the best mean BCubed F over celeba_small, imfdb and lfw;
# the slope with a planted search term that is right nine times in ten (tests/benchmarks/clustering.py).
COLD_START = Calibration(slope=150.0, intercept=-139.5)


@dataclass(frozen=True)
class Settings:
    calibration: Calibration = COLD_START
    floor: float = 0.75  # log-odds; the least that a pair can count against being one person
    neighbours: int = 80
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n faces besides their vectors."""

    photo: Ints  # (n,): two faces of one photo are two people
    query: npt.NDArray[np.int32]  # (n,): search term, or −1; evidence, not truth
    pinned: Ints  # (n,): the identity that a person verified, or −1
    cannot_identity: Sequence[tuple[int, int]] = field(default_factory=list)  # (face's row, identity that it is not)


@dataclass(frozen=True, eq=False)
class Clustering:
    labels: Ints  # (n,): which cluster
    belief: Floats  # (n,): the probability that the face belongs to its cluster


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows, each once, with the log-odds that both show one person."""

    one: Ints
    other: Ints
    log_odds: Floats


def cluster(vectors: Vectors, evidence: Evidence, settings: Settings = Settings()) -> Clustering:  # noqa: B008 - frozen
    """Group faces (n, dimensions) into people. The same input gives the same groups.

    Faces pinned to one identity end up together and apart from every other identity; two faces of one photo,
    and a face and an identity that it is not, are never together.
    """
    n = len(vectors)
    if n == 0:
        return Clustering(np.zeros(0, np.int64), np.zeros(0))
    pairs = _weighed(vectors, evidence, _pairs(vectors, evidence, settings), settings)
    node = _contracted(evidence.pinned)
    groups = Groups(
        graph=_graph(pairs, node, settings.floor),
        size=np.bincount(node).astype(np.float64),
        conflicts=_conflicts(evidence, node),
        pinned=_any(evidence.pinned >= 0, node),
    )
    labels = coarsest(groups, resolution=settings.floor, seed=settings.seed)[node]
    return Clustering(labels, _belief(pairs, labels, settings))


def extend(vectors: Vectors, evidence: Evidence, previous: Ints, settings: Settings = Settings()) -> Clustering:  # noqa: B008
    """Give the faces whose `previous` (n,) cluster is −1 a place; no other face moves. New clusters get new numbers."""
    labels = _placed_by_identity(previous, evidence.pinned)
    fresh = np.flatnonzero(labels < 0)
    start = int(labels.max(initial=-1)) + 1
    labels[fresh] = np.arange(start, start + len(fresh))
    changed = np.flatnonzero(previous < 0)
    if len(changed) == 0:
        return Clustering(labels, np.ones(len(labels)))
    pairs = _weighed(vectors, evidence, _pairs(vectors, evidence, settings, rows=changed), settings)
    node = np.arange(len(vectors))
    names, compact = np.unique(labels, return_inverse=True)
    spare = np.concatenate([names, names.max() + 1 + np.arange(len(node))])  # a face that leaves founds a new cluster
    groups = Groups(
        graph=_graph(pairs, node, settings.floor),
        size=np.ones(len(node)),
        conflicts=_conflicts(evidence, node),
        pinned=evidence.pinned >= 0,
    )
    moved = local_moves(groups, compact, movable=fresh, resolution=settings.floor, seed=settings.seed)
    return Clustering(spare[moved], _belief(pairs, moved, settings))


def merge_candidates(
    vectors: Vectors, people: Ints, settings: Settings = Settings(), *, least: float = 0.2  # noqa: B008
) -> Iterator[tuple[int, int, float]]:
    """Pairs of people (n,) who may be one, with the probability: the mean log-odds over their pairs of faces.

    `vectors` (n, dimensions) are their verified faces. Only pairs of at least `least` probability, best first.
    """
    names, member = np.unique(people, return_inverse=True)
    if len(names) < 2:
        return
    count = np.bincount(member)
    means = np.zeros((len(names), vectors.shape[1]), np.float32)
    np.add.at(means, member, vectors)
    means /= count[:, None]
    # The mean over all pairs of faces of their cosines is the product of the two means, so no pair is looked at.
    length = np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    rows, cosines = nearest(means / length, means / length, min(settings.neighbours, len(names)))
    found: dict[tuple[int, int], float] = {}
    for one, (others, similar) in enumerate(zip(rows, cosines, strict=True)):
        for other, cosine in zip(others, similar, strict=True):
            if other >= 0 and other != one:
                mean = float(cosine) * float(length[one, 0]) * float(length[other, 0])
                found[min(one, int(other)), max(one, int(other))] = settings.calibration.probability(mean)
    for (one, other), probability in sorted(found.items(), key=lambda item: -item[1]):
        if probability >= least:
            yield int(names[one]), int(names[other]), probability


# ---- pairs and what speaks for them


def _pairs(vectors: Vectors, evidence: Evidence, settings: Settings, rows: Ints | None = None) -> tuple[Ints, Ints]:
    """Pairs worth a look: neighbours in the graph, and faces that were found under one search term."""
    asked = np.arange(len(vectors)) if rows is None else rows
    near, _ = nearest(vectors[asked], vectors, settings.neighbours + 1)
    one, other = np.repeat(asked, near.shape[1]), near.ravel()
    sharing = list(_sharing(vectors, evidence.query, settings.neighbours, asked))
    one = np.concatenate([one, *(pair[0] for pair in sharing)])
    other = np.concatenate([other, *(pair[1] for pair in sharing)])
    keep = (one != other) & (other >= 0)
    low, high = np.minimum(one, other)[keep], np.maximum(one, other)[keep]
    keys = np.unique(low * len(vectors) + high)
    return keys // len(vectors), keys % len(vectors)


def _sharing(vectors: Vectors, query: npt.NDArray[np.int32], k: int, asked: Ints) -> Iterator[tuple[Ints, Ints]]:
    """For each search term, every face asked about with its nearest of the same term."""
    wanted = np.isin(np.arange(len(query)), asked)
    order = np.argsort(query, kind="stable")
    terms, first = np.unique(query[order], return_index=True)
    for term, members in zip(terms, np.split(order, first[1:]), strict=True):
        mine = members[wanted[members]]
        if term < 0 or len(members) < 2 or len(mine) == 0:
            continue
        near, _ = nearest(vectors[mine], vectors[members], k + 1)
        yield np.repeat(mine, near.shape[1]), members[near.ravel()]


def _weighed(vectors: Vectors, evidence: Evidence, pairs: tuple[Ints, Ints], settings: Settings) -> Pairs:
    one, other = pairs
    cosine = np.empty(len(one))
    for start in range(0, len(one), 1_000_000):
        piece = slice(start, start + 1_000_000)
        cosine[piece] = np.einsum("ij,ij->i", vectors[one[piece]], vectors[other[piece]])
    log_odds = settings.calibration.slope * cosine + settings.calibration.intercept
    return Pairs(one, other, log_odds + term_evidence(evidence.query, one, other, log_odds))


SURE = 3.0  # log-odds from the cosine alone


def term_evidence(query: npt.NDArray[np.int32], one: Ints, other: Ints, log_odds: Floats) -> Floats:
    """What each pair's search terms add to its log-odds, by a reliability that the pairs themselves tell.

    How often do pairs that are surely one person share their term, and how often would two people by chance?
    The logarithm of the ratio is what sharing, or not sharing, is worth. No term is ever taken as truth.
    """
    known = (query[one] >= 0) & (query[other] >= 0)
    sharing = known & (query[one] == query[other])
    sure = known & (log_odds > SURE)
    count = np.bincount(query[query >= 0]) if (query >= 0).any() else np.zeros(0)
    if not sure.any() or not len(count):
        return np.zeros(len(one))
    of_one = (sharing[sure].sum() + 1) / (sure.sum() + 2)
    by_chance = float(np.clip(((count / count.sum()) ** 2).sum(), 1e-6, 0.99))
    if of_one <= by_chance:
        return np.zeros(len(one))  # the terms tell nothing
    added = np.where(sharing, np.log(of_one / by_chance), np.log((1 - of_one) / (1 - by_chance)))
    return np.where(known, added, 0.0)


def _belief(pairs: Pairs, labels: Ints, settings: Settings) -> Floats:
    """The probability that each face belongs to its group: from the mean log-odds to the others of it."""
    inside = labels[pairs.one] == labels[pairs.other]
    total, count = np.zeros(len(labels)), np.zeros(len(labels))
    for end in (pairs.one[inside], pairs.other[inside]):
        np.add.at(total, end, np.maximum(pairs.log_odds[inside], -settings.floor))
        np.add.at(count, end, 1)
    # Of a large group only the nearest are compared; in a small one a pair that was not is one that is far apart.
    size = np.bincount(labels, minlength=int(labels.max(initial=0)) + 1)[labels]
    expected = np.minimum(size - 1, settings.neighbours)
    mean = (total - settings.floor * np.maximum(expected - count, 0)) / np.maximum(np.maximum(expected, count), 1)
    return np.where(size > 1, 1 / (1 + np.exp(-mean)), 1.0)


# ---- constraints


def _contracted(pinned: Ints) -> Ints:
    """One node for each verified identity, and one for each other face."""
    names = np.where(pinned >= 0, pinned, -2 - np.arange(len(pinned)))
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _any(flags: npt.NDArray[np.bool_], node: Ints) -> npt.NDArray[np.bool_]:
    return np.bincount(node, flags, int(node.max()) + 1) > 0


def _conflicts(evidence: Evidence, node: Ints) -> tuple[Ints, Ints]:
    """Pairs of nodes that may never meet: faces of one photo, faces and identities that they are not."""
    one, other = list[Ints](), list[Ints]()
    order = np.argsort(evidence.photo, kind="stable")
    _, first = np.unique(evidence.photo[order], return_index=True)
    for members in np.split(order, first[1:]):
        if len(members) > 1:
            a, b = np.triu_indices(len(members), 1)
            one.append(members[a])
            other.append(members[b])
    representative = {int(name): row for row, name in enumerate(evidence.pinned) if name >= 0}
    told = [(face, representative[name]) for face, name in evidence.cannot_identity if name in representative]
    one.append(np.array([face for face, _ in told], np.int64))
    other.append(np.array([face for _, face in told], np.int64))
    a, b = node[np.concatenate(one)], node[np.concatenate(other)]
    apart = a != b  # a person may verify two faces of one photo as one: a mirror, a collage
    return a[apart], b[apart]


def _graph(pairs: Pairs, node: Ints, floor: float) -> Graph:
    weight = pairs.log_odds + floor
    keep = weight > 0
    return Graph.of(int(node.max()) + 1, node[pairs.one[keep]], node[pairs.other[keep]], weight[keep])


def _placed_by_identity(previous: Ints, pinned: Ints) -> Ints:
    """The clusters so far, with every verified face in the one of its identity."""
    labels = previous.copy()
    top = int(previous.max(initial=-1)) + 1
    for name in np.unique(pinned[(pinned >= 0)]):
        faces = np.flatnonzero(pinned == name)
        placed = labels[faces][labels[faces] >= 0]
        if len(placed) == len(faces) and len(np.unique(placed)) == 1:
            continue
        home = int(placed.min()) if len(placed) else top
        top += not len(placed)
        labels[faces] = home
    return labels
