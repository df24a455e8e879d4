"""Whatever format a release is taken along in, reading it back gives the same faces."""

import io
import json
import tarfile

import cv2
import numpy as np
import pyarrow as pa
import pytest

from annotation.core import release as release_format
from annotation.core.release import SCHEMA, FaceRow, LabelValue, Release, open_release, write_release
from annotation.core.release_formats import coco, image_folder, native, table, webdataset
from annotation.core.release_formats.entry import BadExport, tar_stream
from annotation.core.release_formats.formats import FORMATS, UnknownFormat, export, format_named, stream
from annotation.core.splits import SPLITS
from inference.core.attributes import UnknownAttribute
from tests.annotation.core.releases import HOSTILE, a_row, forge, hostile_rows, some_rows, told


@pytest.fixture
def release(tmp_path, monkeypatch) -> Release:
    return frozen(tmp_path, monkeypatch, some_rows(23))


def frozen(tmp_path, monkeypatch, rows: list[FaceRow]) -> Release:
    monkeypatch.setattr(release_format, "SHARD", 8)
    monkeypatch.setattr(release_format, "GROUP", 4)
    monkeypatch.setattr(webdataset, "SHARD", 5)
    return write_release(tmp_path / "r", rows, name="first", query={})


def by_face(rows) -> list[dict]:
    return sorted(told(rows), key=lambda columns: columns["face"])


@pytest.mark.parametrize("name", FORMATS)
def test_a_folder_read_back_gives_the_same(name, release, tmp_path):
    export(release, format_named(name), tmp_path / "out")

    assert by_face(FORMATS[name].read(tmp_path / "out")) == told(release.faces())


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_release_of_an_older_format_lacks_is_not_missed(name, tmp_path, monkeypatch):
    monkeypatch.setattr(release_format, "SCHEMA", pa.schema([each for each in SCHEMA if each.name != "control"]))
    forge(frozen(tmp_path, monkeypatch, some_rows(5)), {"format": 1})
    older = open_release(tmp_path / "r")

    export(older, format_named(name), tmp_path / "out")

    assert by_face(FORMATS[name].read(tmp_path / "out")) == told(older.faces())


@pytest.mark.parametrize("name", FORMATS)
def test_a_tar_read_back_gives_the_same(name, release, tmp_path):
    content = b"".join(stream(release, format_named(name)))

    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        tar.extractall(tmp_path / "out", filter="data")
    place = tmp_path / "out"
    if name == "webdataset":
        place = tmp_path / "one.tar"
        place.write_bytes(content)
    assert by_face(FORMATS[name].read(place)) == told(release.faces())


@pytest.mark.parametrize("name", FORMATS)
def test_names_that_mean_harm_come_back_as_they_were_and_lie_nowhere_else(name, tmp_path, monkeypatch):
    release = frozen(tmp_path, monkeypatch, hostile_rows())

    export(release, format_named(name), tmp_path / "out")

    assert by_face(FORMATS[name].read(tmp_path / "out")) == told(release.faces())
    assert {path.name for path in tmp_path.iterdir()} == {"r", "out"}
    for path in (tmp_path / "out").rglob("*"):
        assert not any(bad and bad in path.name for bad in HOSTILE)


@pytest.mark.parametrize("name", FORMATS)
def test_equal_releases_make_equal_tars(name, release):
    assert b"".join(stream(release, FORMATS[name])) == b"".join(stream(release, FORMATS[name]))


def test_a_spreadsheet_computes_nothing_of_what_a_scraper_brought(tmp_path, monkeypatch):
    release = frozen(tmp_path, monkeypatch, hostile_rows())

    text = b"".join(next(table.entries(release)).content()).decode()

    assert "'=HYPERLINK" in text
    assert ",=HYPERLINK" not in text
    assert ',"=HYPERLINK' not in text


def test_pictures_lie_by_the_value_of_an_attribute_when_asked(release, tmp_path):
    export(release, format_named("images", by="gender"), tmp_path / "out")

    assert {path.name for path in (tmp_path / "out/train").iterdir()} == {"female", "metadata.jsonl"}
    assert by_face(image_folder.read(tmp_path / "out")) == told(release.faces())


def test_faces_without_the_attribute_are_no_class_of_any_part(tmp_path, monkeypatch):
    female = LabelValue("female", decided_by="person")
    held = [("train", female), ("train", None), ("test", female), ("test", LabelValue(None, decided_by="person"))]
    rows = [
        a_row(face, split=split, labels={"gender": label} if label else {})
        for face, (split, label) in enumerate([*held, ("validation", None)], 1)
    ]

    export(frozen(tmp_path, monkeypatch, rows), format_named("images", by="gender"), tmp_path / "out")

    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert files == {
        "train/female/000000000001.jpg", "unlabelled/train/000000000002.jpg", "test/female/000000000003.jpg",
        "unlabelled/test/000000000004.jpg", "unlabelled/validation/000000000005.jpg", "train/metadata.jsonl",
        "test/metadata.jsonl", *(f"unlabelled/{split}/metadata.jsonl" for split in SPLITS),
    }  # fmt: skip
    assert by_face(image_folder.read(tmp_path / "out")) == told(rows)


