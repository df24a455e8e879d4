"""The child process that opens pictures nobody vouches for: `python -m inference.core.decode_worker`.

It holds nothing worth stealing, may use so much memory and no more, and is killed when it takes too long.
Each request on stdin is a line of JSON and the file's bytes; each reply on stdout a line of JSON and the pixels.
"""

import io
import json
import os
import resource
import sys
import warnings
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, ImageOps

FILE_ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
SEVERAL = {"MPO": "jpg"}  # a JPEG with more of them behind it, as phones keep depth and brightness: the first is taken
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels
TAKEN_AT = (ExifTags.Base.DateTimeOriginal, ExifTags.Base.DateTimeDigitized)


class Refused(Exception):
    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def main() -> None:
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it writes no file
    Image.MAX_IMAGE_PIXELS = None  # the limit is checked here, before decoding, and says what it found
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    warnings.simplefilter("ignore")
    requests, replies = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        if len(data) < request["bytes"]:
            return  # the parent is gone
        answer(replies, data, request["pixels"], request["max_side"])


def answer(replies: BinaryIO, data: bytes, pixels: int, max_side: int | None) -> None:
    try:
        facts, picture = decode(data, pixels, max_side)
    except Refused as refused:
        facts, picture = {"refused": refused.code, "detail": str(refused)}, None
    except MemoryError:
        facts, picture = {"refused": "out_of_memory", "detail": ""}, None
    except Exception as error:
        # Pillow's plugins raise anything at all on a damaged file.
        facts, picture = {"refused": "damaged", "detail": str(error) or type(error).__name__}, None
    line = json.dumps(facts).encode() + b"\n"
    pieces = [memoryview(line)] if picture is None else [memoryview(line), picture.data.cast("B")]
    while pieces:
        written = os.writev(replies.fileno(), pieces)  # both at once: the parent wakes up once for them
        while pieces and written >= len(pieces[0]):
            written -= len(pieces.pop(0))
        if pieces:
            pieces[0] = pieces[0][written:]


def decode(data: bytes, pixels: int, max_side: int | None) -> tuple[dict[str, Any], np.ndarray]:
    """The upright RGB picture and what is known of it. Raises Refused."""
    image = opened(data)
    width, height = image.size
    if width * height > pixels:
        raise Refused("too_many_pixels", f"{width} × {height}")
    exif = image.getexif()
    turned = exif.get(ExifTags.Base.Orientation, 1) in (5, 6, 7, 8)
    if max_side is not None and image.format == "JPEG":
        image.draft(None, at_least(image.size, max_side))
    kind = (FILE_ENDINGS | SEVERAL)[str(image.format)]
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if max_side is not None and max(image.size) > max_side:
        image.thumbnail((max_side, max_side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    picture = np.asarray(to_rgb(image))
    facts = {
        "shape": picture.shape,
        "width": height if turned else width,
        "height": width if turned else height,
        "format": kind,
        "taken_at": taken_at(exif),
    }
    return facts, np.ascontiguousarray(picture, np.uint8)


def opened(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=tuple(FILE_ENDINGS))
    except MemoryError:
        raise
    except Exception as error:
        raise Refused("not_a_picture", kind_of(data)) from error


def kind_of(data: bytes) -> str:
    """What the file rather is, for the message."""
    signatures = {
        b"GIF8": "a GIF",
        b"BM": "a BMP",
        b"%PDF": "a PDF",
        b"II*\0": "a TIFF",
        b"MM\0*": "a TIFF",
        b"PK": "a zip",
        b"<": "markup",
    }
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video"
    return next((name for start, name in signatures.items() if data.startswith(start)), "")


def at_least(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Ask the JPEG decoder for no less than this, in the picture's own proportions."""
    scale = min(1.0, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any colour mode as sRGB without transparency."""
    if image.mode.startswith(("I", "F")):
        return sixteen_bits(image).convert("RGB")
    image = in_srgb(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        flat = Image.new("RGB", layer.size, BACKGROUND)
        flat.paste(layer, mask=layer.getchannel("A"))
        return flat
    return image if image.mode == "RGB" else image.convert("RGB")


def sixteen_bits(image: Image.Image) -> Image.Image:
    """Pillow's own conversion cuts off everything above 255."""
    values = np.asarray(image, np.float64)
    return Image.fromarray(np.clip(values / 257 if values.max(initial=0) > 255 else values, 0, 255).astype(np.uint8))


def in_srgb(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile")
    if not profile or image.mode not in ("RGB", "CMYK"):
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in (ImageCms.getProfileDescription(source) or "").lower():
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image  # a damaged profile is no reason to refuse the picture
    return converted or image


def taken_at(exif: Image.Exif) -> str:
    """The camera's own date as `YYYY-MM-DD`, or nothing."""
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for tag in TAKEN_AT:
        value = details.get(tag)
        if isinstance(value, str) and len(value) >= 10 and value[:4].isdecimal():
            return value[:10].replace(":", "-")
    return ""


if __name__ == "__main__":
    main()
