"""Web processes do not fight for the cores: each computes with one thread."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dager_site.processes import SINGLE_THREAD

BEGINS = """
import os
from dager_site import wsgi
import cv2, torch
print(cv2.getNumThreads(), torch.get_num_threads(), *(os.environ[name] for name in wsgi.SINGLE_THREAD))
"""


@pytest.mark.once
def test_a_web_process_computes_with_one_thread_and_serves_though_nothing_is_ready(tmp_path: Path):
    environment = {name: value for name, value in os.environ.items() if name not in SINGLE_THREAD}

    told = subprocess.run(
        [sys.executable, "-c", BEGINS],
        env=environment | {"DAGER_DATA": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert set(told.stdout.split()) == {"1"}
    assert "Predictions are not ready" in told.stderr
