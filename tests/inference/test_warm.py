"""A process of the web server is warm before its first request, or says why not."""

import pytest

from inference import registry, warm
from inference.core.bundle import BadBundle

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "connection", type("Kept", (), {"close": lambda: None}))


def test_all_networks_are_open_and_were_run_before_the_first_request(monkeypatch: pytest.MonkeyPatch):
    assert warm.warm_up()
    loaded = registry._embedder.cache_info().misses, registry._attribute_model.cache_info().misses

    registry.embedder(registry.ensure_live())
    for version in registry.ensure_attributes().values():
        registry.attribute_model(version)

    assert (registry._embedder.cache_info().misses, registry._attribute_model.cache_info().misses) == loaded


def test_a_model_that_does_not_open_keeps_the_pages_from_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def gone(version: object) -> None:
        raise BadBundle("its folder is gone")

    monkeypatch.setattr(registry, "embedder", gone)
    assert not warm.warm_up()
    assert "its folder is gone" in caplog.text
