"""FER2013 (Goodfellow et al., 2013): 3,589 gray faces of 48 pixels, the part that is called PrivateTest.

fer2013.csv      `emotion,pixels,Usage`: 0 angry, 1 disgusted, 2 fearful, 3 happy, 4 sad, 5 surprised, 6 neutral
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from inference.core.attributes import EMOTION
from inference.core.types import Picture
from training.core.benchmarks.emotion import judged
from training.core.benchmarks.protocol import Contestant, NotMeasured, Outcome, Sample

CODES = ("angry", "disgusted", "fearful", "happy", "sad", "surprised", "neutral")
SIDE, TEST, PART = 48, 3_589, "PrivateTest"


def rows(folder: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Number of the row, usage, and the row. Raises NotMeasured."""
    table = folder / "fer2013.csv"
    if not table.is_file():
        raise NotMeasured(f"{folder} holds no fer2013.csv.")
    csv.field_size_limit(min(sys.maxsize, 1 << 20))  # a row has some 9,000 letters of pixels
    with table.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if not {"emotion", "pixels", "Usage"} <= set(lines.fieldnames or ()):
            raise NotMeasured(f"{table} has the columns {lines.fieldnames}, not emotion, pixels and Usage.")
        for number, row in enumerate(lines):
            yield number, row["Usage"], row


def pixels(row: dict[str, str], number: int) -> Picture:
    """Raises NotMeasured."""
    gray = np.array(row["pixels"].split(), np.int64)
    if gray.size != SIDE * SIDE or gray.min() < 0 or gray.max() > 255:
        raise NotMeasured(f"Row {number} of fer2013.csv has {gray.size} pixels, not {SIDE} times {SIDE} from 0 to 255.")
    return np.repeat(gray.astype(np.uint8).reshape(SIDE, SIDE, 1), 3, axis=2)


def read(folder: Path) -> list[Sample]:
    return [
        Sample(f"row {number}", pixels(row, number), EMOTION.index(CODES[int(row["emotion"])]), cropped=True)
        for number, usage, row in rows(folder)
        if usage == PART
    ]


def run(folder: Path, contestant: Contestant) -> Outcome:
    samples = read(folder)
    notes = [] if len(samples) == TEST else [f"{len(samples)} faces of {PART}, not {TEST:,}"]
    return judged(contestant, samples, protocol="fer2013", title=f"FER2013, {PART}", notes=notes)
