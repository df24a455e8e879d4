"""Faces in a picture, with five points each: YuNet looks from afar, at 640 px, and closely where they are many."""

from functools import cache
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt

from inference.core.packaged import packaged_file
from inference.core.types import Box, Detection, Picture, Points
from inference.core.yunet import YuNet

SCORE = 0.7  # 36 of 36 faces and none extra on the first 15 photos tried (DESIGN.md §6)
HINT = 0.5  # a weaker candidate is no face yet, but a reason to look closer

# YuNet misses very large faces: of portraits that fill the frame 23 % at 640 px, 1.7 % at 480 and none at 320 or less
# (UTKFace). So what is larger than 320 px is also looked at from afar.
AFAR_ABOVE, AFAR_SIDE = 320, 224
FIRST_SIDE = 640
FULL_SIDE = 2560  # nothing is searched at a larger scale than this: 25 tiles, under two seconds
TILE, TILE_OVERLAP = 640, 96  # the overlap holds every face that only the close look can see
SMALL_FACE = 24.0  # px in the first pass; such a face, or none at all, is a reason to look closer
CROWD = 5  # so is a group
MOST = 500  # faces; a picture put together of ten thousand small ones would be looked at for minutes


class YuNetDetector:
    """Looks from afar and at 640 px, and again closely where the faces are small or many."""

    def __init__(self, network: YuNet, *, score: float = SCORE) -> None:
        self._network = network
        self._score = score

    def detect(self, picture: Picture) -> list[Detection]:
        """The faces of the picture, at most MOST, best first; the close look costs at most 25 tiles."""
        longer = max(picture.shape[:2])
        first = self._look(picture, min(1.0, FIRST_SIDE / longer))
        seen = first + (self._look(picture, AFAR_SIDE / longer) if longer > AFAR_ABOVE else [])
        if longer > FIRST_SIDE and _worth_a_closer_look(first, FIRST_SIDE / longer):
            seen += self._look_closely(picture, min(1.0, FULL_SIDE / longer))
        return merged([face for face in seen if face.score >= self._score])

    def _look(self, picture: Picture, scale: float) -> list[Detection]:
        faces = self._network.look(_resized(picture, scale), least=min(HINT, self._score))
        return [_detection(face, scale, (0, 0)) for face in faces]

    def _look_closely(self, picture: Picture, scale: float) -> list[Detection]:
        """Faces by overlapping tiles, so that memory stays that of one tile; what an inner edge cuts is left out."""
        sized = _resized(picture, scale)
        height, width = sized.shape[:2]
        found = []
        for top in _starts(height):
            for left in _starts(width):
                for face in self._network.look(sized[top : top + TILE, left : left + TILE], least=self._score):
                    if not _cut(face, left, top, width, height):
                        found.append(_detection(face, scale, (left, top)))
        return found


def _resized(picture: Picture, scale: float) -> Picture:
    """Means over areas by halves, then what is left by straight lines: OpenCV takes a tenth of the time of means for
    it, and of less than a half nothing is skipped."""
    while scale <= 0.5 and min(picture.shape[:2]) >= 2:
        height, width = (side // 2 for side in picture.shape[:2])
        picture = _sized(picture[: 2 * height, : 2 * width], width, height, cv2.INTER_AREA)
        scale *= 2
    if scale == 1.0:
        return picture
    height, width = (max(1, round(side * scale)) for side in picture.shape[:2])
    return _sized(picture, width, height, cv2.INTER_LINEAR)


def _sized(picture: Picture, width: int, height: int, way: int) -> Picture:
    return np.asarray(cv2.resize(picture, (width, height), interpolation=way), dtype=np.uint8)


def _worth_a_closer_look(faces: list[Detection], scale: float) -> bool:
    """Nothing was seen, or something small, or a group, in which more and smaller faces are likely."""
    hints = [face for face in faces if face.score >= HINT]
    smallest = min((min(face.box.width, face.box.height) * scale for face in hints), default=0.0)
    return smallest < SMALL_FACE or len(hints) >= CROWD


def _starts(length: int) -> list[int]:
    """Where tiles begin along a side, evenly spaced, so that neighbours share at least TILE_OVERLAP pixels."""
    if length <= TILE:
        return [0]
    count = -(-(length - TILE_OVERLAP) // (TILE - TILE_OVERLAP))
    return [round(index * (length - TILE) / (count - 1)) for index in range(count)]


def _cut(face: npt.NDArray[np.float32], left: int, top: int, width: int, height: int) -> bool:
    """Whether the box touches an edge of its tile that is not an edge of the picture."""
    x, y, w, h = face[1:5]
    return bool(
        (left > 0 and x < 1)
        or (top > 0 and y < 1)
        or (left + TILE < width and x + w >= TILE)
        or (top + TILE < height and y + h >= TILE)
    )


def _detection(face: npt.NDArray[np.float32], scale: float, offset: tuple[int, int]) -> Detection:
    """What a look saw in a tile of the resized picture, in pixels of the picture.

    The network counts from the edge of the first pixel, points here count from its middle.
    """
    x, y, width, height = np.add(face[1:5], (*offset, 0, 0)) / scale
    points: Points = ((face[5:].reshape(5, 2) + offset) / scale - 0.5).astype(np.float32)
    return Detection(Box(float(x), float(y), float(width), float(height)), float(face[0]), points)


def merged(faces: list[Detection]) -> list[Detection]:
    """One detection for each face that several looks saw: the best, then what it does not cover; the surest MOST.

    Greedy non-maximum suppression at IoU 0.3; a box that lies mostly inside a better one goes, too: it is a part of
    that face, seen too closely. (At 0.4, small faces in a crowd stay twice, as looks differ by a pixel or two.)
    """
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: (-face.score, -face.box.area, face.box.x, face.box.y)):
        if len(kept) == MOST:
            break
        if face.box.area > 0 and not any(_same(face.box, better.box) for better in kept):
            kept.append(face)
    return kept


def _same(one: Box, other: Box) -> bool:
    return one.iou(other) > 0.3 or one.overlap(other) > 0.6 * min(one.area, other.area)


@cache
def cold_detector() -> YuNetDetector:
    """The detector that ships inside yuface, loaded once per process."""
    with _loading:
        return YuNetDetector(YuNet(packaged_file("yuface", "libfacedetection.so.v0.0.3")))


_loading = Lock()  # two threads that ask first at the same time need one of it, not two
