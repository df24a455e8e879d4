"""The Celery application. `celery -A dager_site worker` finds it here."""

import os
from pathlib import Path

from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dager_site.settings")
app = Celery("dager")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def make_queue_folders() -> None:
    """The queue of files needs its folders before the first message; Redis needs none."""
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    for name in ("data_folder_in", "control_folder"):
        if name in options:
            Path(str(options[name])).mkdir(parents=True, exist_ok=True)
