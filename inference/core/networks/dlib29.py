"""dlib's face recognition ResNet (Davis King, 2017) as a network to fine-tune: its weights are the first backbone."""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d, pad

from inference.core.networks.registry import register
from inference.core.networks.trunk import Trunk

# Channels and stride of each residual block, from picture to vector (dlib, examples/dnn_face_recognition_ex.cpp,
# alevel4 to alevel0), by level.
LEVELS = (
    ((32, 1), (32, 1), (32, 1)),
    ((64, 2), (64, 1), (64, 1), (64, 1)),
    ((128, 2), (128, 1), (128, 1)),
    ((256, 2), (256, 1), (256, 1)),
    ((256, 2),),
)
WIDTH = 256


class Dlib29(Trunk):
    """29 convolutions; dlib's affine layers are folded into them, so there are no norms to keep running.

    A vector of dlib's is the projection of the features, as dlib trained it, to 128 dimensions.
    """

    width = WIDTH
    side = 150

    def __init__(self, dimensions: int = 128) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.stages = nn.ModuleList([_Stem()])
        channels = 32
        for level in LEVELS:
            blocks = list[nn.Module]()
            for out, stride in level:
                blocks.append(_Residual(channels, out, stride))
                channels = out
            self.stages.append(nn.Sequential(*blocks))
        self.projection = nn.Linear(WIDTH, dimensions, bias=False)

    def features(self, pixels: Tensor) -> Tensor:
        for stage in self.stages:
            pixels = stage(pixels)
        return pixels.mean(dim=(2, 3))

    def project(self, features: Tensor) -> Tensor:
        return self.projection(features)  # type: ignore[no-any-return]

    def convolutions(self) -> list[nn.Conv2d]:
        """In the order of the pixels' way."""
        return [layer for layer in self.modules() if isinstance(layer, nn.Conv2d)]


class _Stem(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 32, 7, 2)

    def forward(self, x: Tensor) -> Tensor:
        return max_pool2d(torch.relu(self.convolution(x)), 3, stride=2)


class _Residual(nn.Module):
    """Two convolutions beside a shortcut, which a stride halves by averaging."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.first = nn.Conv2d(channels, out, 3, stride, 1 if stride == 1 else 0)
        self.second = nn.Conv2d(out, out, 3, 1, 1)

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


@register("dlib-29")
def dlib29(dimensions: int) -> Trunk:
    return Dlib29(dimensions)
