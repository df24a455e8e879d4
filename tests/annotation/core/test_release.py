"""A release is what was frozen, whole and consistent, or it is refused."""

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core import release as format_
from annotation.core.release import (
    SCHEMA,
    BadRelease,
    BadRow,
    LabelValue,
    Release,
    SplitLeak,
    in_two_parts,
    open_release,
    write_release,
)
from tests.annotation.core.releases import a_row, forge, hostile_rows, some_rows, told

WHEN = datetime(2026, 11, 25, 9, tzinfo=UTC)


def written(folder: Path, rows=None, **options) -> Release:
    defaults = {"name": "first", "query": {"attributes": ["gender"]}, "created": WHEN}
    return write_release(folder, some_rows(20) if rows is None else rows, **(defaults | options))


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(format_, "SHARD", 8)
    monkeypatch.setattr(format_, "GROUP", 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": None},
        {"counts": {"splits": {"train": 1}}},
        {"attributes": None},
        {"attributes": {"gender": 1}},
        {"files": [{"file": None, "sha256": "0" * 64, "size": 1}]},
        {"files": [{"file": "faces/00000.parquet", "sha256": "0" * 64, "size": "1"}]},
    ],
)
def test_what_is_not_said_as_it_must_be_is_refused_though_its_id_fits(tmp_path, changes):
    release = write_release(tmp_path / "r", some_rows(3), name="r", query={})
    forge(release, changes)

    with pytest.raises(BadRelease, match=rf"does not say what it must \({next(iter(changes))}\)"):
        open_release(release.folder)


def test_reading_gives_back_what_was_written(tmp_path):
    rows = some_rows(20)

    found = open_release(written(tmp_path / "r", rows).folder)

    assert told(found.faces()) == told(rows)
    assert [shard.rows for shard in found.shards] == [8, 8, 4]
    assert found.description.name == "first"
    assert found.description.template == "wide-384"


def test_a_release_of_the_format_before_is_read_without_what_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(format_, "SCHEMA", pa.schema([each for each in SCHEMA if each.name not in format_.SINCE]))
    rows = some_rows(5)
    forge(written(tmp_path / "r", rows), {"format": 1})

    found = open_release(tmp_path / "r")

    assert found.description.format == 1
    assert "control" not in found.columns
    assert told(found.faces()) == told(rows)


def test_labels_come_without_reading_the_pictures(tmp_path):
    batch = next(written(tmp_path / "r").rows(["face", "gender", "gender_distribution"], "test"))

    assert batch.schema.names == ["face", "gender", "gender_distribution"]
    assert batch["face"].to_pylist() == [3, 7]


def test_landmarks_come_back_as_one_array(tmp_path):
    batch = next(written(tmp_path / "r").rows(["landmarks"]))

    points = batch["landmarks"].flatten().to_numpy().reshape(len(batch), 68, 2)

    assert points.dtype == np.float32
    assert np.array_equal(points[0], a_row(1).landmarks)


def test_pictures_are_not_compressed_twice(tmp_path):
    release = written(tmp_path / "r")

    file = pq.ParquetFile(release.path(release.shards[0])).metadata.row_group(0)

    codecs = {file.column(n).path_in_schema: file.column(n).compression for n in range(file.num_columns)}
    assert codecs.pop("image") == "UNCOMPRESSED"
    assert set(codecs.values()) == {"ZSTD"}


def test_the_same_rows_make_the_same_release_to_the_bit(tmp_path):
    one, other = written(tmp_path / "one"), written(tmp_path / "other")

    assert one.id == other.id
    assert [file.sha256 for file in one.description.files] == [file.sha256 for file in other.description.files]
    assert written(tmp_path / "third", some_rows(19)).id != one.id


