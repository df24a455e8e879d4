"""What a backup is: a folder, or the same as one tar.

    backup.json           what is in it, the migrations it stands at, checksums; written last: what has it is whole
    rows-<id>/            each table as Parquet, in the order of its key, some ten thousand rows a part
    rows-<id>/files       which file of the site has which content: Parquet of place, key, SHA-256, size
    content/ab/<SHA-256>  the files themselves, each content once; of two backups in one folder what both have
    secret_key            only if that was asked for

Whatever database it was made on, it holds the same: whole numbers, floats, truths, text, dates, times in UTC, bytes; a
UUID as text and JSON as the text that it is.
"""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

FORMAT = 1
DESCRIPTION, SECRET, CONTENT, ROWS = "backup.json", "secret_key", "content", "rows-"
PLACES, MODEL = ("files", "releases", "models", "uploads"), re.compile(r"model [0-9]{1,18}")
PIECE = 1 << 20
KINDS: Mapping[str, pa.DataType] = {
    "whole": pa.int64(),
    "float": pa.float64(),
    "truth": pa.bool_(),
    "text": pa.string(),
    "json": pa.string(),
    "uuid": pa.string(),
    "date": pa.date32(),
    "time": pa.timestamp("us", tz="UTC"),
    "bytes": pa.binary(),
}
FILES = pa.schema(
    [
        ("place", pa.string()),
        ("key", pa.string()),
        ("sha256", pa.string()),
        ("size", pa.int64()),
        ("changed", pa.int64()),
    ]
)


class BadBackup(Exception):
    """What is no whole backup, or cannot be restored here; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class Part:
    """A file of the backup with rows in it."""

    file: str
    sha256: str
    size: int
    rows: int


@dataclass(frozen=True)
class Table:
    name: str
    app: str
    columns: Sequence[tuple[str, str]]  # name and kind
    rows: int
    parts: Sequence[Part]
    counter: int | None = None  # the last id that was given out, be its row still there or not

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, KINDS[kind]) for name, kind in self.columns])


@dataclass(frozen=True)
class Description:
    """What backup.json says."""

    made_at: str
    database: str  # where it came from; it goes to any
    migrations: Mapping[str, Sequence[str]]  # that were applied, by app
    tables: Sequence[Table]
    files: Sequence[Part]  # the list of the site's files
    count: int  # of those files
    size: int  # bytes of them all
    missing: Sequence[str]  # files that rows name and that were not there; the first hundred
    missing_count: int
    places: Mapping[str, str]  # folders that the files came from, by the name of the place
    key: str  # tells one signing key from another, and nothing of it
    has_key: bool
    audit: Mapping[str, Any]  # number and hash of the last sealed line
    format: int = FORMAT

    @property
    def id(self) -> str:
        return hashlib.sha256(as_json(asdict(self)).encode()).hexdigest()

    @property
    def folders(self) -> set[str]:
        """Those that its Parquet lies in. A site without files has no list of them, and rows all the same."""
        parts = chain(self.files, *(table.parts for table in self.tables))
        return {part.file.partition("/")[0] for part in parts}

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


def as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def content_name(sha256: str) -> str:
    return f"{CONTENT}/{sha256[:2]}/{sha256}"


def measured(file: IO[bytes]) -> tuple[str, int]:
    """SHA-256 and size of an open file, which is at its beginning afterwards."""
    sha256, size = hashlib.sha256(), 0
    while piece := file.read(PIECE):
        sha256.update(piece)
        size += len(piece)
    file.seek(0)
    return sha256.hexdigest(), size


# ---- where it is written


class Target(Protocol):
    def has(self, name: str, size: int) -> bool: ...

    def add(self, name: str, file: IO[bytes], size: int) -> None: ...

    def finish(self, described: Description, contents: Callable[[str], bool]) -> None:
        """The last step: only now it is a backup. `contents` tells which contents it still refers to."""

    def give_up(self) -> None: ...


class Folder:
    """What is there already is not written again; a backup that it held before stays whole until the last step."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path

    def has(self, name: str, size: int) -> bool:
        path = self.path / name
        return path.is_file() and path.stat().st_size == size

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        path = self.path / name
        if name.startswith(f"{CONTENT}/") and self.has(name, size):
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as copy:
            shutil.copyfileobj(file, copy, PIECE)
        part.replace(path)

    def finish(self, described: Description, contents: Callable[[str], bool]) -> None:
        os.sync()
        part = self.path / f".{DESCRIPTION}.part"
        part.write_text(as_json({"id": described.id} | asdict(described)), encoding="utf-8")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(self.path / DESCRIPTION)
        if not described.has_key:
            (self.path / SECRET).unlink(missing_ok=True)
        self._drop_what_is_of_no_use(described, contents)

    def _drop_what_is_of_no_use(self, described: Description, contents: Callable[[str], bool]) -> None:
        """Earlier rows, and contents that nothing refers to any more: who was erased since is gone from here, too."""
        used = described.folders
        for folder in self.path.glob(f"{ROWS}*"):
            if folder.name not in used:
                shutil.rmtree(folder)
        for path in (self.path / CONTENT).glob("*/*"):
            if not contents(path.name):
                path.unlink()

    def give_up(self) -> None:
        """What was begun is dropped, the backup before it, if there is one, stays."""
        used = set[str]()
        if (self.path / DESCRIPTION).exists():
            used = described_in(self.path / DESCRIPTION).folders
        for folder in self.path.glob(f"{ROWS}*"):
            if folder.name not in used:
                shutil.rmtree(folder, ignore_errors=True)


