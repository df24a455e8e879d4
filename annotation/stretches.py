"""Long tables read piece by piece: exact, and no query takes long, however many rows there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

STRETCH = 10_000  # rows that one query reads, and joins with others by their index


@contextmanager
def row_by_row() -> Iterator[None]:
    """PostgreSQL reads what a stretch of rows is joined with by its index, and nothing besides.

    Left to itself it guesses that the rows lie anywhere, so it merges or hashes whole tables, compiles that, and takes
    three times as long; which of these, changes from stretch to stretch.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_hashjoin = off")
        yield


def stretches(rows: QuerySet[Any], size: int = STRETCH) -> Iterator[QuerySet[Any]]:
    """These rows piece by piece, by their key."""
    keys, last = rows.order_by("pk").values_list("pk", flat=True), 0
    while True:
        end = next(iter(keys.filter(pk__gt=last)[size - 1 : size]), None)
        piece = rows.filter(pk__gt=last)
        if end is None:
            yield piece
            return
        yield piece.filter(pk__lte=end)
        last = end
