"""FER+: gray faces of 48 pixels, with the votes of ten people each over eight emotions, *unknown* and *no face*.

Contempt is not among the paper's seven classes: who voted for it could not tell which of the seven it is.
"""

from collections.abc import Iterator
from pathlib import Path

from annotation.core.datasets.entry import CANNOT_TELL, EMOTIONS, NOT_A_FACE, Entry, Unread, require_folder, rows

COLUMNS = {
    **{name: EMOTIONS[name] for name in ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear")},
    **{"contempt": CANNOT_TELL, "unknown": CANNOT_TELL, "NF": NOT_A_FACE},
}


def read(folder: Path) -> Iterator[Entry | Unread]:
    for row in rows(require_folder(folder, "votes.csv", what="FER+"), ["file", *COLUMNS]):
        file = f"images/{row['file']}"
        if not all(row[column].isdecimal() for column in COLUMNS):
            yield Unread(file, "Its votes are not whole numbers. Mend its line of votes.csv.")
            continue
        if not (folder / file).is_file():
            yield Unread(file, "There is no such picture. Add it, or take its line out of votes.csv.")
            continue
        votes: dict[str, int] = {}
        for column, value in COLUMNS.items():
            votes[value] = votes.get(value, 0) + int(row[column])
        yield Entry(file, votes={"emotion": {value: count for value, count in votes.items() if count}}, cropped=True)
