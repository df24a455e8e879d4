"""Many photos: each by itself, in their order, few of them in memory."""

import logging
import os
import weakref
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from annotation.core.drawn import draw_portrait
from inference import predict as stage
from inference import registry
from inference.core.images import Decoded, NotAPicture
from inference.core.types import AttributeModel, Beliefs, Crops, FaceFound, Picture
from inference.errors import PhotoFailed
from inference.predict import Prediction, predict_all

pytestmark = pytest.mark.django_db


def a_photo(width: int) -> bytes:
    content = BytesIO()
    Image.new("RGB", (width, 32), "gray").save(content, "PNG")
    return content.getvalue()


def a_portrait(person: int) -> bytes:
    content = BytesIO()
    draw_portrait(person, 1).save(content, "JPEG")
    return content.getvalue()


def test_they_come_in_their_order_and_what_is_refused_or_unread_touches_no_other():
    lost = OSError("gone")

    told = list(predict_all([a_photo(40), b"no picture", lost, a_photo(41)], registry.ensure_attributes()))

    assert [each.size.width for each in told if isinstance(each, Prediction)] == [40, 41]
    assert isinstance(told[1], NotAPicture)
    assert told[2] is lost


def test_no_more_are_read_than_are_told_of_soon(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stage, "AT_ONCE", 3)
    read = list[int]()

    def photos() -> Iterator[bytes]:
        for width in range(40, 60):
            read.append(width)
            yield a_photo(width)

    told = predict_all(photos(), registry.ensure_attributes())
    first = next(told)

    assert isinstance(first, Prediction)
    assert (first.size.width, read) == (40, [40, 41, 42])
    assert [each.size.width for each in told if isinstance(each, Prediction)] == list(range(41, 60))


def test_networks_look_at_the_faces_of_a_few_photos_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stage.os, "cpu_count", lambda: 1)
    look, counts = stage.batching.look, list[int]()

    def counted(network: AttributeModel, crops: Crops) -> Beliefs:
        counts.append(len(crops))
        return look(network, crops)

    monkeypatch.setattr(stage.batching, "look", counted)
    portrait = a_portrait(10368)
    photos = [portrait, b"no picture", portrait, portrait, portrait]
    versions = registry.ensure_attributes()

    told = list(predict_all(photos, versions, count=len(photos)))

    assert [len(each.faces) if isinstance(each, Prediction) else None for each in told] == [1, None, 1, 1, 1]
    assert counts == [1] * len(versions) + [2] * len(versions) + [1] * len(versions)


def test_one_at_which_the_code_fails_fails_alone_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    look = stage.look

    def breaks(data: bytes, *, small: float) -> tuple[Decoded, list[FaceFound]]:
        return look(data, small=small) if data != poison else 1 / 0

    poison = a_photo(42)
    monkeypatch.setattr(stage, "look", breaks)

    told = list(predict_all([a_photo(40), poison, a_photo(41)], registry.ensure_attributes(), count=8))

    assert [type(each) for each in told] == [Prediction, PhotoFailed, Prediction]
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    assert "ZeroDivisionError" in str(record.exc_text)


def test_of_those_that_networks_look_at_together_only_that_fails_which_is_at_fault(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(stage.os, "cpu_count", lambda: 1)
    versions, poison = registry.ensure_attributes(), a_portrait(11178)
    hated, look = stage._seen(poison, stage._opened(versions)).crops, stage.batching.look

    def breaks(network: AttributeModel, crops: Crops) -> Beliefs:
        if network.attribute.name == "emotion" and (crops == hated[network.crop]).all(axis=(1, 2, 3)).any():
            raise RuntimeError("a secret of the network")
        return look(network, crops)

    monkeypatch.setattr(stage.batching, "look", breaks)
    counted = list[str]()
    monkeypatch.setattr(stage.metrics, "said", lambda version, task, *_, **__: counted.append(task))

    told = list(predict_all([a_portrait(10368), poison, b"no picture", a_portrait(10245)], versions, count=8))

    assert [type(each) for each in told] == [Prediction, PhotoFailed, NotAPicture, Prediction]
    assert "secret" not in str(told[1])
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert str(record.exc_text).count("RuntimeError: a secret") == 1  # not also of the look at all of them
    assert sorted(counted) == sorted([*versions] * 2)  # once for each face that something was said of


@pytest.mark.parametrize("opens", ["attribute_model", "sureness"])
def test_what_is_no_photos_fault_is_told_as_such(monkeypatch: pytest.MonkeyPatch, opens: str):
    versions = registry.ensure_attributes()
    monkeypatch.setattr(registry, opens, lambda version: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(predict_all([a_portrait(10368)], versions))


def test_a_picture_is_let_go_once_its_faces_are_cut_out(monkeypatch: pytest.MonkeyPatch):
    look, seen, most = stage.look, list[weakref.ref[Picture]](), list[int]()

    def held() -> int:
        return sum(each() is not None for each in seen)

    def watched(data: bytes, *, small: float) -> tuple[Decoded, list[FaceFound]]:
        decoded, found = look(data, small=small)
        seen.append(weakref.ref(decoded.picture))
        most.append(held())
        return decoded, found

    monkeypatch.setattr(stage, "look", watched)
    told = list(predict_all([a_portrait(10368)] * 20, registry.ensure_attributes(), count=20))

    assert [len(each.faces) for each in told if isinstance(each, Prediction)] == [1] * 20
    assert max(most) <= (os.cpu_count() or 1)
    assert not held()
