"""The site into a backup, while it runs: all rows as they were at one moment, and then every file that they name.

Files are written before their rows and erased after them, so what a row of that moment names is there when it is
copied, unless it was erased meanwhile; then the list of erasures, which is copied last, has it, and a restore erases
its rows, too.
"""

import io
import logging
import os
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import JSONField, Model, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.crypto import salted_hmac

from annotation import audit
from annotation.core.batches import batched
from annotation.models import Face, Intake, Photo, Release
from annotation.tombstones import list_path
from dager_site.backup_format import (
    DESCRIPTION,
    FILES,
    ROWS,
    SECRET,
    BadBackup,
    Description,
    Folder,
    Part,
    Table,
    Tar,
    Target,
    content_name,
    measured,
    open_backup,
)
from dager_site.command_line import behind
from inference.models import ModelVersion
from training.models import TrainingRun

log = logging.getLogger(__name__)

APPS = (
    "contenttypes",
    "auth",
    "admin",
    "annotation",
    "inference",
    "training",
)  # sessions end; who signs in has a new one
# What is of this moment and this machine only: who lives, who has something in hand.
LEFT_OUT = {"annotation.Worker", "annotation.Claim"}
AT_ONCE = 2_000  # rows in memory
PART = 50_000  # rows a file
KINDS = {
    "BooleanField": "truth", "FloatField": "float", "JSONField": "json", "UUIDField": "uuid", "DateField": "date",
    "DateTimeField": "time", "BinaryField": "bytes", "CharField": "text", "TextField": "text", "EmailField": "text",
}  # fmt: skip
TOLD_OF = 100  # missing files, by name

Tell = Callable[[str], object]


def back_up(where: Path, *, with_key: bool = False, tell: Tell = lambda _: None) -> Description:
    """Write a backup: into a folder, where a later one copies only what is new, or as one tar.

    Raises BadBackup; OSError, if the disk is full. What is there afterwards is a whole backup or none.
    """
    _require_migrated()
    target: Target = Tar(where) if where.suffix == ".tar" else Folder(where)
    try:
        with tempfile.TemporaryDirectory(prefix="dager-backup-") as scratch:
            described, listed = _written(target, Path(scratch), where, with_key, tell)
            target.finish(described, listed.refers_to)
            listed.close()
    except BaseException:
        target.give_up()
        raise
    audit.write(
        audit.Action.BACKUP,
        by=None,
        subject=f"backup {described.id[:16]}",
        details={"rows": described.rows, "files": described.count, "bytes": described.size, "key": described.has_key},
    )
    return described


def _written(target: Target, scratch: Path, where: Path, with_key: bool, tell: Tell) -> "tuple[Description, _Listed]":
    audit.seal()
    named = f"{ROWS}{uuid.uuid4().hex[:12]}"
    listed = _Listed(scratch)
    with snapshot():
        tables = [_table(model, target, scratch, named, tell) for model in models()]
        number, last = audit.head()
        for place, key in _named_files():
            listed.want(place, key)
    tell(f"{sum(table.rows for table in tables):,} rows of {len(tables)} tables")
    files = list(_copied(target, scratch, named, listed, _Before(where), tell))
    if with_key:
        target.add(SECRET, io.BytesIO(settings.SECRET_KEY.encode()), len(settings.SECRET_KEY.encode()))
    return Description(
        made_at=timezone.now().isoformat(timespec="seconds"),
        database=connection.vendor,
        migrations=_migrations(),
        tables=tables,
        files=files,
        count=listed.count,
        size=listed.size,
        missing=listed.missing[:TOLD_OF],
        missing_count=len(listed.missing),
        places={name: str(path) for name, path in places().items()} | {"data": str(settings.DATA_DIR)},
        key=key_print(),
        has_key=with_key,
        audit={"number": number, "hash": last},
    ), listed


def key_print(key: str | None = None) -> str:
    """Two sites with one signing key have one print; without a key that of this site."""
    return salted_hmac("dager_site.backup", "which key", secret=key, algorithm="sha256").hexdigest()[:16]


def places() -> dict[str, Path]:
    """Where the files of the site are, by name."""
    return {
        "files": Path(settings.MEDIA_ROOT),
        "releases": Path(settings.RELEASES_DIR),
        "models": Path(settings.MODELS_DIR),
        "uploads": Path(settings.DATA_DIR) / "uploads",
    }


def models() -> list[type[Model]]:
    """The tables that are kept, those between two tables too."""
    found = (model for app in APPS for model in apps.get_app_config(app).get_models(include_auto_created=True))
    return [model for model in found if model._meta.label not in LEFT_OUT and not model._meta.proxy]


def _require_migrated() -> None:
    if behind():
        raise BadBackup("The database stands at older migrations than this version. Run `manage.py migrate` first.")


