"""What an answer is worth, and which audits promise something."""

import numpy as np
import pytest

from annotation.core.certificate import needed
from annotation.core.worth import GRID, HOPELESS, grid_pays, next_draw, of_grid, of_single, rarity


def test_a_grid_pays_where_few_faces_will_be_marked():
    assert grid_pays(0.95)
    assert grid_pays(0.5)  # a mark says what it is, as an answer to a single question does
    assert not grid_pays(0.2)


def test_more_labels_more_doubt_and_rarer_values_are_worth_more():
    assert of_single(0.6, 10, 1.0) == pytest.approx(10 * of_single(0.6, 1, 1.0))
    assert of_single(0.5, 1, 1.0) > of_single(0.9, 1, 1.0)
    assert of_grid([0.9] * GRID, [1] * GRID, 2.0) == pytest.approx(2 * of_grid([0.9] * GRID, [1] * GRID, 1.0))
    assert rarity(0.5, 2) == 1.0
    assert rarity(0.05, 7) > rarity(0.3, 7)
    assert rarity(0.0, 7) == rarity(0.01, 7) == 4.0  # no value is chased without end


def draw(confidence: np.ndarray, audited: int = 0, certified: float | None = None):
    sequence = [0.999, 0.99, 0.9]
    return next_draw(confidence, confidence, sequence, certified=certified, audited=audited, target=0.01)


def test_audits_are_drawn_from_the_loosest_region_that_seems_good_enough():
    sure = np.concatenate([np.full(3000, 0.9995), np.full(3000, 0.992), np.full(3000, 0.92)])
    found = draw(sure)
    assert found is not None
    assert found.above == 0.99
    assert found.faces == HOPELESS * needed(0.01)
    assert draw(sure, certified=0.99) is None


def test_nothing_is_audited_that_is_too_small_or_hopeless():
    assert draw(np.full(needed(0.01), 0.9995)) is None
    assert draw(np.full(9000, 0.95)) is None
    assert draw(np.full(9000, 0.9995), audited=HOPELESS * needed(0.01)) is None
