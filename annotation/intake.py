"""Files in, photos out. Each file is taken whole or refused with its reason; the same bytes are one photo."""

import errno
import hashlib
import logging
import os
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from annotation import audit, questions, records, tombstones
from annotation.core import archives, downloads, folders, manifests
from annotation.core.ages import ImpossibleAge
from annotation.core.datasets import readers
from annotation.core.datasets.entry import BadDataset, Unread
from annotation.core.refusals import Refusal as Refused
from annotation.core.refusals import Skipped
from annotation.errors import BadIntake, SourceExists
from annotation.models import FILE_NAME_LENGTH, Copy, Intake, Photo, Refusal, Source, User
from annotation.turns import beginning_again, take_turn
from inference.core.images import PictureRefused
from inference.decoding import decode

log = logging.getLogger(__name__)

CHECKED_AT = 64  # px; a JPEG decoded this small is still read to its last byte, in a fifth of the time
CLAIM = timedelta(minutes=2)  # a worker that takes in says every few seconds that it lives
PROGRESS_EVERY = 25  # files
DELIVERIES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".csv", ".tsv", ".jsonl", ".parquet")
ERASED = "This photo was erased, and may not come back. An admin can let it, on the erasure's page."
Outcome = Literal["taken", "copy", "known", "refused", "skipped"]


@dataclass(frozen=True)
class Arrival:
    """A file as it arrives, with what its manifest says of it. Its bytes are read only when its turn comes."""

    file: str
    read: Callable[[], bytes]
    described: dict[str, object] = field(default_factory=dict)  # columns of Photo


def create_source(
    *, name: str, licence: str = "", legal_basis: str = "", retention_until: date | None = None, by: User | None
) -> Source:
    """A new source. Raises SourceExists, or BadIntake for a name that cannot be one."""
    source = Source(
        name=name.strip(),
        licence=licence.strip(),
        legal_basis=legal_basis.strip(),
        retention_until=retention_until,
        created_by=by,
    )
    try:
        source.full_clean(exclude=["name"] if Source.objects.filter(name=source.name).exists() else None)
    except ValidationError as error:
        raise BadIntake(" ".join(error.messages)) from error
    try:
        with transaction.atomic():
            source.save()
            log_rights(source, by=by)
    except IntegrityError as error:
        raise SourceExists(
            f"There is a source named {source.name!r} already. Add to it, or choose another name."
        ) from error
    return source


@transaction.atomic
def state_rights(
    *, source_id: int, licence: str, legal_basis: str, retention_until: date | None, by: User | None
) -> None:
    """State, or correct, under which rights a source may be used."""
    Source.objects.filter(pk=source_id).update(
        licence=licence.strip(), legal_basis=legal_basis.strip(), retention_until=retention_until
    )
    for source in Source.objects.filter(pk=source_id):
        log_rights(source, by=by)


def log_rights(source: Source, *, by: User | None) -> None:
    """The audit log keeps what was stated about a source, and who did."""
    until = source.retention_until and source.retention_until.isoformat()
    stated = {"licence": source.licence, "legal_basis": source.legal_basis, "retention_until": until}
    audit.write(audit.Action.RIGHTS, by=by, subject=f"source {source.pk}", details=stated)


def start_intake(*, source: Source, kind: str, path: str, root: str = "", layout: str = "", by: User | None) -> Intake:
    """Write down a delivery to take in; the belt does the rest. One that is unfinished goes on.

    `layout` names that of a labelled set. Raises BadIntake for a path that cannot be read.
    """
    if kind == Intake.Kind.LABELLED:
        _require_layout(Path(path), layout)
    _require_readable(Path(path), kind)
    if root and not Path(root).is_dir():
        raise BadIntake(
            f"{root} is not a folder, so the manifest's paths cannot start there. Name the folder of the photos."
        )
    unfinished = Intake.objects.filter(
        source=source,
        kind=kind,
        path=path,
        root=root,
        layout=layout,
        state__in=[Intake.State.WAITING, Intake.State.RUNNING],
    ).first()
    return unfinished or Intake.objects.create(
        source=source, kind=kind, path=path, root=root, layout=layout, created_by=by
    )


