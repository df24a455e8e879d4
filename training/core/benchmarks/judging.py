"""Samples that were looked at become rows of a table: as the network is, fine-tuned fold by fold, pair by pair."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST, Attribute
from inference.core.types import AttributeModel, Beliefs
from training.core import bootstrap
from training.core.benchmarks.faces import View
from training.core.benchmarks.protocol import Array, Contestant, Figure, FineTune, Ours, Predictor, Sample
from training.core.bootstrap import Measured
from training.core.evaluate import Truth, evaluate
from training.core.metrics import AgeGroups, one_off

AGES = {"MAE": "mae", "ε": "epsilon", "within 5 years": "within_5"}
SD, STANDARD_ERROR = "sd over folds", "standard error over folds"


def truth_of(samples: Sequence[Sample], attribute: Attribute) -> Truth:
    """What the set says, with intervals over its people where it names them, else over pictures."""
    values = np.array([sample.value for sample in samples])
    deviation = np.array([sample.deviation for sample in samples])
    named = [sample.person or f"#{number}" for number, sample in enumerate(samples)]
    slices = sorted({name for sample in samples for name in sample.slices})
    return Truth(
        attribute=attribute,
        values=values if attribute.in_years else values.astype(np.int64),
        deviation=deviation if np.isfinite(deviation).any() else None,
        groups=np.unique(named, return_inverse=True)[1].astype(np.int64),
        slices={name: np.array([sample.slices.get(name, "") for sample in samples]) for name in slices},
    )


def as_it_is(model: AttributeModel) -> View:
    """A network that was trained elsewhere, on something else."""
    return View(model.crop, lambda crops: model.look(crops)[0])


def learning(fine_tune: FineTune) -> View:
    return View(fine_tune.crop, fine_tune.see)


def out_of_fold(
    contestant: Contestant,
    samples: Sequence[Sample],
    kept: Array,
    attribute: Attribute,
    ages: AgeGroups | None = None,
) -> Beliefs:
    """The belief about each sample by a network that learnt from all other folds."""
    fold = np.array([sample.fold for sample in samples])
    beliefs = np.zeros((len(samples), OLDEST + 1 if attribute.in_years else len(attribute.values)))
    folds = np.unique(fold)
    for number, held_out in enumerate(folds):
        learnt = taught(contestant.fine_tune, samples, kept, attribute, fold != held_out, ages)
        beliefs[fold == held_out] = learnt(kept[fold == held_out])
        contestant.tick(number + 1, len(folds))
    return beliefs


def taught(
    fine_tune: FineTune,
    samples: Sequence[Sample],
    kept: Array,
    attribute: Attribute,
    part: npt.NDArray[np.bool_],
    ages: AgeGroups | None = None,
) -> Predictor:
    """The network after it learnt from one part of the samples."""
    chosen = [sample for sample, taken in zip(samples, part, strict=True) if taken]
    deviation = np.array([sample.deviation for sample in chosen])
    return fine_tune.fit(
        kept[part],
        np.array([sample.value for sample in chosen]),
        attribute,
        people=[sample.person or sample.name for sample in chosen],
        deviation=np.nan_to_num(deviation) if np.isfinite(deviation).any() else None,
        ages=ages,
    )


def class_row(
    method: str, beliefs: Beliefs, samples: Sequence[Sample], attribute: Attribute, spread_is: str = ""
) -> Ours:
    """Accuracy, with what it varies by over the folds where the protocol asks for that."""
    right = beliefs.argmax(axis=1) == np.array([sample.value for sample in samples])
    return _row(method, beliefs, samples, attribute, {"accuracy": right}, spread_is)


def group_row(
    method: str, beliefs: Beliefs, samples: Sequence[Sample], attribute: Attribute, spread_is: str = ""
) -> Ours:
    """Exact and 1-off accuracy of groups that stand in order."""
    told, true = beliefs.argmax(axis=1), np.array([int(sample.value) for sample in samples])
    return _row(method, beliefs, samples, attribute, {"exact": told == true, "1-off": one_off(told, true)}, spread_is)


def age_row(method: str, beliefs: Beliefs, samples: Sequence[Sample], attribute: Attribute) -> Ours:
    """The mean error in years, ε where the guesses' spread is known, and the share within five years."""
    evaluation = evaluate(beliefs, truth_of(samples, attribute))
    figures = {
        name: stated(evaluation.metrics[metric]) for name, metric in AGES.items() if metric in evaluation.metrics
    }
    return Ours(method, len(samples), figures, (), evaluation)


def _row(
    method: str,
    beliefs: Beliefs,
    samples: Sequence[Sample],
    attribute: Attribute,
    each: Mapping[str, npt.NDArray[np.bool_]],
    spread_is: str,
) -> Ours:
    truth = truth_of(samples, attribute)
    figures = {name: stated(bootstrap.measured(bootstrap.mean(right), truth.groups)) for name, right in each.items()}
    folds = by_fold(samples, each) if spread_is else ()
    for name, figure in figures.items():
        if folds:
            figures[name] = over_folds([fold[name] for fold in folds], spread_is, figure)
    return Ours(method, len(samples), figures, folds, evaluate(beliefs, truth))


def stated(measured: Measured) -> Figure:
    return Figure(measured.value, low=measured.low, high=measured.high)


def over_folds(values: Sequence[float], spread_is: str, interval: Figure | None = None) -> Figure:
    """The mean over the folds; a standard error is their deviation over the root of their number."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    if spread is not None and spread_is == STANDARD_ERROR:
        spread /= len(values) ** 0.5
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Figure(float(np.mean(values)), spread, spread_is if spread is not None else "", low, high)


def by_fold(samples: Sequence[Sample], each: Mapping[str, npt.NDArray[np.bool_]]) -> tuple[Mapping[str, float], ...]:
    """The mean of every figure in every fold."""
    fold = np.array([sample.fold for sample in samples])
    return tuple(
        {"fold": float(number), **{name: float(values[fold == number].mean()) for name, values in each.items()}}
        for number in np.unique(fold)
    )
