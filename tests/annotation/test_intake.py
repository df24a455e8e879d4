import csv
import errno
import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import IntegrityError
from django.utils import timezone
from PIL import Image

from annotation import accounts, intake, queue
from annotation.errors import BadIntake, SourceExists
from annotation.models import Copy, Intake, Photo, Refusal, Source
from tests.factories import a_face, a_single, a_source, a_user

pytestmark = pytest.mark.django_db


def jpeg(number: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40 + number, 30), (number * 9 % 256, 80, 120)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five photos, a copy of one, a text that calls itself a photo, an empty file, and a system's own file."""
    made = tmp_path / "photos"
    (made / "deep").mkdir(parents=True)
    for number in range(5):
        (made / "deep" / f"{number}.jpg").write_bytes(jpeg(number))
    (made / "copy.jpg").write_bytes(jpeg(0))
    (made / "text.jpg").write_text("I am no photo")
    (made / "empty.jpg").touch()
    (made / ".DS_Store").touch()
    return made


def deliver(path: Path, source: Source | None = None, kind: str = "folder", **options: str) -> Intake:
    delivery = intake.start_intake(source=source or a_source(), kind=kind, path=str(path), by=None, **options)
    intake.take_in(delivery.pk)
    delivery.refresh_from_db()
    return delivery


def counts(delivery: Intake) -> tuple[int, ...]:
    return delivery.taken, delivery.copies, delivery.known, delivery.refused, delivery.skipped


def test_a_folder_is_taken_in_and_every_file_accounted_for(folder: Path):
    delivery = deliver(folder)
    assert delivery.state == "done"
    assert counts(delivery) == (5, 1, 0, 2, 1)
    assert delivery.seen == delivery.total == 9
    assert dict(Refusal.objects.values_list("file", "code")) == {"text.jpg": "not_a_picture", "empty.jpg": "empty"}
    for photo in Photo.objects.all():
        with default_storage.open(photo.key) as kept:
            assert hashlib.sha256(kept.read()).hexdigest() == photo.sha256


def test_again_everything_is_known_and_nothing_new(folder: Path):
    source = a_source()
    deliver(folder, source)
    assert counts(deliver(folder, source)) == (0, 0, 6, 2, 1)
    assert (Photo.objects.count(), Copy.objects.count(), Refusal.objects.count()) == (5, 1, 2)


def test_a_refused_file_that_was_mended_is_taken_and_its_refusal_gone(folder: Path):
    source = a_source()
    deliver(folder, source)
    (folder / "text.jpg").write_bytes(jpeg(77))
    assert counts(deliver(folder, source)) == (1, 0, 6, 1, 1)
    assert list(Refusal.objects.values_list("file", flat=True)) == ["empty.jpg"]


def test_the_same_bytes_from_another_source_are_a_copy(folder: Path):
    deliver(folder)
    assert counts(deliver(folder)) == (0, 6, 0, 2, 1)
    assert Photo.objects.count() == 5


def test_whoever_sees_the_source_that_brings_a_photo_again_is_asked_about_it(folder: Path):
    first, second = a_source(), a_source()
    deliver(folder, first)
    asked, curator = a_single(a_face(Photo.objects.earliest("pk"))), a_user(role="curator")
    asked.refresh_from_db()
    accounts.restrict(curator, [second], by=None)
    assert (asked.source, queue.take_next(curator)) == (first, [])
    deliver(folder, second)
    assert queue.take_next(curator) == [asked]


