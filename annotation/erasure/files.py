"""The bytes: files that have to go, uploaded deliveries, and what the database keeps in its own files of rows gone."""

import logging
import shutil
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from django.utils import timezone

from annotation import tombstones
from annotation.models import ErasedFile, Erasure, Intake, Photo

log = logging.getLogger(__name__)

AGAIN = timedelta(hours=1)  # after which files are removed once more: nobody writes one for so long
HUGE = 4_000_000_000  # bytes: nobody can write while so much is written anew


def remove_files(made: Erasure) -> None:
    """What is written down goes."""
    for row in list(made.erased_files.filter(removed_at=None)):
        key = tombstones.unsealed(row.key)
        kind = key.split("/")[0]
        if remove(key):
            made.files[kind] = made.files.get(kind, 0) + 1
        ErasedFile.objects.filter(pk=row.pk).update(removed_at=timezone.now())
    Erasure.objects.filter(pk=made.pk).update(files=made.files)


def remove(key: str) -> bool:
    """Remove a file, and what a killed writer left beside it. Returns whether it was there."""
    path = Path(default_storage.path(key))
    there = path.exists()
    path.unlink(missing_ok=True)
    if path.parent.exists():
        old = (timezone.now() - AGAIN).timestamp()
        for part in path.parent.glob(".part-*"):
            if part.stat().st_mtime < old:
                part.unlink(missing_ok=True)
    return there


def deliveries_of(sources: Collection[int]) -> set[str]:
    """What was uploaded for these sources and lies there still: it waited, or its intake was stopped or failed."""
    return set(Intake.objects.filter(source__in=sources).exclude(path="").values_list("path", flat=True))


def drop_deliveries(gone_with: Collection[str] = ()) -> dict[str, int]:
    """Archives that were uploaded and are taken in hold the pictures, too; so do those of a source that is gone."""
    waiting = set(
        Intake.objects.filter(state__in=[Intake.State.WAITING, Intake.State.RUNNING]).values_list("path", flat=True)
    )
    gone = 0
    for delivery in (Path(settings.DATA_DIR) / "uploads").glob("*/delivery*"):
        old = delivery.stat().st_mtime < (timezone.now() - AGAIN).timestamp()  # a young one may have no row yet
        if str(delivery) not in waiting and (old or str(delivery) in gone_with):
            shutil.rmtree(delivery.parent, ignore_errors=True)
            gone += 1
    return {"uploaded deliveries": gone}


def overwrite(counts: Mapping[str, int]) -> str:
    """Have the database let go of the bytes of rows that are gone, by writing anew what they were in.

    Returns what was done, for the report. What is huge is not written anew, as nobody could work meanwhile: its free
    room is overwritten in time. What PostgreSQL's log of writes and backups hold is its administrator's business.
    """
    if connection.in_atomic_block:
        return "not written anew: within a transaction"
    try:
        return _rewrite_file() if connection.vendor == "sqlite" else _rewrite_tables(counts)
    except OperationalError as error:
        log.warning("The database could not be written anew: %s", error)
        return f"not written anew ({error}): free room still holds rows that are gone, until it is overwritten"


def _rewrite_file() -> str:
    size = Path(connection.settings_dict["NAME"]).stat().st_size
    if size > HUGE:
        return f"not written anew, as it has {size / 1e9:.0f} GB: run VACUUM on it while nobody works"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        busy = cursor.fetchone()[0]
    return "written anew" + (", but its log is still being read and holds the old pages for a while" if busy else "")


def _rewrite_tables(counts: Mapping[str, int]) -> str:
    """The tables that lost rows, their indexes, and what the planner keeps as examples of their values."""
    tables = sorted({apps.get_model(name)._meta.db_table for name in counts if name in _models()})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(pg_total_relation_size(each::regclass)), 0) FROM unnest(%s::text[]) each", [tables]
        )
        size = cursor.fetchone()[0]
        if size > HUGE:
            cursor.execute(f"VACUUM (ANALYZE) {', '.join(map(connection.ops.quote_name, tables))}")
            return f"vacuumed, not written anew, as {size / 1e9:.0f} GB: run VACUUM FULL while nobody works"
        cursor.execute("SET lock_timeout = '10s'")  # whoever waits for a table has all others wait behind them
        try:
            for table in tables:
                cursor.execute(f"VACUUM (FULL, ANALYZE) {connection.ops.quote_name(table)}")
            cursor.execute("VACUUM (FULL) pg_catalog.pg_statistic")  # only a superuser may; others are warned
        finally:
            cursor.execute("RESET lock_timeout")
    return "tables that lost rows are written anew; its log of writes is its administrator's to clear"


def _models() -> set[str]:
    return {model._meta.label for model in apps.get_models()}


def sweep(now: datetime) -> int:
    """Files of erasures an hour ago that somebody was writing then go once more. Returns how many.

    So do deliveries that were too young then, or whose erasure was killed before it dropped them.
    """
    found = 0
    rows = list(ErasedFile.objects.filter(removed_at__lt=now - AGAIN).select_related("erasure")[:5_000])
    if rows:
        drop_deliveries()
    for row in rows:
        key = tombstones.unsealed(row.key)
        if not Photo.objects.filter(sha256=Path(key).name[:64]).exists() and remove(key):
            log.warning("%s came back after %s and was removed once more", key.split("/")[0], row.erasure)
            found += 1
        row.delete()
    return found
