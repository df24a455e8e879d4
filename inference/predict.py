"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np

from inference import batching, metrics, registry
from inference.core.align import align, stack
from inference.core.attributes import ATTRIBUTES
from inference.core.images import Decoded, PictureRefused
from inference.core.said import Said, say
from inference.core.types import AttributeModel, Beliefs, Crops, CropSpec, FaceFound, Picture, Vectors
from inference.look import look
from inference.models import ModelVersion

T = TypeVar("T")
Unread = TypeVar("Unread", bound=Exception)
# By attribute. Whoever asks names them, and tells of the same ones, should others go live meanwhile.
Versions: TypeAlias = Mapping[str, ModelVersion]

AT_ONCE = 16  # photos whose pictures are held in memory together
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
    (said,) = _said([(photo.picture, found)], versions)
    return _prediction(photo, found, said)


def predict_all(photos: Iterable[bytes | Unread], versions: Versions) -> Iterator[Prediction | PictureRefused | Unread]:
    """The same of many files, in their order; one that is refused does not touch the others.

    Faces are sought in as many files at once as there are cores, and as many networks at once look at the faces of
    several files together. What could not be read comes out as it came in.
    """
    for chunk in _chunks(photos, AT_ONCE):
        with ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="eyes") as eyes:  # nobody else's wait behind
            seen = list(eyes.map(_seen, chunk))
            pictures = [(each[0].picture, each[1]) for each in seen if isinstance(each, tuple)]
            said = iter(_said(pictures, versions, eyes.map))
        for each in seen:
            yield _prediction(each[0], each[1], next(said)) if isinstance(each, tuple) else each


def embed(data: bytes, version: ModelVersion) -> tuple[Prediction, Vectors]:
    """The faces of this file, nothing said of them, and their unit vectors (faces, dimensions) by this backbone.

    Raises PictureRefused.
    """
    photo, found = look(data, small=SMALL_IN_REDUCED)
    network = registry.embedder(version)
    vectors = batching.embed(network, crops_of(photo.picture, found, network.crop)) if found else np.empty((0, 0))
    return Prediction(photo, [FacePrediction(face, {}) for face in found]), np.asarray(vectors, np.float32)


def _chunks(photos: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(photos)
    while chunk := list(islice(rest, size)):
        yield chunk


Seen: TypeAlias = tuple[Decoded, list[FaceFound]]


def _seen(data: bytes | Unread) -> Seen | PictureRefused | Unread:
    if not isinstance(data, bytes):
        return data
    try:
        return look(data, small=SMALL_IN_REDUCED)
    except PictureRefused as refused:
        return refused


SaidOfFace: TypeAlias = dict[str, Said | None]
# `map`, or one that works on several at once.
AtOnce: TypeAlias = Callable[[Callable[[AttributeModel], Beliefs], Iterable[AttributeModel]], Iterable[Beliefs]]


def _said(
    seen: Sequence[tuple[Picture, Sequence[FaceFound]]], versions: Versions, at_once: AtOnce = map
) -> list[list[SaidOfFace]]:
    """By picture, face and attribute; each network looks at all faces at once, by `at_once` beside the others."""
    faces = [face for _, found in seen for face in found]
    said: list[SaidOfFace] = [dict.fromkeys(ATTRIBUTES) for _ in faces]
    asked = list(versions.items()) if faces else []
    networks = [registry.attribute_model(version) for _, version in asked]
    crops = {
        crop: np.concatenate([crops_of(picture, found, crop) for picture, found in seen if found])
        for crop in {network.crop for network in networks}
    }
    told = at_once(lambda network: batching.look(network, crops[network.crop]), networks)
    for (task, version), beliefs in zip(asked, told, strict=True):
        sureness = registry.sureness(version)
        for face, belief, spoken in zip(faces, beliefs, said, strict=True):
            usable = face.quality.usable
            spoken[task] = one = say(ATTRIBUTES[task], belief, sureness=sureness, usable=usable)
            metrics.said(version, task, one, usable=usable)
    rest = iter(said)
    return [list(islice(rest, len(found))) for _, found in seen]


def _prediction(photo: Decoded, found: Sequence[FaceFound], said: Sequence[SaidOfFace]) -> Prediction:
    return Prediction(photo, [FacePrediction(*each) for each in zip(found, said, strict=True)])


def crops_of(picture: Picture, found: Sequence[FaceFound], crop: CropSpec) -> Crops:
    with metrics.stage("align"):
        return stack([align(picture, face.landmarks, crop)[0] for face in found])
