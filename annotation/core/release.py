"""The release: a folder with a frozen dataset. It is never edited; what is to be different is another release.

    release.json          what is in it, the rule of its splits, rights, checksums; its own SHA-256 is the release's id
    DATASHEET.md          the same for people to read
    faces/00000.parquet   a row a face with its picture, by ascending id, some 2,000 a file

It needs no database: whoever trains on another machine takes the folder along. `SCHEMA` says what the columns are.
"""

import hashlib
import json
import re
import shutil
import tempfile
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from annotation.core.batches import batched
from annotation.core.release_query import IDENTITY
from annotation.core.splits import SPLITS, Split
from inference.core.attributes import ATTRIBUTES, Attribute

FORMAT = 2
WHO_SAID = ("identity_decided_by", "identity_confidence", "identity_decision")
SINCE = dict.fromkeys(("control", *WHO_SAID), 2)  # columns that older formats lack
DESCRIPTION, DATASHEET, FACES = "release.json", "DATASHEET.md", "faces"
SHARD = 2_000  # rows a file: about 70 MB, which any tool and any network bears
GROUP = 250  # rows that are in memory at once, with their pictures
LABELS_AT_ONCE = 20_000  # rows of a batch without pictures
TEMPLATE, SIDE = "wide-384", 384  # of the crops, as `pictures.CROP` cuts them
PRIME = 2**61 - 1  # photos are told apart by the remainder of their SHA-256: 8 bytes each, and as good as certain
NEVER_NULL = frozenset({"face", "split", "group", "file", "sha256", "source", "licence", "legal_basis", "image"})


class BadRelease(ValueError):
    """A folder that is no release, or a damaged one; the message says what is wrong with it."""


class BadRow(ValueError):
    """A row that no release can hold; the message says which and why."""


class SplitLeak(ValueError):
    """One person, photo or group would be in two parts. A test of that would flatter every model."""

    def __init__(self, examples: Sequence[str], count: int) -> None:
        more = f" and {count - len(examples)} more" if count > len(examples) else ""
        super().__init__(
            f"The splits leak: {', '.join(examples)}{more} would be in more than one part. Nothing was built. "
            "Put all faces of one group into one part."
        )


@dataclass(frozen=True)
class LabelValue:
    """What an attribute of a face is, and how far that is believed."""

    value: str | float | None  # a class, or years; None where people looked and could not tell
    distribution: tuple[float, ...] | None = None  # of a class: over the attribute's values, 1 together
    deviation: float | None = None  # of years: how far guesses lie apart, or the record's own uncertainty
    confidence: float | None = None  # 0–1
    decided_by: str | None = None  # person, machine or import
    decision: int | None = None  # the line of the ledger


@dataclass(frozen=True, eq=False)
class FaceRow:
    """One face of a release."""

    face: int
    split: Split
    group: int  # what must stay in one part: linked by identity, by duplicates or by one photo
    file: str  # of the photo, as it was received
    sha256: str  # of the photo
    source: str
    licence: str
    legal_basis: str
    image: bytes  # the kept crop as JPEG, 384 px, template "wide-384"
    landmarks: npt.NDArray[np.float32]  # (68, 2), pixels of that crop
    size: float  # the shorter side of its box, pixels of the photo
    sharpness: float
    brightness: float
    gray: bool
    yaw: float
    pitch: float
    roll: float
    source_url: str = ""
    identity: int | None = None
    identity_name: str | None = None
    weight: float = 1.0  # how often it counts in training, so that the ages are even
    control: bool = False  # of the control slice: a network that learns an attribute from it could not be judged by it
    identity_decided_by: str | None = None  # as of an attribute, LabelValue
    identity_confidence: float | None = None
    identity_decision: int | None = None
    labels: Mapping[str, LabelValue] = field(default_factory=dict)  # by attribute; a missing one is not labelled

    def columns(self) -> dict[str, Any]:
        """Plain values by column, as a table holds them. Without the image two rows are the same if these are."""
        plain = {name: getattr(self, name) for name in PLAIN}
        plain["landmarks"] = np.asarray(self.landmarks, np.float32).ravel().tolist()
        for name in ATTRIBUTES:
            plain |= _label_columns(name, self.labels.get(name))
        return plain


