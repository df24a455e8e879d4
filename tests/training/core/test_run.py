"""From a release to a bundle by the command, without a database."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors import SafetensorError

from inference.core.bundle import load, open_attribute_model, open_embedder
from tests.training.core.lessons import SIDE, a_release
from training.core import checkpoint
from training.core import finish as finishing
from training.core.evaluate import Evaluation
from training.core.finish import OnnxDiffers, abstain_below, temperature
from training.core.run import main

SMALL = [
    *("architecture=toy", "start=scratch", "dimensions=16", f"side={SIDE}", "frozen=0", "batch=8", "epochs=2"),
    *("rate=1e-2", "threads=1"),
]


def command(release: Path, task: str, out: Path, *more: str) -> list[str]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    return ["--release", str(release), "--task", task, "--out", str(out), *settings, *more]


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_release(tmp_path_factory.mktemp("releases") / "small", 100).folder


@pytest.mark.parametrize("task", ["real_age", "apparent_age", "gender", "emotion"])
def test_a_release_becomes_a_bundle_that_says_what_it_is_worth(
    release: Path, task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(release, task, tmp_path / "bundle", "--json")) == 0

    bundle = load(tmp_path / "bundle")
    said = json.loads(capsys.readouterr().out)
    judged = Evaluation.from_json(said["evaluation"])
    assert judged.n == 20
    assert bundle.task == task
    assert bundle.release
    assert bundle.metrics["test"]["n"] == 20  # type: ignore[index]
    assert (len(bundle.metrics["scores"]), sum(bundle.metrics["scores"])) == (10, 20)  # type: ignore[arg-type]
    assert "20 to judge by" in bundle.card
    assert "drawn: 100 faces, licence CC0-1.0" in bundle.card


def test_its_onnx_file_says_what_its_weights_say(release: Path, tmp_path: Path) -> None:
    main(command(release, "gender", tmp_path / "bundle", "--json"))
    bundle = load(tmp_path / "bundle")
    crops = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.uint8)

    belief, _ = open_attribute_model(bundle).look(crops)
    session = onnxruntime.InferenceSession(str(bundle.folder / "network.onnx"))
    (told,) = session.run(None, {"pixels": crops.transpose(0, 3, 1, 2).astype(np.float32)})

    np.testing.assert_allclose(belief, told, atol=1e-4)


def test_a_backbone_becomes_a_bundle_that_embeds(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(command(release, "embedding", tmp_path / "bundle", "--set", "loss=distilled", "--set", "dimensions=128"))
        == 0
    )

    crops = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    assert open_embedder(load(tmp_path / "bundle")).embed(crops).shape == (2, 128)
    assert "# Embedding by toy" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "epochz=3"], "Did you mean 'epochs'?"),
        (["--set", "epochs"], "Write --set epochs=VALUE"),
        (["--set", "groups=[[0,2"], "--set cannot be read"),
        (["--set", "start=/nowhere"], "/nowhere is no bundle"),
    ],
)
def test_what_cannot_be_is_said(release: Path, tmp_path: Path, more: list[str], message: str, capsys) -> None:
    assert main(command(release, "gender", tmp_path / "bundle", *more)) == 1

    assert message in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_release_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tmp_path, "gender", tmp_path / "bundle")) == 1

    assert "release" in capsys.readouterr().err


def test_a_full_disk_is_said(release: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    def full(*args: object) -> None:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoint, "save_file", full)

    assert main(command(release, "gender", tmp_path / "bundle")) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_the_loop_as_a_command_is_the_same_command() -> None:
    said = subprocess.run([sys.executable, "-m", "training.core.train", "--help"], capture_output=True, text=True)

    assert "--release" in said.stdout


def test_a_bundle_is_never_written_over(release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bundle").mkdir()

    assert main(command(release, "gender", tmp_path / "bundle")) == 1
    assert "never edited" in capsys.readouterr().err


def test_an_onnx_file_that_differs_is_not_handed_out(release: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(finishing, "ONNX_DIFFERENCE", -1.0)

    assert main(command(release, "gender", tmp_path / "bundle")) == 1

    assert str(OnnxDiffers(0.0)).split(":")[0] in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_the_temperature_makes_confidence_true() -> None:
    rng = np.random.default_rng(0)
    chance = rng.uniform(0.5, 1, 20_000)
    right = rng.random(20_000) < chance
    logit = np.log(chance / (1 - chance))
    logits = torch.from_numpy(np.stack([3 * logit, np.zeros_like(logit)], axis=1))  # three times too sure
    target = torch.from_numpy(np.stack([right, ~right], axis=1).astype(np.float64))

    assert temperature(logits, target) == pytest.approx(3, rel=0.05)


def test_it_abstains_where_it_is_wrong_too_often() -> None:
    confidence = np.linspace(0, 1, 2001)
    right = np.random.default_rng(0).random(2001) < confidence

    assert abstain_below(confidence, right) == pytest.approx(2 / 3, abs=0.08)
    assert abstain_below(confidence, np.ones(2001, bool)) == 0
    assert abstain_below(confidence, np.zeros(2001, bool)) == 1
