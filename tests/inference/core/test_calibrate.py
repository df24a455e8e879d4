"""A calibrated belief is right as often as it says, whatever the sources claimed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from inference.core.calibrate import Calibrator, fit, reliability, uncalibrated


def a_world(seed: int, n: int, classes: int = 7, sharpness: tuple[float, ...] = (3.0,)):
    """Truth, and a calibrated belief about it made over-confident by each of the given factors."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(classes, size=n)
    sources = []
    for factor in sharpness:
        score = rng.normal(size=(n, classes)) + 2 * np.eye(classes)[truth]  # log-likelihood ratios are twice the score
        sources.append(softmax(2 * factor * score, axis=1))
    return np.stack(sources, axis=1), truth


def calibration_error(belief: np.ndarray, truth: np.ndarray) -> float:
    return reliability(belief.max(axis=1), belief.argmax(axis=1) == truth).error


@pytest.mark.parametrize("sharpness", [(3.0,), (0.4,), (1.0,), (3.0, 2.0), (0.5, 4.0, 1.0)])
def test_two_thousand_answers_calibrate_to_within_two_hundredths(sharpness: tuple[float, ...]):
    beliefs, truth = a_world(0, 2_000, sharpness=sharpness)
    unseen, unseen_truth = a_world(1, 20_000, sharpness=sharpness)

    found = fit(beliefs, truth)

    assert calibration_error(found.fuse(unseen), unseen_truth) <= 0.02
    before = calibration_error(uncalibrated(len(sharpness), 7).fuse(unseen), unseen_truth)
    assert calibration_error(found.fuse(unseen), unseen_truth) <= before + 0.01


def test_two_sources_know_more_than_either():
    beliefs, truth = a_world(2, 4_000, sharpness=(1.0, 1.0))
    both = fit(beliefs, truth).fuse(beliefs).argmax(axis=1) == truth

    for source in range(2):
        alone = beliefs[:, [source]]
        assert both.mean() > (fit(alone, truth).fuse(alone).argmax(axis=1) == truth).mean() + 0.02


def test_a_source_that_knows_nothing_hardly_counts():
    beliefs, truth = a_world(3, 2_000, sharpness=(1.0,))
    noise = np.random.default_rng(4).dirichlet(np.ones(7), 2_000)[:, None]

    found = fit(np.concatenate([beliefs, noise], axis=1), truth)

    assert found.weights[1] < 0.1 < 0.8 < found.weights[0]


def test_what_is_absent_counts_nothing():
    beliefs, _ = a_world(5, 50, sharpness=(1.0, 1.0))
    beliefs[:, 1] = np.nan

    fused = Calibrator(np.array([1.0, 1.0]), np.zeros(7)).fuse(beliefs)

    assert fused == pytest.approx(Calibrator(np.array([1.0]), np.zeros(7)).fuse(beliefs[:, :1]))
    nobody = Calibrator(np.array([1.0, 1.0]), np.zeros(7)).fuse(np.full((1, 2, 7), np.nan))
    assert nobody == pytest.approx(np.full((1, 7), 1 / 7))


def test_without_answers_the_first_source_is_taken_as_it_is():
    beliefs, _ = a_world(6, 20, sharpness=(1.0,))

    found = fit(beliefs[:0], np.zeros(0, np.int64))

    assert found.weights == pytest.approx([1.0])
    assert found.fuse(beliefs) == pytest.approx(beliefs[:, 0], abs=2e-3)


def test_no_source_is_believed_to_be_certain():
    beliefs = np.array([[[1.0, 0.0], [0.01, 0.99]]])

    assert 0 < Calibrator(np.array([1.0, 1.0]), np.zeros(2)).fuse(beliefs)[0, 1] < 1


@given(st.integers(0, 500))
def test_the_names_of_the_classes_do_not_matter(seed: int):
    beliefs, truth = a_world(seed, 60, classes=3, sharpness=(2.0, 1.0))
    order = np.random.default_rng(seed).permutation(3)

    renamed = fit(beliefs[:, :, order], np.argsort(order)[truth]).fuse(beliefs[:, :, order])

    assert renamed == pytest.approx(fit(beliefs, truth).fuse(beliefs)[:, order], abs=1e-3)


def test_a_reliability_diagram_of_what_is_calibrated_lies_on_the_diagonal():
    rng = np.random.default_rng(7)
    confidence = rng.uniform(0.5, 1, 50_000)

    found = reliability(confidence, rng.random(50_000) < confidence)

    assert found.error < 0.01
    assert found.count.sum() == 50_000
    assert np.ptp(found.count) <= 1
    assert reliability(confidence, np.zeros(50_000, bool)).error == pytest.approx(confidence.mean())


def test_fewer_answers_than_bins_are_a_diagram_too():
    assert reliability(np.array([0.9, 0.8]), np.array([True, False])).count.tolist() == [1, 1]
    assert reliability(np.array([]), np.array([], bool)).error == 0


@pytest.mark.parametrize(
    ("shape", "truth"), [((3, 2), [0, 0, 0]), ((3, 1, 2), [0, 0]), ((2, 1, 2), [0, 2]), ((2, 1, 2), [0, -1])]
)
def test_what_does_not_match_is_refused(shape: tuple[int, ...], truth: list[int]):
    with pytest.raises(ValueError, match=r"Beliefs|outside"):
        fit(np.full(shape, 0.5), np.array(truth))
