"""From a release to what a network learns from: crops on disk, targets in memory, batches in an order that is told.

All chance hangs on the seed, the epoch and the step, so that a run that goes on after a break sees what it would have.
"""

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from annotation.core.release import BadRelease, Release
from inference.core.align import align
from inference.core.attributes import GENDER, REAL_AGE, Attribute
from inference.core.bundle import cold_start, open_embedder
from inference.core.bundle import load as load_bundle
from inference.core.types import Crops, CropSpec
from training.core.apart import used
from training.core.config import COLD, BadConfig, TrainConfig
from training.core.losses import soft_years
from training.core.metrics import age_bands

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

AT_ONCE = 256  # faces that a teacher looks at
BAND = 5  # years: the classes that ages are balanced by
OPTIONAL = ("distributions", "deviation", "weights", "vectors")


class NothingToLearnFrom(ValueError):
    """A release, or a part of it, without a label of the task."""

    def __init__(self, task: str, split: str, release: str, *, but_control: bool = False) -> None:
        of_control = ""
        if but_control:
            of_control = " but those of the control slice, from which none is learnt (DAGER_CONTROL_SHARE is how large)"
        super().__init__(
            f"The {split} part of {release} has no face with a {task}{of_control}. Label faces of that part or of new "
            "people, and build a new release: faces that had a part keep it, so more of the others do not help."
        )


@dataclass(frozen=True, eq=False)
class Pictures:
    """Crops that lie in several arrays, on disk or in memory: only what a step asks for is read."""

    arrays: tuple[Crops, ...]  # each (…, side, side, 3)
    array: Ints  # (n,): in which one a row is
    row: Ints  # (n,): and where in it

    @classmethod
    def of(cls, crops: Crops, rows: Ints | None = None) -> "Pictures":
        rows = np.arange(len(crops)) if rows is None else rows
        return cls((crops,), np.zeros(len(rows), np.int64), rows)

    def __len__(self) -> int:
        return len(self.row)

    def take(self, rows: Ints | slice) -> Crops:
        """(n, side, side, 3)."""
        array, row = self.array[rows], self.row[rows]
        taken = np.empty((len(row), *self.arrays[0].shape[1:]), np.uint8)
        for number, crops in enumerate(self.arrays):
            here = array == number
            taken[here] = crops[row[here]]
        return taken

    def part(self, rows: Ints | npt.NDArray[np.bool_]) -> "Pictures":
        return Pictures(self.arrays, self.array[rows], self.row[rows])

    @classmethod
    def joined(cls, parts: Sequence["Pictures"]) -> "Pictures":
        shift = np.cumsum([0, *(len(part.arrays) for part in parts)])
        array = np.concatenate([part.array + by for part, by in zip(parts, shift, strict=False)])
        return cls(tuple(each for part in parts for each in part.arrays), array, np.concatenate([p.row for p in parts]))


