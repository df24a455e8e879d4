"""Coming in, and being put out: waits after wrong passwords, sessions that end, and the lines that tell of both."""

import time

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from annotation import accounts
from annotation.models import AuditEvent, SignInTries, User
from tests.dager_site.test_own_sources import ALL
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


# ---- who gets an account, and with which password


def test_nobody_makes_an_account_for_themselves(client: Client):
    a_user("ada", password=SECRET)
    said = {"username": "eve", "email": "eve@example.org", "role": "admin", "password": SECRET, "is_staff": "on"}
    said |= {"password1": SECRET, "password2": SECRET, "usable_password": "true"}
    addresses = {address.replace("{}", "1") for _, _, address in ALL} | {"/admin/", "/admin/annotation/user/add/"}
    addresses |= {"/sign-up", "/signup", "/register", "/accounts/", "/accounts/signup/", "/api/v1/users"}
    answers = {client.post(address, said).status_code for address in sorted(addresses)}
    assert answers <= {200, 302, 401, 403, 404, 405}  # 200: the page of signing in, once more
    assert list(User.objects.values_list("username", flat=True)) == ["ada"]
    assert client.get(HOME).status_code == 401


@pytest.mark.parametrize("weak", ["short-1", "1234567890", "grace-hopper"])
def test_a_short_a_common_and_a_password_like_the_name_are_refused_at_every_door(
    client: Client, monkeypatch: pytest.MonkeyPatch, weak: str
):
    chief = a_user("ada", password=SECRET, role="admin")
    grace = a_user("gracehopper", password=SECRET)
    chief.is_staff = chief.is_superuser = True
    chief.save()
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", weak)
    twice = {"usable_password": "true", "password1": weak, "password2": weak}

    with pytest.raises(CommandError, match="DJANGO_SUPERUSER_PASSWORD"):
        call_command("createsuperuser", username="gracehopper2", email="", interactive=False)
    client.force_login(chief)
    client.post("/admin/annotation/user/add/", {"username": "gracehopper3", "role": "curator", **twice})
    client.post(f"/admin/annotation/user/{grace.pk}/password/", twice)
    client.force_login(grace)
    changed = {"old_password": SECRET, "new_password1": weak, "new_password2": weak}
    assert client.post(reverse("password_change"), changed).status_code == 200

    assert not User.objects.filter(username__startswith="gracehopper").exclude(pk=grace.pk).exists()
    assert User.objects.get(pk=grace.pk).check_password(SECRET)


def test_the_old_password_is_guessed_no_faster_at_an_open_session_than_at_the_door(client: Client):
    ada = a_user("ada", role="admin", password=SECRET)
    accounts.keep(ada, by=None)
    client.force_login(ada)
    new = {"new_password1": "another horse battery", "new_password2": "another horse battery"}
    pages = [client.post(reverse("password_change"), new | {"old_password": word}) for word in [*"abcde", SECRET]]
    assert [page.status_code for page in pages] == [200] * 6
    assert "The next one counts in 1 minute." in pages[-1].content.decode()
    assert actions().count("sign_in_failed") == 5
    # Django's admin has two more such pages: both lead to this one.
    for address in ("/admin/password_change/", f"/admin/annotation/user/{ada.pk}/password/"):
        assert client.get(address).headers["Location"] == reverse("password_change")
        assert client.post(address, new | {"password1": SECRET, "password2": SECRET}).status_code in (302, 405)
    SignInTries.objects.all().delete()
    assert client.post(reverse("password_change"), new | {"old_password": SECRET}).status_code == 302
    assert User.objects.get().check_password("another horse battery")


def test_the_log_says_who_gave_somebody_another_password(client: Client):
    boss, ada = a_user("boss", role="admin"), a_user("ada", role="annotator", password=SECRET)
    accounts.keep(boss, by=None)
    client.force_login(boss)
    words = {"usable_password": "true", "password1": "another horse battery", "password2": "another horse battery"}
    assert client.post(f"/admin/annotation/user/{ada.pk}/password/", words).status_code == 302
    ada.refresh_from_db()
    ada.set_password(SECRET)
    ada.save()  # on the server
    lines = AuditEvent.objects.filter(action="password", subject=f"account {ada.pk}").order_by("pk")
    assert [line.by for line in lines] == [boss, None]
