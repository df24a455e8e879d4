"""So many requests a minute: told on each response, refused beyond, and nobody held up by a cache that is gone."""

import pytest
from django.core.cache import cache
from django.test import Client
from redis.exceptions import ConnectionError as Unreachable

from annotation import tokens
from tests.factories import a_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _few(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.REQUESTS_A_MINUTE, settings.PREDICTIONS_A_MINUTE = 3, 2
    monkeypatch.setattr("dager_site.limits.time.time", lambda: 600_015.0)
    cache.clear()


def test_each_token_and_each_person_has_a_count_of_its_own(client: Client, monkeypatch: pytest.MonkeyPatch):
    owner = a_user()
    keys = [tokens.make(owner=owner, name=name, scopes=["curate"], days=None)[1] for name in "ab"]
    ask = lambda key: client.get("/api/v1/faces", headers={"Authorization": f"Bearer {key}"})  # noqa: E731

    told = [ask(keys[0]) for _ in range(4)]
    assert [each.status_code for each in told] == [200, 200, 200, 429]
    assert [each["RateLimit-Remaining"] for each in told] == ["2", "1", "0", "0"]
    assert (told[0]["RateLimit-Limit"], told[0]["RateLimit-Reset"]) == ("3", "45")
    assert told[3]["Retry-After"] == "45"
    assert told[3].json()["error"]["code"] == "throttled"
    assert ask(keys[1]).status_code == 200
    client.force_login(owner)
    assert client.get("/api/v1/faces").status_code == 200

    monkeypatch.setattr("dager_site.limits.time.time", lambda: 600_060.0)
    assert ask(keys[0]).status_code == 200


def test_predictions_are_counted_by_themselves(client: Client):
    client.force_login(a_user())
    assert [client.post("/api/v1/predict").status_code for _ in range(3)] == [400, 400, 429]
    assert client.get("/api/v1/faces").status_code == 200


def test_what_cannot_be_counted_goes_on(client: Client, monkeypatch: pytest.MonkeyPatch):
    def gone(*words: object) -> None:
        raise Unreachable("Redis is gone")

    monkeypatch.setattr(cache, "add", gone)
    client.force_login(a_user())
    answers = [client.get("/api/v1/faces") for _ in range(5)]
    assert {each.status_code for each in answers} == {200}
    assert "RateLimit-Limit" not in answers[0]
