import json

import pytest

from inference.core.bundle import cold_start
from tests.training.core.lessons import a_config
from training.core.config import BadConfig, TrainConfig, parse, preset


@pytest.mark.parametrize("task", ["embedding", "real_age", "apparent_age", "gender", "emotion"])
@pytest.mark.parametrize("name", ["quick", "full"])
def test_every_task_has_its_presets(name: str, task: str) -> None:
    assert preset(name, task).task == task


def test_a_configuration_comes_back_from_json() -> None:
    config = a_config("real_age", loss="squared EMD", groups=[[0, 2], [4, 6], [8, 116]])

    assert parse(json.loads(config.as_json())) == config
    assert config.values == ("0-2", "4-6", "8-116")


def test_numbers_may_come_as_text_from_a_command_line() -> None:
    config = preset("quick", "gender", epochs="3", rate="2e-4", flip="false")

    assert (config.epochs, config.rate, config.flip) == (3, 2e-4, False)


def test_a_network_that_learns_from_scratch_sees_ages_in_a_wider_crop_than_people() -> None:
    assert preset("full", "real_age").template == "wide-384"
    assert preset("full", "gender").template == "arcface-112"


def test_a_full_training_of_emotions_begins_with_the_backbone_that_ships_and_changes_all_of_it() -> None:
    config = preset("full", "emotion")

    assert (config.start, config.architecture, config.frozen, config.trunk_rate) == ("cold", "dlib-29", 0, 1.0)
    assert config.crop == cold_start().crop


@pytest.mark.parametrize("task", ["real_age", "apparent_age", "gender", "emotion"])
def test_the_backbone_that_ships_sees_faces_as_it_learnt_them(task: str) -> None:
    assert preset("quick", task).crop == cold_start().crop


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochz": 3}, "no setting 'epochz'. Did you mean 'epochs'?"),
        ({"architecture": "iresnet5"}, "no network 'iresnet5'. Did you mean 'iresnet50'?"),
        ({"template": "dlib-15"}, "Did you mean 'dlib-150'?"),
        ({"loss": "age"}, "The loss 'age' is not one for gender. Use: soft labels."),
        ({"epochs": 0}, "epochs is 0; it must be from 1 to 10,000"),
        ({"epochs": 10**12}, "epochs is 1000000000000; it must be from 1 to 10,000"),
        ({"epochs": 2.7}, "epochs must be a whole number, not 2.7"),
        ({"epochs": "1e999"}, "epochs must be a whole number"),
        ({"batch": 10**12}, "batch is"),
        ({"side": 10**6}, "side is"),
        ({"dimensions": 10**9}, "dimensions is"),
        ({"rate": "nan"}, "rate is nan; it must be from 0 to 10"),
        ({"rate": "inf"}, "rate is inf"),
        ({"weight_decay": -5}, "weight_decay is -5.0"),
        ({"augment": "nan"}, "augment is nan"),
        ({"deviation": 0}, "deviation is 0.0"),
        ({"l1": -1}, "l1 is -1.0"),
        ({"checkpoint_minutes": "nan"}, "checkpoint_minutes is nan"),
        ({"threads": -1}, "threads is -1"),
        ({"frozen": -1}, "frozen is -1"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**70}, "seed is"),
        ({"start": "a\0b"}, "start must be text"),
        ({"epochs": "many"}, "epochs must be a whole number, not 'many'"),
        ({"epochs": True}, "epochs must be a whole number, not True"),
        ({"flip": "maybe"}, "flip must be true or false"),
        ({"balance": 2}, "share from 0 to 1"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"rate": 0}, "nothing is learnt"),
        ({"start": "cold"}, "no weights to begin toy with"),
        ({"groups": [[0, 2], [2, 4]]}, "without overlap"),
        ({"groups": [[0, 200]]}, "from 0 to 116"),
        ({"groups": "0-2"}, "pairs of years"),
        ({"precision": "float16"}, "no precision 'float16'"),
    ],
)
def test_contradictions_are_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadConfig) as refused:
        a_config("gender", **changes)

    assert message in str(refused.value)


def test_a_change_cannot_make_it_a_training_of_something_else() -> None:
    with pytest.raises(BadConfig, match="A training of gender cannot be one of emotion"):
        preset("quick", "gender", **{"task": "emotion"})


def test_groups_go_with_their_loss() -> None:
    with pytest.raises(BadConfig, match="Use: age"):
        a_config("real_age", loss="squared EMD")
    with pytest.raises(BadConfig, match="Did you mean 'gender'"):
        TrainConfig("genders")
