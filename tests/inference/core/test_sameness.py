"""Probabilities of being one person, and of being one among many or nobody."""

import numpy as np
import pytest

from inference.core.bundle import Calibration
from inference.core.sameness import FEWEST, Recognition, fit, judge, unfitted

KNOWN = Calibration(slope=40.0, intercept=-20.0)


def test_at_the_threshold_the_verdict_turns_and_errs_half_of_the_time():
    at = judge(0.5, KNOWN)
    assert (at.threshold, at.same, at.chance_of_error) == (0.5, True, 0.5)
    surer = [judge(cosine, KNOWN).chance_of_error for cosine in (0.5, 0.55, 0.7, 0.95)]
    assert surer == sorted(surer, reverse=True)
    assert judge(0.3, KNOWN).chance_of_error == pytest.approx(judge(0.7, KNOWN).chance_of_error)
    assert not judge(0.3, None).calibrated


def test_probabilities_of_all_people_and_of_nobody_are_one():
    known = Recognition(slope=50.0, intercept=-40.0, few=-1.0)
    people, nobody = known.probabilities(np.array([0.9, 0.88, 0.2]), np.array([5, 1, 9]))

    assert people.sum() + nobody == pytest.approx(1)
    assert list(np.argsort(-people)) == [0, 1, 2]
    assert known.probabilities(np.zeros(0), np.zeros(0, np.int64)) == (pytest.approx([]), 1.0)
    alone = unfitted(KNOWN).probabilities(np.array([0.6]), np.array([3]))
    assert alone[0][0] == pytest.approx(KNOWN.probability(0.6))


def drawn(rng: np.random.Generator, faces: int, others: int) -> tuple[np.ndarray, ...]:
    """Cosines as this very model has them: to others about 0.2, to a mean of n faces of oneself about 0.8 - 0.2 / n."""
    counts = rng.integers(1, 8, (faces, others))
    own_counts = rng.integers(1, 8, faces)
    own = rng.normal(0.8 - 0.2 / own_counts, 0.1)
    return rng.normal(0.2, 0.1, (faces, others)), counts, own, own_counts


def test_what_is_learnt_from_known_people_holds_for_others():
    rng = np.random.default_rng(0)
    learnt = fit(*drawn(rng, 1_000, 30))
    assert learnt is not None
    assert learnt.few > 0  # a mean of few faces is less like another one: the same cosine says more
    cosines, counts, own, own_counts = drawn(rng, 2_000, 30)
    believed, right = [], []
    for row in range(2_000):
        known = row % 2
        seen = np.append(cosines[row], own[row]) if known else cosines[row]
        people, nobody = learnt.probabilities(seen, np.append(counts[row], own_counts[row]) if known else counts[row])
        best = int(people.argmax())
        believed.append(max(people[best], nobody))
        right.append((people[best] > nobody) == bool(known) and (not known or best == 30))
    assert np.mean(right) > 0.95
    assert np.mean(believed) == pytest.approx(np.mean(right), abs=0.02)


def test_of_too_few_faces_nothing_is_learnt():
    assert fit(*drawn(np.random.default_rng(0), FEWEST - 1, 5)) is None
    assert fit(np.zeros((FEWEST, 0)), np.zeros((FEWEST, 0)), np.full(FEWEST, 0.9), np.ones(FEWEST)) is not None
