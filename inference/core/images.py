"""Files that nobody vouches for in, pictures out. Decoding happens in a child process with little to lose."""

import contextlib
import fcntl
import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from inference.core.types import Picture

PIPE = 1 << 20  # bytes; the usual 64 KB make a photo of 640 × 480 fifteen turns of two processes
# Of the child: one thread, and memory that it gives back only where there is much. By itself glibc returns a picture's
# after each, and the next one takes half as long again for getting it anew.
ALONE = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
MOST_FACTS = 1 << 16  # bytes of the line before the pixels, with what comes of them at once


@dataclass(frozen=True)
class Limits:
    megapixels: int = 50  # by the header, before anything is decoded
    megabytes: int = 30  # of the file
    seconds: float = 20.0  # to decode one picture
    memory_mb: int = 1536  # of the decoding process: 50 megapixels in several copies


@dataclass(frozen=True)
class Size:
    """Of a photo that was looked at, of which the pixels may be gone."""

    width: int  # of the whole picture, upright, in pixels
    height: int
    scale: float  # pixels of the whole picture for one of what was looked at


@dataclass(frozen=True)
class Decoded:
    picture: Picture  # (height, width, 3), upright, perhaps reduced
    width: int  # of the whole picture, upright, in pixels
    height: int
    format: str  # jpg, png or webp, by content
    taken_at: date | None  # by the camera

    @property
    def scale(self) -> float:
        """Pixels of the whole picture for one of this."""
        return float(self.width / self.picture.shape[1])

    @property
    def size(self) -> Size:
        return Size(self.width, self.height, self.scale)


class PictureRefused(Exception):
    """A file that is not taken. `code` is stable; the message has the value, the cause and the way out."""

    code = "refused"


class Empty(PictureRefused):
    code = "empty"

    def __init__(self) -> None:
        super().__init__("The file has 0 bytes. Fetch it again.")


class TooLarge(PictureRefused):
    code = "too_large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(
            f"The file has {size / 1e6:.1f} MB; at most {limit} MB are taken. Reduce it, or raise DAGER_FILE_MB."
        )


class NotAPicture(PictureRefused):
    code = "not_a_picture"

    def __init__(self, kind: str) -> None:
        seems = f" but looks like {kind}" if kind else ""
        super().__init__(
            f"The content is no JPEG, PNG or WebP picture{seems}, whatever its name says. Convert it, or leave it out."
        )


class TooManyPixels(PictureRefused):
    code = "too_many_pixels"

    def __init__(self, size: str, limit: int) -> None:
        super().__init__(
            f"Its header says {size} pixels; at most {limit} megapixels are taken. Reduce it or raise DAGER_MEGAPIXELS."
        )


class Damaged(PictureRefused):
    code = "damaged"

    def __init__(self, detail: str) -> None:
        super().__init__(f"The file is truncated or damaged ({detail}). Fetch it again.")


class DecodeTimeout(PictureRefused):
    code = "decode_timeout"

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"Not decoded within {seconds:g} s. Save it anew with another program, or raise DAGER_DECODE_SECONDS."
        )


class DecodeMemory(PictureRefused):
    code = "decode_memory"

    def __init__(self, memory_mb: int) -> None:
        super().__init__(f"Decoding it needs more than {memory_mb} MB of memory. Reduce the picture.")


class DecoderDied(PictureRefused):
    code = "decoder_died"

    def __init__(self) -> None:
        super().__init__("The decoder crashed on this file. Save it anew with another program.")


