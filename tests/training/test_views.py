"""The pages of trainings and models: each by its roles, with what an engineer may do."""

from dataclasses import asdict

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone

from annotation.models import Face, Release, User
from inference.core.attributes import GENDER
from inference.models import ModelVersion
from tests.factories import a_face, a_user, a_version
from training import promotion, tasks, views
from training.core.benchmarks.protocol import Faces, Figure, Ours, Outcome
from training.core.config import preset
from training.core.evaluate import Truth, compare, evaluate
from training.core.gate import Check
from training.management.commands.benchmark import keep
from training.models import Evaluation, Promotion, TrainingRun

pytestmark = pytest.mark.django_db

HISTORY = [
    {"epoch": number, "epochs": 8, "loss": 1 / (number + 1), "figures": {"accuracy": 0.6 + number / 10}, "score": 0.6}
    for number in range(3)
]


def a_release(name: str = "spring") -> Release:
    done = {"state": "done", "folder": name, "finished_at": timezone.now(), "counts": {"faces": 100}}
    return Release.objects.create(name=name, query={}, checksum=f"{len(name):064x}", **done)


def a_training(release: Release | None = None, task: str = "gender", **fields: object) -> TrainingRun:
    config = asdict(preset("quick", task, epochs=8))
    run = TrainingRun.objects.create(task=task, preset="quick", config=config, **fields)
    run.releases.add(release or a_release())
    return run


def an_evaluation(faces: list[Face], release: Release | None = None) -> Evaluation:
    """A candidate that is right of all faces, beside a live one that is right of half of them."""
    chance = np.random.default_rng(0)
    values = chance.integers(0, 2, 40)
    truth = Truth(GENDER, values, slices={"age": np.array(["20-29", "30-39"] * 20)})
    ours, theirs = np.eye(2)[values] * 0.8 + 0.1, np.eye(2)[chance.integers(0, 2, 40)] * 0.8 + 0.1
    live = a_version(task="gender", name="old net", dimensions=2)
    candidate = a_version(task="gender", name="new net", dimensions=2, state="candidate")
    return Evaluation.objects.create(
        version=candidate,
        release=release or a_release(),
        against=live,
        measured=evaluate(ours, truth, rounds=50).as_json(),
        compared=compare(ours, theirs, truth, rounds=50).as_json(),
        differ=[
            {"face": face.pk, "says": "female", "against": "male", "known": "female", "gap": 1.6} for face in faces
        ],
    )


@pytest.fixture
def engineer(client: Client) -> Client:
    client.force_login(a_user("eve", User.Role.ENGINEER))
    return client


@pytest.fixture(autouse=True)
def models_folder(settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "models"


@pytest.fixture(autouse=True)
def no_belt(monkeypatch):
    monkeypatch.setattr(tasks.train, "delay", lambda pk: None)
    monkeypatch.setattr(tasks, "feed", lambda: None)


def test_who_may_look_and_who_may_act(client):
    run, judged = a_training(), an_evaluation([a_face()], a_release("autumn"))
    pages = [
        "/trainings/", f"/trainings/{run.pk}/", f"/trainings/{run.pk}/progress", "/models/",
        f"/models/{judged.version_id}/", f"/models/judged/{judged.pk}/faces",
        f"/models/judged/{judged.pk}/confusion.png", "/leader-board/",
    ]  # fmt: skip
    acts = ["/trainings/start", f"/trainings/{run.pk}/stop", f"/trainings/{run.pk}/go-on"]
    acts += [f"/models/{judged.version_id}/promote", f"/models/{judged.against_id}/roll-back"]
    allowed = {"annotator": (403, 403), "curator": (200, 403), "engineer": (200, 302), "admin": (200, 302)}
    for role, (look, do) in allowed.items():
        client.force_login(a_user(f"a {role}", role))
        assert {client.get(page).status_code for page in pages} == {look}, role
        assert {client.post(each).status_code for each in acts} == {do}, role


def test_a_training_is_started_stopped_and_gone_on_with(engineer):
    release = a_release()
    said = {"task": "gender", "preset": "quick", "releases": [release.pk], "epochs": 3}

    page = engineer.post("/trainings/start", said)

    run = TrainingRun.objects.get()
    assert page.url == f"/trainings/{run.pk}/"
    assert (run.config["epochs"], run.created_by.username, list(run.releases.all())) == (3, "eve", [release])
    engineer.post(f"/trainings/{run.pk}/stop")
    run.refresh_from_db()
    assert run.state == "stopped"
    engineer.post(f"/trainings/{run.pk}/go-on")
    run.refresh_from_db()
    assert run.state == "waiting"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"balance": 3}, "it is a share from 0 to 1"),
        ({"epochs": 0}, "it must be from 1 to"),
        ({"releases": []}, "Releases"),
    ],
)
def test_what_cannot_be_trained_is_said(engineer, changes, told):
    said = {"task": "gender", "preset": "quick", "releases": [a_release().pk]} | changes

    page = engineer.post("/trainings/start", said, follow=True)

    assert any(told in str(each) for each in page.context["messages"])
    assert not TrainingRun.objects.exists()


def test_a_second_training_of_a_task_is_refused_in_words(engineer):
    run = a_training()
    said = {"task": "gender", "preset": "quick", "releases": [run.releases.get().pk]}

    page = engineer.post("/trainings/start", said, follow=True)

    assert "is under way" in page.content.decode()


