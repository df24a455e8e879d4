"""JSON that somebody wrote, read into dataclasses: every key known, every value of its type, refused by name else."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from difflib import get_close_matches


def did_you_mean(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


@dataclass(frozen=True)
class StrictJson:
    """Readers of one file's values; each raises `error` with a message that names file, key and value."""

    file: str
    error: type[ValueError]

    def record(self, value: object, kind: type, where: str, without: Sequence[str] = ()) -> dict[str, object]:
        """A JSON object whose keys are the fields of a dataclass; those without a default must be there."""
        if not isinstance(value, dict):
            raise self._refused(where, "an object", value)
        known = {f.name: f for f in fields(kind) if f.name not in without}
        for key in value:
            if key not in known:
                raise self.error(f"In {self.file}, {where} has the unknown key {key!r}.{did_you_mean(key, known)}")
        for name, f in known.items():
            if f.default is MISSING and f.default_factory is MISSING and name not in value:
                raise self.error(f"In {self.file}, {where} lacks the key {name!r}.")
        return value

    def mapping(self, value: object, where: str) -> Mapping[str, object]:
        """An object with whatever is JSON: neither NaN nor infinity, which a database does not keep, nor NUL."""
        if not isinstance(value, dict) or "\\u0000" in json.dumps(value):
            raise self._refused(where, "an object", value)
        try:
            json.dumps(value, allow_nan=False)
        except ValueError as error:
            raise self.error(f"In {self.file}, {where} has a number that is not finite.") from error
        return value

    def items(self, value: object, where: str) -> list[object]:
        if not isinstance(value, list):
            raise self._refused(where, "a list", value)
        return value

    def text(self, value: object, where: str) -> str:
        if not isinstance(value, str) or "\0" in value:
            raise self._refused(where, "text", value)
        return value

    def truth(self, value: object, where: str) -> bool:
        if not isinstance(value, bool):
            raise self._refused(where, "true or false", value)
        return value

    def whole(self, value: object, where: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise self._refused(where, "a whole number", value)
        return value

    def number(self, value: object, where: str) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise self._refused(where, "a finite number", value)
        return float(value)

    def three(self, value: object, where: str) -> tuple[float, float, float]:
        numbers = [self.number(item, where) for item in self.items(value, where)]
        if len(numbers) != 3:
            raise self.error(f"In {self.file}, {where} must have three numbers, one a channel, not {len(numbers)}.")
        return numbers[0], numbers[1], numbers[2]

    def _refused(self, where: str, wanted: str, value: object) -> ValueError:
        return self.error(f"In {self.file}, {where} must be {wanted}, not {value!r}.")
