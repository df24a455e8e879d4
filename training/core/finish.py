"""From a run's best weights to a bundle: calibrated on the validation part, judged on the test part, with a card."""

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from safetensors.torch import save_file
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression
from torch import Tensor, nn

from annotation.core.release import Release
from inference.core.attributes import Attribute
from inference.core.bundle import Bundle, Calibration, write_bundle
from inference.core.drift import histogram, score
from inference.core.networks import Mirrored, TaskNetwork
from inference.core.said import Sureness, say
from inference.core.torch_models import places
from inference.core.types import Beliefs
from training.core import checkpoint
from training.core.card import card
from training.core.config import TrainConfig
from training.core.data import Examples, targets
from training.core.evaluate import Evaluation, evaluate
from training.core.judge import truth_of
from training.core.learners import FALSE_ACCEPTS, AttributeLearner, EmbeddingLearner, Learner
from training.core.losses import soft_cross_entropy
from training.core.plain import plain
from training.core.train import learner_for
from training.core.verification import calibrated, true_accepts

ONNX_DIFFERENCE = 1e-3  # at most, of any output: single precision added up in another order
BELIEVED = 2 / 3  # right so often at least, or the network should not say


class OnnxDiffers(RuntimeError):
    def __init__(self, difference: float) -> None:
        super().__init__(
            f"The ONNX file gives other numbers than the network: {difference:.2g} apart at most {ONNX_DIFFERENCE:.2g} "
            "may be. Nothing was written. Report this with the run's configuration."
        )


def finish(
    config: TrainConfig,
    training: Examples,
    validation: Examples,
    test: Examples,
    folder: Path,
    out: Path,
    *,
    name: str,
    releases: Sequence[Release],
    licence: str = "not stated",
) -> tuple[Bundle, Evaluation | None]:
    """Write the bundle of a run that is done. What is chosen is chosen on the validation part, what is said is measured
    on the test part, once. Raises FileExistsError, OnnxDiffers.
    """
    learner = learner_for(config, training)
    checkpoint.load_best(folder, learner.served())
    learner.eval()
    if isinstance(learner, AttributeLearner):
        described, judged = _attribute(config, learner, validation, test)
    else:
        assert isinstance(learner, EmbeddingLearner)
        described, judged = _embedding(learner, validation, test), None
    metrics = plain({"test": described.pop("metrics"), "config": as_metrics(config), **described.pop("watched", {})})
    written = card(config, releases, judged, metrics["test"], counts=(len(training), len(validation), len(test)))
    with tempfile.TemporaryDirectory() as scratch:
        weights = Path(scratch) / "network.safetensors"
        save_file({name: value.contiguous() for name, value in learner.served().state_dict().items()}, weights)
        onnx = _onnx(learner, config, described.get("temperature", 1.0), validation, Path(scratch) / "network.onnx")
        bundle = write_bundle(
            out,
            [weights, onnx],
            name=name,
            architecture=config.architecture,
            crop=config.crop,
            dimensions=config.dimensions,
            task=config.task,
            values=config.values,
            mean=config.mean,
            deviation=config.deviation_of_pixels,
            flip=config.flip,
            release=" ".join(each.id for each in releases),
            metrics=metrics,
            licence=licence,
            card=written,
            **described,
        )
    return bundle, judged


def as_metrics(config: TrainConfig) -> dict[str, Any]:
    """As a bundle states what it was made by."""
    return {name: list(map(list, value)) if name == "groups" else value for name, value in vars(config).items()}


def _attribute(
    config: TrainConfig, learner: AttributeLearner, validation: Examples, test: Examples
) -> tuple[dict[str, Any], Evaluation]:
    assert config.attribute is not None
    logits = learner.logits(validation)
    heat = temperature(logits, targets(validation, np.arange(len(validation)), config))
    threshold = 0.0
    if not config.attribute.in_years:
        belief = torch.softmax(logits / heat, dim=1).numpy()
        threshold = abstain_below(belief.max(axis=1), belief.argmax(axis=1) == validation.values)
    judged = evaluate(beliefs_of(learner, test, heat), truth_of(config.attribute, test))
    # What it says in service is held against this, whoever serves it and wherever.
    watched = {"scores": _scores(config.attribute, beliefs_of(learner, validation, heat))}
    described = {"temperature": heat, "abstain_below": threshold, "metrics": judged.as_json(), "watched": watched}
    return described, judged


