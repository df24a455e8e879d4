"""A set of one's own: a CSV with a `file` a row and any of `identity, age, birth_date, taken_at, gender, emotion`."""

from collections.abc import Iterator
from pathlib import Path

from annotation.core.ages import Age, real_age
from annotation.core.datasets.entry import EMOTIONS, GENDERS, BadDataset, Entry, Unread, rows
from annotation.core.dates import parse_date
from inference.core.attributes import OLDEST, attribute

WORDS = {"gender": GENDERS, "emotion": EMOTIONS}
DATES = ("birth_date", "taken_at")
KNOWN = ("file", "identity", "age", *DATES, *WORDS)


def read(path: Path) -> Iterator[Entry | Unread]:
    """From the CSV itself, or from a folder that holds `labels.csv`. Pictures lie beside it."""
    table = path / "labels.csv" if path.is_dir() else path
    if not table.is_file():
        raise BadDataset(f"There is no table {table}. Give a CSV with the columns {', '.join(KNOWN)}.")
    for row in rows(table, ["file"]):
        yield _entry(table.parent, row)


def _entry(folder: Path, row: dict[str, str]) -> Entry | Unread:
    file = row["file"]
    if not (folder / file).resolve().is_relative_to(folder.resolve()) or not (folder / file).is_file():
        return Unread(file, "There is no such picture beside the table. Check the name.")
    values: dict[str, str] = {}
    for name, words in WORDS.items():
        said = row.get(name, "").strip().lower()
        value = words.get(said, said)
        if value and value not in attribute(name).values:
            return Unread(file, f"Its {name} is {said!r}; known are {', '.join(attribute(name).values)}.")
        if value:
            values[name] = value
    age = row.get("age", "").strip()
    if age and not (age.replace(".", "", 1).isdecimal() and float(age) <= OLDEST):
        return Unread(file, f"Its age is {age!r}; a number of years from 0 to {OLDEST} is expected.")
    try:
        born, taken = (parse_date(name, row[name]) if row.get(name, "").strip() else None for name in DATES)
        if born and taken:
            real_age(born, taken)
    except ValueError as error:
        return Unread(file, str(error))
    return Entry(
        file,
        identity=row.get("identity", "").strip(),
        age=None if not age else Age(float(age), float(age) + 1) if age.isdecimal() else Age(float(age), float(age)),
        birth_date=born,
        taken_at=taken,
        values=values,
        metadata={name: value for name, value in row.items() if name not in KNOWN and value},
    )
