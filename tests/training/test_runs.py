"""A training run as rows: asked for, carried out, stopped, gone on with after a kill, judged beside the live model."""

import os
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation import releases as frozen
from annotation.core import release as format_
from annotation.erasure import erased
from annotation.models import Release, ReleaseErasure
from inference import registry
from inference.models import ModelVersion
from tests.training.core.lessons import SIDE, a_release
from training import runs, tasks
from training.core import finish
from training.core import train as loop
from training.errors import BadTraining, TrainingUnderWay
from training.models import TrainingRun

SMALL = {"architecture": "toy", "start": "scratch", "dimensions": 16, "side": SIDE, "frozen": 0, "batch": 8}
SMALL |= {"epochs": 2, "rate": 1e-2, "threads": 1}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def models_folder(settings, tmp_path):
    settings.MODELS_DIR = tmp_path / "models"


@pytest.fixture(autouse=True)
def no_onnx(monkeypatch):
    """Writing it takes torch some seconds, and tests/training/core/test_run.py looks at it."""

    def write(learner, config, heat, examples, path):
        path.write_bytes(b"looked at elsewhere")
        return path

    monkeypatch.setattr(finish, "_onnx", write)


@pytest.fixture(scope="module")
def frozen_folder(tmp_path_factory):
    return a_release(tmp_path_factory.mktemp("releases") / "small", 100)


@pytest.fixture
def release(frozen_folder, monkeypatch) -> Release:
    monkeypatch.setattr(frozen, "opened", lambda row: format_.open_release(frozen_folder.folder))
    return Release.objects.create(
        name="small", query={}, state="done", folder="small", checksum=frozen_folder.id, finished_at=timezone.now()
    )


def a_run(release: Release, task: str = "gender", **changes) -> TrainingRun:
    return runs.start_run(task=task, releases=[release], changes=SMALL | changes)


def test_a_run_ends_in_a_candidate_that_is_judged_beside_the_live_model(release):
    registry.ensure_attributes()
    run = a_run(release)

    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert (run.state, run.error) == ("done", "")
    assert len(run.history) == 2
    assert run.version.state == "candidate"
    assert run.version.release_ids == release.checksum
    assert list(frozen.models_of(release)) == [run.version]
    judged = run.version.evaluations.get()
    assert judged.measured["n"] == 20
    assert judged.against == registry.live("gender")
    assert judged.compared["main"] == "accuracy"
    assert judged.milliseconds > 0


def test_a_backbone_is_judged_by_true_accepts(release):
    run = a_run(release, "embedding", loss="distilled", dimensions=128)

    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert run.error == ""
    judged = run.version.evaluations.get()
    assert judged.against == registry.live()
    assert set(judged.compared) >= {"true_accepts", "milliseconds"}


def test_carried_out_twice_is_once(release):
    run = a_run(release)
    runs.carry_out(run.pk)
    runs.carry_out(run.pk)

    assert ModelVersion.objects.filter(task="gender", state="candidate").count() == 1


def test_one_training_of_a_task_at_a_time(release):
    a_run(release)

    with pytest.raises(TrainingUnderWay, match="training of gender is under way"):
        a_run(release)
    a_run(release, "emotion")


def test_a_run_in_somebodys_hands_is_left_alone(release):
    run = a_run(release)
    TrainingRun.objects.filter(pk=run.pk).update(state="running", claimed_until=timezone.now() + timedelta(minutes=1))

    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert run.state == "running"
    assert run.history == []


