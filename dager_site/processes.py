"""The processes of one machine: web, workers and beat, started together and stopped together."""

import ctypes
import gc
import logging
import mmap
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

log = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
# Forked, not started anew: they share what their parent has imported, seconds of work and hundreds of MB for each.
FORK = multiprocessing.get_context("fork")
# One thread a process: threads of several processes fight for the cores. Libraries read these as they load.
SINGLE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"), "1"
)
LOADING = 50_000  # new objects between two collections; by Python's own count it collects a fifth of a start
MADV_COLLAPSE = 25  # of Linux, since 6.1
LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
DENSE = 0.9  # of a large page
# A line of /proc/self/maps without a file. A file's name may hold whatever ends a line, but for \n.
HELD_ALONE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw\S+ \S+ \S+ \S+ *(?:\[heap\])?$", re.MULTILINE)
GRACE = 10.0  # seconds that a process has to finish what it holds


class PortTaken(Exception):
    def __init__(self, host: str, port: int) -> None:
        super().__init__(
            f"Something listens on {host}:{port} already. If it is DAGER, open it in the browser; "
            f"otherwise choose another port: make run PORT={port + 1}."
        )


class ProcessDied(Exception):
    def __init__(self, name: str, code: int, log: Path) -> None:
        super().__init__(f"The {name} process ended by itself with exit code {code}. Its log is {log}.")


def begin() -> None:
    """Before anything is imported: what is loaded stays, and looking through it again and again is waste."""
    gc.set_threshold(LOADING, 20, 20)


def settle() -> None:
    """Once all is loaded, and before a fork: collections leave it alone, and so its pages shared."""
    gc.collect()
    gc.freeze()


def into_large_pages() -> None:
    """Ask Linux for large pages under what is loaded, of 2 MB mostly; where it has none to give, nothing changes.

    Networks and trees look all over their weights, and to find so many small pages takes an eighth of a photo's time.
    A process that was forked shares them no more afterwards: it is for those that predict. Where less than DENSE of a
    large page is in use it stays in small ones, as the rest of it would be filled: stacks of threads, what was freed.
    """
    if sys.platform != "linux":
        log.debug("No large pages: %s has no such call", sys.platform)
        return
    try:
        allowed, large = (LARGE_PAGES / "enabled").read_text(), int((LARGE_PAGES / "hpage_pmd_size").read_text())
        maps = Path("/proc/self/maps").read_text(errors="replace")
    except (OSError, ValueError) as error:
        log.debug("No large pages: this kernel does not tell of them: %s", error)
        return
    if "[never]" in allowed:
        log.debug("No large pages: %s says never", LARGE_PAGES / "enabled")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int
    libc.mincore.argtypes = ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p
    dense = [at for start, end in _held_alone(maps) for at in _large_pages_in(start, end, large, libc)]
    refused = Counter[str]()
    for at in dense:
        if libc.madvise(at, large, MADV_COLLAPSE):
            refused[os.strerror(ctypes.get_errno())] += 1
    log.debug("%d of %d large pages of %d KB are laid; refused: %s", len(dense) - refused.total(), len(dense),
              large >> 10, dict(refused))  # fmt: skip


def _held_alone(maps: str) -> Iterator[tuple[int, int]]:
    """Where memory begins and ends that this process writes to, and that is of no file."""
    for start, end in HELD_ALONE.findall(maps):
        yield int(start, 16), int(end, 16)


def _large_pages_in(start: int, end: int, large: int, libc: ctypes.CDLL) -> Iterator[int]:
    """Where those begin that would be in use to a good part."""
    small = large // mmap.PAGESIZE
    for at in range(-(-start // large) * large, end // large * large, large):
        there = (ctypes.c_ubyte * small)()
        if libc.mincore(at, large, there) == 0 and sum(byte & 1 for byte in there) >= DENSE * small:
            yield at


def require_free(host: str, port: int) -> None:
    """Raises PortTaken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(host, port) from error


class Processes:
    """Children that end with their parent, however it ends."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._logs.mkdir(parents=True, exist_ok=True)
        self._running: dict[str, BaseProcess] = {}

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Does `work` in a child, its output in a log. No thread may run, no connection be open when it is called."""
        child = FORK.Process(target=_alone, args=(work, self._logs / f"{name}.log"), name=name)
        child.start()
        self._running[name] = child

    def check(self) -> None:
        """Raises ProcessDied if one has ended."""
        for name, process in self._running.items():
            if process.exitcode is not None:
                raise ProcessDied(name, process.exitcode, self._logs / f"{name}.log")

    def wait_for_web(self, port: int, seconds: float = 60.0) -> None:
        """Returns once the port answers. Raises ProcessDied, TimeoutError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.check()
            with socket.socket() as probe:
                probe.settimeout(1)
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.2)
        raise TimeoutError(
            f"The web server did not answer within {seconds:.0f} s. Its log is {self._logs / 'web.log'}."
        )

    def stop(self) -> None:
        """Ask all to finish, and end those that do not."""
        for process in self._running.values():
            process.terminate()
        end = time.monotonic() + GRACE
        for process in self._running.values():
            process.join(max(0.1, end - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        self._running.clear()


def _alone(work: Callable[[], object], log: Path) -> None:
    """In the child. Linux ends it when its parent dies, also by kill -9; its own group keeps Ctrl-C for the parent."""
    os.setpgid(0, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with log.open("ab") as written:
        os.dup2(written.fileno(), sys.stdout.fileno())
        os.dup2(written.fileno(), sys.stderr.fileno())
    work()
