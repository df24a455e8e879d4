"""Actions per label, and per label that is right as far as that was measured."""

import pytest

from annotation.core.effort import Effort, Measured, wilson


def test_wilsons_interval_is_the_textbooks():
    low, high = wilson(95, 100)
    assert (low, high) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert wilson(0, 0) == (0, 1)
    assert wilson(50, 50)[1] == 1
    assert wilson(50, 50)[0] == pytest.approx(0.9287, abs=1e-4)


def test_actions_per_clean_label_weigh_each_kind_of_label_by_how_often_it_is_right():
    told = Effort(actions=300, by_people=200, by_machine=800, control=Measured(99, 100), known=Measured(190, 200))
    assert told.per_label == pytest.approx(0.3)
    middle, low, high = told.per_clean
    assert middle == pytest.approx(300 / (200 * 0.95 + 800 * 0.99))
    assert low < middle < high


def test_labels_whose_rightness_nobody_measured_are_not_called_clean():
    known, none = Measured(9, 10), Measured(0, 0)
    assert Effort(actions=10, by_people=5, by_machine=5, control=none, known=known).per_clean is None
    assert Effort(actions=10, by_people=5, by_machine=0, control=none, known=none).per_clean is None
    assert Effort(actions=10, by_people=5, by_machine=0, control=none, known=known).per_clean is not None
    assert Effort(actions=10, by_people=0, by_machine=0, control=none, known=none).per_label is None
    assert none.share is None