def stop_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Storage fails once, at this file."""
    real, seen = default_storage.save, [0]

    def save(*arguments: object, **options: object) -> str:
        seen[0] += 1
        if seen[0] == number:
            raise error
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(default_storage, "save", save)


def test_stopped_half_way_it_goes_on_and_counts_right(folder: Path, monkeypatch: pytest.MonkeyPatch):
    delivery = intake.start_intake(source=a_source(), kind="folder", path=str(folder), by=None)
    stop_at(monkeypatch, 3, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        intake.take_in(delivery.pk)
    assert Photo.objects.count() == 2

    intake.take_in(delivery.pk)  # its claim still holds: another worker may be at it
    assert Photo.objects.count() == 2
    intake.take_in(delivery.pk, now=timezone.now() + intake.CLAIM + timedelta(seconds=1))

    delivery.refresh_from_db()
    assert (delivery.state, counts(delivery)) == ("done", (5, 1, 0, 2, 1))


def test_a_full_disk_is_said_and_leaves_nothing_half_written(folder: Path, monkeypatch: pytest.MonkeyPatch):
    source = a_source()
    stop_at(monkeypatch, 3, OSError(errno.ENOSPC, "No space left on device", "/data"))
    delivery = deliver(folder, source)
    assert delivery.state == "failed"
    assert "The disk is full (/data). Free some space" in delivery.error
    assert all(default_storage.exists(photo.key) for photo in Photo.objects.all())
    assert not list(Path(settings.MEDIA_ROOT).rglob(".part-*"))

    assert counts(deliver(folder, source))[0] == 3
    assert Photo.objects.count() == 5


def test_a_file_half_written_is_no_file(monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.replace", broken)
    with pytest.raises(OSError, match="No space"):
        default_storage.save("photos/xx/broken.jpg", io.BytesIO(b"data"))  # type: ignore[arg-type]
    assert not default_storage.exists("photos/xx/broken.jpg")
    assert not list(Path(settings.MEDIA_ROOT, "photos", "xx").iterdir())


def a_manifest(folder: Path, rows: list[dict[str, str]], name: str = "manifest.csv") -> Path:
    path = folder / name
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=sorted({key for row in rows for key in row}))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_manifest_describes_its_photos(folder: Path):
    rows = [
        {"file": "deep/0.jpg", "query": "Ada", "taken_at": "2019-07", "birth_date": "1980", "mood": "glad"},
        {"file": "deep/9.jpg"},
        {"file": "../../etc/passwd"},
        {"file": "https://photos.example/1.jpg"},
        {"file": "deep/0.jpg", "query": "Bob"},
        {"file": "deep/1.jpg", "taken_at": "yesterday"},
    ]
    delivery = deliver(a_manifest(folder, rows), kind="manifest")
    assert counts(delivery) == (1, 0, 0, 5, 0)
    photo = Photo.objects.get()
    assert (photo.query, str(photo.taken_at), photo.taken_at_precision) == ("Ada", "2019-07-01", "month")
    assert photo.metadata == {"mood": "glad"}
    codes = dict(Refusal.objects.values_list("file", "code"))
    assert codes["deep/9.jpg"] == "missing"
    assert codes["../../etc/passwd"] == "path_outside"
    assert codes["https://photos.example/1.jpg"] == "urls_off"
    assert codes["deep/0.jpg"] == "duplicate_row"
    assert codes["deep/1.jpg"] == "bad_row"


def test_the_same_row_twice_is_known(folder: Path):
    delivery = deliver(a_manifest(folder, [{"file": "deep/0.jpg"}] * 2), kind="manifest")
    assert delivery.seen == delivery.total == 2
    assert Photo.objects.count() == 1


def test_a_manifest_may_start_from_the_folder_of_the_photos(folder: Path):
    path = a_manifest(folder.parent, [{"file": "photos/deep/0.jpg"}, {"file": "deep/1.jpg"}])
    assert counts(deliver(path, kind="manifest", root=str(folder)))[0] == 2


def test_a_manifest_that_cannot_be_read_fails_with_its_reason(folder: Path):
    delivery = deliver(a_manifest(folder, [{"picture": "1.jpg"}]), kind="manifest")
    assert delivery.state == "failed"
    assert "Its columns are: picture" in delivery.error


def test_a_zip_is_taken_in(folder: Path, tmp_path: Path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.jpg")):
            archive.write(file, file.relative_to(folder))
        archive.writestr("../escape.jpg", jpeg(9))
    delivery = deliver(path, kind="archive")
    assert counts(delivery) == (5, 1, 0, 3, 0)
    assert Refusal.objects.get(code="path_outside").file == "../escape.jpg"
    assert not (tmp_path.parent / "escape.jpg").exists()


def test_what_is_no_archive_fails_with_its_reason(tmp_path: Path):
    (tmp_path / "a.zip").write_text("no archive")
    delivery = deliver(tmp_path / "a.zip", kind="archive")
    assert (delivery.state, "Pack it anew" in delivery.error) == ("failed", True)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("nowhere", "folder", "There is no folder"),
        (".", "archive", "is not a file"),
        ("a.txt", "folder", "is not a folder"),
    ],
)
def test_a_path_that_cannot_be_taken_in_is_refused_at_once(tmp_path: Path, path: str, kind: str, message: str):
    (tmp_path / "a.txt").touch()
    with pytest.raises(BadIntake, match=message):
        intake.start_intake(source=a_source(), kind=kind, path=str(tmp_path / path), by=None)


def test_an_unfinished_delivery_goes_on_instead_of_starting_twice(folder: Path):
    source = a_source()
    first = intake.start_intake(source=source, kind="folder", path=str(folder), by=None)
    assert intake.start_intake(source=source, kind="folder", path=str(folder), by=None) == first


def test_one_bad_upload_spoils_only_itself():
    source, curator = a_source(), a_user()
    outcomes = [
        intake.take_upload(source=source, name=name, data=data, by=curator).outcome
        for name, data in [
            ("1.jpg", jpeg(1)),
            ("bad.jpg", b"no"),
            ("2.jpg", jpeg(2)),
            ("1.jpg", jpeg(1)),
            ("3.jpg", jpeg(1)),
        ]
    ]
    assert outcomes == ["taken", "refused", "taken", "taken", "copy"]
    assert Photo.objects.count() == 2
    assert Intake.objects.get().kind == "upload"


@pytest.mark.parametrize("name", ["../../x.zip", "x.zip\0.exe", "manifest.CSV"])
def test_an_upload_is_kept_under_a_name_of_our_own(name: str):
    if "\0" in name:
        with pytest.raises(BadIntake):
            intake.keep_upload(name, iter([b"x"]))
        return
    path = intake.keep_upload(name, iter([b"x", b"y"]))
    assert path.is_relative_to(Path(settings.DATA_DIR) / "uploads")
    assert path.read_bytes() == b"xy"


def test_names_too_long_for_a_column_are_refused_and_told_apart():
    source = a_source()
    for last in ("a", "b"):
        taken = intake.take_upload(source=source, name="x" * 600 + last, data=jpeg(1), by=None)
        assert taken.outcome == "refused"
    assert Refusal.objects.filter(code="name_too_long").count() == 2


def test_two_sources_cannot_have_one_name():
    a_source("twice")
    with pytest.raises(SourceExists, match="twice"):
        intake.create_source(name="twice", by=None)
    with pytest.raises(BadIntake):
        intake.create_source(name="a/b", by=None)


def test_progress_is_told_as_files_come_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(intake, "PROGRESS_EVERY", 2)
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    delivery = intake.start_intake(source=a_source(), kind="folder", path=str(tmp_path), by=None)
    told: list[int] = []

    def note() -> None:
        told.append(Intake.objects.get().taken)

    intake.take_in(delivery.pk, on_progress=note)
    assert told == [2, 4]


def test_addresses_are_fetched_only_when_switched_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings):
    settings.INTAKE_URLS = True
    fetch: Callable[..., bytes] = lambda self, url: jpeg(5)  # noqa: E731
    monkeypatch.setattr("annotation.core.downloads.Downloader.fetch", fetch)
    path = a_manifest(tmp_path, [{"url": "https://photos.example/5.jpg"}])
    assert counts(deliver(path, kind="manifest")) == (1, 0, 0, 0, 0)
    assert Photo.objects.get().source_url == "https://photos.example/5.jpg"


def test_a_photo_that_somebody_else_takes_in_at_this_moment_and_that_is_erased_then_is_refused(
    monkeypatch: pytest.MonkeyPatch,
):
    curator, real = a_user(), default_storage.save

    def save_after_another(key: str, content: File) -> str:
        monkeypatch.undo()
        intake.take_upload(source=a_source(), name="first.jpg", data=jpeg(1), by=curator)
        monkeypatch.setattr(Copy.objects, "get_or_create", gone)
        return real(key, content)

    def gone(**_: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(default_storage, "save", save_after_another)
    taken = intake.take_upload(source=a_source(), name="second.jpg", data=jpeg(1), by=curator)
    assert taken.outcome == "refused"
    assert taken.refusal is not None
    assert taken.refusal.code == "erased"
