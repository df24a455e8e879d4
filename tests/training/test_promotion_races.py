"""Promotions on PostgreSQL, with others at work: readers, workers, intake, somebody who rolls back, kill -9."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.conf import settings
from django.core.files.storage import default_storage
from django.db import connection
from django.utils import timezone

from annotation import engine, proposals
from annotation.models import Embedding, Face, NetworkOutput, Proposal
from inference import registry
from inference.core.attributes import GENDER
from inference.models import ModelVersion
from tests.annotation.test_races import at_once
from tests.factories import a_version
from tests.networks import a_seen_face, play_networks
from training import promotion
from training.errors import NotPromotable, PromotionUnderWay
from training.models import Promotion

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

WHY = "nobody judged it"


@pytest.fixture(autouse=True)
def _pace(monkeypatch, settings, tmp_path) -> None:
    settings.MEDIA_ROOT = tmp_path
    monkeypatch.setattr(promotion, "PATIENCE", 0.01)
    monkeypatch.setattr(promotion, "BATCH", 4)


@contextmanager
def all_the_while(look: Callable[[], None]):
    """A thread that looks again and again. Yields how often it did, and raises what it did."""
    done, raised, seen = threading.Event(), list[BaseException](), [0]

    def watch() -> None:
        try:
            while not done.is_set():
                look()
                seen[0] += 1
        except BaseException as error:
            raised.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join(30)
        if raised:
            raise raised[0]


def faces(count: int) -> list[Face]:
    made = [a_seen_face() for _ in range(count)]
    proposals.propose(made)
    return made


def a_candidate(task: str = "gender") -> ModelVersion:
    return a_version(task=task, name="new net", state="candidate", dimensions=registry.ensure_live().dimensions)


def complete() -> None:
    """What a reader needs: one live model of each task, and by it a word of each face that it had a word of."""
    for task, words in (("gender", NetworkOutput), ("embedding", Embedding)):
        (live,) = ModelVersion.objects.filter(task=task, state="live")
        known = words.objects.filter(version=live).count()
        assert known >= 12, f"{live} has a word of {known} faces"


@pytest.mark.parametrize("task", ["gender", "embedding"])
def test_a_reader_finds_one_complete_live_model_at_every_moment(monkeypatch, task):
    play_networks(monkeypatch)
    faces(12)
    old = promotion.live_of(task)
    with all_the_while(complete) as seen:
        for _ in range(3):
            made = promotion.promote(candidate := a_candidate(task), forced=WHY)
            promotion.carry_out(made.pk)
            assert promotion.live_of(task) == candidate
            promotion.rollback(task)
            assert promotion.live_of(task) == old
    assert seen[0] > 20


def test_workers_and_new_faces_at_once_leave_no_face_out_and_no_word_twice(monkeypatch):
    play_networks(monkeypatch)
    faces(30)
    made = promotion.promote(candidate := a_candidate(), forced=WHY)

    def work() -> None:
        promotion.carry_out(made.pk)

    assert at_once(work, work, work, lambda: faces(10)) == []

    made.refresh_from_db()
    assert made.state == "live"
    # Who came in the last moment is looked at by the belt, as every new face is.
    proposals.propose(list(proposals.without_proposal(Face.objects.all()).select_related("photo")))
    assert NetworkOutput.objects.filter(version=candidate).count() == 40
    assert Proposal.objects.filter(attribute="gender").count() == 40


def test_the_engine_thinks_while_models_change_and_ends_at_the_live_one(monkeypatch):
    sure = play_networks(monkeypatch)
    faces(12)
    made = promotion.promote(candidate := a_candidate(), forced=WHY)
    sure[candidate.pk] = 0.2

    def think() -> None:
        for _ in range(6):
            engine.think(GENDER)

    assert at_once(think, lambda: promotion.carry_out(made.pk)) == []

    held = engine.think(GENDER)
    assert held.network == candidate
    assert set(Proposal.objects.filter(attribute="gender").values_list("network", "value")) == {(candidate.pk, "male")}


def test_of_two_promotions_at_once_one_is_prepared(monkeypatch):
    play_networks(monkeypatch)
    faces(4)
    one, other = a_candidate(), a_candidate("emotion")
    raised = at_once(*(lambda each=each: promotion.promote(each, forced=WHY) for each in (one, other)))
    assert [type(error) for error in raised] == [PromotionUnderWay]
    assert Promotion.objects.filter(state="preparing").count() == 1


def test_a_flip_and_a_rollback_at_once_leave_one_live_model_and_one_promotion_that_holds(monkeypatch):
    play_networks(monkeypatch)
    faces(3)
    promotion.carry_out(promotion.promote(a_candidate(), forced=WHY).pk)
    for _ in range(5):
        made = promotion.promote(a_candidate(), forced=WHY)
        raised = at_once(lambda made=made: promotion.finish(made.pk), lambda: promotion.rollback("gender"))
        assert all(isinstance(error, PromotionUnderWay | NotPromotable) for error in raised), raised
        (live,) = ModelVersion.objects.filter(task="gender", state="live")
        assert list(Promotion.objects.filter(state="live").values_list("version", flat=True)) in ([live.pk], [])
        assert promotion.under_way() is None


def test_several_who_roll_back_at_once_go_one_back(monkeypatch):
    play_networks(monkeypatch)
    faces(3)
    first, second = a_candidate(), a_candidate()
    for each in (first, second):
        promotion.carry_out(promotion.promote(each, forced=WHY).pk)
    raised = at_once(*[lambda: promotion.take_back(second)] * 3)  # however late one of them comes
    assert len(raised) == 2
    assert all(isinstance(error, NotPromotable) for error in raised), raised
    assert promotion.live_of("gender") == first


@pytest.mark.timeout(300)
def test_a_promotion_killed_by_force_goes_on_and_meanwhile_the_old_model_is_live():
    """The very command, with the network that ships; killed when it has looked at some of the faces."""
    made = [a_seen_face() for _ in range(24)]
    registry.ensure_attributes()
    proposals.propose(made)
    old, candidate = registry.live("gender"), a_candidate()
    database = settings.DATABASES["default"]
    address = f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}"
    surroundings = os.environ | {
        "DATABASE_URL": f"{address}/{connection.settings_dict['NAME']}",
        "DAGER_FILES": str(default_storage.location),
        "DAGER_BATCHES_IN_FLIGHT": "1",
        "OMP_NUM_THREADS": "1",
    }
    slow = (
        "import django, time; django.setup(); from django.core.management import call_command; "
        "from annotation import proposals; from training import promotion; promotion.BATCH = 4; act = proposals.look; "
        "proposals.look = lambda *words: (act(*words), time.sleep(0.5))[0]; "
        f"call_command('promote', '{candidate.pk}', force='{WHY}')"
    )
    command = subprocess.Popen([sys.executable, "-c", slow], env=surroundings)
    try:
        end = time.monotonic() + 120
        while NetworkOutput.objects.filter(version=candidate).count() < 8:
            assert command.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        command.send_signal(signal.SIGKILL)
        command.wait(30)

    under_way = promotion.under_way()
    assert under_way is not None
    assert under_way.total == 24
    assert promotion.live_of("gender") == old
    Face.objects.filter(claimed_until__isnull=False).update(claimed_until=timezone.now() - timedelta(seconds=1))
    promotion.carry_out(under_way.pk)
    assert promotion.live_of("gender") == candidate
    assert NetworkOutput.objects.filter(version=candidate).count() == 24
