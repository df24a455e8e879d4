"""Settings that change while everything runs: which may, to what, and that it is written down."""

import pytest
from django.test import Client

from annotation import live_settings
from annotation.errors import BadSetting
from annotation.models import AuditEvent, Setting
from tests.factories import a_user

pytestmark = pytest.mark.django_db


def test_what_nobody_changed_is_as_the_environment_has_it(settings):
    assert {name: live_settings.get(name) for name in live_settings.ADJUSTABLE} == {
        name: getattr(settings, name) for name in live_settings.ADJUSTABLE
    }
    for name, about in live_settings.ADJUSTABLE.items():
        if name != "REQUESTS_A_MINUTE":
            assert live_settings.checked(name, getattr(settings, name)) == getattr(settings, name), about
    with pytest.raises(KeyError):
        live_settings.get("SECRET_KEY")


def test_a_change_is_seen_by_another_process_within_seconds_and_is_in_the_audit_log(monkeypatch, settings):
    admin = a_user(role="admin")
    live_settings.change("OPINIONS", 5, by=admin)
    assert live_settings.get("OPINIONS") == 5
    # Another process: it has read the rows before, and looks again once its time is up.
    now = 0.0
    monkeypatch.setattr(live_settings.time, "monotonic", lambda: now)
    live_settings.forget()
    now = 1.0
    assert live_settings.get("OPINIONS") == 5
    Setting.objects.filter(name="OPINIONS").update(value=7)
    assert live_settings.get("OPINIONS") == 5
    now += live_settings.SECONDS
    assert live_settings.get("OPINIONS") == 7

    live_settings.change("OPINIONS", None, by=admin)
    assert live_settings.get("OPINIONS") == settings.OPINIONS
    told = AuditEvent.objects.order_by("pk").values_list("action", "by", "subject", "details__from", "details__to")
    assert list(told) == [("setting", admin.pk, "OPINIONS", 2, 5), ("setting", admin.pk, "OPINIONS", 7, 2)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SECRET_KEY", "x", "no setting that may change"),
        ("OPINIONS", 0, "whole number from 1 to 100, not 0"),
        ("OPINIONS", 2.5, "whole number"),
        ("OPINIONS", True, "whole number"),
        ("OPINIONS", "many", "not 'many'"),
        ("GOLD_SHARE", 0.9, "number from 0 to 0.5"),
        ("GOLD_SHARE", float("nan"), "number from 0 to 0.5"),
        ("ASKED", [], "one or more of"),
        ("ASKED", ["real_age"], "one or more of"),
        ("AUTO_TRAIN", "yes", "on or off"),
        ("TARGET_ERROR", 0.02, "without a written reason"),
        ("CONTROL_SHARE", 0.01, "never lowered"),
        ("CONTROL_SHARE", 0.05, "without a written reason"),
    ],
)
def test_what_makes_no_sense_or_breaks_a_promise_is_refused(name, value, message):
    with pytest.raises(BadSetting, match=message):
        live_settings.change(name, value, by=None)
    assert not Setting.objects.exists()
    assert not AuditEvent.objects.exists()


def test_on_its_page_an_admin_changes_them_and_nobody_else(client: Client):
    client.force_login(a_user(role="curator"))
    assert client.get("/settings/").status_code == 403
    assert client.post("/settings/change", {"name": "OPINIONS", "value": "4"}).status_code == 403
    client.force_login(a_user(role="admin"))
    client.post("/settings/change", {"name": "HOURLY_RATE", "value": "21.50"})
    client.post("/settings/change", {"name": "ASKED", "value": "emotion, gender"})
    client.post("/settings/change", {"name": "AUTO_TRAIN", "value": "on"})
    client.post("/settings/change", {"name": "CONTROL_SHARE", "value": "0.04", "reason": "calibrators starve"})
    assert [live_settings.get(name) for name in ("HOURLY_RATE", "AUTO_TRAIN", "CONTROL_SHARE")] == [21.5, True, 0.04]
    assert set(live_settings.get("ASKED")) == {"gender", "emotion"}
    page = client.get("/settings/").content.decode()
    assert "calibrators starve" in page
    assert "Back to 0.02" in page
    back = client.post("/settings/change", {"name": "CONTROL_SHARE", "act": "usual", "next": "/settings/"}, follow=True)
    assert "never lowered" in back.content.decode()
    client.post("/settings/change", {"name": "HOURLY_RATE", "act": "usual"})
    assert live_settings.get("HOURLY_RATE") == 0
