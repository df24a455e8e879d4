"""A picture in, the same without a face out: where others are on it, too, it goes on without whoever is erased."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation import pictures
from annotation.faces import signed
from annotation.models import Face, Photo
from inference.core.duplicates import crop_hash, perceptual_hash
from inference.core.types import Box
from inference.decoding import decode

MARGIN = 0.25  # of the box, on each side: hair, ears and chin go with the face
QUALITY = 95


@dataclass(frozen=True)
class Blackened:
    """What a photo is afterwards. Its files are kept already, under their new keys."""

    of: str  # the SHA-256 of the picture that it was made from
    sha256: str
    format: str
    size: int
    perceptual_hash: int | None
    crops: dict[int, int | None]  # by face that stays: the hash of its crop, cut anew


def blacken(photo: Photo, boxes: Sequence[Box], staying: Sequence[Face]) -> Blackened:
    """Keep the photo without these boxes, and the crops of those who stay: a crop shows whoever stands beside.

    Done twice it makes the same bytes. Raises PictureRefused, FileNotFoundError.
    """
    with default_storage.open(photo.key) as file:
        picture = decode(file.read()).picture.copy()
    for box in boxes:
        across, down = box.width * MARGIN, box.height * MARGIN
        left, top = max(int(box.x - across), 0), max(int(box.y - down), 0)
        picture[top : int(box.y + box.height + down) + 1, left : int(box.x + box.width + across) + 1] = 0
    ending = "png" if photo.format == "png" else "jpg"
    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(f".{ending}", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY] if ending == "jpg" else [])
    data = encoded.tobytes()
    made = Photo(sha256=hashlib.sha256(data).hexdigest(), format=ending)
    default_storage.save(made.key, ContentFile(data))
    crops = dict[int, int | None]()
    for face in staying:
        transform = np.asarray(face.transform, np.float64)
        crop = np.asarray(cv2.warpAffine(picture, transform, (pictures.CROP.size, pictures.CROP.size)), np.uint8)
        pictures.keep(Face(photo=made, number=face.number).crop_key, crop)
        crops[face.pk] = signed(crop_hash(crop))
    return Blackened(photo.sha256, made.sha256, ending, len(data), signed(perceptual_hash(picture)), crops)
