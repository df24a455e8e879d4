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
    control: npt.NDArray[np.bool_]  # (n,): whether any release calls a face of its photo so
    linked: Ints  # (n,): the same number where people, duplicates or photos link them, in whichever release


def used(releases: Sequence[Release], split: str, *, control: bool = True) -> list[set[int]]:
    """Of each release the faces of one part that count: each photo once, from the last release that has it, and none
    that is linked with what another release holds back for a later part. Without `control` none of a photo of which
    any release says that it is of the control slice, as older ones do not."""
    rows = _rows(releases)
    held = rows.part == _highest(rows.linked, rows.part)
    last = _highest(np.unique(rows.photo, return_inverse=True)[1], np.where(held, rows.release, -1))
    counts = held & (rows.release == last) & (rows.part == SPLITS.index(split)) & (control | ~rows.control)
    return [set(rows.face[counts & (rows.release == number)].tolist()) for number in range(len(releases))]


def learnt(release: Release, others: Sequence[Release]) -> Ints:
    """The test faces of a release that are linked with what other releases have to learn from or to choose by."""
    rows = _rows([release, *others])
    test = rows.part == SPLITS.index("test")
    seen = np.unique(rows.linked[(rows.release > 0) & ~test])
    return np.asarray(rows.face[(rows.release == 0) & test & np.isin(rows.linked, seen)], np.int64)


def _rows(releases: Sequence[Release]) -> _Rows:
    told = list[tuple[int, int, int, int, int, bool]]()
    for number, release in enumerate(releases):
        names = [name for name in ("face", "group", "sha256", "split", "control") if name in release.columns]
        for batch in release.rows(names):
            told += [
                (
                    *(number, row["face"], row["group"], int(row["sha256"][:HEX], 16), SPLITS.index(row["split"])),
                    row.get("control", False),
                )
                for row in batch.to_pylist()
            ]
    release_, face, group, photo, part, control = np.array(told, np.int64).reshape(-1, 6).T
    of_control = np.isin(photo, photo[control == 1])
    # Groups are numbered in each release by itself.
    linked = connected(len(face), group * len(releases) + release_, photo)
    return _Rows(release_, face, photo, part, of_control, linked)


def _highest(keys: Ints, values: Ints) -> Ints:
    """Of each row the highest value that its key has."""
    found = np.full(keys.max(initial=-1) + 1, -1, np.int64)
    np.maximum.at(found, keys, values)
    return found[keys]
