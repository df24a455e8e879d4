"""A diff says what is in one release and not in the other."""

from annotation.core.release import LabelValue, write_release
from annotation.core.release_diff import diff
from tests.annotation.core.releases import a_row


def released(folder, rows):
    return write_release(folder, rows, name=folder.name, query={})


def test_added_removed_moved_renamed_and_relabelled_faces_are_counted_with_examples(tmp_path):
    female, male = (LabelValue(value, decided_by="person") for value in ("female", "male"))
    older = [
        a_row(1, split="train", labels={"gender": female}),
        a_row(2, split="train", labels={"real_age": LabelValue(30.0, decided_by="import")}),
        a_row(3, split="test", labels={}),
        a_row(5, split="train", labels={}, identity=1),
    ]
    newer = [
        a_row(2, split="test", labels={"real_age": LabelValue(31.0, decided_by="import")}),
        a_row(3, split="test", labels={"gender": male}),
        a_row(4, split="validation", labels={}),
        a_row(5, split="train", labels={}, identity=2),
    ]

    found = diff(released(tmp_path / "a", older), released(tmp_path / "b", newer)).as_json()

    assert found["kept"] == 3
    assert found["added"] == {"count": 1, "faces": [4]}
    assert found["removed"] == {"count": 1, "faces": [1]}
    assert found["moved"] == {"train → test": {"count": 1, "faces": [2]}}
    assert found["renamed"] == {"count": 1, "faces": [5]}
    assert found["labels"]["real_age"] == {"another age": {"count": 1, "faces": [2]}}
    assert found["labels"]["gender"] == {"none → male": {"count": 1, "faces": [3]}}
    assert found["splits"] == {"train": -2, "validation": 1, "test": 1}
    assert found["test_only_grew"]


def test_a_face_that_left_the_test_is_told(tmp_path):
    older, newer = [a_row(1, split="test")], [a_row(1, split="train")]

    assert not diff(released(tmp_path / "a", older), released(tmp_path / "b", newer)).test_only_grew


def test_a_release_does_not_differ_from_itself(tmp_path):
    release = released(tmp_path / "a", [a_row(n) for n in range(1, 9)])

    found = diff(release, release)

    assert (found.kept, found.added.count, found.removed.count, found.moved, found.labels) == (8, 0, 0, {}, {})
