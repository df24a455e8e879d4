"""The first proposals are distributions, do not mind a mirror, and know most adults' gender."""

from pathlib import Path

import numpy as np
import pytest

from inference.core.attributes import OLDEST
from inference.core.cold_attributes import DlibAttribute, cold_age, cold_gender, expected_years
from inference.core.embed import CropsDoNotFit
from tests.benchmarks.attributes import found_in

MODELS = pytest.mark.parametrize(("model", "width"), [(cold_gender, 2), (cold_age, OLDEST + 1)])


def crops_for(model: DlibAttribute, count: int = 3) -> np.ndarray:
    side = model.crop.size
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3)).astype(np.uint8)


@MODELS
def test_a_proposal_is_a_distribution_for_each_face(model, width: int):
    proposed = model().propose(crops_for(model()))

    assert proposed.shape == (3, width)
    assert proposed.sum(axis=1) == pytest.approx(np.ones(3))
    assert proposed.min() >= 0


@MODELS
def test_a_mirror_changes_nothing(model, width: int):
    crops = crops_for(model())

    assert model().propose(crops[:, :, ::-1]) == pytest.approx(model().propose(crops), abs=1e-6)


@MODELS
def test_no_faces_are_no_proposals_and_other_sizes_are_refused(model, width: int):
    side = model().crop.size

    assert model().propose(np.zeros((0, side, side, 3), np.uint8)).shape == (0, width)
    with pytest.raises(CropsDoNotFit):
        model().propose(np.zeros((1, side + 1, side, 3), np.uint8))


def test_many_faces_are_told_as_each_by_itself():
    crops = crops_for(cold_gender(), 70)  # more than one batch

    together = cold_gender().propose(crops)

    assert together[65] == pytest.approx(cold_gender().propose(crops[65:66])[0], abs=1e-5)


def test_the_first_year_counts_a_quarter():
    assert expected_years(np.eye(OLDEST + 1)[[0, 1, 80]]).tolist() == [0.25, 1, 80]


@pytest.mark.realdata
def test_most_adults_are_told_rightly(shared_data: Path, tmp_path: Path):
    files = sorted((shared_data / "utkface").glob("[34]?_*.jpg"))[::40][:40]
    for file in files:
        (tmp_path / file.name).symlink_to(file)

    entries, ages, genders = found_in(tmp_path)

    assert len(entries) >= 36
    values = [entry.values["gender"] for entry in entries]
    told = [cold_gender().attribute.values[index] for index in cold_gender().propose(genders).argmax(axis=1)]
    assert np.mean([one == other for one, other in zip(values, told, strict=True)]) > 0.8
    apart = expected_years(cold_age().propose(ages)) - [entry.age.low for entry in entries if entry.age]
    assert np.abs(apart).mean() < 12
