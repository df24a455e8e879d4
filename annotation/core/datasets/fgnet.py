"""FG-NET: `images/002A03.jpg` is person 002 at the age of 3; a letter behind tells pictures of one age apart."""

import re
from collections.abc import Iterator
from pathlib import Path

from annotation.core.ages import Age
from annotation.core.datasets.entry import Entry, Unread, pictures, require_folder

NAME = re.compile(r"(?P<person>\d{3})A(?P<age>\d{2})[a-z]?$", re.IGNORECASE)


def read(folder: Path) -> Iterator[Entry | Unread]:
    for file in pictures(require_folder(folder, "images", what="FG-NET")):
        told = NAME.match(Path(file).stem)
        if told is None:
            yield Unread(f"images/{file}", "Its name is not like 002A03. Rename it, or leave it out.")
        else:
            age = int(told["age"])
            yield Entry(f"images/{file}", identity=told["person"], age=Age(age, age + 1))
