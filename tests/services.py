"""A private PostgreSQL and Redis for as long as one command runs.

    python -m tests.services -- python -m pytest

Both listen on loopback, on ports that were free, keep their files in a folder that goes with them, and
end with the command, however it ends. `DATABASE_URL` and `CELERY_BROKER_URL` tell the command where they are.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import psycopg2
import redis

STARTUP_SECONDS = 60
# Nobody needs this data after a power cut, and waiting for the disk is most of what a small transaction costs.
NO_DURABILITY = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
PR_SET_PDEATHSIG = 1


class ServiceMissing(Exception):
    def __init__(self, program: str) -> None:
        super().__init__(
            f"{program} is not installed. Run `bash tests/system_packages.sh`, which installs it or says how."
        )


class ServiceFailed(Exception):
    def __init__(self, program: str, log: Path) -> None:
        said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
        super().__init__(f"{program} did not start within {STARTUP_SECONDS} s. It said:\n{said or '(nothing)'}")


def _program(name: str) -> str:
    """Where a program is; Debian keeps PostgreSQL's out of the way, a folder for each version."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: float(path.parts[-3]))
    found = shutil.which(name) or (str(versions[-1]) if versions else None)
    if found is None:
        raise ServiceMissing(name)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    """Asks Linux to end this process when the one that started it dies, even by kill -9."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@contextlib.contextmanager
def _running(command: list[str], *, log: Path, user: str | None, ready: Callable[[], bool]) -> Iterator[None]:
    """The command runs inside the block. Ctrl-C in the terminal does not reach it, so it outlives the tests."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
    try:
        deadline = time.monotonic() + STARTUP_SECONDS
        while not ready():
            if server.poll() is not None or time.monotonic() > deadline:
                raise ServiceFailed(command[0], log)
            time.sleep(0.05)
        yield
    finally:
        server.send_signal(signal.SIGINT)  # to PostgreSQL: end now, do not wait for those connected
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A new cluster inside `folder`; yields its URL. PostgreSQL refuses to be root, and then runs as postgres."""
    user = "postgres" if os.geteuid() == 0 else None
    home = folder / "postgresql"
    home.mkdir()
    if user:
        folder.chmod(0o711)
        shutil.chown(home, user, user)
    made = subprocess.run(
        [_program("initdb"), "-D", str(home / "data"), "-U", "dager", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
        capture_output=True,
        text=True,
        user=user,
        group=user,
        extra_groups=[] if user else None,
        cwd=home,
    )
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    port = free_port()
    url = f"postgresql://dager@127.0.0.1:{port}/postgres"
    listen = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", "", "-c", "max_connections=200"]

    def ready() -> bool:
        try:
            psycopg2.connect(url, connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    command = [_program("postgres"), "-D", str(home / "data"), *listen, *NO_DURABILITY]
    with _running(command, log=folder / "postgresql.log", user=user, ready=ready):
        yield url


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """An empty Redis that writes nothing to disk; yields the URL of its database 0."""
    port = free_port()
    command = [_program("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    client = redis.Redis(port=port)

    def ready() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    with _running([*command, "--dir", str(folder)], log=folder / "redis.log", user=None, ready=ready):
        client.close()
        yield f"redis://127.0.0.1:{port}/0"


def _stop(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def main(command: list[str]) -> int:
    if not command:
        raise SystemExit("Usage: python -m tests.services -- command ...")
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    with (
        tempfile.TemporaryDirectory(prefix="dager-services-", ignore_cleanup_errors=True) as folder,
        postgresql(Path(folder)) as database,
        redis_server(Path(folder)) as broker,
    ):
        surroundings = {"DATABASE_URL": database, "CELERY_BROKER_URL": broker, "DAGER_TEST_SERVICES": "1"}
        child = subprocess.Popen(command, env=os.environ | surroundings)
        try:
            return child.wait()
        except KeyboardInterrupt:
            return child.wait()  # Ctrl-C went to the command too: let it finish what it prints
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(main(arguments[1:] if arguments[:1] == ["--"] else arguments))
