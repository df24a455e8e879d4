"""Snapshots: what is due is counted, what is old is thinned, and rates come of those that are kept."""

from datetime import timedelta

import pytest
from django.utils import timezone

from annotation import belt, dashboard
from annotation.figures import PARTS, Part
from annotation.models import Snapshot

pytestmark = pytest.mark.django_db

NOW = timezone.now().replace(minute=30, second=0, microsecond=0)


class Counted:
    """Parts that say how often they were counted."""

    def __init__(self, faces: int = 0) -> None:
        self.faces, self.quick, self.slow = faces, 0, 0

    def parts(self) -> dict[str, Part]:
        return {
            "funnel": Part(self._quick, timedelta(seconds=15)),
            "labels": Part(self._slow, timedelta(minutes=10)),
        }

    def _quick(self) -> dict[str, object]:
        self.quick += 1
        return {"faces": self.faces, "note": "no count"}

    def _slow(self) -> dict[str, object]:
        self.slow += 1
        return {"by": {"gender": self.slow}}


def test_each_part_is_counted_at_its_own_pace_and_tells_its_time():
    counted = Counted(7)
    for seconds in (0, 5, 20, 40, 700):
        dashboard.take(counted.parts(), NOW + timedelta(seconds=seconds))
    assert (counted.quick, counted.slow) == (4, 2)
    assert Snapshot.objects.count() == 4  # nothing was due after five seconds
    last, shown = dashboard.shown()
    assert last.counts == {"faces": 7}
    assert shown["labels"].at == NOW + timedelta(seconds=700)
    assert shown["labels"].found == {"by": {"gender": 2}}


def test_a_part_that_takes_long_is_counted_the_less_often():
    counted = Counted()
    first = dashboard.take(counted.parts(), NOW)
    first.parts["funnel"]["ms"] = 4_000
    first.save()
    dashboard.take(counted.parts(), NOW + timedelta(seconds=119))
    assert counted.quick == 1
    dashboard.take(counted.parts(), NOW + timedelta(seconds=121))
    assert counted.quick == 2


def test_one_counts_at_a_time():
    belt.claim("snapshot", timedelta(minutes=1), NOW)
    assert dashboard.take(Counted().parts(), NOW) is None
    assert dashboard.take(Counted().parts(), NOW + timedelta(minutes=2)) is not None
    assert not belt.claimed("snapshot", NOW)


def test_only_the_latest_snapshot_keeps_more_than_counts():
    for minutes in range(3):
        dashboard.take(Counted(minutes).parts(), NOW + timedelta(minutes=minutes))
    assert [bool(each.parts) for each in Snapshot.objects.order_by("at")] == [False, False, True]
    assert [each.counts["faces"] for each in Snapshot.objects.order_by("at")] == [0, 1, 2]


def test_rates_and_plots_come_of_the_snapshots_before():
    for minutes in range(0, 61, 2):
        Snapshot.objects.create(at=NOW - timedelta(minutes=62 - minutes), counts={"faces": 10 * minutes})
    dashboard.take(Counted(620).parts(), NOW)
    pace = dashboard.shown()[1]["pace"].found
    assert pace["rates"]["faces"]["hour"] == pytest.approx(600)
    assert pace["rates"]["faces"]["week"] is None
    assert pace["rates"]["photos"] == {"hour": None, "day": None, "week": None}
    assert {round(value) for _at, value in pace["plots"]["hour"]["faces"]} == {600}


def test_old_snapshots_are_thinned_as_the_hour_turns():
    for minutes in range(300, 180, -1):
        Snapshot.objects.create(at=NOW - timedelta(minutes=minutes), counts={})
    dashboard.take(Counted().parts(), NOW)
    assert Snapshot.objects.filter(at__lt=NOW).count() <= 9  # one a quarter of an hour


def test_the_parts_that_there_are_can_be_counted_on_an_empty_database():
    made = dashboard.take()
    assert set(made.parts) == {*PARTS, "pace"}
    assert made.counts["photos"] == 0
    assert dashboard.take(now=made.at) is None
