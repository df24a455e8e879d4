"""Who may do what: every cell of role × page × call × object that the suite tries, counted: python -m tests.matrix

A test tells `tried` of each cell, and whether it was answered as its table says; if one was not, it fails.
"""

import sys
from collections import Counter
from collections.abc import Hashable, Mapping

import pytest

from tests import matrix

COUNTS = Counter[str]()
WRONG = Counter[str]()
FILES = (
    "tests/dager_site/test_access.py",
    "tests/dager_site/test_own_sources.py",
    "tests/annotation/test_views.py",
    "tests/annotation/test_admin.py",
)


def tried(kind: str, cells: Mapping[Hashable, bool]) -> None:
    """Each cell, and whether it is right."""
    wrong = [cell for cell, right in cells.items() if not right]
    COUNTS[kind] += len(cells)
    WRONG[kind] += len(wrong)
    assert wrong == [], kind


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("cells: tried, wrong")
    for kind, count in sorted(COUNTS.items()):
        terminalreporter.write_line(f"{kind:<55}{count:>7,}{WRONG[kind]:>5}")
    terminalreporter.write_line(f"{'all':<55}{COUNTS.total():>7,}{WRONG.total():>5}")


if __name__ == "__main__":
    sys.exit(pytest.main(["-q", "-p", "no:xdist", *FILES], plugins=[matrix]))
