"""What a network can learn in a second: faces that are squares, with their gender in the colour and their age in the
light."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor, nn

from annotation.core.release import FaceRow, LabelValue, Release, write_release
from inference.core.align import TEMPLATES
from inference.core.networks import NETWORKS, Trunk, register
from tests.annotation.core.releases import a_row
from training.core.config import TrainConfig, preset
from training.core.data import Examples, Pictures

SIDE = 32


class Toy(Trunk):
    """Three convolutions: enough for colours."""

    width = 64
    side = SIDE

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.dimensions = dimensions
        self.stages = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, out, 3, 2, 1), nn.ReLU()) for channels, out in ((3, 8), (8, 16), (16, 64))
        )
        self.projection = nn.Linear(self.width, dimensions)

    def features(self, pixels: Tensor) -> Tensor:
        for stage in self.stages:
            pixels = stage(pixels)
        return pixels.mean(dim=(2, 3))

    def project(self, features: Tensor) -> Tensor:
        return self.projection(features)


if "toy" not in NETWORKS:
    register("toy")(Toy)


def a_config(task: str = "gender", **changes: object) -> TrainConfig:
    """Learnt in a second."""
    small = {"architecture": "toy", "start": "scratch", "dimensions": 16, "side": SIDE, "threads": 1}
    small |= {"frozen": 0, "fit_head": False}
    return preset("quick", task, **(small | {"batch": 8, "epochs": 2, "rate": 1e-2} | changes))


def coloured(male: bool, years: float, *, seed: int, side: int = SIDE) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 30, (side, side, 3))
    picture = np.full((side, side, 3), int(20 + 1.8 * years)) + noise
    picture[..., 0 if male else 2] += 60
    return picture.clip(0, 255).astype(np.uint8)


def some_examples(count: int, *, seed: int = 0, people: bool = False) -> Examples:
    rng = np.random.default_rng(seed)
    male, years = rng.random(count) < 0.5, rng.uniform(1, 90, count)
    crops = np.stack([coloured(m, y, seed=seed * 10_000 + i) for i, (m, y) in enumerate(zip(male, years, strict=True))])
    return Examples(
        pictures=Pictures.of(crops),
        values=np.arange(count) // 4 * 1.0 if people else male.astype(np.float64),
        groups=np.arange(count),
        distributions=None if people else np.eye(2, dtype=np.float32)[male.astype(int)],
        slices={"gender": np.where(male, "male", "female"), "age": np.full(count, "20-39")},
        people=people,
    )


def a_release(folder: Path, count: int = 60, *, photos: int = 0, **labels: bool) -> Release:
    """Every fifth face is to validate with and every fifth to judge by; two faces a person. Photos are known by their
    number, from `photos` on."""
    rows = [replace(_row(n, labels), sha256=f"{photos + n:015x}".ljust(64, "0")) for n in range(count)]
    return write_release(folder, rows, name=folder.name, query={})


def _row(number: int, labels: dict[str, bool]) -> FaceRow:
    person = number // 2
    split = {3: "validation", 4: "test"}.get(person % 5, "train")
    male, years = person % 2 == 0, float(5 + 7 * person % 80)
    told = {
        "gender": LabelValue("male" if male else "female", (0.0, 1.0) if male else (1.0, 0.0), None, 1.0, "import"),
        "real_age": LabelValue(years, None, 0.5, 1.0, "import"),
        "apparent_age": LabelValue(years, None, 3.0, 1.0, "person"),
        "emotion": LabelValue("happy", (0.0, 0.0, 0.0, 0.8, 0.2, 0.0, 0.0), None, 0.8, "person"),
    }
    jpeg = io.BytesIO()
    Image.fromarray(coloured(male, years, seed=number, side=384)).save(jpeg, "JPEG")
    return a_row(
        number,
        split=split,
        group=person,
        identity=person,
        image=jpeg.getvalue(),
        landmarks=mean_face(),
        labels={name: label for name, label in told.items() if labels.get(name, True)},
    )


def mean_face() -> np.ndarray:
    """68 points where the template has a face, as far as it says; the jaw about it."""
    marks = np.array([[0.5, 0.5]] * 68, np.float32)
    five = TEMPLATES["wide-384"].five
    for points, at in ((range(36, 42), 0), (range(42, 48), 1), (range(27, 36), 2), ((48, 60), 3), ((54, 64), 4)):
        for point in points:
            marks[point] = five[at]
    for point in range(17):
        marks[point] = [0.2 + 0.6 * point / 16, 0.4 + 0.4 * np.sin(np.pi * point / 16)]
    return (marks * 384).astype(np.float32)
