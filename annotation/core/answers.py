"""What a person said, as the browser sends it, checked and counted in actions."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from inference.core.attributes import OLDEST, Attribute

ClusterVerdict = Literal["one_person", "cannot_tell"]
PairVerdict = Literal["same", "different", "cannot_tell"]
GridVerdict = Literal["marked"]
ValueVerdict = Literal["value", "not_a_face", "cannot_tell"]
RecordVerdict = Literal["marked"]
SkipReason = Literal["", "too_hard", "bad_picture", "odd_question", "do_not_want"]
Mark = Literal["other", "not_a_face", "cannot_tell"]
RecordMark = Literal[Mark, "wrong_date"]
PairMark = Literal["not_a_face"]
NAME_LENGTH = 300


class Malformed(ValueError):
    """An answer that says nothing sensible; the message names the part."""


@dataclass(frozen=True)
class Skip:
    """No answer to a question of any kind: it is left to others, who may learn why."""

    reason: SkipReason
    actions: int = 1

    @property
    def content(self) -> dict[str, object]:
        return {"verdict": "skip", "reason": self.reason}


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
class _Marked:
    """A word on all of it, and one on each face that is marked."""

    verdict: str
    marks: Mapping[int, str]  # by face

    @property
    def actions(self) -> int:
        return 1 + len(self.marks)

    @property
    def content(self) -> dict[str, object]:
        return {"verdict": self.verdict, "marks": {str(face): mark for face, mark in self.marks.items()}}


class PairAnswer(_Marked):
    """To "are these two one person?", a PairVerdict, as far as their pictures are faces: those marked are none."""


class GridAnswer(_Marked):
    """To "which of these are not happy?": those marked are something else, by a Mark or the value that they are
    instead; all others are as proposed."""


@dataclass(frozen=True)
class ValueAnswer:
    """To "which emotion is this?", or "how old does this person look?"."""

    verdict: ValueVerdict
    value: str  # one of the attribute's, or whole years; empty for another verdict
    actions: int

    @property
    def content(self) -> dict[str, object]:
        return {"verdict": self.verdict, "value": self.value}


class RecordAnswer(_Marked):
    """To "are these the right person, and the right dates?": those marked are not, by a RecordMark; all others are."""


def skip(content: Mapping[str, Any]) -> Skip:
    """Read why somebody leaves a question to others. Raises Malformed."""
    return Skip(_one_of("reason", content.get("reason", ""), get_args(SkipReason)))


def cluster_answer(content: Mapping[str, Any], faces: Collection[int]) -> ClusterAnswer:
    """Read an answer to a question that shows these faces. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(ClusterVerdict))
    read: dict[int, Mark] = _marks(content, faces, get_args(Mark))
    name = content.get("name") or ""
    if not isinstance(name, str) or len(name) > NAME_LENGTH or not name.isprintable():
        raise Malformed(f"name must be printable text of at most {NAME_LENGTH} characters.")
    together = content.get("marked_are_one", False)
    if not isinstance(together, bool):
        raise Malformed(f"marked_are_one must be true or false; got {together!r}.")
    if together and "other" not in read.values():
        raise Malformed("marked_are_one is set, but no face is marked as somebody else. Mark them first.")
    return ClusterAnswer(verdict, read, together, name.strip())


def pair_answer(content: Mapping[str, Any], faces: Collection[int]) -> PairAnswer:
    """Read an answer to "are these two one person?", who have these faces. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(PairVerdict))
    return PairAnswer(verdict, _marks(content, faces, get_args(PairMark)))


def grid_answer(content: Mapping[str, Any], faces: Collection[int], asked: Attribute) -> GridAnswer:
    """Read an answer to a grid that shows these faces with one value of an attribute. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(GridVerdict))
    return GridAnswer(verdict, _marks(content, faces, (*get_args(Mark), *asked.values)))


def value_answer(content: Mapping[str, Any], asked: Attribute) -> ValueAnswer:
    """Read what somebody says an attribute of one face is. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(ValueVerdict))
    if verdict != "value":
        return ValueAnswer(verdict, "", 1)
    value = content.get("value")
    if not asked.in_years:
        return ValueAnswer(verdict, _one_of("value", value, asked.values), 1)
    years = str(value)
    if not (years.isascii() and years.isdecimal() and len(years) <= len(str(OLDEST))) or int(years) > OLDEST:
        raise Malformed(f"value must be whole years from 0 to {OLDEST}; got {years[:40]!r}.")
    return ValueAnswer(verdict, str(int(years)), len(str(int(years))))


def record_answer(content: Mapping[str, Any], faces: Collection[int]) -> RecordAnswer:
    """Read an answer to "are these the right person, and the right dates?" about these faces. Raises Malformed."""
    verdict = _one_of("verdict", content.get("verdict"), get_args(RecordVerdict))
    return RecordAnswer(verdict, _marks(content, faces, get_args(RecordMark)))


def _marks(content: Mapping[str, Any], faces: Collection[int], known: tuple[Any, ...]) -> dict[int, Any]:
    marks = content.get("marks") or {}
    if not isinstance(marks, Mapping):
        raise Malformed(f"marks must map face ids to one of {', '.join(known)}; got {marks!r}.")
    shown = {str(face): face for face in faces}
    read: dict[int, Any] = {}
    for face, mark in marks.items():
        if str(face) not in shown:
            raise Malformed(f"marks names face {str(face)[:40]!r}, which this question does not show.")
        read[shown[str(face)]] = _one_of(f"marks[{face}]", mark, known)
    return read


def _one_of(field: str, value: object, known: tuple[Any, ...]) -> Any:
    if value not in known:
        raise Malformed(f"{field} must be one of {', '.join(filter(None, known))}; got {value!r}.")
    return value
