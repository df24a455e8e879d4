"""From lines of the ledger to what now holds: which identities are one, who a face is, and what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["identity", "not_a_face", "cannot_tell"]


@dataclass(frozen=True)
class Line:
    """A standing line about one face, in the ledger's order."""

    id: int
    kind: str  # label, cannot_link, not_a_face, cannot_tell
    identity: int | None


@dataclass(frozen=True)
class Belief:
    """What the ledger says of a face, and the line that says it."""

    verdict: Verdict
    identity: int | None  # the root of its merges, when the verdict is "identity"
    line: int


def roots(merges: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The identity that each merged one now is, from (identity, what it was merged into) in the ledger's order.

    Undoing a merge leaves the others standing, so this follows whatever lines are left. An identity
    that is merged twice counts as both, which makes all three one.
    """
    parent: dict[int, int] = {}

    def root(identity: int) -> int:
        while identity in parent:
            identity = parent[identity]
        return identity

    for identity, into in merges:
        child, top = root(identity), root(into)
        if child != top:
            parent[child] = top
    return {identity: root(identity) for identity in parent}


def belief(lines: Iterable[Line], roots: Mapping[int, int]) -> Belief | None:
    """Who this face is: the last word counts, and "not that person" takes back an earlier label of that person."""
    held: Belief | None = None
    for line in lines:
        identity = None if line.identity is None else roots.get(line.identity, line.identity)
        if line.kind == "label":
            held = Belief("identity", identity, line.id)
        elif line.kind == "not_a_face":
            held = Belief("not_a_face", None, line.id)
        elif line.kind == "cannot_tell":
            held = Belief("cannot_tell", None, line.id)
        elif line.kind == "cannot_link" and held is not None and held.identity == identity:
            held = None
    return held


# Whose word holds about an attribute, the least first: a proposal yields to a set's record, and that to a person.
TRUST = ("machine", "import", "person")


@dataclass(frozen=True)
class ValueLine:
    """A standing line about an attribute of one face, or of the identity that it is of."""

    id: int
    by: str  # machine, import, person
    of_face: bool


def holding(lines: Iterable[ValueLine]) -> ValueLine | None:
    """The line that holds: the most trusted; then the one about this very face; then the latest."""
    return max(lines, key=lambda line: (TRUST.index(line.by), line.of_face, line.id), default=None)
