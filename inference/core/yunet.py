"""YuNet (Wu, Peng, Yu: YuNet, Machine Intelligence Research 2023) with the weights that ship inside yuface.

libfacedetection compiles them into its library, each under its name. They are read from there and run by onnxruntime:
the same faces to a hundredth of a pixel, in a sixth of the time (README), and with fractions where the library's own
function rounds to whole pixels.
"""

import ctypes
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime
from scipy.special import logit

from inference.core.onnx_graph import Graph

Floats = npt.NDArray[np.float32]

STRIDES = (8, 16, 32)  # pixels between the places of each level
MULTIPLE = 32  # of which both sides are
WIDTH = 64  # channels from the third block on
OVERLAP = 0.45  # IoU above which two candidates of one look are one face, as in libfacedetection
PARTS = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))  # what each place says, in this order
# In and out channels of each block of the backbone after the first, and whether a pooling follows.
BLOCKS = ((16, 32, False), (32, 64, True), (64, 64, True), (64, 64, True), (64, 64, False))


class NotYuNet(ValueError):
    def __init__(self, library: Path, name: str) -> None:
        super().__init__(
            f"{library} has no weights {name!r}: it is not libfacedetection 3 as yuface 2023.5.1 ships it. "
            "Install the version that constraints.txt names."
        )


class YuNet:
    """One look at one picture."""

    def __init__(self, library: Path) -> None:
        self._network = _Writer(_Weights(library)).session()

    def look(self, picture: npt.NDArray[np.uint8], *, least: float) -> Floats:
        """Candidates of at least this score, best first, in an RGB picture (height, width, 3): (faces, 15), each with
        score, x, y, width, height, and x and y of right eye, left eye, nose, right and left corner of the mouth, in
        pixels.
        """
        height, width, channels = picture.shape
        if channels != 3 or height == 0 or width == 0:
            raise ValueError(f"Expected a colour picture (height, width, 3), got an array of shape {picture.shape}.")
        below, beside = -height % MULTIPLE, -width % MULTIPLE
        if below or beside:
            picture = np.pad(picture, ((0, below), (0, beside), (0, 0)))
        told = self._network.run(None, {"pixels": np.ascontiguousarray(picture)[None]})
        faces = np.concatenate([_decoded(level[0], stride, least) for level, stride in zip(told, STRIDES, strict=True)])
        return faces[_distinct(faces, least)]


def _decoded(told: Floats, stride: int, least: float) -> Floats:
    """Candidates (faces, 15) from what each place of one level says (16, rows, columns)."""
    # Their score is the root of two shares, neither of which is below its square: few places need to be looked at.
    row, column = np.nonzero((told[:2] >= logit(least**2)).all(axis=0))
    said = told[:, row, column].T
    score = np.sqrt(np.prod(1 / (1 + np.exp(-said[:, :2])), axis=1))
    kept = score >= least
    said, place = said[kept, 2:], np.stack([column, row], axis=1)[kept]
    centre, size = (said[:, :2] + place) * stride, np.exp(said[:, 2:4]) * stride
    points = (said[:, 4:].reshape(-1, 5, 2) + place[:, None]) * stride
    found = [score[kept, None], centre - size / 2, size, points.reshape(-1, 10)]
    return np.concatenate(found, axis=1).astype(np.float32)


def _distinct(faces: Floats, least: float) -> npt.NDArray[np.int64]:
    """Which of the candidates stay when of any two that overlap only the better does, best first."""
    if not len(faces):
        return np.empty(0, np.int64)
    boxes = faces[:, 1:5].astype(np.float64).tolist()
    return np.asarray(cv2.dnn.NMSBoxes(boxes, faces[:, 0].tolist(), least, OVERLAP), np.int64)


class _Weights:
    """The arrays of float32 that the library holds, by name."""

    def __init__(self, library: Path) -> None:
        self._path, self._library = library, ctypes.CDLL(str(library))

    def __call__(self, name: str, *shape: int) -> Floats:
        """Raises NotYuNet."""
        try:
            held = (ctypes.c_float * int(np.prod(shape))).in_dll(self._library, name)
        except ValueError as error:
            raise NotYuNet(self._path, name) from error
        return np.array(held, np.float32).reshape(shape)

    def pointwise(self, name: str, channels: int, out: int) -> Floats:
        return self(f"{name}_pw_weight", out, channels)[:, :, None, None]

    def depthwise(self, name: str, channels: int) -> Floats:
        """The library has the nine places first."""
        return self(f"{name}_dw_weight", 3, 3, channels).transpose(2, 0, 1)[:, None]


class _Writer:
    """Writes the network down, block by block."""

    def __init__(self, weights: _Weights) -> None:
        self._graph, self._weights = Graph(), weights

    def session(self) -> onnxruntime.InferenceSession:
        told = [
            self._head(level, number)
            for number, level in enumerate(self._neck(self._backbone(self._graph.planes("pixels"))))
        ]
        return self._graph.session("pixels", told)

    def _backbone(self, x: str) -> list[str]:
        """The last three levels, the closest first."""
        # The first 3 × 3 convolution is kept as a pointwise one over nine places of blue, green and red; five zeros
        # fill up.
        first = self._weights("backbone__model0_pw_weight", 16, 32)[:, :27].reshape(16, 3, 3, 3)
        first = first[..., ::-1].transpose(0, 3, 1, 2)
        bias = self._weights("backbone__model0_pw_bias", 16)
        x = self._graph.convolution(x, first, bias, stride=2, pad=1, relu=True)
        x = self._graph.max_pool(self._separable(x, "backbone__model0_dp", 16, 16), 2, 2)
        levels = []
        for number, (channels, out, pooled) in enumerate(BLOCKS, start=1):
            x = self._separable(x, f"backbone__model{number}_dp1", channels, channels)
            x = self._separable(x, f"backbone__model{number}_dp2", channels, out)
            levels.append(x)
            x = self._graph.max_pool(x, 2, 2) if pooled else x
        return levels[-len(STRIDES) :]

    def _neck(self, levels: list[str]) -> list[str]:
        """Each level with what the coarser ones saw."""
        found: list[str] = []
        for number in reversed(range(len(levels))):
            x = self._graph.add(self._graph.twice(found[0]), levels[number]) if found else levels[number]
            found.insert(0, self._separable(x, f"neck__lateral_convs__{number}", WIDTH, WIDTH))
        return found

    def _head(self, x: str, level: int) -> str:
        """All that is said of each place, by one convolution instead of four."""
        names = [(f"bbox_head__multi_level_{part}__{level}", out) for part, out in PARTS]
        pointwise = np.concatenate([self._weights.pointwise(name, WIDTH, out) for name, out in names])
        depthwise = np.concatenate([self._weights.depthwise(name, out) for name, out in names])
        inner, outer = (
            np.concatenate([self._weights(f"{name}_{kind}_bias", out) for name, out in names]) for kind in ("pw", "dw")
        )
        return self._graph.convolution(self._graph.convolution(x, pointwise, inner), depthwise, outer, pad=1)

    def _separable(self, x: str, name: str, channels: int, out: int) -> str:
        inner, outer = self._weights(f"{name}_pw_bias", out), self._weights(f"{name}_dw_bias", out)
        x = self._graph.convolution(x, self._weights.pointwise(name, channels, out), inner)
        return self._graph.convolution(x, self._weights.depthwise(name, out), outer, pad=1, relu=True)
