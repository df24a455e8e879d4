"""Dates of which perhaps only the year or the month is known."""

import calendar
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

Precision = Literal["year", "month", "day"]


@dataclass(frozen=True)
class PartialDate:
    """The rest of what is not known stands at its first."""

    day: date
    precision: Precision

    @property
    def first(self) -> date:
        """The first day that it may mean."""
        return self.day.replace(
            day=self.day.day if self.precision == "day" else 1, month=1 if self.precision == "year" else self.day.month
        )

    @property
    def last(self) -> date:
        """The last day that it may mean."""
        if self.precision == "day":
            return self.day
        month = 12 if self.precision == "year" else self.day.month
        return date(self.day.year, month, calendar.monthrange(self.day.year, month)[1])

    def __str__(self) -> str:
        return self.day.strftime({"year": "in %Y", "month": "in %B %Y", "day": "on %Y-%m-%d"}[self.precision])


def parse_date(column: str, value: object) -> PartialDate:
    """YYYY, YYYY-MM, YYYY-MM-DD or an ISO date and time. Raises ValueError, naming the column."""
    if isinstance(value, datetime):
        return PartialDate(value.date(), "day")
    if isinstance(value, date):
        return PartialDate(value, "day")
    text = str(value).strip()
    found = re.fullmatch(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[T ].*)?)?)?", text)
    try:
        if found is None:
            raise ValueError
        if "T" in text or " " in text:
            return PartialDate(datetime.fromisoformat(text.replace("Z", "+00:00")).date(), "day")
        year, month, day = found.groups()
        precision: Precision = "day" if day else "month" if month else "year"
        return PartialDate(date(int(year), int(month or 1), int(day or 1)), precision)
    except ValueError as error:
        raise ValueError(f"{column} {text[:40]!r} is no date. Write YYYY-MM-DD, YYYY-MM or YYYY.") from error