def _require_layout(path: Path, layout: str) -> None:
    """That the set is what its layout expects, as far as its first picture shows."""
    try:
        next(readers.read(layout, path), None)
    except (BadDataset, OSError) as error:
        raise BadIntake(_told(error)) from error


def _require_readable(path: Path, kind: str) -> None:
    if kind == Intake.Kind.LABELLED:
        kind = Intake.Kind.FOLDER if path.is_dir() else Intake.Kind.MANIFEST
    wanted = "folder" if kind == Intake.Kind.FOLDER else "file"
    if not path.exists():
        raise BadIntake(f"There is no {wanted} {path}. Check the spelling; the path is one of the server's.")
    if path.is_dir() != (kind == Intake.Kind.FOLDER):
        raise BadIntake(f"{path} is not a {wanted}. Give a folder of photos, or a zip, tar or manifest file.")
    if not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
        raise BadIntake(f"{path} cannot be read by this user. Change its permissions (chmod a+rX) and try again.")


def take_in(intake_id: int, *, on_progress: Callable[[], object] = lambda: None, now: datetime | None = None) -> None:
    """Take in a whole delivery. Stopped half-way, it starts over and knows by their hashes what it has.

    One worker at a time: the claim is renewed as files come in, and runs out when the worker dies.
    """
    intake = _claim(intake_id, now or timezone.now())
    if intake is None:
        return
    try:
        intake.total = _count(intake)
        counts = dict.fromkeys(("taken", "copies", "known", "refused", "skipped"), 0)
        for number, outcome in enumerate(_outcomes(intake), start=1):
            counts[{"copy": "copies"}.get(outcome, outcome)] += 1
            if number % PROGRESS_EVERY == 0:
                if not _report(intake, counts):
                    return  # its source is being erased
                on_progress()
        _report(intake, counts, state=Intake.State.DONE, finished_at=timezone.now(), claimed_until=None)
        _drop_upload(Path(intake.path))
    except (OSError, BadIntake) as error:
        log.exception("Intake %s failed", intake_id)
        _report(
            intake, {}, state=Intake.State.FAILED, error=_told(error), finished_at=timezone.now(), claimed_until=None
        )


def _drop_upload(path: Path) -> None:
    """What was uploaded is taken in: its pictures are kept once, where an erasure finds them."""
    if path.parent.parent == Path(settings.DATA_DIR) / "uploads":
        shutil.rmtree(path.parent, ignore_errors=True)


def _claim(intake_id: int, now: datetime) -> Intake | None:
    with transaction.atomic():
        intake = Intake.objects.select_for_update(of=("self",)).select_related("source").filter(pk=intake_id).first()
        if intake is None or intake.state in (Intake.State.DONE, Intake.State.FAILED):
            return None
        if intake.claimed_until is not None and intake.claimed_until > now:
            return None
        intake.state, intake.claimed_until, intake.started_at = (
            Intake.State.RUNNING,
            now + CLAIM,
            intake.started_at or now,
        )
        intake.save(update_fields=["state", "claimed_until", "started_at"])
    return intake


def _report(intake: Intake, counts: dict[str, int], **fields: object) -> bool:
    """Returns whether it is still to go on: an erasure of its source ends it."""
    columns: dict[str, object] = {"claimed_until": timezone.now() + CLAIM, "total": intake.total} | counts | fields
    return bool(Intake.objects.filter(pk=intake.pk, state=Intake.State.RUNNING).update(**columns))


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        place = error.filename or settings.MEDIA_ROOT
        return f"The disk is full ({place}). Free some space and start the intake again; what was taken in is kept."
    return str(error) or type(error).__name__


# ---- what a delivery holds, one file at a time

Item = Arrival | Refused | Skipped


def _arrivals(intake: Intake) -> Iterator[Item]:
    if intake.kind == Intake.Kind.FOLDER:
        return _of_folder(Path(intake.path))
    if intake.kind == Intake.Kind.ARCHIVE:
        return _of_archive(Path(intake.path))
    if intake.kind == Intake.Kind.LABELLED:
        return _of_labelled(Path(intake.path), intake.layout)
    return _of_manifest(intake)


