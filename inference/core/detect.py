"""Faces in a picture, with five points each, by YuNet (Wu, Peng, Yu: YuNet, Machine Intelligence Research 2023).

The network comes inside the package yuface, but not through its Python module: that one leaks 36 KiB a
call (a malloc without a free, measured), which a worker on a million photos would not survive. The C
function beneath takes the caller's buffer, so it is called directly.
"""

import ctypes
from functools import cache
from pathlib import Path
from threading import Lock

import cv2
import numpy as np
import numpy.typing as npt

from inference.core.packaged import packaged_file
from inference.core.types import Box, Detection, Picture, Points

_MOST_FACES = 1024  # the library stops there
_FACE_BYTES = 32  # of which 15 int16 are set: score in hundredths, x, y, width, height, five points
_THREADS = 1  # workers are processes with one thread each, and a pool of OpenMP threads does not survive a fork

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


class _Library:
    """The C function, with buffers of our own and its number of threads held at one."""

    def __init__(self, path: Path) -> None:
        library = ctypes.CDLL(str(path))
        self._detect = library._Z14facedetect_cnnPhS_iii
        self._detect.restype = ctypes.c_void_p
        self._detect.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
        self._set_threads = library.omp_set_num_threads
        self._set_threads.argtypes = [ctypes.c_int]
        self.rows(np.zeros((32, 32, 3), np.uint8))  # the first call builds the filters; two at once would race

    def rows(self, bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.int16]:
        """(faces, 15) for a contiguous BGR picture: the function reads height * width * 3 bytes unchecked."""
        bgr = np.ascontiguousarray(bgr, dtype=np.uint8)
        height, width, channels = bgr.shape
        if channels != 3 or height == 0 or width == 0:
            raise ValueError(f"Expected a colour picture (height, width, 3), got an array of shape {bgr.shape}.")
        buffer = np.zeros(4 + _FACE_BYTES * _MOST_FACES, np.uint8)
        self._set_threads(_THREADS)  # holds for the calling thread only, so it is said each time
        self._detect(buffer.ctypes.data, bgr.ctypes.data, width, height, width * 3)
        count = int(buffer[:4].view(np.int32)[0])
        return buffer[4 : 4 + _FACE_BYTES * count].view(np.int16).reshape(count, _FACE_BYTES // 2)[:, :15]


class YuNetDetector:
    """Looks from afar and at 640 px, and again closely where the faces are small or many."""

    def __init__(self, library: Path, *, score: float = SCORE) -> None:
        self._library = _Library(library)
        self._score = score

    def detect(self, picture: Picture) -> list[Detection]:
        """Every face of the picture, best first; none beyond 1,024 a tile.

        The close look costs at most 25 tiles, whatever the size of the picture.
        """
        bgr = np.ascontiguousarray(picture[:, :, ::-1])
        longer = max(bgr.shape[:2])
        first = self._look(bgr, min(1.0, FIRST_SIDE / longer))
        seen = first + (self._look(bgr, AFAR_SIDE / longer) if longer > AFAR_ABOVE else [])
        if longer > FIRST_SIDE and _worth_a_closer_look(first, FIRST_SIDE / longer):
            seen += self._look_closely(bgr, min(1.0, FULL_SIDE / longer))
        return merged([face for face in seen if face.score >= self._score])

    def _look(self, bgr: npt.NDArray[np.uint8], scale: float) -> list[Detection]:
        return [_detection(row, scale, (0, 0)) for row in self._library.rows(_resized(bgr, scale))]

    def _look_closely(self, bgr: npt.NDArray[np.uint8], scale: float) -> list[Detection]:
        """Faces by overlapping tiles, so that memory stays that of one tile; what an inner edge cuts is left out."""
        sized = _resized(bgr, scale)
        height, width = sized.shape[:2]
        found = []
        for top in _starts(height):
            for left in _starts(width):
                for row in self._library.rows(sized[top : top + TILE, left : left + TILE]):
                    if not _cut(row, left, top, width, height):
                        found.append(_detection(row, scale, (left, top)))
        return found


def _resized(bgr: npt.NDArray[np.uint8], scale: float) -> npt.NDArray[np.uint8]:
    if scale == 1.0:
        return bgr
    height, width = bgr.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(bgr, size, interpolation=way), dtype=np.uint8)


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


def _cut(row: npt.NDArray[np.int16], left: int, top: int, width: int, height: int) -> bool:
    """Whether the box touches an edge of its tile that is not an edge of the picture."""
    x, y, w, h = (int(value) for value in row[1:5])
    return (
        (left > 0 and x <= 0)
        or (top > 0 and y <= 0)
        or (left + TILE < width and x + w >= TILE)
        or (top + TILE < height and y + h >= TILE)
    )


def _detection(row: npt.NDArray[np.int16], scale: float, offset: tuple[int, int]) -> Detection:
    """A row of the library, which counts in pixels of a tile of the resized picture, in pixels of the picture."""
    x, y, width, height = row[1:5] / scale
    points: Points = ((row[5:15].reshape(5, 2) + offset + 0.5) / scale - 0.5).astype(np.float32)
    box = Box(float(x + offset[0] / scale), float(y + offset[1] / scale), float(width), float(height))
    return Detection(box=box, score=float(row[0]) / 100, points=points)


def merged(faces: list[Detection]) -> list[Detection]:
    """One detection for each face that several looks saw: the best, then what it does not cover.

    Greedy non-maximum suppression at IoU 0.3; a box that lies mostly inside a better one goes, too: it is a part of
    that face, seen too closely. (At 0.4, small faces in a crowd stay twice, as looks differ by a pixel or two.)
    """
    kept: list[Detection] = []
    for face in sorted(faces, key=lambda face: (-face.score, -face.box.area, face.box.x, face.box.y)):
        if face.box.area > 0 and not any(_same(face.box, better.box) for better in kept):
            kept.append(face)
    return kept


def _same(one: Box, other: Box) -> bool:
    return one.iou(other) > 0.3 or one.overlap(other) > 0.6 * min(one.area, other.area)


@cache
def cold_detector() -> YuNetDetector:
    """The detector that ships inside yuface, loaded once per process."""
    with _loading:
        return YuNetDetector(packaged_file("yuface", "libfacedetection.so.v0.0.3"))


_loading = Lock()  # two threads that ask first at the same time must not both build the filters
