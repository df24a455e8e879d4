"""Many photos: each by itself, in their order, few of them in memory."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from annotation.core.drawn import draw_portrait
from inference import predict as stage
from inference import registry
from inference.core.images import NotAPicture
from inference.core.types import AttributeModel, Beliefs, Crops
from inference.predict import Prediction, predict_all

pytestmark = pytest.mark.django_db


def a_photo(width: int) -> bytes:
    content = BytesIO()
    Image.new("RGB", (width, 32), "gray").save(content, "PNG")
    return content.getvalue()


def test_they_come_in_their_order_and_what_is_refused_or_unread_touches_no_other():
    lost = OSError("gone")

    told = list(predict_all([a_photo(40), b"no picture", lost, a_photo(41)], registry.ensure_attributes()))

    assert [each.photo.width for each in told if isinstance(each, Prediction)] == [40, 41]
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
    assert (first.photo.width, read) == (40, [40, 41, 42])
    assert [each.photo.width for each in told if isinstance(each, Prediction)] == list(range(41, 60))


def test_networks_look_at_the_faces_of_a_few_photos_at_once(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stage.os, "cpu_count", lambda: 1)
    look, counts = stage.batching.look, list[int]()

    def counted(network: AttributeModel, crops: Crops) -> Beliefs:
        counts.append(len(crops))
        return look(network, crops)

    monkeypatch.setattr(stage.batching, "look", counted)
    content = BytesIO()
    draw_portrait(10368, 1).save(content, "JPEG")
    photos = [content.getvalue(), b"no picture", content.getvalue(), content.getvalue(), content.getvalue()]
    versions = registry.ensure_attributes()

    told = list(predict_all(photos, versions, count=len(photos)))

    assert [len(each.faces) if isinstance(each, Prediction) else None for each in told] == [1, None, 1, 1, 1]
    assert counts == [1] * len(versions) + [2] * len(versions) + [1] * len(versions)


def test_a_failure_that_nobody_foresaw_is_told_as_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(stage, "look", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(predict_all([a_photo(40)], registry.ensure_attributes()))
