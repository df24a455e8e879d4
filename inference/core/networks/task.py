"""A trunk with one layer on top, for one attribute."""

import torch
from torch import Tensor, nn

from inference.core.networks.registry import build
from inference.core.networks.trunk import Trunk


class TaskNetwork(nn.Module):
    """Logits over an attribute's values, or over years from 0 on."""

    def __init__(self, trunk: Trunk, outputs: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.trunk = trunk
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(trunk.width, outputs)
        nn.init.zeros_(self.head.bias)
        nn.init.normal_(self.head.weight, std=0.01)  # at first all values are as likely: the trunk is not torn about

    def forward(self, pixels: Tensor) -> Tensor:
        return self.decide(self.see(pixels))

    def see(self, pixels: Tensor) -> Tensor:
        """What the last layer decides by: (n, width)."""
        return self.trunk.features(pixels)

    def decide(self, features: Tensor) -> Tensor:
        return self.head(self.dropout(features))  # type: ignore[no-any-return]


class Mirrored(nn.Module):
    """Probabilities of a face, the mean of its own and its mirror image's logits, as one network to export."""

    def __init__(self, network: TaskNetwork, *, flip: bool, temperature: float) -> None:
        super().__init__()
        self.network, self.flip, self.temperature = network, flip, temperature

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(pixels)
        if self.flip:
            logits = (logits + self.network(pixels.flip(3))) / 2
        return torch.softmax(logits / self.temperature, dim=1)


def build_task(architecture: str, outputs: int, *, dimensions: int, dropout: float = 0.0) -> TaskNetwork:
    """A fresh network of this architecture for so many values. Raises UnknownNetwork."""
    return TaskNetwork(build(architecture, dimensions), outputs, dropout=dropout)