@dataclass(frozen=True, eq=False)
class Examples:
    """Faces with what is known of them: one row each."""

    pictures: Pictures  # (n,)
    values: npt.NDArray[np.float64]  # (n,): the index of the class, years, or the number of the identity
    groups: Ints  # (n,): never in two parts
    distributions: Floats | None = None  # (n, classes): of a class, the votes
    deviation: Floats | None = None  # (n,) years: how exactly an age is known, NaN where nobody said
    weights: Floats | None = None  # (n,): how much each counts
    vectors: Floats | None = None  # (n, dimensions): where a teacher puts them
    slices: dict[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    people: bool = False  # the values are identities

    def __len__(self) -> int:
        return len(self.values)

    def part(self, rows: Ints | npt.NDArray[np.bool_]) -> "Examples":
        def of(column: Any) -> Any:
            return None if column is None else column[rows]

        columns = {name: of(getattr(self, name)) for name in ("values", "groups", *OPTIONAL)}
        slices = {name: column[rows] for name, column in self.slices.items()}
        return replace(self, pictures=self.pictures.part(rows), slices=slices, **columns)


# ---- from a release


def load(releases: Sequence[Release], split: str, config: TrainConfig, cache: Path) -> Examples:
    """The faces of one part that have a label of the task, their crops cut once and kept in `cache`.

    Of an embedding: the faces with an identity, or for a distillation all. Of an attribute, but in the test, none of
    the control slice: its answers tell how far the network is right. A photo that several releases have counts once,
    and in no part but the last that one of them gives it. Raises NothingToLearnFrom, BadRelease.
    """
    control = config.attribute is None or split == "test"
    allowed = used(releases, split, control=control) if len(releases) > 1 else [None]
    parts = [
        _of_release(release, split, config, cache, faces) for release, faces in zip(releases, allowed, strict=True)
    ]
    parts = [part for part in parts if len(part)]
    if not parts:
        names = " and ".join(each.description.name for each in releases)
        but_control = not control and any(_has_of_control(each, split, config.task) for each in releases)
        raise NothingToLearnFrom(config.task, split, names, but_control=but_control)
    return parts[0] if len(parts) == 1 else _joined(parts)


def _has_of_control(release: Release, split: str, task: str) -> bool:
    if "control" not in release.columns:
        return False
    rows = (row for batch in release.rows([task, "control"], split) for row in batch.to_pylist())
    return any(row["control"] and row[task] is not None for row in rows)


def _of_release(
    release: Release, split: str, config: TrainConfig, cache: Path, allowed: Collection[int] | None
) -> Examples:
    crops, faces = crops_of(release, split, config.crop, cache)
    wanted = [name for name in _columns(config.attribute) if name in release.columns]
    rows = [row for batch in release.rows(wanted, split) for row in batch.to_pylist()]
    if config.attribute is not None and split != "test":
        rows = [row for row in rows if not row.get("control")]
    if allowed is not None:
        rows = [row for row in rows if row["face"] in allowed]
    told = {row["face"]: row for row in rows if config.loss == "distilled" or row[_label(config)] is not None}
    chosen = np.array([index for index, face in enumerate(faces) if int(face) in told], np.int64)
    known = [told[int(faces[index])] for index in chosen]
    values, distributions, deviation = _targets(config.attribute, known)
    return Examples(
        pictures=Pictures.of(crops, chosen),
        values=values,
        groups=np.array([row["group"] for row in known], np.int64),
        distributions=distributions,
        deviation=deviation,
        weights=_weights(config, known),
        vectors=_taught(release, split, config, cache)[chosen] if config.loss == "distilled" else None,
        slices=_slices(known),
        people=config.attribute is None,
    )


def _label(config: TrainConfig) -> str:
    return config.task if config.attribute else "identity"


def _columns(attribute: Attribute | None) -> list[str]:
    columns = ["face", "group", "identity", "weight", "source", GENDER.name, REAL_AGE.name]
    if attribute is not None:
        columns += [
            attribute.name,
            *(f"{attribute.name}_{part}" for part in ("distribution", "deviation", "confidence")),
            "control",
        ]
    return list(dict.fromkeys(columns))


def _targets(
    attribute: Attribute | None, rows: Sequence[dict[str, Any]]
) -> tuple[npt.NDArray[np.float64], Floats | None, Floats | None]:
    if attribute is None:
        return np.array([-1 if row["identity"] is None else row["identity"] for row in rows], np.float64), None, None
    told = [row[attribute.name] for row in rows]
    if attribute.in_years:
        spread = [row[f"{attribute.name}_deviation"] for row in rows]
        return np.array(told, np.float64), None, np.array([np.nan if x is None else x for x in spread], np.float32)
    values = np.array([attribute.index(value) for value in told], np.float64)
    distributions = np.eye(len(attribute.values), dtype=np.float32)[values.astype(np.int64)]
    for row, each in enumerate(rows):
        if each[f"{attribute.name}_distribution"] is not None:
            distributions[row] = each[f"{attribute.name}_distribution"]
    return values, distributions, None


def _weights(config: TrainConfig, rows: Sequence[dict[str, Any]]) -> Floats:
    """A label counts as far as it is believed: one of two classes that is a coin's throw counts nothing at all."""
    weights = np.array([row["weight"] for row in rows], np.float32)
    if config.attribute is None or config.trust_labels:
        return weights
    believed = [row[f"{config.task}_confidence"] for row in rows]
    classes = len(config.attribute.values)
    chance = 1 / classes if classes else 0.0
    sure = np.array([1.0 if each is None else (each - chance) / (1 - chance) for each in believed], np.float32)
    return np.asarray(weights * sure.clip(0, 1), np.float32)


def _slices(rows: Sequence[dict[str, Any]]) -> dict[str, npt.NDArray[np.str_]]:
    gender = np.array([row[GENDER.name] or "" for row in rows], np.str_)
    years = np.array([np.nan if row[REAL_AGE.name] is None else row[REAL_AGE.name] for row in rows], np.float64)
    age = np.full(len(rows), "", dtype="<U8")
    age[~np.isnan(years)] = age_bands(years[~np.isnan(years)])
    sources = np.array([row["source"] for row in rows], np.str_)
    return {"age": age, "gender": gender, "source": sources}


def _joined(parts: Sequence[Examples]) -> Examples:
    def of(name: str) -> Any:
        columns = [getattr(part, name) for part in parts]
        return None if columns[0] is None else np.concatenate(columns)

    def apart(name: str) -> Any:
        """Groups, and people, of two releases are numbered each by itself."""
        columns = [np.unique(getattr(part, name), return_inverse=True)[1] for part in parts]
        shift = np.cumsum([0, *(int(column.max()) + 1 for column in columns)])
        return np.concatenate([column + by for column, by in zip(columns, shift, strict=False)])

    people = parts[0].people
    return Examples(
        pictures=Pictures.joined([part.pictures for part in parts]),
        values=apart("values").astype(np.float64) if people else of("values"),
        groups=apart("groups"),
        slices={name: np.concatenate([part.slices[name] for part in parts]) for name in parts[0].slices},
        people=people,
        **{name: of(name) for name in OPTIONAL},
    )


def _taught(release: Release, split: str, config: TrainConfig, cache: Path) -> Floats:
    """Where the teacher puts each face of one part (n, dimensions); asked once, then read from disk."""
    teacher = cold_start() if config.teacher == COLD else load_bundle(Path(config.teacher))
    network = open_embedder(teacher, threads=torch.get_num_threads())
    if network.dimensions != config.dimensions:
        raise BadConfig(f"The teacher has {network.dimensions} dimensions: set dimensions={network.dimensions}.")
    crops, _ = crops_of(release, split, network.crop, cache)
    path = crops_folder(cache, release.id) / f"{_key(split, teacher.checksum)}.vectors.npy"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}.npy")
        pieces = (np.array(crops[at : at + AT_ONCE]) for at in range(0, len(crops), AT_ONCE))
        np.save(part, np.concatenate([network.embed(piece) for piece in pieces]))
        part.rename(path)
    return np.asarray(np.load(path), np.float32)


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def crops_folder(cache: Path, release_id: str) -> Path:
    """Where the crops of a release are: when something is erased of it, all of them go."""
    return cache / release_id[:32]