def test_progress_is_plain_numbers_even_where_a_loss_ran_away(engineer):
    run = a_training(state="running", history=HISTORY)
    told = engineer.get(f"/trainings/{run.pk}/progress").json()
    assert (told["state"], told["under_way"], told["epochs"], len(told["history"])) == ("running", True, 8, 3)

    run.progress = {"epoch": 1, "step": 2, "steps": 8, "loss": float("nan")}
    assert views.how_it_goes(run)["progress"]["loss"] is None


def test_why_a_training_failed_and_what_was_changed_are_told(engineer):
    run = a_training(state="failed", error="The loss ran away at step 7.")
    TrainingRun.objects.filter(pk=run.pk).update(config=run.config | {"seed": 7})

    page = engineer.get(f"/trainings/{run.pk}/").content.decode()

    assert "The loss ran away at step 7." in page
    assert "<b>7</b>" in page
    assert "Go on" in page


def test_a_model_is_told_with_figures_slices_pictures_and_promotions(engineer):
    judged = an_evaluation([a_face()])
    gate = [{"name": "better", "passed": False, "told": "p = 0.3"}]
    Promotion.objects.create(version=judged.version, state="refused", gate=gate)

    page = engineer.get(f"/models/{judged.version_id}/").content.decode()

    for told in ("1.0000", "accuracy", "age: 20-29", "better: p = 0.3", "old net", "confusion.png"):
        assert told in page, told
    number = f'<span class="muted">#{judged.version_id}'  # as the commands want it
    assert number in page
    assert number in engineer.get("/models/").content.decode()
    picture = engineer.get(f"/models/judged/{judged.pk}/confusion.png")
    assert picture.content.startswith(b"\x89PNG")
    assert engineer.get(f"/models/judged/{judged.pk}/error_by_age.png").status_code == 404


def test_faces_that_differ_link_to_their_pages_and_erased_ones_are_left_out(engineer):
    kept, erased = a_face(), a_face()
    judged = an_evaluation([kept, erased])
    gone = erased.pk
    erased.delete()

    page = engineer.get(f"/models/judged/{judged.pk}/faces")

    assert f"/faces/{kept.pk}/" in page.content.decode()
    assert f"/faces/{gone}/" not in page.content.decode()
    assert page.context["erased"] == 1
    assert "<dd>female</dd>" in page.content.decode()
    assert '<em class="badge bad">male</em>' in page.content.decode()  # the other one was wrong


def test_the_leader_board_says_what_is_not_measured_and_shows_what_is(engineer):
    before = engineer.get("/leader-board/?task=embedding").content.decode()
    assert "not measured" in before
    assert "97.35 ± 0.25" in before
    ours = Ours("our net", 6000, {"accuracy": Figure(0.9912, 0.004, "standard error over folds")})
    keep(Outcome("lfw", "LFW", ("accuracy",), (ours,), (), Faces(100, 99, "whole picture used")))

    board = engineer.get("/leader-board/?task=embedding").context["boards"][0]

    assert board["ours"][0]["figures"] == ["99.12 ± 0.40"]


def test_lists_take_as_many_queries_for_many_as_for_one(engineer, django_assert_max_num_queries):
    for number in range(6):
        an_evaluation([], a_release(f"r{number}" * (number + 1)))
        ModelVersion.objects.filter(state="live").update(state="retired")
        a_training(a_release(f"t{number}" * (number + 9)), state="done", finished_at=timezone.now())
    for address in ("/trainings/", "/models/", "/leader-board/?task=gender"):
        with django_assert_max_num_queries(8):
            assert engineer.get(address).status_code == 200


@pytest.fixture
def candidate() -> ModelVersion:
    """Judged beside the live one; what the gate asks of its bundle is looked at in test_promotion.py."""
    return an_evaluation([a_face()]).version


def test_what_the_gate_refuses_is_told_and_kept(engineer, candidate, monkeypatch):
    monkeypatch.setattr(promotion, "examine", lambda version: [Check("better", False, "No better than chance.")])

    page = engineer.post(f"/models/{candidate.pk}/promote", {"next": f"/models/{candidate.pk}/"}, follow=True)

    assert any("No better than chance" in str(each) for each in page.context["messages"])
    assert Promotion.objects.get().state == "refused"
    assert "No better than chance" in page.content.decode()


def test_against_the_gate_it_takes_a_written_reason(engineer, candidate, monkeypatch):
    monkeypatch.setattr(promotion, "examine", lambda version: [Check("better", False, "No better than chance.")])

    engineer.post(f"/models/{candidate.pk}/promote", {"forced": "The old one has no licence."})

    made = Promotion.objects.get()
    assert (made.state, made.forced, made.created_by.username) == ("preparing", "The old one has no licence.", "eve")


def test_the_live_model_is_rolled_back_by_its_button(engineer, candidate, monkeypatch):
    monkeypatch.setattr(promotion, "examine", lambda version: [Check("better", True, "It is.")])
    before = promotion.live_of("gender")
    engineer.post(f"/models/{candidate.pk}/promote")
    promotion.finish(Promotion.objects.get().pk)
    assert promotion.live_of("gender") == candidate
    assert "roll-back" in engineer.get(f"/models/{candidate.pk}/").content.decode()

    page = engineer.post(f"/models/{candidate.pk}/roll-back")

    assert promotion.live_of("gender") == before
    assert page.url == f"/models/{before.pk}/"


def test_with_nothing_to_go_back_to_it_says_so(engineer, candidate):
    page = engineer.post(f"/models/{candidate.evaluations.get().against_id}/roll-back", follow=True)

    assert any("none was live before" in str(each) for each in page.context["messages"])
