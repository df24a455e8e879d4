"""What a picture holds, and what every detector, landmarker and embedder must offer.

Pictures are uint8 RGB arrays (height, width, 3), upright (EXIF orientation applied). Coordinates
are pixels of that picture, x to the right and y downwards, with (0, 0) the centre of the first pixel.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB, upright
Points = npt.NDArray[np.float32]  # (n, 2), x and y in pixels
Vectors = npt.NDArray[np.float32]  # (faces, dimensions), unit length


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle in pixels; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Detection:
    """One face as the detector saw it."""

    box: Box
    score: float  # 0–1
    points: Points  # (5, 2): the eye and the mouth corner on the picture's left come first: eye, eye, nose, mouth, mouth


@dataclass(frozen=True)
class Pose:
    """Head angles in degrees; zero is a frontal, upright face."""

    yaw: float  # positive: turned towards the picture's right
    pitch: float  # positive: looking up
    roll: float  # positive: tilted clockwise in the picture


@dataclass(frozen=True)
class Quality:
    """What decides whether a face can be told apart at all."""

    size: float  # inter-ocular scale: the shorter side of the box in pixels
    sharpness: float  # variance of the Laplacian of the crop's luma
    brightness: float  # mean luma, 0–1
    gray: bool  # no colour in it
    truncated: bool  # cut off by the picture's frame
    usable: bool  # good enough to be shown in a question
    reason: str  # why not usable; empty if it is


@dataclass(frozen=True)
class FaceFound:
    """One face of one picture with everything measured on it."""

    detection: Detection
    landmarks: Points  # (68, 2), the 300-W mark-up
    pose: Pose
    quality: Quality
    chosen: bool  # the most centred face of the picture


@dataclass(frozen=True)
class CropSpec:
    """How an embedder wants its crops: a named template, and a square side in pixels."""

    template: str
    size: int


class Detector(Protocol):
    def detect(self, picture: Picture) -> list[Detection]: ...


class Landmarker(Protocol):
    def landmarks(self, picture: Picture, detection: Detection) -> Points: ...


class Embedder(Protocol):
    @property
    def crop(self) -> CropSpec: ...

    @property
    def dimensions(self) -> int: ...

    def embed(self, crops: npt.NDArray[np.uint8]) -> Vectors:
        """Vectors of unit length (n, dimensions) for crops (n, size, size, 3)."""
        ...
