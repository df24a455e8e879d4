"""What a picture holds, and what every detector, landmarker and embedder must offer.

Pictures are uint8 RGB arrays (height, width, 3), upright (EXIF orientation applied). Coordinates
are pixels of that picture, x to the right and y downwards, with (0, 0) the centre of the first pixel.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.core.attributes import Attribute

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB, upright
Crops = npt.NDArray[np.uint8]  # (faces, size, size, 3), RGB
Points = npt.NDArray[np.float32]  # (n, 2), x and y in pixels
Transform = npt.NDArray[np.float64]  # (2, 3), picture pixels to crop pixels
Beliefs = npt.NDArray[np.float64]  # (faces, values), each a distribution
Vectors = npt.NDArray[np.float32]  # (faces, dimensions), unit length


@dataclass(frozen=True)
class Box:
    """An axis-parallel rectangle in pixels; it may reach beyond the picture."""

    x: float
    y: float
    width: float
    height: float

    @property
    def area(self) -> float:
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.width / 2, self.y + self.height / 2

    def overlap(self, other: "Box") -> float:
        """The area that both cover, in square pixels."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(width, 0.0) * max(height, 0.0)

    def iou(self, other: "Box") -> float:
        """Intersection over union, 0–1; 0 for two empty boxes."""
        both = self.overlap(other)
        union = self.area + other.area - both
        return both / union if union > 0 else 0.0


@dataclass(frozen=True, eq=False)  # it holds an array, which has no single truth value to compare by
class Detection:
    """One face as the detector saw it."""

    box: Box
    score: float  # 0–1
    points: Points  # (5, 2): both eyes, nose tip, both mouth corners; of a pair the picture's left one first


@dataclass(frozen=True)
class Pose:
    """Head angles in degrees; zero is a frontal, upright face."""

    yaw: float  # positive: turned towards the picture's right
    pitch: float  # positive: looking up
    roll: float  # positive: tilted clockwise in the picture


@dataclass(frozen=True)
class Quality:
    """What decides whether a face can be told apart at all."""

    size: float  # the shorter side of the box in pixels
    sharpness: float  # variance of the Laplacian of the 112 px crop's luma (0–255)
    brightness: float  # mean luma of that crop, 0–1
    gray: bool  # no colour in it
    truncated: bool  # cut off by the picture's frame
    usable: bool  # good enough to be shown in a question
    reason: str  # why not usable; empty if it is


@dataclass(frozen=True, eq=False)
class FaceFound:
    """One face of one picture with everything measured on it."""

    detection: Detection
    landmarks: Points  # (68, 2), the 300-W mark-up
    pose: Pose
    quality: Quality
    chosen: bool  # the most centred face of the picture; `faces.most_centred` says how


@dataclass(frozen=True)
class CropSpec:
    """How an embedder wants its crops: a template named in `align.TEMPLATES`, and a square side in pixels."""

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

    def embed(self, crops: Crops) -> Vectors:
        """Vectors of unit length (n, dimensions) for crops (n, size, size, 3)."""
        ...


class AttributeModel(Protocol):
    """What a network believes of a face, before it is calibrated."""

    @property
    def attribute(self) -> Attribute: ...

    @property
    def crop(self) -> CropSpec: ...

    def look(self, crops: Crops) -> tuple[Beliefs, Vectors | None]:
        """Distributions (n, values) for crops (n, size, size, 3): over the attribute's values, or the years 0–116.

        And the unit vectors (n, features) that its last layer decides by, if it gives them: a head on these learns
        from a corpus' own labels.
        """
        ...
