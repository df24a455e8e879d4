import datetime
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.core.dates import PartialDate, parse_date
from annotation.core.manifests import BadManifest, FirstRows, Row, read, resolve
from annotation.core.refusals import Refusal

HEADER = "file,query,taken_at,birth_date,mood\n"


def a_csv(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "m.csv"
    path.write_bytes(text.encode(encoding))
    return path


def rows(path: Path) -> list[Row]:
    return [item for item in read(path) if isinstance(item, Row)]


def reasons(path: Path) -> list[str]:
    return [item.reason for item in read(path) if isinstance(item, Refusal)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_row_says_what_is_known_of_its_picture(tmp_path: Path, encoding: str):
    path = a_csv(tmp_path, HEADER + "a/1.jpg,Zoë,2019-07,1980,=1+1\n", encoding)
    (row,) = rows(path)
    assert (row.line, row.place, row.texts) == (2, "a/1.jpg", {"query": "Zoë"})
    assert row.dates["taken_at"] == PartialDate(datetime.date(2019, 7, 1), "month")
    assert row.dates["birth_date"].precision == "year"
    assert row.metadata == {"mood": "=1+1"}


def test_jsonl_and_parquet_say_the_same(tmp_path: Path):
    said = [{"file": "1.jpg", "query": "Ada", "taken_at": "2020-02-29", "faces": 3}, {"url": "https://x.example/2.jpg"}]
    (tmp_path / "m.jsonl").write_text("\n".join(json.dumps(row) for row in said) + "\n\n")
    pq.write_table(pa.Table.from_pylist([{"file": None, "url": None} | row for row in said]), tmp_path / "m.parquet")
    for name in ("m.jsonl", "m.parquet"):
        first, second = rows(tmp_path / name)
        assert (first.place, first.texts["query"], first.metadata["faces"]) == ("1.jpg", "Ada", 3)
        assert second.is_address


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fil,query\n1.jpg,x\n", "Did you mean 'file'"),
        ("picture,query\n", "Its columns are: picture, query"),
        ("", "Its columns are: none"),
        ("file,file\n1.jpg,2.jpg\n", "names a column twice"),
    ],
)
def test_a_manifest_without_its_columns_says_which_there_are(tmp_path: Path, text: str, message: str):
    with pytest.raises(BadManifest, match=message):
        rows(a_csv(tmp_path, text))


def test_another_encoding_is_named_with_the_way_to_convert_it(tmp_path: Path):
    with pytest.raises(BadManifest, match="iconv"):
        rows(a_csv(tmp_path, HEADER + "1.jpg,Zoë,,,\n", "latin-1"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1.jpg,x,2019-13-01,,", "taken_at '2019-13-01' is no date"),
        ("1.jpg,x,30.7.2019,,", "Write YYYY-MM-DD"),
        ("1.jpg,x,2019-02-30,,", "is no date"),
        ("1.jpg,x,1979,1980-05-05,", "Born on 1980-05-05, after the photo was taken in 1979"),
        ("1.jpg,x,2020,1850,", "more than 116"),
        ("1.jpg,x", "2 values for 5 columns"),
        ("1.jpg,x,,,a,b", "6 values for 5 columns"),
        (",x,,,", "names no picture"),
        ("1.jpg," + "x" * 301 + ",,,", "301 characters"),
        ("1.jpg,a\0b,,,", "NUL"),
    ],
)
def test_a_bad_row_is_refused_by_its_line_and_the_others_are_read(tmp_path: Path, line: str, message: str):
    path = a_csv(tmp_path, HEADER + "0.jpg,,,,\n" + line + "\n2.jpg,,,,\n")
    assert [row.place for row in rows(path)] == ["0.jpg", "2.jpg"]
    (reason,) = reasons(path)
    assert reason.startswith("Line 3: ")
    assert message in reason


def test_born_in_the_year_of_the_photo_is_possible(tmp_path: Path):
    assert len(rows(a_csv(tmp_path, HEADER + "1.jpg,,1980,1980-05-05,\n"))) == 1


def test_bad_json_is_refused_line_by_line(tmp_path: Path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"file": "1.jpg"}\n{"file": \n[1]\n' + "[" * 100_000 + "\n" + '{"file": "2.jpg"}\n')
    assert [row.place for row in rows(path)] == ["1.jpg", "2.jpg"]
    assert len(reasons(path)) == 3


def test_what_is_no_manifest_says_so(tmp_path: Path):
    for name in ("m.parquet", "m.docx"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(BadManifest):
            rows(tmp_path / name)


@pytest.mark.parametrize("place", ["../1.jpg", "/etc/passwd", "a/../../1.jpg"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, place: str):
    (tmp_path / "root").mkdir()
    with pytest.raises(ValueError, match="leads out"):
        resolve(tmp_path / "root", place)


def test_a_link_that_leads_out_is_refused(tmp_path: Path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "1.jpg").symlink_to("/etc/passwd")
    with pytest.raises(ValueError, match="leads out"):
        resolve(tmp_path / "root", "1.jpg")


def test_dates_with_a_time_are_dates():
    assert parse_date("taken_at", "2019-07-30T10:11:12Z").day == datetime.date(2019, 7, 30)
    assert parse_date("taken_at", datetime.datetime(2019, 7, 30, 1)).precision == "day"


def test_a_row_contradicts_the_first_of_its_name_only_if_it_says_something_else():
    first = FirstRows()

    said = [first.contradicts(Row(n, place, {"query": query})) for n, (place, query) in enumerate(
        [("a.jpg", "x"), ("b.jpg", "x"), ("a.jpg", "x"), ("a.jpg", "y"), ("a.jpg", "x"), ("b.jpg", "")]
    )]  # fmt: skip

    assert said == [False, False, False, True, False, True]


def test_twenty_thousand_names_take_no_memory():
    first = FirstRows()
    tracemalloc.start()
    try:
        for number in range(20_000):
            first.contradicts(Row(number, f"{number}.jpg"))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 200_000  # bytes; a dict of hashes keeps four million
