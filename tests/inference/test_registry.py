"""The cold start is live until something better is; every bundle is one row."""

import numpy as np
import pytest

from inference import registry
from inference.core.bundle import cold_start
from inference.errors import NoLiveModel
from inference.models import ModelVersion

pytestmark = pytest.mark.django_db


def test_without_a_live_model_the_error_says_how_to_get_one():
    with pytest.raises(NoLiveModel, match="embedding"):
        registry.live()


def test_the_cold_start_becomes_live_once():
    first, again = registry.ensure_live(), registry.ensure_live()

    assert first == again == registry.live()
    assert ModelVersion.objects.count() == 1
    assert first.dimensions == cold_start().dimensions


def test_a_candidate_does_not_take_over():
    live = registry.ensure_live()
    ModelVersion.objects.create(task=live.task, name="other", checksum="0" * 64, dimensions=8, state="candidate")

    assert registry.live() == live


def test_a_network_is_opened_once_and_answers_with_unit_vectors():
    version = registry.ensure_live()
    network = registry.embedder(version)

    assert registry.embedder(version) is network
    crop = np.zeros((2, network.crop.size, network.crop.size, 3), np.uint8)
    vectors = network.embed(crop)
    assert vectors.shape == (2, version.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1], abs=1e-5)
