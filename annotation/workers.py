"""Who works: each set of worker processes says so itself, as a broker of files knows nobody."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import DatabaseError, transaction
from django.utils import timezone

from annotation.models import Worker

log = logging.getLogger(__name__)

SAYS = timedelta(seconds=15)  # how often it says so
SILENT = timedelta(seconds=60)  # after which nobody believes that it is there
FORGOTTEN = timedelta(days=7)


def heard(
    name: str,
    *,
    queues: Sequence[str] | None = None,
    processes: int | None = None,
    doing: Sequence[str] = (),
    now: datetime | None = None,
) -> None:
    """Write down that these workers live. That they cannot be heard of must not keep them from their work."""
    now = now or timezone.now()
    said = {"queues": queues, "processes": processes, "started_at": None if processes is None else now}
    told = {"heard_at": now, "busy": len(doing), "doing": sorted(doing)}
    try:
        with transaction.atomic():
            Worker.objects.update_or_create(
                name=name, defaults=told | {column: value for column, value in said.items() if value is not None}
            )
            Worker.objects.filter(heard_at__lt=now - FORGOTTEN).delete()
    except DatabaseError:
        log.warning("That %s lives could not be written down", name, exc_info=True)


def gone(name: str) -> None:
    """They were asked to stop."""
    try:
        Worker.objects.filter(name=name).delete()
    except DatabaseError:
        log.warning("That %s has gone could not be written down", name, exc_info=True)


def silent(worker: Worker, now: datetime) -> bool:
    return worker.heard_at < now - SILENT
