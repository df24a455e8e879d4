"""A face that is nobody's: enough of one for the real detector, landmarks and backbone."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from inference.core.types import Picture


def drawn_face(
    *,
    width: int = 320,
    height: int = 320,
    centre: tuple[float, float] = (160, 165),
    scale: float = 1.0,
    skin: tuple[int, int, int] = (222, 180, 150),
    seed: int = 0,
) -> Picture:
    """One frontal face, 150 px wide at scale 1, on a plain wall."""
    picture = Image.new("RGB", (width, height), (120, 140, 160))
    add_face(picture, centre=centre, scale=scale, skin=skin)
    noise = np.random.default_rng(seed).normal(0, 3, (height, width, 3))
    return np.clip(np.asarray(picture.filter(ImageFilter.GaussianBlur(1))) + noise, 0, 255).astype(np.uint8)


def add_face(
    picture: Image.Image, *, centre: tuple[float, float], scale: float, skin: tuple[int, int, int] = (222, 180, 150)
) -> None:
    draw = ImageDraw.Draw(picture)
    cx, cy = centre

    def box(x: float, y: float, rx: float, ry: float) -> tuple[float, float, float, float]:
        return cx + (x - rx) * scale, cy + (y - ry) * scale, cx + (x + rx) * scale, cy + (y + ry) * scale

    shade = tuple(int(value * 0.8) for value in skin)
    draw.ellipse(box(0, -20, 84, 105), fill=(60, 40, 30))  # hair
    draw.ellipse(box(0, 0, 75, 98), fill=skin)
    for side in (-1, 1):
        draw.ellipse(box(side * 32, -18, 16, 8), fill=(245, 245, 245))
        draw.ellipse(box(side * 32, -18, 7, 8), fill=(50, 35, 30))
        draw.line([*box(side * 32, -38, 18, 0)], fill=(60, 40, 30), width=max(1, round(5 * scale)))
    draw.polygon(
        [(cx, cy - 12 * scale), (cx - 13 * scale, cy + 26 * scale), (cx + 13 * scale, cy + 26 * scale)], fill=shade
    )
    draw.ellipse(box(0, 52, 28, 9), fill=(170, 70, 70))
    draw.line([*box(0, 52, 27, 0)], fill=(110, 40, 40), width=max(1, round(2 * scale)))
