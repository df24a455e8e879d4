"""`manage.py up`: everything on one machine, from an empty folder to questions waiting."""

import secrets
import shutil
import signal
import sys
import time
from argparse import ArgumentParser
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction
from gunicorn.app.wsgiapp import run as gunicorn
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from annotation import accounts, belt, intake, progress
from annotation.core.drawn import draw_sample
from annotation.errors import AnnotationError
from annotation.models import Intake, Photo, Source, User
from dager_site.backup_format import BadBackup
from dager_site.celery import app as celery
from dager_site.celery import drop_broken_tables, make_queue_folders
from dager_site.processes import PortTaken, ProcessDied, Processes, require_free, settle
from dager_site.restore import require_whole
from inference import registry
from inference.core.late import import_all
from training import promotion, runs

ADMIN = "admin"
SAMPLE = "Drawn sample"
LITTLE_SPACE = 5_000_000  # bytes; less than one photo with its crops, thumbnail and rows may need


class Command(BaseCommand):
    help = "Start web, workers and beat on this machine; take photos in; end on a site with questions waiting."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--photos", help="folder, zip or tar with photos to take in")
        parser.add_argument("--manifest", help="CSV, JSONL or Parquet that describes them")
        parser.add_argument("--source", help="name of their source (default: the name of the folder)")
        parser.add_argument("--licence", default="", help="the licence of the photos")
        parser.add_argument("--legal-basis", default="", help="the legal basis for working on them")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--until-ready", action="store_true", help="stop once questions are waiting")

    def handle(self, *args: Any, **options: Any) -> None:
        console = Console(soft_wrap=True)
        for name in ("photos", "manifest"):  # before anything is made or changed for them
            if options[name] and not Path(options[name]).expanduser().exists():
                raise CommandError(f"--{name} {options[name]}: there is no such file or folder.")
        try:
            require_free(options["host"], options["port"])
        except PortTaken as error:
            raise CommandError(str(error)) from error
        try:
            require_whole()
        except BadBackup as error:
            raise CommandError(str(error)) from error
        call_command("migrate", verbosity=0)
        registry.ensure_live()
        make_queue_folders()
        drop_broken_tables()
        _make_first_admin()
        if not settings.REDIS:
            runs.release_all_claims()
            promotion.release_all_claims()
            belt.release_all_claims()  # the in-machine queue has no other workers than those started here
        try:
            delivery = _deliver(options)
        except (AnnotationError, OSError) as error:
            raise CommandError(str(error)) from error
        processes = Processes(settings.DATA_DIR / "logs")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        try:
            _start(processes, options["host"], options["port"])
            processes.wait_for_web(options["port"])
            address, password = f"http://{options['host']}:{options['port']}/", _first_password()
            console.print(
                f"\nDAGER is at [bold]{address}[/]"
                + (f"  sign in as [bold]{ADMIN}[/], password [bold]{password}[/]" if password else "")
            )
            if password:
                console.print(
                    "The password is shown this once; change it with `.venv/bin/python manage.py changepassword admin`."
                )
            _watch(console, processes, delivery)
            _report(console, delivery, address)
            while not options["until_ready"]:
                processes.check()
                time.sleep(1)
        except (ProcessDied, TimeoutError) as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            console.print("\nStopping. `make run` goes on where this left off.")
        finally:
            processes.stop()


def _make_first_admin() -> None:
    if not User.objects.exists():
        with transaction.atomic():
            accounts.log_made(User.objects.create_superuser(ADMIN), by=None)


def _first_password() -> str:
    """A password for the first user, made when it can be shown: a start that failed before must not have lost it."""
    admin = User.objects.filter(username=ADMIN).first()
    if admin is None or admin.has_usable_password():
        return ""
    password = secrets.token_urlsafe(12)
    admin.set_password(password)
    admin.save(update_fields=["password"])
    return password


