"""A backup into the site: an empty one, on whatever database, or one that is given up for it.

The rows come in one transaction, after the files that they name, so that a kill leaves the old site or an empty one;
and from the first file to the last step a mark says that it is under way, with which nothing starts.
"""

import io
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.loader import MigrationLoader

from annotation import audit, erasure, gallery, tombstones
from annotation.append_only import guards, unguards
from annotation.erasure.asked import keep
from annotation.errors import HeldBack
from annotation.models import Erasure, Tombstone
from dager_site.backup import Tell, key_print, places
from dager_site.backup_format import (
    SECRET,
    Backup,
    BadBackup,
    Table,
    content_name,
    open_backup,
    unpack,
)
from inference.errors import NoLiveModel

log = logging.getLogger(__name__)

MARK = ".restoring"
# With a row in one of these somebody works here; what a new database is made with is in others.
IN_USE = ("annotation_user", "annotation_source", "annotation_photo", "annotation_decision", "annotation_auditevent")


@dataclass(frozen=True)
class Restored:
    backup: str
    rows: int
    files: int
    missing: int  # that were not there when it was made
    erased_again: int  # photos and faces that it brought back, and that had been erased since
    audit_lines: int
    migrated: bool  # it stood at older migrations


def under_way() -> bool:
    return _mark().exists()


def _mark() -> Path:
    """Among the files, which all machines share."""
    return Path(settings.MEDIA_ROOT) / MARK


def require_whole() -> None:
    """Whatever serves or works asks this first. Raises BadBackup."""
    if under_way():
        raise BadBackup(
            f"A restore was broken off: the site is not whole. Run it again: `manage.py restore BACKUP --replace`. "
            f"(It is under way while {_mark()} is there.)"
        )


def check(where: Path) -> Backup:
    """Hash all of a backup that lies in a folder. Raises BadBackup."""
    backup = open_backup(where)
    backup.check()
    return backup


