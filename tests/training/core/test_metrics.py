"""Each measure gives what a person gets by hand."""

import math

import numpy as np
import pytest

from training.core import metrics
from training.core.metrics import AGE_BANDS, AgeGroups

ADIENCE = AgeGroups(((0, 2), (4, 6), (8, 13), (15, 20), (25, 32), (38, 43), (48, 53), (60, 116)))


@pytest.mark.parametrize(
    ("years", "band"),
    [(0, "0–2"), (2.9, "0–2"), (3, "3–12"), (12.99, "3–12"), (13, "13–19"), (69.5, "60–69"), (70, "70+"), (116, "70+")],
)
def test_every_age_lies_in_the_band_that_names_it(years: float, band: str):
    assert AGE_BANDS.names[int(AGE_BANDS.of(years))] == band


def test_an_age_between_two_groups_belongs_to_the_nearer_one():
    # 3 and 35 lie in the middle and go to the older; 22 is 2 beyond 20 and 3 short of 25, 56 is 3 beyond 53.
    assert ADIENCE.of(np.array([3, 22, 23, 35, 56, 57])).tolist() == [1, 3, 4, 5, 6, 7]


def test_a_belief_about_years_becomes_one_about_groups():
    years = np.zeros((1, 117))
    years[0, [1, 2, 5, 30]] = [0.1, 0.2, 0.3, 0.4]

    assert ADIENCE.beliefs(years) == pytest.approx(np.array([[0.3, 0.3, 0, 0, 0.4, 0, 0, 0]]))


def test_an_unknown_age_lies_in_no_band():
    assert metrics.age_bands([4, math.nan, 71]).tolist() == ["3–12", "", "70+"]


def test_a_confusion_table_has_the_truth_in_its_rows():
    told, truth = np.array([0, 1, 1, 2, 0]), np.array([0, 0, 1, 1, 2])

    assert metrics.confusion(told, truth, 3).tolist() == [[1, 1, 0], [0, 1, 1], [1, 0, 0]]


def test_macro_f1_by_hand():
    # Class 0: precision 2/3, recall 2/2, F1 0.8. Class 1: precision 1/1, recall 1/2, F1 2/3. Class 2 occurs nowhere.
    assert metrics.macro_f1(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]])) == pytest.approx((0.8 + 2 / 3) / 2)


def test_a_class_that_is_told_but_never_true_does_not_count_by_itself():
    # Class 0: precision 1, recall 1/2, F1 2/3; class 1 is told once and never true.
    assert metrics.macro_f1(np.array([[1, 1], [0, 0]])) == pytest.approx(2 / 3)


def test_one_off_takes_the_neighbouring_groups():
    assert metrics.one_off(np.array([0, 1, 2, 7]), np.array([0, 2, 0, 5])).tolist() == [True, True, False, False]


def test_epsilon_is_nothing_at_the_mean_and_0_39_one_deviation_away():
    found = metrics.epsilon(np.array([30.0, 34.0, 80.0]), np.full(3, 30.0), np.full(3, 4.0))

    assert found == pytest.approx([0, 1 - math.exp(-0.5), 1], abs=1e-12)


def test_epsilon_without_a_spread_is_refused():
    with pytest.raises(ValueError, match="must spread"):
        metrics.epsilon(np.array([30.0]), np.array([30.0]), np.array([0.0]))


def test_the_cumulative_score_counts_who_is_within():
    assert metrics.cumulative_score(np.array([0.0, 1.0, 1.5, 4.0]), within=4).tolist() == [0.25, 0.5, 0.75, 0.75, 1.0]


def test_mcnemar_looks_only_at_the_faces_on_which_two_models_differ():
    one = np.array([True] * 50 + [True] * 5 + [False] * 0 + [False] * 10)
    other = np.array([True] * 50 + [False] * 5 + [False] * 10)

    # Five coins that all fall on the same side: 2 / 2^5.
    assert metrics.mcnemar(one, other) == pytest.approx(2 / 32)
    assert metrics.mcnemar(one, one) == 1
