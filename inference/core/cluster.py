"""Vectors in, people out: communities of the neighbour graph, with what is decided as hard constraints.

Every pair of faces has the log-odds of being one person: from their cosine, by the backbone's calibration, plus
what their search terms say (`terms`). Faces are grouped so that the sum over pairs within groups is largest; a pair
counts no less than −`floor`, since a face that was seen badly must not tear a person apart. That is the constant
Potts model (Traag, Van Dooren and Nesterov, 2011) on weights log-odds + floor with resolution `floor`,
solved by local moves on ever coarser graphs (Blondel et al., 2008), which here never make a forbidden move.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.core.bundle import Calibration
from inference.core.pairs import Faces, Pairs, all_pairs, pairs_of
from inference.core.potts import Graph, Groups, coarsest, local_moves
from inference.core.search import nearest
from inference.core.types import Vectors

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

# Of dlib's vectors. Slope, intercept and the floor of `Settings` gave the best mean BCubed F over celeba_small, imfdb
# and lfw, with and without planted search terms that are right nine times in ten (tests/benchmarks/clustering.py).
COLD_START = Calibration(slope=150.0, intercept=-140.0)


@dataclass(frozen=True)
class Settings:
    calibration: Calibration = COLD_START
    floor: float = 0.5  # log-odds; the most that a pair can count against being one person
    neighbours: int = 80
    seed: int = 0


SETTINGS = Settings()


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of n faces besides their vectors."""

    photo: Ints  # (n,): two faces of one photo are two people
    query: npt.NDArray[np.int32]  # (n,): search term, or −1; evidence, not truth
    pinned: Ints  # (n,): the identity that a person verified, or −1
    cannot_identity: Sequence[tuple[int, int]] = ()  # (face's row, identity that it is not)
    cannot: Sequence[tuple[int, int]] = ()  # rows of two faces that are two people


@dataclass(frozen=True, eq=False)
class Clustering:
    labels: Ints  # (n,): which cluster
    belief: Floats  # (n,): the probability that the face belongs to its cluster


def cluster(vectors: Vectors, evidence: Evidence, settings: Settings = SETTINGS) -> Clustering:
    """Group faces (n, dimensions) into people. The same input gives the same groups.

    Faces pinned to one identity end up together and apart from every other identity. Two faces of one photo, two
    that are told apart, and a face and an identity that it is not are never together, except that
    nobody overrules a person who pinned them so.
    """
    n = len(vectors)
    if n == 0:
        return Clustering(np.zeros(0, np.int64), np.zeros(0))
    pairs = all_pairs(Faces(vectors, evidence.query, settings.calibration, settings.neighbours))
    node = _contracted(evidence.pinned)
    groups = Groups(
        graph=_graph(pairs, node, settings.floor),
        size=np.bincount(node).astype(np.float64),
        conflicts=_conflicts(evidence, node),
        pinned=np.bincount(node, evidence.pinned >= 0) > 0,
    )
    labels = coarsest(groups, resolution=settings.floor, seed=settings.seed)[node]
    return Clustering(labels, _belief(pairs, labels, settings))


def extend(vectors: Vectors, evidence: Evidence, previous: Ints, settings: Settings = SETTINGS) -> Clustering:
    """Give the faces whose `previous` (n,) cluster is −1 a place. No other moves, unless a decision forbids its place.

    Clusters keep their labels of `previous`; new ones are −2, −3 and so on, so that they cannot be taken for one whose
    faces are not here. The belief is that of the faces placed now, 1 of those that a decision places, and nan of all
    others.
    """
    kept = _kept(previous, evidence)
    fresh = np.flatnonzero(kept < 0)
    belief = np.where((previous < 0) & (kept >= 0), 1.0, np.nan)
    if len(fresh) == 0:
        return Clustering(kept, belief)
    names, start = _numbered(kept, evidence.pinned)
    faces = Faces(vectors, evidence.query, settings.calibration, settings.neighbours)
    pairs = pairs_of(faces, fresh, start, settings.seed)
    alone = np.arange(len(kept))
    groups = Groups(
        graph=_graph(pairs, alone, settings.floor),
        size=np.ones(len(kept)),
        conflicts=_conflicts(evidence, alone),
        pinned=evidence.pinned >= 0,
    )
    movable = fresh[evidence.pinned[fresh] < 0]
    found = local_moves(groups, start, movable=movable, resolution=settings.floor, seed=settings.seed)
    belief[fresh] = _belief(pairs, found, settings)[fresh]
    number = np.unique(found[found >= len(names)], return_inverse=True)[1]
    labels = kept.copy()
    labels[found >= len(names)] = -2 - number
    labels[found < len(names)] = names[found[found < len(names)]]
    return Clustering(labels, belief)


