"""dlib's face recognition ResNet, run by torch: the same vectors as dlib's own code in a fraction of the time.

dlib's wheel multiplies matrices without a tuned library. The network is read from dlib's own file, so that the
weights that ship inside face-recognition-models serve as they are.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

Floats = npt.NDArray[np.float32]

# Strides of the 14 residual blocks, from the picture to the vector (dlib, examples/dnn_face_recognition_ex.cpp,
# alevel4 to alevel0); the channels follow from the weights.
_STRIDES = (1, 1, 1, 2, 1, 1, 1, 2, 1, 1, 2, 1, 1, 2)
_SIDE = 150
_MEAN = (122.782, 117.001, 104.298)  # of the training pictures, RGB; dlib divides by 256, not by 255


class NotTheDlibResNet(ValueError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is not dlib_face_recognition_resnet_model_v1: {why}. Use the file as dlib published it."
        )


class DlibResNet(nn.Module):
    """29 convolutions, 128 dimensions; each affine layer is folded into the convolution before it."""

    def __init__(self, layers: list[tuple[Floats, Floats]], head: Floats) -> None:
        super().__init__()
        convolutions = iter(layers)
        self.stem = _convolution(*next(convolutions), stride=2, padding=0)
        self.blocks = nn.Sequential(
            *(_Residual(next(convolutions), next(convolutions), stride=stride) for stride in _STRIDES)
        )
        self.head = nn.Parameter(torch.from_numpy(head), requires_grad=False)  # (256, 128)
        self.mean = nn.Parameter(torch.tensor(_MEAN).reshape(1, 3, 1, 1), requires_grad=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """Raw vectors (n, 128), not of unit length, for RGB pixels (n, 3, 150, 150) from 0 to 255."""
        x = torch.relu(self.stem((pixels - self.mean) / 256))
        x = self.blocks(nn.functional.max_pool2d(x, 3, stride=2))
        vectors: Tensor = x.mean(dim=(2, 3)) @ self.head
        return vectors


class _Residual(nn.Module):
    """Two convolutions beside a shortcut, which a stride halves by averaging."""

    def __init__(self, first: tuple[Floats, Floats], second: tuple[Floats, Floats], *, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = _convolution(*first, stride=stride, padding=1 if stride == 1 else 0)
        self.second = _convolution(*second, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        short = x if self.stride == 1 else avg_pool2d(x, 2, stride=2)
        return torch.relu(_added(self.second(torch.relu(self.first(x))), short))


def _added(one: Tensor, other: Tensor) -> Tensor:
    """dlib's add_prev: what one side lacks in channels, rows or columns counts as zero."""
    if one.shape == other.shape:
        return one + other
    shape = [max(sizes) for sizes in zip(one.shape, other.shape, strict=True)]
    return _grown(one, shape) + _grown(other, shape)


def _grown(x: Tensor, shape: list[int]) -> Tensor:
    missing = [wanted - have for wanted, have in zip(shape, x.shape, strict=True)]
    return pad(x, (0, missing[3], 0, missing[2], 0, missing[1]))


def _convolution(weights: Floats, bias: Floats, *, stride: int, padding: int) -> nn.Conv2d:
    out, channels, height, width = weights.shape
    layer = nn.Conv2d(channels, out, (height, width), stride=stride, padding=padding)
    layer.weight = nn.Parameter(torch.from_numpy(weights), requires_grad=False)
    layer.bias = nn.Parameter(torch.from_numpy(bias), requires_grad=False)
    return layer


def read(path: Path) -> DlibResNet:
    """The network in dlib's serialised file. Raises NotTheDlibResNet."""
    content = path.read_bytes()
    try:
        layers = list(_convolutions(content))
        return DlibResNet(layers, _head(content)).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
    except (ValueError, IndexError, StopIteration) as error:
        raise NotTheDlibResNet(path, f"its layers do not follow as they should ({error})") from error


def _convolutions(content: bytes) -> Iterator[tuple[Floats, Floats]]:
    """Weights (out, in, height, width) and bias (out,) of each convolution, with its affine layer folded in."""
    channels = 3
    starts = zip(_after(content, b"\x05con_4"), _after(content, b"\x07affine_"), strict=True)
    for index, (convolution, affine) in enumerate(starts):
        scale, shift = np.split(_tensor(content, affine), 2)
        weights, bias = np.split(_tensor(content, convolution), [-len(scale)])
        side = 7 if index == 0 else 3
        weights = weights.reshape(len(scale), channels, side, side) * scale[:, None, None, None]
        yield weights, bias * scale + shift
        channels = len(scale)


def _head(content: bytes) -> Floats:
    """The matrix (in, out) of the last layer, which says both sizes before its tensor."""
    (at,) = _after(content, b"\x04fc_2")
    outputs, at = _integer(content, at)
    _, at = _integer(content, at)
    return _tensor(content, at).reshape(-1, outputs)


def _after(content: bytes, name: bytes) -> Iterator[int]:
    """Where each layer of this name goes on after its name."""
    at = content.find(name)
    while at >= 0:
        yield at + len(name)
        at = content.find(name, at + len(name))


def _tensor(content: bytes, at: int) -> Floats:
    """The values of a serialised tensor: a version, four sizes, then float32 in little-endian order."""
    sizes = []
    for _ in range(5):
        size, at = _integer(content, at)
        sizes.append(size)
    version, count = sizes[0], int(np.prod(sizes[1:]))
    if version != 2 or not 0 < count < 10**7:
        raise ValueError(f"tensor version {version} with {count} values")
    return np.frombuffer(content, "<f4", count, at).astype(np.float32)


def _integer(content: bytes, at: int) -> tuple[int, int]:
    """dlib's packed integer: a byte that counts the bytes after it (the top bit is the sign), then those bytes."""
    length = content[at] & 0x0F
    value = int.from_bytes(content[at + 1 : at + 1 + length], "little")
    return (-value if content[at] & 0x80 else value), at + 1 + length
