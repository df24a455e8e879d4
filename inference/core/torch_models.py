"""Our own networks from safetensors files, as the embedders and attribute models that the rest of the system knows."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inference.core.attributes import OLDEST, Attribute, years_of
from inference.core.embed import LARGEST_BATCH, UnusableBackbone, normalised, require_crops, torch_threads, unit
from inference.core.networks import Trunk, build, build_task
from inference.core.types import Beliefs, Crops, CropSpec, Vectors


class TorchEmbedder:
    """A trunk of ours: crops in, unit vectors out."""

    def __init__(
        self,
        weights: Path,
        *,
        architecture: str,
        crop: CropSpec,
        dimensions: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        flip: bool,
        threads: int = 1,
    ) -> None:
        self.crop, self.dimensions = crop, dimensions
        self._network: Trunk = build(architecture, dimensions)
        fill(self._network, read_weights(weights), weights)
        fold(self._network)
        self._mean, self._deviation, self._flip, self._threads = mean, deviation, flip, threads

    def embed(self, crops: Crops) -> Vectors:
        """Vectors of unit length (n, dimensions) for crops (n, size, size, 3). Raises CropsDoNotFit."""
        require_crops(crops, self.crop.size)
        vectors = np.empty((len(crops), self.dimensions), np.float32)
        with torch_threads(self._threads), torch.inference_mode():
            for start in range(0, len(crops), LARGEST_BATCH):
                part = slice(start, start + LARGEST_BATCH)
                pixels = normalised(crops[part], self._mean, self._deviation)
                told = self._network(pixels)
                vectors[part] = (told + self._network(pixels.flip(3)) if self._flip else told).numpy()
        return unit(vectors)


class TorchAttribute:
    """A task network of ours: crops in, a distribution over an attribute's values or over the years 0–116 out."""

    def __init__(
        self,
        weights: Path,
        *,
        attribute: Attribute,
        values: Sequence[str],
        architecture: str,
        crop: CropSpec,
        dimensions: int,
        mean: Sequence[float],
        deviation: Sequence[float],
        flip: bool,
        temperature: float = 1.0,
        threads: int = 1,
    ) -> None:
        self.attribute, self.crop = attribute, crop
        self._network = build_task(architecture, len(values), dimensions=dimensions)
        fill(self._network, read_weights(weights), weights)
        fold(self._network)
        self._places = places(attribute, values)
        self._mean, self._deviation, self._flip = mean, deviation, flip
        self._temperature, self._threads = temperature, threads

    def look(self, crops: Crops) -> tuple[Beliefs, Vectors]:
        """Distributions (n, values) or (n, 117), and unit vectors (n, features). Raises CropsDoNotFit."""
        require_crops(crops, self.crop.size)
        beliefs = np.zeros((len(crops), self._places.shape[1]))
        features = np.zeros((len(crops), self._network.trunk.width), np.float32)
        with torch_threads(self._threads), torch.inference_mode():
            for start in range(0, len(crops), LARGEST_BATCH):
                part = slice(start, start + LARGEST_BATCH)
                belief, seen = self._run(normalised(crops[part], self._mean, self._deviation))
                beliefs[part] = belief.double().numpy() @ self._places
                features[part] = seen.numpy()
        return beliefs, features

    def _run(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen = self._network.see(pixels)
        logits = self._network.decide(seen)
        if self._flip:
            mirrored = self._network.see(pixels.flip(3))
            logits, seen = (logits + self._network.decide(mirrored)) / 2, seen + mirrored
        return torch.softmax(logits / self._temperature, dim=1), functional.normalize(seen)


def places(attribute: Attribute, values: Sequence[str]) -> npt.NDArray[np.float64]:
    """Where each output goes (outputs, values | 117): a class to its place in the registry, a year to that year, and a
    group of years evenly to all of them."""
    width = OLDEST + 1 if attribute.in_years else len(attribute.values)
    found = np.zeros((len(values), width))
    for output, value in enumerate(values):
        if attribute.in_years:
            low, high = years_of(value)
            found[output, low : high + 1] = 1 / (high + 1 - low)
        else:
            found[output, attribute.index(value)] = 1
    return found


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name. Raises UnusableBackbone."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UnusableBackbone(f"{path} is no safetensors file that can be read: {error}.") from error


def fill(network: nn.Module, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network, which is then ready to be run. Raises UnusableBackbone if they are another's."""
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        raise UnusableBackbone(f"The weights in {path} are not those of this network: {error}") from error
    if not all(torch.isfinite(value).all() for value in weights.values()):
        raise UnusableBackbone(f"Weights in {path} are no finite numbers: it would say nothing of any face.")
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def fold(network: nn.Module) -> None:
    """Let each convolution do what the batch normalisation after it does: the same numbers, in fewer steps.

    Only of a network that is not trained any more.
    """
    for steps in [each for each in network.modules() if isinstance(each, nn.Sequential)]:
        for place, (first, second) in enumerate(pairwise(list(steps))):
            if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
                steps[place] = fuse_conv_bn_eval(first, second)
                steps[place + 1] = nn.Identity()
