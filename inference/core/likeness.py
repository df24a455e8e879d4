"""What many faces have in common, though some among them are somebody else's."""

import numpy as np
import numpy.typing as npt

from inference.core.types import Vectors

ROUNDS = 5  # after which the half that is meant hardly changes any more


def main_mode(vectors: Vectors) -> npt.NDArray[np.float32]:
    """The direction (dimensions,), of unit length, that most of these unit vectors (n, dimensions) share.

    A mean that is taken again and again over the half that is nearest to it (a trimmed mean), begun at the vector
    that the others are nearest to: a minority of other people does not draw it to their side. Raises ValueError
    without vectors.
    """
    if not len(vectors):
        raise ValueError("Without a vector there is nothing to have in common.")
    total = vectors.sum(axis=0)
    start = vectors[int(np.argmax(vectors @ total))]
    near = np.asarray(start, np.float32)
    half = len(vectors) // 2 + 1
    for _ in range(ROUNDS):
        nearest = np.argsort(-(vectors @ near), kind="stable")[:half]
        mean = vectors[nearest].mean(axis=0)
        near = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), np.float32)
    return near
