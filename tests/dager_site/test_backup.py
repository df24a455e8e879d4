"""A backup holds all of the site as it was at one moment, is whole or none, and comes back on any database."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from celery.signals import worker_init
from django.conf import settings as used
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import QuerySet

from annotation import append_only, audit, erasure, export, holds, tombstones
from annotation.models import AuditEvent, Face, LegalHold, Photo, Release, Source, User
from dager_site import backup as making
from dager_site.backup import back_up, models
from dager_site.backup_format import DESCRIPTION, FILES, BadBackup, Folder, Part, as_json, open_backup
from dager_site.restore import MARK, require_whole, restore
from inference.models import ModelVersion
from tests.factories import a_face, a_photo, a_picture, a_source, a_user
from tests.hostile.world import build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def site(migrating: None, settings: Any, tmp_path: Path) -> Path:
    """A site in folders of its own, with something of everything in it; returns the folder for backups."""
    settings.DATA_DIR = tmp_path / "data"
    settings.MEDIA_ROOT = tmp_path / "data" / "files"
    settings.RELEASES_DIR, settings.MODELS_DIR = tmp_path / "data" / "releases", tmp_path / "data" / "models"
    for folder in (settings.MEDIA_ROOT, settings.RELEASES_DIR, settings.MODELS_DIR / "mine"):
        folder.mkdir(parents=True)
    build()
    for photo in Photo.objects.all():
        a_picture(photo, photo.pk % 5)
    (settings.MODELS_DIR / "mine" / "weights").write_bytes(b"numbers")
    (tmp_path / "brought").mkdir()
    (tmp_path / "brought" / "weights").write_bytes(b"other numbers")
    ours, theirs = ModelVersion.objects.order_by("pk")[:2]
    ModelVersion.objects.filter(pk=ours.pk).update(folder=str(settings.MODELS_DIR / "mine"))
    ModelVersion.objects.filter(pk=theirs.pk).update(folder=str(tmp_path / "brought"))
    audit.seal()
    return tmp_path / "backups"


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, but what a backup and a restore write themselves."""
    found = {}
    for model in models():
        kept = QuerySet(model).order_by("pk")
        if model is AuditEvent:
            kept = kept.exclude(action__in=["backup", "restore"])
        if model is ModelVersion:
            found["folders"] = list(kept.values_list("pk", "folder"))
        columns = [field.attname for field in model._meta.concrete_fields if field.name != "folder"]
        found[model._meta.label] = [
            tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)
            for row in kept.values_list(*columns)
        ]
    return found


def files(folder: Path) -> dict[str, bytes]:
    """What is kept: thumbnails and the like are made again."""
    kept = (
        path for path in folder.rglob("*") if path.is_file() and path.parts[len(folder.parts)] in ("photos", "crops")
    )
    return {str(path.relative_to(folder)): path.read_bytes() for path in kept}


