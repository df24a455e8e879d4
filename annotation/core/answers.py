"""What a person said, as the browser sends it, checked and counted in actions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

ClusterVerdict = Literal["one_person", "cannot_tell", "skip"]
PairVerdict = Literal["same", "different", "cannot_tell", "skip"]
Mark = Literal["other", "not_a_face", "cannot_tell"]
NAME_LENGTH = 300


class Malformed(ValueError):
    """An answer that says nothing sensible; the message names the part."""


@dataclass(frozen=True)
class ClusterAnswer:
    """To "are these one person?": those marked do not belong, all others do."""

    verdict: ClusterVerdict
    marks: Mapping[int, Mark]  # by face
    marked_are_one: bool  # those marked "other" are one other person together
    name: str

    @property
    def actions(self) -> int:
        """Confirming is one, each mark one more, a name one more, "these are one other person" one more."""
        if self.verdict != "one_person":
            return 1
        return 1 + len(self.marks) + bool(self.name) + self.marked_are_one

    @property
    def content(self) -> dict[str, object]:
        """What is kept of it: nothing that the browser sent besides."""
        marks = {str(face): mark for face, mark in self.marks.items()}
        return {"verdict": self.verdict, "marks": marks, "marked_are_one": self.marked_are_one, "name": self.name}


@dataclass(frozen=True)
class PairAnswer:
    verdict: PairVerdict
    actions: int = 1

    @property
    def content(self) -> dict[str, object]:
        return {"verdict": self.verdict}


def cluster_answer(content: Mapping[str, Any], faces: Collection[int]) -> ClusterAnswer:
    """Read an answer to a question that shows these faces. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(ClusterVerdict))
    marks = content.get("marks") or {}
    if not isinstance(marks, Mapping):
        raise Malformed(f"marks must map face ids to one of {', '.join(get_args(Mark))}; got {marks!r}.")
    read: dict[int, Mark] = {}
    for face, mark in marks.items():
        if not str(face).isdecimal() or int(face) not in faces:
            raise Malformed(f"marks names face {face!r}, which this question does not show.")
        read[int(face)] = _one_of(f"marks[{face}]", mark, get_args(Mark))
    name = content.get("name") or ""
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not name.isprintable():
        raise Malformed(f"name must be printable text of at most {NAME_LENGTH} characters.")
    together = content.get("marked_are_one", False)
    if not isinstance(together, bool):
        raise Malformed(f"marked_are_one must be true or false; got {together!r}.")
    if together and "other" not in read.values():
        raise Malformed("marked_are_one is set, but no face is marked as somebody else. Mark them first.")
    return ClusterAnswer(verdict, read, together, name.strip())


def pair_answer(content: Mapping[str, Any]) -> PairAnswer:
    """Read an answer to "are these two one person?". Raises Malformed."""
    return PairAnswer(_one_of("verdict", content.get("verdict"), get_args(PairVerdict)))


def _one_of(field: str, value: object, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise Malformed(f"{field} must be one of {', '.join(known)}; got {value!r}.")
    return value
