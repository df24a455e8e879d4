"""Beliefs and the truth in; figures with intervals, by slice, out. Training, promotion and protocols all judge here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.core.attributes import OLDEST, Attribute
from inference.core.calibrate import Reliability, reliability
from inference.core.cold_attributes import expected_years
from inference.core.types import Beliefs
from inference.core.years import coverage
from training.core import bootstrap
from training.core.bootstrap import ROUNDS, Measured, Statistic
from training.core.metrics import (
    AGE_BANDS,
    Floats,
    Ints,
    age_bands,
    confusion,
    cumulative_score,
    epsilon,
    macro_f1,
    mcnemar,
    one_off,
)

AGE_STEP = 5  # years of a bar of the error by age
LOWER_IS_BETTER = frozenset({"mae", "epsilon"})
FEWEST = 10  # faces; of a smaller slice nothing is stated


class Mismatch(ValueError):
    """Beliefs and truth that cannot belong together; the message says in what they differ."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is known of the test faces: one row each, in the order of the beliefs."""

    attribute: Attribute
    values: npt.NDArray[np.floating] | Ints  # (n,): the index of the class, or years
    deviation: Floats | None = None  # (n,) years, of the guesses of an apparent age; NaN where not known
    groups: Ints | None = None  # (n,): person or duplicate group; what intervals are drawn over
    slices: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)  # by what: the slice of each; "" unknown

    def __post_init__(self) -> None:
        for name, column in {"deviation": self.deviation, "groups": self.groups, **self.slices}.items():
            if column is not None and len(column) != len(self.values):
                raise Mismatch(f"{len(column)} of {name!r} for {len(self.values)} faces.")

    def __len__(self) -> int:
        return len(self.values)

    def part(self, chosen: npt.NDArray[np.bool_]) -> "Truth":
        return Truth(
            attribute=self.attribute,
            values=self.values[chosen],
            deviation=None if self.deviation is None else self.deviation[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )


@dataclass(frozen=True)
class Slice:
    n: int
    metrics: Mapping[str, Measured]


@dataclass(frozen=True)
class Bins:
    """The reliability diagram: what was believed, what was right, of how many."""

    believed: tuple[float, ...]
    right: tuple[float, ...]
    count: tuple[int, ...]


@dataclass(frozen=True)
class AgeError:
    """Of the true ages from `low` to below `high`."""

    low: int
    high: int
    n: int
    mae: float
    bias: float  # told less true, on average


@dataclass(frozen=True)
class Evaluation:
    """All that is stated of one model on one test set."""

    attribute: str
    n: int
    groups: int  # that the intervals are drawn over
    main: str  # the metric that decides
    metrics: Mapping[str, Measured]
    slices: Mapping[str, Mapping[str, Slice]]  # by what, and then by name
    calibration_error: float  # of class confidences (Naeini et al., 2015), or of the coverage of age intervals
    reliability: Bins
    values: tuple[str, ...] = ()  # of the confusion table
    confusion: tuple[tuple[int, ...], ...] = ()  # rows: the truth
    by_age: tuple[AgeError, ...] = ()
    cumulative: tuple[float, ...] = ()  # share within 0, 1, … years

    @property
    def figure(self) -> Measured:
        return self.metrics[self.main]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Evaluation":
        """What `as_json` gave, perhaps by way of a file or a row."""
        return cls(
            attribute=told["attribute"],
            n=told["n"],
            groups=told["groups"],
            main=told["main"],
            metrics=_metrics(told["metrics"]),
            slices={
                by: {name: Slice(one["n"], _metrics(one["metrics"])) for name, one in parts.items()}
                for by, parts in told["slices"].items()
            },
            calibration_error=told["calibration_error"],
            reliability=Bins(**{name: tuple(column) for name, column in told["reliability"].items()}),
            values=tuple(told["values"]),
            confusion=tuple(tuple(row) for row in told["confusion"]),
            by_age=tuple(AgeError(**each) for each in told["by_age"]),
            cumulative=tuple(told["cumulative"]),
        )


@dataclass(frozen=True)
class Compared:
    """One metric of two models on the same faces. `gain` is above zero where the candidate is the better one."""

    n: int
    candidate: float
    live: float
    gain: Measured
    p: float  # of no difference, two-sided


@dataclass(frozen=True)
class Comparison:
    attribute: str
    main: str
    metrics: Mapping[str, Compared]
    slices: Mapping[str, Mapping[str, Compared]]  # of the main metric
    mcnemar: float | None  # p by right and wrong answers, of a class

    @property
    def better(self) -> bool:
        """Beyond chance, on the metric that decides."""
        low = self.metrics[self.main].gain.low
        return low is not None and low > 0

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def evaluate(
    beliefs: Beliefs, truth: Truth, *, years: Floats | None = None, rounds: int = ROUNDS, seed: int = 0
) -> Evaluation:
    """What a model's beliefs (n, values | 117 years) about the test faces are worth.

    `years` (n,) is the model's own word on the age where that is not the mean of its belief. Slices of fewer than ten
    faces are left out. Raises Mismatch.
    """
    told = _told(beliefs, truth, years)
    statistics = _statistics(told, truth)
    found = {
        name: bootstrap.measured(each, truth.groups, rounds=rounds, seed=seed) for name, each in statistics.items()
    }
    in_years = truth.attribute.in_years
    judged = _judged(beliefs, truth)
    bins = Bins(*(tuple(each.tolist()) for each in (judged.confidence, judged.right, judged.count)))
    table = () if in_years else _table(confusion(told.astype(np.int64), _classes(truth), len(truth.attribute.values)))
    return Evaluation(
        attribute=truth.attribute.name,
        n=len(truth),
        groups=len(truth) if truth.groups is None else len(np.unique(truth.groups)),
        main=main_metric(truth),
        metrics=found,
        slices={
            by: {name: _slice(told[chosen], truth.part(chosen), rounds, seed) for name, chosen in _slices(column)}
            for by, column in _all_slices(truth).items()
        },
        calibration_error=judged.error,
        reliability=bins,
        values=truth.attribute.values,
        confusion=table,
        by_age=_by_age(told - truth.values, np.asarray(truth.values, np.float64)) if in_years else (),
        cumulative=tuple(cumulative_score(np.abs(told - truth.values)).tolist()) if in_years else (),
    )


def compare(
    candidate: Beliefs,
    live: Beliefs,
    truth: Truth,
    *,
    candidate_years: Floats | None = None,
    live_years: Floats | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Comparison:
    """Two models on the same faces: what counts is the difference on each, which varies less than either model does.

    Raises Mismatch.
    """
    new, old = _told(candidate, truth, candidate_years), _told(live, truth, live_years)
    main = main_metric(truth)
    right = None if truth.attribute.in_years else (new == truth.values, old == truth.values)
    return Comparison(
        attribute=truth.attribute.name,
        main=main,
        metrics={name: _compared(new, old, truth, name, rounds, seed) for name in _statistics(new, truth)},
        slices={by: _told_apart(new, old, truth, column, rounds, seed) for by, column in _all_slices(truth).items()},
        mcnemar=None if right is None else mcnemar(*right),
    )


def _told_apart(
    new: Floats, old: Floats, truth: Truth, column: npt.NDArray[np.str_], rounds: int, seed: int
) -> dict[str, Compared]:
    """By slice, the main metric; where no face of a slice has it, as ε without a known spread, nothing is stated."""
    main = main_metric(truth)
    found = {
        name: _compared(new[chosen], old[chosen], truth.part(chosen), main, rounds, seed)
        for name, chosen in _slices(column)
    }
    return {name: each for name, each in found.items() if each.n}


def main_metric(truth: Truth) -> str:
    """What decides between two models: ε where people's spread is known, else the mean error or the accuracy."""
    if not truth.attribute.in_years:
        return "accuracy"
    return "epsilon" if _spread_known(truth) else "mae"


def _told(beliefs: Beliefs, truth: Truth, years: Floats | None) -> Floats:
    """The class (n,), or the years (n,). Raises Mismatch."""
    width = OLDEST + 1 if truth.attribute.in_years else len(truth.attribute.values)
    if beliefs.shape != (len(truth), width):
        raise Mismatch(
            f"Beliefs of shape {beliefs.shape} about {truth.attribute.name} of {len(truth)} faces; "
            f"({len(truth)}, {width}) are needed."
        )
    if not len(truth):
        raise Mismatch(f"There is no face with a known {truth.attribute.name} to judge by.")
    if not truth.attribute.in_years:
        return np.asarray(beliefs.argmax(axis=1), np.float64)
    if years is not None and years.shape != (len(truth),):
        raise Mismatch(f"{years.shape} years for {len(truth)} faces.")
    return expected_years(beliefs) if years is None else np.asarray(years, np.float64)


def _statistics(told: Floats, truth: Truth) -> dict[str, Statistic]:
    if not truth.attribute.in_years:
        classes = len(truth.attribute.values)
        cells = np.eye(classes * classes)[_classes(truth) * classes + told.astype(np.int64)]
        return {
            "accuracy": bootstrap.mean(told == truth.values),
            "macro_f1": Statistic(cells, lambda sums: macro_f1(sums.reshape(-1, classes, classes))),
        }
    errors = np.abs(told - truth.values)
    groups, true_groups = AGE_BANDS.of(told), AGE_BANDS.of(truth.values)
    found = {
        "mae": bootstrap.mean(errors),
        "within_5": bootstrap.mean(errors <= 5),
        "exact_group": bootstrap.mean(groups == true_groups),
        "one_off_group": bootstrap.mean(one_off(groups, true_groups)),
    }
    if truth.deviation is not None and _spread_known(truth):
        known = np.nan_to_num(truth.deviation) > 0
        each = np.zeros(len(truth))
        each[known] = epsilon(told[known], np.asarray(truth.values, np.float64)[known], truth.deviation[known])
        # A face without a known spread adds nothing to the sum and is not counted.
        parts = np.stack([each, known.astype(np.float64)], axis=1)
        found["epsilon"] = Statistic(parts, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1))
    return found


def _spread_known(truth: Truth) -> bool:
    return truth.deviation is not None and bool((np.nan_to_num(truth.deviation) > 0).any())


def _classes(truth: Truth) -> Ints:
    return np.asarray(truth.values, np.int64)


def _table(counts: Ints) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(int(count) for count in row) for row in counts)


