"""Django's command line. What no command can do on a database that lacks tables is told in one line."""

import sys

from django.core.management import execute_from_command_line
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor


def main(argv: list[str]) -> None:
    try:
        execute_from_command_line(argv)
    except DatabaseError as error:
        if "--traceback" in argv or not _lacks_tables():
            raise
        sys.exit(
            f"CommandError: The database stands at older migrations than this version ({str(error).splitlines()[0]}). "
            "Run `.venv/bin/python manage.py migrate` first; a backup comes in by `restore`, which needs none."
        )


def _lacks_tables() -> bool:
    try:
        return behind()
    except DatabaseError:  # it cannot be asked at all: the first error says why
        return False


def behind() -> bool:
    """Whether the database stands at older migrations than this version."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