def test_it_counts_what_is_in_it(tmp_path):
    rows = [a_row(n, split="train", group=n // 3, identity=n // 3) for n in range(1, 9)]

    counts = written(tmp_path / "r", rows).counts

    assert counts["faces"] == 8
    assert counts["splits"] == {"train": 8, "validation": 0, "test": 0}
    assert (counts["groups"], counts["identities"], counts["largest_group"]) == (3, 3, 3)
    assert counts["attributes"]["gender"]["train"] == {"female": 4, "male": 2}
    assert counts["attributes"]["emotion"]["train"] == {"happy": 6, "cannot_tell": 2}
    assert list(counts["attributes"]["real_age"]["train"]) == [str(n) for n in range(1, 9)]


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"group": 5}, "group"), ({"identity": 3}, "identity"), ({"sha256": "ab" * 32}, "photo")],
)
def test_whoever_would_be_in_two_parts_stops_the_release(tmp_path, fields, what):
    rows = [a_row(1, split="train", **fields), a_row(2, split="test", **fields)]

    with pytest.raises(SplitLeak, match=f"{what} .* would be in more than one part"):
        written(tmp_path / "r", rows)

    assert list(tmp_path.iterdir()) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), max_size=40))
def test_exactly_the_torn_keys_are_found(pairs):
    keys = np.array([key for key, _ in pairs], np.int64)
    split = np.array([part for _, part in pairs], np.int8)

    parts = {key: {part for other, part in pairs if other == key} for key, _ in pairs}
    assert in_two_parts(keys, split).tolist() == sorted(key for key, found in parts.items() if len(found) > 1)


def test_a_write_that_fails_half_way_leaves_nothing(tmp_path):
    def rows():
        yield from some_rows(10)
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        written(tmp_path / "r", rows())

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_write_left_is_removed(tmp_path):
    (tmp_path / ".r-abc" / "r" / "faces").mkdir(parents=True)
    (tmp_path / ".other-abc").mkdir()

    format_.remove_remains(tmp_path / "r")

    assert [path.name for path in tmp_path.iterdir()] == [".other-abc"]


def test_a_release_is_never_written_over(tmp_path):
    written(tmp_path / "r")

    with pytest.raises(FileExistsError, match="never edited"):
        written(tmp_path / "r")


def test_nothing_is_no_release(tmp_path):
    with pytest.raises(BadRow, match="Widen the query"):
        written(tmp_path / "r", [])


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([a_row(2), a_row(1)], "Face 1 comes after face 2"),
        ([a_row(1), a_row(1)], "Face 1 comes after face 1"),
        ([a_row(1, split="dev")], "part 'dev'"),
        ([a_row(1, sha256="xyz")], "no SHA-256"),
        ([a_row(1, landmarks=np.zeros((5, 2), np.float32))], "68 points"),
        ([a_row(1, image=b"")], "no picture"),
        ([a_row(1, labels={"height": LabelValue(1.8, decided_by="person")})], "Known are: real_age"),
        ([a_row(1, labels={"gender": LabelValue("robot", decided_by="person")})], "none of female, male"),
        ([a_row(1, labels={"gender": LabelValue(3.0, decided_by="person")})], "is not a class"),
        ([a_row(1, labels={"real_age": LabelValue("old", decided_by="person")})], "is not years"),
        ([a_row(1, labels={"gender": LabelValue("male", (0.5, 0.2), decided_by="person")})], "1 together"),
        ([a_row(1, labels={"gender": LabelValue("male")})], "who decided it"),
    ],
)
def test_a_row_that_cannot_be_is_refused_by_what_is_wrong_with_it(tmp_path, rows, said):
    with pytest.raises(BadRow, match=said):
        written(tmp_path / "r", rows)


def test_hostile_names_are_only_text(tmp_path):
    rows = hostile_rows()

    release = written(tmp_path / "r", rows)

    assert told(release.faces()) == told(rows)
    assert {path.name for path in release.folder.rglob("*")} == {
        "release.json", "DATASHEET.md", "faces", "00000.parquet",
    }  # fmt: skip


