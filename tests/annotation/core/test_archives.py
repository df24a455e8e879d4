import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from annotation.core.archives import ArchiveLimits, BadArchive, Member, members
from annotation.core.refusals import Refusal, Skipped

NOISE = os.urandom(5_000)


def a_zip(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in names.items():
            archive.writestr(name, content)
    return path


def a_tar(path: Path, entries: list[tarfile.TarInfo], content: bytes = NOISE, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for entry in entries:
            entry.size = len(content) if entry.isreg() else 0
            archive.addfile(entry, io.BytesIO(content) if entry.isreg() else None)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname = kind, target
    return made


def taken(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> dict[str, bytes]:  # noqa: B008
    return {item.file: item.read() for item in members(path, limits) if isinstance(item, Member)}


def codes(path: Path, limits: ArchiveLimits = ArchiveLimits()) -> dict[str, str]:  # noqa: B008
    found = {}
    for item in members(path, limits):
        if isinstance(item, Member):
            item.read()
        elif isinstance(item, Refusal):
            found[item.file] = item.code
    return found


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_gives_its_files_one_by_one(tmp_path: Path, mode: str):
    path = a_tar(tmp_path / "a.tar", [entry("a/1.jpg"), entry("a", tarfile.DIRTYPE), entry("2.jpg")], mode=mode)
    assert taken(path) == {"a/1.jpg": NOISE, "2.jpg": NOISE}


def test_a_zip_gives_its_files_one_by_one(tmp_path: Path):
    path = a_zip(tmp_path / "a.zip", {"a/1.jpg": NOISE, "2.jpg": b"x", "__MACOSX/._1.jpg": b"", ".DS_Store": b""})
    assert taken(path) == {"a/1.jpg": NOISE, "2.jpg": b"x"}
    assert sum(isinstance(item, Skipped) for item in members(path)) == 2


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../../etc/cron.d/x.jpg", "path_outside"),
        ("a/../../x.jpg", "path_outside"),
        ("/etc/x.jpg", "absolute_path"),
        ("C:\\x.jpg", "absolute_path"),
        ("..\\x.jpg", "path_outside"),
    ],
)
def test_names_that_lead_out_are_refused_and_the_rest_taken(tmp_path: Path, name: str, code: str):
    for path in (
        a_zip(tmp_path / "a.zip", {name: NOISE, "1.jpg": NOISE}),
        a_tar(tmp_path / "a.tar", [entry(name), entry("1.jpg")]),
    ):
        assert codes(path) == {name: code}
        assert set(taken(path)) == {"1.jpg"}


def test_links_and_devices_are_refused(tmp_path: Path):
    entries = [
        entry("soft.jpg", tarfile.SYMTYPE, "/etc/passwd"),
        entry("hard.jpg", tarfile.LNKTYPE, "1.jpg"),
        entry("pipe.jpg", tarfile.FIFOTYPE),
        entry("device.jpg", tarfile.CHRTYPE),
        entry("1.jpg"),
    ]
    path = a_tar(tmp_path / "a.tar", entries)
    assert codes(path) == {
        "soft.jpg": "link",
        "hard.jpg": "link",
        "pipe.jpg": "special_file",
        "device.jpg": "special_file",
    }
    linked = zipfile.ZipInfo("soft.jpg")
    linked.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(linked, "/etc/passwd")
    assert codes(tmp_path / "a.zip") == {"soft.jpg": "link"}


def test_an_encrypted_file_is_refused(tmp_path: Path):
    path = a_zip(tmp_path / "a.zip", {"1.jpg": NOISE})
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert codes(path) == {"1.jpg": "encrypted"}


def test_bombs_are_refused_by_ratio_size_total_and_count(tmp_path: Path):
    path = a_zip(tmp_path / "a.zip", {"bomb.jpg": b"\0" * 20_000_000, "1.jpg": NOISE})
    assert codes(path) == {"bomb.jpg": "archive_bomb"}
    assert set(taken(path)) == {"1.jpg"}
    many = a_zip(tmp_path / "b.zip", {f"{number}.jpg": NOISE for number in range(10)})
    assert codes(many, ArchiveLimits(members=4)) == {"b.zip": "archive_bomb"}
    assert codes(many, ArchiveLimits(total_bytes=20_000)) == {"b.zip": "archive_bomb"}
    assert len(codes(many, ArchiveLimits(member_bytes=1_000))) == 10
    assert codes(a_tar(tmp_path / "c.tar", [entry("1.jpg")]), ArchiveLimits(member_bytes=10)) == {
        "1.jpg": "archive_bomb"
    }


def test_what_came_before_the_damage_is_kept_and_the_damage_told(tmp_path: Path):
    path = a_tar(tmp_path / "a.tar.gz", [entry(f"{number}.jpg") for number in range(9)], mode="w:gz")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    found = list(members(path))
    assert isinstance(found[0], Member)
    assert isinstance(found[-1], Refusal)
    assert found[-1].code == "archive_damaged"


@pytest.mark.parametrize("content", [b"", b"hello", NOISE])
def test_what_is_no_archive_says_so(tmp_path: Path, content: bytes):
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadArchive, match="Pack it anew"):
        list(members(tmp_path / "a.zip"))
