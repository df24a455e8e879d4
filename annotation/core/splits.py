"""Which faces train, which validate, which test: whole groups, evenly over what is known of them, once and for all.

What was given to a part stays there, whatever is added later: figures of two releases are then figures of one test.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from annotation.core.datasets.entry import CANNOT_TELL

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")  # of two that become one the later holds: it was held out
SHARES: Mapping[Split, float] = {"train": 0.70, "validation": 0.15, "test": 0.15}


LARGE, FEW = 0.1, 500  # a group that has more of all faces is told, if there are more than so few
OFF, OFF_AT_LEAST = 0.25, 0.05  # of its share, and of all faces, by which a part may miss what it is to get


class BadShares(ValueError):
    def __init__(self, shares: Mapping[str, float]) -> None:
        told = ", ".join(f"{name} {share}" for name, share in shares.items()) or "nothing"
        super().__init__(
            f"The shares of the splits cannot be {told}. "
            f"Give {', '.join(SPLITS)} a share each, from 0 to 1, 1 together."
        )


def checked_shares(shares: Mapping[Any, float]) -> dict[Split, float]:
    """Raises BadShares."""
    if set(shares) != set(SPLITS) or not (min(shares.values()) >= 0 and abs(sum(shares.values()) - 1) < 1e-6):
        raise BadShares(shares)
    return {name: float(shares[name]) for name in SPLITS}


@dataclass(frozen=True, eq=False, slots=True)
class Candidate:
    """A group of faces that must not be torn apart."""

    group: int
    order: float  # in which groups are dealt out: as good as random and always the same, not by id or time
    strata: Sequence[Hashable]  # what is known of its faces: one for each face and attribute
    faces: int = 1
    before: Split | None = None  # the part that an earlier release gave it to


def assign(candidates: Sequence[Candidate], shares: Mapping[Split, float] = SHARES) -> dict[int, Split]:
    """The part of each group.

    Who had one keeps it. The others are dealt out by iterative stratification, after Sechidis, Tsoumakas and Vlahavas
    ("On the stratification of multi-label data", ECML PKDD 2011): groups of the rarest stratum first, each to the part
    that is least filled. Other than theirs, how full a part is counts as the share of what it is to get (as
    Sainte-Laguë gives seats), summed over all strata of the group: where every face has an age, the ages alone would
    decide otherwise. And where theirs draws at random, `order` decides. A group too large for its part goes where
    most faces are lacking: to the training part, as a rule. Raises BadShares.
    """
    filled = _Filled(candidates, checked_shares(shares))
    given: dict[int, Split] = {}
    for each in candidates:
        if each.before is not None:
            given[each.group] = each.before
            filled.give(each, SPLITS.index(each.before))
    holding = defaultdict[Hashable, list[Candidate]](list)  # the groups of a stratum, in the order of dealing
    for each in sorted((each for each in candidates if each.before is None), key=lambda each: (each.order, each.group)):
        for stratum in dict.fromkeys(each.strata) or [None]:
            holding[stratum].append(each)
    sizes = {stratum: sum(each.faces for each in groups) for stratum, groups in holding.items()}
    for stratum in sorted(holding, key=lambda name: (sizes[name], str(name))):
        for each in holding[stratum]:
            if each.group not in given:
                place = filled.least(each)
                given[each.group] = SPLITS[place]
                filled.give(each, place)
    return given


class _Filled:
    """How many faces each part has got, of each stratum and in all. Plain floats: numpy is slower on three."""

    def __init__(self, candidates: Sequence[Candidate], shares: Mapping[Split, float]) -> None:
        self.total = Counter[Hashable]()
        for each in candidates:
            self.total.update(each.strata)
        self.of = {stratum: [0] * len(SPLITS) for stratum in self.total}
        self.shares = [shares[name] for name in SPLITS]
        self.open = [place for place, share in enumerate(self.shares) if share > 0]
        self.faces = sum(each.faces for each in candidates)
        self.all = [0] * len(SPLITS)

    def give(self, each: Candidate, place: int) -> None:
        for stratum in each.strata:
            self.of[stratum][place] += 1
        self.all[place] += each.faces

    def least(self, each: Candidate) -> int:
        """The place of the part that this group is to go to. One with no share gets nothing new."""
        strata = [(self.of[stratum], 1 / self.total[stratum]) for stratum in each.strata]
        fill = {
            place: sum((of[place] + each.faces / 2) * one for of, one in strata) / self.shares[place]
            for place in self.open
        }
        best = min(self.open, key=lambda place: (round(fill[place], 9), self.all[place] / self.shares[place]))
        if each.faces > max(self._lacks(best), 1.0):
            best = max(self.open, key=self._lacks)
        return best

    def _lacks(self, place: int) -> float:
        return self.faces * self.shares[place] - self.all[place]


def warnings(counts: Mapping[str, Any], shares: Mapping[Any, float], _: Callable[[str], str] = str) -> list[str]:
    """What somebody should know who is to trust these parts.

    `counts` has faces, faces by part, the largest group, and by attribute and part how many faces have which value.

    `_` puts it into the reader's language.
    """
    faces, largest, told = counts["faces"], counts["largest_group"], list[str]()
    if largest > LARGE * faces > LARGE * FEW:
        text = _(
            "One group has {largest:,} of {faces:,} faces, and stays in one part: people who share photos are chained "
            "together. With only the most centred face of each photo (chosen only) there are no such chains."
        )
        told.append(text.format(largest=largest, faces=faces))
    capped = counts.get("capped", 0)  # left out of training on purpose
    faces += capped
    for name, share in shares.items():
        got = counts["splits"][name] + (capped if name == "train" else 0)
        if share and not got:
            text = _("The {name} part is empty: there are too few groups, or one is too large. Nothing can use it.")
            told.append(text.format(name=name))
        elif faces > FEW and abs(got - share * faces) > max(OFF * share, OFF_AT_LEAST) * faces:
            text = _(
                "The {name} part has {has:.0%} of the faces, not the {share:.0%} that are its share: "
                "groups are not torn apart, and who had a part keeps it."
            )
            told.append(text.format(name=name, has=got / faces, share=share))
    for attribute, of in counts.get("attributes", {}).items():
        held = [name for name, share in shares.items() if share and counts["splits"][name]]
        parts = [name for name in held if not _known(of.get(name, {}))]
        if parts:
            text = _(
                "{attribute} has no labelled face in: {parts}. Training it from this release fails. Label faces of "
                "that part or of more people, then freeze a new release: who had a part keeps it, whatever the seed. "
                "Where people who share photos are chained together, take only the most centred face of each photo "
                "(chosen only)."
            )
            told.append(text.format(attribute=attribute, parts=", ".join(parts)))
    return told


def _known(counts: Mapping[str, int]) -> int:
    return sum(count for value, count in counts.items() if value != CANNOT_TELL)


def connected(count: int, *keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The component (count,) of each of so many things, where all that share a key are linked, through whatever chain.

    Each array of `keys` (count,) is of a kind of its own; below zero is no key.
    """
    things, places, total = [np.empty(0, np.int64)], [np.empty(0, np.int64)], count
    for key in keys:
        has = np.flatnonzero(key >= 0)
        known, place = np.unique(key[has], return_inverse=True)
        things.append(has)
        places.append(total + place)
        total += len(known)
    rows, columns = np.concatenate(things), np.concatenate(places)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(total, total))
    return np.asarray(connected_components(graph, directed=False)[1][:count], np.int64)
