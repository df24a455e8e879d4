"""Web processes do not fight for the cores: each computes with one thread."""

import os
import re
import shlex
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import pytest

from dager_site.processes import SINGLE_THREAD
from tests.benchmarks.desk import SERVE
from tests.services import free_port

REPOSITORY = Path(__file__).resolve().parents[2]

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


@pytest.mark.once
def test_the_line_that_the_readme_has_for_a_team_serves_each_request_on_a_line_of_its_own(tmp_path: Path):
    (line,) = re.findall(r"^\.venv/bin/(gunicorn .*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    command, port = shlex.split(line, comments=True), free_port()
    assert tuple(command[-len(SERVE) :]) == SERVE  # what the benchmarks measure

    own = os.environ | {"DAGER_DATA": str(tmp_path)}
    more = ["--workers", "1", "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen([sys.executable, "-m", *command, *more], env=own, cwd=REPOSITORY) as server:
        try:
            answer = answered(port, server)
        finally:
            server.terminate()

    assert answer == (200, "close")


def answered(port: int, server: subprocess.Popen[bytes]) -> tuple[int, str | None]:
    """The status, and what becomes of the line, once it listens."""
    for _ in range(1200):
        assert server.poll() is None
        line = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            line.request("GET", "/healthz")
            answer = line.getresponse()
            answer.read()
            return answer.status, answer.headers["Connection"]
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("The server does not answer.")
