"""What a labelled set says of one picture."""

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from annotation.core.ages import Age
from annotation.core.dates import PartialDate
from inference.core.attributes import ATTRIBUTES

CANNOT_TELL, NOT_A_FACE = "cannot_tell", "not_a_face"  # what people may answer besides a value
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}

# The words that sets have for the seven emotions.
EMOTIONS = {
    **{"anger": "angry", "angry": "angry", "disgust": "disgusted", "fear": "fearful", "happiness": "happy"},
    **{"happy": "happy", "neutral": "neutral", "sadness": "sad", "sad": "sad", "surprise": "surprised"},
}
GENDERS = {"f": "female", "female": "female", "m": "male", "male": "male"}


class BadDataset(Exception):
    """A folder is not what its reader expects; the message says what is missing, and where."""


@dataclass(frozen=True)
class Entry:
    """One picture with everything that its set says of it. Provenance is *imported*, whatever is in here."""

    file: str  # relative to the folder of the set, with slashes
    identity: str = ""  # a name within the set
    age: Age | None = None  # real, in years; a group is an age that is not known well
    birth_date: PartialDate | None = None
    taken_at: PartialDate | None = None
    values: Mapping[str, str] = field(default_factory=dict)  # by attribute
    votes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by attribute: how many people said what
    metadata: Mapping[str, str] = field(default_factory=dict)
    cropped: bool = False  # the picture is an aligned face without surroundings

    def __post_init__(self) -> None:
        for name, value in self.values.items():
            ATTRIBUTES[name].index(value)


@dataclass(frozen=True)
class Unread:
    """A line or file of the set that is not taken, and why."""

    file: str
    reason: str


def require_folder(folder: Path, *parts: str, what: str) -> Path:
    """A file or folder that the layout has. Raises BadDataset."""
    path = folder.joinpath(*parts)
    if not path.exists():
        raise BadDataset(f"{folder} is no {what}: there is no {'/'.join(parts)} in it. Give the folder that holds it.")
    return path


def pictures(folder: Path) -> Iterator[str]:
    """The pictures below a folder, in order, as paths relative to it."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in PICTURES and path.is_file():
            yield path.relative_to(folder).as_posix()


def rows(path: Path, columns: Iterable[str], *, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """The rows of a table with these columns at least. Raises BadDataset."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, delimiter=delimiter)
            missing = [name for name in columns if name not in (table.fieldnames or [])]
            if missing:
                have = ", ".join(table.fieldnames or []) or "none"
                raise BadDataset(f"{path} has no column {missing[0]!r}; its columns are: {have}.")
            for row in table:
                yield {name: value or "" for name, value in row.items() if name is not None}
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadDataset(f"{path} is no table in UTF-8: {error}. Save it as CSV in UTF-8.") from error
