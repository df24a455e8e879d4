"""The private servers of the second pass."""

import os
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest
from django.conf import settings
from django.db import connection


@pytest.mark.services
@pytest.mark.django_db
def test_the_suite_runs_on_postgresql():
    with connection.cursor() as cursor:
        cursor.execute("SELECT version()")
        assert cursor.fetchone()[0].startswith("PostgreSQL")


@pytest.mark.services
def test_each_worker_has_its_own_redis_database():
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")

    assert settings.CELERY_BROKER_URL.startswith("redis://127.0.0.1:")
    assert settings.CELERY_BROKER_URL.endswith(worker.removeprefix("gw"))


ASK_WHERE = """
import os, psycopg2
with psycopg2.connect(os.environ["DATABASE_URL"]) as connection, connection.cursor() as cursor:
    cursor.execute("SHOW data_directory")
    print(os.environ["DATABASE_URL"], cursor.fetchone()[0])
raise SystemExit(7)
"""


def test_the_servers_end_with_the_command_and_leave_nothing():
    ended = subprocess.run(
        [sys.executable, "-m", "tests.services", "--", sys.executable, "-c", ASK_WHERE],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 7, ended.stderr
    url, folder = ended.stdout.split()
    assert not Path(folder).parent.parent.exists()
    with pytest.raises(psycopg2.OperationalError, match="refused"):
        psycopg2.connect(url)
