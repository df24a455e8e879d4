"""Work in pieces of bounded size."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of up to `size` items, in order (itertools has it from Python 3.12 on)."""
    iterator = iter(items)
    while piece := list(islice(iterator, size)):
        yield piece
