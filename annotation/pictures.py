"""Crops in and out of storage: the pictures that we made of faces."""

import cv2
import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.models import Face
from inference.core.align import align, apply
from inference.core.types import CropSpec, Picture

CROP = CropSpec("wide-384", 384)
JPEG_QUALITY = 90  # embeddings are made from the kept crop: 384 px at 90 keep more of it than 256 at 95


def keep(key: str, crop: Picture) -> None:
    """Store a crop that we made, as JPEG."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(crop, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    default_storage.save(key, ContentFile(encoded.tobytes()))


def read_crop(face: Face) -> Picture:
    """The kept crop (384, 384, 3), RGB. Raises FileNotFoundError, or OSError if it is damaged."""
    with default_storage.open(face.crop_key) as file:
        bgr = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise OSError(f"{face.crop_key} is damaged. Restore it from a backup.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def crop_for(face: Face, wanted: CropSpec) -> Picture:
    """A network's own crop, cut from the kept one: no photo is decoded a second time. Raises as `read_crop` does."""
    return cut(face, read_crop(face), wanted)


def cut(face: Face, kept: Picture, wanted: CropSpec) -> Picture:
    """What a network wants to see of a face, of whom the kept crop has been read."""
    if wanted == CROP:
        return kept
    points = apply(np.asarray(face.transform, np.float64), np.asarray(face.landmarks, np.float64))
    crop, _ = align(kept, points, wanted)
    return crop
