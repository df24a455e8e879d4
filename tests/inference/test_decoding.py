"""A picture that hangs holds up nobody but whoever sent it."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event, Semaphore

import pytest
from PIL import Image
from pytest_django import Settings

from inference import decoding
from inference.core.images import Decoder, NotAPicture, TooManyPixels
from inference.decoding import decode


@pytest.fixture(autouse=True)
def none_idle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(decoding, "_idle", deque())
    yield
    decoding._close_all()


def jpeg() -> bytes:
    content = BytesIO()
    Image.new("RGB", (40, 30), "red").save(content, "JPEG")
    return content.getvalue()


def test_while_one_picture_hangs_others_are_decoded(monkeypatch: pytest.MonkeyPatch):
    hanging, go_on, real = Event(), Event(), Decoder.decode

    def perhaps(self: Decoder, data: bytes, **how: int) -> object:
        if data == b"hangs":
            hanging.set()
            assert go_on.wait(10)
        return real(self, data, **how)

    monkeypatch.setattr(Decoder, "decode", perhaps)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(decode, b"hangs")
        assert hanging.wait(5)
        assert decode(jpeg()).width == 40
        go_on.set()
        with pytest.raises(NotAPicture):
            slow.result(10)
    assert len(decoding._idle) == min(2, decoding.IDLE)


def test_of_many_at_once_no_more_than_cores_are_decoded_and_no_process_is_started_for_the_others(
    monkeypatch: pytest.MonkeyPatch,
):
    started, at_work, real = list[Decoder](), list[int](), Decoder.decode
    monkeypatch.setattr(decoding, "Decoder", lambda: started.append(Decoder()) or started[-1])
    monkeypatch.setattr(decoding, "PATIENCE", 60)

    def counted(self: Decoder, data: bytes, **how: int) -> object:
        at_work.append(decoding.IDLE - decoding._turns._value)
        return real(self, data, **how)

    monkeypatch.setattr(Decoder, "decode", counted)
    with ThreadPoolExecutor(8) as pool:
        assert {each.width for each in pool.map(decode, [jpeg()] * 40)} == {40}
    assert max(at_work) <= decoding.IDLE
    assert len(started) <= decoding.IDLE


def test_while_all_of_them_hang_another_process_is_started(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "PATIENCE", 0.01)
    monkeypatch.setattr(decoding, "_turns", Semaphore(0))
    assert decode(jpeg()).width == 40
    assert not decoding._turns.acquire(blocking=False)  # a turn that nobody had is not given back


def test_the_limits_are_those_of_now_whoever_decodes(settings: Settings):
    settings.INTAKE_MEGAPIXELS = 0
    with pytest.raises(TooManyPixels):
        decode(jpeg())
    settings.INTAKE_MEGAPIXELS = 1
    assert decode(jpeg()).width == 40


def test_a_process_is_kept_for_the_next_picture_but_no_more_than_cores(monkeypatch: pytest.MonkeyPatch):
    decode(jpeg())
    (kept,) = decoding._idle
    child = kept._child
    decode(jpeg())
    assert list(decoding._idle) == [kept]
    assert kept._child is child
    monkeypatch.setattr(decoding, "IDLE", 0)
    decode(jpeg())
    assert child is not None
    assert child.poll() is not None
    assert not decoding._idle
