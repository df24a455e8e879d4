"""Trainings, models and certificates over REST; each by its roles."""

import pytest
from django.test import Client

from annotation.models import User
from inference import registry
from tests.factories import a_certificate, a_face, a_user, a_version
from tests.networks import play_networks
from tests.training.test_views import a_release, a_training, an_evaluation
from training import promotion, tasks
from training.core.gate import Check
from training.models import Promotion, TrainingRun

pytestmark = pytest.mark.django_db

V1 = "/api/v1"


@pytest.fixture
def engineer(client: Client) -> Client:
    client.force_login(a_user("eve", User.Role.ENGINEER))
    return client


@pytest.fixture(autouse=True)
def no_belt(monkeypatch):
    monkeypatch.setattr(tasks.train, "delay", lambda pk: None)
    monkeypatch.setattr(tasks, "feed", lambda: None)


def post(client: Client, path: str, body: object = None):
    return client.post(f"{V1}/{path}", body or {}, content_type="application/json")


def test_who_may_look_and_who_may_act(client):
    run, judged, held = a_training(), an_evaluation([], a_release("autumn")), a_certificate()
    looks = [
        "runs", f"runs/{run.pk}", "models", f"models/{judged.version_id}", f"models/{judged.version_id}/card",
        "certificates", f"certificates/{held.pk}",
    ]  # fmt: skip
    looks += ["promotions", f"promotions/{Promotion.objects.create(version=judged.version, state='refused').pk}"]
    acts = ["runs", f"runs/{run.pk}/stop", f"runs/{run.pk}/go-on"]
    acts += [f"models/{judged.version_id}/promote", f"models/{judged.version_id}/roll-back"]
    assert {client.get(f"{V1}/{each}").status_code for each in looks} == {401}
    assert {post(client, each).status_code for each in acts} == {401}
    allowed = {"annotator": (403, {403}), "curator": (200, {403}), "engineer": (200, {400, 202, 409})}
    for role, (look, do) in allowed.items():
        client.force_login(a_user(f"a {role}", role))
        assert {client.get(f"{V1}/{each}").status_code for each in looks} == {look}, role
        assert {post(client, each).status_code for each in acts} == do, role


def test_a_run_is_started_listed_stopped_and_gone_on_with(engineer):
    release = a_release()

    asked = post(engineer, "runs", {"task": "gender", "releases": [release.pk], "changes": {"epochs": 2}})

    assert asked.status_code == 202, asked.content
    pk = asked.json()["id"]
    assert (asked.json()["state"], asked.json()["config"]["epochs"]) == ("waiting", 2)
    assert [each["id"] for each in engineer.get(f"{V1}/runs?task=gender&state=waiting").json()["results"]] == [pk]
    assert post(engineer, f"runs/{pk}/stop").json()["state"] == "stopped"
    assert post(engineer, f"runs/{pk}/go-on").json()["state"] == "waiting"
    assert TrainingRun.objects.get().created_by.username == "eve"


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"task": "beauty"}, 400, "beauty"),
        ({"releases": []}, 400, "empty"),
        ({"changes": {"epoch": 2}}, 400, "Did you mean"),
        ({"changes": {"balance": 2}}, 400, "share from 0 to 1"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_words(engineer, body, status, told):
    said = {"task": "gender", "releases": [a_release().pk]} | body

    refused = post(engineer, "runs", said)

    assert refused.status_code == status
    assert told in refused.json()["error"]["message"]


def test_a_second_run_of_a_task_conflicts(engineer):
    run = a_training()

    refused = post(engineer, "runs", {"task": "gender", "releases": [run.releases.get().pk]})

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "training_under_way")


def test_models_tell_what_is_live_and_how_they_were_judged(engineer):
    judged = an_evaluation([a_face()])

    live = engineer.get(f"{V1}/models?task=gender&state=live").json()["results"]
    card = engineer.get(f"{V1}/models/{judged.version_id}/card").json()

    assert [(each["name"], each["live"]) for each in live] == [("old net", True)]
    assert card["evaluations"][0]["measured"]["metrics"]["accuracy"]["value"] == 1.0
    assert engineer.get(f"{V1}/models?colour=red").status_code == 400