def _deliver(options: dict[str, Any]) -> Intake | None:
    """The intake that was asked for, or of the drawn sample on an empty database."""
    photos, manifest = options["photos"], options["manifest"]
    if not photos and not manifest:
        if Photo.objects.exists() or Intake.objects.exists():
            return None
        folder = settings.DATA_DIR / "sample"
        draw_sample(folder)
        return _intake(
            SAMPLE, "CC0-1.0", "drawn by DAGER: nobody's data", Intake.Kind.MANIFEST, folder / "manifest.csv", None
        )
    path = Path(manifest or photos).expanduser().resolve()
    name = options["source"] or (Path(photos).expanduser().resolve() if photos else path).stem
    kind = Intake.Kind.MANIFEST if manifest else Intake.Kind.FOLDER if path.is_dir() else Intake.Kind.ARCHIVE
    root = Path(photos).expanduser().resolve() if manifest and photos else None
    return _intake(name, options["licence"], options["legal_basis"], kind, path, root)


def _intake(name: str, licence: str, legal_basis: str, kind: str, path: Path, root: Path | None) -> Intake:
    admin = User.objects.filter(is_superuser=True).order_by("pk").first()
    source = Source.objects.filter(name=name).first()
    if source is None:
        source = intake.create_source(name=name, licence=licence, legal_basis=legal_basis, by=admin)
    elif licence or legal_basis:
        intake.state_rights(
            source_id=source.pk,
            licence=licence or source.licence,
            legal_basis=legal_basis or source.legal_basis,
            retention_until=source.retention_until,
            by=admin,
        )
    return intake.start_intake(source=source, kind=kind, path=str(path), root=str(root or ""), by=admin)


def _start(processes: Processes, host: str, port: int) -> None:
    connection.close()  # children must not share it
    import_all()
    settle()
    processes.start("web", partial(_serve, f"{host}:{port}"))
    processes.start("worker", _work)


def _serve(address: str) -> None:
    server = ["dager_site.wsgi", "--bind", address, "--worker-class", "gthread", "--workers", "1", "--threads", "8"]
    sys.argv = ["gunicorn", *server, "--timeout", "120", "--keep-alive", "75", "--no-control-socket"]
    gunicorn()


def _work() -> None:
    queues = ["--queues", "default,vision,train", "--concurrency", str(settings.WORKERS)]
    beat = ["--beat", "--schedule", settings.CELERY_BEAT_SCHEDULE_FILENAME]
    celery.worker_main(["worker", "--loglevel", "INFO", *queues, *beat])


def _watch(console: Console, processes: Processes, delivery: Intake | None) -> None:
    """A bar for each stage, until nothing is on its way."""
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as display:
        bars: dict[str, TaskID] = {}
        warned = False
        while True:
            processes.check()
            if not warned and _disk_is_full():
                display.console.print(
                    f"[bold]The disk of {settings.DATA_DIR} is full.[/] Free some space: it goes on then."
                )
                warned = True
            steps, done = progress.steps(delivery)
            for step in steps:
                if step.name not in bars:
                    bars[step.name] = display.add_task(step.name, total=None)
                display.update(bars[step.name], completed=step.done, total=step.total)
            if done:
                return
            time.sleep(0.5)


def _disk_is_full() -> bool:
    return min(shutil.disk_usage(folder).free for folder in (settings.DATA_DIR, settings.MEDIA_ROOT)) < LITTLE_SPACE


def _report(console: Console, delivery: Intake | None, address: str) -> None:
    if delivery is not None:
        delivery.refresh_from_db()
        if delivery.state == Intake.State.FAILED:
            raise CommandError(delivery.error)
        console.print(
            f"\n{delivery.source.name}: {_many(delivery.taken, 'photo')} taken in, "
            f"{_many(delivery.copies, 'exact copy', 'exact copies')}, "
            f"{delivery.known} known before, {delivery.refused} refused."
        )
        if delivery.refused:
            console.print(f"Why each was refused: {address}sources/{delivery.source_id}/")
        if not delivery.source.rights_stated:
            console.print("Its licence or legal basis is not stated: it can be worked on, but nothing of it exported.")
    counts = progress.funnel()
    found = ", ".join(_many(counts[f"{name}s"], name) for name in ("photo", "face", "cluster"))
    waiting = _many(counts["questions"], "question")
    console.print(f"{found}, [bold]{waiting} waiting[/]: {address}annotate/\nCtrl-C stops it.")


def _many(count: int, one: str, other: str = "") -> str:
    return f"{count} {one if count == 1 else other or one + 's'}"
