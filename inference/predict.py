"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TypeAlias, TypeVar

import numpy as np

from inference import batching, metrics, registry
from inference.core.align import align, stack
from inference.core.attributes import ATTRIBUTES
from inference.core.images import PictureRefused, Size
from inference.core.said import Said, Sureness, say
from inference.core.types import AttributeModel, Crops, CropSpec, FaceFound, Picture, Vectors
from inference.errors import PhotoFailed
from inference.look import look
from inference.models import ModelVersion

log = logging.getLogger(__name__)

Unread = TypeVar("Unread", bound=Exception)
Done = TypeVar("Done")
# By attribute. Whoever asks names them, and tells of the same ones, should others go live meanwhile.
Versions: TypeAlias = Mapping[str, ModelVersion]
Networks: TypeAlias = Mapping[str, tuple[ModelVersion, AttributeModel, Sureness]]

AT_ONCE = 16  # photos that are held in memory together
SMALL_IN_REDUCED = 60.0  # px; a crop of 150 px, the largest that a network wants, would be blown up from a smaller face


@dataclass(frozen=True, eq=False)
class Seen:
    """What is kept of a photo until the networks look at it. The picture, a hundred times as large, is let go."""

    size: Size
    faces: list[FaceFound]
    crops: dict[CropSpec, Crops]  # of all its faces


@dataclass(frozen=True, eq=False)
class FacePrediction:
    """A face in the pixels of the picture that was looked at, and what is said of it."""

    found: FaceFound
    said: dict[str, Said | None]  # by attribute; None where no model is known for it


@dataclass(frozen=True, eq=False)
class Prediction:
    """All faces of one photo, from left to right."""

    size: Size
    faces: list[FacePrediction]


def predict(data: bytes, versions: Versions) -> Prediction:
    """What these models say of the faces in this file. Raises PictureRefused."""
    networks = _opened(versions)
    return _prediction(_seen(data, networks), networks)


def predict_all(
    photos: Iterable[bytes | Unread], versions: Versions, *, count: int = AT_ONCE
) -> Iterator[Prediction | PictureRefused | PhotoFailed | Unread]:
    """The same of many files, in their order; one that is refused, or that fails, does not touch the others.

    Each core takes a few of these, `count` in all, at a time, so that the networks look at all of their faces at once.
    What could not be read comes out as it came in.
    """
    networks = _opened(versions)  # what is no photo's fault is raised before the first
    cores, rest = os.cpu_count() or 1, iter(photos)
    few = max(1, min(AT_ONCE, count) // (2 * cores))  # one part in the works, one that waits
    ahead = deque[Future[list[Prediction | PictureRefused | PhotoFailed | Unread]]]()
    with ThreadPoolExecutor(cores, thread_name_prefix="eyes") as eyes:  # nobody else's wait behind
        while part := list(islice(rest, few)):
            # In the context of whoever asks: what is logged has the id of their request.
            ahead.append(eyes.submit(copy_context().run, _predicted, part, networks))
            if len(ahead) * few >= AT_ONCE:
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _predicted(
    photos: Sequence[bytes | Unread], networks: Networks
) -> list[Prediction | PictureRefused | PhotoFailed | Unread]:
    seen = [_alone(partial(_seen, each, networks)) if isinstance(each, bytes) else each for each in photos]
    told = iter(_told([each for each in seen if isinstance(each, Seen)], networks))
    return [next(told) if isinstance(each, Seen) else each for each in seen]


def _told(seen: Sequence[Seen], networks: Networks) -> Sequence[Prediction | PictureRefused | PhotoFailed]:
    try:
        return _predictions(seen, networks)
    except Exception as error:
        # The edge of a worker. Looked at again one by one, only that fails which is at fault.
        log.warning("Looking at %d photos at once failed, so each is looked at alone: %r", len(seen), error)
    return [_alone(partial(_prediction, each, networks)) for each in seen]


def _alone(work: Callable[[], Done]) -> Done | PictureRefused | PhotoFailed:
    """What is done with one photo, or why it is not."""
    try:
        return work()
    except PictureRefused as refused:
        return refused
    except Exception:  # the edge of a worker
        log.exception("A photo failed that should have been looked at, or refused")
        metrics.photo_failed()
        return PhotoFailed()


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
    return Prediction(photo.size, [FacePrediction(face, {}) for face in found]), np.asarray(vectors, np.float32)


def _opened(versions: Versions) -> Networks:
    return {
        task: (version, registry.attribute_model(version), registry.sureness(version))
        for task, version in versions.items()
    }


def _seen(data: bytes, networks: Networks) -> Seen:
    """Raises PictureRefused."""
    photo, found = look(data, small=SMALL_IN_REDUCED)
    wanted = {network.crop for _, network, _ in networks.values()} if found else set()
    return Seen(photo.size, found, {crop: crops_of([(photo.picture, face) for face in found], crop) for crop in wanted})


def _prediction(seen: Seen, networks: Networks) -> Prediction:
    return _predictions([seen], networks)[0]


def _predictions(seen: Sequence[Seen], networks: Networks) -> list[Prediction]:
    """Each network looks at all faces of these photos at once."""
    said = iter(_said([each for each in seen if each.faces], networks))
    return [Prediction(each.size, [FacePrediction(face, next(said)) for face in each.faces]) for each in seen]


def _said(seen: Sequence[Seen], networks: Networks) -> list[dict[str, Said | None]]:
    """By face and attribute."""
    faces = [face for each in seen for face in each.faces]
    said: list[dict[str, Said | None]] = [dict.fromkeys(ATTRIBUTES) for _ in faces]
    crops = {crop: np.concatenate([each.crops[crop] for each in seen]) for crop in seen[0].crops} if seen else {}
    for task, (_, network, sureness) in networks.items() if seen else ():
        beliefs = batching.look(network, crops[network.crop])
        for face, belief, spoken in zip(faces, beliefs, said, strict=True):
            spoken[task] = say(ATTRIBUTES[task], belief, sureness=sureness, usable=face.quality.usable)
    for face, spoken in zip(faces, said, strict=True):  # once all is said, so that nothing is counted twice
        for task, one in spoken.items():
            if one is not None:
                metrics.said(networks[task][0], task, one, usable=face.quality.usable)
    return said


def crops_of(faces: Sequence[tuple[Picture, FaceFound]], crop: CropSpec) -> Crops:
    with metrics.stage("align"):
        return stack([align(picture, face.landmarks, crop)[0] for picture, face in faces])
