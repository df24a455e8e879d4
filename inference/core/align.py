"""From a face in a picture to an upright crop of fixed size, and back.

A transform is the 2x3 matrix of a similarity (turn, scale, shift; never a mirror) that maps picture
pixels to crop pixels. It is stored with the crop, so that anything found in the crop can be drawn on the photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from inference.core.types import CropSpec, Picture, Transform

FloatPoints = npt.NDArray[np.floating]  # (n, 2)

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)  # of the 300-W mark-up; left is the picture's left
NOSE_TIP, LEFT_MOUTH, RIGHT_MOUTH = 30, 48, 54


class UnknownTemplate(KeyError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is no crop template {name!r}. Known are: {', '.join(sorted(TEMPLATES))}.")

    def __str__(self) -> str:  # KeyError shows the repr of its message
        return str(self.args[0])


class PointsDoNotAlign(ValueError):
    """The points cannot be laid onto a template: too few, not finite, or all in one place."""


def five_points(landmarks: FloatPoints) -> npt.NDArray[np.float64]:
    """Eye centres, nose tip and mouth corners (5, 2) of 68 landmarks, the picture's left first."""
    return np.stack(
        [
            landmarks[LEFT_EYE].mean(axis=0),
            landmarks[RIGHT_EYE].mean(axis=0),
            landmarks[NOSE_TIP],
            landmarks[LEFT_MOUTH],
            landmarks[RIGHT_MOUTH],
        ]
    ).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Template:
    """Where the points of a face should come to lie in a crop; x and y as shares of its side."""

    five: npt.NDArray[np.float64]  # (5, 2), used when only the detector's five points are known
    marks: tuple[int, ...] = ()  # which of the 68 landmarks it uses; none: the five points derived from them
    marked: npt.NDArray[np.float64] | None = None  # (len(marks), 2), where those should lie
    inward: bool = False  # fitted from the crop to the picture, not the other way: turned heads come out larger

    def pair(self, points: FloatPoints) -> tuple[FloatPoints, npt.NDArray[np.float64]]:
        """The points to be moved and where they should go, from (68, 2) or (5, 2) points."""
        if points.shape == (5, 2):
            return points, self.five
        if points.shape != (68, 2):
            raise PointsDoNotAlign(f"Expected 5 or 68 points of a face, got an array of shape {points.shape}.")
        if self.marked is None:
            return five_points(points), self.five
        return points[list(self.marks)], self.marked


# The five points that ArcFace and its followers train on (insightface, `face_align.arcface_dst`), in a 112 px crop.
_ARCFACE_112 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)

# dlib's mean face, landmarks 17–67, and what its get_face_chip_details leaves out because it moves with expression:
# the brows and the lower lip (dlib/image_transforms/interpolation.h). Its ResNet was trained on chips with this
# template at 150 px with a quarter of the face's width as padding, so that is what the network must see. dlib fits the
# chip to the picture and not the picture to the chip, which makes a face in half profile some 5 % larger.
_DLIB_X = (
    "0.000213256 0.0752622 0.18113 0.29077 0.393397 0.586856 0.689483 0.799124 0.904991 0.98004 0.490127 0.490127 "
    "0.490127 0.490127 0.36688 0.426036 0.490127 0.554217 0.613373 0.121737 0.187122 0.265825 0.334606 0.260918 "
    "0.182743 0.645647 0.714428 0.793132 0.858516 0.79751 0.719335 0.254149 0.340985 0.428858 0.490127 0.551395 "
    "0.639268 0.726104 0.642159 0.556721 0.490127 0.423532 0.338094 0.290379 0.428096 0.490127 0.552157 0.689874 "
    "0.553364 0.490127 0.42689"
)
_DLIB_Y = (
    "0.106454 0.038915 0.0187482 0.0344891 0.0773906 0.0773906 0.0344891 0.0187482 0.038915 0.106454 0.203352 "
    "0.307009 0.409805 0.515625 0.587326 0.609345 0.628106 0.609345 0.587326 0.216423 0.178758 0.179852 0.231733 "
    "0.245099 0.244077 0.231733 0.179852 0.178758 0.216423 0.244077 0.245099 0.780233 0.745405 0.727388 0.742578 "
    "0.727388 0.745405 0.780233 0.864805 0.902192 0.909281 0.902192 0.864805 0.784792 0.778746 0.785343 0.778746 "
    "0.784792 0.824182 0.831803 0.824182"
)
_DLIB_MARKS = (*range(27, 55), *range(60, 65))


def _dlib_chip(padding: float) -> Template:
    """With so much of the face's width left and right of it."""
    face = np.array([_DLIB_X.split(), _DLIB_Y.split()], dtype=np.float64).T
    mean = np.full((68, 2), np.nan)  # the jaw has no place in it, and is never asked for
    mean[17:] = (face + padding) / (2 * padding + 1)
    return Template(five=five_points(mean), marks=_DLIB_MARKS, marked=mean[list(_DLIB_MARKS)], inward=True)


