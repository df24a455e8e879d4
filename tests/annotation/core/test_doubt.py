"""Planted mistakes are found, and a class that models are never sure of is left alone."""

import numpy as np
import pytest

from annotation.core.doubt import disbelieved


def test_planted_mistakes_are_found_the_least_believed_first():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=600)
    belief = np.full((600, 3), 0.04)
    belief[np.arange(600), truth] = 0.92
    given = truth.copy()
    planted = np.arange(0, 600, 30)
    given[planted] = (truth[planted] + 1) % 3
    belief[planted[3]] = 0.005
    belief[planted[3], truth[planted[3]]] = 0.99

    found = disbelieved(belief, given)

    assert set(found) == set(planted)
    assert found[0] == planted[3]


def test_a_class_that_the_models_are_never_sure_of_is_not_disbelieved_as_a_whole():
    belief = np.array([[0.95, 0.05]] * 100 + [[0.55, 0.45]] * 100)
    given = np.repeat([0, 1], 100)
    assert len(disbelieved(belief, given)) < 10


def test_few_labels_or_one_class_say_nothing():
    assert len(disbelieved(np.tile([0.1, 0.9], (20, 1)), np.zeros(20, np.int64))) == 0
    assert len(disbelieved(np.tile([0.1, 0.9], (200, 1)), np.zeros(200, np.int64))) == 0
    with pytest.raises(ValueError, match="differ"):
        disbelieved(np.zeros((2, 2)), np.zeros(3, np.int64))
