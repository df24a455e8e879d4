from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import belt
from annotation.models import Photo
from tests.factories import a_face, a_photo, a_source, a_version, an_embedding

pytestmark = pytest.mark.django_db


@pytest.fixture
def sent(django_capture_on_commit_callbacks, settings):
    """Feed the belt of photos in batches of three, two at a time; returns what was sent."""
    settings.BATCHES_IN_FLIGHT = 2

    def feed(now=None) -> list[list[int]]:
        batches: list[list[int]] = []
        with django_capture_on_commit_callbacks(execute=True):
            belt.feed(belt.Stage(due=belt.photos_due, send=lambda ids: batches.append(ids) or "sent", batch=3), now=now)
        return batches

    return feed


def photos(count: int) -> list[Photo]:
    source = a_source()
    return [a_photo(source, faces_sought_at=None) for _ in range(count)]


def test_only_a_few_batches_are_in_flight(sent):
    made = [photo.pk for photo in photos(10)]
    assert sent() == [made[:3], made[3:6]]
    assert sent() == []


def test_no_row_is_sent_twice_and_all_are_sent(sent):
    made = [photo.pk for photo in photos(10)]
    first = sent()
    Photo.objects.filter(pk__in=first[0]).update(faces_sought_at=timezone.now())
    second = sent()
    Photo.objects.filter(pk__in=first[1] + second[0]).update(faces_sought_at=timezone.now())
    third = sent()
    assert sorted(pk for batch in first + second + third for pk in batch) == made


def test_a_small_batch_waits_for_company_while_others_are_under_way(sent):
    made = [photo.pk for photo in photos(4)]
    Photo.objects.filter(pk__in=made[:3]).update(claimed_until=timezone.now() + timedelta(minutes=1))
    assert sent() == []
    Photo.objects.filter(pk__in=made[:3]).update(faces_sought_at=timezone.now())
    assert sent() == [made[3:]]


def test_what_a_dead_worker_held_is_sent_again_when_its_claim_runs_out(sent):
    made = [photo.pk for photo in photos(3)]
    now = timezone.now()
    assert sent(now) == [made]
    assert sent(now + belt.CLAIM - timedelta(seconds=1)) == []
    assert sent(now + belt.CLAIM + timedelta(seconds=1)) == [made]


def test_what_the_queue_did_not_take_is_free_for_the_next_sweep(sent, django_capture_on_commit_callbacks, settings):
    settings.BATCHES_IN_FLIGHT = 2
    made = [photo.pk for photo in photos(6)]
    taken: list[list[int]] = []

    def away_from_the_second_on(ids: list[int]) -> str | None:
        taken.append(ids)
        return "sent" if len(taken) == 1 else None

    with django_capture_on_commit_callbacks(execute=True):
        belt.feed(belt.Stage(due=belt.photos_due, send=away_from_the_second_on, batch=3))

    assert taken == [made[:3], made[3:]]
    assert sent() == [made[3:]]  # at once; what was sent stays claimed


def test_the_only_workers_need_not_wait_for_claims_of_earlier_ones(sent):
    made = [photo.pk for photo in photos(3)]
    sent()
    belt.release_all_claims()
    assert sent() == [made]


def test_drained_means_that_every_face_has_its_vector():
    version = a_version()
    assert belt.drained(version)
    photo = a_photo(faces_sought_at=None)
    assert not belt.drained(version)
    Photo.objects.update(faces_sought_at=timezone.now())
    face = a_face(photo)
    assert not belt.drained(version)
    an_embedding(face, version, [1, 0, 0, 0])
    assert belt.drained(version)


def test_a_face_that_cannot_be_embedded_does_not_hold_up_the_rest():
    version = a_version()
    a_face(failure="FileNotFoundError: its crop is gone")
    assert belt.drained(version)


def test_work_that_belongs_to_no_row_is_done_by_one_at_a_time():
    now = timezone.now()
    held = belt.claim("map", timedelta(minutes=1), now)
    assert belt.claim("map", timedelta(minutes=1), now) is None
    assert belt.claimed("map", now)
    later = now + timedelta(minutes=2)
    another = belt.claim("map", timedelta(minutes=1), later)
    belt.let_go("map", held)  # they took too long: it is another's by now
    assert belt.claimed("map", later)
    belt.let_go("map", another)
    assert not belt.claimed("map", later)
