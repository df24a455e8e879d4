"""A folder of pictures, a part each, with a `metadata.jsonl` beside them, as Hugging Face's "imagefolder" reads it.

By an attribute, the pictures lie in a folder for each of its values: torchvision's ImageFolder.
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


def entries(release: Release, by: str = "") -> Iterator[Entry]:
    """With `by`, an attribute, a folder for each of its values. Raises UnknownAttribute."""
    if by:
        attribute(by)
    for split in SPLITS:
        if release.counts["splits"][split]:
            yield Entry(f"{split}/{METADATA}", partial(_lines, release, split, by))
    for face in release.faces():
        yield of_bytes(f"{face.split}/{_name(face.columns(), by)}", face.image)


def _lines(release: Release, split: str, by: str) -> Iterator[bytes]:
    for row in labels(release, split):
        yield as_line({"file_name": _name(row, by)} | described(row))


def _name(row: dict[str, Any], by: str) -> str:
    name = f"{picture_name(row['face'])}.jpg"
    if not by:
        return name
    value = row[by]
    told = UNLABELLED if value is None else value if isinstance(value, str) else f"{int(value):03d}"
    return f"{told}/{name}"


def read(folder: Path) -> Iterator[FaceRow]:
    """Raises BadExport."""
    found = [path for split in SPLITS if (path := folder / split / METADATA).is_file()]
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
