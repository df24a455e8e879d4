"""The cold start is live until something better is; every bundle is one row."""

import gc
import weakref

import numpy as np
import pytest

from inference import batching, registry
from inference.core import bundle as bundles
from inference.core.attributes import ATTRIBUTES
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


def test_networks_of_models_from_long_ago_leave_the_memory(monkeypatch):
    """A server that lives through many promotions holds what is live and what was live before, and no more."""
    made = []

    def opened(_: object) -> Network:
        network = Network()
        made.append(weakref.ref(network))
        return network

    monkeypatch.setattr(bundles, "open_attribute_model", opened)
    monkeypatch.setattr(registry, "load", lambda folder: folder)
    try:
        for number in range(registry.HELD + 3):
            version = ModelVersion(task="gender", folder="x", checksum=f"{number:064}")
            batching.look(registry.attribute_model(version), np.zeros((1, 2, 2, 3), np.uint8))
        gc.collect()
        alive = [network() is not None for network in made]
        assert alive == [False] * 3 + [True] * registry.HELD
    finally:
        registry._attribute_model.cache_clear()


class Network:
    attribute = ATTRIBUTES["gender"]

    def look(self, crops: np.ndarray) -> tuple[np.ndarray, None]:
        return np.full((len(crops), 2), 0.5), None
