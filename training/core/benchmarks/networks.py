"""A network fine-tuned as a whole on a set's own part, by the same training loop as on releases."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from inference.core.attributes import ATTRIBUTES, Attribute
from inference.core.torch_models import places
from inference.core.types import Beliefs, Crops, CropSpec
from training.core import checkpoint
from training.core.benchmarks.protocol import Array, Floats, Predictor
from training.core.config import TrainConfig, preset
from training.core.data import Examples, Pictures
from training.core.learners import AttributeLearner
from training.core.metrics import AgeGroups
from training.core.train import learner_for, train

HELD_BACK = 0.15  # of the people: by them it is seen when to stop


class WholeNetwork:
    """A `FineTune`. Of every fold's people some are held back, and the best epoch by them is kept."""

    def __init__(self, config: TrainConfig, name: str) -> None:
        self._config = config
        self.name = f"{name}, the whole network"

    @property
    def crop(self) -> CropSpec:
        return self._config.crop

    def see(self, crops: Crops) -> Array:
        return crops

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
        """Raises Diverged, BadConfig."""
        config = self._for(attribute, ages, spread_known=deviation is not None)
        back = held_back(people)
        examples = _examples(faces, values, attribute, people, deviation, ages)
        training, validation = examples.part(~back), examples.part(back)
        with tempfile.TemporaryDirectory() as folder:
            for _ in train(config, training, validation, Path(folder)):
                pass
            learner = learner_for(config, training)
            checkpoint.load_best(Path(folder), learner.served())
        assert isinstance(learner, AttributeLearner)
        return _predictor(learner, attribute)

    def _for(self, attribute: Attribute, ages: AgeGroups | None, *, spread_known: bool) -> TrainConfig:
        if ages is not None:
            return replace(self._config, loss="squared EMD", groups=ages.spans, epsilon=0.0)
        epsilon = self._config.epsilon if spread_known else 0.0
        return replace(self._config, task=attribute.name, epsilon=epsilon)


def whole_network(chosen: str, attribute: Attribute) -> WholeNetwork:
    """By the training's own preset for this attribute: `quick` or `full`. Raises BadConfig."""
    return WholeNetwork(preset(chosen, attribute.name), f"{chosen} preset")


def held_back(people: Sequence[str]) -> np.ndarray:
    """Which faces are not learnt from (n,), by whole people."""
    names = sorted(set(people))
    if len(names) < 2:
        raise ValueError("All faces are of one person: there is nobody to hold back.")
    drawn = np.random.default_rng(0).permutation(names)[: max(1, round(HELD_BACK * len(names)))]
    return np.isin(np.asarray(people), drawn)


def _examples(
    faces: Array,
    values: Floats,
    attribute: Attribute,
    people: Sequence[str],
    deviation: Floats | None,
    ages: AgeGroups | None,
) -> Examples:
    classes = attribute.values if ages is None else ()
    return Examples(
        pictures=Pictures.of(faces),
        values=np.array(ages.middles)[values.astype(np.int64)] if ages else values,
        groups=np.unique(np.asarray(people), return_inverse=True)[1].astype(np.int64),
        distributions=np.eye(len(classes), dtype=np.float32)[values.astype(np.int64)] if classes else None,
        deviation=None if deviation is None else np.where(deviation > 0, deviation, np.nan).astype(np.float32),
    )


def _predictor(learner: AttributeLearner, attribute: Attribute) -> Predictor:
    """Groups of years are told as groups; classes and years go where the registry has them."""
    to = places(attribute, learner.config.values) if attribute.name in ATTRIBUTES else None

    def predict(faces: Array) -> Beliefs:
        nothing = np.zeros(len(faces))
        unseen = Examples(Pictures.of(faces), nothing, nothing.astype(np.int64))
        told = torch.softmax(learner.logits(unseen).double(), dim=1).numpy()
        return np.asarray(told if to is None else told @ to, np.float64)

    return predict
