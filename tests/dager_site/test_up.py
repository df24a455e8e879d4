"""`manage.py up` as a person starts it: real processes, the queue of files, killed and started again."""

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar
from pathlib import Path
from threading import Event
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from annotation.core.drawn import draw_sample

pytestmark = pytest.mark.once

REPOSITORY = Path(__file__).resolve().parents[2]
PATIENCE = 150.0  # seconds; a run on the small sample takes about fifteen on an idle machine


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample")
    draw_sample(folder, people=5, photos_each=5)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """One data folder, and the command that works on it."""

    def __init__(self, data: Path, sample: Path) -> None:
        self.data = data
        self.sample = sample
        self.running: subprocess.Popen[str] | None = None

    def start(self, *, until_ready: bool = True) -> subprocess.Popen[str]:
        self.port = free_port()
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DAGER_", "CELERY", "DATABASE"))
        }
        environment |= {
            "DAGER_DATA": str(self.data),
            "DAGER_SWEEP_SECONDS": "1",
            "DAGER_WORKERS": "2",
            "DJANGO_SETTINGS_MODULE": "dager_site.settings",
        }
        command = [sys.executable, "manage.py", "up", "--photos", str(self.sample / "photos")]
        command += ["--manifest", str(self.sample / "manifest.csv"), "--port", str(self.port)]
        command += ["--until-ready"] * until_ready
        self.running = subprocess.Popen(
            command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        return self.running

    def finish(self) -> str:
        process = self.running or self.start()
        output, _ = process.communicate(timeout=PATIENCE)
        self.running = None
        assert process.returncode == 0, output + self.logs()
        return output

    def kill_when(self, reached: Callable[[], bool]) -> None:
        """kill -9 as soon as the database shows that it has come so far."""
        process = self.start()
        end = time.monotonic() + PATIENCE
        while not reached():
            assert process.poll() is None, f"it ended before it could be killed: {self.logs()}"
            assert time.monotonic() < end, self.logs()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        self.running = None
        self.wait_for_children()

    def wait_for_children(self) -> None:
        """Workers end with the parent that was killed, without anyone telling them."""
        end = time.monotonic() + 60
        while self.children():
            assert time.monotonic() < end, f"still alive: {self.children()}"
            time.sleep(0.1)

    def children(self) -> list[str]:
        needle = f"DAGER_DATA={self.data}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if needle in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        return found

    def count(self, sql: str) -> int:
        database = self.data / "dager.sqlite3"
        if not database.exists():
            return 0
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
        try:
            return int(connection.execute(sql).fetchone()[0])
        except sqlite3.OperationalError:
            return 0  # its tables are being made
        finally:
            connection.close()

    def table(self) -> dict[str, int]:
        names = ("photo", "copy", "refusal", "face", "embedding", "membership")
        counts = {name: self.count(f"SELECT count(*) FROM annotation_{name}") for name in names}
        return counts | {"questions": self.count("SELECT count(*) FROM annotation_question WHERE state = 'open'")}

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in (self.data / "logs").glob("*.log"))


@pytest.fixture
def up(tmp_path: Path, sample: Path) -> Iterator[Up]:
    made = Up(tmp_path / "data", sample)
    yield made
    if made.running is not None:
        made.running.kill()
        made.running.communicate()
        made.wait_for_children()
    shutil.rmtree(made.data, ignore_errors=True)


ABOUT_WHO = "SELECT count(*) FROM annotation_question WHERE state = 'open' AND kind IN ('cluster', 'pair')"
# Faces that several open questions ask the same about.
ASKED_TWICE = """
SELECT count(*) FROM (
    SELECT 1 FROM annotation_question q JOIN annotation_questionface f ON f.question_id = q.id
    WHERE q.state = 'open' AND q.purpose <> 'gold' GROUP BY f.face_id, q.attribute HAVING count(*) > 1
)
"""


@pytest.mark.timeout(600)
def test_killed_in_every_stage_it_goes_on_and_does_nothing_twice(up: Up):
    up.kill_when(lambda: 5 <= up.count("SELECT count(*) FROM annotation_photo") < 25)
    up.kill_when(lambda: up.count("SELECT count(*) FROM annotation_face") > 0)
    up.kill_when(lambda: up.count("SELECT count(*) FROM annotation_embedding") > 0)
    up.kill_when(lambda: up.count("SELECT count(*) FROM annotation_clusteringrun") > 0)
    up.kill_when(lambda: up.count("SELECT count(*) FROM annotation_membership") > 0)
    output = up.finish()

    table = up.table()
    files = sum(1 for _ in (up.sample / "photos").rglob("*.jpg"))
    assert table["photo"] + table["copy"] + table["refusal"] == files
    assert up.count("SELECT count(*) FROM annotation_photo WHERE faces_sought_at IS NULL") == 0
    assert table["embedding"] == table["face"] == table["membership"]
    about_who = up.count(ABOUT_WHO)
    assert about_who > 0
    assert f"{table['questions']} questions waiting" in output
    assert not [path for path in (up.data / "files").rglob("*") if path.name.startswith(".part-")]
    assert "database is locked" not in up.logs()

    again = up.finish()  # nothing is left to do, but that the engine may think again and ask more
    assert up.table() | {"questions": 0} == table | {"questions": 0}
    assert up.count(ABOUT_WHO) == about_who
    assert up.count(ASKED_TWICE) == 0
    assert up.table()["questions"] >= table["questions"]
    assert "0 photos taken in" in again
    assert "password" not in again


