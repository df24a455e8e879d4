"""Tables out as CSV, line by line, safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence

# Some programs take the wide forms of East Asian keyboards for the plain ones, and skip what is unseen before them.
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)
UNSEEN = " \t\r\n\v\f\0\u00a0\u200b\u200e\u200f\ufeff"  # blanks, and marks of width nought


class _Echo:
    """A file that hands back each line it is given."""

    def write(self, line: str) -> str:
        return line


def csv_lines(header: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The header, then a line for each row, in constant memory."""
    writer = csv.writer(_Echo())
    yield writer.writerow(header)
    for row in rows:
        yield writer.writerow([inert(value) for value in row])


def inert(value: object) -> object:
    """A scraped name must not become a formula in somebody's spreadsheet (OWASP, CSV injection)."""
    if not isinstance(value, str):
        return value
    seen = value.lstrip(UNSEEN)
    return f"'{value}" if seen.startswith(FORMULA) or value.startswith(("\t", "\r", "\n")) else value
