"""How long sealing, verifying and exporting the audit log take, and how much memory, however long it is.

python -m tests.services -- python -m tests.benchmarks.audit [--lines 1000000]       # PostgreSQL
python -m tests.benchmarks.audit [--lines 1000000]                                   # SQLite

Made-up lines, each a page of twenty faces, chained as the worker does; the last of them are left for it. Each step is a
process of its own, as one would type it.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta

import django
from django.core.management import call_command

FACES, AT_ONCE, UNSEALED = 20, 5_000, 20_000


def make(count: int) -> None:
    from django.db import connection, transaction  # noqa: PLC0415  Django is set up by now

    from annotation import audit  # noqa: PLC0415
    from annotation.models import AuditEvent, User  # noqa: PLC0415

    user, previous, begun = User.objects.create_user("ada"), audit.BEFORE_THE_FIRST, datetime(2026, 1, 1, tzinfo=UTC)
    for start in range(1, count + 1, AT_ONCE):
        events = [
            AuditEvent(
                pk=k,
                at=begun + timedelta(seconds=k),
                action="see",
                by=user,
                request=f"{k:032x}",
                details={"page": "faces", "faces": list(range(FACES * k, FACES * (k + 1)))},
            )
            for k in range(start, min(start + AT_ONCE, count + 1))
        ]
        for event in events:
            if event.pk <= count - UNSEALED:
                event.number = event.pk
                event.hash = previous = audit.digest(previous, audit.as_line(event))
        with transaction.atomic():
            AuditEvent.objects.bulk_create(events)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval(pg_get_serial_sequence('annotation_auditevent', 'id'), %s)", [count])
            cursor.execute("VACUUM ANALYZE annotation_auditevent")


def timed(title: str, *command: str) -> None:
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, title
    seconds, core = time.monotonic() - started, used.ru_utime + used.ru_stime
    print(f"| {title} | {seconds:.0f} | {core:.0f} | {used.ru_maxrss / 1024:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=int, default=1_000_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dager-bench-") as data:
        os.environ |= {"DAGER_DATA": data, "DAGER_LOG_LEVEL": "WARNING"}
        os.environ["DJANGO_SETTINGS_MODULE"] = "dager_site.settings"
        django.setup()
        from django.db import connection  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        make(asked.lines)
        print(f"{connection.vendor}, {asked.lines:,} lines\n")
        connection.close()
        print("| step | s | of which one core | MB at most |\n| --- | --- | --- | --- |", flush=True)
        timed(f"seal the last {UNSEALED:,}, tell the head", "manage.py", "audit", "head")
        timed("verify", "manage.py", "audit", "verify")
        timed("export", "manage.py", "audit", "export")


if __name__ == "__main__":
    main()