@contextmanager
def opened(where: Path) -> Iterator[Backup]:
    """A backup in its folder; a tar is unpacked beside the data first."""
    if where.is_dir():
        yield open_backup(where)
        return
    if not where.is_file():
        raise BadBackup(f"There is no backup {where}. Check the spelling.")
    folder = Path(settings.DATA_DIR) / f"{MARK}-unpacked"
    shutil.rmtree(folder, ignore_errors=True)  # of one that was broken off
    try:
        folder.mkdir(mode=0o700)
        unpack(where, folder)
        yield open_backup(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def restore(
    where: Path,
    *,
    replace: bool = False,
    other_key: bool = False,
    erasures: Path | None = None,
    finish: bool = False,
    tell: Tell = lambda _: None,
) -> Restored:
    """Everything of a backup into this site; what `erasures`, a list of later, names is erased again.

    With `finish` the last steps only, of one that stopped after all was there.
    Raises BadBackup, before anything is changed if the backup is to blame; OSError, if the disk is full.
    """
    with opened(where) as backup:
        backup.check()
        tell(f"{where} is whole: {backup.description.rows:,} rows, {backup.description.count:,} files")
        older = _require_known_migrations(backup)
        if finish:
            if not under_way():
                raise BadBackup("No restore is under way here that could be finished.")
            restored = _made_sure_of(backup, backup.description.count, older)
            _mark().unlink()
            return restored
        if not replace:
            _require_empty()
        _require_key(backup, other_key)
        _mark().touch()
        if replace:
            _empty()
        _migrate(backup if older else None)
        files = sum(1 for _ in _place_files(backup, tell))
        if erasures is not None:
            _add_lines(tombstones.list_path(), erasures)
        _load(backup, tell)
        _migrate(None)
        _take_key(backup)
        restored = _made_sure_of(backup, files, older)
        _mark().unlink()
    return restored


# ---- may it


def _require_known_migrations(backup: Backup) -> bool:
    """Whether it stands at older migrations than this version. Raises BadBackup for those that it does not know."""
    known, has = _known_migrations(), _migrations_of(backup)
    if unknown := sorted(has - known):
        app, name = unknown[0]
        raise BadBackup(
            f"The backup stands at a migration that this version does not know ({app} {name}): it was made by a later "
            "one, or before the first release. Restore it with that version."
        )
    return any(key not in has for key in known)


def _known_migrations() -> set[tuple[str, str]]:
    return set(MigrationLoader(None, ignore_no_migrations=True).disk_migrations)


def _migrations_of(backup: Backup) -> set[tuple[str, str]]:
    """Those at which it stands. Many that one replaces since are that one, if it has all of them."""
    has = {(app, name) for app, names in backup.description.migrations.items() for name in names}
    for key, migration in MigrationLoader(None, ignore_no_migrations=True).disk_migrations.items():
        if migration.replaces and has.issuperset(migration.replaces):
            has = has.difference(migration.replaces) | {key}
    return has


def _require_empty() -> None:
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for table in IN_USE:
            if table not in tables:
                continue
            cursor.execute(f'SELECT EXISTS (SELECT 1 FROM "{table}")')
            if cursor.fetchone()[0]:
                raise BadBackup(
                    f"This site is in use: there are rows in {table}. Restore into an empty one (another DAGER_DATA, "
                    "an empty database), or give up all that is here by --replace."
                )


def _require_key(backup: Backup, other_key: bool) -> None:
    if backup.description.has_key:
        try:
            key = backup.path(SECRET).read_text()
        except (OSError, ValueError) as error:
            raise BadBackup(f"The backup's {SECRET} cannot be read ({error}). Use another backup.") from error
        if key_print(key) != backup.description.key:
            raise BadBackup(f"The backup's {SECRET} is not the key that it was made with. It was tampered with.")
    if backup.description.has_key or backup.description.key == key_print() or other_key:
        return
    raise BadBackup(
        "This site signs with another key than the one that was backed up, and photos that were erased are known by "
        f"that key: they could come in again. Copy the old site's secret_key to {settings.DATA_DIR}/secret_key (or set "
        "DAGER_SECRET_KEY to it), or go on without by --other-key."
    )


def _take_key(backup: Backup) -> None:
    if not backup.description.has_key:
        return
    key = backup.path(SECRET).read_text()
    if key == settings.SECRET_KEY:
        return
    if "DAGER_SECRET_KEY" in os.environ:
        raise BadBackup(
            "The backup has a signing key and DAGER_SECRET_KEY names another. Unset it, or set it to that key."
        )
    path = Path(settings.DATA_DIR) / "secret_key"
    part = path.with_name(".secret_key.part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(key)
    part.replace(path)
    settings.SECRET_KEY = key  # for the rest of this process; all others read it as they start


# ---- rows


def _empty() -> None:
    """Give up all rows that are here, and all files that they named. The list of erasures stays."""
    tables = _own_tables()
    with _unguarded(), connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'DELETE FROM "{table}"')
    for name, place in places().items():
        for path in place.iterdir() if place.is_dir() else ():
            if path.is_dir() and path not in places().values() and (name != "files" or path.name in KEPT):
                shutil.rmtree(path)


KEPT = {"photos", "crops", "thumbnails", "galleries", "practice"}  # folders of files that are ours


def _own_tables() -> list[str]:
    """Those with rows of the site, whatever migration the database stands at."""
    prefixes = (*(f"{app}_" for app in ("annotation", "inference", "training")), "auth_", "django_admin_log")
    known = (*prefixes, "django_content_type", "django_session")
    return [name for name in connection.introspection.table_names() if name.startswith(known)]


@contextmanager
def _unguarded() -> Iterator[None]:
    """A transaction in which the audit log's own triggers do not refuse that its lines go, and foreign keys wait."""
    guarded = "annotation_auditevent" in connection.introspection.table_names()
    with _unchecked(), transaction.atomic(), connection.cursor() as cursor:
        for statement in unguards(connection.vendor) if guarded else ():
            cursor.execute(statement)
        yield
        connection.check_constraints()
        for statement in guards(connection.vendor) if guarded else ():
            cursor.execute(statement)


@contextmanager
def _unchecked() -> Iterator[None]:
    """Tables refer to one another in circles: what they refer to is looked at once all is there."""
    with connection.constraint_checks_disabled():
        yield


def _migrate(backup: Backup | None) -> None:
    """To the migrations at which the backup stands, or to the latest."""
    if backup is None:
        call_command("migrate", verbosity=0, interactive=False)
        return
    for app, name in dict(sorted(_migrations_of(backup))).items():  # the last one of each app
        call_command("migrate", app, name, verbosity=0, interactive=False)


def _load(backup: Backup, tell: Tell) -> None:
    tables = {table.name for table in backup.description.tables}
    if lost := sorted(tables.difference(_own_tables())):
        raise BadBackup(f"The database has no table {lost[0]}, which the backup has rows of. It is of another version.")
    with _unguarded(), connection.cursor() as cursor:
        for name in _own_tables():
            cursor.execute(f'DELETE FROM "{name}"')
        for table in backup.description.tables:
            _load_table(cursor, backup, table)
            tell(f"{table.name}: {table.rows:,} rows")
        _lead_to_the_new_places(cursor, backup)


def _load_table(cursor: Any, backup: Backup, table: Table) -> None:
    try:
        for batch in backup.batches(table.parts):
            _insert(cursor, table, batch)
    except DatabaseError as error:
        raise BadBackup(f"The rows of {table.name} do not fit this database: {str(error).strip()}") from error
    cursor.execute(f'SELECT COUNT(*) FROM "{table.name}"')
    if (found := cursor.fetchone()[0]) != table.rows:
        raise BadBackup(f"{table.name} has {found:,} rows instead of {table.rows:,}. Nothing was kept.")
    if table.counter is not None:
        _set_counter(cursor, table)


def _insert(cursor: Any, table: Table, batch: pa.RecordBatch) -> None:
    names = ", ".join(f'"{name}"' for name, _ in table.columns)
    if connection.vendor == "postgresql":
        stream = io.BytesIO()
        columns = [_for_copy(batch[name], kind) for name, kind in table.columns]
        plain = pa.RecordBatch.from_arrays(columns, names=[name for name, _ in table.columns])
        pyarrow.csv.write_csv(plain, stream, pyarrow.csv.WriteOptions(include_header=False))
        stream.seek(0)
        cursor.copy_expert(f'COPY "{table.name}" ({names}) FROM STDIN (FORMAT csv)', stream)
        return
    places_ = ", ".join(["%s"] * len(table.columns))
    columns_ = [_for_sqlite(batch[name].to_pylist(), kind) for name, kind in table.columns]
    cursor.executemany(f'INSERT INTO "{table.name}" ({names}) VALUES ({places_})', zip(*columns_, strict=True))


def _for_copy(column: pa.Array, kind: str) -> pa.Array:
    if kind == "bytes":
        return pa.array([None if value is None else f"\\x{value.hex()}" for value in column.to_pylist()], pa.string())
    return column


def _for_sqlite(values: list[Any], kind: str) -> list[Any]:
    """As Django's own columns on SQLite have it."""
    if kind == "time":
        return [None if value is None else str(value.astimezone(UTC).replace(tzinfo=None)) for value in values]
    if kind == "uuid":
        return [None if value is None else value.replace("-", "") for value in values]
    if kind == "date":
        return [None if value is None else value.isoformat() for value in values]
    return values


def _set_counter(cursor: Any, table: Table) -> None:
    key = table.columns[0][0]
    if connection.vendor == "postgresql":
        if table.counter:
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s), %s)", [f'"{table.name}"', key, table.counter])
        return
    cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table.name])
    cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table.name, table.counter])


