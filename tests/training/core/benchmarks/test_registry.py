"""Every protocol can be named, has figures to stand among, and says so where its set is absent."""

from dataclasses import replace
from pathlib import Path

import pytest

from inference.core.attributes import EMOTION, GENDER
from tests.training.core.benchmarks.sets import contestant
from training.core.benchmarks.protocol import NotMeasured
from training.core.benchmarks.published import NOT_KNOWN, PUBLISHED
from training.core.benchmarks.registry import BENCHMARKS, UnknownBenchmark, WrongModel, measure


@pytest.mark.parametrize("name", BENCHMARKS)
def test_an_absent_or_empty_set_is_not_measured(name: str, tmp_path: Path):
    with pytest.raises(NotMeasured, match="There is no"):
        measure(name, tmp_path / "gone", contestant())
    with pytest.raises(NotMeasured):
        measure(name, tmp_path, contestant())


def test_every_protocol_has_published_rows_and_the_papers_among_them():
    assert {name.removesuffix("-frontal") for name in BENCHMARKS} == set(PUBLISHED)
    assert all(any("the paper" in row.method for row in rows) for rows in PUBLISHED.values())
    assert all(row.source and 2000 < row.year < 2027 for rows in PUBLISHED.values() for row in rows)


def test_a_published_figure_is_a_number_or_said_to_be_unknown():
    figures = [figure for rows in PUBLISHED.values() for row in rows for figure in row.figures.values()]

    assert all(figure == NOT_KNOWN or float(figure.split(" ± ")[0]) > 0 for figure in figures)


def test_a_wrong_name_is_refused_with_the_near_one():
    with pytest.raises(UnknownBenchmark, match="Did you mean 'fgnet'"):
        measure("fg-net", Path(), contestant())


def test_a_model_of_something_else_is_refused(tmp_path: Path):
    with pytest.raises(WrongModel, match="tells gender, and fgnet judges real_age or apparent_age"):
        measure("fgnet", tmp_path, replace(contestant(), brought=GENDER))
    with pytest.raises(WrongModel, match="judges a backbone"):
        measure("lfw", tmp_path, replace(contestant(), brought=EMOTION))
    with pytest.raises(NotMeasured):
        measure("fer2013", tmp_path, replace(contestant(), brought=EMOTION))
