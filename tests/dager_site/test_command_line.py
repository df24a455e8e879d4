"""What a command says on a database that was never migrated."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import OperationalError

from dager_site import command_line

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.once
def test_a_database_without_tables_is_told_in_one_line(tmp_path: Path):
    environment = {name: each for name, each in os.environ.items() if name != "DATABASE_URL"}
    asked = [sys.executable, "manage.py", "audit", "verify"]
    told = subprocess.run(
        asked, cwd=REPOSITORY, env=environment | {"DAGER_DATA": str(tmp_path)}, capture_output=True, text=True
    )
    assert told.returncode == 1
    assert told.stderr.count("\n") == 1
    assert "no such table: annotation_auditevent" in told.stderr
    assert "manage.py migrate" in told.stderr


@pytest.mark.django_db
def test_any_other_error_of_the_database_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch):
    def broken(argv: list[str]) -> None:
        raise OperationalError("disk I/O error")

    monkeypatch.setattr(command_line, "execute_from_command_line", broken)
    with pytest.raises(OperationalError, match="disk"):
        command_line.main(["manage.py", "audit", "verify"])