def _lead_to_the_new_places(cursor: Any, backup: Backup) -> None:
    """What rows name by whole paths lies elsewhere now. By plain SQL, as the tables may be of an older version."""
    here = {name: str(path) for name, path in places().items()} | {"data": str(settings.DATA_DIR)}
    before = backup.description.places
    cursor.execute("SELECT id, folder FROM inference_modelversion WHERE folder <> ''")
    for pk, folder in cursor.fetchall():
        at = Path(folder)
        home = Path(before["models"])
        new = Path(here["models"]) / at.relative_to(home) if at.is_relative_to(home) else _brought(pk)
        cursor.execute("UPDATE inference_modelversion SET folder = %s WHERE id = %s", [str(new), pk])
    cursor.execute("SELECT id, path FROM annotation_intake WHERE path <> ''")
    for pk, path in cursor.fetchall():
        if Path(path).is_relative_to(before["data"]):
            new = Path(here["data"]) / Path(path).relative_to(before["data"])
            cursor.execute("UPDATE annotation_intake SET path = %s WHERE id = %s", [str(new), pk])


def _brought(version: int) -> Path:
    """A model that lay outside our folders."""
    return places()["models"] / f"brought-{version}"


# ---- files


def _place_files(backup: Backup, tell: Tell) -> Iterator[None]:
    """Each file at its place, whole or not at all."""
    for number, (place, key, sha256, _size) in enumerate(backup.files(), start=1):
        home = _brought(int(place.removeprefix("model "))) if place.startswith("model ") else places()[place]
        path = home / key
        path.parent.mkdir(parents=True, exist_ok=True)
        if (place, key) == ("files", tombstones.list_path().name):
            _add_lines(path, backup.path(content_name(sha256)))
        else:
            part = path.with_name(f".{path.name}.part")
            shutil.copyfile(backup.path(content_name(sha256)), part)
            part.replace(path)
        if number % 10_000 == 0:
            tell(f"{number:,} files")
        yield


