"""What a model must show before it may take the live one's place. Each check says what it saw, passed or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# How much worse a slice may be: of some hundred faces a share is not known more exactly than to two in a hundred.
MARGINS = {"accuracy": 0.02, "true_accepts": 0.02, "epsilon": 0.02, "mae": 0.5}  # shares; of ε itself; years
MILLISECONDS = 250.0  # a face, on one core: a million faces then take three days of one core, or a night of eight
SLOWER = 2.0  # times the live model, where that alone is slower than the bound
MEGABYTES = 400.0  # of weights: every worker process and every web server holds all live networks in memory
LOWER_IS_BETTER = ("mae", "epsilon")


@dataclass(frozen=True)
class Check:
    name: str
    passed: bool
    told: str  # what was seen, and where it did not pass what to do


@dataclass(frozen=True)
class Shown:
    """What is known of a candidate."""

    measured: Mapping[str, Any] | None  # on a release's test part; None if it was never judged
    compared: Mapping[str, Any] | None  # beside the live model on the same faces, as Comparison has it
    milliseconds: float | None
    megabytes: float
    beside: str = ""  # the live model's name; "" if it is the first of its task
    calibrated: bool = True  # a backbone's cosines are probabilities


def gate(shown: Shown) -> list[Check]:
    return [*_better(shown), *_slices(shown), *_bounds(shown), *_calibrated(shown)]


def _better(shown: Shown) -> Iterator[Check]:
    if shown.measured is None:
        where = f" beside {shown.beside}, which is live," if shown.beside else ""
        yield Check("judged", False, f"It was not judged{where} on any release. Run `manage.py evaluate` first.")
    elif not shown.beside:
        yield Check("judged", True, "It is the first of its task, and was judged on a release's test part.")
    elif not shown.compared or "main" not in shown.compared:
        told = f"Too few test faces to tell it from {shown.beside}. Judge it on a release with more people."
        yield Check("better than the live model", False, told)
    else:
        main = shown.compared["main"]
        found = shown.compared["metrics"][main]
        low = found["gain"]["low"]
        told = (
            f"{_named(main)} {found['candidate']:.4f}, {shown.beside} {found['live']:.4f} on the same {found['n']} "
            f"{'pairs' if main == 'true_accepts' else 'faces'}: {_by(found['gain'])}."
        )
        passed = low is not None and low > 0
        yield Check("better than the live model", passed, told if passed else f"{told} {_why_not(found['gain'])}")


def _slices(shown: Shown) -> Iterator[Check]:
    """A slice stops it that is worse by more than the margin, and beyond chance."""
    if not shown.compared or "main" not in shown.compared:
        return
    main, worse, seen = shown.compared["main"], list[str](), 0
    margin = MARGINS[main]
    for by, parts in shown.compared["slices"].items():
        for name, found in parts.items():
            gain, seen = found["gain"], seen + 1
            if gain["high"] is not None and gain["high"] < 0 and gain["value"] < -margin:
                worse.append(f"{by} {name} by {_interval(gain, -1)} of {found['n']}")
    bound = f"{margin:g} of {_named(main)}"
    if worse:
        yield Check("no slice worse", False, f"Worse by more than {bound}: {'; '.join(worse)}.")
    else:
        yield Check("no slice worse", True, f"None of {seen} slices is worse by more than {bound}, beyond chance.")


def _bounds(shown: Shown) -> Iterator[Check]:
    live = float((shown.compared or {}).get("milliseconds") or 0)
    bound = max(MILLISECONDS, SLOWER * live)
    if shown.milliseconds is None:
        yield Check("fast enough", False, "Nobody measured how long a face takes. Run `manage.py evaluate` first.")
    else:
        beside = f", {shown.beside} {live:.1f}" if live else ""
        told = f"A face takes {shown.milliseconds:.1f} ms{beside}; at most {bound:.0f} are allowed."
        yield Check("fast enough", shown.milliseconds <= bound, told)
    told = f"{shown.megabytes:.1f} MB of weights; at most {MEGABYTES:.0f} are allowed."
    yield Check("small enough", shown.megabytes <= MEGABYTES, told)


def _calibrated(shown: Shown) -> Iterator[Check]:
    if not shown.calibrated:
        told = (
            "Its bundle has no calibration: how sure a cosine is that two faces show one person is not known, and "
            "clustering goes by that. Train or distil it here, or write a bundle that states one."
        )
        yield Check("calibrated", False, told)


def _named(metric: str) -> str:
    return {"mae": "mean error in years", "true_accepts": "true accepts"}.get(metric, metric)


def _why_not(gain: Mapping[str, Any]) -> str:
    return "That is no chance." if gain["high"] is not None and gain["high"] < 0 else "That may be chance."


def _by(gain: Mapping[str, Any]) -> str:
    return f"worse by {_interval(gain, -1)}" if gain["value"] < 0 else f"better by {_interval(gain)}"


def _interval(gain: Mapping[str, Any], sign: int = 1) -> str:
    if gain["low"] is None:
        return f"{sign * gain['value']:.4f}"
    low, high = sorted((sign * gain["low"], sign * gain["high"]))
    return f"{sign * gain['value']:.4f} ({low:.4f} to {high:.4f})"
