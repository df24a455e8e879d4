"""Tiny sets in the official layouts, drawn: nobody's faces, and networks that see only colours."""

from pathlib import Path

import numpy as np
from PIL import Image

from annotation.core.drawn import draw_portrait
from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER, Attribute
from inference.core.types import Beliefs, Crops, CropSpec, Vectors
from training.core.benchmarks.heads import LinearHead
from training.core.benchmarks.protocol import Contestant

SIDE = 32


class ColourEmbedder:
    """A vector of the mean colours of nine fields: enough to tell drawn people and painted squares apart."""

    crop = CropSpec("arcface-112", SIDE)
    dimensions = 27

    def embed(self, crops: Crops) -> Vectors:
        fields = np.stack(
            [crops[:, a : a + 10, b : b + 10].mean(axis=(1, 2)) for a in (0, 11, 22) for b in (0, 11, 22)], 1
        )
        vectors = fields.reshape(len(crops), -1) - 110
        return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


class BrightnessModel:
    """Believes that the brighter a face, the later the value."""

    crop = CropSpec("arcface-112", SIDE)

    def __init__(self, attribute: Attribute) -> None:
        self.attribute = attribute

    def look(self, crops: Crops) -> tuple[Beliefs, None]:
        values = 101 if self.attribute.in_years else len(self.attribute.values)
        place = np.minimum((crops.mean(axis=(1, 2, 3)) / 256 * values).astype(int), values - 1)
        return np.eye(117 if self.attribute.in_years else values)[place], None


def contestant() -> Contestant:
    embedder = ColourEmbedder()
    attributes = (GENDER, APPARENT_AGE, EMOTION)
    return Contestant(
        embedder,
        "colours",
        {each.name: BrightnessModel(each) for each in attributes},
        {each.name: "brightness" for each in attributes},
        LinearHead(embedder, "colours"),
    )


def paint(path: Path, level: int, size: tuple[int, int] = (60, 60)) -> Path:
    """A picture without a face, all of one gray."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level, level, level)).save(path)
    return path


def portrait(path: Path, person: int, photo: int) -> Path:
    """A picture with a face that the detector finds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_portrait(person, photo).save(path, quality=92)
    return path
