"""Several beliefs about one thing in, one calibrated belief out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SUREST = 1e-9  # no source is believed to be surer than this: one that says "never" would outvote all others
PULL = 10.0  # how many answers' worth the weights are held at their start: few answers do not move them far
HEAVIEST = 3.0  # of a source's weight; an under-confident one is sharpened up to this
BINS = 15


@dataclass(frozen=True, eq=False)
class Calibrator:
    """How much each source counts, and what all of them miss.

    A logarithmic opinion pool (Genest & Zidek, 1986) with one weight a source and one bias a class, which for a single
    source is temperature scaling with a bias (Guo et al., 2017). What is absent of a face counts nothing. The biases of
    an age's years are no free numbers but a tilt along them: p(y) ∝ exp(b₁z + b₂z²) Π pₛ(y)^wₛ, z the year, −1 to 1.
    """

    weights: Floats  # (sources,)
    bias: Floats  # (classes,)
    answers: int = 0  # that it was fitted on

    def fuse(self, beliefs: Floats) -> Floats:
        """The belief (n, classes) from those of all sources (n, sources, classes), NaN where one says nothing."""
        return np.asarray(softmax(_evidence(beliefs) @ self.weights + self.bias, axis=1), np.float64)


def uncalibrated(sources: int, classes: int) -> Calibrator:
    """Before any answer: the first source as it is, and the others half as much, since they share its mistakes."""
    return Calibrator(np.array([1.0] + [0.5] * (sources - 1)), np.zeros(classes))


def fit(beliefs: Floats, truth: Ints | Floats, *, along: Floats | None = None) -> Calibrator:
    """The calibrator for beliefs (n, sources, classes) of which people said the truth (n,), or its shares (n, classes).

    Only the control slice may be given: what people get to see because the machine was unsure is no random sample.
    Maximises the likelihood, with the weights held back as PULL says. Every class has a bias of its own, or what all
    miss runs along the columns of `along` (classes, terms). Raises ValueError for shapes that do not match.
    """
    if beliefs.ndim != 3 or len(beliefs) != len(truth):
        raise ValueError(f"Beliefs {beliefs.shape} must be (n, sources, classes) for the {len(truth)} answers.")
    _, sources, classes = beliefs.shape
    start = uncalibrated(sources, classes)
    evidence, chosen = _evidence(beliefs), _chosen(truth, classes)
    terms = np.eye(classes) if along is None else along

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:sources], parameters[sources:]
        logs = log_softmax(evidence @ weights + terms @ bias, axis=1)
        wrong = np.exp(logs) - chosen  # (n, classes)
        away = weights - start.weights
        value = -(logs * chosen).sum() + PULL * (away @ away + bias @ bias) / 2
        of_weights = np.einsum("nk,nks->s", wrong, evidence) + PULL * away
        return float(value), np.concatenate([of_weights, wrong.sum(axis=0) @ terms + PULL * bias])

    found = minimize(
        loss,
        np.concatenate([start.weights, np.zeros(terms.shape[1])]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, HEAVIEST)] * sources + [(None, None)] * terms.shape[1],
    )
    return Calibrator(found.x[:sources], terms @ found.x[sources:], answers=len(truth))


def _chosen(truth: Ints | Floats, classes: int) -> Floats:
    if truth.ndim == 2:
        return np.asarray(truth, np.float64)
    if len(truth) and not (truth.min() >= 0 and truth.max() < classes):
        raise ValueError(f"An answer lies outside of 0 to {classes - 1}.")
    return np.eye(classes)[truth.astype(np.int64)]


def _evidence(beliefs: Floats) -> Floats:
    """Logs (n, classes, sources) around their mean, so that an absent source, which is 0, says nothing."""
    logs = np.log(np.clip(beliefs, SUREST, 1.0))
    return np.asarray(np.nan_to_num(logs - logs.mean(axis=2, keepdims=True)).transpose(0, 2, 1), np.float64)


@dataclass(frozen=True, eq=False)
class Reliability:
    """The reliability diagram: what was believed and what was right, bin by bin."""

    confidence: Floats  # (bins,): the mean of each
    right: Floats  # (bins,): the share of each
    count: Ints  # (bins,)

    @property
    def error(self) -> float:
        """The expected calibration error (Naeini et al., 2015)."""
        return float((np.abs(self.confidence - self.right) * self.count).sum() / max(self.count.sum(), 1))


def reliability(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """In bins of as many answers each: equal steps of confidence would leave most bins nearly empty."""
    if len(confidence) != len(right):
        raise ValueError(f"{len(confidence)} confidences for {len(right)} answers.")
    pieces = [piece for piece in np.array_split(np.argsort(confidence, kind="stable"), bins) if len(piece)]
    return Reliability(
        confidence=np.array([confidence[piece].mean() for piece in pieces]),
        right=np.array([right[piece].mean() for piece in pieces]),
        count=np.array([len(piece) for piece in pieces], np.int64),
    )
