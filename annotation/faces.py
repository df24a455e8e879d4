"""Photos in, faces out: found, measured, cropped."""

import logging
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from annotation import pictures, records
from annotation.models import Face, Photo
from inference.core.align import align
from inference.core.detect import cold_detector
from inference.core.duplicates import crop_hash, perceptual_hash
from inference.core.faces import find_faces, framed
from inference.core.images import PictureRefused
from inference.core.landmarks import cold_landmarker
from inference.core.types import Box, FaceFound, Picture, Transform
from inference.decoding import decode
from inference.look import look

log = logging.getLogger(__name__)

SAME_PLACE = 0.3  # intersection over union of a face and the place of one that was erased
SMALL_IN_REDUCED = 150.0  # px; a crop of 384 px would be blown up from a face smaller than this, so decode in full


def seek(photos: Sequence[Photo], *, now: datetime | None = None) -> int:
    """Find the faces of these photos. Those that have been sought are left alone. Returns how many were done.

    The slow work comes first; then the row is locked and looked at again, so that two workers with one
    photo write its faces once.
    """
    done = 0
    for photo in photos:
        if photo.faces_sought_at is not None:
            continue
        try:
            faces, crops, hashed = _look(photo)
            failure = ""
        except (PictureRefused, OSError) as error:
            # It was a picture at intake: the file was damaged since, or its decoder is out of memory now.
            log.exception("The faces of photo %s cannot be sought", photo.pk)
            faces, crops, hashed, failure = [], [], None, f"{type(error).__name__}: {error}"
        faces, crops = _not_erased(photo, faces, crops)
        for face, crop in zip(faces, crops, strict=True):
            pictures.keep(face.crop_key, crop)
        with transaction.atomic():
            again = (
                Photo.objects.select_for_update(of=("self",))
                .select_related("source")
                .filter(pk=photo.pk, faces_sought_at=None)
                .first()
            )
            if again is None:
                if not Photo.objects.filter(pk=photo.pk).exists():  # erased meanwhile: nothing of it stays
                    for face in faces:
                        default_storage.delete(face.crop_key)
                continue
            Face.objects.bulk_create(faces)
            records.write_down(again)
            Photo.objects.filter(pk=photo.pk).update(
                faces_sought_at=now or timezone.now(),
                face_count=len(faces),
                claimed_until=None,
                perceptual_hash=hashed,
                failure=failure,
            )
        done += 1
    return done


def _not_erased(photo: Photo, faces: list[Face], crops: list[Picture]) -> tuple[list[Face], list[Picture]]:
    """Those who are not where somebody was erased: the picture may still show them."""
    gone = [Box(each.x, each.y, each.width, each.height) for each in photo.erased_faces.all()]
    boxes = [Box(face.x, face.y, face.width, face.height) for face in faces]
    kept = [row for row, box in enumerate(boxes) if all(box.iou(each) < SAME_PLACE for each in gone)]
    return [faces[row] for row in kept], [crops[row] for row in kept]


def _look(photo: Photo) -> tuple[list[Face], list[Picture], int | None]:
    with default_storage.open(photo.key) as file:
        data = file.read()
    if photo.imported is not None and photo.imported["cropped"]:
        return _look_closely(photo, decode(data).picture)
    decoded, found = look(data, small=SMALL_IN_REDUCED)
    picture, scale = decoded.picture, decoded.scale
    hashed = signed(perceptual_hash(picture))
    aligned = [align(picture, face.landmarks, pictures.CROP) for face in found]
    rows = [
        _row(photo, number, face, crop, transform, scale)
        for number, (face, (crop, transform)) in enumerate(zip(found, aligned, strict=True))
    ]
    return rows, [crop for crop, _ in aligned], hashed


def _look_closely(photo: Photo, picture: Picture) -> tuple[list[Face], list[Picture], int | None]:
    """In a picture that is an aligned face and nothing around it."""
    shown, enlarged, frame = framed(picture)
    found = [face for face in find_faces(shown, cold_detector(), cold_landmarker()) if face.chosen]
    aligned = [align(shown, face.landmarks, pictures.CROP) for face in found]
    rows = [
        _row(photo, 0, face, crop, transform, 1 / enlarged, offset=frame)
        for face, (crop, transform) in zip(found, aligned, strict=True)
    ]
    return rows, [crop for crop, _ in aligned], signed(perceptual_hash(picture))


def _row(
    photo: Photo,
    number: int,
    found: FaceFound,
    crop: Picture,
    transform: Transform,
    scale: float,
    *,
    offset: float = 0.0,
) -> Face:
    """The row of a face that was found in the photo reduced by `scale`, within a frame of `offset` pixels of that."""
    box, quality, pose = found.detection.box, found.quality, found.pose
    full = transform.copy()
    full[:, 2] += full[:, :2] @ (offset, offset)
    full[:, :2] /= scale
    return Face(
        photo=photo,
        number=number,
        x=(box.x - offset) * scale,
        y=(box.y - offset) * scale,
        width=box.width * scale,
        height=box.height * scale,
        score=found.detection.score,
        points=_listed((found.detection.points - offset) * scale),
        landmarks=_listed((found.landmarks - offset) * scale),
        chosen=found.chosen,
        yaw=pose.yaw,
        pitch=pose.pitch,
        roll=pose.roll,
        sharpness=quality.sharpness,
        brightness=quality.brightness,
        gray=quality.gray,
        truncated=quality.truncated,
        usable=quality.usable,
        unusable_because=quality.reason,
        perceptual_hash=signed(crop_hash(crop)),
        transform=[[round(float(value), 6) for value in row] for row in full],
    )


def _listed(points: npt.NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def signed(hashed: int | None) -> int | None:
    """64 bits as the signed number that a database column holds."""
    return hashed - 2**64 if hashed is not None and hashed >= 2**63 else hashed
