"""So many calls a minute: told on each answer, refused beyond; a cache that is gone or hangs fails nobody."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings
from rest_framework.response import Response

from annotation import tokens
from annotation.models import User
from dager_site.cache import SharedOrOwn
from tests.factories import a_user

pytestmark = pytest.mark.django_db
LEFT = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture(autouse=True)
def _few(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.REQUESTS_A_MINUTE, settings.PREDICTIONS_A_MINUTE = 3, 2
    monkeypatch.setattr("dager_site.limits.time.time", lambda: 600_015.0)
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def ask(client: Client) -> Callable[..., Response]:
    def asked(key: str, call: str = "faces", **more: object) -> Response:
        method = client.post if more else client.get
        address = call if call.startswith("/") else f"/api/v1/{call}"
        return method(address, headers={"Authorization": f"Bearer {key}"}, **more)  # type: ignore[arg-type,return-value]

    return asked


def key_of(*scopes: str, owner: User | None = None, calls_a_minute: int | None = None) -> str:
    owner = owner or a_user(role="admin")
    return tokens.make(owner=owner, name="x", scopes=scopes, days=None, calls_a_minute=calls_a_minute)[1]


def test_each_token_and_each_person_has_a_count_of_its_own(
    client: Client, ask: Callable[..., Response], monkeypatch: pytest.MonkeyPatch
):
    owner = a_user()
    one, other = key_of("curate", owner=owner), key_of("curate", owner=owner)

    told = [ask(one) for _ in range(4)]
    assert [each.status_code for each in told] == [200, 200, 200, 429]
    assert [each["RateLimit-Remaining"] for each in told] == ["2", "1", "0", "0"]
    assert (told[0]["RateLimit-Limit"], told[0]["RateLimit-Reset"]) == ("3", "45")
    assert told[3]["Retry-After"] == "45"
    assert told[3].json()["error"]["code"] == "throttled"
    assert ask(other).status_code == 200
    client.force_login(owner)
    assert client.get("/api/v1/faces").status_code == 200

    monkeypatch.setattr("dager_site.limits.time.time", lambda: 600_059.9)
    assert ask(one)["Retry-After"] == "1"  # none is asked to come back at once
    monkeypatch.setattr("dager_site.limits.time.time", lambda: 600_060.0)
    assert ask(one).status_code == 200


def test_each_scope_has_an_allowance_of_its_own(settings: Settings, client: Client, ask: Callable[..., Response]):
    settings.ANNOTATE_A_MINUTE, settings.CURATE_A_MINUTE = 5, 4
    settings.TRAIN_A_MINUTE, settings.ADMIN_A_MINUTE = 6, 7
    allowed = {
        "predict": 2, "questions/next": 5, "faces": 4, "runs": 4, "sources/1/intakes": 4, "models": 4, "/metrics": 7,
    }  # fmt: skip
    everything = key_of("admin")
    for call, limit in allowed.items():
        more = {"data": {}} if call == "predict" else {}
        assert ask(everything, call, **more)["RateLimit-Limit"] == str(limit), call
    trains = key_of("train")
    assert ask(trains, "faces")["RateLimit-Limit"] == "6"  # read by a token that may train only
    assert ask(trains, "runs", data={})["RateLimit-Remaining"] == "4"
    asks = key_of("predict", "annotate")
    assert [ask(asks, "predict", data={}).status_code for _ in range(3)] == [400, 400, 429]
    assert ask(asks, "questions/next").status_code == 200
    assert ask(asks, "models")["RateLimit-Limit"] == "2"
    client.force_login(a_user())
    assert [client.post("/api/v1/predict").status_code for _ in range(3)] == [400, 400, 429]
    assert client.get("/api/v1/faces")["RateLimit-Limit"] == "4"


def test_a_token_may_have_a_limit_of_its_own_lower_or_higher(ask: Callable[..., Response]):
    few, many = key_of("curate", calls_a_minute=1), key_of("curate", calls_a_minute=9)
    assert [ask(few).status_code for _ in range(2)] == [200, 429]
    assert {ask(many).status_code for _ in range(9)} == {200}
    assert ask(many).status_code == 429


def test_what_is_refused_counts_and_is_told_how_many_are_left(ask: Callable[..., Response], client: Client):
    key = key_of("curate")
    told = [ask(key, "predict", data={}) for _ in range(4)]
    assert [each.status_code for each in told] == [403, 403, 403, 429]
    assert all(name in each for each in told for name in LEFT)
    assert told[3]["Retry-After"] == "45"
    assert [name for name in LEFT if name in client.get("/api/v1/faces")] == []  # of nobody nothing is counted


@pytest.fixture(params=["dead", "silent"])
def redis(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    """A port where nobody listens, or one that takes every connection and never says a word."""
    with closing(socket.socket()) as port:
        port.bind(("127.0.0.1", 0))
        if request.param == "silent":
            port.listen(50)
            port.setblocking(False)
        patience = {"socket_timeout": 0.05, "socket_connect_timeout": 0.05}
        address = f"redis://127.0.0.1:{port.getsockname()[1]}/0"
        monkeypatch.setattr("dager_site.cache.AWAY", 1e9)  # however long the test takes
        monkeypatch.setattr(SharedOrOwn, "back_at", 0.0)
        settings.CACHES = {
            "default": {"BACKEND": "dager_site.cache.SharedOrOwn", "LOCATION": address, "OPTIONS": patience}
        }
        yield port


def test_without_redis_each_process_counts_for_itself_and_waits_for_it_once(
    redis: socket.socket, request: pytest.FixtureRequest, ask: Callable[..., Response]
):
    key = key_of("curate")
    told = [ask(key) for _ in range(4)]
    assert [each.status_code for each in told] == [200, 200, 200, 429]
    assert [each["RateLimit-Remaining"] for each in told] == ["2", "1", "0", "0"]
    if request.node.callspec.params["redis"] == "silent":
        with closing(redis.accept()[0]):
            pass
        with pytest.raises(BlockingIOError):  # nobody else tried
            redis.accept()
