"""A manifest in, its rows out: CSV, JSONL or Parquet, one row a file or address, in constant memory."""

import csv
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.core.ages import real_age
from annotation.core.dates import PartialDate, parse_date
from annotation.core.folders import storable
from annotation.core.refusals import Refusal

PLACES = ("file", "path", "url")  # one of these says where the picture is
TEXTS = ("query", "source_url", "licence", "name", "caption")
DATES = ("taken_at", "birth_date")
LONGEST = 100_000  # characters of one value
LENGTHS = {"query": 300, "licence": 200, "name": 300}  # what the columns hold
BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}


class BadManifest(Exception):
    """The manifest as a whole cannot be read; the message says where and how to mend it."""


@dataclass(frozen=True)
class Row:
    """What a manifest says of one picture."""

    line: int
    place: str  # relative path, or http(s) address
    texts: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, PartialDate] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)  # every other column

    @property
    def is_address(self) -> bool:
        return self.place.lower().startswith(("http://", "https://"))


class FirstRows:
    """What the first row of each name said, in a temporary file: a million rows take no memory."""

    def __init__(self) -> None:
        self._rows = sqlite3.connect("")  # an empty name is a database that is on disk and gone when it is closed
        self._rows.execute("CREATE TABLE rows (place BLOB PRIMARY KEY, said BLOB) WITHOUT ROWID")

    def contradicts(self, row: Row) -> bool:
        """Whether an earlier row names the same file or address and says something else of it."""
        place, said = digest(row.place), digest(repr((row.texts, row.dates, row.metadata)))
        self._rows.execute("INSERT OR IGNORE INTO rows VALUES (?, ?)", (place, said))
        (first,) = self._rows.execute("SELECT said FROM rows WHERE place = ?", (place,)).fetchone()
        return bool(first != said)


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "backslashreplace"), digest_size=12).digest()


def read(path: Path) -> Iterator[Row | Refusal]:
    """Every row, or the reason why not. Raises BadManifest at once for a file that is no manifest."""
    if path.suffix.lower() in (".parquet", ".pq"):
        return _rows(path, _parquet(path))
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _rows(path, _jsonl(path))
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return _rows(path, _csv(path))
    raise BadManifest(f"{path.name} is no manifest: its name must end in .csv, .tsv, .jsonl or .parquet.")


def resolve(root: Path, place: str) -> Path:
    """The file of a row, below the root. Raises ValueError for one that is not."""
    found = (root / place).resolve()
    if not found.is_relative_to(root.resolve()):
        raise ValueError(f"{place!r} leads out of {root}. Put the file below it, or name another root.")
    return found


Values = Mapping[str, Any]


def _rows(path: Path, lines: Iterator[tuple[int, Values | str]]) -> Iterator[Row | Refusal]:
    for line, values in lines:
        name = f"{path.name}:{line}"
        if isinstance(values, str):
            yield Refusal(name, "bad_row", f"Line {line}: {values}")
            continue
        try:
            yield _row(line, values)
        except (ValueError, RecursionError) as error:  # the latter: brackets without end
            place = next((str(values[key]) for key in PLACES if values.get(key)), name)
            yield Refusal(storable(place), "bad_row", f"Line {line}: {error}")


def _row(line: int, values: Values) -> Row:
    """Raises ValueError with what is wrong."""
    # NaN is how tables of numbers say that there is nothing.
    known = {key: value for key, value in values.items() if value is not None and value != "" and value == value}
    for key, value in known.items():
        if isinstance(value, str) and len(value) > LENGTHS.get(key, LONGEST):
            raise ValueError(f"{key} has {len(value)} characters; at most {LENGTHS.get(key, LONGEST)} are kept.")
    for key, value in known.items():
        for text in _texts({key: value}):
            if "\0" in text:
                raise ValueError(f"{storable(key)} holds a NUL character. Remove it.")
            if storable(text) != text:
                raise ValueError(f"{storable(key)} holds half a character. Write whole ones.")
    place = next((str(known[key]).strip() for key in PLACES if known.get(key)), "")
    if not place:
        raise ValueError(f"it names no picture: {', '.join(PLACES)} are all empty.")
    dates = {key: parse_date(key, known[key]) for key in DATES if key in known}
    taken, born = dates.get("taken_at"), dates.get("birth_date")
    if taken and born:
        real_age(born, taken)
    texts = {key: str(known[key]) for key in TEXTS if key in known}
    rest = {key: _plain(value) for key, value in known.items() if key not in (*PLACES, *TEXTS, *DATES)}
    try:
        json.dumps(rest, allow_nan=False)
    except ValueError as error:
        raise ValueError("it has a number that is not finite, within a value. Leave it out.") from error
    return Row(line, place, texts, dates, rest)