def test_a_stopped_run_goes_on_to_the_outcome_of_an_unbroken_one(release, monkeypatch):
    monkeypatch.setattr(runs, "LOOKED", -1.0)
    whole = a_run(release)
    runs.carry_out(whole.pk)
    broken = a_run(release)
    steps = iter(range(100))
    monkeypatch.setattr(runs, "_stop_wanted", lambda pk: lambda: next(steps) == 4)

    runs.carry_out(broken.pk)
    broken.refresh_from_db()
    assert broken.state == "stopped"
    runs.go_on(broken.pk)
    runs.carry_out(broken.pk)

    broken.refresh_from_db()
    whole.refresh_from_db()
    assert broken.state == "done"
    weights = [runs.bundle_folder(run) / "network.safetensors" for run in (whole, broken)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_asking_to_stop_is_heard_within_a_run(release, monkeypatch):
    monkeypatch.setattr(runs, "LOOKED", -1.0)
    run = a_run(release)
    TrainingRun.objects.filter(pk=run.pk).update(stop_wanted=True)

    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert (run.state, run.stop_wanted) == ("stopped", False)


def test_a_waiting_run_is_stopped_at_once_and_a_done_one_cannot_be(release):
    run = a_run(release)
    runs.stop_run(run.pk)

    run.refresh_from_db()
    assert run.state == "stopped"
    with pytest.raises(BadTraining, match="nothing to stop"):
        runs.stop_run(run.pk)


def test_a_run_whose_worker_died_is_due_again(release):
    run = a_run(release)
    TrainingRun.objects.filter(pk=run.pk).update(state="running", claimed_until=timezone.now() - timedelta(seconds=1))

    assert list(runs.due()) == [run]


def test_the_sweep_puts_it_on_the_belt(release, monkeypatch):
    run, sent = a_run(release), []
    monkeypatch.setattr(tasks.train, "delay", sent.append)

    tasks.sweep()

    assert sent == [run.pk]


def test_a_run_that_cannot_be_says_why_and_can_go_on_later(release, monkeypatch):
    run = a_run(release, start="/nowhere", architecture="dlib-29")
    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert run.state == "failed"
    assert "/nowhere is no bundle" in run.error
    runs.go_on(run.pk)
    run.refresh_from_db()
    assert (run.state, run.error) == ("waiting", "")


def test_what_nobody_foresaw_fails_the_run_and_not_the_worker(release, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(loop._Loop, "run", broken)
    run = a_run(release)
    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert (run.state, run.error) == ("failed", "ZeroDivisionError: by chance")


def test_no_thread_is_left_behind(release):
    before = threading.active_count()
    run = a_run(release)
    runs.carry_out(run.pk)

    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"changes": {"epochz": 1}}, "Did you mean 'epochs'"),
        ({"preset_name": "quik"}, "Did you mean 'quick'"),
        ({"releases": []}, "at least one release"),
    ],
)
def test_what_cannot_be_trained_is_refused_at_once(release, asked, message):
    with pytest.raises(BadTraining, match=message):
        runs.start_run(**({"task": "gender", "releases": [release]} | asked))
    assert not TrainingRun.objects.exists()


def test_a_release_that_is_not_done_is_waited_for(release):
    Release.objects.update(state="waiting")
    release.refresh_from_db()

    with pytest.raises(BadTraining, match="small is waiting"):
        a_run(release)


def test_what_something_was_erased_of_is_neither_learnt_from_nor_judged_by(release):
    version, waiting = registry.ensure_attributes()["gender"], a_run(release)
    ReleaseErasure.objects.create(release=release, sha256="0" * 64, faces=[1])

    with pytest.raises(BadTraining, match="Of the release small 1 photo was erased since"):
        a_run(release, "emotion")
    runs.carry_out(waiting.pk)
    waiting.refresh_from_db()
    assert "was erased since. Freeze a new one" in waiting.error
    with pytest.raises(BadTraining, match="erased since"):
        runs.evaluate_version(version, release)
    with pytest.raises(CommandError, match="erased since"):
        call_command("evaluate", str(version.pk), "--release", "small")
    for command in (["evaluate", str(version.pk)], ["train", "gender"]):  # there is no other
        with pytest.raises(CommandError, match=r"Of the release small 1 photo was erased since\. Freeze a new one"):
            call_command(*command)