def test_a_changed_byte_is_found_by_verifying(tmp_path):
    release = written(tmp_path / "r")
    release.verify()
    shard = release.path(release.shards[1])
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)

    with pytest.raises(BadRelease, match=r"00001.parquet is damaged"):
        open_release(release.folder).verify()


def test_a_file_too_many_is_found_by_verifying(tmp_path):
    release = written(tmp_path / "r")
    (release.folder / "faces" / "99999.parquet").write_bytes(b"more")

    with pytest.raises(BadRelease, match="does not belong"):
        release.verify()


def _shorten(folder: Path) -> None:
    path = folder / "faces/00000.parquet"
    path.write_bytes(path.read_bytes()[:-1])


def _remove(folder: Path) -> None:
    (folder / "faces/00001.parquet").unlink()


def _link(folder: Path) -> None:
    path = folder / "faces/00001.parquet"
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")


def _edit(folder: Path) -> None:
    path = folder / "release.json"
    path.write_text(path.read_text().replace('"first"', '"forged"'))


def _lead_out(folder: Path) -> None:
    path = folder / "release.json"
    content = json.loads(path.read_text())
    content.pop("id")
    content["files"][0]["file"] = "../../secret.parquet"
    content["id"] = hashlib.sha256(format_._as_json(content).encode()).hexdigest()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (_shorten, r"has \d+ bytes instead of"),
        (_remove, "is missing"),
        (_link, "is missing"),
        (_edit, "its id is not the SHA-256"),
        (_lead_out, "cannot be a file of a release"),
        (lambda folder: (folder / "release.json").unlink(), "cannot be read"),
        (lambda folder: (folder / "release.json").write_text("{"), "cannot be read"),
        (lambda folder: (folder / "release.json").write_text("[" * 100_000), "cannot be read"),
        (lambda folder: (folder / "release.json").write_text('{"format": 99}'), "Release format 99"),
        (lambda folder: (folder / "release.json").write_text("3"), "Release format 3"),
    ],
)
def test_a_damaged_release_does_not_open(tmp_path, harm, said):
    folder = written(tmp_path / "r").folder
    harm(folder)

    with pytest.raises(BadRelease, match=said):
        open_release(folder)


def test_a_column_or_part_that_is_not_there_is_named(tmp_path):
    release = written(tmp_path / "r")

    with pytest.raises(BadRelease, match="no column 'colour'"):
        next(release.rows(["colour"]))
    with pytest.raises(BadRelease, match="no part 'dev'"):
        next(release.rows(["face"], "dev"))


def test_a_part_is_read_by_a_program_that_imports_nothing_else(tmp_path):
    release = written(tmp_path / "r")
    program = (
        "import sys, pathlib; from annotation.core.release import open_release; "
        "print(sum(len(b) for b in open_release(pathlib.Path(sys.argv[1])).rows(['face'], 'test')))"
    )

    said = subprocess.run([sys.executable, "-c", program, release.folder], capture_output=True, text=True, check=True)

    assert said.stdout == "5\n"


def test_which_faces_it_holds_is_found_in_the_one_file_that_can_have_them(tmp_path):
    release = written(tmp_path / "r", [a_row(n) for n in range(2, 60, 2)])

    assert release.holds([2, 3, 58, 99, 0, 16]) == {2, 16, 58}
    assert release.holds([]) == set()


def test_who_could_not_be_told_has_no_value_but_says_who_looked(tmp_path):
    rows = [a_row(1, labels={"emotion": LabelValue(None, decided_by="person", decision=4)})]

    (face,) = written(tmp_path / "r", rows).faces()

    assert face.labels["emotion"] == LabelValue(None, decided_by="person", decision=4)
    assert face.labels.keys() == {"emotion"}


def test_the_schema_has_what_training_reads():
    assert {"weight", "image", "landmarks", "group", "real_age_deviation", "emotion_distribution"} <= set(SCHEMA.names)
