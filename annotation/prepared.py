"""Queries that are written down once.

To build one takes Django longer than it takes the database to answer it, and an answer of an annotator needs twenty. So
the few that every answer asks are built the first time only; from then on their SQL is sent with other values in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.db.models.query import FlatValuesListIterable, ModelIterable

Row = TypeVar("Row")
Given = int | str | Sequence[int]

NUMBER, TEXT = 1_900_000_000, "prepared value "  # that no query of ours names: they mark where the values go
SHAPES = 200  # of one query: its lists have any length, and one that is rare is not worth the memory


@dataclass(frozen=True)
class _Written:
    """SQL, the values that are always the same, the places of those that are given, and how to read a row."""

    sql: str
    fixed: tuple[Any, ...]
    places: tuple[tuple[int, int], ...]  # in `fixed`, and in the values given one after the other
    converters: tuple[tuple[int, list[Callable[..., Any]], Any], ...]
    row: Callable[[Sequence[Any]], Any]


class Prepared(Generic[Row]):
    """`build` makes a query of numbers, texts and lists of numbers: of all values of a type the same one.

    What a value is must make no difference to it: no condition, no arithmetic, no date.
    """

    def __init__(self, build: Callable[..., "QuerySet[Any, Row]"]) -> None:
        self._build = build
        self._written: dict[tuple[object, ...], _Written | None] = {}

    def __call__(self, *given: Given) -> list[Row]:
        """Its rows now, with these values."""
        shape = (connection.vendor, *(type(each) if isinstance(each, int | str) else len(each) for each in given))
        if shape not in self._written:
            if len(self._written) >= SHAPES:
                return list(self._build(*given))
            self._written[shape] = self._write(given)
        written = self._written[shape]
        if written is None:
            return []
        values = [value for each in given for value in ((each,) if isinstance(each, int | str) else each)]
        params = list(written.fixed)
        for place, number in written.places:
            params[place] = values[number]
        with connection.cursor() as cursor:
            cursor.execute(written.sql, params)
            rows = [list(row) for row in cursor.fetchall()]
        for column, converters, field in written.converters:
            for row in rows:
                for convert in converters:
                    row[column] = convert(row[column], field, connection)
        return [written.row(row) for row in rows]

    def _write(self, given: Sequence[Given]) -> _Written | None:
        marks: list[int | str] = []

        def mark(like: int | str) -> int | str:
            marks.append(NUMBER + len(marks) if isinstance(like, int) else f"{TEXT}{len(marks)}")
            return marks[-1]

        query = self._build(
            *(mark(each) if isinstance(each, int | str) else [mark(one) for one in each] for each in given)
        )
        compiler = query.query.get_compiler(connection=connection)
        try:
            sql, fixed = compiler.as_sql()
        except EmptyResultSet:
            return None
        places = [(place, marks.index(value)) for place, value in enumerate(fixed) if value in marks]
        assert {number for _, number in places} == set(range(len(marks))), f"{sql} does not take all that is given"
        fields = [selected[0] for selected in compiler.select]
        converters = [(column, *each) for column, each in compiler.get_converters(fields).items()]
        return _Written(sql, tuple(fixed), tuple(places), tuple(converters), _reader(query, fields))


def _reader(query: "QuerySet[Any, Any]", fields: Sequence[Any]) -> Callable[[Sequence[Any]], Any]:
    if issubclass(query._iterable_class, FlatValuesListIterable):
        return lambda row: row[0]
    if issubclass(query._iterable_class, ModelIterable):
        names = [field.target.attname for field in fields]
        return lambda row: query.model.from_db(connection.alias, names, row)
    return tuple
