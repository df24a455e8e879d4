"""How well a face can be told apart: pose, sharpness, light, and whether it is worth asking about."""

from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

from inference.core.align import FloatPoints, transform_for, warp
from inference.core.types import Box, CropSpec, Detection, Picture, Pose, Quality

_CROP = CropSpec("arcface-112", 112)  # sharpness and light are read off one crop of one scale, so they compare


@dataclass(frozen=True)
class Limits:
    """Beyond which of these a face is not worth a person's time. Generous: ordinary faces must not be lost."""

    # px; LFW shrunk to this size: right pairs 0.964 at 20 px, 0.924 at 16, 0.868 at 12 (0.990 in full)
    smallest: float = 20.0
    blurred: float = 6.0  # variance of the Laplacian; a face that is only a smear of skin
    dark: float = 0.05  # mean luma; at 0.06 faces of IMFDB can still be told apart
    bright: float = 0.97  # burnt out
    yaw: float = 50.0  # degrees; the landmarks saturate there at full profile, where the embedding knows nobody
    pitch: float = 60.0
    outside: float = 0.40  # share of the landmarks beyond the frame; past jaw and brows (27 of 68) eyes or mouth go


LIMITS = Limits()

_GRAY = 4.0  # mean difference between the largest and the smallest channel; JPEG leaves some on gray pictures
_TRUNCATED = 0.10  # share of the landmarks beyond the frame; less is the jaw line of a close crop


def measure(
    picture: Picture,
    detection: Detection,
    landmarks: FloatPoints,
    pose: Pose,
    limits: Limits,
) -> Quality:
    """The quality of one face of a picture, and by `limits` whether it is usable, with the first reason why not."""
    # Beyond the frame the outermost pixels are repeated: black there would read as darkness, its edge as sharpness.
    crop = warp(picture, transform_for(landmarks, _CROP), _CROP.size, border=cv2.BORDER_REPLICATE)
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    height, width = picture.shape[:2]
    outside = outside_share(landmarks, width=width, height=height)
    size = min(detection.box.width, detection.box.height)
    sharpness = float(cv2.Laplacian(luma, cv2.CV_64F).var())
    brightness = float(luma.mean()) / 255
    reason = _reason(limits, size, sharpness, brightness, outside, pose)
    return Quality(
        size=size,
        sharpness=sharpness,
        brightness=brightness,
        gray=_colour(crop) < _GRAY,
        truncated=outside > _TRUNCATED or reaches_frame(detection.box, width=width, height=height),
        usable=not reason,
        reason=reason,
    )


def _colour(crop: Picture) -> float:
    """The mean difference between a pixel's largest and smallest channel, 0–255."""
    channels = cv2.split(crop)  # numpy takes twenty times as long along an axis of three
    return float(np.subtract(reduce(np.maximum, channels), reduce(np.minimum, channels)).mean())


def _reason(limits: Limits, size: float, sharpness: float, brightness: float, outside: float, pose: Pose) -> str:
    clear = np.floor(10 * sharpness) / 10  # what is below a limit is rounded down, never to the limit itself
    checks = (
        (size < limits.smallest, f"too small: {np.floor(size):.0f} px, at least {np.ceil(limits.smallest):.0f} needed"),
        (outside > limits.outside, f"cut off: {outside:.0%} of the face lies beyond the frame"),
        (brightness < limits.dark, f"too dark: mean brightness {brightness:.2f}"),
        (brightness > limits.bright, f"too bright: mean brightness {brightness:.2f}"),
        (sharpness < limits.blurred, f"blurred: sharpness {clear:.1f}, at least {np.ceil(limits.blurred):.0f} needed"),
        (abs(pose.yaw) > limits.yaw, f"turned away: {abs(pose.yaw):.0f}° to the side"),
        (abs(pose.pitch) > limits.pitch, f"turned away: {abs(pose.pitch):.0f}° up or down"),
    )
    return next((reason for failed, reason in checks if failed), "")


def outside_share(landmarks: FloatPoints, *, width: int, height: int) -> float:
    """Which share of the landmarks (n, 2) lies beyond a picture of this size, 0–1.

    The detector's box ends about where the frame does, so it cannot tell how much is missing; landmarks go on a little.
    """
    beyond = (landmarks < -0.5) | (landmarks > np.array([width, height]) - 0.5)
    return float(beyond.any(axis=1).mean())


def reaches_frame(box: Box, *, width: int, height: int) -> bool:
    """Whether the box ends at or beyond the frame of a picture of this size, to a pixel."""
    return box.x < 1 or box.y < 1 or box.x + box.width > width - 1 or box.y + box.height > height - 1


# A generic face for the pose: the landmarks that keep their place when mouth and brows move. x to the picture's right,
# y down, z towards the camera; the unit is the distance between the outer eye corners. Found by factorisation under
# scaled orthography (Tomasi and Kanade, 1992), made symmetric, from the landmarks of 2,148 faces of IMFDB and LFW.
# With it the faces that IMFDB calls left and right come out at a median of 22° to either side, frontal ones at -1°.
_RIGID = (27, 28, 29, 30, 31, 33, 35, 36, 39, 42, 45, 48, 54)
_FACE_3D = np.array(
    [
        [0.000, -0.319, 0.076],  # 27
        [0.000, -0.179, 0.151],  # 28
        [0.000, -0.041, 0.233],  # 29
        [0.000, 0.103, 0.312],  # 30
        [-0.172, 0.196, 0.078],  # 31
        [0.000, 0.255, 0.146],  # 33
        [0.172, 0.196, 0.078],  # 35
        [-0.500, -0.294, -0.198],  # 36
        [-0.214, -0.283, -0.124],  # 39
        [0.214, -0.283, -0.124],  # 42
        [0.500, -0.294, -0.198],  # 45
        [-0.315, 0.473, -0.215],  # 48
        [0.315, 0.473, -0.215],  # 54
    ]
)  # fmt: skip


def pose_of(landmarks: FloatPoints) -> Pose:
    """The head's angles from 68 landmarks (68, 2), by the closest turn of a generic face.

    Scaled orthography, solved in closed form: a linear fit, then the nearest rotation. It needs no focal length,
    which a scraped photo rarely tells, and cannot end in the mirrored solution that iterative solvers fall into.
    """
    points = np.asarray(landmarks, np.float64)[list(_RIGID)]
    linear, *_ = np.linalg.lstsq(_FACE_3D, points - points.mean(axis=0), rcond=None)
    u, _, vt = np.linalg.svd(linear.T, full_matrices=False)
    across, down = u @ vt  # where the face's axes go in the picture: the first two rows of the rotation
    towards = np.cross(across, down)
    return Pose(
        yaw=float(np.degrees(np.arctan2(across[2], towards[2]))),
        pitch=float(np.degrees(np.arcsin(np.clip(-down[2], -1, 1)))),
        roll=float(np.degrees(np.arctan2(down[0], across[0]))),
    )
