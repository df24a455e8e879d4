"""What is loaded lies in large pages, where Linux has them."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

FIRST = (6, 1)  # Linux that makes large pages of small ones when it is asked
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
LOADS = """
import numpy as np
from dager_site.processes import into_large_pages
held = np.arange(16 << 20, dtype=np.uint8)
into_large_pages()
assert (held == np.arange(16 << 20, dtype=np.uint8)).all()
print(next(line.split()[1] for line in open("/proc/self/smaps_rollup") if line.startswith("AnonHugePages")))
"""


def has_large_pages() -> bool:
    version = tuple(map(int, platform.release().split(".")[:2])) if sys.platform == "linux" else (0,)
    return version >= FIRST and LARGE_PAGES.exists() and "[never]" not in LARGE_PAGES.read_text()


@pytest.mark.skipif(not has_large_pages(), reason="this system has none")
def test_what_is_loaded_lies_in_large_pages_and_stays_what_it_is():
    own = os.environ | {"NUMPY_MADVISE_HUGEPAGE": "0"}  # else numpy asks for them itself
    told = subprocess.run(
        [sys.executable, "-c", LOADS], env=own, capture_output=True, text=True, timeout=60, check=True
    )

    assert int(told.stdout) >= 14 << 10  # KB; of both ends of the sixteen MB a part may lie in small ones