class Tar:
    """One file, written from one end to the other, and named only when it is whole."""

    def __init__(self, path: Path) -> None:
        if path.exists():
            raise BadBackup(f"{path} exists. Name another file, or remove it first.")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path, self._part = path, path.with_name(f".{path.name}.part")
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
        self._tar = tarfile.open(fileobj=self._file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115

    def has(self, name: str, size: int) -> bool:
        return False

    def add(self, name: str, file: IO[bytes], size: int) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        self._tar.addfile(entry, file)
        self._tar.members = []  # type: ignore[attr-defined]  # it would keep every header in memory

    def finish(self, described: Description, contents: Callable[[str], bool]) -> None:
        said = as_json({"id": described.id} | asdict(described)).encode()
        entry = tarfile.TarInfo(DESCRIPTION)
        entry.size, entry.mode = len(said), 0o600
        self._tar.addfile(entry, io.BytesIO(said))
        self._tar.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.path)

    def give_up(self) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)


# ---- reading


def described_in(path: Path) -> Description:
    """What a backup.json says. Raises BadBackup."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadBackup(f"{path.parent} is no whole backup: its {path.name} cannot be read ({error}).") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        told = content.get("format") if isinstance(content, dict) else content
        raise BadBackup(
            f"{path} is of format {told!r}; this version reads format {FORMAT}. Use the version that made it."
        )
    stated = content.pop("id", None)
    if stated != hashlib.sha256(as_json(content).encode()).hexdigest():
        raise BadBackup(f"{path} was changed: its id is not the SHA-256 of what it says. Use another backup.")
    try:
        tables = [
            Table(**{**table, "columns": [(n, k) for n, k in table["columns"]], "parts": _parts(table["parts"])})
            for table in content.pop("tables")
        ]
        return Description(**{**content, "tables": tables, "files": _parts(content["files"])})
    except (TypeError, KeyError, ValueError) as error:
        raise BadBackup(f"{path} does not say what it must ({error}). Use another backup.") from error


def _parts(said: Sequence[Mapping[str, Any]]) -> list[Part]:
    return [Part(**part) for part in said]


@dataclass(frozen=True)
class Backup:
    """A backup that lies in a folder."""

    folder: Path
    description: Description

    def path(self, name: str) -> Path:
        return self.folder / name

    def batches(self, parts: Sequence[Part]) -> Iterator[pa.RecordBatch]:
        for part in parts:
            with pq.ParquetFile(self.path(part.file)) as file:
                yield from file.iter_batches(batch_size=2_000)

    def files(self) -> Iterator[tuple[str, str, str, int]]:
        """(place, key, SHA-256, size) of each file of the site."""
        for batch in self.batches(self.description.files):
            columns = [batch[name].to_pylist() for name in ("place", "key", "sha256", "size")]
            yield from zip(*columns, strict=True)

    def check(self) -> None:
        """Hash all of it. Raises BadBackup for the first file that is not what was backed up.

        An id is no signature: whoever can change a backup can make it fit. What it names is looked at, too.
        """
        for table in self.description.tables:
            for name in (table.name, *(name for name, _kind in table.columns)):
                if not (name.isascii() and name.isidentifier()):  # it becomes part of a query
                    raise BadBackup(f"The backup names a table or column {name!r}. It was tampered with.")
        for part in (*self.description.files, *(part for table in self.description.tables for part in table.parts)):
            if not (part.file.startswith(ROWS) and all(map(_is_plain, part.file.split("/")))):
                raise BadBackup(f"The backup names a file {part.file!r}, which no backup has. It was tampered with.")
            self._require(part.file, part.sha256, part.size)
        for place, key, sha256, size in self.files():
            if key.startswith("/") or "\0" in key or ".." in Path(key).parts or not Path(key).name:
                raise BadBackup(f"The backup has a file {key!r}, which leads out of its place. It was tampered with.")
            if place not in PLACES and not MODEL.fullmatch(place):
                raise BadBackup(f"The backup has a file for {place!r}, a place that no site has. It was tampered with.")
            self._require(content_name(sha256), sha256, size)

    def _require(self, name: str, sha256: str, size: int) -> None:
        path = self.path(name)
        try:
            with path.open("rb") as file:
                found = measured(file)
        except OSError as error:
            raise BadBackup(f"{path} cannot be read: {error.strerror}. Use another backup.") from error
        if found != (sha256, size):
            raise BadBackup(f"{path} is damaged: its SHA-256 is not {sha256}. Use another backup.")


def open_backup(folder: Path) -> Backup:
    """Raises BadBackup."""
    if not (folder / DESCRIPTION).is_file():
        raise BadBackup(f"{folder} has no {DESCRIPTION}: it is no backup, or one that was broken off. Use another one.")
    return Backup(folder, described_in(folder / DESCRIPTION))


def unpack(path: Path, folder: Path) -> None:
    """A tar into a folder. Only what a backup has is taken out of it. Raises BadBackup."""
    try:
        with tarfile.open(path, "r|") as tar:
            for entry in tar:
                parts = entry.name.split("/")
                known = entry.name in (DESCRIPTION, SECRET) or parts[0] == CONTENT or parts[0].startswith(ROWS)
                if not entry.isreg() or not known or len(parts) > 3 or not all(_is_plain(part) for part in parts):
                    raise BadBackup(f"{path} has {entry.name!r} in it, which no backup has. It was tampered with.")
                to = folder / entry.name
                to.parent.mkdir(parents=True, exist_ok=True)
                content = tar.extractfile(entry)
                assert content is not None
                with to.open("wb") as file:
                    shutil.copyfileobj(content, file, PIECE)
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header in memory
    except (tarfile.TarError, EOFError) as error:
        raise BadBackup(
            f"{path} is no whole backup: {error}. It was broken off, or damaged. Use another one."
        ) from error


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and all(sign.isalnum() or sign in "._-" for sign in part)