_UNLABELLED = LabelValue(None)


def _label_columns(name: str, label: LabelValue | None) -> dict[str, Any]:
    label = label or _UNLABELLED
    return {
        name: label.value,
        f"{name}_distribution": None if label.distribution is None else list(label.distribution),
        f"{name}_deviation": label.deviation,
        f"{name}_confidence": label.confidence,
        f"{name}_decided_by": label.decided_by,
        f"{name}_decision": label.decision,
    }


def row_of(columns: Mapping[str, Any]) -> FaceRow:
    """The face of a row of the table: what `FaceRow.columns` made."""
    labels = {}
    for name in ATTRIBUTES:
        if columns.get(f"{name}_decided_by") is not None:
            spread = columns[f"{name}_distribution"]
            labels[name] = LabelValue(
                value=columns[name],
                distribution=None if spread is None else tuple(spread),
                **{part: columns[f"{name}_{part}"] for part in ("deviation", "confidence", "decided_by", "decision")},
            )
    plain = {name: columns[name] for name in PLAIN if name in columns or name not in SINCE}
    plain["landmarks"] = np.asarray(columns["landmarks"], np.float32).reshape(68, 2)
    return FaceRow(**plain, labels=labels)


def schema(attributes: Mapping[str, Attribute] = ATTRIBUTES) -> pa.Schema:
    """The columns of the Parquet files."""
    plain = {
        **dict.fromkeys(("face", "group", "identity", "identity_decision"), pa.int64()),
        "identity_confidence": pa.float64(),
        **dict.fromkeys(("size", "sharpness", "brightness", "yaw", "pitch", "roll", "weight"), pa.float64()),
        **dict.fromkeys(("gray", "control"), pa.bool_()),
        "image": pa.binary(),
        "landmarks": pa.list_(pa.float32()),  # x0, y0, x1, y1, … x67, y67
    }
    columns = [pa.field(name, plain.get(name, pa.string()), nullable=name not in NEVER_NULL) for name in PLAIN]
    for name, attribute in attributes.items():
        columns += [
            pa.field(name, pa.float64() if attribute.in_years else pa.string()),
            pa.field(f"{name}_distribution", pa.list_(pa.float64())),
            pa.field(f"{name}_deviation", pa.float64()),
            pa.field(f"{name}_confidence", pa.float64()),
            pa.field(f"{name}_decided_by", pa.string()),
            pa.field(f"{name}_decision", pa.int64()),
        ]
    return pa.schema(columns)


PLAIN = (
    *("face", "split", "group", "identity", "identity_name", "file", "sha256", "source", "licence", "legal_basis"),
    *("source_url", "image", "landmarks", "size", "sharpness", "brightness", "gray", "yaw", "pitch", "roll", "weight"),
    *("control", *WHO_SAID),
)
SCHEMA = schema()


@dataclass(frozen=True)
class ReleaseFile:
    """A file of the folder."""

    file: str  # relative to the folder, with slashes
    sha256: str
    size: int  # bytes
    rows: int = 0
    first: int = 0  # the smallest and the largest face in it
    last: int = 0


@dataclass(frozen=True)
class Description:
    """What release.json says."""

    name: str
    created: str  # ISO 8601, UTC
    query: Mapping[str, Any]  # the filters that chose the faces
    attributes: Mapping[str, Sequence[str]]  # values by attribute; of years none
    counts: Mapping[str, Any]
    splits: Mapping[str, Any]  # rule, seed, shares
    rights: Sequence[Mapping[str, Any]]  # source, licence, legal basis, faces
    files: Sequence[ReleaseFile] = ()
    predecessor: str | None = None  # its id
    notes: Mapping[str, Any] = field(default_factory=dict)  # what the database knows besides: certificates, people
    template: str = TEMPLATE
    side: int = SIDE
    format: int = FORMAT

    @property
    def id(self) -> str:
        return hashlib.sha256(_as_json(asdict(self)).encode()).hexdigest()


