"""Several releases beside each other: nothing that one learns from is what another judges by."""

from dataclasses import replace
from pathlib import Path

from annotation.core.release import Release, write_release
from tests.annotation.core.releases import a_row
from tests.training.core.lessons import a_config, mean_face
from training.core.apart import learnt, used
from training.core.data import load


def a_release(folder: Path, **parts: dict[int, list[int]]) -> Release:
    """By part, groups and the faces of each; a face has a photo of its own."""
    rows = [
        a_row(face, split=split, group=group, identity=group, landmarks=mean_face())
        for split, groups in parts.items()
        for group, faces in groups.items()
        for face in faces
    ]
    return write_release(folder, sorted(rows, key=lambda row: row.face), name=folder.name, query={})


def test_of_two_who_turn_out_to_be_one_the_tested_part_holds_and_nothing_counts_twice(tmp_path: Path) -> None:
    before = a_release(tmp_path / "before", train={2: [2, 3, 6, 7], 10: [10]}, validation={12: [12]}, test={20: [20]})
    # 2 and 20 are one person, as is known since; 3 is not in it any more, and 4 is new.
    after = a_release(tmp_path / "after", train={4: [4], 10: [10]}, validation={12: [12]}, test={2: [2, 6, 7, 20]})

    assert used([before, after], "train") == [set(), {4, 10}]
    assert used([before, after], "validation") == [set(), {12}]
    assert used([before, after], "test") == [set(), {2, 6, 7, 20}]
    assert used([after, before], "train") == [{4}, {10}]
    assert used([after, before], "test") == [{2, 6, 7}, {20}]  # the last that has it in that part
    assert sorted(learnt(after, [before])) == [2, 6, 7, 20]
    assert learnt(after, []).tolist() == []
    assert learnt(before, [after]).tolist() == []


def test_a_training_from_both_does_not_learn_from_what_it_is_judged_by(tmp_path: Path) -> None:
    before = a_release(tmp_path / "before", train={2: [2, 3], 4: [4]}, test={6: [6]})
    after = a_release(tmp_path / "after", train={4: [4]}, test={2: [2, 3, 6]})

    lessons = load([before, after], "train", a_config("real_age"), tmp_path / "cache")
    judged = load([before, after], "test", a_config("real_age"), tmp_path / "cache")

    assert lessons.values.tolist() == [4.0]
    assert sorted(judged.values) == [2.0, 3.0, 6.0]


def test_what_one_release_calls_control_is_learnt_from_no_other(tmp_path: Path) -> None:
    """An older one does not say so; nor does one from before anybody answered about the person."""
    older = a_release(tmp_path / "older", train={1: [1, 2], 4: [4]}, test={6: [6]})
    rows = [replace(row, control=row.face in (2, 6)) for row in older.faces()]
    newer = write_release(tmp_path / "newer", rows, name="newer", query={})

    def loaded(split: str, task: str, *releases: Release) -> int:
        return len(load(releases, split, a_config(task), tmp_path / "cache"))

    for order in ((older, newer), (newer, older)):
        assert loaded("train", "real_age", *order) == 2
        assert loaded("test", "real_age", *order) == 1
        assert loaded("train", "embedding", *order) == 3


def test_releases_that_share_nothing_are_used_whole(tmp_path: Path) -> None:
    one = a_release(tmp_path / "one", train={1: [1]}, test={2: [2]})
    other = a_release(tmp_path / "other", train={5: [5]}, test={6: [6]})

    assert used([one, other], "train") == [{1}, {5}]
    assert used([one, other], "test") == [{2}, {6}]
    assert learnt(other, [one]).tolist() == []
