"""Workers say that they live; who does not is silent."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import DatabaseError
from django.utils import timezone

from annotation import tasks, workers
from annotation.models import Worker

pytestmark = pytest.mark.django_db


def test_workers_are_heard_of_then_silent_then_forgotten():
    now = timezone.now()
    workers.heard("celery@one", queues=["default", "vision"], processes=2, now=now)
    workers.heard("celery@one", doing=["b", "a"], now=now + timedelta(seconds=15))
    worker = Worker.objects.get()
    assert (worker.queues, worker.processes, worker.busy, worker.doing) == (["default", "vision"], 2, 2, ["a", "b"])
    assert worker.started_at == now
    assert not workers.silent(worker, now + timedelta(seconds=60))
    assert workers.silent(worker, now + timedelta(seconds=80))
    workers.heard("celery@two", now=now + timedelta(days=8))
    assert Worker.objects.get().name == "celery@two"
    workers.gone("celery@two")
    assert not Worker.objects.exists()


def test_that_they_cannot_be_heard_of_does_not_stop_them(monkeypatch: pytest.MonkeyPatch):
    def fails(**_: object) -> None:
        raise DatabaseError("away")

    monkeypatch.setattr(Worker.objects, "update_or_create", fails)
    workers.heard("celery@one")
    assert not Worker.objects.exists()


def test_a_heartbeat_is_written_down_now_and_then(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(workers, "heard", lambda name, **_: said.append(name))
    monkeypatch.setattr(tasks.connection, "close", lambda: None)
    monkeypatch.setattr(tasks, "_said", {})
    heart = SimpleNamespace(eventer=SimpleNamespace(hostname="celery@one"))
    for _ in range(3):
        tasks.live(heart)
    assert said == ["celery@one"]
    tasks._said["celery@one"] -= workers.SAYS
    tasks.live(heart)
    assert said == ["celery@one"] * 2
