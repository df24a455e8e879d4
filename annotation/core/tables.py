"""Tables out as CSV, line by line, safe to open in a spreadsheet."""

import csv
from collections.abc import Iterable, Iterator, Sequence

FORMULA = ("=", "+", "-", "@", "\t", "\r")


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
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
