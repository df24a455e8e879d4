"""A datasheet answers what is known, and nothing scraped breaks it."""

import pytest

from annotation.core.datasheet import by_ten, datasheet
from annotation.core.release import write_release
from tests.annotation.core.releases import a_row, hostile_rows, some_rows


def test_it_tells_counts_by_part_ages_by_ten_and_who_decided(tmp_path):
    notes = {"purpose": "To learn gender.", "annotators": {"gender": 3}, "moved_to_test": 2}
    rows = [a_row(n, split="train") for n in range(1, 24)]

    text = datasheet(write_release(tmp_path / "r", rows, name="first", query={"min_size": 20}, notes=notes).description)

    assert "# Datasheet: first" in text
    assert "To learn gender." in text
    assert "| train | 23 | 100.0% |" in text
    assert "| 10–19 | 10 | 0 | 0 |" in text
    assert "- gender: 3 people answered." in text
    assert "2 faces that an earlier release had for training" in text
    assert "| min_size | 20 |" in text


def test_no_name_breaks_a_table_or_becomes_a_link(tmp_path):
    text = datasheet(write_release(tmp_path / "r", hostile_rows(), name="a|b [c](d)\n# e", query={}).description)

    assert r"# Datasheet: a\|b \[c\](d) # e" in text
    assert not [line for line in text.splitlines() if "<y>" in line and r"\<y\>" not in line]


def test_what_nobody_stated_is_said_to_be_so(tmp_path):
    text = datasheet(write_release(tmp_path / "r", some_rows(3), name="r", query={}).description)

    assert "stated no purpose" in text


@pytest.mark.parametrize(("years", "ten"), [("0", "0–9"), ("29", "20–29"), ("116", "110–119"), ("cannot_tell",) * 2])
def test_by_ten(years, ten):
    assert by_ten(years) == ten
