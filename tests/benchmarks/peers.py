"""What a step costs beside what others use for it: each ratio from one process, one thread, taken in turns.

python -m tests.benchmarks.peers

The photos are drawn by the project, so that every size can be had; the detector's peer reads its weights from
../shared/data/weights.
"""

import io
import os
import time
from collections.abc import Callable

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import dlib
import numpy as np
from PIL import Image

from annotation.core.drawn import draw_portrait
from inference.core.bundle import cold_start, open_embedder
from inference.core.detect import cold_detector
from inference.core.images import Decoder
from tests.benchmarks.shared_data import SHARED_DATA

TURNS = 7


def seconds(*works: Callable[[], object]) -> list[float]:
    """The median time of each, taken in turns so that a busy moment hits all; a first turn warms up."""
    spent = np.zeros((TURNS, len(works)))
    for turn in range(-1, TURNS):
        for index, work in enumerate(works):
            started = time.perf_counter()
            work()
            if turn >= 0:
                spent[turn, index] = time.perf_counter() - started
    return [float(value) for value in np.median(spent, axis=0)]


def line(step: str, ours: str, peer: str, times: list[float], per: int = 1) -> None:
    mine, theirs = (1000 * value / per for value in times)
    print(f"| {step} | {ours} | {mine:.1f} | {peer} | {theirs:.1f} | {mine / theirs:.2f} |", flush=True)


def decoding() -> None:
    encoded = io.BytesIO()
    draw_portrait(1, 1, (4000, 3000)).save(encoded, "JPEG", quality=90)
    data = encoded.getvalue()
    with Decoder() as decoder:
        times = seconds(
            lambda: decoder.decode(data, max_side=1600),
            lambda: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")),
        )
    line("decode 12 megapixels", "reduced, in a process that may die", "Pillow, in full", times)


def detecting() -> None:
    cv2.setNumThreads(1)
    photo = np.asarray(draw_portrait(2, 2, (640, 480)).convert("RGB"))
    bgr = np.ascontiguousarray(photo[:, :, ::-1])
    weights = str(SHARED_DATA / "weights" / "yunet_n_640_640.onnx")
    peer, ours = cv2.FaceDetectorYN.create(weights, "", (640, 480), 0.7), cold_detector()
    line(
        "detect in 640 × 480",
        "YuNet in onnxruntime, from afar as well",
        "OpenCV's YuNet",
        seconds(lambda: ours.detect(photo), lambda: peer.detect(bgr)),
    )


def embedding() -> None:
    bundle = cold_start()
    network, peer = open_embedder(bundle), dlib.face_recognition_model_v1(str(bundle.main_weights))
    crops = np.stack([np.asarray(draw_portrait(n, n, (150, 150)).convert("RGB")) for n in range(32)])
    both = np.concatenate([crops, crops[:, :, ::-1]])  # ours is told the mean of a face and its mirror image
    times = seconds(
        lambda: network.embed(crops), lambda: peer.compute_face_descriptor([np.ascontiguousarray(c) for c in both], 0)
    )
    line("embed a face and its mirror image", "dlib's network, with AMX in bfloat16", "dlib", times, per=len(crops))


def main() -> None:
    print("| step | ours | ms | peer | ms | ratio |\n| --- | --- | --- | --- | --- | --- |")
    decoding()
    detecting()
    embedding()


if __name__ == "__main__":
    main()
