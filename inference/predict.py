"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference import registry
from inference.core.align import align, stack
from inference.core.attributes import ATTRIBUTES
from inference.core.images import Decoded
from inference.core.said import Said, say
from inference.core.types import Crops, CropSpec, FaceFound, Picture, Vectors
from inference.look import look

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


def predict(data: bytes) -> Prediction:
    """What the live models say of the faces in this file. Raises PictureRefused."""
    photo, found = look(data, small=SMALL_IN_REDUCED)
    said = _said(photo.picture, found)
    return Prediction(photo, [FacePrediction(*each) for each in zip(found, said, strict=True)])


def embed(data: bytes) -> tuple[Prediction, Vectors]:
    """The faces of this file, nothing said of them, and their unit vectors (faces, dimensions) by the live backbone.

    Raises PictureRefused.
    """
    photo, found = look(data, small=SMALL_IN_REDUCED)
    network = registry.embedder(registry.ensure_live())
    vectors = network.embed(crops_of(photo.picture, found, network.crop))
    return Prediction(photo, [FacePrediction(face, {}) for face in found]), vectors


def _said(picture: Picture, found: Sequence[FaceFound]) -> list[dict[str, Said | None]]:
    """By face and attribute; each network looks at all faces at once."""
    said: list[dict[str, Said | None]] = [dict.fromkeys(ATTRIBUTES) for _ in found]
    crops = dict[CropSpec, Crops]()
    for task, version in registry.ensure_attributes().items() if found else ():
        network = registry.attribute_model(version)
        if network.crop not in crops:
            crops[network.crop] = crops_of(picture, found, network.crop)
        beliefs, _ = network.look(crops[network.crop])
        sureness = registry.sureness(version)
        for face, belief, spoken in zip(found, beliefs, said, strict=True):
            spoken[task] = say(ATTRIBUTES[task], belief, sureness=sureness, usable=face.quality.usable)
    return said


def crops_of(picture: Picture, found: Sequence[FaceFound], crop: CropSpec) -> Crops:
    return stack([align(picture, face.landmarks, crop)[0] for face in found])
