"""Messages are there whole or not at all, each is taken once, and a damaged one harms nobody."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty

import pytest
from celery import Celery
from django.conf import LazySettings
from kombu import Connection
from kombu.exceptions import ChannelError

from dager_site import celery, message_folder

pytestmark = pytest.mark.once

Open = Callable[[], message_folder.Channel]


@pytest.fixture
def channel(tmp_path: Path) -> Open:
    """Another process's view of the one folder, each time."""
    (tmp_path / "messages").mkdir()
    options = dict.fromkeys(("data_folder_in", "data_folder_out"), str(tmp_path / "messages"))
    options["control_folder"] = str(tmp_path / "control")

    def open_one() -> message_folder.Channel:
        made: message_folder.Channel = Connection(
            transport="dager_site.message_folder:Transport", transport_options=options
        ).channel()
        return made

    return open_one


def test_messages_come_in_their_order_and_once(channel: Open, tmp_path: Path):
    one = channel()
    for number in range(5):
        one._put("vision", {"number": number})

    assert [one._get("vision")["number"] for _ in range(5)] == list(range(5))
    with pytest.raises(Empty):
        one._get("vision")
    assert not list((tmp_path / "messages").iterdir())


def test_each_queue_has_its_own(channel: Open):
    one = channel()
    one._put("vision", {"for": "vision"})

    with pytest.raises(Empty):
        one._get("default")
    assert one._get("vision") == {"for": "vision"}


@pytest.mark.parametrize("left", ["", "{", "\x00\x00"])
def test_a_damaged_message_is_thrown_away_and_the_next_one_taken(channel: Open, tmp_path: Path, left: str):
    (tmp_path / "messages" / "1_half.vision.msg").write_text(left)
    one = channel()
    one._put("vision", {"whole": True})

    assert one._get("vision") == {"whole": True}


def test_two_workers_never_take_one_message(channel: Open):
    writers, readers = [channel() for _ in range(2)], [channel() for _ in range(4)]
    taken = list[int]()

    def write(index: int) -> None:
        for number in range(100):
            writers[index]._put("vision", {"number": 100 * index + number})

    def read(reader: message_folder.Channel) -> None:
        while len(taken) < 200:
            try:
                taken.append(reader._get("vision")["number"])
            except Empty:
                continue

    with ThreadPoolExecutor(6) as pool:
        done = [*pool.map(write, range(2)), *pool.map(read, readers)]

    assert len(done) == 6
    assert sorted(taken) == list(range(200))


def test_a_folder_that_takes_nothing_says_so_and_keeps_no_half(channel: Open, tmp_path: Path):
    one = channel()
    (tmp_path / "messages").rmdir()

    with pytest.raises(ChannelError, match="No message can be written"):
        one._put("vision", {})


def test_a_half_written_table_of_queues_goes_before_the_start(tmp_path: Path, settings: LazySettings):
    control = tmp_path / "control"
    control.mkdir()
    (control / "default.exchange").write_text("")
    (control / "whole.exchange").write_text("[]")
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {"data_folder_in": str(tmp_path / "in"), "control_folder": str(control)}

    celery.make_queue_folders()
    celery.drop_broken_tables()

    assert [path.name for path in control.iterdir()] == ["whole.exchange"]
    assert (tmp_path / "in").is_dir()


def test_the_belt_uses_this_queue_unless_there_is_redis(settings: LazySettings):
    app = Celery(set_as_current=False)
    app.config_from_object("django.conf:settings", namespace="CELERY")

    assert isinstance(app.connection().transport, message_folder.Transport) == (not settings.REDIS)
