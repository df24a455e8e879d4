"""The Celery application. `celery -A dager_site worker` finds it here."""

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from celery import Celery, Task
from celery.result import AsyncResult
from celery.signals import beat_init, before_task_publish, task_prerun, worker_init
from django.conf import settings
from kombu.exceptions import OperationalError
from redis import Redis

from dager_site.backup_format import BadBackup
from dager_site.logs import request_id
from dager_site.processes import settle
from inference.core.late import Late, import_all

if TYPE_CHECKING:
    from dager_site import restore
else:
    restore = Late("dager_site.restore")  # models are there only once Django is

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
REQUEST = "dager_request_id"  # the header of a message
AWAY = 10.0  # seconds that a broker which did not answer is left alone

log = logging.getLogger(__name__)


class Sent(Task):
    """Whoever sends one waits for a broker that hangs once, and then not for a while, however much is sent.

    What cannot be sent is found by the sweep, as is whatever a kill loses; where there is no sweep for it, the sender
    looks whether there is a result, and says so.
    """

    back_at: ClassVar[float] = 0.0  # by time.monotonic(): all threads of a process know of it

    def apply_async(self, *args: Any, **options: Any) -> AsyncResult | None:
        if time.monotonic() < Sent.back_at:
            return None
        try:
            return super().apply_async(*args, **options)
        except OperationalError as error:
            Sent.back_at = time.monotonic() + AWAY
            self._lost(error)
        except OSError as error:  # the queue of files: no space
            self._lost(error)
        return None

    def _lost(self, error: Exception) -> None:
        log.warning("The queue does not answer, so %s was not sent: %s", self.name, error)


app = Celery("dager", task_cls=Sent)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@before_task_publish.connect
def _send_request_id(headers: dict[str, object], **_: object) -> None:
    """What a request set off is logged under its id, in whatever worker."""
    headers[REQUEST] = request_id.get()


@task_prerun.connect
def _take_request_id(task: Task, **_: object) -> None:
    request_id.set(getattr(task.request, REQUEST, None) or "-")


@worker_init.connect
def _prepare(**_: object) -> None:
    """Before a worker forks: none works on a site that is half restored, and its children share what they all need."""
    try:
        restore.require_whole()
    except BadBackup as error:
        raise SystemExit(str(error)) from error  # Celery would log any other exception, and go on
    make_queue_folders()
    import_all()
    settle()


@beat_init.connect
def _find_queue(**_: object) -> None:
    make_queue_folders()


def broker() -> Redis:
    """The broker itself, where it is Redis. Its calls raise RedisError."""
    return Redis.from_url(settings.REDIS, **settings.REDIS_PATIENCE)


def make_queue_folders() -> None:
    """The queue of files needs its folders before the first message; Redis needs none."""
    for folder in _queue_folders():
        folder.mkdir(parents=True, exist_ok=True)


def _queue_folders() -> list[Path]:
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    return [Path(str(options[name])) for name in ("data_folder_in", "control_folder") if name in options]


def drop_broken_tables() -> None:
    """A table of queues that a full disk or a kill left half-written goes: workers write it again as they start.

    Before any of them has started, as one may be writing it.
    """
    for table in [table for folder in _queue_folders()[1:] for table in folder.iterdir()]:
        try:
            json.loads(table.read_text())
        except ValueError:
            table.unlink()
