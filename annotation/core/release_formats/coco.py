"""COCO: a JSON a part with boxes and 68 key points, as cocodataset.org lays them out, and the pictures beside it.

The pictures are the release's crops, so boxes and points are in their pixels; a box is that of its points. All that a
release says besides is in each annotation's `attributes`. An image or annotation a line: read line by line, too.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from annotation.core.release import FaceRow, Release
from annotation.core.release_formats.entry import (
    BadExport,
    Entry,
    described,
    inside,
    labels,
    of_bytes,
    picture_name,
    row_from,
)
from annotation.core.splits import SPLITS

CATEGORY = {
    "id": 1,
    "name": "face",
    "supercategory": "person",
    "keypoints": [f"{n}" for n in range(68)],
    "skeleton": [],
}


def entries(release: Release) -> Iterator[Entry]:
    for split in SPLITS:
        if release.counts["splits"][split]:
            yield Entry(f"annotations/{split}.json", partial(_document, release, split))
    for batch in release.rows(["face", "split", "image"]):
        for row in batch.to_pylist():
            yield of_bytes(f"images/{row['split']}/{picture_name(row['face'])}.jpg", row["image"])


def _document(release: Release, split: str) -> Iterator[bytes]:
    said = release.description
    rights = {(each["source"], each["licence"], each["legal_basis"]): n for n, each in enumerate(said.rights, start=1)}
    info = {"description": said.name, "version": release.id, "date_created": said.created}
    licences = [{"id": n, "name": licence, "url": ""} for (_, licence, _), n in rights.items()]
    yield f'{{"info": {json.dumps(info)},\n"licenses": {json.dumps(licences)},\n'.encode()
    yield f'"categories": {json.dumps([CATEGORY])},\n"images": [\n'.encode()
    yield from _joined(_image(row, said.side, rights) for row in labels(release, split))
    yield b'],\n"annotations": [\n'
    yield from _joined(_annotation(row) for row in labels(release, split))
    yield b"]}\n"


def _joined(items: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    """An item a line, with commas between."""
    before = ""
    for item in items:
        yield f"{before}{json.dumps(item)}".encode()
        before = ",\n"
    yield b"\n"


def _image(row: dict[str, Any], side: int, rights: dict[tuple[str, str, str], int]) -> dict[str, Any]:
    return {
        "id": row["face"],
        "file_name": f"{row['split']}/{picture_name(row['face'])}.jpg",
        "width": side,
        "height": side,
        "license": rights[row["source"], row["licence"], row["legal_basis"]],
        "coco_url": row["source_url"],
    }


def _annotation(row: dict[str, Any]) -> dict[str, Any]:
    told = described(row)
    points = np.asarray(told.pop("landmarks")).reshape(68, 2)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return {
        "id": row["face"],
        "image_id": row["face"],
        "category_id": CATEGORY["id"],
        "iscrowd": 0,
        "bbox": [round(float(each), 2) for each in (left, top, right - left, bottom - top)],
        "area": round(float((right - left) * (bottom - top)), 2),
        "num_keypoints": 68,
        "keypoints": [part for x, y in points.tolist() for part in (x, y, 2)],
        "attributes": told,
    }


def read(folder: Path) -> Iterator[FaceRow]:
    """What `entries` wrote, line by line. Raises BadExport."""
    found = [path for split in SPLITS if (path := folder / "annotations" / f"{split}.json").is_file()]
    if not found:
        raise BadExport(f"{folder} has no annotations/{SPLITS[0]}.json or the like. Give the folder of the export.")
    for path in found:
        try:
            for image, of in zip(_section(path, "images"), _section(path, "annotations"), strict=True):
                points = np.asarray(of["keypoints"], np.float64).reshape(68, 3)[:, :2]
                picture = inside(folder / "images", image["file_name"])
                yield row_from(of["attributes"] | {"landmarks": points.ravel().tolist()}, picture.read_bytes())
        except (KeyError, TypeError, ValueError) as error:
            raise BadExport(f"{path} cannot be read back: {error}.") from error


def _section(path: Path, name: str) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.endswith(f'"{name}": [\n'):
                break
        for line in lines:
            if line.startswith("]"):
                return
            if line.strip():
                yield json.loads(line.rstrip(",\n"))
