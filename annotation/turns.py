"""Who waits for whom, where several change the same people at once."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, connection, transaction

Given = ParamSpec("Given")
Result = TypeVar("Result")

WHO_IS_WHO, SEALING, SETTLING = 4_711, 4_712, 4_713  # of PostgreSQL's advisory locks
DEADLOCK = "40P01"
TIMES = 5


def take_turn(*, shared: bool = False) -> None:
    """Until the transaction ends, nobody else derives who is who; with `shared`, only others who share may.

    What is read afterwards is all that others have written: no two, each without the other's line in sight, leave
    labels that the ledger does not say. SQLite has one writer at a time anyway.
    """
    if connection.vendor == "postgresql":
        name = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {name}(%s)", [WHO_IS_WHO])


def only_one_seals() -> bool:
    """Whether nobody else seals the audit log at this moment; until the transaction ends nobody else will."""
    return _is_free(SEALING)


def only_one_settles() -> bool:
    """The same of answers that were kept to be settled."""
    return _is_free(SETTLING)


def nobody_settles() -> None:
    """From here until the transaction ends; what is being settled at this moment is waited for."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SETTLING])


def _is_free(work: int) -> bool:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [work])
            return bool(cursor.fetchone()[0])
    return True  # SQLite has one writer at a time


def beginning_again(act: Callable[Given, Result]) -> Callable[Given, Result]:
    """The act in one transaction, once more from its beginning if PostgreSQL ends it because two wait for each other.

    Within another transaction it is part of that, which begins again as a whole.
    """

    @wraps(act)
    def played(*args: Given.args, **options: Given.kwargs) -> Result:
        left = 1 if connection.in_atomic_block else TIMES
        while True:
            left -= 1
            try:
                with transaction.atomic():
                    return act(*args, **options)
            except OperationalError as error:
                if not left or getattr(error.__cause__, "pgcode", None) != DEADLOCK:
                    raise

    return played
