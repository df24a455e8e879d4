"""A diff says what is in one release and not in the other."""

from annotation.core.release import LabelValue, write_release
from annotation.core.release_diff import diff, of_test
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
    assert of_test(found) == "The test only grew."


def test_a_face_that_left_the_test_is_told(tmp_path):
    older, newer = [a_row(1, split="test")], [a_row(1, split="train")]

    found = diff(released(tmp_path / "a", older), released(tmp_path / "b", newer))

    assert not found.test_only_grew
    assert of_test(found.as_json()) == "Faces moved out of the test."


def test_the_test_did_not_only_grow_if_faces_of_it_left_the_release(tmp_path):
    older = [a_row(1, split="test"), a_row(2, split="test"), a_row(3, split="train")]
    newer = [a_row(2, split="test"), a_row(4, split="test")]

    found = diff(released(tmp_path / "a", older), released(tmp_path / "b", newer))

    assert not found.test_only_grew
    assert found.as_json()["left_test"] == {"count": 1, "faces": [1]}
    assert of_test(found.as_json()) == "No face moved out of the test; 1 left the release."


def test_what_older_code_kept_of_a_difference_is_not_said_to_be_more_than_it_counted(tmp_path):
    kept = {"moved": {}, "removed": {"count": 0, "faces": []}, "test_only_grew": True}

    assert of_test(kept) == "The test only grew."
    assert of_test(kept | {"removed": {"count": 3, "faces": [1, 2, 3]}}) == "No face moved out of the test."


def test_a_release_does_not_differ_from_itself(tmp_path):
    release = released(tmp_path / "a", [a_row(n) for n in range(1, 9)])

    found = diff(release, release)

    assert (found.kept, found.added.count, found.removed.count, found.moved, found.labels) == (8, 0, 0, {}, {})
