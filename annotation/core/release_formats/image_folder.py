"""A folder of pictures, a part each, with a `metadata.jsonl` beside them, as Hugging Face's "imagefolder" reads it.

By an attribute, the pictures lie in a folder for each of its values: torchvision's ImageFolder. It takes every folder
of a part for a class, so faces without that attribute lie beside the parts, in `unlabelled/train` and so on.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from annotation.core.release import FaceRow, Release
from annotation.core.release_formats.entry import (
    BadExport,
    Entry,
    as_line,
    described,
    inside,
    labels,
    of_bytes,
    picture_name,
    row_from,
)
from annotation.core.splits import SPLITS
from inference.core.attributes import attribute

METADATA = "metadata.jsonl"
UNLABELLED = "unlabelled"
FOLDERS = (*SPLITS, *(f"{UNLABELLED}/{split}" for split in SPLITS))


def entries(release: Release, by: str = "") -> Iterator[Entry]:
    """With `by`, an attribute, a folder for each of its values. Raises UnknownAttribute."""
    if by:
        attribute(by)
    folders = {_folder(row, by) for row in _read(release, by)}
    for folder in FOLDERS:
        if folder in folders:
            yield Entry(f"{folder}/{METADATA}", partial(_lines, release, folder, by))
    for face in release.faces():
        row = face.columns()
        yield of_bytes(f"{_folder(row, by)}/{_name(row, by)}", face.image)


def _read(release: Release, by: str) -> Iterator[dict[str, Any]]:
    for batch in release.rows(["split", *([by] if by else [])]):
        yield from batch.to_pylist()


def _lines(release: Release, folder: str, by: str) -> Iterator[bytes]:
    for row in labels(release, folder.removeprefix(UNLABELLED + "/")):
        if _folder(row, by) == folder:
            yield as_line({"file_name": _name(row, by)} | described(row))


def _folder(row: dict[str, Any], by: str) -> str:
    return f"{UNLABELLED}/{row['split']}" if by and row[by] is None else row["split"]


def _name(row: dict[str, Any], by: str) -> str:
    name = f"{picture_name(row['face'])}.jpg"
    value = row[by] if by else None
    if value is None:
        return name
    return f"{value if isinstance(value, str) else f'{int(value):03d}'}/{name}"


def read(folder: Path) -> Iterator[FaceRow]:
    """Raises BadExport."""
    found = [path for name in FOLDERS if (path := folder / name / METADATA).is_file()]
    if not found:
        raise BadExport(f"{folder} has no {SPLITS[0]}/{METADATA} or the like. Give the folder of the export.")
    for path in found:
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                try:
                    told = json.loads(line)
                    picture = inside(path.parent, told["file_name"])
                except (json.JSONDecodeError, KeyError, TypeError) as error:
                    raise BadExport(f"{path} has a line that cannot be read: {error}.") from error
                yield row_from(told, picture.read_bytes())
