"""Error of the eye and mouth corners on FG-NET over the distance between the eyes.

python -m tests.benchmarks.landmarks

FG-NET's 68 points follow a mark-up of their own. The points that it shares with the 300-W one are compared: the outer
and inner corners of both eyes and the two corners of the mouth.
"""

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from tests.benchmarks.shared_data import SHARED_DATA, picture, share

FGNET = SHARED_DATA / "fgnet"

# name: (index in FG-NET's mark-up, index in the 300-W one); left is the picture's left
SHARED = {
    "left eye, outer": (27, 36),
    "left eye, inner": (29, 39),
    "right eye, inner": (34, 42),
    "right eye, outer": (32, 45),
    "mouth, left": (48, 48),
    "mouth, right": (54, 54),
}
EYES = ((27, 29), (32, 34))  # the corners of each eye in FG-NET's mark-up; the distance is between their middles


def read_points(file: Path) -> npt.NDArray[np.float64]:
    """(68, 2) from a .pts file: two header lines, a brace, a line a point."""
    inside = file.read_text().split("{")[1].split("}")[0]
    return np.array(inside.split(), np.float64).reshape(-1, 2)


def errors(found: npt.NDArray[np.float32], marked: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Distance of each shared point over the distance between the eyes."""
    theirs, ours = (list(indices) for indices in zip(*SHARED.values(), strict=True))
    left, right = (marked[list(corners)].mean(axis=0) for corners in EYES)
    return np.asarray(np.linalg.norm(found[ours] - marked[theirs], axis=1) / np.linalg.norm(right - left))


def main() -> None:
    files = sorted((FGNET / "points").glob("*.pts"))
    rows, missed, spent = [], 0, 0.0
    detector, landmarker = cold_detector(), cold_landmarker()
    for file in files:
        image = picture(_image(file))
        started = time.perf_counter()
        chosen = next((face for face in find_faces(image, detector, landmarker) if face.chosen), None)
        spent += time.perf_counter() - started
        if chosen is None:
            missed += 1
        else:
            rows.append(errors(chosen.landmarks, read_points(file)))
    table = np.array(rows)
    print(f"FG-NET: face found in {share(len(files) - missed, len(files))}")
    print(f"find_faces: {spent / len(files) * 1000:.1f} ms a photo, one thread\n")
    print("| point | mean error | median | 95th percentile |\n| --- | --- | --- | --- |")
    for name, column in (*zip(SHARED, table.T, strict=True), ("all six", table.mean(axis=1))):
        print(f"| {name} | {column.mean():.4f} | {np.median(column):.4f} | {np.quantile(column, 0.95):.4f} |")
    print(f"\nFaces with a mean error above 0.10: {share(int((table.mean(axis=1) > 0.10).sum()), len(table))}")


def _image(points: Path) -> Path:
    return next(path for path in (FGNET / "images").iterdir() if path.stem.lower() == points.stem.lower())


if __name__ == "__main__":
    main()
