"""Ages become even, within bounds, and nobody without an age is lost."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.balance import age_weights, band_of, histogram, within_cap

ages = st.lists(st.one_of(st.floats(0, 116), st.just(float("nan"))), max_size=80).map(np.array)


def test_every_band_that_occurs_counts_alike():
    years = np.array([3.0] * 10 + [33.0] * 90)

    weights = age_weights(years)

    assert weights[:10].sum() == pytest.approx(weights[10:].sum())
    assert weights.mean() == pytest.approx(1)


def test_a_few_faces_are_not_learnt_by_heart():
    weights = age_weights(np.array([85.0] + [30.0] * 10_000), heaviest=20)

    assert weights[0] / weights[1] == pytest.approx(20 / 0.5, rel=0.01)


@given(ages)
def test_weights_are_positive_and_one_on_average_and_where_no_age_is_known(years):
    weights = age_weights(years)

    known = np.isfinite(years)
    assert (weights > 0).all()
    assert (weights[~known] == 1).all()
    if known.any():
        assert weights[known].mean() == pytest.approx(1)


@given(ages, st.integers(1, 5))
def test_no_year_has_more_than_the_cap_and_no_face_is_left_out_without_need(years, cap):
    order = np.linspace(0, 1, len(years))

    stays = within_cap(years, order, cap)

    assert stays[~np.isfinite(years)].all()
    for year in set(np.floor(years[np.isfinite(years)])):
        of = np.flatnonzero(np.floor(years) == year)
        assert stays[of].sum() == min(cap, len(of))
        assert stays[of][:cap].all()


def test_a_cap_that_leaves_none_is_refused():
    with pytest.raises(ValueError, match="A cap of 0"):
        within_cap(np.array([1.0]), np.array([0.5]), 0)


def test_bands_and_decades():
    assert band_of(np.array([0, 4.9, 5, 116])).tolist() == [0, 0, 1, 23]
    assert histogram([0, 9.9, 10, 116]) == {"0–9": 2, "10–19": 1, "110–119": 1}
