"""CSV that a spreadsheet may open."""

import csv

import pytest

from annotation.core.tables import csv_lines, inert


def test_lines_read_back_as_they_were() -> None:
    rows = [("a,b", 1), ('say "hi"', 2), ("two\nlines", 3)]

    lines = list(csv_lines(["name", "number"], rows))

    assert list(csv.reader("".join(lines).splitlines(keepends=True))) == [
        ["name", "number"],
        ["a,b", "1"],
        ['say "hi"', "2"],
        ["two\nlines", "3"],
    ]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_text_becomes_a_formula(text: str) -> None:
    assert inert(text) == f"'{text}"


@pytest.mark.parametrize("value", ["Ada", "", -1, None, 0.5])
def test_all_else_is_left_as_it_is(value: object) -> None:
    assert inert(value) == value
