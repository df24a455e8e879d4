"""The formats that a release can be taken along in, by name."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from annotation.core.release import FaceRow, Release
from annotation.core.release_formats import coco, image_folder, native, table, webdataset
from annotation.core.release_formats.entry import Entry, tar_stream, write_folder


class UnknownFormat(ValueError):
    def __init__(self, name: str) -> None:
        near = get_close_matches(name, FORMATS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        super().__init__(f"There is no format {name!r}.{hint} Known are: {', '.join(FORMATS)}.")


@dataclass(frozen=True)
class Format:
    """One way to lay a release out."""

    title: str
    entries: Callable[[Release], Iterator[Entry]]  # as it is sent: one tar of these
    read: Callable[[Path], Iterator[FaceRow]]
    in_folder: Callable[[Release], Iterator[Entry]] | None = None  # where a folder is laid out otherwise


FORMATS: dict[str, Format] = {
    "parquet": Format("Parquet with the pictures in it, as DAGER keeps it", native.entries, native.read),
    "webdataset": Format("WebDataset, tar shards", webdataset.entries, webdataset.read, webdataset.shards),
    "images": Format("Folders of pictures with metadata.jsonl", image_folder.entries, image_folder.read),
    "csv": Format("CSV with the pictures beside it", table.entries, table.read),
    "coco": Format("COCO, boxes and 68 key points", coco.entries, coco.read),
}


def format_named(name: str, *, by: str = "") -> Format:
    """Raises UnknownFormat; ValueError for `by`, an attribute, with another format than "images"."""
    if name not in FORMATS:
        raise UnknownFormat(name)
    if not by:
        return FORMATS[name]
    if name != "images":
        raise ValueError(f"Only the format 'images' is laid out by an attribute, not {name!r}.")
    return Format(FORMATS[name].title, partial(image_folder.entries, by=by), image_folder.read)


def export(release: Release, layout: Format, folder: Path) -> int:
    """Lay the release out in a folder; returns how many files that were. Raises FileExistsError."""
    return write_folder((layout.in_folder or layout.entries)(release), folder)


def stream(release: Release, layout: Format) -> Iterator[bytes]:
    """The same as one tar, in constant memory."""
    return tar_stream(layout.entries(release))
