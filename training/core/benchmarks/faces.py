"""From the samples of a set to what a network sees of each: the face is found, aligned and shown."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.core import align
from inference.core.detect import cold_detector
from inference.core.faces import find_faces, framed
from inference.core.images import Decoder, PictureRefused
from inference.core.landmarks import cold_landmarker
from inference.core.types import Crops, CropSpec, FaceFound, Picture, Points
from training.core.benchmarks.protocol import Array, Faces, NotMeasured, Sample

LARGEST_SIDE = 1600  # px; larger photos are looked at reduced, as at intake
BATCH = 64
SAME_EYES = 0.5  # of the distance between the eyes: a face whose eyes lie nearer than that is the one that is meant


@dataclass(frozen=True, eq=False)
class View:
    """One network's way to see a face."""

    crop: CropSpec
    see: Callable[[Crops], Array]


@dataclass(frozen=True, eq=False)
class Seen:
    arrays: tuple[Array, ...]  # one a view, (samples, ...)
    found: np.ndarray  # (samples,), bool
    others: str

    @property
    def faces(self) -> Faces:
        return Faces(len(self.found), int(self.found.sum()), self.others)


def look(
    samples: Sequence[Sample], views: Sequence[View], tick: Callable[[int, int], None] = lambda done, of: None
) -> Seen:
    """Every sample in every view, in the order given.

    Where no face is found and the set says where the eyes are, they align it; otherwise the middle of the whole
    picture is shown. Raises NotMeasured where a picture is missing or cannot be read.
    """
    _require_all(samples)
    kept: list[list[Array]] = [[] for _ in views]
    waiting: list[list[Picture]] = [[] for _ in views]
    found = np.zeros(len(samples), bool)
    for number, (sample, picture, points) in enumerate(_found_in(samples)):
        found[number] = points is not None
        for view, crops in zip(views, waiting, strict=True):
            crops.append(_crop(sample, picture, points, view.crop))
        if len(waiting[0]) == BATCH or number + 1 == len(samples):
            for view, crops, arrays in zip(views, waiting, kept, strict=True):
                arrays.append(view.see(align.stack(crops)))
                crops.clear()
            tick(number + 1, len(samples))
    others = (
        "aligned by the eyes that the set gives" if any(s.eyes is not None for s in samples) else "whole picture used"
    )
    return Seen(tuple(np.concatenate(arrays) for arrays in kept), found, others)


def _require_all(samples: Sequence[Sample]) -> None:
    if not samples:
        raise NotMeasured("There is no sample in it.")
    gone = [sample.source for sample in samples if isinstance(sample.source, Path) and not sample.source.is_file()]
    if gone:
        raise NotMeasured(f"{len(gone)} of its {len(samples)} pictures are missing, {gone[0]} is the first of them.")


def _found_in(samples: Sequence[Sample]) -> Iterator[tuple[Sample, Picture, Points | None]]:
    """Each sample with the picture that its points are in. Group photos come once, however many faces they give."""
    shown: Path | Picture | None = None
    faces: list[FaceFound] = []
    picture: Picture = np.zeros((1, 1, 3), np.uint8)
    scale = 1.0
    with Decoder() as decoder:
        for sample in samples:
            if sample.source is not shown and not (isinstance(shown, Path) and sample.source == shown):
                shown = sample.source
                picture, scale = _read(decoder, sample)
                faces = find_faces(picture, cold_detector(), cold_landmarker())
            eyes = None if sample.eyes is None else sample.eyes / scale
            yield sample, picture, _the_one(faces, eyes)


def _read(decoder: Decoder, sample: Sample) -> tuple[Picture, float]:
    """The picture to look at, and how many pixels of the set's own file one of its pixels stands for."""
    if isinstance(sample.source, Path):
        try:
            decoded = decoder.decode(sample.source.read_bytes(), max_side=LARGEST_SIDE)
        except PictureRefused as error:
            raise NotMeasured(f"{sample.source} cannot be read: {error}") from error
        picture, scale = decoded.picture, decoded.scale
    else:
        picture, scale = sample.source, 1.0
    return (framed(picture)[0] if sample.cropped else picture), scale


def _the_one(faces: Sequence[FaceFound], eyes: np.ndarray | None) -> Points | None:
    """The landmarks of the face that is meant: the one with these eyes, or the most centred one."""
    if eyes is None:
        return next((face.landmarks for face in faces if face.chosen), None)
    middle, apart = eyes.mean(axis=0), float(np.linalg.norm(eyes[1] - eyes[0]))
    near = [(float(np.linalg.norm(_between(face) - middle)), face.landmarks) for face in faces]
    distance, landmarks = min(near, key=lambda each: each[0], default=(np.inf, None))
    return landmarks if distance <= SAME_EYES * apart else None


def _between(face: FaceFound) -> np.ndarray:
    return np.asarray(align.five_points(face.landmarks)[:2].mean(axis=0))


def _crop(sample: Sample, picture: Picture, points: Points | None, crop: CropSpec) -> Picture:
    if points is not None:
        return align.align(picture, points, crop)[0]
    if sample.eyes is not None:
        ordered = sample.eyes[np.argsort(sample.eyes[:, 0])]  # the picture's left one first
        return align.warp(
            picture, align.similarity(ordered, align.TEMPLATES[crop.template].five[:2] * crop.size - 0.5), crop.size
        )
    return whole(picture, crop.size, sample.cropped)


def whole(picture: Picture, side: int, cropped: bool) -> Picture:
    """The middle square of a picture, without the frame that was laid around a cropped one."""
    height, width = picture.shape[:2]
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    middle = picture[top : top + square, left : left + square]
    if cropped:
        rim = round(square / 6)  # the frame is a quarter of what is inside, so a sixth of the whole
        middle = middle[rim : square - rim, rim : square - rim]
    return np.asarray(cv2.resize(middle, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
