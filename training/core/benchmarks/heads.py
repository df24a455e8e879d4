"""A linear head on a backbone's vectors: what a set's training part teaches in seconds, on any machine.

A softmax over the values, or over the years with the expectation as the age (Rothe et al., DEX, 2015), fitted to soft
labels: a year is told by a Gaussian of two years, or of the annotators' own spread (Gao et al., 2017). It is the floor
that a network fine-tuned as a whole has to beat.
"""

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from inference.core.attributes import OLDEST, Attribute
from inference.core.types import Beliefs, Crops, CropSpec, Embedder
from training.core.benchmarks.protocol import Array, Floats, Predictor
from training.core.metrics import AgeGroups

SPREAD = 2.0  # years, of the label of a known age
STRENGTHS = (1e-4, 1e-3, 1e-2)  # of the pull towards zero; chosen on a part held back
ROUNDS = 200  # of the optimiser; what is chosen between needs fewer
HELD_BACK = 0.25  # of the people


class LinearHead:
    """A `FineTune`."""

    def __init__(self, embedder: Embedder, backbone: str) -> None:
        self._embedder = embedder
        self.name = f"linear head on {backbone}"

    @property
    def crop(self) -> CropSpec:
        return self._embedder.crop

    def see(self, crops: Crops) -> Array:
        return self._embedder.embed(crops)

    def fit(
        self,
        faces: Array,
        values: Floats,
        attribute: Attribute,
        *,
        people: Sequence[str],
        deviation: Floats | None = None,
        ages: AgeGroups | None = None,
    ) -> Predictor:
        """Raises ValueError without any face."""
        if not len(faces):
            raise ValueError(f"No face to learn {attribute.name} from.")
        vectors = np.asarray(faces, np.float64)
        centre, scale = vectors.mean(axis=0), vectors.std() + 1e-12
        scaled, labels = (vectors - centre) / scale, _labels(values, attribute, deviation)
        strength = _strength(scaled, labels, people, in_years=attribute.in_years)
        weights = _fitted(scaled, labels, strength)

        def predict(faces: Array) -> Beliefs:
            return np.asarray(softmax(_with_one((faces - centre) / scale) @ weights, axis=1), np.float64)

        return predict


def _labels(values: Floats, attribute: Attribute, deviation: Floats | None) -> Floats:
    """(n, values | 117)"""
    if not attribute.in_years:
        return np.asarray(np.eye(len(attribute.values))[values.astype(np.int64)], np.float64)
    spread = np.full(len(values), SPREAD) if deviation is None else np.where(deviation > 0.5, deviation, SPREAD)
    near = np.exp(-(((np.arange(OLDEST + 1) - values[:, None]) / spread[:, None]) ** 2) / 2)
    return np.asarray(near / near.sum(axis=1, keepdims=True), np.float64)


def _strength(vectors: Floats, labels: Floats, people: Sequence[str], *, in_years: bool) -> float:
    """The pull under which people who are held back are told best: by the years an age is off, or by likelihood."""
    names = sorted(set(people))
    if len(names) < 4:
        return STRENGTHS[1]
    drawn = np.random.default_rng(0).permutation(names)[: max(1, round(HELD_BACK * len(names)))]
    back = np.isin(np.asarray(people), drawn)
    years = np.arange(labels.shape[1])

    def miss(strength: float) -> float:
        weights = _fitted(vectors[~back], labels[~back], strength, rounds=ROUNDS // 3)
        logs = log_softmax(_with_one(vectors[back]) @ weights, axis=1)
        if in_years:
            return float(np.abs((np.exp(logs) - labels[back]) @ years).mean())
        return float(-(labels[back] * logs).sum())

    return min(STRENGTHS, key=miss)


def _fitted(vectors: Floats, labels: Floats, strength: float, rounds: int = ROUNDS) -> Floats:
    """The weights (features + 1, values) of the least mean cross-entropy; the last row is the bias, and not held."""
    inputs = _with_one(vectors)
    shape = inputs.shape[1], labels.shape[1]
    held = np.ones(shape)
    held[-1] = 0

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(shape)
        logs = log_softmax(inputs @ weights, axis=1)
        slope = inputs.T @ (np.exp(logs) - labels) / len(inputs) + strength * held * weights
        value = -(labels * logs).sum() / len(inputs) + strength / 2 * (held * weights**2).sum()
        return float(value), slope.ravel()

    found = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": rounds})
    return np.asarray(found.x.reshape(shape), np.float64)


def _with_one(vectors: Floats) -> Floats:
    return np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)
