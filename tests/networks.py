"""Networks that are played: they say what a test wants of every face, in no time."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from annotation.models import Face
from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.core.types import Crops, CropSpec
from tests.factories import a_face, a_picture, an_embedding

WHOLE = CropSpec("wide-384", 384)


@dataclass(frozen=True)
class Says:
    """A network that says the same of every face."""

    task: str
    first: float  # how sure it is of the first value, or of nought years
    crop: ClassVar[CropSpec] = WHOLE

    def look(self, crops: Crops) -> tuple[np.ndarray, np.ndarray]:
        attribute = ATTRIBUTES[self.task]
        width = 117 if attribute.in_years else len(attribute.values)
        belief = np.full(width, (1 - self.first) / (width - 1))
        belief[0] = self.first
        features = np.array([self.first, 1.0], np.float32)
        return np.tile(belief, (len(crops), 1)), np.tile(features, (len(crops), 1))


@dataclass(frozen=True)
class Places:
    """A backbone that puts every face at one place."""

    dimensions: int
    crop: ClassVar[CropSpec] = WHOLE

    def embed(self, crops: Crops) -> np.ndarray:
        return np.tile(np.eye(self.dimensions, dtype=np.float32)[0], (len(crops), 1))


def play_networks(monkeypatch: pytest.MonkeyPatch) -> dict[int, float]:
    """By version, how sure its network is of the first value; of those not named, as sure as can be."""
    sure = dict[int, float]()
    monkeypatch.setattr(registry, "attribute_model", lambda version: Says(version.task, sure.get(version.pk, 0.99)))
    monkeypatch.setattr(registry, "embedder", lambda version: Places(version.dimensions))
    return sure


def a_seen_face() -> Face:
    """With its crop, and a vector of the live backbone."""
    live, face = registry.ensure_live(), a_face()
    a_picture(face.photo)
    an_embedding(face, live, np.eye(live.dimensions)[0])
    return face
