"""A queue that does not answer holds nobody: what is sent meanwhile is found by the sweep, or its sender is told."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from annotation import belt, tasks
from annotation.models import Intake
from dager_site.celery import Sent
from tests.annotation.test_releases import released, some_labelled
from tests.factories import a_source, a_user

ASKS = """
import time, django
django.setup()
from annotation import tasks
for _ in range(9):
    started = time.monotonic()
    assert tasks.sweep.delay() is None
    print(time.monotonic() - started)
"""


@pytest.fixture(params=["dead", "silent"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where nobody listens, or somebody takes every connection and never says a word."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        if request.param == "silent":
            taken.listen(50)
        yield taken.getsockname()[1]


@pytest.mark.once
def test_whoever_sends_waits_for_a_few_seconds_once(port: int, tmp_path: Path):
    settings = {"CELERY_BROKER_URL": f"redis://127.0.0.1:{port}/0", "DAGER_DATA": str(tmp_path)}

    told = subprocess.run(
        [sys.executable, "-c", ASKS], env=os.environ | settings, capture_output=True, text=True, timeout=90, check=True
    )

    first, *others = map(float, told.stdout.split())
    assert first < 15  # on a machine that does other things, too
    assert max(others) < 1
    assert "was not sent" in told.stderr


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sent, "back_at", float("inf"))


@pytest.mark.django_db
@pytest.mark.usefixtures("away")
def test_what_a_page_could_not_send_is_due_at_the_next_sweep(
    client: Client, django_capture_on_commit_callbacks, tmp_path: Path, settings: Settings
):
    settings.INTAKE_FOLDERS = [tmp_path]
    client.force_login(a_user(role="curator"))
    source = a_source()

    with django_capture_on_commit_callbacks(execute=True):
        answer = client.post(f"/sources/{source.pk}/intakes", {"kind": "folder", "path": str(tmp_path)})

    assert answer.status_code == 302
    assert list(belt.intakes_due(timezone.now())) == [Intake.objects.get()]


@pytest.mark.django_db
@pytest.mark.usefixtures("away")
def test_who_asks_for_what_no_sweep_finds_is_told(client: Client, settings: Settings, tmp_path: Path):
    settings.RELEASES_DIR = tmp_path
    some_labelled(2)
    release = released()
    client.force_login(a_user(role="curator"))

    refused = client.post(f"/api/v1/releases/{release.pk}/verify", content_type="application/json")
    page = client.post(f"/releases/{release.pk}/verify", follow=True)

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_away")
    assert "The queue does not answer" in page.content.decode()
    assert tasks.verify_release.delay(release.pk) is None
