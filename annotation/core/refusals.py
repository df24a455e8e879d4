"""A file that is not taken, with the reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """One line of an intake's report. `code` is stable; `reason` names the cause and the way out."""

    file: str
    code: str
    reason: str


@dataclass(frozen=True)
class Skipped:
    """A file that nobody meant as a picture: .DS_Store and the like."""

    file: str


# What systems leave behind in folders and archives.
JUNK_FILES = {".DS_Store", "Thumbs.db", "desktop.ini", "ehthumbs.db"}
JUNK_FOLDERS = {"__MACOSX", "@eaDir", ".git"}


def is_junk(name: str) -> bool:
    """Whether a path within a delivery, with slashes, is a system's own file."""
    *folders, file = name.split("/")
    return file in JUNK_FILES or file.startswith("._") or any(folder in JUNK_FOLDERS for folder in folders)
