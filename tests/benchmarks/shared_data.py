"""Where the benchmarks find their pictures, and how they state a share with its uncertainty."""

import os
from pathlib import Path

import cv2
import numpy as np

from inference.core.types import Picture

SHARED_DATA = Path(os.environ.get("DAGER_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")


def picture(path: Path) -> Picture:
    """A picture of the test sets as RGB; these are known to be plain upright JPEGs."""
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise FileNotFoundError(f"{path} is missing or no picture. Set DAGER_SHARED_DATA to the folder of test data.")
    return np.ascontiguousarray(bgr[:, :, ::-1], dtype=np.uint8)


def wilson(right: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927), which also holds near 0 and 1."""
    if of == 0:
        return 0.0, 1.0
    z, share = 1.96, right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * (share * (1 - share) / of + z * z / (4 * of * of)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)


def share(right: int, of: int) -> str:
    low, high = wilson(right, of)
    return f"{right / max(of, 1):.4f} ({right} of {of}; 95 % CI {low:.4f}–{high:.4f})"
