"""Coming in, and being put out: waits after wrong passwords, sessions that end, and the lines that tell of both."""

import time

import pytest
from django.test import Client
from django.urls import reverse

from annotation import accounts
from annotation.models import AuditEvent, SignInTries, User
from tests.factories import a_user

pytestmark = pytest.mark.django_db
SECRET = "correct horse battery"
HOME = "/api/v1/standing"


def sign_in(client: Client, name: str, password: str, **more: str) -> str:
    response = client.post(reverse("login"), {"username": name, "password": password}, **more)  # type: ignore[arg-type]
    return "in" if response.status_code == 302 else response.content.decode()


def actions() -> list[str]:
    return list(AuditEvent.objects.order_by("pk").values_list("action", flat=True))


def test_guessing_is_told_the_same_of_any_name_and_then_the_right_password_waits_too(client: Client):
    a_user("ada", password=SECRET)
    told = {}
    for name in ("ada", "nobody"):
        told[name] = [sign_in(client, name, "wrong").replace(name, "") for _ in range(6)]
    assert all("do not belong together" in page for page in told["ada"][:5])
    assert "The next one counts in 1 minute." in told["ada"][5]
    for mine, theirs in zip(told["ada"], told["nobody"], strict=True):
        assert ("do not belong" in mine, "counts in 1 minute" in mine) == (
            "do not belong" in theirs, "counts in 1 minute" in theirs,
        )  # fmt: skip
    assert "counts in" in sign_in(client, "ada", SECRET)
    assert client.post("/admin/login/", {"username": "ada", "password": SECRET}).status_code == 200  # nor by that door
    assert actions().count("sign_in_failed") == 10
    assert actions().count("locked_out") == 2
    SignInTries.objects.update(until=None)
    assert sign_in(client, "ada", SECRET) == "in"


def test_signing_in_and_out_and_a_password_are_lines(client: Client):
    ada = a_user("ada", password=SECRET)
    assert sign_in(client, "ada", SECRET) == "in"
    other = Client()
    sign_in(other, "ada", SECRET)
    new = {"old_password": SECRET, "new_password1": "another horse battery", "new_password2": "another horse battery"}
    assert client.post(reverse("password_change"), new).status_code == 302
    assert client.get(HOME).status_code == 200
    assert other.get(HOME).status_code in (401, 403)  # every other session of theirs ended
    client.post(reverse("logout"))
    assert [action for action in actions() if action != "see"] == ["sign_in", "sign_in", "password", "sign_out"]
    assert {event.subject for event in AuditEvent.objects.all()} == {f"account {ada.pk}"}


def test_another_role_ends_all_sessions_and_the_old_one_given_back_revives_none(client: Client):
    admin, ada = a_user(role="admin"), a_user(role="curator")
    client.force_login(ada)
    assert client.get(HOME).status_code == 200
    cookie = client.cookies["sessionid"].value
    for role in ("engineer", "curator"):
        ada = User.objects.get(pk=ada.pk)
        ada.role = role
        accounts.keep(ada, by=admin)
    client.cookies["sessionid"] = cookie
    assert client.get(HOME).status_code in (401, 403)


def test_a_session_ends_unused_and_at_an_age(client: Client, settings):
    settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS = 60, 24
    client.force_login(a_user())
    for seen, born, opens in [(0, 0, True), (59, 0, True), (61, 0, False), (1, 25, False)]:
        client.force_login(User.objects.get())
        session = client.session
        session["seen"], session["began"] = time.time() - 60 * seen, time.time() - 3600 * born
        session.save()
        assert (client.get(HOME).status_code == 200) is opens, (seen, born)
