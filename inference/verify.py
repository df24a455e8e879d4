"""Two photos in, whether their main faces are one person out. Nothing of them is kept."""

from dataclasses import dataclass

import numpy as np

from inference import batching, registry
from inference.core.images import PictureRefused, Size
from inference.core.sameness import Verdict, judge
from inference.core.types import Crops, CropSpec, FaceFound
from inference.errors import BadPhoto
from inference.look import look
from inference.models import ModelVersion
from inference.predict import SMALL_IN_REDUCED, crops_of


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two photos, and the face of it that was compared: the most centred of the large ones."""

    size: Size
    face: FaceFound
    faces: int  # that the photo has


@dataclass(frozen=True, eq=False)
class Verification:
    one: Side
    other: Side
    verdict: Verdict
    version: ModelVersion

    @property
    def abstained(self) -> bool:
        """Whether the verdict should not be relied on: a face is too small, blurred or turned to tell."""
        return not (self.one.face.quality.usable and self.other.face.quality.usable)


def verify(one: bytes, other: bytes, *, fields: tuple[str, str] = ("photo_a", "photo_b")) -> Verification:
    """Whether the chosen faces of these files show one person, by the live backbone.

    Raises BadPhoto, naming the field of the photo that is refused or has no face.
    """
    version = registry.ensure_live()
    network = registry.embedder(version)
    first, its_crop = _side(one, fields[0], network.crop)
    second, other_crop = _side(other, fields[1], network.crop)
    vectors = batching.embed(network, np.concatenate([its_crop, other_crop]))
    similarity = float(vectors[0] @ vectors[1])
    return Verification(first, second, judge(similarity, registry.calibration(version)), version)


def _side(data: bytes, field: str, crop: CropSpec) -> tuple[Side, Crops]:
    """And its face as the network wants it: the picture is let go before the next one comes."""
    try:
        photo, found = look(data, small=SMALL_IN_REDUCED)
    except PictureRefused as error:
        raise BadPhoto(error.code, str(error), field) from error
    chosen = next((face for face in found if face.chosen), None)
    if chosen is None:
        raise BadPhoto("no_face", "No face was found in this photo. Send one in which a face can be seen.", field)
    return Side(photo.size, chosen, len(found)), crops_of([(photo.picture, chosen)], crop)