def _texts(value: Any) -> Iterator[str]:
    """All text in a value, however deep, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _texts(each)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(str(name))
            yield from _texts(each)


def _plain(value: Any) -> Any:
    """A value that JSON holds."""
    if isinstance(value, (str, int, float, bool, list, dict)):
        return value
    return value.isoformat() if isinstance(value, (date, datetime)) else str(value)


def _require_columns(path: Path, columns: list[str]) -> None:
    if any(place in columns for place in PLACES):
        return
    close = [near for column in columns for near in get_close_matches(column.lower(), PLACES, 1)]
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise BadManifest(
        f"{path.name} has no column {', '.join(map(repr, PLACES[:-1]))} or {PLACES[-1]!r}, so it names no picture. "
        f"Its columns are: {', '.join(columns) or 'none'}.{hint}"
    )


# ---- one reader a format: (line, values), or (line, what is wrong with it)


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    return next((name for bom, name in BOMS.items() if start.startswith(bom)), "utf-8")


def _not_text(path: Path, encoding: str, error: UnicodeError) -> BadManifest:
    where = f"byte {error.object[error.start]:#04x}" if isinstance(error, UnicodeDecodeError) else "a byte"
    return BadManifest(
        f"{path.name} is not {encoding.upper()} text ({where}). "
        f"Convert it first: iconv -f WINDOWS-1252 -t UTF-8 {path.name} > converted{path.suffix}"
    )


def _csv(path: Path) -> Iterator[tuple[int, Values | str]]:
    encoding = _encoding(path)
    csv.field_size_limit(10 * LONGEST)
    try:
        with path.open(encoding=encoding, newline="") as file:
            lines = csv.reader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",", strict=True)
            header = [column.strip() for column in next(lines, [])]
            _require_columns(path, header)
            if len(set(header)) < len(header):
                raise BadManifest(f"{path.name} names a column twice: {', '.join(header)}. Rename one.")
            yield from _csv_rows(lines, header)
    except UnicodeError as error:
        raise _not_text(path, encoding, error) from error


def _csv_rows(lines: Any, header: list[str]) -> Iterator[tuple[int, Values | str]]:
    while True:
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            yield lines.line_num, f"it is no CSV ({error}). Quote the value, or remove the stray quote."
            continue
        if not any(cells):
            continue
        if len(cells) != len(header):
            yield (
                lines.line_num,
                f"it has {len(cells)} values for {len(header)} columns. Quote values that hold a comma.",
            )
        else:
            yield lines.line_num, dict(zip(header, cells, strict=True))


def _jsonl(path: Path) -> Iterator[tuple[int, Values | str]]:
    encoding = _encoding(path)
    named = False
    try:
        with path.open(encoding=encoding) as file:
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    values = json.loads(line)
                except (json.JSONDecodeError, RecursionError) as error:
                    yield number, f"it is no JSON ({error}). Write one object a line."
                    continue
                if not isinstance(values, dict):
                    yield number, f"it is a JSON {type(values).__name__}, not an object."
                    continue
                if not named:
                    _require_columns(path, list(values))
                    named = True
                yield number, values
    except UnicodeError as error:
        raise _not_text(path, encoding, error) from error


def _parquet(path: Path) -> Iterator[tuple[int, Values | str]]:
    try:
        table = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise BadManifest(f"{path.name} is no Parquet file that can be read ({error}). Write it anew.") from error
    with table:
        _require_columns(path, table.schema_arrow.names)
        line = 0
        for batch in table.iter_batches(batch_size=1_000):
            for values in batch.to_pylist():
                line += 1
                yield line, values
