"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np

from inference import batching, metrics, registry
from inference.core.align import align, stack
from inference.core.attributes import ATTRIBUTES
from inference.core.images import Decoded, PictureRefused
from inference.core.said import Said, say
from inference.core.types import Crops, CropSpec, FaceFound, Picture, Vectors
from inference.look import look
from inference.models import ModelVersion

Unread = TypeVar("Unread", bound=Exception)
# By attribute. Whoever asks names them, and tells of the same ones, should others go live meanwhile.
Versions: TypeAlias = Mapping[str, ModelVersion]
Seen: TypeAlias = tuple[Decoded, list[FaceFound]]  # as `look` tells it

AT_ONCE = 16  # photos that are held in memory together
SMALL_IN_REDUCED = 60.0  # px; a crop of 150 px, the largest that a network wants, would be blown up from a smaller face


@dataclass(frozen=True, eq=False)
class FacePrediction:
    """A face in the pixels of the picture that was looked at, and what is said of it."""

    found: FaceFound
    said: dict[str, Said | None]  # by attribute; None where no model is known for it


@dataclass(frozen=True, eq=False)
class Prediction:
    """All faces of one photo, from left to right."""

    photo: Decoded
    faces: list[FacePrediction]


def predict(data: bytes, versions: Versions) -> Prediction:
    """What these models say of the faces in this file. Raises PictureRefused."""
    return _predictions([look(data, small=SMALL_IN_REDUCED)], versions)[0]


def predict_all(
    photos: Iterable[bytes | Unread], versions: Versions, *, count: int = AT_ONCE
) -> Iterator[Prediction | PictureRefused | Unread]:
    """The same of many files, in their order; one that is refused does not touch the others.

    Each core takes a few of these, `count` in all, at a time, so that the networks look at all of their faces at once.
    What could not be read comes out as it came in.
    """
    cores, rest = os.cpu_count() or 1, iter(photos)
    few = max(1, min(AT_ONCE, count) // (2 * cores))  # one part in the works, one that waits
    ahead = deque[Future[list[Prediction | PictureRefused | Unread]]]()
    with ThreadPoolExecutor(cores, thread_name_prefix="eyes") as eyes:  # nobody else's wait behind
        while part := list(islice(rest, few)):
            ahead.append(eyes.submit(_predicted, part, versions))
            if len(ahead) * few >= AT_ONCE:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _predicted(photos: Sequence[bytes | Unread], versions: Versions) -> list[Prediction | PictureRefused | Unread]:
    seen = [_seen(each) for each in photos]
    told = iter(_predictions([each for each in seen if not isinstance(each, Exception)], versions))
    return [each if isinstance(each, Exception) else next(told) for each in seen]


def _seen(data: bytes | Unread) -> Seen | PictureRefused | Unread:
    if not isinstance(data, bytes):
        return data
    try:
        return look(data, small=SMALL_IN_REDUCED)
    except PictureRefused as refused:
        return refused


def embed(data: bytes, version: ModelVersion) -> tuple[Prediction, Vectors]:
    """The faces of this file, nothing said of them, and their unit vectors (faces, dimensions) by this backbone.

    Raises PictureRefused.
    """
    photo, found = look(data, small=SMALL_IN_REDUCED)
    network = registry.embedder(version)
    vectors = (
        batching.embed(network, crops_of([(photo.picture, face) for face in found], network.crop))
        if found
        else np.empty((0, 0))
    )
    return Prediction(photo, [FacePrediction(face, {}) for face in found]), np.asarray(vectors, np.float32)


def _predictions(seen: Sequence[Seen], versions: Versions) -> list[Prediction]:
    """Each network looks at all faces of these photos at once."""
    said = iter(_said([(photo.picture, face) for photo, found in seen for face in found], versions))
    return [Prediction(photo, [FacePrediction(face, next(said)) for face in found]) for photo, found in seen]


def _said(faces: Sequence[tuple[Picture, FaceFound]], versions: Versions) -> list[dict[str, Said | None]]:
    """By face and attribute."""
    said: list[dict[str, Said | None]] = [dict.fromkeys(ATTRIBUTES) for _ in faces]
    asked = {task: (version, registry.attribute_model(version)) for task, version in versions.items()} if faces else {}
    crops = {crop: crops_of(faces, crop) for crop in {network.crop for _, network in asked.values()}}
    for task, (version, network) in asked.items():
        sureness, beliefs = registry.sureness(version), batching.look(network, crops[network.crop])
        for (_, face), belief, spoken in zip(faces, beliefs, said, strict=True):
            usable = face.quality.usable
            spoken[task] = one = say(ATTRIBUTES[task], belief, sureness=sureness, usable=usable)
            metrics.said(version, task, one, usable=usable)
    return said


def crops_of(faces: Sequence[tuple[Picture, FaceFound]], crop: CropSpec) -> Crops:
    with metrics.stage("align"):
        return stack([align(picture, face.landmarks, crop)[0] for picture, face in faces])
