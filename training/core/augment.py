"""Pictures varied as cameras and people vary them, a batch at a time."""

import math

import torch
from torch import Tensor
from torch.nn import functional

TURN = 10.0  # degrees, either way
SHIFT = 0.05  # of the side
GROW = 0.12
LIGHT, CONTRAST, COLOUR = 0.25, 0.25, 0.4
GRAY = 0.1  # of the faces lose their colour
COARSE = 0.15  # of the faces are seen by a poorer camera
COVERED = 0.25  # of the faces are partly hidden


def augment(pixels: Tensor, generator: torch.Generator, strength: float = 1.0) -> Tensor:
    """Faces (n, 3, side, side), 0–255, each mirrored, turned, lit, blurred and covered by its own chance.

    The same generator state gives the same pictures. With a strength of 0 nothing changes.
    """
    if strength == 0:
        return pixels
    pixels = _moved(pixels, generator, strength)
    pixels = _lit(pixels, generator, strength)
    pixels = _coarse(pixels, generator, strength)
    return _covered(pixels, generator, strength)


def _chance(count: int, generator: torch.Generator, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(count, generator=generator) * (high - low) + low


def _moved(pixels: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    count = len(pixels)
    turn = _chance(count, generator, -TURN, TURN) * strength * math.pi / 180
    scale = 1 + _chance(count, generator, -GROW, GROW) * strength
    mirror = torch.where(_chance(count, generator) < 0.5, -1.0, 1.0)
    shift = (torch.rand(count, 2, generator=generator) - 0.5) * 4 * SHIFT * strength
    theta = torch.stack(
        [
            torch.stack([mirror * scale * turn.cos(), -scale * turn.sin(), shift[:, 0]], dim=1),
            torch.stack([mirror * scale * turn.sin(), scale * turn.cos(), shift[:, 1]], dim=1),
        ],
        dim=1,
    ).to(pixels.device)
    grid = functional.affine_grid(theta, list(pixels.shape), align_corners=False)
    return functional.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def _lit(pixels: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    def factor(spread: float) -> Tensor:
        told = 1 + _chance(len(pixels), generator, -spread, spread) * strength
        return told[:, None, None, None].to(pixels.device)

    light, contrast, colour = factor(LIGHT), factor(CONTRAST), factor(COLOUR)
    colour = torch.where(_where(pixels, generator, GRAY * strength), torch.zeros_like(colour), colour)
    luma = (pixels * pixels.new_tensor([0.299, 0.587, 0.114])[None, :, None, None]).sum(dim=1, keepdim=True)
    pixels = luma + (pixels - luma) * colour
    mean = luma.mean(dim=(2, 3), keepdim=True)
    return ((mean + (pixels - mean) * contrast) * light).clamp(0, 255)


def _coarse(pixels: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    side = pixels.shape[-1]
    small = int(side * float(_chance(1, generator, 0.25, 0.6)))
    reduced = functional.interpolate(pixels, small, mode="area")
    back = functional.interpolate(reduced, side, mode="bilinear", align_corners=False)
    return torch.where(_where(pixels, generator, COARSE * strength), back, pixels)


def _covered(pixels: Tensor, generator: torch.Generator, strength: float) -> Tensor:
    """A rectangle of a tenth to a quarter of the side each way, gray (Zhong et al., "Random Erasing", AAAI 2020)."""
    count, side = len(pixels), pixels.shape[-1]
    extent = _chance(2 * count, generator, 0.1, 0.35).reshape(count, 2)
    centre = _chance(2 * count, generator).reshape(count, 2)
    place = (torch.arange(side) + 0.5) / side
    inside = ((place[None, None] - centre[:, :, None]).abs() < extent[:, :, None] / 2).to(pixels.device)
    hidden = inside[:, 0, None, :, None] & inside[:, 1, None, None, :] & _where(pixels, generator, COVERED * strength)
    return torch.where(hidden, torch.full_like(pixels, 127.0), pixels)


def _where(pixels: Tensor, generator: torch.Generator, share: float) -> Tensor:
    return (_chance(len(pixels), generator) < share)[:, None, None, None].to(pixels.device)
