"""Adience: `fold_*_data.txt`, faces in `faces/<user>/coarse_tilt_aligned_face.<face>.<image>`; ages in eight groups."""

import re
from collections.abc import Iterator
from pathlib import Path

from annotation.core.ages import Age
from annotation.core.datasets.entry import GENDERS, BadDataset, Entry, Unread, rows

COLUMNS = ("user_id", "original_image", "face_id", "age", "gender")
GROUP = re.compile(r"\((\d+), (\d+)\)$")


def read(folder: Path) -> Iterator[Entry | Unread]:
    folds = sorted(folder.glob("fold_*_data.txt"))
    if not folds:
        raise BadDataset(f"{folder} is no Adience: there is no fold_0_data.txt in it. Give the folder that holds it.")
    for fold in folds:
        for row in rows(fold, COLUMNS, delimiter="\t"):
            yield _entry(folder, fold.stem, row)


def _entry(folder: Path, fold: str, row: dict[str, str]) -> Entry | Unread:
    file = f"faces/{row['user_id']}/coarse_tilt_aligned_face.{row['face_id']}.{row['original_image']}"
    if not (folder / file).is_file():
        return Unread(file, f"There is no such picture. Add it, or take its line out of {fold}.txt.")
    gender = GENDERS.get(row["gender"])  # "u" where nobody could tell
    return Entry(
        file,
        age=_age(row["age"]),
        values={"gender": gender} if gender else {},
        metadata={"fold": fold, "age": row["age"]},
        cropped=True,
    )


def _age(said: str) -> Age | None:
    """Most lines name a group, some a single year, some nothing."""
    if group := GROUP.match(said):
        return Age(int(group[1]), int(group[2]) + 1)
    return Age(int(said), int(said) + 1) if said.isdecimal() else None