def _as_json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


# ---- counting while the rows go by


class _Tally:
    """Counts of what went by, and what must not be in two parts: some 40 bytes a face, whatever its picture."""

    def __init__(self) -> None:
        self.faces = Counter[str]()
        self.values: dict[str, dict[str, Counter[str]]] = {name: defaultdict(Counter) for name in ATTRIBUTES}
        self.decided_by: dict[str, Counter[str]] = {name: Counter() for name in (IDENTITY, *ATTRIBUTES)}
        self.rights = Counter[tuple[str, str, str]]()
        self.split, self.face = array("b"), array("q")
        self.group, self.identity, self.photo = array("q"), array("q"), array("q")
        self.last = -1

    def see(self, row: FaceRow) -> None:
        _check(row, self.last)
        self.last = row.face
        self.faces[row.split] += 1
        self.rights[row.source, row.licence, row.legal_basis] += 1
        if row.identity_decided_by is not None:
            self.decided_by[IDENTITY][row.identity_decided_by] += 1
        for name, label in row.labels.items():
            self.values[name][row.split][_counted(label.value)] += 1
            self.decided_by[name][label.decided_by or ""] += 1
        self.split.append(SPLITS.index(row.split))
        self.face.append(row.face)
        self.group.append(row.group)
        self.identity.append(-1 if row.identity is None else row.identity)
        self.photo.append(int(row.sha256, 16) % PRIME)

    def require_no_leak(self) -> None:
        """Raises SplitLeak."""
        split, face = np.frombuffer(self.split, np.int8), np.frombuffer(self.face, np.int64)
        for what, kept in (("group", self.group), ("identity", self.identity), ("photo", self.photo)):
            keys = np.frombuffer(kept, np.int64)
            torn = in_two_parts(keys[keys >= 0], split[keys >= 0])
            if len(torn):
                some = [f"{what} of face {face[keys == key][0]}" for key in torn[:5].tolist()]
                raise SplitLeak(some, len(torn))

    def counts(self) -> dict[str, Any]:
        _, sizes = np.unique(np.frombuffer(self.group, np.int64), return_counts=True)
        return {
            "faces": sum(self.faces.values()),
            "splits": {name: self.faces[name] for name in SPLITS},
            "photos": len(np.unique(np.frombuffer(self.photo, np.int64))),
            "identities": len(np.setdiff1d(np.frombuffer(self.identity, np.int64), [-1])),
            "groups": len(sizes),
            "largest_group": int(sizes.max(initial=0)),
            "attributes": {
                name: {split: _sorted(of[split]) for split in SPLITS} for name, of in self.values.items() if of
            },
            "decided_by": {name: _sorted(of) for name, of in self.decided_by.items() if of},
        }

    def stated_rights(self) -> list[dict[str, Any]]:
        return [
            {"source": source, "licence": licence, "legal_basis": basis, "faces": count}
            for (source, licence, basis), count in sorted(self.rights.items())
        ]


def _counted(value: str | float | None) -> str:
    """Years by the whole year; "cannot_tell" is a count of its own."""
    if value is None:
        return "cannot_tell"
    return value if isinstance(value, str) else str(int(value))


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (int(pair[0]) if pair[0].isdecimal() else 1_000, pair[0])))


