"""Agreement as the literature's examples have it, and the few who stand out found without accusing the rest."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.certificate import upper_bound
from annotation.core.reliability import (
    below_the_bar,
    biases,
    drifted,
    in_line,
    intraclass_correlation,
    krippendorff_alpha,
    too_fast,
)

# Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), example C: four observers, twelve units.
OBSERVERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]


def answers() -> tuple[np.ndarray, np.ndarray]:
    pairs = [(unit, value) for row in OBSERVERS for unit, value in enumerate(row) if value]
    return np.array([unit for unit, _ in pairs]), np.array([value for _, value in pairs], float)


def test_alpha_is_that_of_krippendorffs_own_example():
    unit, value = answers()

    assert krippendorff_alpha(unit, value) == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(unit, value, "interval") == pytest.approx(0.849, abs=5e-4)


def test_the_intraclass_correlation_is_that_of_shrout_and_fleiss():
    """Their table 2: six targets, four judges."""
    table = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)

    assert intraclass_correlation(np.repeat(np.arange(6), 4), table.ravel()) == pytest.approx(0.17, abs=5e-3)


@given(st.integers(0, 300))
def test_full_agreement_is_one_and_guessing_is_about_nothing(seed: int):
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(300), 3)
    truth = rng.integers(3, size=300)[unit].astype(float)

    for level in ("nominal", "interval"):
        assert krippendorff_alpha(unit, truth, level) == pytest.approx(1)
        assert abs(krippendorff_alpha(unit, rng.integers(3, size=900).astype(float), level)) < 0.12
    assert intraclass_correlation(unit, truth) == pytest.approx(1)


def test_what_cannot_be_compared_is_no_number():
    assert np.isnan(krippendorff_alpha(np.arange(5), np.ones(5)))
    assert np.isnan(krippendorff_alpha(np.zeros(5, int), np.ones(5)))
    assert np.isnan(krippendorff_alpha(np.zeros(0, int), np.zeros(0)))
    assert np.isnan(intraclass_correlation(np.arange(5), np.ones(5)))


def test_a_persons_bias_in_years_is_found():
    rng = np.random.default_rng(0)
    age = rng.uniform(10, 70, 400)
    unit, voter = np.repeat(np.arange(400), 4), np.tile(np.arange(4), 400)
    lean = np.array([0, 0, 0, 4.0])
    found = biases(unit, voter, age[unit] + lean[voter] + rng.normal(0, 3, 1600), voters=5)

    assert found[3].years == pytest.approx(4, abs=4 * found[3].error)
    assert found[0].years == pytest.approx(-4 / 3, abs=4 * found[0].error)
    assert found[3].error < 0.3
    assert np.isnan(found[4].years)  # never answered


def ever_drifted(right: np.ndarray, since: int = 0) -> int | None:
    """After how many answers to gold the badge is first shown, if it is looked at after every tenth."""
    return next((count for count in range(since, len(right) + 1, 10) if drifted(right[:count])), None)


def test_a_steady_hand_is_hardly_ever_accused_however_often_one_looks():
    rng = np.random.default_rng(1)

    for often in (0.7, 0.95):
        accused = [ever_drifted(rng.random(1_000) < often) is not None for _ in range(100)]
        assert np.mean(accused) <= 0.08  # 0.04 by 2,000 simulated hands: more than 8 of 100 have a chance of 2 %


def test_drift_is_found():
    rng = np.random.default_rng(2)

    tired = [np.concatenate([rng.random(300) < 0.95, rng.random(200) < 0.8]) for _ in range(100)]
    found = [ever_drifted(each, since=300) for each in tired]

    assert np.mean([each is not None and each <= 400 for each in found]) > 0.65
    assert np.mean([each is not None for each in found]) > 0.85
    assert not drifted(np.zeros(60, bool))  # too few to tell


def test_answers_that_nobody_can_have_looked_for_are_found_by_kind():
    elapsed = np.array([900, 1_000, 1_100, 200, 9_000, 10_000, 11_000, 2_000])
    kind = np.array([0, 0, 0, 0, 1, 1, 1, 1])

    assert too_fast(elapsed, kind).tolist() == [False, False, False, True, False, False, False, True]
    assert too_fast(np.array([], int), np.array([], int)).tolist() == []


def test_nobody_is_paused_for_a_bad_hour():
    assert not below_the_bar(1, 4, upper_bound)
    assert not below_the_bar(35, 50, upper_bound)
    assert below_the_bar(20, 50, upper_bound)


def test_who_is_right_often_enough_is_hardly_ever_paused_however_often_one_looks():
    """Exactly, over 60 known answers: the chance of each count of right ones, of those who are not paused yet."""
    right = np.array([0.89, 0.8, 0.7])
    chance, paused, limit = np.ones((1, 3)), np.zeros(3), 0
    for answered in range(1, 61):
        chance = np.pad(chance * (1 - right), ((0, 1), (0, 0))) + np.pad(chance * right, ((1, 0), (0, 0)))
        while below_the_bar(limit, answered, upper_bound):
            limit += 1
        paused += chance[:limit].sum(axis=0)
        chance[:limit] = 0

    assert np.all(paused > 0)
    assert np.all(paused <= [0.0014, 0.009, 0.05])


def guesses(
    rng: np.random.Generator, faces: int, honest: int, chance: int, same: int = 0
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Ten people's guesses of each face: honest ones, with a bias and a spread of their own, and others."""
    people = honest + chance + same
    unit = np.repeat(np.arange(faces), 10)
    voter = np.concatenate([rng.permutation(people)[:10] for _ in range(faces)])
    looks = rng.uniform(1, 90, faces)[unit]
    bias, spread = rng.choice([-5.0, 5.0, 0.0], people)[voter], rng.uniform(4, 6, people)[voter]
    years = np.clip(np.round(looks + bias + rng.normal(0, spread)), 0, 116)
    years = np.where(voter >= honest, rng.integers(0, 100, len(unit)), years)
    return unit, voter, np.where(voter >= honest + chance, 30.0, years)


