"""How long a backup and a restore take, how large it is, and how much memory it needs.

python -m tests.services -- python -m tests.benchmarks.backup [--faces 100000] [--photo 40] [--crop 15]

Made-up rows on PostgreSQL, those of the dashboard's benchmark, and a file for each photo and each crop, of so many kB.
Every step is a command of its own, as one would type it: its seconds, and the most memory that it took.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django
from django.core.management import call_command

BLOCK = os.urandom(1_000_000)


def write_files(photo: int, crop: int) -> int:
    """One for each that a row names, none like another; returns their bytes."""
    from django.conf import settings  # noqa: PLC0415  Django is set up by now

    from annotation.models import Face  # noqa: PLC0415

    total = 0
    for number, face in enumerate(
        Face.objects.select_related("photo").only("number", "photo__sha256", "photo__format")
    ):
        for key, size in ((face.photo.key, photo), (face.crop_key, crop)):
            path = Path(settings.MEDIA_ROOT, key)
            path.parent.mkdir(parents=True, exist_ok=True)
            at = number * 997 % (len(BLOCK) - size)
            path.write_bytes(f"{key}\n".encode() + BLOCK[at : at + size])
            total += path.stat().st_size
    return total


def timed(title: str, data: Path, *command: str, database: str | None = None) -> None:
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")
    }
    environment |= {"DAGER_DATA": str(data), "DAGER_SECRET_KEY": "x" * 50}
    if database:
        environment["DATABASE_URL"] = database
    started = time.monotonic()
    child = subprocess.Popen([sys.executable, "manage.py", *command, "--json"], env=environment, stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0, title
    told = json.loads(said)
    seconds = time.monotonic() - started
    core, most = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(f"| {title} | {seconds:.0f} | {core:.0f} | {most:.0f} | {told['rows']:,} |", flush=True)


def size_of(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--faces", type=int, default=100_000)
    parser.add_argument("--photo", type=int, default=40)
    parser.add_argument("--crop", type=int, default=15)
    chosen = parser.parse_args()
    database = os.environ["DATABASE_URL"]
    home = Path(tempfile.mkdtemp(prefix="dager-backup-benchmark-"))
    os.environ |= {"DAGER_DATA": str(home / "one"), "DJANGO_SETTINGS_MODULE": "dager_site.settings"}
    os.environ |= {"DAGER_SECRET_KEY": "x" * 50, "DAGER_LOG_LEVEL": "WARNING"}
    try:
        django.setup()
        call_command("migrate", verbosity=0)
        from tests.benchmarks.dashboard import make  # noqa: PLC0415  it needs Django

        make(chosen.faces)
        total = write_files(chosen.photo * 1_000, chosen.crop * 1_000) if chosen.photo else 0
        print(f"{chosen.faces:,} faces, {total / 1e6:,.0f} MB of files\n")
        print("| step | s | of which one core | MB at most | rows |\n| --- | --- | --- | --- | --- |", flush=True)
        one, two, folder = home / "one", home / "two", home / "backup"
        timed("backup of PostgreSQL into a folder", one, "backup", str(folder), database=database)
        timed("again, nothing new", one, "backup", str(folder), database=database)
        timed("backup into one tar", one, "backup", str(home / "b.tar"), database=database)
        tar = (home / "b.tar").stat().st_size / 1e6
        (home / "b.tar").unlink()
        timed("restore into an empty SQLite", two, "restore", str(folder))
        timed("backup of SQLite into a folder", two, "backup", str(home / "backup2"))
        timed(
            "restore into PostgreSQL, in place of what is there",
            one,
            "restore",
            str(home / "backup2"),
            "--replace",
            database=database,
        )
        rows = sum(size_of(each) for each in folder.glob("rows-*"))
        print(f"\nThe folder has {size_of(folder):,.0f} MB, {rows:,.0f} of them rows; the tar {tar:,.0f}.")
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
