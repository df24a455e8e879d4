"""dlib's own file of its face recognition ResNet, read into torch: the same vectors in a fraction of the time.

dlib's wheel multiplies matrices without a tuned library. So the weights that ship inside face-recognition-models serve
as they are.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inference.core.networks.dlib29 import Dlib29

Floats = npt.NDArray[np.float32]


class NotTheDlibResNet(ValueError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(
            f"{path} is not dlib_face_recognition_resnet_model_v1: {why}. Use the file as dlib published it."
        )


def read(path: Path) -> Dlib29:
    """The network in dlib's serialised file, ready to embed. Raises NotTheDlibResNet."""
    content = path.read_bytes()
    try:
        network = Dlib29()
        for layer, (weights, bias) in zip(network.convolutions(), _convolutions(content), strict=True):
            layer.load_state_dict({"weight": torch.from_numpy(weights), "bias": torch.from_numpy(bias)})
        network.projection.load_state_dict({"weight": torch.from_numpy(_head(content).T.copy())})
    except (ValueError, IndexError, RuntimeError) as error:
        raise NotTheDlibResNet(path, f"its layers do not follow as they should ({error})") from error
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


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
