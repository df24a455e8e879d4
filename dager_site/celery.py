"""The Celery application. `celery -A dager_site worker` finds it here."""

import json
import os
from pathlib import Path

from celery import Celery
from django.conf import settings
from redis import Redis

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
PATIENCE = 2.0  # seconds that whoever asks the broker about itself waits
app = Celery("dager")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def broker() -> Redis:
    """The broker itself, where it is Redis. Its calls raise RedisError."""
    return Redis.from_url(settings.REDIS, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def make_queue_folders() -> None:
    """The queue of files needs its folders before the first message; Redis needs none.

    A table of queues that a full disk or a kill left half-written goes: workers write it again as they start.
    """
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    folders = [Path(str(options[name])) for name in ("data_folder_in", "control_folder") if name in options]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    for table in folders[-1].iterdir() if folders else ():
        try:
            json.loads(table.read_text())
        except ValueError:
            table.unlink()
