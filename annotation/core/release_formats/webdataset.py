"""WebDataset: tar shards of a picture and a JSON a face, as github.com/webdataset/webdataset reads them."""

import json
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from annotation.core.batches import batched
from annotation.core.release import FaceRow, Release
from annotation.core.release_formats.entry import (
    BadExport,
    Entry,
    as_line,
    described,
    of_bytes,
    picture_name,
    row_from,
    tar_stream,
)
from annotation.core.splits import SPLITS

SHARD = 2_000  # faces a tar


def entries(release: Release) -> Iterator[Entry]:
    """One tar of all parts, each in a folder; that is how it is sent over the network."""
    for face in release.faces():
        yield from _sample(face, f"{face.split}/{picture_name(face.face)}")


def _sample(face: FaceRow, key: str) -> list[Entry]:
    return [of_bytes(f"{key}.jpg", face.image), of_bytes(f"{key}.json", as_line(described(face.columns())))]


def shards(release: Release) -> Iterator[Entry]:
    """A folder of tars, each of one part: `train-000000.tar` and so on, which training reads in parallel."""
    for split in SPLITS:
        for number, batch in enumerate(_numbered(release, split)):
            yield Entry(f"{split}-{number:06d}.tar", lambda batch=batch: tar_stream(batch))  # type: ignore[misc]


def _numbered(release: Release, split: str) -> Iterator[Iterable[Entry]]:
    """The samples of each shard, made as they are asked for."""
    samples = (_sample(face, picture_name(face.face)) for face in release.faces(split))
    first = next(samples, None)
    while first is not None:
        rest = _rest(first, samples)
        yield rest
        for _ in rest:  # whoever asks for the next shard is through with this one
            pass
        first = next(samples, None)


def _rest(first: list[Entry], samples: Iterator[list[Entry]]) -> Iterator[Entry]:
    yield from first
    for _, sample in zip(range(SHARD - 1), samples, strict=False):
        yield from sample


def read(path: Path) -> Iterator[FaceRow]:
    """The faces of one tar, or of all tars in a folder. Raises BadExport."""
    tars = sorted(path.glob("*.tar")) if path.is_dir() else [path]
    if not tars:
        raise BadExport(f"{path} has no tar in it. Give the folder of the shards, or one shard.")
    for each in tars:
        yield from _read(each)


def _read(path: Path) -> Iterator[FaceRow]:
    try:
        with tarfile.open(path, "r|") as tar:
            members = ((each.name, content.read()) for each in tar if (content := tar.extractfile(each)) is not None)
            for pair in batched(members, 2):
                tar.members = []  # type: ignore[attr-defined]  # it would keep every header in memory
                if len(pair) != 2 or pair[0][0].removesuffix(".jpg") != pair[1][0].removesuffix(".json"):
                    raise BadExport(f"{path}: {pair[0][0]} is not followed by its .json. Export the release again.")
                yield row_from(json.loads(pair[1][1]), pair[0][1])
    except (tarfile.TarError, EOFError, OSError, json.JSONDecodeError) as error:
        raise BadExport(f"{path} cannot be read: {error}. Export the release again.") from error
