"""One CSV for spreadsheets and scripts, with the pictures beside it."""

import csv
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from annotation.core.release import SCHEMA, SINCE, FaceRow, Release
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
from annotation.core.tables import csv_lines

TABLE, PICTURES = "faces.csv", "images"
GUARD = "'"  # before what a spreadsheet would compute, and before itself, so that it can be taken away again


def entries(release: Release) -> Iterator[Entry]:
    yield Entry(TABLE, partial(_lines, release))
    for batch in release.rows(["face", "image"]):
        for face, image in zip(batch["face"].to_pylist(), batch["image"].to_pylist(), strict=True):
            yield of_bytes(_picture(face), image)


def _picture(face: int) -> str:
    return f"{PICTURES}/{picture_name(face)}.jpg"


def _lines(release: Release) -> Iterator[bytes]:
    header = release.columns
    rows = ([_written(value) for value in _cells(row, header)] for row in labels(release))
    for line in csv_lines(header, rows):
        yield line.encode()


def _cells(row: dict[str, Any], header: list[str]) -> Iterator[Any]:
    told = described(row) | {"image": _picture(row["face"])}
    return (told[name] for name in header)


def _written(value: Any) -> object:
    """Nothing is an empty cell; a text without a letter is the guard alone."""
    if value is None:
        return ""
    if isinstance(value, list):
        return json.dumps(value)
    if isinstance(value, str) and (not value or value.startswith(GUARD)):
        return GUARD + value
    return value


def read(folder: Path) -> Iterator[FaceRow]:
    """Raises BadExport."""
    path = inside(folder, TABLE)
    with path.open(encoding="utf-8", newline="") as file:
        try:
            for cells in csv.DictReader(file):
                told = _parsed(cells)
                yield row_from(told, inside(folder, told["image"]).read_bytes())
        except (csv.Error, KeyError, ValueError) as error:
            raise BadExport(f"{path} has a row that cannot be read: {error}.") from error


def _parsed(cells: Mapping[str, str]) -> dict[str, Any]:
    there = (column for column in SCHEMA if column.name in cells or column.name not in SINCE)
    return {column.name: _read(cells[column.name], column.type) for column in there}


def _read(cell: str, kind: pa.DataType) -> Any:
    if cell == "":
        return None
    if pa.types.is_list(kind):
        return json.loads(cell)
    if pa.types.is_floating(kind):
        return float(cell)
    if pa.types.is_integer(kind):
        return int(cell)
    if pa.types.is_boolean(kind):
        return cell == "True"
    return cell.removeprefix(GUARD)
