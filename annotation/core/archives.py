"""A zip or tar in, its files out, one at a time and never onto the disk."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from annotation.core.folders import storable
from annotation.core.refusals import Refusal, Skipped, is_junk

DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
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


# What a tar says of a member beside its header: long names, attributes. All of it is read into memory.
SAID_BESIDE = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
SAID_BYTES = 1_000_000
BEYOND = 50  # reads that find nothing more
READ = 16_384
UNPACKING = 200_000_000  # bytes that xz may take; 65 MB are what its strongest level needs


class _Header(tarfile.TarInfo):
    """A header whose sizes can be true: none below nothing, and nothing said beside it that would fill the memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        if header.size < 0 or (header.type in SAID_BESIDE and header.size > SAID_BYTES):
            raise tarfile.ReadError(f"a header says {header.size} bytes")
        return header


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
        with _tar_of(path) as archive:
            archive.next()
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
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
    with _tar_of(path) as archive:
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
            elif not entry.isreg() or entry.issparse():
                yield Refusal(
                    file, "special_file", "It is a device, pipe or sparse file, not a plain one. Leave it out."
                )
            elif not 0 <= entry.size <= limits.member_bytes:
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


class _Unpacked:
    """What is packed, a piece at a time and no more than is asked for: of ten kilobytes come hundreds of megabytes.

    Whoever goes on reading beyond the end, as one does who skips what a header promised, is told so.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        start = self._file.read(6)
        self._file.seek(0)
        self._stream: io.BufferedReader = self._file
        if start.startswith(b"\x1f\x8b"):
            self._stream = cast(io.BufferedReader, gzip.GzipFile(fileobj=self._file))
        elif start.startswith(b"BZh"):
            self._stream = cast(io.BufferedReader, bz2.BZ2File(self._file))
        elif start.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
            self._stream = cast(io.BufferedReader, _Xz(self._file))
        self._beyond = 0
        self._damage: Exception | None = None

    def read(self, size: int) -> bytes:
        """Of what is damaged, first all that came before."""
        if self._damage is not None:
            raise self._damage
        try:
            piece = self._stream.read1(size)
        except DAMAGE as error:
            self._damage, piece = error, b""
        self._beyond = 0 if piece else self._beyond + 1
        if self._beyond > BEYOND:
            raise EOFError("it ends before all that its headers promise")
        return piece

    def close(self) -> None:
        self._stream.close()
        self._file.close()


class _Xz:
    """As lzma.LZMAFile, with a limit to the memory that the file itself may ask for."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._decompressor = file, lzma.LZMADecompressor(memlimit=UNPACKING)

    def read1(self, size: int) -> bytes:
        while not self._decompressor.eof:
            packed = self._file.read(READ) if self._decompressor.needs_input else b""
            if not packed and self._decompressor.needs_input:
                raise EOFError("it is cut off")
            if piece := self._decompressor.decompress(packed, size):
                return piece
        return b""

    def close(self) -> None:
        self._file.close()


@contextmanager
def _tar_of(path: Path) -> Iterator[tarfile.TarFile]:
    """Read from one end to the other."""
    with closing(_Unpacked(path)) as stream, tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as archive:  # type: ignore[call-overload]
        yield archive


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
