"""The loop: it learns, what is broken off goes on as if it had not been, and a seed says all."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.training.core.lessons import a_config, some_examples
from training.core.checkpoint import BEST, STATE, OtherRun
from training.core.config import TrainConfig
from training.core.learners import AttributeLearner
from training.core.train import Diverged, EpochDone, Stopped, history, learner_for, train


def config(**changes: object) -> TrainConfig:
    return a_config("gender", **changes)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / BEST)


def equal(one: Path, other: Path) -> bool:
    return all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def stopping_after(steps: int):
    """Asked after each step; says yes once so many were done."""
    seen = iter(range(1, 10_000))
    return lambda: next(seen) >= steps


def test_it_learns_what_colour_tells(tmp_path: Path) -> None:
    reports = list(train(config(batch=16), some_examples(96), some_examples(32, seed=1), tmp_path))

    last = [report for report in reports if isinstance(report, EpochDone)][-1]
    assert last.figures["accuracy"] > 0.9
    assert [report.epoch for report in reports if isinstance(report, EpochDone)] == [0, 1]
    assert len(history(tmp_path)) == 2


def test_a_resumed_run_equals_an_unbroken_one(tmp_path: Path) -> None:
    lessons = some_examples(40), some_examples(16, seed=1)
    list(train(config(), *lessons, tmp_path / "unbroken"))

    for steps in (3, 4):  # five steps an epoch: broken off in the first and in the second
        first = list(train(config(), *lessons, tmp_path / "broken", stop=stopping_after(steps)))
        assert isinstance(first[-1], Stopped)
    list(train(config(), *lessons, tmp_path / "broken"))

    assert equal(tmp_path / "unbroken", tmp_path / "broken")

    def without_time(folder: Path) -> list[dict[str, object]]:
        return [{name: value for name, value in report.items() if name != "seconds"} for report in history(folder)]

    assert without_time(tmp_path / "unbroken") == without_time(tmp_path / "broken")


def test_two_runs_of_one_seed_agree_and_two_seeds_differ(tmp_path: Path) -> None:
    lessons = some_examples(24), some_examples(16, seed=1)
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        list(train(config(seed=seed), *lessons, tmp_path / name))

    assert equal(tmp_path / "one", tmp_path / "again")
    assert not equal(tmp_path / "one", tmp_path / "other")


def test_a_run_that_is_done_is_not_done_again(tmp_path: Path) -> None:
    lessons = some_examples(16), some_examples(16, seed=1)
    list(train(config(), *lessons, tmp_path))

    assert list(train(config(), *lessons, tmp_path)) == []


def test_another_configuration_does_not_go_on_in_the_same_folder(tmp_path: Path) -> None:
    lessons = some_examples(16), some_examples(16, seed=1)
    list(train(config(), *lessons, tmp_path, stop=stopping_after(1)))

    with pytest.raises(OtherRun, match="another configuration"):
        list(train(config(seed=5), *lessons, tmp_path))
    with pytest.raises(OtherRun, match="another set of faces"):
        list(train(config(), some_examples(24), some_examples(16, seed=1), tmp_path))


def test_a_kill_while_the_state_is_written_leaves_the_older_one(tmp_path: Path) -> None:
    lessons = some_examples(40), some_examples(16, seed=1)
    list(train(config(), *lessons, tmp_path / "unbroken"))
    list(train(config(), *lessons, tmp_path / "killed", stop=stopping_after(2)))
    (tmp_path / "killed" / "000000004.state.safetensors").write_bytes(b"half")  # written, but nothing names it yet
    (tmp_path / "killed" / f".{STATE}.part").write_text("{")

    list(train(config(), *lessons, tmp_path / "killed"))

    assert equal(tmp_path / "unbroken", tmp_path / "killed")


def test_nothing_is_pickled(tmp_path: Path) -> None:
    list(train(config(), some_examples(16), some_examples(16, seed=1), tmp_path))

    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    json.loads((tmp_path / STATE).read_text())


def test_frozen_stages_stay_as_they_were(tmp_path: Path) -> None:
    lessons = some_examples(16), some_examples(16, seed=1)
    list(train(config(epochs=1, frozen=2), *lessons, tmp_path / "one"))
    list(train(config(epochs=1, frozen=2, rate=2e-2), *lessons, tmp_path / "other"))

    one, other = weights(tmp_path / "one"), weights(tmp_path / "other")
    same = {name for name, value in one.items() if torch.equal(value, other[name])}
    assert {name for name in one if name.startswith(("trunk.stages.0.", "trunk.stages.1."))} <= same
    assert not {name for name in one if name.startswith("head.")} & same


def test_a_head_that_is_fitted_knows_before_the_first_step_what_the_trunk_shows() -> None:
    faces, others = some_examples(96), some_examples(32, seed=1)
    learner = learner_for(config(), faces)
    assert isinstance(learner, AttributeLearner)
    _, by_chance = learner.validate(others)

    learner.fit_head(faces)

    _, fitted = learner.validate(others)
    assert fitted > 0.9 > by_chance


def test_a_fitted_head_is_what_a_run_begins_with(tmp_path: Path) -> None:
    lessons = some_examples(96), some_examples(32, seed=1)
    reports = list(train(config(fit_head=True, epochs=1, rate=1e-9), *lessons, tmp_path))

    (done,) = [report for report in reports if isinstance(report, EpochDone)]
    assert done.figures["accuracy"] > 0.9


def test_without_a_better_validation_it_ends_early(tmp_path: Path) -> None:
    lessons = some_examples(16), some_examples(16, seed=1)
    reports = list(train(config(epochs=9, patience=2, rate=1e-7), *lessons, tmp_path))

    done = [report for report in reports if isinstance(report, EpochDone)]
    assert len(done) == max(report.epoch for report in done if report.best) + 1 + 2


def test_a_doubtful_label_counts_less(tmp_path: Path) -> None:
    """Half of the labels are wrong, and known to be doubtful: with their weights it learns the colours all the same."""
    clean = some_examples(96)
    wrong = np.arange(96) % 2 == 0
    values = np.where(wrong, 1 - clean.values, clean.values)
    spoilt = dataclasses.replace(
        clean,
        values=values,
        distributions=np.eye(2, dtype=np.float32)[values.astype(int)],
        weights=np.where(wrong, 0.0, 1.0).astype(np.float32),
    )

    reports = list(train(config(batch=16, balance=0.0), spoilt, some_examples(32, seed=1), tmp_path))

    assert max(report.score for report in reports if isinstance(report, EpochDone)) > 0.9


def test_a_loss_that_is_no_number_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(Diverged, match="Lower the rate"):
        list(train(config(rate=10.0, weight_decay=10.0), some_examples(32), some_examples(16, seed=1), tmp_path))


@pytest.mark.parametrize("changes", [{"loss": "margin"}, {"loss": "margin", "sampled": 0.5, "centres": 2}])
def test_a_backbone_learns_by_a_margin(tmp_path: Path, changes: dict[str, object]) -> None:
    lessons = some_examples(32, people=True), some_examples(80, seed=1, people=True)

    reports = list(train(a_config("embedding", **changes), *lessons, tmp_path))

    assert isinstance(reports[-1], EpochDone)
    assert 0 <= reports[-1].figures["true_accepts"] <= 1


def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    def taught(count: int, seed: int):
        lessons = some_examples(count, seed=seed, people=True)
        light = lessons.pictures.take(slice(None)).mean(axis=(1, 2)) / 255
        vectors = np.pad(light, ((0, 0), (0, 29))).astype(np.float32)
        return dataclasses.replace(lessons, vectors=vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    options = {"loss": "distilled", "epochs": 3, "rate": 3e-3, "augment": 0.0, "dimensions": 32}
    reports = list(train(a_config("embedding", **options), taught(64, 0), taught(32, 1), tmp_path))

    cosines = [report.figures["cosine"] for report in reports if isinstance(report, EpochDone)]
    assert cosines[-1] > cosines[0]


TWO_PROCESSES = """
import sys
from pathlib import Path
from training.core.train import train
from tests.training.core.lessons import a_config, some_examples

config = a_config(batch=int(sys.argv[1]), augment=0.0, dropout=0.0, balance=0.0)
list(train(config, some_examples(32), some_examples(16, seed=1), Path(sys.argv[2])))
"""


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    """Each process sees half of the faces of every step."""
    script = tmp_path / "learn.py"
    script.write_text(TWO_PROCESSES)
    environment = os.environ | {"PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    for command, batch, name in (([sys.executable], "8", "one"), (torchrun, "4", "two")):
        done = subprocess.run(
            [*command, str(script), batch, str(tmp_path / name)], env=environment, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()

    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], atol=2e-5, rtol=1e-3)