@pytest.mark.parametrize(("honest", "chance", "same"), [(12, 0, 0), (11, 2, 0), (10, 1, 1), (9, 3, 0)])
def test_of_ages_whoever_looks_is_never_paused_and_who_types_at_random_is(honest: int, chance: int, same: int):
    """People who look lie 4 to 6 years apart and guess up to 5 years older or younger than the face looks."""

    def most(answered: int, right: int) -> float:
        return upper_bound(answered, right) if answered else 1.0

    rng = np.random.default_rng(0)
    paused = [set[int](), set[int]()]  # after 100 faces, and at the end; it is looked at after every twentieth
    for _ in range(3):
        unit, voter, years = guesses(rng, 300, honest, chance, same)
        for seen in range(20, 301, 20):
            now = unit < seen
            right = in_line(unit[now], voter[now], years[now])
            for one in range(honest + chance + same):
                own = right[voter[now] == one]
                if below_the_bar(int(np.nansum(own)), int(np.isfinite(own).sum()), most):
                    for part in paused[seen > 100 :]:
                        part.add(one)

    assert paused[1] == set(range(honest, honest + chance + same))
    assert paused[0] >= set(range(honest, honest + chance))


def test_of_ages_nothing_is_out_of_line_where_fewer_than_nine_others_guessed():
    unit, voter = np.repeat([0, 1], 9), np.tile(np.arange(9), 2)

    assert np.isnan(in_line(unit, voter, np.where(voter == 0, 90.0, 30.0))).all()


def test_of_ages_a_bias_is_taken_away_and_a_slip_of_the_finger_is_not():
    unit, voter = np.repeat(np.arange(40), 10), np.tile(np.arange(10), 40)
    years = np.random.default_rng(0).normal(np.repeat(np.arange(20, 60), 10), 4.0)
    years[voter == 3] += 12
    years[(unit == 7) & (voter == 3)] += 60

    told = in_line(unit, voter, years)

    assert told[73] == 0
    assert (told[voter == 3]).mean() > 0.9
    assert (told[voter != 3]).mean() > 0.97
