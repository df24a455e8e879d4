"""The promise holds however often one looks, and a promise that cannot be kept is not made."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from annotation.core.certificate import broken, certify, evidence, needed, thresholds, upper_bound
from tests.benchmarks.certificates import MACHINES, RANK, audit, naive, ours

THRESHOLDS = thresholds(np.linspace(0.5, 1, 1_001))


def an_audit(rng: np.random.Generator, size: int, error_at: float, slope: float):
    """Proposals of which the less confident are the more often wrong."""
    confidence = rng.uniform(0.5, 1.0, size)
    wrong = rng.random(size) < np.clip(error_at + slope * (1 - confidence), 0, 1)
    return confidence, wrong


def true_error(threshold: float, error_at: float, slope: float) -> float:
    return error_at + slope * (1 - threshold) / 2


@pytest.mark.parametrize(("error_at", "slope"), [(0.001, 0.05), (0.0, 0.1), (0.011, 0.0), (0.02, 0.2)])
def test_the_promise_is_kept_though_one_looks_after_every_batch(error_at: float, slope: float):
    rng = np.random.default_rng(0)
    broke = 0
    for _ in range(150):
        confidence, wrong = an_audit(rng, 2_000, error_at, slope)
        for size in range(100, 2_001, 100):
            found = certify(confidence[:size], wrong[:size], np.zeros(size), THRESHOLDS)
            if found is not None and true_error(found.threshold, error_at, slope) > 0.01:
                broke += 1
                break
    assert broke <= 0.05 * 150


def test_a_machine_that_hardly_errs_is_certified_widely():
    confidence, wrong = an_audit(np.random.default_rng(1), 6_000, 0.0, 0.02)

    found = certify(confidence, wrong, np.zeros(6_000), THRESHOLDS)

    assert found is not None
    assert found.threshold < 0.6
    assert found.bound <= 0.01


def test_the_strictest_threshold_accepts_half_and_the_loosest_all():
    confidence = np.random.default_rng(3).beta(5, 1, 4_000)

    found = thresholds(confidence)

    assert [round(float((confidence >= threshold).mean()), 2) for threshold in (found[0], found[-1])] == [0.5, 1.0]
    assert found == sorted(found, reverse=True)
    assert thresholds(np.array([])) == []
    assert thresholds(np.full(9, 0.7)) == [0.7]


def test_the_sequence_stops_at_the_first_region_that_fails():
    confidence = np.repeat([0.9, 0.7, 0.5], 1_000)
    wrong = np.zeros(3_000, bool)
    wrong[1_000:1_100] = True  # the middle one is bad; the last makes up for it on average

    found = certify(confidence, wrong, np.zeros(3_000), [0.9, 0.7, 0.5], target=0.06)

    assert found is not None
    assert found.threshold == 0.9


def test_a_sample_speaks_only_for_what_it_was_drawn_from():
    confidence, wrong = np.full(1_000, 0.95), np.zeros(1_000, bool)

    assert certify(confidence, wrong, np.full(1_000, 0.9), [0.8]) is None
    assert certify(confidence, wrong, np.full(1_000, 0.9), [0.9]) is not None


@given(st.integers(0, 2_000), st.integers(0, 30))
def test_the_bound_is_above_that_of_a_single_look(audited: int, wrong: int):
    wrong = min(wrong, audited)
    single = beta.ppf(0.95, wrong + 1, audited - wrong) if audited > wrong else 1.0

    assert upper_bound(audited, wrong) >= single - 1e-9


@given(st.integers(1, 3_000), st.integers(0, 20))
def test_the_bound_is_where_the_evidence_suffices(audited: int, wrong: int):
    bound = upper_bound(audited, min(wrong, audited))

    if bound < 1:
        assert evidence(audited, min(wrong, audited), bound) == pytest.approx(np.log(20), abs=1e-3)


def test_looking_at_any_time_costs_a_fifth_more_answers_than_looking_once():
    assert needed() < 1.2 * 299
    assert evidence(needed(), 0, 0.01) >= np.log(20) > evidence(needed() - 1, 0, 0.01)


def test_a_good_region_is_seldom_revoked_and_a_bad_one_soon():
    rng = np.random.default_rng(2)

    def revoked(error: float) -> float:
        wrong = np.cumsum(rng.random((200, 2_000)) < error, axis=1)
        at = range(50, 2_001, 50)
        return float(np.mean([any(broken(size, int(row[size - 1])) for size in at) for row in wrong]))

    assert revoked(0.009) <= 0.05
    assert revoked(0.03) >= 0.95


@pytest.mark.parametrize(("audited", "wrong"), [(3, 4), (-1, 0), (5, -1)])
def test_counts_that_cannot_be_are_refused(audited: int, wrong: int):
    with pytest.raises(ValueError, match="cannot be wrong"):
        evidence(audited, wrong, 0.01)


def test_a_target_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="target"):
        certify(np.ones(1), np.zeros(1, bool), np.zeros(1), [0.5], target=0.0)


@pytest.mark.parametrize("machine", ["errs where it is unsure", "just too often everywhere"])
def test_the_naive_rule_breaks_the_promise_that_ours_keeps(machine: str):
    error = MACHINES[machine](RANK)

    broken_by = {rule.__name__: np.mean([audit(rule, error, seed)[0] for seed in range(30)]) for rule in (ours, naive)}

    assert broken_by["ours"] <= 0.05
    assert broken_by["naive"] > 0.4
