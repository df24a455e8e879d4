"""Keys for programs: made, shown once, found by their hash, revoked; by page, command and admin."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from annotation import tokens
from annotation.errors import BadToken
from annotation.models import AccessToken
from tests.factories import a_user

pytestmark = pytest.mark.django_db


def test_only_the_hash_of_a_key_is_kept():
    token, key = tokens.make(owner=a_user(), name=" Nightly ", scopes=["train", "predict", "train"], days=30)
    token.refresh_from_db()
    assert (token.name, token.scopes) == ("Nightly", ["predict", "train"])
    assert key.startswith(token.prefix)
    assert len(key) > 40
    assert key not in json.dumps(list(AccessToken.objects.values()), default=str)
    assert tokens.find(key) == token
    assert tokens.find(key, now=token.expires_at - timedelta(seconds=1)) == token
    assert tokens.find(key, now=token.expires_at) is None
    assert tokens.find(token.prefix) is None
    assert tokens.find(token.hashed) is None


def test_its_last_use_is_written_once_a_minute(django_assert_num_queries):
    _, key = tokens.make(owner=a_user(), name="x", scopes=["predict"], days=None)
    now = timezone.now()
    tokens.find(key, now=now)
    with django_assert_num_queries(1):
        tokens.find(key, now=now + timedelta(seconds=59))
    tokens.find(key, now=now + timedelta(seconds=61))
    assert AccessToken.objects.get().last_used_at == now + timedelta(seconds=61)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"scopes": []}, "without a scope"),
        ({"scopes": ["everything"]}, "no scope 'everything'"),
        ({"name": "  "}, "needs a name"),
        ({"name": "x" * 101}, "needs a name"),
        ({"days": 0}, "not for 0"),
        ({"days": 5000}, "not for 5000"),
        ({"calls_a_minute": 0}, "not 0"),
    ],
)
def test_what_makes_no_sense_is_refused(more, message):
    with pytest.raises(BadToken, match=message):
        tokens.make(**({"owner": a_user(), "name": "x", "scopes": ["predict"], "days": 1} | more))


def test_on_its_page_a_key_is_shown_once_and_revoked_by_its_owner_alone(client: Client):
    owner, other = a_user(role="annotator"), a_user(role="admin")
    client.force_login(owner)
    made = client.post("/tokens/", {"name": "<b>Cron", "scopes": ["annotate"], "days": "90"})
    key = made.context["made"]["key"]
    assert key in made.content.decode()
    assert "no-store" in made["Cache-Control"]
    again = client.get("/tokens/").content.decode()
    assert key not in again
    assert "&lt;b&gt;Cron" in again
    token = AccessToken.objects.get(owner=owner)
    assert 89 <= (token.expires_at - timezone.now()).days <= 90

    client.force_login(other)
    assert "Cron" not in client.get("/tokens/").content.decode()
    assert client.post(f"/tokens/{token.pk}/revoke").status_code == 404
    client.force_login(owner)
    assert client.post(f"/tokens/{token.pk}/revoke").status_code == 302
    assert tokens.find(key) is None


def test_what_was_typed_stays_beside_its_mistake(client: Client):
    client.force_login(a_user())
    answer = client.post("/tokens/", {"name": "Cron", "days": "7"})
    assert answer.status_code == 400
    assert 'value="Cron"' in answer.content.decode()
    assert set(answer.context["form"].errors) == {"scopes", "days"}
    assert not AccessToken.objects.exists()


def test_only_an_admin_gives_a_token_a_limit_of_its_own(client: Client):
    said = {"name": "Cron", "scopes": ["predict"], "days": "90", "calls_a_minute": "5"}
    for role, limit in (("curator", None), ("admin", 5)):
        owner = a_user(role=role)
        client.force_login(owner)
        assert ("calls_a_minute" in client.get("/tokens/").content.decode()) == (limit is not None)
        assert client.post("/tokens/", said).status_code == 200
        assert owner.tokens.get().calls_a_minute == limit
    assert "5 calls a minute" in client.get("/tokens/").content.decode()
    with pytest.raises(BadToken, match="Only an admin"):
        tokens.make(owner=owner, name="x", scopes=["predict"], days=1, calls_a_minute=5, by=a_user())


def test_by_command_a_key_is_printed_listed_and_revoked():
    def told(*words: str) -> str:
        out = StringIO()
        call_command("token", *words, stdout=out)
        return out.getvalue().strip()

    owner = a_user("carol")
    key = told(
        "make", "Cron", "--owner", "carol", "--scopes", "predict", "curate", "--days", "7", "--calls-a-minute", "9"
    )
    token = tokens.find(key)
    assert token is not None
    assert token.owner == owner
    (row,) = json.loads(told("list", "--json"))
    assert (row["owner"], row["scopes"], row["state"]) == ("carol", ["curate", "predict"], "valid")
    assert row["calls_a_minute"] == 9
    assert key not in told("list")
    told("revoke", str(token.pk))
    assert tokens.find(key) is None
    assert "revoked" in told("list")
    for words, message in (
        (["make", "x", "--owner", "nobody", "--scopes", "predict"], "no account 'nobody'"),
        (["make", " ", "--owner", "carol", "--scopes", "predict"], "needs a name"),
        (["revoke", "99"], "no token 99"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("token", *words)


def test_an_admin_sees_all_and_revokes_any(client: Client):
    token, key = tokens.make(owner=a_user(), name="Cron", scopes=["predict"], days=None)
    admin = a_user(role="admin")
    admin.is_staff = admin.is_superuser = True
    admin.save()
    client.force_login(admin)
    page = client.get("/admin/annotation/accesstoken/")
    assert token.prefix in page.content.decode()
    assert client.get("/admin/annotation/accesstoken/add/").status_code == 403
    assert client.post(f"/admin/annotation/accesstoken/{token.pk}/change/", {"name": "x"}).status_code == 403
    client.post("/admin/annotation/accesstoken/", {"action": "revoke", "_selected_action": [token.pk]})
    assert tokens.find(key) is None
