"""What is said of a model follows from its beliefs and the truth alone."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER, REAL_AGE
from training.core.evaluate import Evaluation, Mismatch, Truth, compare, evaluate
from training.core.plots import evaluation_plots


def years_believed(years, spread: float = 2.0) -> np.ndarray:
    belief = norm.pdf(np.arange(117)[None], np.asarray(years, float)[:, None], spread)
    return belief / belief.sum(axis=1, keepdims=True)


def a_gender_model(right: float, n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Beliefs of a model that is right so often, and says 0.9 each time."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(2, size=n)
    told = np.where(rng.random(n) < right, truth, 1 - truth)
    return np.where(np.eye(2)[told] > 0, 0.9, 0.1), truth


def test_accuracy_confusion_and_f1_of_a_class_by_hand():
    beliefs = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])

    found = evaluate(beliefs, Truth(GENDER, np.array([0, 0, 1, 1])))

    assert found.main == "accuracy"
    assert found.figure.value == 0.75
    assert found.confusion == ((2, 0), (1, 1))
    assert found.metrics["macro_f1"].value == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.n == found.groups == 4


def test_mean_error_of_an_age_and_its_groups_by_hand():
    found = evaluate(years_believed([10, 14, 61]), Truth(REAL_AGE, np.array([10.0, 12.0, 75.0])))

    assert found.main == "mae"
    assert found.figure.value == pytest.approx((0 + 2 + 14) / 3, abs=0.01)
    assert found.metrics["within_5"].value == pytest.approx(2 / 3)
    assert found.metrics["exact_group"].value == pytest.approx(1 / 3)
    assert found.metrics["one_off_group"].value == 1
    assert [(each.low, each.n, round(each.bias)) for each in found.by_age] == [(10, 2, 1), (75, 1, -14)]
    assert found.cumulative[3] == pytest.approx(2 / 3)


def test_where_the_guesses_spread_is_known_epsilon_decides():
    truth = Truth(APPARENT_AGE, np.array([30.0, 40.0, 50.0]), deviation=np.array([2.0, 4.0, np.nan]))

    found = evaluate(years_believed([30, 44, 90]), truth)

    assert found.main == "epsilon"
    assert found.figure.value == pytest.approx((1 - np.exp(-0.5)) / 2, abs=1e-3)  # the third face has none


def test_a_models_own_word_on_the_age_goes_before_the_mean_of_its_belief():
    truth = Truth(REAL_AGE, np.array([30.0, 40.0]))

    assert evaluate(years_believed([0, 0]), truth, years=np.array([31.0, 41.0])).figure.value == 1


def test_a_model_that_says_nine_in_ten_and_is_right_so_often_is_calibrated():
    beliefs, truth = a_gender_model(0.9, n=20_000)

    assert evaluate(beliefs, Truth(GENDER, truth), rounds=20).calibration_error < 0.01
    beliefs, truth = a_gender_model(0.6, n=20_000)
    assert evaluate(beliefs, Truth(GENDER, truth), rounds=20).calibration_error == pytest.approx(0.3, abs=0.02)


def test_an_age_is_calibrated_where_its_intervals_hold_what_they_should():
    rng = np.random.default_rng(0)
    middle = rng.uniform(20, 60, 4_000)
    truth = Truth(REAL_AGE, middle + rng.normal(size=4_000) * 4)

    assert evaluate(years_believed(middle, 4), truth, rounds=20).calibration_error < 0.02
    assert evaluate(years_believed(middle, 1.2), truth, rounds=20).calibration_error > 0.2


def test_slices_are_judged_by_themselves_and_small_ones_left_out():
    beliefs, truth = a_gender_model(1.0, n=60)
    beliefs[:20] = beliefs[:20, ::-1]
    lands = np.array(["north"] * 20 + ["south"] * 30 + ["east"] * 5 + [""] * 5)

    found = evaluate(beliefs, Truth(GENDER, truth, slices={"land": lands}))

    assert {name: (each.n, each.metrics["accuracy"].value) for name, each in found.slices["land"].items()} == {
        "north": (20, 0.0),
        "south": (30, 1.0),
    }


def test_an_age_is_always_sliced_by_its_bands_youngest_first():
    years = np.repeat([75.0, 1.0, 30.0], 12)

    assert list(evaluate(years_believed(years), Truth(REAL_AGE, years)).slices["age"]) == ["0–2", "20–39", "70+"]


def test_intervals_are_drawn_over_people():
    beliefs, truth = a_gender_model(0.8, n=40)
    beliefs, truth, people = np.repeat(beliefs, 10, axis=0), np.repeat(truth, 10), np.repeat(np.arange(40), 10)

    by_face, by_person = (evaluate(beliefs, Truth(GENDER, truth, groups=groups)).figure for groups in (None, people))

    assert by_person.value == by_face.value
    assert by_person.high - by_person.low > 2 * (by_face.high - by_face.low)
    assert evaluate(beliefs, Truth(GENDER, truth, groups=people)).groups == 40


def test_a_better_model_is_better_beyond_chance_and_a_lucky_one_is_not():
    rng = np.random.default_rng(5)
    truth = rng.integers(2, size=800)
    live = np.where(rng.random(800) < 0.85, truth, 1 - truth)
    better = np.where(rng.random(800) < 0.6, truth, live)
    lucky = live.copy()
    lucky[np.flatnonzero(live != truth)[:2]] ^= 1

    found = compare(np.eye(2)[better], np.eye(2)[live], Truth(GENDER, truth))
    assert found.better
    assert found.metrics["accuracy"].gain.value == pytest.approx((better == truth).mean() - (live == truth).mean())
    assert found.metrics["accuracy"].p < 0.01
    assert found.mcnemar is not None
    assert found.mcnemar < 1e-6
    assert not compare(np.eye(2)[lucky], np.eye(2)[live], Truth(GENDER, truth)).better


def test_of_an_error_less_is_a_gain():
    truth = Truth(REAL_AGE, np.repeat([8.0, 30.0, 72.0], 20))
    near, far = years_believed(truth.values + 1), years_believed(truth.values + 3)

    found = compare(near, far, truth)

    assert found.metrics["mae"].gain.value == pytest.approx(2, abs=0.02)
    assert found.slices["age"]["20–39"].gain.value == pytest.approx(2, abs=0.02)
    assert found.mcnemar is None
    assert compare(far, near, truth).metrics["mae"].gain.value == pytest.approx(-2, abs=0.02)


def test_a_slice_that_became_worse_is_seen_beside_a_better_whole():
    truth = np.zeros(200, int)
    live, candidate = np.zeros(200, int), np.zeros(200, int)
    live[:40], candidate[180:] = 1, 1
    bands = np.array(["young"] * 160 + ["old"] * 40)

    found = compare(np.eye(2)[candidate], np.eye(2)[live], Truth(GENDER, truth, slices={"age": bands}))

    assert found.better
    assert found.slices["age"]["old"].gain.value == -0.5
    assert found.slices["age"]["old"].gain.high < 0


@pytest.mark.parametrize("attribute", [GENDER, EMOTION, APPARENT_AGE])
def test_an_evaluation_comes_back_from_json_as_it_was(attribute, tmp_path):
    rng = np.random.default_rng(6)
    width = 117 if attribute.in_years else len(attribute.values)
    values = rng.uniform(0, 90, 120) if attribute.in_years else rng.integers(width, size=120)
    truth = Truth(attribute, values, groups=np.arange(120) // 3, slices={"gender": np.array(["female", "male"] * 60)})
    found = evaluate(rng.dirichlet(np.ones(width), 120), truth, rounds=50)

    assert Evaluation.from_json(json.loads(json.dumps(found.as_json()))) == found


def test_a_picture_is_drawn_of_each_thing_that_was_looked_at(tmp_path):
    beliefs, truth = a_gender_model(0.8, n=100)

    drawn = evaluation_plots(evaluate(beliefs, Truth(GENDER, truth), rounds=20), tmp_path / "gender")
    assert {path.name for path in drawn} == {"confusion.png", "reliability.png"}
    years = np.linspace(1, 80, 50)
    drawn = evaluation_plots(evaluate(years_believed(years), Truth(REAL_AGE, years), rounds=20), tmp_path / "age")
    assert {path.name for path in drawn} == {"reliability.png", "error_by_age.png", "cumulative.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)


@pytest.mark.parametrize(
    ("beliefs", "truth"),
    [
        (np.full((3, 2), 0.5), Truth(GENDER, np.zeros(2, int))),
        (np.full((2, 7), 0.5), Truth(GENDER, np.zeros(2, int))),
        (np.full((2, 101), 0.5), Truth(REAL_AGE, np.zeros(2))),
        (np.zeros((0, 2)), Truth(GENDER, np.zeros(0, int))),
    ],
)
def test_what_does_not_belong_together_is_refused(beliefs, truth):
    with pytest.raises(Mismatch):
        evaluate(beliefs, truth)


def test_columns_of_another_length_are_refused():
    with pytest.raises(Mismatch, match="groups"):
        Truth(GENDER, np.zeros(2, int), groups=np.zeros(3, int))
    with pytest.raises(Mismatch, match="land"):
        replace(Truth(GENDER, np.zeros(2, int)), slices={"land": np.array(["north"])})