def merge_candidates(
    vectors: Vectors, people: Ints, settings: Settings = SETTINGS, *, least: float = 0.2
) -> Iterator[tuple[int, int, float]]:
    """Pairs of people (n,) who may be one, with the probability: by the mean log-odds over their pairs of faces.

    `vectors` (n, dimensions) are their verified faces. Only pairs of at least `least` probability, best first.
    """
    names, member, count = np.unique(people, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return
    means = np.zeros((len(names), vectors.shape[1]))
    np.add.at(means, member, vectors)
    means /= count[:, None]
    # The mean over all pairs of their faces' cosines is the product of the two means, so no pair is looked at.
    length = np.maximum(np.linalg.norm(means, axis=1), 1e-12)
    unit = (means / length[:, None]).astype(np.float32)
    found, cosine = nearest(unit, unit, settings.neighbours)
    one, other = np.repeat(np.arange(len(names)), found.shape[1]), found.ravel()
    mean = cosine.ravel() * length[one] * length[other]
    probability = _sigmoid(settings.calibration.slope * mean + settings.calibration.intercept)
    keep = (other >= 0) & (one != other) & (probability >= least)
    best: dict[tuple[int, int], float] = {}
    for a, b, likely in zip(one[keep].tolist(), other[keep].tolist(), probability[keep].tolist(), strict=True):
        best[min(a, b), max(a, b)] = likely
    for (a, b), likely in sorted(best.items(), key=lambda item: -item[1]):
        yield int(names[a]), int(names[b]), likely


def _graph(pairs: Pairs, node: Ints, floor: float) -> Graph:
    weight = pairs.log_odds + floor
    keep = weight > 0
    return Graph.of(int(node.max()) + 1, node[pairs.one[keep]], node[pairs.other[keep]], weight[keep])


def _belief(pairs: Pairs, labels: Ints, settings: Settings) -> Floats:
    """The probability that each face belongs to its group: from the mean log-odds to the others of it."""
    inside = labels[pairs.one] == labels[pairs.other]
    total, count = np.zeros(len(labels)), np.zeros(len(labels))
    for end in (pairs.one[inside], pairs.other[inside]):
        total += np.bincount(end, np.maximum(pairs.log_odds[inside], -settings.floor), len(labels))
        count += np.bincount(end, minlength=len(labels))
    # Of a large group only the nearest are compared; in a small one a pair that was not is one that is far apart.
    others = np.bincount(labels)[labels] - 1
    expected = np.maximum(np.minimum(others, settings.neighbours), count)
    mean = (total - settings.floor * (expected - count)) / np.maximum(expected, 1)
    return np.where(others > 0, _sigmoid(mean), 1.0)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray((1 + np.tanh(x / 2)) / 2, np.float64)  # written so that nothing overflows


# ---- constraints


def _contracted(pinned: Ints) -> Ints:
    """One node for each verified identity, and one for each other face."""
    names = np.where(pinned >= 0, pinned, -2 - np.arange(len(pinned)))
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def _conflicts(evidence: Evidence, node: Ints) -> tuple[Ints, Ints]:
    """Pairs of nodes that may never meet: faces of one photo or told apart, faces and identities that they are not."""
    same_photo = _sharing_a_photo(evidence.photo)
    people, representative = np.unique(evidence.pinned, return_index=True)
    row_of = dict(zip(people.tolist(), representative.tolist(), strict=True))
    told = [*evidence.cannot, *((face, row_of[who]) for face, who in evidence.cannot_identity if who in row_of)]
    one, other = (node[ends] for ends in np.concatenate([same_photo, np.array(told, np.int64).reshape(-1, 2)]).T)
    apart = one != other  # a person may verify two faces of one photo as one: a mirror, a collage
    return one[apart], other[apart]


def _sharing_a_photo(photo: Ints) -> Ints:
    """All pairs (pairs, 2) of rows with one photo."""
    order = np.argsort(photo, kind="stable")
    ordered, found = photo[order], [np.zeros((0, 2), np.int64)]
    for step in range(1, len(photo)):
        start = np.flatnonzero(ordered[step:] == ordered[:-step])
        if len(start) == 0:
            break
        found.append(np.stack([order[start], order[start + step]], axis=1))
    return np.concatenate(found)


def _kept(previous: Ints, evidence: Evidence) -> Ints:
    """The labels so far, as far as decisions allow them; −1 for a face that has none or must leave it."""
    labels = np.where(previous >= 0, previous, -1)
    home = _homes(labels, evidence.pinned)
    pinned = evidence.pinned >= 0
    labels[pinned] = [home.get(identity, -1) for identity in evidence.pinned[pinned].tolist()]
    one, other = _conflicts(evidence, np.arange(len(labels)))
    meeting = (labels[one] == labels[other]) & ~(pinned[one] & pinned[other])
    leaving = np.where(pinned[other], one, other)[meeting]
    labels[leaving] = -1
    return labels


def _homes(labels: Ints, pinned: Ints) -> dict[int, int]:
    """The cluster of each identity: where most of its faces are, and no two identities in one."""
    placed = (labels >= 0) & (pinned >= 0)
    where, count = np.unique(np.stack([pinned[placed], labels[placed]]), axis=1, return_counts=True)
    home: dict[int, int] = {}
    taken = set[int]()
    for index in np.argsort(-count, kind="stable"):
        identity, label = where[:, index].tolist()
        if identity not in home and label not in taken:
            home[identity] = label
            taken.add(label)
    return home


def _numbered(labels: Ints, pinned: Ints) -> tuple[Ints, Ints]:
    """The names of the clusters, and each face's by its place among them; from their number on, new clusters for those
    without: one for each face, or for each identity."""
    names = np.unique(labels[labels >= 0])
    start = np.searchsorted(names, labels)
    fresh = labels < 0
    start[fresh] = len(names) + _contracted(pinned[fresh]) if fresh.any() else 0
    return names, start
