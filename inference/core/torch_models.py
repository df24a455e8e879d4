"""Networks that torch knows, as the embedders and attribute models that the rest of the system knows."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inference.core.attributes import OLDEST, Attribute, years_of
from inference.core.compiled import Compiled, DoesNotCompile
from inference.core.embed import LARGEST_BATCH, UnusableBackbone, require_crops, unit
from inference.core.fused import Fused, fits
from inference.core.networks import TaskNetwork, Trunk, build, build_task
from inference.core.types import Beliefs, Crops, CropSpec, Vectors

Network = TypeVar("Network", bound=nn.Module)


class _Pixels(nn.Module):
    """Crops (n, side, side, 3) of bytes as a network wants them: (n, 3, side, side), normalised, and with `flip` their
    mirror images after them. Mean and deviation of a channel are shares of 255.
    """

    def __init__(self, mean: Sequence[float], deviation: Sequence[float], *, flip: bool) -> None:
        super().__init__()
        self.flip = flip
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, 255 * torch.tensor(tuple(values), dtype=torch.float32).reshape(1, 3, 1, 1))

    def forward(self, crops: Tensor) -> Tensor:
        pixels = (crops.permute(0, 3, 1, 2).float() - self.mean) / self.deviation  # type: ignore[operator]
        return torch.cat([pixels, pixels.flip(3)]) if self.flip else pixels

    def added(self, told: Tensor) -> Tensor:
        """What was told of each face and of its mirror image, together."""
        return told.reshape(2, -1, told.shape[1]).sum(0) if self.flip else told


class _Embeds(nn.Module):
    def __init__(self, network: Trunk, pixels: _Pixels) -> None:
        super().__init__()
        self.network, self.pixels = network, pixels

    def forward(self, crops: Tensor) -> Tensor:
        features = self.network.features(self.pixels(crops))
        with _in_full():
            return self.pixels.added(self.network.project(features.float()))


class _Decides(nn.Module):
    """Probabilities by the mean of the logits of a face and of its mirror image, and what they were decided by."""

    def __init__(self, network: TaskNetwork, pixels: _Pixels, temperature: float) -> None:
        super().__init__()
        self.network, self.pixels = network, pixels
        self.temperature = temperature * (2 if pixels.flip else 1)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.network.see(self.pixels(crops))
        with _in_full():
            seen = seen.float()
            logits = self.pixels.added(self.network.decide(seen))
            return torch.softmax(logits / self.temperature, dim=1), self.pixels.added(seen)


def _in_full() -> torch.autocast:
    """The last layer computes with floats where the others take shorter ones: its numbers are those that are told."""
    return torch.autocast("cpu", enabled=False)


class TorchEmbedder:
    """A trunk: crops in, unit vectors out."""

    def __init__(
        self,
        network: Trunk,
        *,
        crop: CropSpec,
        mean: Sequence[float],
        deviation: Sequence[float],
        flip: bool,
        threads: int = 1,
    ) -> None:
        """Raises UnusableBackbone where the network does not take crops of this size."""
        self.crop, self.dimensions = crop, network.dimensions
        embeds = _Embeds(network, _Pixels(mean, deviation, flip=flip))
        self._run = _compiled(embeds, crop, ("vectors",), threads)

    def embed(self, crops: Crops) -> Vectors:
        """Vectors of unit length (n, dimensions) for crops (n, size, size, 3). Raises CropsDoNotFit."""
        require_crops(crops, self.crop.size)
        vectors = np.empty((len(crops), self.dimensions), np.float32)
        for start in range(0, len(crops), LARGEST_BATCH):
            part = slice(start, start + LARGEST_BATCH)
            (vectors[part],) = self._run(crops[part])
        return unit(vectors)


class TorchAttribute:
    """A task network: crops in, a distribution over an attribute's values or over the years 0–116 out."""

    def __init__(
        self,
        network: TaskNetwork,
        *,
        attribute: Attribute,
        values: Sequence[str],
        crop: CropSpec,
        mean: Sequence[float],
        deviation: Sequence[float],
        flip: bool,
        temperature: float = 1.0,
        threads: int = 1,
    ) -> None:
        """Raises UnusableBackbone where the network does not take crops of this size."""
        self.attribute, self.crop = attribute, crop
        self._places = places(attribute, values)
        self._width = network.trunk.width
        decides = _Decides(network, _Pixels(mean, deviation, flip=flip), temperature)
        self._run = _compiled(decides, crop, ("beliefs", "features"), threads)

    def look(self, crops: Crops) -> tuple[Beliefs, Vectors]:
        """Distributions (n, values) or (n, 117), and unit vectors (n, features). Raises CropsDoNotFit."""
        require_crops(crops, self.crop.size)
        beliefs = np.zeros((len(crops), self._places.shape[1]))
        features = np.zeros((len(crops), self._width), np.float32)
        for start in range(0, len(crops), LARGEST_BATCH):
            part = slice(start, start + LARGEST_BATCH)
            belief, features[part] = self._run(crops[part])
            beliefs[part] = belief.astype(np.float64) @ self._places
        return beliefs, unit(features)


def _compiled(network: nn.Module, crop: CropSpec, outputs: Sequence[str], threads: int) -> Compiled | Fused:
    example = torch.zeros(1, crop.size, crop.size, 3, dtype=torch.uint8)
    try:
        if fits(threads):
            return Fused(network, example)
        return Compiled(network, example.repeat(2, 1, 1, 1), outputs, threads=threads)
    except DoesNotCompile as error:
        raise UnusableBackbone(str(error)) from error


def trunk(architecture: str, dimensions: int, weights: Path) -> Trunk:
    """A backbone of ours with the weights of a safetensors file, ready to be run. Raises UnusableBackbone."""
    return _filled(build(architecture, dimensions), weights)


def task_network(architecture: str, outputs: int, dimensions: int, weights: Path) -> TaskNetwork:
    """An attribute's network, likewise. Raises UnusableBackbone."""
    return _filled(build_task(architecture, outputs, dimensions=dimensions), weights)


def _filled(network: Network, weights: Path) -> Network:
    fill(network, read_weights(weights), weights)
    fold(network)
    return network


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