def test_what_older_code_laid_out_with_the_unlabelled_in_their_part_is_read_back(release, tmp_path):
    export(release, format_named("images"), tmp_path / "out")
    (tmp_path / "out/train/unlabelled").mkdir()
    (tmp_path / "out/train/000000000001.jpg").rename(tmp_path / "out/train/unlabelled/000000000001.jpg")
    lines = tmp_path / "out/train/metadata.jsonl"
    lines.write_text(lines.read_text().replace('"000000000001.jpg"', '"unlabelled/000000000001.jpg"'))

    assert by_face(image_folder.read(tmp_path / "out")) == told(release.faces())


def test_an_attribute_that_is_none_is_refused(release, tmp_path):
    with pytest.raises(UnknownAttribute):
        export(release, format_named("images", by="height"), tmp_path / "out")
    with pytest.raises(ValueError, match="Only the format 'images'"):
        format_named("coco", by="gender")


def test_coco_s_boxes_and_points_lie_in_the_pictures(release, tmp_path):
    export(release, format_named("coco"), tmp_path / "out")

    document = json.loads((tmp_path / "out/annotations/train.json").read_text())

    image, annotation = document["images"][0], document["annotations"][0]
    assert annotation["image_id"] == image["id"]
    assert document["licenses"][image["license"] - 1]["name"] == "CC0-1.0"
    assert len(annotation["keypoints"]) == 204
    x, y, _, height = annotation["bbox"]
    assert min(annotation["keypoints"][0::3]) == pytest.approx(x, abs=0.01)
    assert max(annotation["keypoints"][1::3]) == pytest.approx(y + height, abs=0.01)
    picture = cv2.imread(str(tmp_path / "out/images" / image["file_name"]))
    assert picture.shape[:2] == (image["height"], image["width"])


def test_webdataset_s_shards_are_of_one_part_and_of_bounded_size(release, tmp_path):
    export(release, format_named("webdataset"), tmp_path / "out")

    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names[:1] + names[-3:] == [
        "test-000000.tar",
        "train-000002.tar",
        "validation-000000.tar",
        "validation-000001.tar",
    ]
    with tarfile.open(tmp_path / "out/train-000000.tar") as tar:
        assert len(tar.getnames()) == 10
        assert tar.getnames()[:2] == ["000000000001.jpg", "000000000001.json"]


def test_landmarks_are_told_as_short_as_they_are(release):
    line = json.loads(next(iter(next(image_folder.entries(release)).content())))

    assert line["landmarks"][:2] == [np.float32(1.1).astype(float).round(6), 3.8]


def test_an_unknown_format_names_those_there_are():
    with pytest.raises(UnknownFormat, match=r"Did you mean 'webdataset'\? Known are: parquet"):
        format_named("webdatset")


def test_an_export_never_mixes_with_what_is_there(release, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine").touch()

    with pytest.raises(FileExistsError, match="is not empty"):
        export(release, format_named("csv"), tmp_path / "out")


@pytest.mark.parametrize("read", [webdataset.read, image_folder.read, table.read, coco.read])
def test_what_is_no_export_is_refused(read, tmp_path):
    with pytest.raises(BadExport):
        list(read(tmp_path))


def test_an_export_that_names_a_file_elsewhere_is_refused(release, tmp_path):
    export(release, format_named("images"), tmp_path / "out")
    path = tmp_path / "out/train/metadata.jsonl"
    path.write_text(path.read_text().replace("000000000001.jpg", "../../../etc/passwd"))

    with pytest.raises(BadExport, match="has no file"):
        list(image_folder.read(tmp_path / "out"))


def test_a_cut_off_tar_is_refused(release, tmp_path):
    export(release, format_named("webdataset"), tmp_path / "out")
    path = tmp_path / "out/train-000000.tar"
    path.write_bytes(path.read_bytes()[:3_000])

    with pytest.raises(BadExport):
        list(webdataset.read(path))


def test_native_files_are_the_release_s_own(release, tmp_path):
    export(release, format_named("parquet"), tmp_path / "out")

    copy = release_format.open_release(tmp_path / "out")
    copy.verify()
    assert copy.id == release.id
    assert next(iter(native.read(tmp_path / "out"))).face == 1
    assert b"".join(tar_stream([])) == b"\0" * 1_024
