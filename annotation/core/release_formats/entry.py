"""An export is a sequence of files that is made while it is sent: into a folder, or as one tar over the network."""

import json
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from annotation.core.release import FaceRow, Release, row_of

CHUNK = 1_000_000  # bytes
BLOCK = 512  # of a tar


class BadExport(ValueError):
    """An exported folder or file that cannot be read back; the message says which and why."""


@dataclass(frozen=True)
class Entry:
    """A file of an export. Its content is made anew each time it is asked for: a tar must know its size beforehand."""

    name: str  # relative, with slashes; made of ids and known words only, never of what a scraper brought
    content: Callable[[], Iterable[bytes]]


def of_bytes(name: str, content: bytes) -> Entry:
    return Entry(name, lambda: [content])


def picture_name(face: int) -> str:
    return f"{face:012d}"


def described(columns: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON holds it: all but the picture. Landmarks as short as they can be told."""
    told = {name: value for name, value in columns.items() if name != "image"}
    told["landmarks"] = short(columns["landmarks"])
    return told


def short(landmarks: Iterable[float]) -> list[float]:
    """The shortest decimals that are the same 32-bit numbers."""
    return [float(str(np.float32(each))) for each in landmarks]


def as_line(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, ensure_ascii=False) + "\n").encode()


def labels(release: Release, split: str | None = None) -> Iterator[dict[str, Any]]:
    """Rows without their pictures, which are not even read."""
    names = [name for name in release.columns if name != "image"]
    for batch in release.rows(names, split, at_once=500):
        yield from batch.to_pylist()


def row_from(told: Mapping[str, Any], image: bytes) -> FaceRow:
    """The row that `described` told. Raises BadExport."""
    try:
        return row_of({**told, "image": image})
    except (KeyError, TypeError, ValueError) as error:
        raise BadExport(f"A row of the export is not complete: {error}.") from error


def inside(folder: Path, name: str) -> Path:
    """A file that an export names, which must lie in its folder. Raises BadExport."""
    path = folder / name
    if not name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        raise BadExport(f"{folder} has no file {name!r}. Export the release again.")
    return path


def write_folder(entries: Iterable[Entry], folder: Path) -> int:
    """Write the files; returns how many. Raises FileExistsError for a folder that holds something."""
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty. Name another folder, so that nothing of it is mixed up.")
    count = 0
    for entry in entries:
        path = folder / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.writelines(entry.content())
        count += 1
    return count


def tar_stream(entries: Iterable[Entry]) -> Iterator[bytes]:
    """The same files as one tar, piece by piece. Equal releases give equal bytes."""
    for entry in entries:
        head = tarfile.TarInfo(entry.name)
        head.size = sum(map(len, entry.content()))
        yield head.tobuf(tarfile.PAX_FORMAT)
        yield from entry.content()
        yield b"\0" * (-head.size % BLOCK)
    yield b"\0" * (2 * BLOCK)
