"""Parquet with the pictures in it: the release's own files, as they are."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from annotation.core.release import DESCRIPTION, FaceRow, Release, open_release
from annotation.core.release_formats.entry import CHUNK, Entry


def entries(release: Release) -> Iterator[Entry]:
    for name in (DESCRIPTION, *(file.file for file in release.description.files)):
        yield Entry(name, partial(_read, release.folder / name))


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def read(folder: Path) -> Iterator[FaceRow]:
    """Raises BadRelease."""
    return open_release(folder).faces()
