"""A folder in, its files out: every one of them, or the reason why not."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from annotation.core.refusals import Refusal, Skipped, is_junk


@dataclass(frozen=True)
class Found:
    """A regular file below the folder."""

    file: str  # relative to it, with slashes, fit for a database
    path: Path


def walk(folder: Path) -> Iterator[Found | Refusal | Skipped]:
    """Everything below a folder, recursively, in the order of names, in memory of one directory at a time.

    Links are followed only to where they stay below the folder, and never round in circles. What cannot be
    read is reported, not passed over. Raises OSError if the folder itself cannot be listed.
    """
    root = folder.resolve(strict=True)
    yield from _list(root, root, [_identity(os.stat(root))])


def _list(root: Path, folder: Path, above: list[tuple[int, int]]) -> Iterator[Found | Refusal | Skipped]:
    with os.scandir(folder) as listing:
        entries = sorted(listing, key=lambda entry: os.fsencode(entry.name))
    for entry in entries:
        path = Path(entry.path)
        file = storable(os.path.relpath(entry.path, root))
        if is_junk(file):
            yield Skipped(file)
            continue
        try:
            resolved = path.resolve(strict=True) if entry.is_symlink() else path
            if not resolved.is_relative_to(root):
                yield Refusal(
                    file, "link_outside", "It is a link to a place outside the folder. Copy the file itself there."
                )
                continue
            status = os.stat(resolved)
        except (OSError, RuntimeError) as error:
            yield Refusal(file, "unreadable", f"It cannot be read: {_cause(error)}. Mend the link or its permissions.")
            continue
        yield from _one(root, file, resolved, status, above)


def _one(
    root: Path, file: str, path: Path, status: os.stat_result, above: list[tuple[int, int]]
) -> Iterator[Found | Refusal | Skipped]:
    if stat.S_ISREG(status.st_mode):
        yield Found(file, path)
    elif not stat.S_ISDIR(status.st_mode):
        yield Refusal(file, "special_file", "It is a pipe, socket or device, not a file. Leave it out.")
    elif _identity(status) in above:
        yield Refusal(file, "link_loop", "It is a link to a folder that it lies in. Remove the link.")
    else:
        try:
            yield from _list(root, path, [*above, _identity(status)])
        except OSError as error:
            yield Refusal(
                file,
                "unreadable",
                f"The folder cannot be listed: {_cause(error)}. Change its permissions (chmod a+rX).",
            )


def storable(name: str) -> str:
    """A file's name as text that a database takes: what is no UTF-8 is spelled out, and so is NUL."""
    try:
        raw = os.fsencode(name)
    except UnicodeEncodeError:  # half a character that no file system gave us
        raw = name.encode("utf-8", "backslashreplace")
    return raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _cause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)