def crops_of(release: Release, split: str, crop: CropSpec, cache: Path) -> tuple[Crops, Ints]:
    """All crops (n, side, side, 3) of one part, and whose they are (n,); cut once, then read from disk."""
    folder, key = crops_folder(cache, release.id), _key(split, crop.template, crop.size)
    crops, faces = folder / f"{key}.npy", folder / f"{key}.faces.npy"
    if not (crops.exists() and faces.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        count = int(release.counts["splits"][split])
        part = crops.with_suffix(f".{os.getpid()}.part")  # of two processes that cut at once both do it, the same
        try:
            kept = np.lib.format.open_memmap(part, "w+", np.uint8, (count, crop.size, crop.size, 3))
            _take_room(part)
            numbers = np.zeros(count, np.int64)
            for row, (face, cut) in enumerate(_cut(release, split, crop)):
                numbers[row], kept[row] = face, cut
            kept.flush()
            np.save(faces, numbers)
            part.rename(crops)  # the last step: what is there is whole
        finally:
            part.unlink(missing_ok=True)
    return np.load(crops, mmap_mode="r"), np.load(faces)


def _take_room(path: Path) -> None:
    """All of it on the disk now: a full disk would kill whoever writes to a mapped file later. Raises OSError."""
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _cut(release: Release, split: str, crop: CropSpec) -> Iterator[tuple[int, Crops]]:
    for batch in release.rows(["face", "image", "landmarks"], split):
        for row in batch.to_pylist():
            bgr = cv2.imdecode(np.frombuffer(row["image"], np.uint8), cv2.IMREAD_COLOR)
            if bgr is None:
                raise BadRelease(f"The picture of face {row['face']} cannot be read. Fetch the release again.")
            points = np.asarray(row["landmarks"], np.float64).reshape(68, 2)
            yield row["face"], align(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), points, crop)[0]


