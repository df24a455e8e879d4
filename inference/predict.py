"""A picture in, its faces with all that the live models say of them out. Nothing of it is kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from inference import registry
from inference.core.align import align, stack
from inference.core.attributes import ATTRIBUTES
from inference.core.bundle import EMBEDDING
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.said import Said, say
from inference.core.types import Crops, CropSpec, FaceFound, Picture, Vectors
from inference.decoding import decode
from inference.models import ModelVersion

REDUCED_SIDE = 1600  # px; a larger photo is decoded reduced, which is several times faster
SMALL_IN_REDUCED = 60.0  # px; below it the largest crop that a network wants would be blown up: then decode in full


@dataclass(frozen=True, eq=False)
class FacePrediction:
    """A face in the pixels of the picture that was looked at, and what is said of it."""

    found: FaceFound
    said: dict[str, Said | None]  # by attribute; None where no model is known for it


@dataclass(frozen=True, eq=False)
class Prediction:
    """All faces of one photo, from left to right."""

    width: int  # of the whole photo, upright, in pixels
    height: int
    scale: float  # pixels of the whole photo for one of the picture that the faces were found in
    picture: Picture
    faces: list[FacePrediction]


def live_models() -> dict[str, ModelVersion]:
    """Who answers now, by task. An attribute that no model is known for is missing."""
    return {EMBEDDING: registry.ensure_live()} | registry.ensure_attributes()


def predict(data: bytes) -> Prediction:
    """What the live models say of the faces in this file. Raises PictureRefused."""
    width, height, scale, picture, found = _look(data)
    said = _said(picture, found)
    return Prediction(width, height, scale, picture, [FacePrediction(*each) for each in zip(found, said, strict=True)])


def embed(data: bytes) -> tuple[Prediction, Vectors]:
    """The faces of this file, nothing said of them, and their unit vectors (faces, dimensions) by the live backbone.

    Raises PictureRefused.
    """
    width, height, scale, picture, found = _look(data)
    network = registry.embedder(registry.ensure_live())
    vectors = network.embed(_crops(picture, found, network.crop))
    return Prediction(width, height, scale, picture, [FacePrediction(face, {}) for face in found]), vectors


def _look(data: bytes) -> tuple[int, int, float, Picture, list[FaceFound]]:
    decoded = decode(data, max_side=REDUCED_SIDE)
    found = find_faces(decoded.picture, cold_detector(), cold_landmarker())
    reduced = decoded.width > decoded.picture.shape[1]
    if reduced and (not found or min(face.quality.size for face in found) < SMALL_IN_REDUCED):
        decoded = decode(data)
        found = find_faces(decoded.picture, cold_detector(), cold_landmarker())
    return decoded.width, decoded.height, decoded.scale, decoded.picture, found


def _said(picture: Picture, found: Sequence[FaceFound]) -> list[dict[str, Said | None]]:
    """By face and attribute; each network looks at all faces at once."""
    said: list[dict[str, Said | None]] = [dict.fromkeys(ATTRIBUTES) for _ in found]
    crops = dict[CropSpec, Crops]()
    for task, version in registry.ensure_attributes().items() if found else ():
        network = registry.attribute_model(version)
        if network.crop not in crops:
            crops[network.crop] = _crops(picture, found, network.crop)
        beliefs, _ = network.look(crops[network.crop])
        sureness = registry.sureness(version)
        for face, belief, spoken in zip(found, beliefs, said, strict=True):
            spoken[task] = say(ATTRIBUTES[task], belief, sureness=sureness, usable=face.quality.usable)
    return said


def _crops(picture: Picture, found: Sequence[FaceFound], crop: CropSpec) -> Crops:
    return stack([align(picture, face.landmarks, crop)[0] for face in found])
