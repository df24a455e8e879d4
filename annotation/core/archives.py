"""A zip or tar in, its files out, one at a time and never onto the disk."""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from annotation.core.folders import storable
from annotation.core.refusals import Refusal, Skipped, is_junk

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
)


@dataclass(frozen=True)
class ArchiveLimits:
    member_bytes: int = 30_000_000  # of one file; the intake's own limit
    total_bytes: int = 100_000_000_000  # of all files together, unpacked
    members: int = 2_000_000
    ratio: int = 200  # unpacked to packed, of one member; pictures hardly shrink at all


@dataclass(frozen=True)
class Member:
    """A file of the archive; `read` is valid until the next one is asked for."""

    file: str
    read: Callable[[], bytes]


class BadArchive(Exception):
    def __init__(self, path: Path, cause: str) -> None:
        super().__init__(f"{path.name} is not a zip or tar archive that can be read: {cause}. Pack it anew.")


def members(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> Iterator[Member | Refusal | Skipped]:
    """Every file of the archive, or the reason why not, in constant memory.

    What was read before a damaged place is kept, and the damage is reported as a refusal of the archive
    itself. Raises BadArchive for a file that is no archive at all.
    """
    if zipfile.is_zipfile(path):
        return _guarded(path, _zip(path, limits), limits)
    try:
        with tarfile.open(path) as archive:
            archive.next()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise BadArchive(path, str(error)) from error
    return _guarded(path, _tar(path, limits), limits)


def _guarded(
    path: Path, found: Iterator[Member | Refusal | Skipped], limits: ArchiveLimits
) -> Iterator[Member | Refusal | Skipped]:
    count = 0
    try:
        for item in found:
            count += 1
            if count > limits.members:
                yield Refusal(
                    path.name,
                    "archive_bomb",
                    f"It holds more than {limits.members} files. The rest is left out; split it.",
                )
                return
            yield item
    except DAMAGE as error:
        cause = str(error) or type(error).__name__
        yield Refusal(
            path.name,
            "archive_damaged",
            f"It is damaged after {count} files ({cause}). What came before was taken in; pack it anew.",
        )


def _zip(path: Path, limits: ArchiveLimits) -> Iterator[Member | Refusal | Skipped]:
    total = 0
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            file = storable(entry.filename)
            kind = entry.external_attr >> 28
            if entry.is_dir():
                continue
            if is_junk(file):
                yield Skipped(file)
            elif (unsafe := _unsafe(file)) is not None:
                yield unsafe
            elif kind == 0xA:
                yield _link(file)
            elif entry.flag_bits & 1:
                yield Refusal(file, "encrypted", "It is encrypted. Pack it anew without a password.")
            elif entry.file_size > limits.member_bytes or entry.file_size > limits.ratio * max(
                entry.compress_size, 1_000
            ):
                yield _bomb(file, entry.file_size)
            elif total + entry.file_size > limits.total_bytes:
                yield _bomb(path.name, total + entry.file_size)
                return
            else:
                total += entry.file_size
                yield Member(file, lambda entry=entry: _limited(archive.open(entry), limits))  # type: ignore[misc]


def _tar(path: Path, limits: ArchiveLimits) -> Iterator[Member | Refusal | Skipped]:
    total = 0
    with tarfile.open(path, "r|*") as archive:
        for entry in archive:
            file = storable(entry.name)
            if entry.isdir():
                continue
            if is_junk(file):
                yield Skipped(file)
            elif (unsafe := _unsafe(file)) is not None:
                yield unsafe
            elif entry.issym() or entry.islnk():
                yield _link(file)
            elif not entry.isreg():
                yield Refusal(file, "special_file", "It is a device or pipe, not a file. Leave it out.")
            elif entry.size > limits.member_bytes:
                yield _bomb(file, entry.size)
            elif total + entry.size > limits.total_bytes:
                yield _bomb(path.name, total + entry.size)
                return
            else:
                total += entry.size
                content = archive.extractfile(entry)
                if content is not None:
                    yield Member(file, lambda content=content: _limited(content, limits))  # type: ignore[misc]
            archive.members = []  # type: ignore[attr-defined]  # it would keep every header in memory


def _limited(stream: IO[bytes], limits: ArchiveLimits) -> bytes:
    """The content, whatever the header promised: not a byte more than the limit and one."""
    with stream:
        return stream.read(limits.member_bytes + 1)


def _unsafe(file: str) -> Refusal | None:
    path = PurePosixPath(file.replace("\\", "/"))
    if path.is_absolute() or (len(file) > 1 and file[1] == ":"):
        return Refusal(file, "absolute_path", "Its name is an absolute path. Pack the archive with relative names.")
    if ".." in path.parts:
        return Refusal(file, "path_outside", "Its name leads out of the archive (..). Pack the archive anew.")
    return None


def _link(file: str) -> Refusal:
    return Refusal(file, "link", "It is a link, not a file. Pack the file itself.")


def _bomb(file: str, size: int) -> Refusal:
    return Refusal(
        file, "archive_bomb", f"It would unpack to {size / 1e6:.1f} MB, more than is allowed or credible. Leave it out."
    )
