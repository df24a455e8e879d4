"""IResNet (Duta, Liu, Zhu, Shao, "Improved Residual Networks for Image and Video Recognition", ICPR 2020), in the form
that ArcFace made customary for faces: a stem that keeps the 112 pixels, and a fully connected layer over all places."""

from torch import Tensor, nn

from inference.core.networks.registry import register
from inference.core.networks.trunk import Trunk

_CHANNELS = (64, 128, 256, 512)
WIDTH = 512


class _Block(nn.Module):
    """Norm, convolution, norm, PReLU, convolution, norm: the shortcut stays free of anything but a projection."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.steps = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(out),
            nn.PReLU(out),
            nn.Conv2d(out, out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.beside: nn.Module = nn.Identity()
        if stride > 1 or channels != out:
            self.beside = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(x) + self.beside(x)  # type: ignore[no-any-return]


class IResNet(Trunk):
    width = WIDTH
    side = 112
    any_side = False

    def __init__(self, depths: tuple[int, int, int, int], dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.stages = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))]
        )
        channels = 64
        for depth, out in zip(depths, _CHANNELS, strict=True):
            blocks = [_Block(channels if number == 0 else out, out, 2 if number == 0 else 1) for number in range(depth)]
            self.stages.append(nn.Sequential(*blocks))
            channels = out
        # Over all 7 × 7 places: what an eye looks like matters where the eye is.
        self.stages.append(
            nn.Sequential(
                nn.BatchNorm2d(channels), nn.Flatten(), nn.Linear(channels * 49, WIDTH), nn.BatchNorm1d(WIDTH)
            )
        )
        self.projection: nn.Module = nn.Identity()
        if dimensions != WIDTH:
            self.projection = nn.Sequential(nn.Linear(WIDTH, dimensions, bias=False), nn.BatchNorm1d(dimensions))

    def features(self, pixels: Tensor) -> Tensor:
        for stage in self.stages:
            pixels = stage(pixels)
        return pixels

    def project(self, features: Tensor) -> Tensor:
        return self.projection(features)  # type: ignore[no-any-return]


@register("iresnet18")
def iresnet18(dimensions: int) -> Trunk:
    """1.3 billion multiplications a face: for a GPU, or for patience."""
    return IResNet((2, 2, 2, 2), dimensions)


@register("iresnet50")
def iresnet50(dimensions: int) -> Trunk:
    """6.3 billion multiplications a face."""
    return IResNet((3, 4, 14, 3), dimensions)