def _all_slices(truth: Truth) -> dict[str, npt.NDArray[np.str_]]:
    """What is asked for, and the age bands where the age is what is told."""
    bands = {"age": age_bands(truth.values)} if truth.attribute.in_years else {}
    return {**bands, **truth.slices}


def _slices(column: npt.NDArray[np.str_]) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    names = sorted({str(name) for name in column} - {""}, key=_age_first)
    return [(name, column == name) for name in names if (column == name).sum() >= FEWEST]


def _age_first(name: str) -> tuple[int, str]:
    """Age bands by age, all else by name."""
    bands = AGE_BANDS.names
    return (bands.index(name), "") if name in bands else (len(bands), name)


def _slice(told: Floats, truth: Truth, rounds: int, seed: int) -> Slice:
    found = _statistics(told, truth)
    measured = {name: bootstrap.measured(each, truth.groups, rounds=rounds, seed=seed) for name, each in found.items()}
    return Slice(len(truth), measured)


def _compared(new: Floats, old: Floats, truth: Truth, metric: str, rounds: int, seed: int) -> Compared:
    ours, theirs = _statistics(new, truth).get(metric), _statistics(old, truth).get(metric)
    if ours is None or theirs is None:  # a slice in which nobody's spread is known has no ε
        return Compared(0, float("nan"), float("nan"), Measured(float("nan")), 1.0)
    gain = bootstrap.less(theirs, ours) if metric in LOWER_IS_BETTER else bootstrap.less(ours, theirs)
    found = bootstrap.measured(gain, truth.groups, rounds=rounds, seed=seed)
    p = 1.0 if found.low is None else bootstrap.chance(bootstrap.drawn(gain, truth.groups, rounds=rounds, seed=seed))
    return Compared(len(truth), ours.value, theirs.value, found, p)


def _judged(beliefs: Beliefs, truth: Truth) -> Reliability:
    if truth.attribute.in_years:
        return coverage(beliefs, np.asarray(truth.values, np.float64))
    return reliability(beliefs.max(axis=1), beliefs.argmax(axis=1) == truth.values)


def _by_age(error: Floats, years: Floats) -> tuple[AgeError, ...]:
    found = []
    for low in range(0, OLDEST + 1, AGE_STEP):
        these = error[(years >= low) & (years < low + AGE_STEP)]
        if len(these):
            mae, bias = float(np.abs(these).mean()), float(these.mean())
            found.append(AgeError(low, low + AGE_STEP, len(these), mae, bias))
    return tuple(found)


def _metrics(told: Mapping[str, Any]) -> dict[str, Measured]:
    return {name: Measured(**each) for name, each in told.items()}