def in_two_parts(keys: npt.NDArray[np.int64], split: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """The keys that occur with more than one split."""
    order = np.argsort(keys, kind="stable")
    keys, split = keys[order], split[order]
    torn = (keys[1:] == keys[:-1]) & (split[1:] != split[:-1])
    return np.unique(keys[1:][torn])


def _check(row: FaceRow, last: int) -> None:
    if row.face <= last:
        raise BadRow(f"Face {row.face} comes after face {last}. Rows come once each, by ascending face id.")
    if row.split not in get_args(Split):
        raise BadRow(f"Face {row.face} is in the part {row.split!r}. Known are: {', '.join(SPLITS)}.")
    if not re.fullmatch("[0-9a-f]{64}", row.sha256):
        raise BadRow(f"Face {row.face}: {row.sha256!r} is no SHA-256 in hexadecimal.")
    if np.shape(row.landmarks) != (68, 2):
        raise BadRow(f"Face {row.face}: landmarks of shape {np.shape(row.landmarks)}; 68 points are needed.")
    if not np.isfinite([row.size, row.sharpness, row.brightness, row.yaw, row.pitch, row.roll, row.weight]).all():
        raise BadRow(f"Face {row.face} has a measure that is not a finite number.")
    if not row.image:
        raise BadRow(f"Face {row.face} has no picture.")
    for name, label in row.labels.items():
        _check_label(row.face, name, label)


def _check_label(face: int, name: str, label: LabelValue) -> None:
    attribute = ATTRIBUTES.get(name)
    if attribute is None:
        raise BadRow(f"Face {face} has the attribute {name!r}. Known are: {', '.join(ATTRIBUTES)}.")
    if label.decided_by is None:
        raise BadRow(f"Face {face}: its {name} does not say who decided it (person, machine or import).")
    if isinstance(label.value, str) == attribute.in_years and label.value is not None:
        raise BadRow(f"Face {face}: {name} {label.value!r} is not {'years' if attribute.in_years else 'a class'}.")
    if isinstance(label.value, str) and label.value not in attribute.values:
        raise BadRow(f"Face {face}: {name} {label.value!r} is none of {', '.join(attribute.values)}.")
    if label.distribution is not None and (
        len(label.distribution) != len(attribute.values) or abs(sum(label.distribution) - 1) > 1e-6
    ):
        raise BadRow(
            f"Face {face}: the distribution of its {name} must have {len(attribute.values)} shares, 1 together."
        )


# ---- writing


def write_release(
    folder: Path,
    rows: Iterable[FaceRow],
    *,
    name: str,
    query: Mapping[str, Any],
    seed: int = 0,
    shares: Mapping[str, float] | None = None,
    predecessor: str | None = None,
    datasheet: Callable[[Description], str] | None = None,
    created: datetime | None = None,
    notes: Mapping[str, Any] | None = None,
    on_progress: Callable[[int], object] = lambda rows: None,
) -> "Release":
    """Freeze these rows, by ascending face id. The folder appears whole or not at all; pictures never pile up.

    Raises SplitLeak, BadRow (also for no row at all), FileExistsError.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and a release is never edited. Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        beside = Path(scratch) / folder.name
        (beside / FACES).mkdir(parents=True)
        tally = _Tally()
        files = list(_write_shards(beside, rows, tally, on_progress))
        if not files:
            raise BadRow("There is no face in it. Widen the query.")
        tally.require_no_leak()
        described = Description(
            name=name,
            created=(created or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
            query=dict(query),
            attributes={key: list(each.values) for key, each in ATTRIBUTES.items()},
            counts=tally.counts(),
            splits={"rule": RULE, "seed": seed} | ({"shares": dict(shares)} if shares else {}),
            rights=tally.stated_rights(),
            predecessor=predecessor,
            notes=dict(notes or {}),
        )
        sheet = beside / DATASHEET
        sheet.write_text((datasheet or plain_datasheet)(described), encoding="utf-8")
        described = replace(described, files=(*files, ReleaseFile(DATASHEET, *_measured(sheet))))
        (beside / DESCRIPTION).write_text(_as_json({"id": described.id} | asdict(described)), encoding="utf-8")
        open_release(beside)
        beside.rename(folder)
    return open_release(folder)


RULE = (
    "Whole groups (faces linked by identity, by duplicates or by one photo), by iterative stratification in the order "
    "of a hash; who was in a part in an earlier release stays there, and of two parts that are linked later the test's."
)


def plain_datasheet(described: Description) -> str:
    """Where nobody wrote a better one."""
    return f"# {described.name}\n\n{described.counts['faces']} faces, frozen on {described.created}.\n"


def _write_shards(
    folder: Path, rows: Iterable[FaceRow], tally: _Tally, on_progress: Callable[[int], object]
) -> Iterator[ReleaseFile]:
    pieces = _pieces(rows, tally)
    piece = next(pieces, None)
    number = done = 0
    while piece is not None:
        path = folder / FACES / f"{number:05d}.parquet"
        count, first, last = 0, int(piece["face"][0].as_py()), 0
        with pq.ParquetWriter(path, SCHEMA, compression=_codecs()) as writer:
            while piece is not None and count < SHARD:
                writer.write_table(piece)
                count, last = count + len(piece), int(piece["face"][-1].as_py())
                on_progress(done + count)
                piece = next(pieces, None)
        yield ReleaseFile(f"{FACES}/{path.name}", *_measured(path), rows=count, first=first, last=last)
        number, done = number + 1, done + count


def _pieces(rows: Iterable[FaceRow], tally: _Tally) -> Iterator[pa.Table]:
    for batch in batched(rows, GROUP):
        for row in batch:
            tally.see(row)
        yield pa.Table.from_pylist([row.columns() for row in batch], schema=SCHEMA)


def _codecs() -> dict[str, str]:
    """A JPEG is compressed already."""
    names = {column.name: f"{column.name}.list.element" for column in SCHEMA if pa.types.is_list(column.type)}
    return {names.get(name, name): "none" if name == "image" else "zstd" for name in SCHEMA.names}


def _measured(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size


# ---- reading


@dataclass(frozen=True)
class Release:
    """A release that is there: its description is consistent with itself and all files have their size."""

    folder: Path
    description: Description

    @property
    def id(self) -> str:
        return self.description.id

    @property
    def counts(self) -> Mapping[str, Any]:
        return self.description.counts

    @property
    def shards(self) -> list[ReleaseFile]:
        return [file for file in self.description.files if file.file.startswith(f"{FACES}/")]

    def path(self, file: ReleaseFile) -> Path:
        return self.folder / file.file

    def rows(
        self, columns: Sequence[str] | None = None, split: str | None = None, *, at_once: int | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows in order, of one part or of all, some at a time; only these columns are read from disk.

        Raises BadRelease for an unknown column or part, or a damaged file.
        """
        wanted = list(columns) if columns is not None else self.columns
        for name in wanted:
            if name not in self.columns:
                raise BadRelease(f"The release has no column {name!r}. It has: {', '.join(self.columns)}.")
        if split is not None and split not in SPLITS:
            raise BadRelease(f"A release has no part {split!r}. It has: {', '.join(SPLITS)}.")
        read = wanted if split is None or "split" in wanted else [*wanted, "split"]
        size = at_once or (GROUP if "image" in wanted else LABELS_AT_ONCE)
        for shard in self.shards:
            yield from self._of_shard(shard, read, wanted, split, size)

    def _of_shard(
        self, shard: ReleaseFile, read: list[str], wanted: list[str], split: str | None, size: int
    ) -> Iterator[pa.RecordBatch]:
        try:
            with pq.ParquetFile(self.path(shard)) as file:
                for batch in file.iter_batches(batch_size=size, columns=read):
                    if split is not None:
                        batch = batch.filter(pc.equal(batch["split"], split))
                    if len(batch):
                        yield batch.select(wanted)
        except (pa.ArrowException, OSError) as error:
            raise BadRelease(f"{self.path(shard)} cannot be read ({error}). Fetch the release again.") from error

    @property
    def columns(self) -> list[str]:
        names = schema({name: _attribute(name, of) for name, of in self.description.attributes.items()}).names
        return [name for name in names if SINCE.get(name, 1) <= self.description.format]

    def faces(self, split: str | None = None) -> Iterator[FaceRow]:
        """Every face with its picture, one after the other."""
        for batch in self.rows(split=split):
            yield from map(row_of, batch.to_pylist())

    def holds(self, faces: Iterable[int]) -> set[int]:
        """Those of these faces that are in it; at most one file is looked into for each."""
        firsts = [shard.first for shard in self.shards]
        sought = defaultdict[int, set[int]](set)
        for face in faces:
            place = bisect_right(firsts, face) - 1
            if place >= 0 and face <= self.shards[place].last:
                sought[place].add(face)
        found = set[int]()
        for place, wanted in sought.items():
            for batch in self._of_shard(self.shards[place], ["face"], ["face"], None, LABELS_AT_ONCE):
                found |= wanted & set(batch["face"].to_pylist())
        return found

    def verify(self) -> None:
        """Hash every file anew. Raises BadRelease for the first that is not what was frozen."""
        for file in self.description.files:
            if _measured(self.path(file))[0] != file.sha256:
                raise BadRelease(
                    f"{self.path(file)} is damaged or was changed: its SHA-256 is not {file.sha256}. "
                    "Fetch the release again, or restore it from a backup."
                )
        known = {DESCRIPTION, *(file.file for file in self.description.files)}
        for path in sorted(self.folder.rglob("*")):
            name = path.relative_to(self.folder).as_posix()
            if path.is_file() and name not in known:
                raise BadRelease(f"{path} does not belong to the release. Remove it.")


def _attribute(name: str, values: Sequence[str]) -> Attribute:
    return ATTRIBUTES.get(name) or Attribute(name, tuple(values), "value")


def open_release(folder: Path) -> Release:
    """The release in this folder. Cheap: `Release.verify` hashes the files. Raises BadRelease."""
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadRelease(f"{folder} is no release: its {DESCRIPTION} cannot be read ({error}).") from error
    told = content.get("format") if isinstance(content, dict) else content
    if not isinstance(content, dict) or type(told) is not int or not 1 <= told <= FORMAT:
        raise BadRelease(f"Release format {told!r} in {folder} is not known; this version reads up to {FORMAT}.")
    stated = content.pop("id", None)
    if stated != hashlib.sha256(_as_json(content).encode()).hexdigest():
        raise BadRelease(
            f"{folder / DESCRIPTION} was changed: its id is not the SHA-256 of what it says. Fetch it again."
        )
    try:
        files = tuple(ReleaseFile(**file) for file in content.pop("files"))
        release = Release(folder, Description(**content, files=files))
    except (TypeError, KeyError) as error:
        raise BadRelease(f"{folder / DESCRIPTION} does not say what it must ({error}).") from error
    for name, fits in _fits(release.description).items():
        if not fits:
            raise BadRelease(f"{folder / DESCRIPTION} does not say what it must ({name}).")
    for file in release.description.files:
        _require_whole(folder, file)
    return release


def _fits(said: Description) -> dict[str, bool]:
    """Whether what is gone by is of the kind that it must be: whoever changed the file may have changed its id, too."""
    splits = said.counts.get("splits") if isinstance(said.counts, dict) else None
    return {
        "files": all(
            isinstance(file.file, str)
            and all(isinstance(getattr(file, name), int) for name in ("size", "rows", "first", "last"))
            for file in said.files
        ),
        "counts": isinstance(splits, dict) and all(isinstance(splits.get(split), int) for split in SPLITS),
        "attributes": isinstance(said.attributes, dict)
        and all(isinstance(values, list) for values in said.attributes.values()),
    }


def _require_whole(folder: Path, file: ReleaseFile) -> None:
    if not re.fullmatch(rf"{FACES}/\d{{5,}}\.parquet|{re.escape(DATASHEET)}", file.file):
        raise BadRelease(f"{file.file!r} cannot be a file of a release.")
    path = folder / file.file
    if path.is_symlink() or not path.is_file():
        raise BadRelease(f"{path} is missing. Fetch the release again.")
    if path.stat().st_size != file.size:
        raise BadRelease(
            f"{path} has {path.stat().st_size} bytes instead of {file.size}: it is damaged. Fetch it again."
        )


def remove_remains(folder: Path) -> None:
    """What a killed `write_release` of this folder left beside it."""
    for path in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(path, ignore_errors=True)
