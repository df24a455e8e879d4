"""How far a distribution has moved, as one number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core.drift import stability

counts = st.lists(st.integers(0, 10_000), min_size=10, max_size=10)


@given(counts, counts)
def test_it_is_never_below_zero_and_the_same_both_ways(one: list[int], other: list[int]):
    assert stability(one, other) >= 0
    assert stability(one, other) == pytest.approx(stability(other, one))
    assert stability(one, one) == pytest.approx(0)


def test_it_is_as_worked_out_by_hand():
    # Shares of (99.5 + 0.5) / 400 and so on: 0.25 and 0.75 against 0.5 and 0.5.
    assert stability([99.5, 299.5], [199.5, 199.5]) == pytest.approx(0.25 * np.log(2) + 0.25 * np.log(1.5))


def test_chance_alone_stays_below_a_drift_to_speak_of_and_a_shift_does_not():
    chance = np.random.default_rng(0)
    said = [np.histogram(chance.beta(8, 2, size), 10, (0, 1))[0] for size in (2000, 500)]
    assert stability(*said) < 0.1
    assert stability(said[0], np.histogram(chance.beta(4, 3, 500), 10, (0, 1))[0]) > 0.25


def test_histograms_of_other_bins_are_refused():
    with pytest.raises(ValueError, match="same bins"):
        stability([[1], [2]], [[1], [2]])
