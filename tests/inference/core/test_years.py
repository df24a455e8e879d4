"""An age is told by several sources, each as far off as it is, and intervals hold as many ages as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from inference.core.calibrate import fit
from inference.core.years import (
    TILT,
    as_far_off,
    coverage,
    covered,
    interval,
    median,
    of_person,
    of_term,
    over_years,
    shares,
    summary,
    tell_years,
)


def a_world(seed: int, n: int):
    """Ages, and what two sources say of them: one too sure and too old, one that is less off for the young."""
    rng = np.random.default_rng(seed)
    years = rng.uniform(1, 90, n)
    sure = np.stack([years + 4 + rng.normal(0, 8, n), np.full(n, 2.0)], axis=1)
    other = np.stack([years + rng.normal(0, 2 + years / 8), np.full(n, 20.0)], axis=1)
    return years, [sure, other]


@given(st.floats(5, 60), st.floats(2, 9))
def test_a_truth_drawn_from_the_belief_is_covered_as_often_as_it_says(middle: float, spread: float):
    belief = norm.pdf(np.arange(117), middle, spread)
    belief /= belief.sum()
    rng = np.random.default_rng(0)
    years = rng.choice(117, 4_000, p=belief) + rng.uniform(-0.5, 0.5, 4_000)

    found = covered(np.tile(belief, (4_000, 1)), years, (0.5, 0.9))

    assert found == pytest.approx([0.5, 0.9], abs=0.03)


def test_two_thousand_answers_calibrate_ages_to_within_two_hundredths():
    years, told = a_world(0, 2_000)
    unseen, told_unseen = a_world(1, 10_000)
    raw = coverage(over_years(told_unseen[0]), unseen)

    def said(sources, known):
        return over_years(np.stack([as_far_off(each, known) for each in sources], axis=1))

    found = fit(said(told, years), shares(years), along=TILT)
    belief = found.fuse(said(told_unseen, unseen))

    assert raw.error > 0.2
    assert coverage(belief, unseen).error <= 0.02
    alone = fit(said(told[1:], years), shares(years), along=TILT).fuse(said(told_unseen[1:], unseen))
    off = [np.abs(np.array([median(row) for row in each]) - unseen).mean() for each in (belief, alone)]
    assert off[0] < off[1]


def test_a_source_that_is_surer_than_right_is_heard_as_far_off_as_it_is():
    years, (sure, other) = a_world(2, 5_000)
    assert as_far_off(sure, years)[:, 1].mean() == pytest.approx(8.9, abs=0.6)  # 8 years, and 4 of bias
    young, old = years < 20, years > 70
    spread = as_far_off(other, years)[:, 1]
    assert spread[old].mean() > 2 * spread[young].mean()
    assert (as_far_off(sure, np.full(5_000, np.nan))[:, 1] >= 8).all()  # nothing is known yet


def test_labelled_faces_tell_ages_but_never_their_own_nor_their_groups():
    rng = np.random.default_rng(0)
    years = rng.uniform(0, 80, 400)
    vectors = rng.normal(0, 0.2, (400, 16))
    vectors[:, 0] += np.cos(years / 80 * np.pi)
    vectors[:, 1] += np.sin(years / 80 * np.pi)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    known = np.where(np.arange(400) < 300, years, np.nan)
    known[:10] = 115.0  # one group of ten faces, all labelled wrongly
    told = tell_years(vectors, known, np.where(np.arange(400) < 10, 0, np.arange(400)))
    for said in (told.head, told.neighbours):
        assert np.nanmean(np.abs(said[300:, 0] - years[300:])) < 12
        assert np.nanmean(np.abs(said[:10, 0] - years[:10])) < 15
    few = tell_years(vectors, np.where(np.arange(400) < 20, years, np.nan), np.arange(400))
    assert np.isnan(few.head).all()


def test_another_dated_photo_tells_an_age_by_the_years_between():
    said = np.array([[30.0, 1.0], [60.0, 8.0], [20.0, 5.0]])
    found = of_person(said, np.array([2000.0, 2010.5, 2000.0]), np.array([1, 1, 2]), 0.3)
    assert found[1] == pytest.approx([40.5, 1.0])  # as the first photo says; its own word is not heard
    assert found[0] == pytest.approx([49.5, 8.0])
    assert np.isnan(found[2]).all()
    undated = of_person(said, np.array([2000.0, np.nan, 2000.0]), np.array([1, 1, 2]), 0.3)
    assert np.isnan(undated).all()


def test_many_photos_of_one_person_say_less_than_as_many_strangers():
    said = np.tile([30.0, 8.0], (10, 1))
    spread = of_person(said, np.full(10, 2000.0), np.zeros(10, int), 0.3)[0, 1]
    assert 8 / 3 < spread < 8


def test_a_search_term_speaks_by_others_alone():
    term, group = np.array([0, 0, 0, -1, 1]), np.array([1, 1, 2, 3, 4])
    found = of_term(term, np.array([70.0, 72.0, np.nan, 20.0, 30.0]), group)
    assert found[2, 0] == pytest.approx(71)
    assert np.isnan(found[[0, 1, 3, 4]]).all()


def test_an_age_between_two_years_is_in_part_each():
    assert shares(np.array([23.25]))[0, 22:26] == pytest.approx([0, 0.75, 0.25, 0])
    assert shares(np.array([0.0, 116.0, 119.0])).sum(axis=1) == pytest.approx(1)


def test_a_belief_is_summed_up_and_told_between_two_years():
    belief = norm.pdf(np.arange(117), 40, 5)
    belief /= belief.sum()
    assert summary(belief[None])[0] == pytest.approx([40, 5], abs=0.01)
    assert median(belief) == 40
    assert interval(belief) == (32, 48)
    assert np.isnan(over_years(np.array([[np.nan, np.nan]]))).all()
