"""Sets in which the name of the folder is the person: LFW, CelebA cut into folders, and anybody's own."""

from collections.abc import Iterator
from pathlib import Path

from annotation.core.datasets.entry import BadDataset, Entry, Unread, pictures, require_folder


def read(folder: Path) -> Iterator[Entry | Unread]:
    """`person/picture.jpg`, at any depth: the folder that a picture lies in is its person."""
    yield from _people(folder, "")


def read_lfw(folder: Path) -> Iterator[Entry | Unread]:
    """`lfw-deepfunneled/Name_Surname/Name_Surname_0001.jpg`"""
    for entry in _people(require_folder(folder, "lfw-deepfunneled", what="LFW"), "lfw-deepfunneled/"):
        yield Entry(entry.file, identity=entry.identity.replace("_", " ")) if isinstance(entry, Entry) else entry


def _people(folder: Path, before: str) -> Iterator[Entry | Unread]:
    found = False
    for file in pictures(folder):
        person = Path(file).parent.name
        found |= bool(person)
        yield (
            Entry(before + file, identity=person)
            if person
            else Unread(before + file, "It lies in no person's folder. Move it into one, or leave it out.")
        )
    if not found:
        raise BadDataset(f"{folder} holds no folder with pictures. Give one with a folder for each person.")
