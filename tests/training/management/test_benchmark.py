"""`manage.py benchmark` prints our row among the others, writes what it prints, and never guesses."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.training.core.benchmarks.sets import paint
from training.core.benchmarks.registry import BENCHMARKS
from training.management.commands.benchmark import NOT_MEASURED


def benchmark(*arguments: str) -> str:
    out = StringIO()
    call_command("benchmark", *arguments, stdout=out)
    return out.getvalue()


def test_the_list_names_every_protocol_and_its_layout():
    said = benchmark("--list")

    assert all(f"{name} " in said and each.layout in said for name, each in BENCHMARKS.items())


def test_our_row_stands_among_the_published_ones_and_is_written_with_pictures(tmp_path: Path):
    for emotion in ("happy", "sad"):
        for number in range(3):
            paint(tmp_path / "set" / emotion / f"{number}.png", 60 + 20 * number)

    out, told = tmp_path / "out", tmp_path / "told.json"
    said = benchmark("emotion-folders", "--data", str(tmp_path / "set"), "--out", str(out), "--json", str(told))

    assert "| **mini-Xception, as it is** |" in said
    assert "| DAGER (the paper), on its own set | 2017 | 76.1 |" in said
    assert "face found in 0 of 6 pictures; 6 without: whole picture used" in said
    assert "mini-Xception learnt from FER2013's training part" in said
    outcome = json.loads(told.read_text())
    assert outcome["measured"]
    assert outcome == json.loads((out / "outcome.json").read_text())
    assert sum(map(sum, outcome["ours"][0]["evaluation"]["confusion"])) == 6
    assert {path.name for path in out.rglob("*.png")} == {"confusion.png", "reliability.png"}
    assert said in (out / "report.md").read_text()


def test_an_absent_set_is_not_measured_with_its_own_exit_status(tmp_path: Path):
    with pytest.raises(CommandError, match=r"lfw: not measured\. There is no") as refused:
        benchmark("lfw", "--data", str(tmp_path / "gone"), "--json", str(tmp_path / "told.json"))

    assert refused.value.returncode == NOT_MEASURED
    told = json.loads((tmp_path / "told.json").read_text())
    assert told == {"measured": False, "protocol": "lfw", "reason": f"There is no {tmp_path / 'gone'}."}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["lwf", "--data", "."], "Did you mean 'lfw'"),
        (["lfw"], "--data"),
        ([], "--list"),
        (["lfw", "--data", ".", "--embedder", "/nowhere"], "is no bundle"),
        (["fgnet", "--data", ".", "--model", "/nowhere"], "is no bundle"),
        (["lfw", "--data", ".", "--fine-tune", "quick"], "learns nothing from its set"),
    ],
)
def test_what_cannot_be_is_refused_with_the_way_out(arguments: list[str], reason: str):
    with pytest.raises(CommandError, match=reason) as refused:
        benchmark(*arguments)

    assert refused.value.returncode == 1
