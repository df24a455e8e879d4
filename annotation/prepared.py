"""Queries that are written down once.

To build one takes Django longer than it takes the database to answer it, and an answer of an annotator needs twenty. So
the few that every answer asks are built the first time only; from then on their SQL is sent with other values in it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.query import FlatValuesListIterable, ModelIterable, get_related_populators

Row = TypeVar("Row")
One = int | str | datetime | UUID
Given = One | Sequence[int]

# That no query of ours names: they mark where the values go.
NUMBER, TEXT, MOMENT = 1_900_000_000, "prepared value ", datetime(1848, 3, 1, tzinfo=UTC)
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
    """`build` makes a query of numbers, texts, moments, UUIDs and lists of numbers: of all of a type the same one.

    What a value is must make no difference to it: no condition, no arithmetic. `sql` may put the query's own SQL into
    a statement that returns the same columns; its `%s` take the values that are given in `last`, after its own.
    """

    def __init__(self, build: Callable[..., "QuerySet[Any, Row]"], *, sql: str = "{}") -> None:
        self._build = build
        self._sql = sql
        self._written: dict[tuple[object, ...], _Written | None] = {}

    def __call__(self, *given: Given, last: Sequence[One] = ()) -> list[Row]:
        """Its rows now, with these values."""
        given = tuple(each if isinstance(each, One) else _padded(each) for each in given)
        shape = (connection.vendor, *(type(each) if isinstance(each, One) else len(each) for each in given))
        written = self._written[shape] if shape in self._written else self._write(given)
        if len(self._written) < SHAPES:
            self._written[shape] = written
        if written is None:
            return []
        values = [_sent(value) for each in given for value in ((each,) if isinstance(each, One) else each)]
        fixed = list(written.fixed)
        for place, number in written.places:
            fixed[place] = values[number]
        params = [*fixed, *map(_sent, last)]
        with connection.cursor() as cursor:
            cursor.execute(written.sql, params)
            rows = [list(row) for row in cursor.fetchall()]
        for column, converters, field in written.converters:
            for row in rows:
                for convert in converters:
                    row[column] = convert(row[column], field, connection)
        return [written.row(row) for row in rows]

    def _write(self, given: Sequence[Given]) -> _Written | None:
        marks: list[One] = []

        def mark(like: One) -> One:
            marks.append(_mark(like, len(marks)))
            return marks[-1]

        query = self._build(*(mark(each) if isinstance(each, One) else [mark(one) for one in each] for each in given))
        compiler = query.query.get_compiler(connection=connection)
        with transaction.atomic(savepoint=False):  # outside of one Django writes down no lock
            try:
                sql, fixed = compiler.as_sql()
            except EmptyResultSet:
                return None
        sent = [_sent(each) for each in marks]
        places = [(place, sent.index(value)) for place, value in enumerate(fixed) if value in sent]
        assert {number for _, number in places} == set(range(len(marks))), f"{sql} does not take all that is given"
        converters = [
            (column, *each)
            for column, each in compiler.get_converters([selected[0] for selected in compiler.select]).items()
        ]
        return _Written(self._sql.format(sql), tuple(fixed), tuple(places), tuple(converters), _reader(query, compiler))


def _padded(values: Sequence[int]) -> Sequence[int]:
    """Its last value again and again, which asks for nothing else: so that there are few lengths, each written once."""
    count = len(values)
    if count < 4:
        return values
    step = 1 << (count - 1).bit_length() - 2  # lengths of 4, 6, 8, 12, 16, 24, …
    return [*values, *[values[-1]] * (-count % step)]


def _mark(like: One, number: int) -> One:
    if isinstance(like, datetime):
        return MOMENT + timedelta(days=number)
    if isinstance(like, UUID):
        return UUID(int=NUMBER + number)
    return NUMBER + number if isinstance(like, int) else f"{TEXT}{number}"


def _sent(value: One) -> Any:
    """As the database is given it: SQLite takes moments and UUIDs as text."""
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value.hex if isinstance(value, UUID) and not connection.features.has_native_uuid_field else value


def _reader(query: "QuerySet[Any, Any]", compiler: Any) -> Callable[[Sequence[Any]], Any]:
    if issubclass(query._iterable_class, FlatValuesListIterable):
        return lambda row: row[0]
    if not issubclass(query._iterable_class, ModelIterable):
        return tuple
    own = compiler.klass_info["select_fields"]
    names = [compiler.select[column][0].target.attname for column in own]
    related = get_related_populators(compiler.klass_info, compiler.select, connection.alias)  # type: ignore[call-arg]

    def read(row: Sequence[Any]) -> Any:
        found = query.model.from_db(connection.alias, names, row[own[0] : own[-1] + 1])
        for each in related:
            each.populate(row, found)
        return found

    return read