def _migrations() -> dict[str, list[str]]:
    applied: dict[str, list[str]] = {}
    for app, name in sorted(MigrationRecorder(connection).applied_migrations()):
        applied.setdefault(app, []).append(name)
    return applied


# ---- rows


@contextmanager
def snapshot() -> Iterator[None]:
    """All that is read within is as it was at one moment, and nobody who writes waits for it."""
    if connection.in_atomic_block:
        raise BadBackup("A backup cannot be made within a transaction.")
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    # Django would begin by taking the write lock (transaction_mode), as suits whoever writes.
    with connection.cursor() as cursor:
        cursor.execute("BEGIN DEFERRED")
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def kind_of(field: Any) -> str:
    while field.is_relation:
        field = field.target_field
    name = field.get_internal_type()
    return KINDS.get(name) or ("whole" if "Integer" in name or "Auto" in name else "")


def _table(model: type[Model], target: Target, scratch: Path, named: str, tell: Tell) -> Table:
    columns = [(str(field.column), kind_of(field)) for field in model._meta.concrete_fields]
    if unknown := [name for name, kind in columns if not kind]:
        raise BadBackup(f"{model._meta.label} has columns of a kind that no backup holds: {', '.join(unknown)}.")
    table = Table(model._meta.db_table, model._meta.app_label, columns, 0, [], _counter(model))
    parts = list(_parts(_batches(model, table), target, scratch, f"{named}/{table.name}", table.schema))
    if parts:
        tell(f"{table.name}: {sum(part.rows for part in parts):,} rows")
    return replace(table, parts=parts, rows=sum(part.rows for part in parts))


def _batches(model: type[Model], table: Table) -> Iterator[pa.Table]:
    """JSON comes as the text that it is: it need not be read to be written."""
    texts = {
        f"text_of_{f.attname}": Cast(f.name, TextField())
        for f in model._meta.concrete_fields
        if isinstance(f, JSONField)
    }
    names = [f"text_of_{f.attname}" if isinstance(f, JSONField) else f.attname for f in model._meta.concrete_fields]
    rows = QuerySet(model).annotate(**texts).order_by("pk").values_list(*names)
    for some in batched(rows.iterator(chunk_size=AT_ONCE), AT_ONCE):
        arrays = [
            pa.array([_plain(value, kind) for value in column], table.schema.field(name).type)
            for (name, kind), column in zip(table.columns, zip(*some, strict=True), strict=True)
        ]
        yield pa.Table.from_arrays(arrays, schema=table.schema)


def _plain(value: Any, kind: str) -> Any:
    if value is None or kind not in ("bytes", "uuid"):
        return value
    return bytes(value) if kind == "bytes" else str(value)


def _parts(tables: Iterator[pa.Table], target: Target, scratch: Path, name: str, schema: pa.Schema) -> Iterator[Part]:
    piece, number = next(tables, None), 0
    while piece is not None:
        path, rows = scratch / "part", 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            while piece is not None and rows < PART:
                writer.write_table(piece)
                rows += len(piece)
                piece = next(tables, None)
        with path.open("rb") as file:
            sha256, size = measured(file)
            target.add(f"{name}.{number:05d}.parquet", file, size)
        yield Part(f"{name}.{number:05d}.parquet", sha256, size, rows)
        number += 1