TEMPLATES: dict[str, Template] = {
    "arcface-112": Template(five=(_ARCFACE_112 + 0.5) / 112),
    # What people are shown and what is kept of a face: hair and chin too, and every narrower crop can be cut from it.
    "wide-384": Template(five=0.15 + 0.7 * (_ARCFACE_112 + 0.5) / 112),
    "dlib-150": _dlib_chip(padding=0.25),
    "dlib-64": _dlib_chip(padding=0.2),  # of dlib's age and gender networks, at 64 and 32 px
}


def similarity(source: FloatPoints, target: FloatPoints) -> Transform:
    """The similarity (2, 3) that lays `source` (n, 2) onto `target` (n, 2) with the least squared error.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 1991, eqs. 40–42, in float64. Raises PointsDoNotAlign for fewer than two distinct or for non-finite points.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2:
        raise PointsDoNotAlign(f"Expected two lists of as many points, got shapes {source.shape} and {target.shape}.")
    if not (np.isfinite(source).all() and np.isfinite(target).all()):
        raise PointsDoNotAlign("Some points are not finite numbers, so no transform maps them.")
    from_centre, to_centre = source.mean(axis=0), target.mean(axis=0)
    spread = source - from_centre
    variance = (spread**2).sum() / len(source)
    if variance < 1e-12 or np.ptp(target, axis=0).max() < 1e-6:
        raise PointsDoNotAlign("All points lie in one place, so neither scale nor angle can be told.")
    u, d, vt = np.linalg.svd((target - to_centre).T @ spread / len(source))
    mirror = np.array([1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])  # keeps a turn from becoming a mirror
    turn = (u * mirror) @ vt
    linear = (d * mirror).sum() / variance * turn
    return np.column_stack([linear, to_centre - linear @ from_centre])


def transform_for(points: FloatPoints, crop: CropSpec) -> Transform:
    """The transform (2, 3) from picture pixels to the pixels of this crop, from (68, 2) or (5, 2) points.

    Raises UnknownTemplate, PointsDoNotAlign.
    """
    if crop.template not in TEMPLATES:
        raise UnknownTemplate(crop.template)
    template = TEMPLATES[crop.template]
    source, shares = template.pair(np.asarray(points))
    target = shares * crop.size - 0.5  # pixel centres are whole numbers
    return invert(similarity(target, source)) if template.inward else similarity(source, target)


def align(picture: Picture, points: FloatPoints, crop: CropSpec) -> tuple[Picture, Transform]:
    """The upright crop (size, size, 3) of the face with these (68, 2) or (5, 2) points, and its transform.

    What lies beyond the picture is black. Raises UnknownTemplate, PointsDoNotAlign.
    """
    transform = transform_for(points, crop)
    return warp(picture, transform, crop.size), transform


def warp(picture: Picture, transform: Transform, side: int, *, border: int = cv2.BORDER_CONSTANT) -> Picture:
    """The square of `side` pixels that `transform` maps the picture to, bilinear; black beyond it, or as `border` says.

    Shrinking by more than two first averages whole blocks of pixels, as plain bilinear sampling
    would skip most of them and alias.
    """
    shrink = int(1 / max(scale_of(transform), 1e-6))
    if shrink >= 2:
        picture, to_picture = _reduced(picture, transform, side, shrink)
        transform = compose(transform, to_picture)
    return np.asarray(
        cv2.warpAffine(picture, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=border),
        dtype=np.uint8,
    )


def _reduced(picture: Picture, transform: Transform, side: int, shrink: int) -> tuple[Picture, Transform]:
    """The part of the picture that the crop shows, smaller by a whole factor, and its map back to the picture."""
    corners = apply(invert(transform), np.array([[0, 0], [side, 0], [0, side], [side, side]], np.float64))
    height, width = picture.shape[:2]
    left, top = (max(0, int(edge) - shrink) for edge in corners.min(axis=0))
    right = min(width, int(corners[:, 0].max()) + 2 * shrink)
    bottom = min(height, int(corners[:, 1].max()) + 2 * shrink)
    columns, rows = (right - left) // shrink, (bottom - top) // shrink
    if columns < 1 or rows < 1:  # the face lies outside of the picture or on its last few pixels
        return picture, np.eye(2, 3)
    part = picture[top : top + rows * shrink, left : left + columns * shrink]
    small = cv2.resize(part, (columns, rows), interpolation=cv2.INTER_AREA)
    middle = (shrink - 1) / 2  # the centre of the first block of pixels
    return np.asarray(small, np.uint8), np.array([[shrink, 0, left + middle], [0, shrink, top + middle]], np.float64)


def apply(transform: Transform, points: FloatPoints) -> npt.NDArray[np.float64]:
    """Where these points (n, 2) come to lie."""
    return np.asarray(points, np.float64) @ transform[:, :2].T + transform[:, 2]


def invert(transform: Transform) -> Transform:
    """The way back: from crop pixels to picture pixels."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def compose(second: Transform, first: Transform) -> Transform:
    """One transform that does `first` and then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def scale_of(transform: Transform) -> float:
    """Crop pixels per picture pixel."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def stack(crops: Sequence[Picture]) -> npt.NDArray[np.uint8]:
    """Crops of one size as one array (n, size, size, 3), the form that embedders take."""
    return np.stack(crops) if crops else np.empty((0, 0, 0, 3), np.uint8)
