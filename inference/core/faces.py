"""All faces of one picture, each with everything measured on it."""

from collections.abc import Sequence
from dataclasses import replace
from math import hypot

import cv2
import numpy as np

from inference.core import quality
from inference.core.types import Box, Detector, FaceFound, Landmarker, Picture

# A face of less than half the side of the largest one is taken for background and cannot be the chosen one, however
# central it is: two people side by side differ less than that, someone passing behind them more.
_MAIN_SHARE = 0.5
CLOSE_SIDE = 256  # px; what a cropped face is enlarged to before it is looked for
CLOSE_MOST = 1024  # px of its longer side by that: a strip of 20,000 × 1 would fill the memory
FRAME = 0.25  # of that side, all around


def find_faces(
    picture: Picture,
    detector: Detector,
    landmarker: Landmarker,
    *,
    limits: quality.Limits = quality.LIMITS,
) -> list[FaceFound]:
    """Every face of the picture, from left to right; exactly one is `chosen` if there are any."""
    found = []
    for detection in sorted(detector.detect(picture), key=lambda face: (face.box.x, face.box.y, -face.score)):
        landmarks = landmarker.landmarks(picture, detection)
        pose = quality.pose_of(landmarks)
        measured = quality.measure(picture, detection, landmarks, pose, limits)
        found.append(FaceFound(detection, landmarks, pose, measured, chosen=False))
    if not found:
        return []
    height, width = picture.shape[:2]
    chosen = most_centred([face.detection.box for face in found], width=width, height=height)
    return [replace(face, chosen=index == chosen) for index, face in enumerate(found)]


def framed(picture: Picture) -> tuple[Picture, float, int]:
    """A picture that is a cropped face and nothing around it, as a detector expects it: enlarged, and in a frame.

    With it how many times it was enlarged, and how many pixels the frame is wide.
    """
    height, width = picture.shape[:2]
    enlarged = max(1.0, min(CLOSE_SIDE / min(height, width), CLOSE_MOST / max(height, width)))
    larger = cv2.resize(picture, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_CUBIC)
    frame = round(FRAME * min(larger.shape[:2]))
    return np.pad(larger, ((frame, frame), (frame, frame), (0, 0)), mode="edge").astype(np.uint8), enlarged, frame


def most_centred(boxes: Sequence[Box], *, width: int, height: int) -> int:
    """The index of the box nearest to the middle of the picture, among those of at least half the largest one's side.

    Of two equally near ones the larger, and then the first. Raises ValueError without boxes.
    """
    main = _MAIN_SHARE**2 * max(box.area for box in boxes)

    def rank(index: int) -> tuple[float, float, int]:
        x, y = boxes[index].centre
        return hypot(x - width / 2, y - height / 2), -boxes[index].area, index

    return min((index for index, box in enumerate(boxes) if box.area >= main), key=rank)
