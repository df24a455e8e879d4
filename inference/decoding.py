"""Bytes that nobody vouches for in, pictures out: one decoder for this process, with the limits of the settings."""

import atexit
from functools import cache
from threading import Lock

from django.conf import settings

from inference.core.images import Decoded, Decoder, Limits

_one_at_a_time = Lock()  # the web server's threads share the decoder's process


def limits() -> Limits:
    return Limits(
        megapixels=settings.INTAKE_MEGAPIXELS,
        megabytes=settings.INTAKE_FILE_MB,
        seconds=settings.INTAKE_DECODE_SECONDS,
    )


@cache
def _decoder() -> Decoder:
    decoder = Decoder(limits())
    atexit.register(decoder.close)
    return decoder


def decode(data: bytes, *, max_side: int | None = None) -> Decoded:
    """Decode a file that nobody vouches for. Raises PictureRefused."""
    with _one_at_a_time:
        return _decoder().decode(data, max_side=max_side)