def elsewhere(settings: Any, tmp_path: Path) -> None:
    """The same database, in other folders: what is restored cannot live of what lay there before."""
    for name, folder in {
        "DATA_DIR": "",
        "MEDIA_ROOT": "files",
        "RELEASES_DIR": "releases",
        "MODELS_DIR": "models",
    }.items():
        setattr(settings, name, tmp_path / "new" / folder)
        getattr(settings, name).mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_all_comes_back_as_it_was(site: Path, settings: Any, tmp_path: Path, kind: str):
    before, pictures = rows(), files(Path(settings.MEDIA_ROOT))
    exported = "".join(export.csv_lines())
    head = audit.head()
    where = site / "b.tar" if kind == "tar" else site
    made = back_up(where)
    assert (made.missing_count, made.audit) == (0, {"number": head[0], "hash": head[1]})
    assert where.stat().st_mode & 0o077 == 0
    Photo.objects.exclude(pk=0).update(caption="of later")
    source = Source.objects.create(name="of later")
    elsewhere(settings, tmp_path)

    done = restore(where, replace=True)

    after = rows()
    assert {name for name in before if before[name] != after[name]} == {"folders"}
    assert len(pictures) > 5
    assert files(Path(settings.MEDIA_ROOT)) == pictures
    assert "".join(export.csv_lines()) == exported
    assert (done.rows, done.files, done.migrated) == (made.rows, made.count, False)
    assert audit.verify(head=head[1]).whole
    assert list(AuditEvent.objects.order_by("-pk").values_list("action", flat=True)[:1]) == ["restore"]
    for version in ModelVersion.objects.exclude(folder=""):
        assert Path(version.folder).is_relative_to(tmp_path / "new")
        assert (Path(version.folder) / "weights").read_bytes().endswith(b"numbers")
    release = Release.objects.filter(state="done").first()
    assert release is not None
    assert (settings.RELEASES_DIR / release.folder / "release.json").exists()
    assert Source.objects.create(name="next").pk == source.pk  # neither given twice nor passed over
    with pytest.raises(Exception, match="append-only"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM annotation_auditevent")  # its triggers are on again
    require_whole()


def test_it_is_of_one_moment_while_others_write(site: Path, settings: Any, monkeypatch: pytest.MonkeyPatch):
    """Between two tables somebody takes in a photo: neither half of it is in the backup."""
    real, late = making._table, []

    def table(model: Any, *rest: Any) -> Any:
        if model is Face:
            late.append(_in_another_connection())
        return real(model, *rest)

    def _in_another_connection() -> None:
        """As another process would."""
        import threading  # noqa: PLC0415

        def write() -> None:
            a_face(a_photo(Source.objects.first(), file="late.jpg"))
            connection.close()

        thread = threading.Thread(target=write)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()  # it did not wait for the backup

    monkeypatch.setattr(making, "_table", table)
    photos, faces = Photo.objects.count(), Face.objects.count()
    made = back_up(site)
    counts = {each.name: each.rows for each in made.tables}
    assert late
    assert (counts["annotation_photo"], counts["annotation_face"]) == (photos, faces)
    assert Photo.objects.filter(file="late.jpg").exists()


def test_a_second_one_copies_what_is_new_and_forgets_what_is_gone(site: Path, settings: Any):
    back_up(site)
    contents = {path.name: path.stat().st_ino for path in (site / "content").glob("*/*")}
    gone = Photo.objects.filter(faces__isnull=True, failure="x").first()
    assert gone is not None
    unlike = Path(default_storage.path(gone.key))
    unlike.write_bytes(b"of nobody else")
    back_up(site)
    assert any(path.read_bytes() == b"of nobody else" for path in (site / "content").glob("*/*"))
    gone.delete()
    unlike.unlink()
    again = back_up(site)
    left = {path.name: path.stat().st_ino for path in (site / "content").glob("*/*")}
    assert all(contents.get(name, number) == number for name, number in left.items())  # not written again
    assert not any(path.read_bytes() == b"of nobody else" for path in (site / "content").glob("*/*"))
    assert len(list(site.glob("rows-*"))) == 1
    open_backup(site).check()
    assert again.missing_count == 0


def test_a_file_that_is_not_there_is_told(site: Path, settings: Any, capsys: pytest.CaptureFixture[str]):
    photo = Photo.objects.first()
    assert photo is not None
    Path(default_storage.path(photo.key)).unlink()
    call_command("backup", str(site))
    said = capsys.readouterr()
    assert "It is whole." in said.out
    assert f"1 files that rows name were not there, such as files/{photo.key}" in said.err


class Killed(BaseException):
    pass


def test_broken_off_anywhere_it_leaves_the_backup_before_or_none(site: Path, monkeypatch: pytest.MonkeyPatch):
    """Every step of writing is the last one once; the second time there is a backup before it."""
    real = Folder.add
    for earlier in (False, True):
        if earlier:
            whole = back_up(site).id
        for step in (1, 2, 9, 25):
            left = [step]

            def add(self: Folder, name: str, *rest: Any) -> None:
                left[0] -= 1  # noqa: B023
                if not left[0]:  # noqa: B023
                    (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.path / name).with_name(f".{Path(name).name}.part").write_bytes(b"half")
                    raise Killed
                real(self, name, *rest)

            monkeypatch.setattr(Folder, "add", add)
            with pytest.raises(Killed):
                back_up(site)
            monkeypatch.setattr(Folder, "add", real)
            if earlier:
                backup = open_backup(site)
                backup.check()
                assert backup.description.id == whole
            else:
                with pytest.raises(BadBackup, match="broken off"):
                    open_backup(site)
    (site / "x.tar").touch()
    with pytest.raises(BadBackup, match="exists"):
        back_up(site / "x.tar")


def test_a_full_disk_is_said_and_leaves_nothing_half(site: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/backups/x")

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(CommandError, match=r"The disk is full \(/backups/x\)"):
        call_command("backup", str(site))
    assert not list(site.glob("rows-*"))
    monkeypatch.undo()


def test_what_is_damaged_half_or_tampered_with_is_refused_before_anything_changes(site: Path, settings: Any):
    back_up(site)
    before = rows()
    for path in [*sorted(site.glob("rows-*/*"))[::7], *sorted(site.glob("content/*/*"))[:3]]:
        data = path.read_bytes()
        for damaged in (data[:-1], data[:-1] + bytes([data[-1] ^ 1]), b""):
            path.write_bytes(damaged)
            with pytest.raises(BadBackup, match="damaged"):
                restore(site, replace=True)
        path.unlink()
        with pytest.raises(BadBackup, match="cannot be read"):
            restore(site, replace=True)
        path.write_bytes(data)
    said = (site / DESCRIPTION).read_text()
    (site / DESCRIPTION).write_text(said.replace('"rows": 1', '"rows": 2', 1))
    with pytest.raises(BadBackup, match="was changed"):
        restore(site, replace=True)
    later = open_backup_of(said, site, migrations={"annotation": ["9999_of_the_future"]})
    (site / DESCRIPTION).write_text(later)
    with pytest.raises(BadBackup, match=r"does not know \(annotation 9999_of_the_future\)"):
        restore(site, replace=True)
    for half in ("", "{", said[: len(said) // 2], '{"format": 2}', "[" * 100_000):
        (site / DESCRIPTION).write_text(half)
        with pytest.raises(BadBackup):
            restore(site, replace=True)
    (site / DESCRIPTION).unlink()
    with pytest.raises(CommandError, match="broken off"):
        call_command("restore", str(site))
    assert rows() == before


def test_one_that_was_made_to_fit_by_whoever_tampered_with_it_is_refused_all_the_same(site: Path, settings: Any):
    made = back_up(site, with_key=True)
    before, said = rows(), (site / DESCRIPTION).read_text()
    key = (site / "secret_key").read_text()
    first, *others = made.tables
    evil = 'x") VALUES (1); DROP TABLE annotation_user; --'
    for changed, told in (
        ({"tables": [replace(first, columns=[(evil, "whole"), *first.columns]), *others]}, "table or column"),
        ({"tables": [replace(first, name=evil), *others]}, "table or column"),
        ({"files": [replace(made.files[0], file="rows-x/../../outside"), *made.files[1:]]}, "no backup has"),
    ):
        (site / DESCRIPTION).write_text(open_backup_of(said, site, **changed))
        with pytest.raises(BadBackup, match=told):
            restore(site, replace=True)
    for place, named in (
        ("data", "secret_key"),
        ("model ../..", "x"),
        ("files", ""),
        ("files", "a\0b"),
        ("files", "../x"),
    ):
        empty = hashlib.sha256(b"").hexdigest()
        (site / "content" / empty[:2]).mkdir(exist_ok=True)
        (site / "content" / empty[:2] / empty).write_bytes(b"")
        listed = pa.Table.from_pylist(
            [{"place": place, "key": named, "sha256": empty, "size": 0, "changed": 0}], schema=FILES
        )
        pq.write_table(listed, site / "rows-evil.parquet")
        data = (site / "rows-evil.parquet").read_bytes()
        part = Part("rows-evil.parquet", hashlib.sha256(data).hexdigest(), len(data), 1)
        (site / DESCRIPTION).write_text(open_backup_of(said, site, files=[part]))
        with pytest.raises(BadBackup, match="tampered"):
            restore(site, replace=True)
    (site / DESCRIPTION).write_text(said)
    (site / "secret_key").write_text(key[:-1] + "!")
    with pytest.raises(BadBackup, match="not the key that it was made with"):
        restore(site, replace=True)
    assert rows() == before


def open_backup_of(said: str, folder: Path, **changed: Any) -> str:
    (folder / DESCRIPTION).write_text(said)
    described = replace(open_backup(folder).description, **changed)
    return as_json({"id": described.id} | asdict(described))


def test_a_site_without_a_file_comes_back_too(migrating: None, settings: Any, tmp_path: Path):
    elsewhere(settings, tmp_path)
    a_user("alice")
    back_up(tmp_path / "backup")
    restore(tmp_path / "backup", replace=True)
    assert User.objects.get().username == "alice"


def test_a_site_in_use_is_left_alone_unless_it_is_said(site: Path, settings: Any):
    back_up(site)
    with pytest.raises(BadBackup, match="This site is in use"):
        restore(site)
    settings.SECRET_KEY = "another" * 9
    with pytest.raises(BadBackup, match="signs with another key"):
        restore(site, replace=True)
    restore(site, replace=True, other_key=True)


def test_the_key_goes_along_only_if_asked_for(
    site: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DAGER_SECRET_KEY", raising=False)
    key = settings.SECRET_KEY
    back_up(site)
    assert not any(key.encode() in path.read_bytes() for path in site.rglob("*") if path.is_file())
    back_up(site, with_key=True)
    assert (site / "secret_key").stat().st_mode & 0o077 == 0
    elsewhere(settings, tmp_path)
    settings.SECRET_KEY = "another" * 9
    restore(site, replace=True)
    assert key == settings.SECRET_KEY
    assert (settings.DATA_DIR / "secret_key").read_text() == key
    assert (settings.DATA_DIR / "secret_key").stat().st_mode & 0o077 == 0


def test_a_restore_that_was_broken_off_lets_nothing_start(site: Path, settings: Any, monkeypatch: pytest.MonkeyPatch):
    back_up(site)
    for step in ("_place_files", "_load", "_take_key", "_made_sure_of"):

        def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(f"dager_site.restore.{step}", killed)
            with pytest.raises(Killed):
                restore(site, replace=True)
        assert (settings.MEDIA_ROOT / MARK).exists()
        with pytest.raises(BadBackup, match="broken off"):
            require_whole()
        with pytest.raises(SystemExit, match="broken off"):
            worker_init.send(sender=None)
    restore(site, replace=True)
    require_whole()
    assert User.objects.filter(username="boss").exists()


LATER = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("annotation", "LAST")]
    operations = [
        migrations.RunSQL("ALTER TABLE annotation_user ADD later integer DEFAULT 7", "ALTER TABLE annotation_user DROP later"),
        migrations.RunSQL("UPDATE annotation_user SET first_name = 'later'", migrations.RunSQL.noop),
    ]
"""  # noqa: E501


@pytest.fixture
def later_version(site: Path, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The app as it will be one migration on, with a backup that stands at today's."""
    back_up(site)
    shutil.copytree(Path(append_only.__file__).parent / "migrations", tmp_path / "later_migrations")
    ((_, last),) = MigrationLoader(None).graph.leaf_nodes("annotation")
    (tmp_path / "later_migrations" / "9999_later.py").write_text(LATER.replace("LAST", last))
    monkeypatch.syspath_prepend(tmp_path)
    settings.MIGRATION_MODULES = {"annotation": "later_migrations"}
    call_command("migrate", verbosity=0)
    yield site
    call_command("migrate", "annotation", last, verbosity=0)


def test_one_of_an_older_version_is_brought_up_to_this_one(later_version: Path):
    people = sorted(User.objects.values_list("username", flat=True))
    done = restore(later_version, replace=True)
    assert done.migrated
    assert sorted(User.objects.values_list("username", "first_name")) == [(name, "later") for name in people]


def test_one_from_before_the_migrations_were_made_one_stands_at_that_one(site: Path):
    made = back_up(site)
    own = {name: each for (app, name), each in MigrationLoader(None).disk_migrations.items() if app == "annotation"}
    replaced = [name for _, name in own.pop("0001_first_release").replaces]
    for names, told in (([*replaced, *own], False), ([*replaced[:-1], *own], None)):
        text = open_backup_of(
            (site / DESCRIPTION).read_text(), site, migrations=made.migrations | {"annotation": names}
        )
        (site / DESCRIPTION).write_text(text)
        if told is None:
            with pytest.raises(BadBackup, match="before the first release"):
                restore(site, replace=True)
        else:
            assert restore(site, replace=True).migrated is told


def test_what_was_erased_since_is_erased_again(site: Path, settings: Any, tmp_path: Path):
    """By the list that lies beside the files, or by one that was kept elsewhere; what was not erased comes back."""
    back_up(site)
    boss = User.objects.get(username="boss")
    photo, other = Photo.objects.filter(faces__isnull=False, duplicate_of=None).order_by("-pk")[:2]
    face = other.faces.get()
    for kind, pk in (("photo", photo.pk), ("face", face.pk)):
        asked = erasure.request(kind=kind, ids=[pk], reason="asked for", by=boss)
        erasure.carry_out(asked.pk)
    key, crop, listed = photo.key, face.crop_key, tombstones.list_path().read_bytes()
    assert not Photo.objects.filter(pk=photo.pk).exists()

    for elsewhere_ in (False, True):
        kept = tmp_path / "kept.jsonl"
        if elsewhere_:
            kept.write_bytes(listed)
            elsewhere(settings, tmp_path)
        done = restore(site, replace=True, erasures=kept if elsewhere_ else None)
        assert done.erased_again == 2
        assert not Photo.objects.filter(pk=photo.pk).exists()
        assert not Face.objects.filter(pk=face.pk).exists()
        assert not default_storage.exists(key)
        assert not default_storage.exists(crop)
        assert Photo.objects.filter(pk=other.pk).exists()
        assert default_storage.exists(other.key)
        assert tombstones.refuses(photo.sha256)
        assert audit.verify().whole
    again = back_up(tmp_path / "of today")
    assert again.missing_count == 0
    assert restore(tmp_path / "of today", replace=True).erased_again == 0


def test_what_the_backup_holds_keeps_the_site_closed_until_it_is_lifted(site: Path):
    boss = User.objects.get(username="boss")
    photo = Photo.objects.filter(faces__isnull=False, duplicate_of=None).last()
    assert photo is not None
    hold = holds.place(on=photo, because="a court asks", until=None, by=boss)
    back_up(site)
    holds.lift(hold=hold, because="it is over", by=boss)
    erasure.carry_out(erasure.request(kind="photo", ids=[photo.pk], reason="asked for", by=boss).pk)
    with pytest.raises(BadBackup, match="the site stays closed"):
        restore(site, replace=True)
    with pytest.raises(BadBackup, match="broken off"):
        require_whole()
    boss.refresh_from_db()
    holds.lift(hold=LegalHold.objects.get(photo=photo.pk), because="it is over", by=boss)
    assert restore(site, finish=True).erased_again == 1
    require_whole()
    assert not Photo.objects.filter(pk=photo.pk).exists()
    with pytest.raises(BadBackup, match="No restore is under way"):
        restore(site, finish=True)


def test_what_is_listed_and_was_not_in_the_backup_is_refused_all_the_same(site: Path):
    back_up(site)
    boss = User.objects.get(username="boss")
    late = a_photo(a_source(), sha256="a" * 64)
    erasure.carry_out(erasure.request(kind="photo", ids=[late.pk], reason="asked for", by=boss).pk)
    assert restore(site, replace=True).erased_again == 0
    assert tombstones.refuses("a" * 64)


MOVED = """
import django, sys
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from tests.hostile.world import build
from annotation import append_only, audit, export
build()
audit.seal()
from dager_site.backup import back_up
back_up(__import__("pathlib").Path(sys.argv[1]))
print("".join(export.csv_lines()), end="")
"""


@pytest.mark.services
def test_a_site_moves_from_sqlite_to_postgresql(site: Path, settings: Any, tmp_path: Path):
    there = tmp_path / "there"
    environment = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "CELERY_BROKER_URL")
    }
    environment |= {"DAGER_DATA": str(there), "DAGER_SECRET_KEY": settings.SECRET_KEY}
    exported = subprocess.run(
        [sys.executable, "-c", MOVED, str(site)],
        env=environment,
        cwd=used.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    elsewhere(settings, tmp_path)
    done = restore(site, replace=True)
    assert connection.vendor == "postgresql"
    assert open_backup(site).description.database == "sqlite"
    assert "".join(export.csv_lines()).splitlines() == exported.splitlines()
    assert audit.verify().whole
    assert done.audit_lines > 5
    assert a_face(a_photo(a_source())).pk == Face.objects.order_by("-pk")[0].pk
    assert a_user().pk
    assert json.loads(json.dumps(done.rows)) == open_backup(site).description.rows
