"""What failed is in one list, and goes on when it is tried again."""

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from annotation import belt, failures
from annotation.models import AuditEvent, ClusteringRun, Face, Intake, Photo, Release
from inference import registry
from tests.factories import a_face, a_photo, a_run, a_source, a_user

pytestmark = pytest.mark.django_db


def one_of_each() -> None:
    source = a_source("Album")
    Intake.objects.create(source=source, kind="folder", path="/gone", state="failed", error="There is no folder /gone.")
    a_photo(source, file="torn.jpg", failure="OSError: torn")
    a_face(failure="OSError: no crop")
    ClusteringRun.objects.filter(pk=a_run(state="failed").pk).update(error="MemoryError")
    Release.objects.create(name="spring", state="failed", error="No space", query={})


def test_all_that_failed_is_listed_with_its_reason_and_its_page():
    one_of_each()
    a_face()
    assert failures.count(failures.KINDS) == dict.fromkeys(failures.KINDS, 1)
    told = {each.kind: (each.error, each.page) for each in failures.listed(failures.KINDS, 10)}
    assert told["photo"] == ("OSError: torn", "photo")
    assert told["intake"] == ("There is no folder /gone.", "source")
    assert {each.of_page for each in failures.listed(failures.KINDS, 10) if each.kind == "intake"} == {
        Intake.objects.get().source_id
    }


def test_the_dashboard_that_names_failed_photos_and_faces_is_in_the_audit_log(client: Client):
    cache.clear()  # of what was shown to the people of other tests
    client.force_login(a_user())
    client.get(reverse("dashboard"))
    assert not AuditEvent.objects.filter(details__page="dashboard").exists()
    one_of_each()
    client.get(reverse("dashboard"))
    told = AuditEvent.objects.get(details__page="dashboard").details
    assert told["photos"] == [Photo.objects.exclude(failure="").get().pk]
    assert told["faces"] == [Face.objects.exclude(failure="").get().pk]
    for _ in range(3):  # the page that is open asks again and again
        assert client.get(reverse("dashboard-figures")).status_code == 200
    assert not AuditEvent.objects.filter(details__page="dashboard-figures").exists()
    other = a_photo(failure="It cannot be read.")
    client.get(reverse("dashboard-figures"))
    assert other.pk in AuditEvent.objects.get(details__page="dashboard-figures").details["photos"]


def test_what_is_tried_again_is_due_again():
    one_of_each()
    by = a_user()
    for kind in failures.KINDS:
        assert failures.try_again(failures.KINDS, kind, None, by) == 1, kind
    assert failures.count(failures.KINDS) == dict.fromkeys(failures.KINDS, 0)
    assert list(belt.photos_due()) == [Photo.objects.get(file="torn.jpg")]
    assert belt.faces_due(registry.ensure_live()).count() == Face.objects.count()
    assert (Intake.objects.get().state, Release.objects.get().state) == ("waiting", "waiting")
    assert ClusteringRun.objects.order_by("pk").last().state == "running"


def test_one_is_tried_again_and_what_did_not_fail_is_left_alone():
    torn, other = a_photo(failure="OSError"), a_photo(failure="OSError")
    fine, by = a_photo(), a_user()
    assert failures.try_again(failures.KINDS, "photo", torn.pk, by) == 1
    assert failures.try_again(failures.KINDS, "photo", torn.pk, by) == 0
    assert failures.try_again(failures.KINDS, "photo", fine.pk, by) == 0
    fine.refresh_from_db()
    assert fine.faces_sought_at is not None
    assert Photo.objects.exclude(failure="").get() == other


def test_a_run_that_failed_is_made_good_by_a_later_one():
    a_run(state="failed")
    assert failures.count(failures.KINDS)["run"] == 1
    a_run(state="applied")
    assert failures.count(failures.KINDS)["run"] == 0


def test_many_go_on_in_pieces(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(failures, "CHUNK", 2)
    for _ in range(5):
        a_photo(failure="OSError")
    assert failures.try_again(failures.KINDS, "photo", None, a_user()) == 5
