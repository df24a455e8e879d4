"""What passes the gate, what does not, and what it says."""

import re
from dataclasses import replace

import numpy as np
import pytest

from inference.core.attributes import GENDER, REAL_AGE
from training.core.evaluate import Truth, compare, evaluate
from training.core.gate import MEGABYTES, MILLISECONDS, Shown, gate
from training.core.verification import compare_accepts


def shown(right: float, live_right: float, *, count: int = 400, worse_in: str = "", **changes: object) -> Shown:
    """Two networks on the same faces, of the share of which each is right; in one slice the candidate never is."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, count)
    source = np.where(np.arange(count) % 10 == 0, "few", "many")
    ours, theirs = rng.random(count) < right, rng.random(count) < live_right
    ours &= source != worse_in
    truth = Truth(GENDER, values, slices={"source": source})
    new, old = (np.eye(2)[np.where(hit, values, 1 - values)] * 0.8 + 0.1 for hit in (ours, theirs))
    compared = compare(new, old, truth, rounds=200).as_json() | {"milliseconds": 5.0}
    measured = evaluate(new, truth, rounds=50).as_json()
    return replace(Shown(measured, compared, milliseconds=8.0, megabytes=20.0, beside="old net"), **changes)


def failed(what: Shown) -> dict[str, str]:
    return {check.name: check.told for check in gate(what) if not check.passed}


def test_a_model_that_is_better_beyond_chance_passes_and_says_by_how_much():
    checks = gate(shown(0.97, 0.85))
    assert all(check.passed for check in checks)
    assert [check.name for check in checks] == [
        "better than the live model", "no slice worse", "fast enough", "small enough"
    ]  # fmt: skip
    assert "old net 0.8" in checks[0].told
    assert "on the same 400 faces: better by 0.0950" in checks[0].told
    worse = gate(shown(0.85, 0.97))[0].told
    assert "faces: worse by 0.1" in worse
    assert worse.endswith("That is no chance.")


@pytest.mark.parametrize(("right", "live"), [(0.9, 0.9), (0.85, 0.97)])
def test_one_that_is_not_better_or_only_by_chance_does_not(right, live):
    assert re.search("That (may be|is no) chance", failed(shown(right, live))["better than the live model"])


def test_a_slice_that_is_worse_by_more_than_the_margin_stops_it_and_is_named():
    told = failed(shown(0.99, 0.8, worse_in="few"))
    assert set(told) == {"no slice worse"}
    assert "source few by 0." in told["no slice worse"]
    assert "of 40" in told["no slice worse"]


def test_a_slice_that_is_worse_by_chance_does_not():
    what = shown(0.97, 0.85)
    gain = {"value": -0.1, "low": -0.3, "high": 0.1}
    what.compared["slices"]["source"]["few"]["gain"] = gain
    assert failed(what) == {}
    gain["high"] = -0.01
    assert set(failed(what)) == {"no slice worse"}
    gain["value"] = -0.015  # sure, but less than the margin
    assert failed(what) == {}


def test_the_first_of_its_task_needs_to_be_judged_only():
    first = replace(shown(0.6, 0.9), compared=None, beside="")
    assert failed(first) == {}
    assert set(failed(replace(first, measured=None, milliseconds=None))) == {"judged", "fast enough"}


def test_a_model_that_nobody_judged_beside_the_live_one_is_told_how_to():
    told = failed(replace(shown(0.97, 0.85), measured=None, compared=None))
    assert "beside old net, which is live" in told["judged"]
    assert "manage.py evaluate" in told["judged"]


@pytest.mark.parametrize(
    ("changes", "stops"),
    [
        ({"milliseconds": MILLISECONDS + 1}, {"fast enough"}),
        ({"megabytes": MEGABYTES + 1}, {"small enough"}),
        ({"calibrated": False}, {"calibrated"}),
    ],
)
def test_what_is_too_slow_too_large_or_cannot_say_how_sure_it_is_does_not_pass(changes, stops):
    assert set(failed(shown(0.97, 0.85, **changes))) == stops


def test_a_live_model_that_is_slow_itself_may_be_replaced_by_one_twice_as_slow():
    what = shown(0.97, 0.85, milliseconds=2 * MILLISECONDS)
    what.compared["milliseconds"] = MILLISECONDS
    assert failed(what) == {}


def test_of_ages_a_lower_error_is_better_and_the_margin_is_in_years():
    years = np.linspace(1, 80, 300)
    truth = Truth(REAL_AGE, years)
    exact = np.eye(117)[years.astype(int)]
    off = np.eye(117)[years.astype(int) + 6]
    compared = compare(exact, off, truth, rounds=200).as_json()
    passed = Shown(evaluate(exact, truth, rounds=50).as_json(), compared, 5.0, 5.0, "old net")
    assert failed(passed) == {}
    assert "0.5 of mean error in years" in gate(passed)[1].told
    worse = compare(off, exact, truth, rounds=200).as_json()
    assert set(failed(replace(passed, compared=worse))) == {"better than the live model", "no slice worse"}


def test_two_backbones_are_told_apart_on_the_same_pairs_of_faces():
    rng = np.random.default_rng(0)
    identity = np.arange(120) // 4
    middle = rng.normal(0, 1, (30, 16))[identity]

    def vectors(noise: float) -> np.ndarray:
        told = middle + rng.normal(0, noise, middle.shape)
        return (told / np.linalg.norm(told, axis=1, keepdims=True)).astype(np.float32)

    good, bad = vectors(0.3), vectors(1.2)
    halves = {"gender": np.where(identity < 15, "female", "male"), "age": np.full(120, "")}
    found = compare_accepts(good, bad, identity, 0.01, slices=halves, rounds=200)
    assert found.better
    told = found.metrics["true_accepts"]
    assert told.n == 30 * 6
    assert told.gain.value == pytest.approx(told.candidate - told.live)
    assert {name: part.n for name, part in found.slices["gender"].items()} == {"female": 90, "male": 90}
    assert found.slices["age"] == {}
    assert not compare_accepts(good, good, identity, 0.01, rounds=200).better
    assert compare_accepts(good[:6], bad[:6], identity[:6], 0.01) is None
    passed = Shown({"true_accepts": 0.9}, found.as_json() | {"milliseconds": 20.0}, 20.0, 20.0, "old net")
    assert failed(passed) == {}
    assert "on the same 180 pairs" in gate(passed)[0].told


def test_too_few_pairs_tell_nothing():
    passed = Shown({"true_accepts": None}, {"true_accepts": None, "milliseconds": 20.0}, 20.0, 20.0, "old net")
    assert "Too few test faces" in failed(passed)["better than the live model"]
