"""MobileFaceNet (Chen, Liu, Gao, Han, "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face Verification on
Mobile Devices", CCBR 2018), with ReLU where the paper has PReLU: as accurate within noise, and faster on a CPU."""

from torch import Tensor, nn

from inference.core.networks.registry import register
from inference.core.networks.trunk import Trunk

WIDTH = 512
# Expansion, channels, repeats, stride of the first: the bottlenecks of the paper's table 1.
_BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))


def _convolution(
    channels: int, out: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, act: bool = True
) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if act else []))


class _Bottleneck(nn.Module):
    """Widen, look around in each channel, narrow; beside a shortcut where the shape stays."""

    def __init__(self, channels: int, out: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        wide = channels * expansion
        self.shortcut = stride == 1 and channels == out
        self.steps = nn.Sequential(
            _convolution(channels, wide),
            _convolution(wide, wide, 3, stride=stride, groups=wide),
            _convolution(wide, out, act=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.steps(x)
        return x + found if self.shortcut else found


class MobileFaceNet(Trunk):
    """A million parameters; 220 million multiplications a face of 112 px."""

    width = WIDTH
    side = 112
    any_side = False  # the last convolution sees the whole face at once

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.stages = nn.ModuleList(
            [nn.Sequential(_convolution(3, 64, 3, stride=2), _convolution(64, 64, 3, groups=64))]
        )
        channels = 64
        for expansion, out, repeats, stride in _BOTTLENECKS:
            steps = [_Bottleneck(channels, out, expansion=expansion, stride=stride)]
            steps += [_Bottleneck(out, out, expansion=expansion, stride=1) for _ in range(repeats - 1)]
            self.stages.append(nn.Sequential(*steps))
            channels = out
        # The paper's global depthwise convolution: a weight for each place of each channel, where a mean has one.
        self.stages.append(
            nn.Sequential(
                _convolution(channels, WIDTH),
                nn.Conv2d(WIDTH, WIDTH, 7, groups=WIDTH, bias=False),
                nn.BatchNorm2d(WIDTH),
                nn.Flatten(),
            )
        )
        self.projection = nn.Sequential(nn.Linear(WIDTH, dimensions, bias=False), nn.BatchNorm1d(dimensions))

    def features(self, pixels: Tensor) -> Tensor:
        for stage in self.stages:
            pixels = stage(pixels)
        return pixels

    def project(self, features: Tensor) -> Tensor:
        return self.projection(features)  # type: ignore[no-any-return]


@register("mobilefacenet")
def mobilefacenet(dimensions: int) -> Trunk:
    return MobileFaceNet(dimensions)
