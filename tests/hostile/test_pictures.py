"""Pictures that are none, that lie about their size, or that would fill the memory: refused, and the next one decoded."""

import io
import random
import struct
import time
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from inference.core.images import Decoder, Limits, PictureRefused
from tests.hostile.conftest import Tried

pytestmark = pytest.mark.once

LIMITS = Limits(megapixels=4, megabytes=2, seconds=8.0, memory_mb=1024)
SCRIPT = b"<html><script>alert(document.domain)</script></html>"
BASE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))


def saved(form: str, picture: Image.Image = BASE, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, depth: int = 8, colour: int = 2, data: bytes | None = None, more: bytes = b""
) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    rows = zlib.compress(b"\0" * 100) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + head + more + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    data = bytearray(saved("JPEG"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def webp_of(width: int, height: int) -> bytes:
    data = bytearray(saved("WEBP", lossless=False))
    at = data.find(b"\x9d\x01\x2a") + 3
    data[at : at + 4] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    return bytes(data)


def sizes() -> Iterator[tuple[str, bytes]]:
    for width, height in (
        (0, 0),
        (0, 10),
        (1, 2**31 - 1),
        (2**31 - 1, 2**31 - 1),
        (2**32 - 1, 1),
        (60_000, 60_000),
        (5_000, 5_000),
        (64, 47),
    ):
        yield f"png {width}×{height}", png(width, height)
    for depth, colour in ((16, 6), (1, 0), (3, 2), (8, 5), (64, 0), (16, 3)):
        yield f"png depth {depth} colour {colour}", png(64, 64, depth=depth, colour=colour)
    for width, height in ((65_535, 65_535), (65_535, 1), (0, 0), (0, 64), (4_000, 4_000), (64, 4)):
        yield f"jpeg {width}×{height}", jpeg_of(width, height)
    for width, height in ((16_383, 16_383), (0, 0), (1, 16_383), (60, 40)):
        yield f"webp {width}×{height}", webp_of(width, height)


def bombs() -> Iterator[tuple[str, bytes]]:
    big = zlib.compress(b"\0" * 60_000_000, 9)
    yield "png with far more data than pixels", png(64, 64, data=big)
    yield "png with a text that unpacks to 60 MB", png(64, 64, more=chunk(b"zTXt", b"x\0\0" + big))
    yield "png with a text in all languages", png(64, 64, more=chunk(b"iTXt", b"x\0\1\0\0\0" + big))
    yield "png with a profile that unpacks to 60 MB", png(64, 64, more=chunk(b"iCCP", b"x\0\0" + big))
    yield "png with ten thousand texts", png(64, 64, more=chunk(b"tEXt", b"x\0y") * 10_000)
    yield "just within the limit", png(2_000, 2_000, data=zlib.compress(b"\0" * (2_000 * 3 + 1) * 2_000, 9))
    yield (
        "sixteen bits and transparent",
        png(2_000, 2_000, depth=16, colour=6, data=zlib.compress(b"\0" * (2_000 * 8 + 1) * 2_000, 9)),
    )
    frames = [Image.new("RGB", (64, 64), (n * 5 % 256, 0, 0)) for n in range(50)]
    yield "png of 50 frames", saved("PNG", frames[0], save_all=True, append_images=frames[1:])
    yield "webp of 50 frames", saved("WEBP", frames[0], save_all=True, append_images=frames[1:])
    yield "more bytes than are taken", saved("JPEG") + b"x" * 2_100_000
    progressive = saved("JPEG", progressive=True)
    last = progressive.rfind(b"\xff\xda")
    yield "jpeg of a thousand scans", progressive[:-2] + progressive[last:-2] * 1_000 + b"\xff\xd9"
    yield "jpeg of markers only", b"\xff\xd8" + (b"\xff\xe1\xff\xff" + b"x" * 65_533) * 25 + b"\xff\xd9"


def others() -> Iterator[tuple[str, bytes]]:
    """What is no picture of ours, or another thing as well."""
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
    yield (
        "svg with a head",
        b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
    )
    yield "html", SCRIPT
    yield "pdf", b"%PDF-1.7\n" + b"x" * 500
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file\n"
    yield "a shell script", b"#!/bin/sh\nid\n"
    yield "php in a gif", b"GIF89a<?php system('id'); ?>"
    yield "imagemagick", b"push graphic-context\nfill 'url(https://x.example/|id)'\npop graphic-context\n"
    yield "a pickle", b"\x80\x04cos\nsystem\n(S'id'\ntR."
    yield "zeros", b"\0" * 5_000
    yield "one byte", b"\xff"
    for form in (
        "GIF",
        "BMP",
        "TIFF",
        "PPM",
        "TGA",
        "ICO",
        "PCX",
        "SGI",
        "IM",
        "MSP",
        "DDS",
        "JPEG2000",
        "EPS",
        "PDF",
        "ICNS",
        "XBM",
        "SPIDER",
    ):
        picture = BASE.convert("1") if form in ("MSP", "XBM") else BASE.convert("F") if form == "SPIDER" else BASE
        yield form, saved(form, picture)


def poly() -> Iterator[tuple[str, bytes]]:
    """Pictures that are something else as well: taken as the picture that they are, and kept and served as such."""
    jpeg, png_ = saved("JPEG"), saved("PNG")
    yield "html in a jpeg's comment", jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(SCRIPT) + 2) + SCRIPT + jpeg[2:]
    yield "html after a jpeg", jpeg + SCRIPT
    yield "html in a png's text", png_[:33] + chunk(b"tEXt", b"Comment\0" + SCRIPT) + png_[33:]
    yield "a zip after a png", png_ + b"PK\x05\x06" + b"\0" * 18
    yield "html after a webp", saved("WEBP") + SCRIPT
    yield "a jpeg with others behind it", saved("MPO", save_all=True, append_images=[BASE, BASE])
    yield "a pdf after a jpeg", jpeg + b"%PDF-1.7\n"


def trash() -> Iterator[tuple[str, bytes]]:
    """Nonsense in what is said beside the pixels: no reason to fail, nor to believe it."""
    for orientation in (0, 9, 99, 65_535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        yield f"turned {orientation}", saved("JPEG", exif=exif)
    for date in (
        "0000:00:00 00:00:00",
        "9999:99:99 99:99:99",
        "<script>alert(1)</script>",
        "\0\0\0\0:\0\0:\0\0",
        "2020:13:45",
        "-001:01:01",
        "٢٠٢٠:01:01 x",
        "x" * 60_000,
    ):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = date
        yield f"taken {date[:20]!r}", saved("JPEG", exif=exif)
    for name, block in {
        "round in circles": b"II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
        "beyond the end": b"II*\0\xff\xff\xff\x7f",
        "sixty thousand tags": b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 600,
        "a count without end": b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\xff\xff\xff\xff\x08\0\0\0",
        "empty": b"",
        "noise": bytes(range(256)) * 8,
    }.items():
        yield f"exif {name}", saved("JPEG", exif=b"Exif\0\0" + block)
        yield f"profile {name}", saved("JPEG", icc_profile=block or b"\0")
        yield f"profile of a png {name}", saved("PNG", icc_profile=block or b"\0")
        yield f"xmp {name}", saved("WEBP", xmp=block or b"\0")
        yield f"exif of a webp {name}", saved("WEBP", exif=b"Exif\0\0" + block)
        yield f"exif of a png {name}", saved("PNG", exif=b"Exif\0\0" + block)
    billion = (
        b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>'
    )
    yield "xmp that laughs", saved("JPEG", xmp=billion)
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", "\nexif\n 99999999\n" + "ff" * 50)
    yield "a raw profile that lies", saved("PNG", pnginfo=text)


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(LIMITS) as made:
        yield made


def outcome(decoder: Decoder, data: bytes) -> tuple[str, bool]:
    """What came of it, and whether that was too much: too long, too large, or of no kind of ours."""
    started = time.monotonic()
    try:
        decoded = decoder.decode(data)
    except PictureRefused as refused:
        return refused.code, time.monotonic() - started > LIMITS.seconds + 2
    height, width, channels = decoded.picture.shape
    sane = channels == 3 and (width, height) == (decoded.width, decoded.height) and width * height <= 4_000_000
    return decoded.format, not sane or decoded.format not in ("jpg", "png", "webp")


def alive(decoder: Decoder) -> bool:
    return decoder.decode(saved("PNG")).picture.shape == (48, 64, 3)


@pytest.mark.parametrize("corpus", [sizes, bombs, trash])
def test_it_is_refused_or_taken_as_what_it_is(corpus: object, decoder: Decoder, tried: Tried):
    for name, data in corpus():  # type: ignore[operator]
        told, through = outcome(decoder, data)
        tried((name, told), through=through or told in ("decode_timeout", "decoder_died"))
    assert alive(decoder)


def test_what_is_no_picture_of_ours_is_refused_whatever_it_is(decoder: Decoder, tried: Tried):
    for name, data in others():
        told, _ = outcome(decoder, data)
        tried((name, told), through=told not in ("not_a_picture", "too_large"))
    for name, data in poly():
        told, through = outcome(decoder, data)
        tried((name, told), through=through or told not in ("jpg", "png", "webp"))


def test_a_picture_cut_off_or_damaged_anywhere_never_ends_the_decoder(decoder: Decoder, tried: Tried):
    chance = random.Random(0)
    for form in ("JPEG", "PNG", "WEBP"):
        whole = saved(form)
        for at in [*range(1, 40, 3), *sorted(chance.sample(range(40, len(whole)), 25))]:
            told, through = outcome(decoder, whole[:at])
            tried((form, "cut at", at, told), through=through or told in ("decode_timeout", "decoder_died"))
        for n in range(60):
            damaged = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            told, through = outcome(decoder, bytes(damaged))
            tried((form, "damaged", n, told), through=through or told in ("decode_timeout", "decoder_died"))
    assert alive(decoder)