def _scores(attribute: Attribute, beliefs: Beliefs) -> list[int]:
    """How often the network's word on the validation part has each score (see core.drift)."""
    as_is = Sureness(True, 0.0)
    return histogram([score(say(attribute, each, sureness=as_is, usable=True)) for each in beliefs])


def beliefs_of(learner: AttributeLearner, examples: Examples, heat: float) -> Beliefs:
    """What the network says of each face (n, values | 117 years)."""
    config = learner.config
    assert config.attribute is not None
    told = torch.softmax(learner.logits(examples).double() / heat, dim=1).numpy()
    return np.asarray(told @ places(config.attribute, config.values), np.float64)


def _embedding(learner: EmbeddingLearner, validation: Examples, test: Examples) -> dict[str, Any]:
    def known(examples: Examples) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        rows = examples.values >= 0
        return learner.vectors(examples).numpy()[rows], examples.values[rows].astype(np.int64)

    calibration: Calibration | None = calibrated(*known(validation))
    vectors, identity = known(test)
    metrics = {
        "true_accepts": true_accepts(vectors, identity, FALSE_ACCEPTS),
        "false_accepts": FALSE_ACCEPTS,
        "faces": len(identity),
        "people": len(np.unique(identity)),
    }
    return {"calibration": calibration, "metrics": metrics}


def temperature(logits: Tensor, target: Tensor) -> float:
    """What the logits (n, outputs) are divided by so that confidences are true (Guo, Pleiss, Sun, Weinberger, "On
    Calibration of Modern Neural Networks", ICML 2017): the minimum of the cross entropy against `target`."""

    def loss(log: float) -> float:
        return float(soft_cross_entropy(logits.double() / float(np.exp(log)), target.double()).mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2.5, 2.5), method="bounded").x))


def abstain_below(confidence: npt.NDArray[np.floating], right: npt.NDArray[np.bool_]) -> float:
    """The confidence from which on a network is right two times in three, by isotonic regression; 0 where it always is,
    1 where it never is."""
    fitted = IsotonicRegression(y_min=0, y_max=1).fit_transform(confidence, right.astype(np.float64))
    trusted = confidence[fitted >= BELIEVED]
    if len(trusted) == len(confidence):
        return 0.0
    return float(trusted.min()) if len(trusted) else 1.0


# ---- ONNX


class _Served(nn.Module):
    """The network with all that is done before and after it, for use without our code: pixels (n, 3, side, side), RGB,
    0–255, in; probabilities or unit vectors out."""

    def __init__(self, learner: Learner, config: TrainConfig, heat: float) -> None:
        super().__init__()
        served = learner.served()
        self.network = (
            Mirrored(served, flip=config.flip, temperature=heat) if isinstance(served, TaskNetwork) else served
        )
        self.flip = config.flip and not isinstance(served, TaskNetwork)
        self.embeds = not isinstance(served, TaskNetwork)
        self.register_buffer("mean", torch.tensor(config.mean).reshape(1, 3, 1, 1) * 255)
        self.register_buffer("scale", torch.tensor(config.deviation_of_pixels).reshape(1, 3, 1, 1) * 255)

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = (pixels - self.mean) / self.scale  # type: ignore[operator]
        told: Tensor = self.network(pixels)
        if self.flip:
            told = told + self.network(pixels.flip(3))
        return nn.functional.normalize(told) if self.embeds else told


def _onnx(learner: Learner, config: TrainConfig, heat: float, examples: Examples, path: Path) -> Path:
    """The same network as ONNX, checked on real faces. Raises OnnxDiffers."""
    served = _Served(learner, config, heat).eval()
    faces = examples.pictures.take(np.arange(min(4, len(examples))))
    pixels = torch.from_numpy(faces).permute(0, 3, 1, 2).float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own exporter about torch's own parts
        torch.onnx.export(
            served,
            (pixels,),
            path,
            input_names=["pixels"],
            output_names=["told"],
            dynamic_shapes=({0: torch.export.Dim("faces")},),
            external_data=False,
            verbose=False,
        )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.inference_mode():
        wanted = served(pixels).numpy()
    # One face alone, too: the number of faces must be free.
    for rows in (slice(None), slice(0, 1)):
        (told,) = session.run(None, {"pixels": pixels[rows].numpy()})
        difference = float(np.abs(told - wanted[rows]).max())
        if not difference <= ONNX_DIFFERENCE:
            raise OnnxDiffers(difference)
    return path