def test_a_model_is_promoted_through_the_gate_and_rolled_back(engineer, monkeypatch):
    play_networks(monkeypatch)
    candidate = an_evaluation([]).version
    before = promotion.live_of("gender")
    monkeypatch.setattr(promotion, "examine", lambda version: [Check("better", True, "It is.")])

    asked = post(engineer, f"models/{candidate.pk}/promote")

    assert asked.status_code == 202, asked.content
    told = asked.json()
    assert (told["state"], told["task"], told["replaced"], told["gate"]) == (
        *("preparing", "gender", before.pk),
        [{"name": "better", "passed": True, "told": "It is."}],
    )
    assert promotion.finish(told["id"])
    (listed,) = engineer.get(f"{V1}/promotions?state=live&version={candidate.pk}").json()["results"]
    assert listed["id"] == told["id"]
    assert Promotion.objects.get().created_by.username == "eve"

    back = post(engineer, f"models/{candidate.pk}/roll-back")

    assert (back.status_code, back.json()["state"]) == (200, "rolled_back")
    assert promotion.live_of("gender") == before
    again = post(engineer, f"models/{candidate.pk}/roll-back")
    assert again.status_code == 409
    assert "new net is not live, so there is nothing to roll back; old net is." in again.json()["error"]["message"]


def test_what_the_gate_refuses_is_told_kept_and_may_be_forced(engineer, monkeypatch):
    candidate = an_evaluation([]).version
    monkeypatch.setattr(promotion, "examine", lambda version: [Check("better", False, "No better than chance.")])

    refused = post(engineer, f"models/{candidate.pk}/promote")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "not_promotable")
    assert "No better than chance." in refused.json()["error"]["message"]
    (kept,) = engineer.get(f"{V1}/promotions?state=refused").json()["results"]
    assert (kept["version"], kept["gate"][0]["passed"]) == (candidate.pk, False)
    keyed = engineer.post(f"{V1}/models/{candidate.pk}/promote", headers={"Idempotency-Key": "one"})
    assert keyed.status_code == 409
    assert engineer.get(f"{V1}/promotions?state=refused").json()["results"][0]["id"] > kept["id"]  # kept by a key, too
    for bad in ("x" * 301, "NUL \0", ["why"]):
        assert post(engineer, f"models/{candidate.pk}/promote", {"forced": bad}).status_code == 400
    forced = post(engineer, f"models/{candidate.pk}/promote", {"forced": "The old licence ends."})
    assert (forced.status_code, forced.json()["forced"]) == (202, "The old licence ends.")
    assert post(engineer, f"models/{candidate.pk}/promote").json()["error"]["code"] == "promotion_under_way"


def test_nothing_is_promoted_without_the_token_of_the_page():
    candidate, client = an_evaluation([]).version, Client(enforce_csrf_checks=True)
    client.force_login(a_user("eve", User.Role.ENGINEER))
    for address in (f"{V1}/models/{candidate.pk}/", f"/models/{candidate.pk}/"):
        assert client.post(f"{address}promote").status_code == 403
        assert client.post(f"{address}roll-back").status_code == 403


def test_certificates_are_told_with_their_bound(engineer):
    a_certificate()

    (told,) = engineer.get(f"{V1}/certificates?attribute=gender&state=valid").json()["results"]

    assert (told["value"], told["bound"], told["target"]) == ("female", 0.009, 0.01)


def test_lists_take_as_many_queries_for_many_as_for_one(engineer, django_assert_max_num_queries):
    for number in range(5):
        a_training(a_release("x" * (number + 1)), state="stopped")
        a_certificate(f"v{number}")
        Promotion.objects.create(version=a_version(state="candidate"), state="refused")
    for path in ("runs", "models", "promotions", "certificates"):
        with django_assert_max_num_queries(6):
            assert engineer.get(f"{V1}/{path}").status_code == 200


def test_the_schema_names_every_call(engineer):
    paths = engineer.get("/api/schema?format=json").json()["paths"]

    assert {f"{V1}/runs", f"{V1}/runs/{{id}}/go-on", f"{V1}/models/{{id}}/card", f"{V1}/certificates"} <= set(paths)
    assert {f"{V1}/models/{{id}}/promote", f"{V1}/models/{{id}}/roll-back", f"{V1}/promotions"} <= set(paths)


def test_what_is_live_is_told_with_its_cards_also_of_packages(engineer: Client):
    registry.ensure_live()
    registry.ensure_attributes()
    live = engineer.get(f"{V1}/models?state=live").json()["results"]

    assert {each["task"] for each in live} == {"embedding", "gender", "apparent_age", "emotion"}
    for each in live:
        assert len(engineer.get(f"{V1}/models/{each['id']}/card").json()["card"]) > 100
