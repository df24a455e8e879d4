"""What is loaded lies in large pages, where Linux has them; what is hardly used stays small."""

import logging
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from dager_site import processes
from dager_site.processes import into_large_pages

FIRST = (6, 1)  # Linux that makes large pages of small ones when it is asked
LOADS = """
import numpy as np
from dager_site.processes import into_large_pages
held = np.arange(16 << 20, dtype=np.uint8)
into_large_pages()
assert (held == np.arange(16 << 20, dtype=np.uint8)).all()
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""
HARDLY_USES = """
import mmap
from dager_site.processes import into_large_pages

def in_use():
    return next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Rss"))

held = mmap.mmap(-1, 256 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
held[::1 << 20] = bytes(256)
before = in_use()
into_large_pages()
print(in_use() - before)
"""


def has_large_pages() -> bool:
    allowed = processes.LARGE_PAGES / "enabled"
    version = tuple(map(int, platform.release().split(".")[:2])) if sys.platform == "linux" else (0,)
    return version >= FIRST and allowed.exists() and "[never]" not in allowed.read_text()


def kilobytes(script: str) -> int:
    own = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}  # else numpy asks for them itself
    told = subprocess.run(
        [sys.executable, "-c", script], env=own, capture_output=True, text=True, timeout=60, check=True
    )
    return int(told.stdout)


@pytest.mark.skipif(not has_large_pages(), reason="this system has none")
def test_what_is_loaded_lies_in_large_pages_and_stays_what_it_is():
    assert kilobytes(LOADS) >= 14 << 10  # of both ends of the sixteen MB a part may lie in small ones


@pytest.mark.skipif(not has_large_pages(), reason="this system has none")
def test_what_is_hardly_used_is_not_filled():
    assert kilobytes(HARDLY_USES) < 16 << 10  # of the 256 MB of which a page of 4 KB in each is in use


@pytest.mark.parametrize(
    ("allowed", "size", "why"),
    [
        ("always madvise [never]", "2097152", "says never"),
        (None, None, "does not tell of them"),
        ("always [madvise] never", "", "does not tell of them"),
        (
            "[always] madvise never",
            str(1 << 46),
            "0 of 0 large pages of 68719476736 KB",
        ),  # the size is the kernel's word
    ],
)
def test_where_there_are_none_nothing_changes_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, allowed, size, why
):
    monkeypatch.setattr(processes, "LARGE_PAGES", tmp_path)
    for name, content in (("enabled", allowed), ("hpage_pmd_size", size)):
        if content is not None:
            (tmp_path / name).write_text(content)

    with caplog.at_level(logging.DEBUG, processes.__name__):
        into_large_pages()

    assert why in caplog.text


def test_memory_is_of_no_file_whatever_the_names_of_files_hold():
    maps = (
        "00400000-00800000 r-xp 00000000 fe:00 7                          /usr/bin/python3.11\n"
        "00a00000-00c00000 rw-p 00400000 fe:00 7                          /usr/bin/python3.11\n"
        "01000000-02000000 rw-p 00000000 00:00 0                          [heap]\n"
        "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n"
        "7f0000400000-7f0000800000 ---p 00000000 00:00 0 \n"
        "7f0000800000-7f0000c00000 rw-p 00000000 fe:00 9                  /srv/our\u2028\rfaces\x0c/a b.so\n"
        "7ffc00000000-7ffc00200000 rw-p 00000000 00:00 0                  [stack]\n"
    )
    assert [*processes._held_alone(maps)] == [(0x1000000, 0x2000000), (0x7F0000000000, 0x7F0000400000)]


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    monkeypatch.setattr(processes.sys, "platform", "darwin")
    monkeypatch.setattr(processes, "ctypes", None)  # nothing of Linux is called

    with caplog.at_level(logging.DEBUG, processes.__name__):
        into_large_pages()

    assert "darwin" in caplog.text