def test_a_run_that_learns_from_what_is_erased_meanwhile_stops_and_cannot_go_on(release):
    run = a_run(release)
    TrainingRun.objects.filter(pk=run.pk).update(state="running")
    ReleaseErasure.objects.create(release=release, sha256="f" * 64, faces=[1])
    erased.send(sender=None)
    run.refresh_from_db()
    assert run.stop_wanted
    TrainingRun.objects.filter(pk=run.pk).update(state="stopped", stop_wanted=False)
    runs.go_on(run.pk)
    runs.carry_out(run.pk)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "1 photo was erased since" in run.error


def test_the_kept_crops_of_what_was_erased_are_dropped_by_the_sweep(release, frozen_folder):
    runs.evaluate_version(registry.ensure_attributes()["gender"], release)
    assert list(runs.cache().glob("*/*.npy"))
    assert runs.forget_crops() == 0
    ReleaseErasure.objects.create(release=release, sha256="0" * 64, faces=[1])

    tasks.sweep()

    assert not list(runs.cache().rglob("*.npy"))


def test_a_bundle_left_from_another_database_is_not_taken_for_ones_own(release):
    first = a_run(release)
    runs.carry_out(first.pk)
    second = a_run(release, seed=1)
    runs.bundle_folder(first).rename(runs.bundle_folder(second))

    runs.carry_out(second.pk)

    second.refresh_from_db()
    assert second.state == "failed"
    assert "holds what another training wrote. Move it away" in second.error


def test_faces_that_a_model_learnt_from_are_not_what_it_is_judged_by(release, frozen_folder, tmp_path, monkeypatch):
    """Two people turn out to be one: who was learnt from is in the test of the next release."""
    rows = list(frozen_folder.faces())
    tested, trained = (next(row for row in rows if row.split == split) for split in ("test", "train"))
    merged = [
        replace(row, split="test", group=min(tested.group, trained.group), identity=trained.identity)
        if row.group in (tested.group, trained.group)
        else row
        for row in rows
    ]
    later = format_.write_release(tmp_path / "later", merged, name="later", query={})
    row = Release.objects.create(
        name="later", query={}, state="done", folder="later", checksum=later.id, finished_at=timezone.now()
    )
    registry.ensure_attributes()
    there = {release.pk: frozen_folder, row.pk: later}
    monkeypatch.setattr(frozen, "opened", lambda each: there[each.pk])
    run = a_run(release)
    runs.carry_out(run.pk)
    run.refresh_from_db()

    judged = runs.evaluate_version(run.version, row)

    assert later.counts["splits"]["test"] == 22
    assert (judged.measured["n"], judged.measured["left_out"]) == (18, 4)
    assert judged.compared["metrics"]["accuracy"]["n"] == 18


def test_a_full_disk_is_told_and_leaves_nothing_half_made(release, monkeypatch):
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    run = a_run(release)

    runs.carry_out(run.pk)

    run.refresh_from_db()
    assert (run.state, "No space left on device" in run.error) == ("failed", True)
    assert not [path for path in runs.cache().rglob("*") if path.is_file()]


def test_what_nobody_names_is_the_latest_release_that_knows_of_the_task(release):
    done = {"query": {}, "state": "done", "finished_at": timezone.now()}
    Release.objects.filter(pk=release.pk).update(counts={"attributes": {"gender": {"test": {"female": 2}}}})
    of_emotions = {"attributes": {"emotion": {"test": {"happy": 1}}}, "identities": 3}
    other = Release.objects.create(name="faces", folder="faces", checksum="2" * 64, counts=of_emotions, **done)

    assert runs.latest_release("gender") == release
    assert runs.latest_release("emotion") == runs.latest_release("embedding") == other
    assert runs.latest_release("real_age") == other


def test_the_command_trains_and_says_how_good_it_is(release, capsys):
    registry.ensure_attributes()
    settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]

    call_command("train", "gender", *settings)

    said = capsys.readouterr().out
    assert "On 20 test faces: accuracy" in said
    assert "The live model on the same faces" in said
    assert f"manage.py promote {TrainingRun.objects.get().version_id}`" in said
    with pytest.raises(CommandError, match="There are: small"):
        call_command("train", "gender", "--release", "larger")