def said_to(question: dict[str, str]) -> dict[str, str]:
    """An answer that every question of its kind allows."""
    if question["kind"] == "value":
        value = "30" if question["attribute"] == "apparent_age" else "female"
        return (
            {"verdict": "value", "value": value} if question["attribute"] != "emotion" else {"verdict": "cannot_tell"}
        )
    return {"verdict": {"cluster": "one_person", "pair": "different", "grid": "marked"}[question["kind"]]}


class Person:
    """Somebody at a browser, by HTTP alone."""

    def __init__(self, port: int, password: str) -> None:
        self.site = f"http://127.0.0.1:{port}"
        self.cookies = CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies))
        self.get("/sign-in")
        self.post("/sign-in", urlencode({"username": "admin", "password": password, "csrfmiddlewaretoken": self.token}))

    @property
    def token(self) -> str:
        return next(cookie.value or "" for cookie in self.cookies if cookie.name == "csrftoken")

    def get(self, path: str) -> bytes:
        with self.opener.open(self.site + path, timeout=60) as response:
            return bytes(response.read())

    def post(self, path: str, body: str, kind: str = "application/x-www-form-urlencoded") -> bytes:
        headers = {"Content-Type": kind, "X-CSRFToken": self.token, "Referer": self.site}
        with self.opener.open(Request(self.site + path, body.encode(), headers), timeout=60) as response:
            return bytes(response.read())

    def use_the_site(self, until: Event) -> tuple[int, int]:
        """Browse and answer what comes; returns how many pages were seen and questions answered."""
        pages = answers = 0
        while not until.is_set():
            for path in ("/", "/photos/", "/faces/", "/people/", "/clusters/", "/sources/", "/api/v1/standing"):
                self.get(path)
                pages += 1
            for question in json.loads(self.get("/api/v1/questions/next?ahead=2"))["questions"]:
                said = {"client_id": str(uuid4()), "content": said_to(question), "elapsed_ms": 5}
                try:
                    self.post(f"/api/v1/questions/{question['id']}/answer", json.dumps(said), "application/json")
                    answers += 1
                except HTTPError as error:
                    if error.code != 409:  # the other browser of the same person was first
                        raise
            until.wait(0.5)  # a person, not a flood: the work goes on beside them
        return pages, answers


@pytest.mark.timeout(400)
def test_sqlite_holds_a_web_server_two_workers_and_people_at_once(up: Up):
    process = up.start(until_ready=False)
    assert process.stdout is not None
    password = next(found[1] for line in process.stdout if (found := re.search(r"password (\S+)", line)))
    ended = Event()
    with ThreadPoolExecutor(4) as pool:
        people = [pool.submit(Person(up.port, password).use_the_site, ended) for _ in range(4)]
        waiting = next(line for line in process.stdout if "questions waiting" in line)
        ended.wait(5)  # the work is done; people go on answering
        ended.set()
        seen = [person.result(timeout=120) for person in people]

    assert waiting
    assert min(pages for pages, _ in seen) > 0
    assert sum(answers for _, answers in seen) == up.count("SELECT count(*) FROM annotation_answer") > 0
    assert "database is locked" not in up.logs()
    assert "Traceback" not in up.logs()
    process.terminate()
    process.communicate(timeout=60)
    up.running = None
    up.wait_for_children()


def test_the_first_password_is_not_lost_by_a_start_that_failed(up: Up):
    photos = ["--photos", str(up.sample), "--source", "a/b"]
    command = [sys.executable, "manage.py", "up", *photos, "--port", str(free_port())]
    failed = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=os.environ | {"DAGER_DATA": str(up.data)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert failed.returncode == 1
    assert "A source's name has no slash" in failed.stderr
    assert "password" not in failed.stdout
    process = up.start(until_ready=False)
    assert process.stdout is not None
    assert any("password" in line for line in process.stdout)


def test_a_port_that_is_taken_is_named_with_the_way_out(up: Up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "manage.py", "up", "--port", str(taken.getsockname()[1])]
        environment = os.environ | {"DAGER_DATA": str(up.data)}
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 1
    assert "listens on" in done.stderr
    assert "make run PORT=" in done.stderr


@pytest.mark.parametrize("named", ["photos", "manifest"])
def test_photos_that_are_not_there_are_named_and_nothing_is_made(named: str, tmp_path: Path, settings):
    settings.DATA_DIR = tmp_path / "data"

    with pytest.raises(CommandError, match=rf"--{named} {tmp_path}/nowhere: there is no such file or folder"):
        call_command("up", **{named: f"{tmp_path}/nowhere"})

    assert not settings.DATA_DIR.exists()
