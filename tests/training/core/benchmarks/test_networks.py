"""A whole network learns from a set's part as from a release, and is not judged on who was held back to stop it."""

from dataclasses import replace

import numpy as np
import pytest

from inference.core.attributes import EMOTION, GENDER, REAL_AGE
from inference.core.cold_attributes import expected_years
from tests.training.core.lessons import a_config
from training.core.benchmarks.adience import AGE_GROUP, GROUPS
from training.core.benchmarks.networks import WholeNetwork, held_back, whole_network

QUICK = {"epochs": 12, "batch": 16, "augment": 0.0, "flip": False}


def grays(n: int = 96, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Crops of one brightness each, and that brightness from 0 to 1."""
    rng = np.random.default_rng(seed)
    light = rng.uniform(0, 1, n)
    noise = rng.integers(-9, 10, (n, 32, 32, 3))
    return (30 + 190 * light[:, None, None, None] + noise).clip(0, 255).astype(np.uint8), light


def people(n: int) -> list[str]:
    return [f"p{number % 24}" for number in range(n)]


def test_a_class_is_learnt_and_told_in_the_registrys_order():
    crops, light = grays()
    network = WholeNetwork(a_config("gender", **QUICK), "small")

    learnt = network.fit(network.see(crops), (light > 0.5) * 1.0, GENDER, people=people(len(crops)))

    unseen, truth = grays(seed=1)
    told = learnt(unseen)
    assert told.shape == (96, 2)
    assert told.sum(axis=1) == pytest.approx(np.ones(96))
    assert (told.argmax(axis=1) == (truth > 0.5)).mean() > 0.8


def test_groups_of_years_are_told_as_groups():
    crops, light = grays()
    network = WholeNetwork(a_config("real_age", **QUICK), "small")

    learnt = network.fit(crops, (light > 0.5) * 7.0, AGE_GROUP, people=people(len(crops)), ages=GROUPS)

    told = learnt(grays(seed=1)[0])
    assert told.shape == (96, 8)
    assert told[:, [0, 7]].mean() > 1.2 * told[:, 1:7].mean()  # the groups that it has seen


def test_an_age_is_told_over_the_years_whichever_kind_of_age_is_asked():
    crops, light = grays()
    network = WholeNetwork(a_config("apparent_age", **QUICK), "small")

    learnt = network.fit(crops, 80 * light, REAL_AGE, people=people(len(crops)))

    unseen, truth = grays(seed=1)
    told = expected_years(learnt(unseen))
    assert learnt(unseen).shape == (96, 117)
    assert np.corrcoef(told, truth)[0, 1] > 0.5


def test_who_is_held_back_is_held_back_whole():
    names = people(96)

    back = held_back(names)

    assert set(np.array(names)[back]).isdisjoint(np.array(names)[~back])
    assert len(set(np.array(names)[back])) == round(0.15 * 24)
    with pytest.raises(ValueError, match="nobody to hold back"):
        held_back(["a", "a"])


@pytest.mark.parametrize("chosen", ["quick", "full"])
@pytest.mark.parametrize("attribute", [EMOTION, REAL_AGE])
def test_both_presets_make_a_network_that_can_learn_from_a_set(chosen: str, attribute):
    network = whole_network(chosen, attribute)

    assert network.name == f"{chosen} preset, the whole network"
    assert network.crop == network._config.crop
    assert replace(network._config, epochs=1).task == attribute.name
