"""Which pictures are one picture: re-encoded, resized or slightly cropped."""

import cv2
import numpy as np

from inference.core.types import Picture


def perceptual_hash(picture: Picture) -> int:
    """64 bits that hardly change when a picture is re-encoded or resized (pHash: Zauner, 2010).

    The signs of the 8 × 8 lowest frequencies of the 32 × 32 luma around their median.
    """
    luma = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    frequencies = cv2.dct(luma.astype(np.float32))[:8, :8].ravel()
    bits = frequencies > np.median(frequencies[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
