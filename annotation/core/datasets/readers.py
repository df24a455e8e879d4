"""The readers by the name that a user gives."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from annotation.core.datasets import adience, ferplus, fgnet, folders, imfdb, table, utkface
from annotation.core.datasets.entry import BadDataset, Entry, Unread

Reader = Callable[[Path], Iterator[Entry | Unread]]

READERS: Mapping[str, Reader] = {
    "utkface": utkface.read,
    "fgnet": fgnet.read,
    "ferplus": ferplus.read,
    "lfw": folders.read_lfw,
    "imfdb": imfdb.read,
    "celeba": folders.read,
    "adience": adience.read,
    "csv": table.read,
    "folders": folders.read,
}


def read(layout: str, path: Path) -> Iterator[Entry | Unread]:
    """What a labelled set says, picture by picture. Raises BadDataset."""
    if layout not in READERS:
        raise BadDataset(f"There is no layout {layout!r}. Known are: {', '.join(READERS)}.")
    if not path.exists():
        raise BadDataset(f"There is no {path}. Check the spelling.")
    return READERS[layout](path)