class Decoder:
    """Decodes one file after another in one child process, which is started anew after a crash or a hang.

    Not for several threads at once. A forked copy starts a child of its own.
    """

    def __init__(self, limits: Limits = Limits()) -> None:
        self.limits = limits
        self._child: subprocess.Popen[bytes] | None = None
        self._owner = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is None or self._owner != os.getpid():
            return
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe:
                pipe.close()

    def decode(self, data: bytes, *, max_side: int | None = None) -> Decoded:
        """The upright picture, reduced so that its longer side is at most `max_side` pixels. Raises PictureRefused."""
        if not data:
            raise Empty
        if len(data) > self.limits.megabytes * 1_000_000:
            raise TooLarge(len(data), self.limits.megabytes)
        deadline = time.monotonic() + self.limits.seconds
        try:
            return self._ask(self._running(), data, max_side, deadline)
        except (DecodeTimeout, DecodeMemory):
            self.close()  # it hangs, or its memory is in pieces
            raise
        except (BrokenPipeError, EOFError) as error:
            self.close()
            raise DecoderDied from error

    def _running(self) -> subprocess.Popen[bytes]:
        if self._owner != os.getpid():
            self._child, self._owner = None, os.getpid()
        if self._child is not None and self._child.poll() is not None:
            self.close()
        if self._child is None:
            # -E and -I keep out the environment's own ideas; the parent's end closes stdin, which ends the child.
            self._child = subprocess.Popen(
                [sys.executable, "-m", "inference.core.decode_worker", str(self.limits.memory_mb * 2**20)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                env=ALONE | {"PATH": os.environ.get("PATH", "")},
            )
            for pipe in (self._child.stdin, self._child.stdout):
                _widen(pipe)
        return self._child

    def _ask(self, child: subprocess.Popen[bytes], data: bytes, max_side: int | None, deadline: float) -> Decoded:
        request = {"bytes": len(data), "pixels": self.limits.megapixels * 1_000_000, "max_side": max_side}
        self._send(child, json.dumps(request).encode() + b"\n" + data, deadline)
        reply, size = bytearray(MOST_FACTS), 0
        while b"\n" not in reply[:size]:
            if size == MOST_FACTS:
                raise EOFError  # whatever it is that answers, it is no decoder of ours
            size += self._receive(child, memoryview(reply)[size:], deadline)
        line, _, pixels = bytes(reply[:size]).partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        if "refused" in facts:
            raise self._refusal(facts["refused"], facts["detail"])
        height, width, _ = facts["shape"]
        if not 0 < height * width <= self.limits.megapixels * 1_000_000:
            raise EOFError
        picture = np.empty((height, width, 3), np.uint8)
        room = picture.data.cast("B")
        room[: len(pixels)] = pixels
        at = len(pixels)
        while at < len(room):
            at += self._receive(child, room[at:], deadline)
        return Decoded(
            picture=picture,
            width=facts["width"],
            height=facts["height"],
            format=facts["format"],
            taken_at=_date(facts["taken_at"]),
        )

    def _refusal(self, code: str, detail: str) -> PictureRefused:
        if code == "too_many_pixels":
            return TooManyPixels(detail, self.limits.megapixels)
        if code == "not_a_picture":
            return NotAPicture(detail)
        if code == "out_of_memory":
            return DecodeMemory(self.limits.memory_mb)
        return Damaged(detail)

    def _send(self, child: subprocess.Popen[bytes], message: bytes, deadline: float) -> None:
        assert child.stdin is not None
        descriptor, rest = child.stdin.fileno(), memoryview(message)
        os.set_blocking(descriptor, False)
        while rest:
            _, ready, _ = select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise DecodeTimeout(self.limits.seconds)
            rest = rest[os.write(descriptor, rest) :]

    def _receive(self, child: subprocess.Popen[bytes], room: memoryview, deadline: float) -> int:
        """As much as there is and there is room for. Returns how many bytes that is, at least one."""
        assert child.stdout is not None
        ready, _, _ = select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise DecodeTimeout(self.limits.seconds)
        received = os.readv(child.stdout.fileno(), [room])
        if not received:
            raise EOFError
        return received


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole picture of ordinary size, so that the two processes do not take turns all the while."""
    assert pipe is not None
    with contextlib.suppress(OSError):  # more than this user may have of all pipes together: slower, that is all
        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, PIPE)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
