"""UTKFace: `age_gender_race_date.jpg`. Ages are estimates that people checked, not birth records."""

from collections.abc import Iterator
from pathlib import Path

from annotation.core.ages import Age
from annotation.core.datasets.entry import BadDataset, Entry, Unread, pictures
from inference.core.attributes import OLDEST

RACES = ("white", "black", "asian", "indian", "other")


def read(folder: Path) -> Iterator[Entry | Unread]:
    found = False
    for file in pictures(folder):
        entry = _entry(file)
        found |= isinstance(entry, Entry)
        yield entry
    if not found:
        raise BadDataset(f"{folder} is no UTKFace: no picture in it is called age_gender_race_date.jpg.")


def _entry(file: str) -> Entry | Unread:
    parts = Path(file).name.split("_")
    # A few of the original files lack the race; what is missing is not guessed.
    if len(parts) < 4 or not all(part.isdecimal() for part in parts[:3]):
        return Unread(file, "Its name is not age_gender_race_date. Rename it, or leave it out.")
    age, gender, race = (int(part) for part in parts[:3])
    if age > OLDEST or gender > 1 or race >= len(RACES):
        return Unread(file, f"Age {age}, gender {gender} and race {race} cannot be. Rename it, or leave it out.")
    return Entry(
        file,
        age=Age(age, age + 1),
        values={"gender": ("male", "female")[gender]},
        metadata={"race": RACES[race]},
        cropped=True,
    )
