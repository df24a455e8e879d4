"""Several releases beside each other: what is learnt from in one must not be what another judges by.

Within a database the test only grows: if two people turn out to be one, faces that an earlier release had to learn from
are in the test of the next. Photos are known by their SHA-256, so releases of two databases are kept apart, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation.core.release import Release
from annotation.core.splits import SPLITS, connected

Ints = npt.NDArray[np.int64]
HEX = 15  # digits of a SHA-256 that fit into 64 bits: two photos of a billion are alike with a chance of one in two


@dataclass(frozen=True, eq=False)
class _Rows:
    """The faces of several releases, one after the other."""

    release: Ints  # (n,): which of them
    face: Ints
    photo: Ints
    part: Ints  # numbered so that of two the later holds
    linked: Ints  # (n,): the same number where people, duplicates or photos link them, in whichever release


def used(releases: Sequence[Release], split: str) -> list[set[int]]:
    """Of each release the faces of one part that count: each photo once, from the last release that has it, and none
    that is linked with what another release holds back for a later part."""
    rows = _rows(releases)
    held = rows.part == _highest(rows.linked, rows.part)
    last = _highest(np.unique(rows.photo, return_inverse=True)[1], np.where(held, rows.release, -1))
    counts = held & (rows.release == last) & (rows.part == SPLITS.index(split))
    return [set(rows.face[counts & (rows.release == number)].tolist()) for number in range(len(releases))]


def learnt(release: Release, others: Sequence[Release]) -> Ints:
    """The test faces of a release that are linked with what other releases have to learn from or to choose by."""
    rows = _rows([release, *others])
    test = rows.part == SPLITS.index("test")
    seen = np.unique(rows.linked[(rows.release > 0) & ~test])
    return np.asarray(rows.face[(rows.release == 0) & test & np.isin(rows.linked, seen)], np.int64)


def _rows(releases: Sequence[Release]) -> _Rows:
    told = list[tuple[int, int, int, int, int]]()
    for number, release in enumerate(releases):
        for batch in release.rows(["face", "group", "sha256", "split"]):
            told += [
                (number, row["face"], row["group"], int(row["sha256"][:HEX], 16), SPLITS.index(row["split"]))
                for row in batch.to_pylist()
            ]
    release_, face, group, photo, part = np.array(told, np.int64).reshape(-1, 5).T
    # Groups are numbered in each release by itself.
    return _Rows(release_, face, photo, part, connected(len(face), group * len(releases) + release_, photo))


def _highest(keys: Ints, values: Ints) -> Ints:
    """Of each row the highest value that its key has."""
    found = np.full(keys.max(initial=-1) + 1, -1, np.int64)
    np.maximum.at(found, keys, values)
    return found[keys]