def _of_folder(folder: Path) -> Iterator[Item]:
    for found in folders.walk(folder):
        yield Arrival(found.file, _reader(found.path)) if isinstance(found, folders.Found) else found


def _of_archive(path: Path) -> Iterator[Item]:
    limits = archives.ArchiveLimits(member_bytes=settings.INTAKE_FILE_MB * 1_000_000)
    try:
        for member in archives.members(path, limits):
            yield Arrival(member.file, member.read) if isinstance(member, archives.Member) else member
    except archives.BadArchive as error:
        raise BadIntake(str(error)) from error


def _of_manifest(intake: Intake) -> Iterator[Item]:
    path = Path(intake.path)
    root = Path(intake.root) if intake.root else path.parent
    first_rows = manifests.FirstRows()
    downloader = downloads.Downloader(downloads.DownloadLimits(megabytes=settings.INTAKE_FILE_MB))
    try:
        for row in manifests.read(path):
            if isinstance(row, Refused):
                yield row
                continue
            if first_rows.contradicts(row):
                reason = f"Line {row.line} names it again and says something else. The first row counts; remove one."
                yield Refused(row.place, "duplicate_row", reason)
            else:
                yield _of_row(row, root, downloader)
    except manifests.BadManifest as error:
        raise BadIntake(str(error)) from error


def _of_row(row: manifests.Row, root: Path, downloader: downloads.Downloader) -> Item:
    described: dict[str, object] = dict(row.texts) | {"metadata": dict(row.metadata)}
    for column, partial in row.dates.items():
        described |= {column: partial.day, f"{column}_precision": partial.precision}
    if row.is_address:
        if not settings.INTAKE_URLS:
            reason = "Addresses are not fetched on this server. Switch it on with DAGER_FETCH_URLS=1, or give files."
            return Refused(row.place, "urls_off", reason)
        described.setdefault("source_url", row.place)
        return Arrival(row.place, lambda: downloader.fetch(row.place), described)
    try:
        path = _below(root, row.place)
    except ValueError as error:
        return Refused(row.place, "path_outside", str(error))
    return Arrival(row.place, _reader(path), described)


def _below(root: Path, place: str) -> Path:
    """The file of a row. A root that is the folder of the photos itself may carry the first part of the names, too."""
    path = manifests.resolve(root, place)
    first, _, rest = place.partition("/")
    if not path.exists() and rest and first == root.name:
        return manifests.resolve(root, rest)
    return path


def _of_labelled(path: Path, layout: str) -> Iterator[Item]:
    """The pictures of a labelled set, each with what the set says of it."""
    folder = path if path.is_dir() else path.parent
    try:
        for entry in readers.read(layout, path):
            if isinstance(entry, Unread):
                yield Refused(entry.file, "unread", entry.reason)
                continue
            described: dict[str, object] = {"imported": records.kept(entry), "metadata": dict(entry.metadata)}
            for name, date in (("birth_date", entry.birth_date), ("taken_at", entry.taken_at)):
                if date is not None:
                    described |= {name: date.day, f"{name}_precision": date.precision}
            yield Arrival(entry.file, _reader(folder / entry.file), described)
    except BadDataset as error:
        raise BadIntake(str(error)) from error


