"""Pairs of faces that are worth a look, with the log-odds that both show one person."""

from collections.abc import Iterator
from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from inference.core import terms
from inference.core.bundle import Calibration
from inference.core.search import nearest
from inference.core.terms import Queries, Reliability
from inference.core.types import Vectors

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SAMPLE = 1_000  # faces whose neighbours tell how reliable the terms are, where not all faces are looked at


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of rows, each once and with `one` below `other`."""

    one: Ints  # (pairs,)
    other: Ints  # (pairs,)
    log_odds: Floats  # (pairs,) of being one person


@dataclass(frozen=True, eq=False)
class Faces:
    """Vectors with what is needed to weigh pairs of them."""

    vectors: Vectors  # (n, dimensions)
    query: Queries  # (n,)
    calibration: Calibration
    neighbours: int

    def near(self, rows: Ints) -> Pairs:
        """These rows with their nearest among all, by the cosine alone."""
        return self._weighed(*self._ends(rows))

    def with_sharing(self, near: Pairs, rows: Ints) -> Pairs:
        """These pairs, and these rows with their nearest of the same search term, by the cosine alone."""
        ends = [(near.one, near.other), *self._sharing(rows)]
        return self._weighed(np.concatenate([one for one, _ in ends]), np.concatenate([other for _, other in ends]))

    def _ends(self, rows: Ints, among: Ints | None = None) -> tuple[Ints, Ints]:
        pool = self.vectors if among is None else self.vectors[among]
        found, _ = nearest(self.vectors[rows], pool, self.neighbours + 1)
        one, other = np.repeat(rows, found.shape[1]), found.ravel()
        one, other = one[other >= 0], other[other >= 0]
        return one, other if among is None else among[other]

    def _sharing(self, rows: Ints) -> Iterator[tuple[Ints, Ints]]:
        wanted = np.zeros(len(self.query), np.bool_)
        wanted[rows] = True
        order = np.argsort(self.query, kind="stable")
        named, first = np.unique(self.query[order], return_index=True)
        for term, members in zip(named, np.split(order, first[1:]), strict=True):
            mine = members[wanted[members]]
            if term < 0 or len(members) < 2 or len(mine) == 0:
                continue
            if len(members) <= self.neighbours + 1:  # most terms: nothing to search for, all are near enough
                yield np.repeat(mine, len(members)), np.tile(members, len(mine))
            else:
                yield self._ends(mine, members)

    def _weighed(self, one: Ints, other: Ints) -> Pairs:
        apart = one != other
        one, other = one[apart], other[apart]
        keys = np.unique(np.minimum(one, other) * len(self.vectors) + np.maximum(one, other))
        one, other = keys // len(self.vectors), keys % len(self.vectors)
        cosine: Floats = _cosines(self.vectors, one, other)
        return Pairs(one, other, self.calibration.slope * cosine + self.calibration.intercept)


@nb.njit(cache=True, fastmath=True)
def _cosines(vectors, one, other):  # type: ignore[no-untyped-def]  # pragma: no cover
    """Row by row, where numpy would first copy both vectors of every pair: a gigabyte a million."""
    found = np.empty(len(one))
    for pair in range(len(one)):
        a, b = vectors[one[pair]], vectors[other[pair]]
        total = np.float32(0)
        for place in range(len(a)):
            total += a[place] * b[place]
        found[pair] = total
    return found


def all_pairs(faces: Faces) -> Pairs:
    """Every face with its nearest among all and among those of its search term, by cosine and by terms."""
    rows = np.arange(len(faces.vectors))
    near = faces.near(rows)
    told = terms.reliability(faces.query, near.one, near.other, near.log_odds)
    if told is None:
        return near
    right = terms.trust(faces.query, near.one, near.other, near.log_odds + told.shift, told)
    return _with_terms(faces, faces.with_sharing(near, rows), right, told)


def pairs_of(faces: Faces, rows: Ints, groups: Ints, seed: int) -> Pairs:
    """The same for these rows alone. Of others, a term is trusted as far as those of their groups (n,) agree."""
    sample = faces.near(np.random.default_rng(seed).permutation(len(faces.vectors))[:SAMPLE])
    told = terms.reliability(faces.query, sample.one, sample.other, sample.log_odds)
    near = faces.near(rows)
    if told is None:
        return near
    right = terms.trust_in_groups(faces.query, groups, told)
    right[rows] = np.nan
    right = terms.trust(faces.query, near.one, near.other, near.log_odds + told.shift, told, known=right)
    return _with_terms(faces, faces.with_sharing(near, rows), right, told)


def _with_terms(faces: Faces, pairs: Pairs, right: Floats, told: Reliability) -> Pairs:
    said = terms.evidence(faces.query, pairs.one, pairs.other, right, told)
    return Pairs(pairs.one, pairs.other, pairs.log_odds + told.shift + said)
