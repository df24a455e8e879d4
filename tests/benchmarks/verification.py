"""LFW verification of the cold start's backbone and of one that a user brings, on folds 1 and 2 of View 2.

python -m tests.benchmarks.verification

For each fold the threshold is the best one of the other fold. The face is the chosen one of each picture.
"""

import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.core import align, bundle
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.types import CropSpec, Embedder, Points
from tests.benchmarks.shared_data import SHARED_DATA, picture, share
from training.core.benchmarks.lfw import read
from training.core.benchmarks.verification import right_pairs

LFW = SHARED_DATA / "lfw"


def chosen_landmarks(paths: Iterable[Path]) -> dict[Path, Points]:
    detector, landmarker = cold_detector(), cold_landmarker()
    found = {}
    for path in paths:
        faces = find_faces(picture(path), detector, landmarker)
        if chosen := next((face for face in faces if face.chosen), None):
            found[path] = chosen.landmarks
    return found


def embedded(embedder: Embedder, landmarks: dict[Path, Points]) -> dict[Path, npt.NDArray[np.float32]]:
    vectors = {}
    for path, points in landmarks.items():
        crop, _ = align.align(picture(path), points, embedder.crop)
        vectors[path] = embedder.embed(crop[np.newaxis])[0]
    return vectors


def mobilefacenet(folder: Path) -> bundle.Bundle:
    weights = SHARED_DATA / "weights"
    return bundle.write_bundle(
        folder,
        [weights / "MobileFaceNet.onnx", weights / "MobileFaceNet.onnx.data"],
        name="mobilefacenet",
        architecture="onnx",
        crop=CropSpec("arcface-112", 112),
        dimensions=128,
        mean=(0.485, 0.456, 0.406),
        deviation=(0.229, 0.224, 0.225),
        flip=True,
        licence="Apache-2.0",
    )


def main() -> None:
    pairs = read(LFW)
    paths = sorted({path for pair in pairs for path in (pair.one, pair.other)})
    started = time.perf_counter()
    landmarks = chosen_landmarks(paths)
    spent = (time.perf_counter() - started) / len(paths) * 1000
    print(f"LFW folds 1 and 2: {len(pairs)} pairs, {len(paths)} pictures, {len(landmarks)} with a face")
    print(f"find_faces: {spent:.1f} ms a picture, one thread\n")
    print("| backbone | verification accuracy | ms a face |\n| --- | --- | --- |")
    same, fold = np.array([pair.same for pair in pairs]), np.array([pair.fold for pair in pairs])
    with tempfile.TemporaryDirectory() as scratch:
        for described in (bundle.cold_start(), mobilefacenet(Path(scratch) / "mobilefacenet")):
            started = time.perf_counter()
            vectors = embedded(bundle.open_embedder(described), landmarks)
            spent = (time.perf_counter() - started) / len(landmarks) * 1000
            nowhere = np.zeros(described.dimensions)  # a face that was not found is like no other: the pair may be lost
            cosines = np.array([vectors.get(p.one, nowhere) @ vectors.get(p.other, nowhere) for p in pairs])
            right = int(right_pairs(cosines, same, fold).sum())
            print(f"| {described.name} | {share(right, len(pairs))} | {spent:.1f} |", flush=True)


if __name__ == "__main__":
    main()
