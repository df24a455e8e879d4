"""IMFDB: faces from Indian films, `labels.csv` with identity, gender, age group, expression and pose; noisy."""

from collections.abc import Iterator
from pathlib import Path

from annotation.core.datasets.entry import EMOTIONS, GENDERS, Entry, Unread, require_folder, rows

COLUMNS = ("file", "identity", "gender", "age_group", "expression", "pose")


def read(folder: Path) -> Iterator[Entry | Unread]:
    for row in rows(require_folder(folder, "labels.csv", what="IMFDB"), COLUMNS):
        file = f"images/{row['file']}"
        if not (folder / file).is_file():
            yield Unread(file, "There is no such picture. Add it, or take its line out of labels.csv.")
            continue
        # What it does not say in a word that we know is left unsaid, and kept as it stands.
        said = {"gender": GENDERS.get(row["gender"].lower()), "emotion": EMOTIONS.get(row["expression"].lower())}
        yield Entry(
            file,
            identity=row["identity"],
            values={name: value for name, value in said.items() if value},
            metadata={name: row[name] for name in ("age_group", "expression", "pose") if row[name]},
            cropped=True,
        )
