"""Intervals hold the truth as often as they promise, and groups make them as wide as they must be."""

import numpy as np
import pytest

from training.core.bootstrap import Measured, Statistic, chance, drawn, less, mean, measured


def test_the_value_is_that_of_the_faces_themselves():
    assert measured(mean([1.0, 2.0, 6.0])).value == pytest.approx(3)


def test_an_interval_holds_the_mean_of_the_world_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    held = 0
    for world in range(200):
        found = measured(mean(rng.exponential(size=120)), rounds=300, seed=world)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 1 <= found.high

    assert 0.90 <= held / 200 <= 0.985


def test_faces_of_one_person_count_as_one_draw():
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(50), 20)
    values = rng.normal(size=50)[people]  # every face of a person errs alike

    by_face, by_person = drawn(mean(values)).std(), drawn(mean(values), people).std()

    assert by_person / by_face == pytest.approx(np.sqrt(20), rel=0.15)


def test_groups_of_one_face_each_are_no_groups():
    values = np.random.default_rng(2).normal(size=300)

    assert measured(mean(values), np.arange(300)) == measured(mean(values))


def test_a_single_group_has_no_interval():
    assert measured(mean([1.0, 2.0]), np.array([7, 7])) == Measured(1.5, None, None)
    assert measured(mean([1.0])) == Measured(1.0, None, None)


def test_a_difference_on_the_same_faces_varies_less_than_either_model():
    rng = np.random.default_rng(3)
    hard = rng.normal(size=400) * 5  # some faces are hard for both
    one, other = mean(hard + rng.normal(size=400)), mean(hard + rng.normal(size=400) + 0.5)

    found = measured(less(other, one))

    assert found.value == pytest.approx(other.value - one.value)
    assert found.low is not None
    assert found.low > 0
    assert drawn(less(other, one)).std() < drawn(one).std() / 2


def test_a_figure_that_is_no_mean_is_drawn_from_its_sums():
    parts = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    ratio = Statistic(parts, lambda sums: sums[:, 0] / np.maximum(sums[:, 1], 1))

    assert ratio.value == 1
    assert set(drawn(ratio, rounds=500)) <= {0.0, 1 / 3, 1.0, 3.0, 4.0}


def test_the_same_seed_draws_the_same():
    values = mean(np.arange(30.0))

    assert drawn(values, seed=4).tolist() == drawn(values, seed=4).tolist()
    assert drawn(values, seed=4).tolist() != drawn(values, seed=5).tolist()


def test_chance_is_small_only_where_nearly_all_draws_agree():
    assert chance(np.full(999, 0.2)) == pytest.approx(2 / 1000)
    assert chance(np.array([-1.0, 1.0] * 50)) == 1
    assert chance(np.zeros(99)) == 1
