"""From a release to what is learnt from."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from annotation.core.release import LabelValue, write_release
from inference.core.types import CropSpec
from tests.annotation.core.releases import a_row
from tests.training.core.lessons import a_config, a_release, mean_face, some_examples
from training.core.augment import augment
from training.core.data import (
    Examples,
    NothingToLearnFrom,
    Pictures,
    crops_of,
    group_of,
    load,
    order_of,
    targets,
)


def test_the_faces_with_a_label_are_loaded_with_it(tmp_path: Path) -> None:
    release = a_release(tmp_path / "r", 40)

    lessons = load([release], "train", a_config("gender"), tmp_path / "cache")

    assert len(lessons) == len(lessons.pictures) == 24
    assert set(lessons.slices["gender"]) == {"female", "male"}
    male = lessons.values == 1
    pictures = lessons.pictures.take(slice(None)).mean(axis=(1, 2))
    assert (pictures[male, 0] > pictures[male, 2]).all()
    assert (pictures[~male, 0] < pictures[~male, 2]).all()


def test_faces_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = [a_row(n, group=n, landmarks=mean_face()) for n in range(1, 41)]  # every fourth lacks its gender
    release = write_release(tmp_path / "r", rows, name="r", query={})

    lessons = load([release], "train", a_config("gender"), tmp_path / "cache")

    assert 0 < len(lessons) < release.counts["splits"]["train"]


def test_no_attribute_is_learnt_from_the_control_slice_and_all_of_it_is_judged(tmp_path: Path) -> None:
    rows = [replace(row, control=row.face % 8 in (0, 2, 3)) for row in a_release(tmp_path / "r", 40).faces()]
    release = write_release(tmp_path / "c", rows, name="c", query={})

    def loaded(split: str, task: str = "gender") -> int:
        return len(load([release], split, a_config(task), tmp_path / "cache"))

    taught = {split: sum(row.split == split and not row.control for row in rows) for split in ("train", "validation")}
    assert {split: loaded(split) for split in taught} == taught
    parts = release.counts["splits"]
    assert loaded("test") == parts["test"]
    assert loaded("train", "embedding") == parts["train"] > taught["train"] > 0


def test_a_part_that_is_of_the_control_slice_alone_says_so(tmp_path: Path) -> None:
    rows = [replace(row, control=True) for row in a_release(tmp_path / "r", 10).faces()]
    release = write_release(tmp_path / "c", rows, name="c", query={})

    with pytest.raises(NothingToLearnFrom, match="no face with a gender but those of the control slice"):
        load([release], "train", a_config("gender"), tmp_path / "cache")


def test_no_label_at_all_is_said_with_the_way_out(tmp_path: Path) -> None:
    release = a_release(tmp_path / "nobody", gender=False)

    with pytest.raises(NothingToLearnFrom, match=r"train part of nobody has no face with a gender\. .* of new "):
        load([release], "train", a_config("gender"), tmp_path / "cache")


def test_crops_are_cut_once(tmp_path: Path) -> None:
    release = a_release(tmp_path / "r", 20)
    first, faces = crops_of(release, "test", CropSpec("arcface-112", 112), tmp_path / "cache")
    (release.folder / "faces" / "00000.parquet").unlink()

    again, same = crops_of(release, "test", CropSpec("arcface-112", 112), tmp_path / "cache")

    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(faces, same)


def test_two_releases_are_joined_and_their_people_kept_apart(tmp_path: Path) -> None:
    releases = [a_release(tmp_path / "a", 20), a_release(tmp_path / "b", 40, photos=1_000)]
    one, other = (load([each], "train", a_config("embedding"), tmp_path / "cache") for each in releases)

    both = load(releases, "train", a_config("embedding"), tmp_path / "cache")

    assert len(both) == len(one) + len(other)
    assert len(np.unique(both.values)) == len(np.unique(one.values)) + len(np.unique(other.values))
    np.testing.assert_array_equal(both.pictures.take(np.array([0])), one.pictures.take(np.array([0])))
    np.testing.assert_array_equal(both.pictures.take(np.array([len(one)])), other.pictures.take(np.array([0])))


def test_a_coins_throw_counts_nothing_and_a_sure_label_counts_whole(tmp_path: Path) -> None:
    def row(number: int, confidence: float | None):
        label = LabelValue("male", (0.0, 1.0), None, confidence, "person")
        return a_row(number, split="train", landmarks=mean_face(), labels={"gender": label})

    release = write_release(tmp_path / "r", [row(1, 0.5), row(2, 0.75), row(3, 1.0), row(4, None)], name="r", query={})

    trusting = load([release], "train", a_config("gender", trust_labels=True), tmp_path / "cache")
    doubting = load([release], "train", a_config("gender"), tmp_path / "cache")

    np.testing.assert_array_equal(trusting.weights, [1, 1, 1, 1])
    np.testing.assert_array_equal(doubting.weights, [0, 0.5, 1, 1])


def test_the_votes_are_the_target_of_an_emotion(tmp_path: Path) -> None:
    config = a_config("emotion")
    lessons = load([a_release(tmp_path / "r", 20)], "train", config, tmp_path / "cache")

    torch.testing.assert_close(targets(lessons, np.array([0]), config)[0], torch.tensor([0, 0, 0, 0.8, 0.2, 0, 0]))


def test_an_apparent_age_spreads_as_its_annotators_did(tmp_path: Path) -> None:
    lessons = load([a_release(tmp_path / "r", 20)], "train", a_config("real_age"), tmp_path / "cache")
    real, apparent = a_config("real_age"), a_config("apparent_age")
    looks = load([a_release(tmp_path / "s", 20)], "train", apparent, tmp_path / "cache")

    def spread(target: torch.Tensor) -> float:
        grid = torch.arange(101.0)
        mean = (target[0] @ grid).item()
        return ((target[0] @ (grid - mean) ** 2) ** 0.5).item()

    old = np.flatnonzero(lessons.values > 20)[:1]  # far from the end of the years
    assert spread(targets(lessons, old, real)) == pytest.approx(2, abs=0.05)  # a record of half a year: as the setting
    assert spread(targets(looks, old, apparent)) == pytest.approx(3, abs=0.05)


def test_ages_between_two_groups_belong_to_the_nearer_one() -> None:
    groups = ((0, 2), (4, 6), (8, 13))

    assert group_of(np.array([0, 2.9, 3.1, 6.5, 7.5, 90]), groups).tolist() == [0, 0, 1, 1, 2, 2]


def uneven(rare: int, common: int) -> Examples:
    values = np.array([0.0] * rare + [1.0] * common)
    return Examples(
        pictures=Pictures.of(np.zeros((len(values), 1, 1, 3), np.uint8)), values=values, groups=values.astype(int)
    )


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.1), (0.5, 0.25), (1.0, 0.5)])
def test_rare_classes_come_as_often_as_balance_says(balance: float, share: float) -> None:
    order = order_of(uneven(100, 900), a_config("gender", balance=balance), 0)

    assert len(order) == 1000
    assert (order < 100).mean() == pytest.approx(share, abs=0.01)


def test_nobody_is_drawn_much_more_often_than_due() -> None:
    drawn = Counter(order_of(uneven(100, 900), a_config("gender", balance=1.0), 0).tolist())

    assert {count for face, count in drawn.items() if face < 100} == {5}
    assert max(count for face, count in drawn.items() if face >= 100) == 1


def test_an_epoch_has_its_own_order_and_the_same_one_again() -> None:
    config, lessons = a_config("gender"), uneven(50, 50)

    assert order_of(lessons, config, 0).tolist() == order_of(lessons, config, 0).tolist()
    assert order_of(lessons, config, 0).tolist() != order_of(lessons, config, 1).tolist()


def test_augmentation_hangs_on_its_generator_alone() -> None:
    faces = torch.from_numpy(some_examples(4).pictures.take(slice(None))).permute(0, 3, 1, 2).float()

    one, same, other = (augment(faces, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))

    torch.testing.assert_close(one, same)
    assert not torch.equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 255


def test_without_strength_nothing_changes() -> None:
    faces = torch.rand(2, 3, 32, 32) * 255

    assert torch.equal(augment(faces, torch.Generator().manual_seed(0), 0.0), faces)


def test_faces_keep_their_light_on_average() -> None:
    faces = torch.full((2_000, 3, 8, 8), 127.0)

    assert augment(faces, torch.Generator().manual_seed(0)).mean().item() == pytest.approx(127, abs=2)


def test_two_processes_may_cut_the_same_crops_at_once(tmp_path: Path) -> None:
    release = a_release(tmp_path / "r", 40)
    script = (
        "import sys; from pathlib import Path; from annotation.core.release import open_release; "
        "from inference.core.types import CropSpec; from training.core.data import crops_of; "
        "release, cache = open_release(Path(sys.argv[1])), Path(sys.argv[2]); "
        "print(crops_of(release, 'train', CropSpec('arcface-112', 112), cache)[0].sum())"
    )
    command = [sys.executable, "-c", script, str(release.folder), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]

    sums = [process.communicate(timeout=120)[0] for process in both]

    assert [process.returncode for process in both] == [0, 0]
    assert sums[0] == sums[1] != ""
    assert not list((tmp_path / "cache").glob("*.part"))
