"""Archives that would write elsewhere, fill the memory, or say one thing and hold another."""

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from PIL import Image

from annotation import intake
from annotation.core.archives import DAMAGE, ArchiveLimits, BadArchive, Member, members
from annotation.models import Photo
from tests.factories import a_source
from tests.hostile.conftest import Tried

LIMITS = ArchiveLimits(member_bytes=1_000_000, total_bytes=20_000_000, members=2_000)
NOISE = os.urandom(20_000)  # as a picture it does not shrink
NAMES = [
    *("../x.jpg", "../../../../../../etc/x.jpg", "a/../../x.jpg", "a/b/../../../x.jpg", "./../x.jpg", "..", ".../../x.jpg"),
    *("/etc/x.jpg", "//etc/x.jpg", "///x.jpg", "/../x.jpg", "C:x.jpg", "C:\\x.jpg", "c:/x.jpg", "\\x.jpg", "\\\\host\\share\\x.jpg"),
    *("..\\x.jpg", "a\\..\\..\\x.jpg", "..\\../x.jpg", "a/..\\..\\x.jpg", "\\\\?\\C:\\x.jpg", "\\..\\x.jpg", "a/../..", "x/../.."),
]  # fmt: skip
# No way out, but odd: such a name is text, and never part of a path of ours.
ODD_NAMES = [
    *("..%2fx.jpg", "%2e%2e/x.jpg", "..%c0%afx.jpg", "．．／x.jpg", "‥/x.jpg", "..;/x.jpg", "CON.jpg", "nul.jpg", "x.jpg.", " .jpg"),
    *("x\u202egpj.exe", "x\u200b.jpg", "e\u0301.jpg", "é.jpg", "-rf.jpg", "~/x.jpg", "$HOME/x.jpg", "`id`.jpg", "|id|.jpg", "x\ny.jpg"),
    *("x" * 255 + ".jpg", "d/" * 400 + "x.jpg", "<script>.jpg", "'; DROP TABLE x;--.jpg", "x.php\0.jpg", "\x1b[2J.jpg", "a/./b/.//x.jpg"),
]  # fmt: skip


