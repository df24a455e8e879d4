"""Any model, ours or shipped, on the test part of a release: what it says of each face, and what that is worth."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from annotation.core.release import Release
from inference.core.attributes import ATTRIBUTES, Attribute
from inference.core.cold_attributes import expected_years
from inference.core.types import AttributeModel, Beliefs, Embedder, Vectors
from training.core.config import TrainConfig, preset
from training.core.data import Examples, NothingToLearnFrom, crops_of, load
from training.core.evaluate import Truth

AT_ONCE = 256
TIMED = 20  # faces that a model is timed on, one by one
MOST_DIFFERENT = 48  # faces that are kept of a comparison

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Heard:
    """What a model says of the test faces with a known value."""

    faces: Ints  # (n,): their ids
    beliefs: Beliefs  # (n, values | 117)
    truth: Truth
    milliseconds: float  # a face takes by itself, the median


def hear(
    model: AttributeModel, release: Release, cache: Path, *, split: str = "test", without: Ints | None = None
) -> Heard:
    """`without`: faces that are not asked about. Raises NothingToLearnFrom, BadRelease."""
    config = _config(model.attribute, model.crop.template, model.crop.size)
    examples = _asked(load([release], split, config, cache), release, split, config, cache, without)
    _, faces = crops_of(release, split, model.crop, cache)
    beliefs = [model.look(crops)[0] for crops in _pieces(examples)]
    return Heard(
        faces=faces[examples.pictures.row],
        beliefs=np.concatenate(beliefs),
        truth=truth_of(model.attribute, examples),
        milliseconds=_timed(lambda crops: model.look(crops), examples),
    )


@dataclass(frozen=True, eq=False)
class Placed:
    """Where a backbone puts the test faces of known people."""

    vectors: Vectors  # (n, dimensions)
    identity: Ints  # (n,)
    slices: dict[str, npt.NDArray[np.str_]]  # by what: the slice of each; "" unknown
    milliseconds: float  # a face takes by itself, the median


def place(
    embedder: Embedder, release: Release, cache: Path, *, split: str = "test", without: Ints | None = None
) -> Placed:
    """`without`: faces that are not asked about. Raises NothingToLearnFrom, BadRelease."""
    config = preset("quick", "embedding", template=embedder.crop.template, side=embedder.crop.size)
    examples = _asked(load([release], split, config, cache), release, split, config, cache, without)
    vectors = np.concatenate([embedder.embed(crops) for crops in _pieces(examples)])
    return Placed(
        vectors=vectors,
        identity=examples.values.astype(np.int64),
        slices={by: names for by, names in examples.slices.items() if len(set(names) - {""}) > 1},
        milliseconds=_timed(lambda crops: embedder.embed(crops), examples),
    )


def _asked(
    examples: Examples, release: Release, split: str, config: TrainConfig, cache: Path, without: Ints | None
) -> Examples:
    if without is None or not len(without):
        return examples
    _, faces = crops_of(release, split, config.crop, cache)
    left = examples.part(~np.isin(faces[examples.pictures.row], without))
    if not len(left):
        raise NothingToLearnFrom(config.task, f"unseen {split}", release.description.name)
    return left


def _config(attribute: Attribute, template: str, side: int) -> TrainConfig:
    return preset("quick", attribute.name, template=template, side=side)


def _pieces(examples: Examples) -> Sequence[npt.NDArray[np.uint8]]:
    return [examples.pictures.take(slice(start, start + AT_ONCE)) for start in range(0, len(examples), AT_ONCE)]


def truth_of(attribute: Attribute, examples: Examples) -> Truth:
    """What these faces are, as evaluation asks for it; the slices that divide them."""
    spread = attribute.keeps == "mean and deviation" and examples.deviation is not None
    known = {"age"} if attribute.in_years else set[str]()
    return Truth(
        attribute=attribute,
        values=examples.values,
        deviation=np.asarray(examples.deviation, np.float64) if spread else None,
        groups=examples.groups,
        slices={by: names for by, names in examples.slices.items() if by not in known and len(set(names) - {""}) > 1},
    )


def _timed(look: Any, examples: Examples) -> float:
    faces = examples.pictures.take(slice(0, TIMED))
    taken = list[float]()
    for face in faces:
        begun = perf_counter()
        look(face[None])
        taken.append((perf_counter() - begun) * 1000)
    return round(median(taken), 2)


def most_different(one: Heard, other: Heard) -> list[dict[str, Any]]:
    """The faces that two models see most differently, with what each says and what is known."""
    attribute = one.truth.attribute
    ours, theirs = _told(attribute, one.beliefs), _told(attribute, other.beliefs)
    gap = np.abs(ours - theirs) if attribute.in_years else np.abs(one.beliefs - other.beliefs).sum(axis=1)
    order = np.argsort(-gap, kind="stable")[:MOST_DIFFERENT]
    return [
        {
            "face": int(one.faces[row]),
            "says": _named(attribute, ours[row]),
            "against": _named(attribute, theirs[row]),
            "known": _named(attribute, one.truth.values[row]),
            "gap": round(float(gap[row]), 3),
        }
        for row in order
        if gap[row] > 0
    ]


def _told(attribute: Attribute, beliefs: Beliefs) -> npt.NDArray[np.float64]:
    return expected_years(beliefs) if attribute.in_years else beliefs.argmax(axis=1).astype(np.float64)


def _named(attribute: Attribute, value: float) -> str:
    return f"{value:.1f}" if attribute.in_years else ATTRIBUTES[attribute.name].values[int(value)]