def _reader(path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(settings.INTAKE_FILE_MB * 1_000_000 + 1)

    return read


def _count(intake: Intake) -> int | None:
    """How many files are to come; not known for a tar, which would have to be unpacked to be counted."""
    path = Path(intake.path)
    if intake.kind == Intake.Kind.ARCHIVE and not zipfile.is_zipfile(path):
        return None
    if intake.kind == Intake.Kind.ARCHIVE:
        with zipfile.ZipFile(path) as archive:
            return sum(not entry.is_dir() for entry in archive.infolist())
    return sum(1 for _ in _arrivals(intake))


# ---- one file


def _outcomes(intake: Intake) -> Iterator[Outcome]:
    for item in _arrivals(intake):
        if isinstance(item, Skipped):
            yield "skipped"
        elif isinstance(item, Refused):
            yield _refuse(intake.source, intake, item.file, item.code, item.reason).outcome
        else:
            yield take(intake.source, intake, item).outcome


@dataclass(frozen=True)
class Taken:
    outcome: Outcome
    photo: Photo | None = None
    refusal: Refusal | None = None


def take(source: Source, intake: Intake, arrival: Arrival) -> Taken:
    """Take one file whole, or refuse it. The bytes are kept before the row, so that no row is without its bytes.

    Raises OSError when the storage fails: that is no fault of the file's.
    """
    if len(arrival.file) > FILE_NAME_LENGTH:
        reason = f"Its name has {len(arrival.file)} characters; at most {FILE_NAME_LENGTH} are kept. Shorten it."
        return _refuse(source, intake, _shortened(arrival.file), "name_too_long", reason)
    earlier = Photo.objects.filter(source=source, file=arrival.file).first()
    if earlier is not None and arrival.file.startswith(("http://", "https://")):
        return Taken("taken" if earlier.intake_id == intake.pk else "known", earlier)
    try:
        data = arrival.read()
    except downloads.DownloadRefused as error:
        return _refuse(source, intake, arrival.file, error.code, str(error))
    except FileNotFoundError:
        return _refuse(
            source, intake, arrival.file, "missing", "There is no such file. Check the name, or deliver the file, too."
        )
    except (OSError, *archives.DAMAGE) as error:
        cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return _refuse(
            source, intake, arrival.file, "unreadable", f"It cannot be read: {cause}. Mend the file or its permissions."
        )
    sha256 = hashlib.sha256(data).hexdigest()
    known = Photo.objects.filter(sha256=sha256).first()
    if known is None:
        return _new(source, intake, arrival, data, sha256)
    return _known(source, intake, arrival, known)


def _known(source: Source, intake: Intake, arrival: Arrival, known: Photo) -> Taken:
    try:
        return _again(source, intake, arrival, known)
    except (IntegrityError, Photo.DoesNotExist):  # it, or the source, is erased at this moment
        return _gone(source, intake, arrival)


def _new(source: Source, intake: Intake, arrival: Arrival, data: bytes, sha256: str) -> Taken:
    try:
        decoded = decode(data, max_side=CHECKED_AT)
    except PictureRefused as error:
        return _refuse(source, intake, arrival.file, error.code, str(error))
    described = dict(arrival.described)
    if decoded.taken_at is not None and "taken_at" not in described:
        described |= {"taken_at": decoded.taken_at, "taken_at_precision": "day"}
    photo = Photo(
        sha256=sha256,
        source=source,
        intake=intake,
        file=arrival.file,
        format=decoded.format,
        size=len(data),
        width=decoded.width,
        height=decoded.height,
        **described,
    )
    try:
        records.age_by_dates(photo)
    except ImpossibleAge as error:
        return _refuse(source, intake, arrival.file, "impossible_age", str(error))
    if tombstones.refuses(sha256):
        default_storage.delete(photo.key)  # that of a worker who was killed while it was erased
        return _refuse(source, intake, arrival.file, "erased", ERASED)
    default_storage.save(photo.key, ContentFile(data))
    try:
        with transaction.atomic():
            take_turn(shared=True)  # an erasure is before or after this
            if tombstones.refuses(sha256) or not Source.objects.filter(pk=source.pk).exists():
                raise IntegrityError
            photo.save()
            Refusal.objects.filter(source=source, file=arrival.file).delete()
    except IntegrityError:
        # Another worker took the same bytes in at the same moment, or they were erased.
        known = Photo.objects.filter(sha256=sha256).first()
        if known is None:
            default_storage.delete(photo.key)
            return _gone(source, intake, arrival)
        return _known(source, intake, arrival, known)
    return Taken("taken", photo)


def _gone(source: Source, intake: Intake, arrival: Arrival) -> Taken:
    """Raises BadIntake if it is the source that is gone."""
    if not Source.objects.filter(pk=source.pk).exists():
        raise BadIntake(f"The source {source.name!r} was erased meanwhile. Nothing more is taken in.")
    return _refuse(source, intake, arrival.file, "erased", ERASED)


@beginning_again
def _again(source: Source, intake: Intake, arrival: Arrival, known: Photo) -> Taken:
    """The same bytes: the same file again, or a copy under another name or from another source."""
    Refusal.objects.filter(source=source, file=arrival.file).delete()
    if source.pk != known.source_id:
        questions.another_brought(known)  # first, as whoever answers locks the question, and then waits for the turn
    said = arrival.described.get("imported")
    if said is not None and not _says(known, said):
        # Of another source's file nobody is told here: not all who read this see that source.
        place = f"as {known.file!r}" if known.source_id == source.pk else "in another source"
        reason = f"Its picture came before {place}, with other labels. Remove one of the two from the set."
        return _refuse(source, intake, arrival.file, "contradicts", reason)
    if (known.source_id, known.file) == (source.pk, arrival.file):
        return Taken("taken" if known.intake_id == intake.pk else "known", known)
    copy, new = Copy.objects.get_or_create(
        photo=known,
        source=source,
        file=arrival.file,
        defaults={"intake": intake}
        | {key: arrival.described[key] for key in ("query", "source_url") if key in arrival.described},
    )
    return Taken("copy" if new or copy.intake_id == intake.pk else "known", known)


@transaction.atomic
def _says(known: Photo, said: object) -> bool:
    """Have a photo that is here say what a set says of it; False if it says something else already."""
    photo = Photo.objects.select_for_update(of=("self",)).select_related("source").get(pk=known.pk)
    if photo.imported is None:
        photo.imported = said
        photo.save(update_fields=["imported"])
        if photo.faces_sought_at is not None:
            records.write_down_record(photo)
    return bool(photo.imported == said)


def _refuse(source: Source, intake: Intake, file: str, code: str, reason: str) -> Taken:
    refusal, _ = Refusal.objects.update_or_create(
        source=source, file=_shortened(file), defaults={"intake": intake, "code": code, "reason": reason}
    )
    return Taken("refused", refusal=refusal)


def _shortened(file: str) -> str:
    """A name that fits its column and is still one of its own."""
    if len(file) <= FILE_NAME_LENGTH:
        return file
    return f"{file[: FILE_NAME_LENGTH - 26]}…{manifests.digest(file).hex()}"


# ---- uploads


def upload_intake(*, source: Source, by: User | None) -> Intake:
    """The delivery that today's uploads of this person to this source belong to."""
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    mine = Intake.objects.filter(source=source, kind=Intake.Kind.UPLOAD, created_by=by, created_at__gte=today)
    return mine.first() or Intake.objects.create(
        source=source, kind=Intake.Kind.UPLOAD, created_by=by, state=Intake.State.DONE, started_at=timezone.now()
    )


def take_upload(*, source: Source, name: str, data: bytes, by: User | None) -> Taken:
    """Take one uploaded file. Its name is only a name: what it is, its content says."""
    intake = upload_intake(source=source, by=by)
    taken = take(source, intake, Arrival(folders.storable(name), lambda: data))
    column = {"taken": "taken", "copy": "copies", "known": "known", "refused": "refused", "skipped": "skipped"}[
        taken.outcome
    ]
    Intake.objects.filter(pk=intake.pk).update(**{column: F(column) + 1}, finished_at=timezone.now())
    return taken


def keep_upload(name: str, chunks: Iterator[bytes]) -> Path:
    """Keep an uploaded archive or manifest until the belt has taken it in; returns where. Raises BadIntake."""
    ending = "".join(Path(name).suffixes[-2:]).lower()
    if not ending.endswith(DELIVERIES):
        raise BadIntake(f"{name!r} is no archive or manifest. Upload {', '.join(DELIVERIES)}.")
    folder = Path(settings.DATA_DIR) / "uploads" / uuid.uuid4().hex
    folder.mkdir(parents=True)
    path = folder / f"delivery{ending}"
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
    return path