def a_zip(path: Path, entries: Mapping[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, how)
    return path


def a_tar(path: Path, entries: list[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for entry, data in entries:
            archive.addfile(entry, io.BytesIO(data))
    return path


def entry(
    name: str, data: bytes = NOISE, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, link
    made.size = len(data) if kind == tarfile.REGTYPE else 0
    return made, data


def read(path: Path) -> tuple[dict[str, int], int]:
    """What it gives: sizes by name, all read; and the most memory that it took."""
    found: dict[str, int] = {}
    tracemalloc.start()
    try:
        for item in members(path, LIMITS):
            if isinstance(item, Member):
                try:
                    found[item.file] = len(item.read())
                except Exception as error:  # as the intake, which refuses that one file
                    assert isinstance(error, DAMAGE), error  # that the intake knows
    except BadArchive:
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found, peak


def leads_out(name: str) -> bool:
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def test_names_that_lead_out_are_given_to_nobody(tmp_path: Path, tried: Tried):
    for name in NAMES:
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
            path = a_tar(tmp_path / "a.tar", [entry(name), entry("1.jpg")], form)
            found, _ = read(path)
            tried((form, name), through=any(map(leads_out, found)) or "1.jpg" not in found)
        found, _ = read(a_zip(tmp_path / "a.zip", {name: NOISE, "1.jpg": NOISE}))
        tried(("zip", name), through=any(map(leads_out, found)) or "1.jpg" not in found)


def test_links_devices_and_what_else_is_no_file_are_given_to_nobody(tmp_path: Path, tried: Tried):
    kinds = [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        b"S",
        b"D",
        b"M",
        b"V",
        b"Z",
    ]
    for kind in kinds:
        for link in ("/etc/passwd", "../../../../etc/passwd", "1.jpg", "/dev/zero", "/proc/self/environ", ""):
            # A link first, then a file that would go through it.
            path = a_tar(tmp_path / "a.tar", [entry("link", b"", kind, link), entry("link/2.jpg"), entry("1.jpg")])
            found, _ = read(path)
            tried((kind, link), through=found.get("link", 0) > 0 or found.get("1.jpg") != len(NOISE))
    for mode in (0o120777, 0o020666, 0o060666, 0o010666, 0o140777):
        odd = zipfile.ZipInfo("link")
        odd.external_attr = mode << 16
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr(odd, "/etc/passwd")
        # What is stored is the path's text: a few bytes that are no picture, and never what it points to.
        found, _ = read(tmp_path / "a.zip")
        tried(oct(mode), through=found.get("link", 0) > len("/etc/passwd"))


def bombs(folder: Path) -> Iterator[tuple[str, Path]]:
    zeros = b"\0" * 12_000_000
    for name, how in {"deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.items():
        yield f"zip, {name}", a_zip(folder / f"{name}.zip", {"1.jpg": zeros}, how)
    packed = a_zip(folder / "inner.zip", {"1.jpg": zeros}).read_bytes()
    yield "zip in zip", a_zip(folder / "nested.zip", {f"{n}.zip": packed for n in range(40)})
    yield "many empty files", a_zip(folder / "many.zip", {f"{n}.jpg": b"" for n in range(5_000)})
    yield "many files", a_zip(folder / "total.zip", {f"{n}.jpg": NOISE * 45 for n in range(30)}, zipfile.ZIP_STORED)
    for ending, pack in {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}.items():
        tar = a_tar(folder / "inner.tar", [entry("1.jpg", zeros)]).read_bytes()
        (folder / f"bomb.tar.{ending}").write_bytes(pack(tar))
        yield f"tar, {ending}", folder / f"bomb.tar.{ending}"
        # Zeros are no header: a tar of nothing but zeros ends at once.
        (folder / f"zeros.tar.{ending}").write_bytes(pack(zeros))
        yield f"zeros, {ending}", folder / f"zeros.tar.{ending}"
    for kind in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
        header = tarfile.TarInfo("x")
        header.type, header.size = kind, len(zeros)
        (folder / "said.tar.gz").write_bytes(gzip.compress(header.tobuf(tarfile.GNU_FORMAT) + zeros + b"\0" * 512 * 3))
        yield f"said beside it, {kind!r}", folder / "said.tar.gz"
    sparse, _ = entry("sparse.jpg", b"")
    sparse.type = tarfile.GNUTYPE_SPARSE
    raw = bytearray(sparse.tobuf(tarfile.GNU_FORMAT))
    raw[386:398], raw[398:410] = b"00000000000\0", b"00000000000\0"
    raw[483:495] = b"00004000000\0"
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw):06o}\0 ".encode()
    (folder / "sparse.tar").write_bytes(bytes(raw) + b"\0" * 1024)
    yield "a file of holes", folder / "sparse.tar"


def test_bombs_take_no_memory_and_give_little(tmp_path: Path, tried: Tried):
    for name, path in bombs(tmp_path):
        found, peak = read(path)
        all_of_it = sum(found.values())
        tried(
            (name, peak, all_of_it),
            through=peak > 10_500_000
            or all_of_it > LIMITS.total_bytes
            or len(found) > LIMITS.members
            or max(found.values(), default=0) > LIMITS.member_bytes + 1,
        )


def patched(path: Path, at: bytes, offset: int, value: bytes, *, last: bool = False) -> Path:
    """Some bytes of a header changed: `offset` from where its signature is."""
    data = bytearray(path.read_bytes())
    place = (data.rfind(at) if last else data.find(at)) + offset
    data[place : place + len(value)] = value
    made = path.with_name(f"patched-{len(list(path.parent.iterdir()))}{path.suffix}")
    made.write_bytes(data)
    return made


CENTRAL, LOCAL, END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"


def lies(folder: Path) -> Iterator[tuple[str, Path]]:
    """Headers that do not say what is there."""
    good = a_zip(folder / "good.zip", {"1.jpg": b"\0" * 900_000, "2.jpg": NOISE})
    for size in (0, 1, 5_000, 0x7FFFFFFF, 0xFFFFFFFF):
        yield f"unpacked size {size}", patched(good, CENTRAL, 24, struct.pack("<I", size))
        yield f"packed size {size}", patched(good, CENTRAL, 20, struct.pack("<I", size))
        yield f"local size {size}", patched(good, LOCAL, 22, struct.pack("<I", size))
        yield f"where it lies {size}", patched(good, CENTRAL, 42, struct.pack("<I", size))
        yield f"where the list lies {size}", patched(good, END, 16, struct.pack("<I", size))
        yield f"how long the list is {size}", patched(good, END, 12, struct.pack("<I", size))
    for count in (0, 1, 0xFFFE):
        yield f"entries {count}", patched(good, END, 10, struct.pack("<H", count))
    for how in (1, 6, 9, 93, 99, 0xFFFF):
        yield f"method {how}", patched(good, CENTRAL, 10, struct.pack("<H", how))
    yield "encrypted", patched(good, CENTRAL, 8, b"\x01\x00")
    yield "strongly encrypted", patched(good, CENTRAL, 8, b"\x41\x00")
    yield "another name inside", patched(good, LOCAL, 30, b"../x.")
    yield "two files in one place", patched(good, CENTRAL, 42, struct.pack("<I", 0), last=True)
    yield "the wrong sum", patched(good, CENTRAL, 16, b"\0\0\0\0")
    for cut in (1, 10, 30, 100, 1_000, len(NOISE)):
        (folder / f"cut{cut}.zip").write_bytes(good.read_bytes()[:-cut])
        yield f"cut by {cut}", folder / f"cut{cut}.zip"
    (folder / "before.zip").write_bytes(b"\xff\xd8\xff" + b"x" * 500 + good.read_bytes())
    yield "something before it", folder / "before.zip"
    tar = a_tar(folder / "good.tar", [entry("1.jpg"), entry("2.jpg")]).read_bytes()
    for name, size in {
        "below nothing": b"\xff" * 12,
        "without end": b"\x80" + b"\0" * 3 + b"\x7f" + b"\xff" * 7,
        "as large as can be": b"77777777777\0",
        "no number": b"99999999999\0",
        "with a minus": b"-0000000777\0",
        "empty": b"\0" * 12,
    }.items():
        for first in (True, False):
            header = bytearray(tar)
            at = 0 if first else tar.rfind(b"2.jpg")
            header[at + 124 : at + 136] = size
            header[at + 148 : at + 156] = b" " * 8
            header[at + 148 : at + 156] = f"{sum(header[at : at + 512]):06o}\0 ".encode()
            (folder / "size.tar").write_bytes(header)
            yield f"tar of a size {name}, {first}", folder / "size.tar"
    for key, value in {
        "size": "-1",
        "path": "../x.jpg",
        "linkpath": "/etc/passwd",
        "GNU.sparse.realsize": "9" * 15,
        "GNU.sparse.map": "0,1,2",
        "size ": "99999999999",
        "mtime": "nan",
    }.items():
        made, data = entry("1.jpg")
        made.pax_headers = {key: value}
        yield f"pax {key}={value}", a_tar(folder / "pax.tar", [(made, data), entry("2.jpg")])
    for cut in (1, 600, 5_000):
        (folder / "cut.tar").write_bytes(tar[:-cut])
        yield f"tar cut by {cut}", folder / "cut.tar"
        (folder / "cut.tar.gz").write_bytes(gzip.compress(tar)[:-cut])
        yield f"gz cut by {cut}", folder / "cut.tar.gz"


@pytest.mark.timeout(60)
def test_headers_that_lie_give_nothing_more_than_is_there(tmp_path: Path, tried: Tried):
    for name, path in lies(tmp_path):
        found, peak = read(path)
        through = peak > 10_500_000 or any(map(leads_out, found)) or max(found.values(), default=0) > 1_000_001
        tried((name, found, peak), through=through)


@pytest.mark.django_db
def test_whatever_it_is_called_it_is_kept_under_its_hash(tmp_path: Path, tried: Tried):
    """The whole way: two archives into the intake, and nothing lies anywhere but where photos lie."""

    def picture(n: int) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (30 + n, 20), (n, 80, 120)).save(stream, "PNG")
        return stream.getvalue()

    names = [*NAMES, *ODD_NAMES]
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    with zipfile.ZipFile(inputs / "a.zip", "w") as archive:
        for n, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name), picture(n))
    a_tar(inputs / "b.tar", [entry(name, picture(n + 100)) for n, name in enumerate(names) if "\0" not in name])
    before = set(tmp_path.rglob("*"))
    for path in sorted(inputs.iterdir()):
        delivery = intake.start_intake(source=a_source(), kind="archive", path=str(path), by=None)
        intake.take_in(delivery.pk)
        delivery.refresh_from_db()
        assert delivery.state == "done"
    assert set(tmp_path.rglob("*")) == before
    media = Path(settings.MEDIA_ROOT).resolve()
    for photo in Photo.objects.all():
        place = Path(default_storage.path(photo.key)).resolve()
        tried(
            photo.file,
            through=not place.is_relative_to(media / "photos") or leads_out(photo.file) or place.stem != photo.sha256,
        )
    assert Photo.objects.count() > 30
