import csv
import io
import os
import signal
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from inference.core.images import Decoded, Decoder, Limits, PictureRefused

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder() as made:
        yield made


def saved(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def a_picture(width: int = 60, height: int = 40) -> Image.Image:
    """Red left half, blue right half, so that turning it shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def code_of(decoder: Decoder, data: bytes) -> str:
    with pytest.raises(PictureRefused) as refused:
        decoder.decode(data)
    assert len(str(refused.value)) > 20
    return refused.value.code


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_the_format_is_known_by_content(decoder: Decoder, kind: str):
    found = decoder.decode(saved(a_picture(), kind))
    assert found.format == {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}[kind]
    assert found.picture.shape == (40, 60, 3)
    assert (found.width, found.height) == (60, 40)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_made_upright(decoder: Decoder, orientation: int):
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # how Pillow turns upright into what a camera stored
    inverse = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    assert set(turns) == set(inverse)
    stored = a_picture() if orientation == 1 else a_picture().transpose(Image.Transpose(inverse[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decoder.decode(saved(stored, "PNG", exif=exif))
    assert (found.width, found.height) == (60, 40)
    assert np.array_equal(found.picture, np.asarray(a_picture()))


def middle(found: Decoded) -> list[int]:
    return found.picture[20, 30].tolist()


def test_every_colour_mode_becomes_rgb(decoder: Decoder):
    assert middle(decoder.decode(saved(Image.new("L", (60, 40), 128), "PNG"))) == [128] * 3
    assert middle(decoder.decode(saved(Image.new("1", (60, 40), 1), "PNG"))) == [255] * 3
    assert middle(decoder.decode(saved(Image.new("RGBA", (60, 40), (9, 9, 9, 0)), "PNG"))) == [255] * 3
    assert middle(decoder.decode(saved(Image.new("LA", (60, 40), (9, 255)), "PNG"))) == [9] * 3
    assert middle(decoder.decode(saved(Image.new("CMYK", (60, 40), (0, 0, 0, 0)), "JPEG"))) == [255] * 3
    palette = Image.new("RGB", (60, 40), (10, 200, 30)).quantize(4)
    assert np.allclose(middle(decoder.decode(saved(palette, "PNG"))), [10, 200, 30], atol=2)
    palette.info["transparency"] = 0
    assert decoder.decode(saved(palette, "PNG", transparency=0)).picture.shape == (40, 60, 3)


def test_sixteen_bits_are_scaled_not_cut_off(decoder: Decoder):
    deep = Image.fromarray(np.full((40, 60), 32768, np.uint16))
    assert middle(decoder.decode(saved(deep, "PNG"))) == [127] * 3


def test_of_an_animation_the_first_frame_counts(decoder: Decoder):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("lime", "red")]
    for kind in ("WEBP", "PNG"):
        found = decoder.decode(saved(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
        assert middle(found) == [0, 255, 0]


def test_a_damaged_colour_profile_is_no_reason_to_refuse(decoder: Decoder):
    assert decoder.decode(saved(a_picture(), icc_profile=b"no profile")).width == 60
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert decoder.decode(saved(a_picture(), icc_profile=profile)).width == 60


def test_a_reduced_picture_knows_its_full_size(decoder: Decoder):
    found = decoder.decode(saved(a_picture(1200, 800)), max_side=300)
    assert max(found.picture.shape) == 300
    assert (found.width, found.height) == (1200, 800)
    assert found.scale == 4


def test_the_cameras_date_is_read(decoder: Decoder):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2019:07:30 10:11:12"
    assert str(decoder.decode(saved(a_picture(), exif=exif)).taken_at) == "2019-07-30"
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    assert decoder.decode(saved(a_picture(), exif=exif)).taken_at is None


def test_what_is_no_picture_is_refused_with_its_reason(decoder: Decoder):
    assert code_of(decoder, b"") == "empty"
    assert code_of(decoder, b"hello, I am a text file") == "not_a_picture"
    assert code_of(decoder, saved(a_picture(), "GIF")) == "not_a_picture"
    assert code_of(decoder, saved(a_picture(), "TIFF")) == "not_a_picture"
    assert code_of(decoder, b"<svg onload='alert(1)'/>") == "not_a_picture"
    with pytest.raises(PictureRefused, match="GIF"):
        decoder.decode(saved(a_picture(), "GIF"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("max_side", [None, 64])
def test_a_truncated_file_is_refused(decoder: Decoder, kind: str, kept: float, max_side: int | None):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))
    data = saved(noise, kind)
    with pytest.raises(PictureRefused) as refused:
        decoder.decode(data[: int(len(data) * kept)], max_side=max_side)
    assert refused.value.code in ("damaged", "not_a_picture")


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_a_bomb_is_refused_by_its_header(decoder: Decoder):
    with pytest.raises(PictureRefused, match="50000 × 50000"):
        decoder.decode(png_header(50_000, 50_000))


def test_a_file_that_is_too_large_is_not_even_sent():
    with Decoder(Limits(megabytes=1)) as decoder:
        assert code_of(decoder, b"x" * 1_000_001) == "too_large"


def test_decoding_that_takes_too_long_is_ended_and_the_next_file_decodes():
    with Decoder(Limits(seconds=0.0)) as decoder:
        assert code_of(decoder, saved(a_picture())) == "decode_timeout"
        decoder.limits = Limits()
        assert decoder.decode(saved(a_picture())).width == 60


def test_decoding_that_takes_too_much_memory_is_refused_and_the_next_file_decodes():
    with Decoder(Limits(memory_mb=400)) as decoder:
        assert code_of(decoder, saved(Image.new("RGB", (7000, 7000)), "PNG")) == "decode_memory"
        assert decoder.decode(saved(a_picture())).width == 60


def test_a_decoder_that_was_killed_starts_anew():
    with Decoder() as decoder:
        decoder.decode(saved(a_picture()))
        assert decoder._child is not None
        os.kill(decoder._child.pid, signal.SIGKILL)
        decoder._child.wait()
        assert decoder.decode(saved(a_picture())).width == 60


def test_the_child_ends_when_its_parent_is_killed():
    program = (
        "import io, os, signal; from PIL import Image; from inference.core.images import Decoder;"
        "stream = io.BytesIO(); Image.new('RGB', (9, 9)).save(stream, 'PNG'); decoder = Decoder();"
        "decoder.decode(stream.getvalue()); print(decoder._child.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    child = Path("/proc") / done.stdout.strip()
    for _ in range(1000):
        if not child.exists() or "\nState:\tZ" in (child / "status").read_text():
            return
        os.sched_yield()
        subprocess.run(["true"], check=True)
    pytest.fail("the decoder outlived its parent")


@pytest.mark.realdata
def test_of_the_scrape_the_truncated_files_and_no_others_are_refused(shared_data: Path, decoder: Decoder):
    truth = list(csv.DictReader((shared_data / "scrape" / "truth.csv").read_text().splitlines()))
    refused = set()
    for row in truth:
        try:
            decoder.decode((shared_data / "scrape" / row["file"]).read_bytes(), max_side=64)
        except PictureRefused:
            refused.add(row["file"])
    assert refused == {row["file"] for row in truth if row["fault"] == "truncated"}
    assert len(refused) == 18