def _add_lines(path: Path, more: Path) -> None:
    """What was erased since the backup stays known: its list is joined to the one that is here."""
    there = set(path.read_bytes().splitlines()) if path.exists() else set()
    new = [line for line in more.read_bytes().splitlines() if line not in there]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as file:
        file.writelines(line + b"\n" for line in new)
        file.flush()
        os.fsync(file.fileno())


# ---- the last steps


def _made_sure_of(backup: Backup, files: int, older: bool) -> Restored:
    described = backup.description
    erased = _erase_again()
    verified = audit.verify(head=described.audit["hash"])
    if not verified.whole:
        raise BadBackup(f"The audit log that was restored is not whole: {verified.broken}")
    try:
        gallery.keep_up()
    except NoLiveModel as error:
        log.info("There is no gallery to make: %s", error)
    audit.write(
        audit.Action.RESTORE,
        by=None,
        subject=f"backup {described.id[:16]}",
        details={"made_at": described.made_at, "rows": described.rows, "files": files, "erased_again": erased},
    )
    return Restored(
        backup=described.id,
        rows=described.rows,
        files=files,
        missing=described.missing_count,
        erased_again=erased,
        audit_lines=verified.lines,
        migrated=older,
    )


def _erase_again() -> int:
    """What was erased since the backup goes again, by the list of that; what it never had is refused from now on, too.

    Raises BadBackup where a hold of the backup keeps something.
    """
    listed = list(tombstones.written_down(tombstones.list_path()))
    try:
        erased = erasure.erase_again(listed)
    except HeldBack as error:
        raise BadBackup(
            f"What had been erased is held by the backup, so the site stays closed: {error} Lift it (`manage.py hold "
            "lift`), then finish by `manage.py restore BACKUP --finish`."
        ) from error
    keys = set[str]()
    for entry in listed:
        (keys.add if entry.get("what") == "photo" else keys.discard)(entry["key"])
    if lost := keys - set(Tombstone.objects.values_list("key", flat=True)):
        made = keep(Erasure(kind=Erasure.Kind.PHOTO, ids=[], reason="Erased before; the backup never had it."))
        erasure.carry_out(made.pk)
        Tombstone.objects.bulk_create([Tombstone(key=key, erasure=made) for key in lost], ignore_conflicts=True)
    return erased
