"""What somebody would send us who means harm: made by code, tried on the real thing, counted.

Each module is a kind of attack. A test tells `tried` of every input, and whether it got through; if any did, it fails.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

COUNTS = Counter[str]()
THROUGH = Counter[str]()


class Tried(Protocol):
    def __call__(self, attack: object, *, through: bool) -> None: ...


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Iterator[Tried]:
    kind = Path(request.path).stem.removeprefix("test_")
    got_through: list[str] = []

    def told(attack: object, *, through: bool) -> None:
        COUNTS[kind] += 1
        if through:
            got_through.append(repr(attack)[:300])

    yield told
    THROUGH[kind] += len(got_through)
    assert got_through == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if COUNTS:
        terminalreporter.section("hostile inputs: tried, got through")
        for kind, count in sorted(COUNTS.items()):
            terminalreporter.write_line(f"{kind:<12}{count:>7,}{THROUGH[kind]:>5}")
        terminalreporter.write_line(f"{'all':<12}{COUNTS.total():>7,}{THROUGH.total():>5}")
