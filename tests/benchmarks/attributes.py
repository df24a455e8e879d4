"""How good the first proposals of gender and age are, and whether their confidence can be believed once calibrated.

python -m tests.benchmarks.attributes

UTKFace, aligned faces of 128 px; doubled and framed, so that the detector sees a face. Of the faces that are found,
2,000 drawn at random play the control slice; everything is reported on the others. No identity is known in UTKFace, so
the two may share one.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from annotation.core.datasets.entry import Entry
from annotation.core.datasets.readers import read
from inference.core.align import align, stack
from inference.core.attributes import GENDER
from inference.core.calibrate import fit, reliability, uncalibrated
from inference.core.cold_attributes import cold_age, cold_gender, expected_years
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import Picture
from tests.benchmarks.shared_data import SHARED_DATA, picture, share

CONTROL = 2_000


def framed(path: Path) -> Picture:
    doubled = cv2.resize(picture(path), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.copyMakeBorder(doubled, 64, 64, 64, 64, cv2.BORDER_REPLICATE), np.uint8)


def found_in(folder: Path) -> tuple[list[Entry], np.ndarray, np.ndarray]:
    """The entries whose face is found, with its crops for the age and the gender network."""
    entries, ages, genders = [], [], []
    for number, entry in enumerate(read("utkface", folder)):
        if not isinstance(entry, Entry):
            continue
        shown = framed(folder / entry.file)
        chosen = [face for face in find_faces(shown, cold_detector(), cold_landmarker()) if face.chosen]
        if chosen:
            entries.append(entry)
            ages.append(align(shown, chosen[0].landmarks, cold_age().crop)[0])
            genders.append(align(shown, chosen[0].landmarks, cold_gender().crop)[0])
        if sys.stderr.isatty() and number % 50 == 0:
            print(f"\r{number}", end="", file=sys.stderr)
    return entries, stack(ages), stack(genders)


def main() -> None:
    folder = SHARED_DATA / "utkface"
    entries, age_crops, gender_crops = found_in(folder)
    total = sum(1 for _ in folder.glob("*.jpg"))
    years = np.array([entry.age.years - 0.5 for entry in entries if entry.age is not None])
    truth = np.array([GENDER.index(entry.values["gender"]) for entry in entries])
    order = np.random.default_rng(0).permutation(len(entries))
    control, rest = order[:CONTROL], order[CONTROL:]
    print("face found:        ", share(len(entries), total))

    proposed = cold_gender().propose(gender_crops)[:, None]
    right = proposed[rest, 0].argmax(axis=1) == truth[rest]
    adult = years[rest] >= 13
    print("gender right:      ", share(int(right.sum()), len(right)))
    print("gender right, 13+: ", share(int(right[adult].sum()), int(adult.sum())))
    for title, calibrator in (
        ("as proposed", uncalibrated(1, 2)),
        ("calibrated", fit(proposed[control], truth[control])),
    ):
        belief = calibrator.fuse(proposed[rest])
        error = reliability(belief.max(axis=1), belief.argmax(axis=1) == truth[rest]).error
        print(f"gender, expected calibration error {title}: {error:.4f}")

    apart = np.abs(expected_years(cold_age().propose(age_crops)) - years)[rest]
    half = 1.96 * apart.std(ddof=1) / np.sqrt(len(apart))
    print(f"age, mean absolute error: {apart.mean():.2f} ± {half:.2f} years (n = {len(apart)})")


if __name__ == "__main__":
    main()