# ---- targets


def targets(examples: Examples, rows: Ints, config: TrainConfig) -> Tensor:
    """What the network should say of these rows (n, outputs); of an embedding who they are (n,)."""
    if config.attribute is None:
        return torch.from_numpy(examples.values[rows].astype(np.int64))
    if not config.attribute.in_years:
        assert examples.distributions is not None
        return torch.from_numpy(examples.distributions[rows])
    if config.groups:
        return torch.nn.functional.one_hot(
            torch.from_numpy(group_of(examples.values[rows], config.groups)), len(config.groups)
        ).float()
    return soft_years(*years_of(examples, rows, config), config.bins)


def years_of(examples: Examples, rows: Ints, config: TrainConfig) -> tuple[Tensor, Tensor]:
    """The ages (n,) and how far each spreads (n,): as annotators say, else as the configuration does."""
    years = torch.from_numpy(examples.values[rows].astype(np.float32)).clamp(0, config.bins - 1)
    spread = torch.full_like(years, config.deviation)
    if examples.deviation is not None:
        told = torch.from_numpy(examples.deviation[rows])
        # A real age that is known to the day still looks like its neighbours: never narrower than the setting.
        told = told if config.epsilon else told.clamp_min(config.deviation)
        spread = torch.where(told.isnan() | (told <= 0), spread, told)
    return years, spread


def group_of(years: npt.NDArray[np.floating], groups: Sequence[tuple[int, int]]) -> Ints:
    """The number of the group (n,) that each age falls into; between two groups it is the nearer one."""
    edges = [(one[1] + two[0]) / 2 for one, two in pairwise(groups)]
    return np.searchsorted(np.array(edges), years, side="right").astype(np.int64)


# ---- order


def order_of(examples: Examples, config: TrainConfig, epoch: int) -> Ints:
    """The rows of an epoch: all once, or with `balance` drawn so that rare classes and ages come more often.

    With weights w and classes of n faces each, a face is drawn in proportion to w / n^balance.
    """
    rng = np.random.default_rng([config.seed, epoch])
    if config.balance == 0 or config.attribute is None:
        return rng.permutation(len(examples))
    classes: npt.NDArray[Any] = examples.values
    if config.attribute.in_years:
        classes = group_of(classes, config.groups) if config.groups else classes // BAND
    _, number, count = np.unique(classes, return_inverse=True, return_counts=True)
    chance = count[number] ** -config.balance
    # By systematic sampling: a face that should come 1.3 times comes once or twice, never five times.
    edges = np.cumsum(chance / chance.sum() * len(examples))
    drawn = np.searchsorted(edges, rng.random() + np.arange(len(examples)))
    return rng.permutation(drawn.clip(max=len(examples) - 1))