def _counter(model: type[Model]) -> int | None:
    """The last id that was given out: no later row may get that of one which is gone, as others may still name it."""
    key = model._meta.pk
    if key is None or "Auto" not in key.get_internal_type():
        return None
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_get_serial_sequence(%s, %s)", [f'"{model._meta.db_table}"', key.column])
            cursor.execute(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {cursor.fetchone()[0]}")
        else:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
        found = cursor.fetchone()
    return int(found[0]) if found else 0


# ---- files


def _named_files() -> Iterator[tuple[str, str]]:
    """(place, key) of each file that rows name; what can be made again from them is not among them."""
    for sha256, format_ in Photo.objects.order_by().values_list("sha256", "format").iterator(chunk_size=AT_ONCE):
        yield "files", Photo(sha256=sha256, format=format_).key
    for sha256, number in Face.objects.order_by().values_list("photo__sha256", "number").iterator(chunk_size=AT_ONCE):
        yield "files", Face(photo=Photo(sha256=sha256), number=number).crop_key
    for release in Release.objects.filter(state=Release.State.DONE):
        yield from _all_below("releases", release.folder)
    for version in ModelVersion.objects.exclude(folder=""):
        folder, home = Path(version.folder), Path(settings.MODELS_DIR)
        if folder.is_relative_to(home):
            yield from _all_below("models", str(folder.relative_to(home)))
        else:  # brought by somebody, who keeps it elsewhere
            yield from ((f"model {version.pk}", str(each.relative_to(folder))) for each in _files(folder))
    resting = (TrainingRun.State.STOPPED, TrainingRun.State.FAILED)  # they can go on from where they were
    for run in TrainingRun.objects.filter(state__in=resting):
        yield from _all_below("models", f"runs/{run.pk}")
    unfinished = Intake.objects.filter(state__in=[Intake.State.WAITING, Intake.State.RUNNING])
    for path in unfinished.values_list("path", flat=True):
        if Path(path).is_relative_to(places()["uploads"]):
            yield "uploads", str(Path(path).relative_to(places()["uploads"]))


def _all_below(place: str, folder: str) -> Iterator[tuple[str, str]]:
    for path in _files(places()[place] / folder):
        yield place, str(path.relative_to(places()[place]))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


class _Listed:
    """Which files are wanted, in a file of its own: a million of them take no memory."""

    def __init__(self, scratch: Path) -> None:
        self._rows = sqlite3.connect(scratch / "wanted.sqlite3", isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=OFF")
        self._rows.execute("PRAGMA synchronous=OFF")
        self._rows.execute("CREATE TABLE wanted (place TEXT, key TEXT, PRIMARY KEY (place, key)) WITHOUT ROWID")
        self._rows.execute("CREATE TABLE contents (sha256 TEXT PRIMARY KEY) WITHOUT ROWID")
        self._rows.execute("BEGIN")
        self.count = self.size = 0
        self.missing: list[str] = []

    def want(self, place: str, key: str) -> None:
        self._rows.execute("INSERT OR IGNORE INTO wanted VALUES (?, ?)", (place, key))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._rows.execute("SELECT place, key FROM wanted ORDER BY place, key"))

    def copied(self, sha256: str, size: int) -> None:
        self._rows.execute("INSERT OR IGNORE INTO contents VALUES (?)", (sha256,))
        self.count, self.size = self.count + 1, self.size + size

    def refers_to(self, sha256: str) -> bool:
        return self._rows.execute("SELECT 1 FROM contents WHERE sha256 = ?", (sha256,)).fetchone() is not None

    def close(self) -> None:
        self._rows.close()


class _Before:
    """The list of the backup that the folder holds already: what has not changed since need not be read."""

    def __init__(self, where: Path) -> None:
        self._rows = sqlite3.connect("")
        self._rows.execute(
            "CREATE TABLE known (place TEXT, key TEXT, sha256 TEXT, size INT, changed INT, PRIMARY KEY (place, key))"
        )
        try:
            backup = open_backup(where) if (where / DESCRIPTION).exists() else None
            for batch in backup.batches(backup.description.files) if backup else ():
                columns = [batch[name].to_pylist() for name in FILES.names]
                self._rows.executemany("INSERT INTO known VALUES (?, ?, ?, ?, ?)", zip(*columns, strict=True))
        except (BadBackup, OSError, pa.ArrowException) as error:
            log.warning("The backup in %s cannot be used to save time: %s", where, error)

    def sha256(self, place: str, key: str, status: os.stat_result) -> str | None:
        row = self._rows.execute(
            "SELECT sha256, size, changed FROM known WHERE place = ? AND key = ?", (place, key)
        ).fetchone()
        return row[0] if row and row[1:] == (status.st_size, status.st_mtime_ns) else None


def _copied(target: Target, scratch: Path, named: str, listed: _Listed, before: _Before, tell: Tell) -> Iterator[Part]:
    """Copy the files; the parts of the list of them."""

    def rows() -> Iterator[tuple[str, str, str, int, int]]:
        last = ("files", list_path().name)
        for place, key in chain(listed, [last]):
            if (found := _copy(target, place, key, before)) is None:
                listed.missing += [] if (place, key) == last else [f"{place}/{key}"]
                continue
            listed.copied(*found[:2])
            if listed.count % 10_000 == 0:
                tell(f"{listed.count:,} files")
            yield place, key, *found

    tables = (
        pa.Table.from_arrays(
            [pa.array(column, FILES.field(n).type) for n, column in enumerate(zip(*some, strict=True))], schema=FILES
        )
        for some in batched(rows(), AT_ONCE)
    )
    yield from _parts(tables, target, scratch, f"{named}/files", FILES)


def _copy(target: Target, place: str, key: str, before: _Before) -> tuple[str, int, int] | None:
    """SHA-256, size, and when it was changed; None if it is not there."""
    try:
        with path_of(place, key).open("rb") as file:
            status = os.fstat(file.fileno())
            sha256 = before.sha256(place, key, status)
            if sha256 is None or not target.has(content_name(sha256), status.st_size):
                sha256, size = measured(file)
                target.add(content_name(sha256), file, size)
            return sha256, status.st_size, status.st_mtime_ns
    except FileNotFoundError:
        return None


def path_of(place: str, key: str) -> Path:
    if place.startswith("model "):
        return Path(ModelVersion.objects.get(pk=int(place.removeprefix("model "))).folder) / key
    return places()[place] / key
