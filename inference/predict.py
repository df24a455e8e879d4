"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
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
    photo, found = look(data, small=SMALL_IN_REDUCED)
    said = _said(photo.picture, found, versions)
    return Prediction(photo, [FacePrediction(*each) for each in zip(found, said, strict=True)])


def predict_all(photos: Iterable[bytes | Unread], versions: Versions) -> Iterator[Prediction | PictureRefused | Unread]:
    """The same of many files, in their order; one that is refused does not touch the others.

    As many at once as there are cores. What could not be read comes out as it came in.
    """
    ahead = deque[Future[Prediction | PictureRefused | Unread]]()
    with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="eyes") as eyes:  # nobody else's wait behind
        for each in photos:
            ahead.append(eyes.submit(_predicted, each, versions))
            if len(ahead) == AT_ONCE:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _predicted(data: bytes | Unread, versions: Versions) -> Prediction | PictureRefused | Unread:
    if not isinstance(data, bytes):
        return data
    try:
        return predict(data, versions)
    except PictureRefused as refused:
        return refused


def embed(data: bytes, version: ModelVersion) -> tuple[Prediction, Vectors]:
    """The faces of this file, nothing said of them, and their unit vectors (faces, dimensions) by this backbone.

    Raises PictureRefused.
    """
    photo, found = look(data, small=SMALL_IN_REDUCED)
    network = registry.embedder(version)
    vectors = batching.embed(network, crops_of(photo.picture, found, network.crop)) if found else np.empty((0, 0))
    return Prediction(photo, [FacePrediction(face, {}) for face in found]), np.asarray(vectors, np.float32)


def _said(picture: Picture, found: Sequence[FaceFound], versions: Versions) -> list[dict[str, Said | None]]:
    """By face and attribute; each network looks at all faces at once."""
    said: list[dict[str, Said | None]] = [dict.fromkeys(ATTRIBUTES) for _ in found]
    asked = {task: (version, registry.attribute_model(version)) for task, version in versions.items()} if found else {}
    crops = {crop: crops_of(picture, found, crop) for crop in {network.crop for _, network in asked.values()}}
    for task, (version, network) in asked.items():
        sureness, beliefs = registry.sureness(version), batching.look(network, crops[network.crop])
        for face, belief, spoken in zip(found, beliefs, said, strict=True):
            usable = face.quality.usable
            spoken[task] = one = say(ATTRIBUTES[task], belief, sureness=sureness, usable=usable)
            metrics.said(version, task, one, usable=usable)
    return said


def crops_of(picture: Picture, found: Sequence[FaceFound], crop: CropSpec) -> Crops:
    with metrics.stage("align"):
        return stack([align(picture, face.landmarks, crop)[0] for face in found])
