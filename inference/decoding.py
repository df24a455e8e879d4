"""Bytes that nobody vouches for in, pictures out, with the limits of the settings.

Each thread that decodes has a process to itself meanwhile: a picture that hangs holds up nobody else's for long.
"""

import atexit
import os
from collections import deque
from threading import Semaphore

from django.conf import settings

from inference.core.images import Decoded, Decoder, Limits, PictureRefused

IDLE = os.cpu_count() or 1  # processes that are kept for the next pictures; more would not be faster
# Seconds that a picture waits for one of them: starting another takes as long as decoding fifty photos, and whoever
# waits so long waits for pictures that hang.
PATIENCE = 0.5

_idle: deque[Decoder] = deque()  # taking and giving back is one step each: no lock is needed
_turns = Semaphore(IDLE)


def limits() -> Limits:
    return Limits(
        megapixels=settings.INTAKE_MEGAPIXELS,
        megabytes=settings.INTAKE_FILE_MB,
        seconds=settings.INTAKE_DECODE_SECONDS,
    )


def decode(data: bytes, *, max_side: int | None = None) -> Decoded:
    """Decode a file that nobody vouches for. Raises PictureRefused."""
    in_turn = _turns.acquire(timeout=PATIENCE)
    try:
        return _decode(data, max_side)
    finally:
        if in_turn:
            _turns.release()


def _decode(data: bytes, max_side: int | None) -> Decoded:
    try:
        decoder = _idle.pop()
    except IndexError:
        decoder = Decoder()
    decoder.limits = limits()  # of now: it may have been started under others
    try:
        decoded = decoder.decode(data, max_side=max_side)
    except PictureRefused:
        _give_back(decoder)
        raise
    except BaseException:
        decoder.close()  # broken off half-way, it would answer the next one with this picture
        raise
    _give_back(decoder)
    return decoded


def _give_back(decoder: Decoder) -> None:
    if len(_idle) < IDLE:
        _idle.append(decoder)
    else:
        decoder.close()


@atexit.register
def _close_all() -> None:
    while _idle:
        _idle.pop().close()
