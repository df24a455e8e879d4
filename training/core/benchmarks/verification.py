"""Are these two one person? Pairs in folds, each fold at the threshold of all others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.core import bootstrap
from training.core.benchmarks.faces import View, look
from training.core.benchmarks.judging import STANDARD_ERROR, by_fold, over_folds, stated
from training.core.benchmarks.protocol import Contestant, Faces, Floats, NotMeasured, Ours, Sample

NOWHERE = "like nobody, so the pair is told to be two people"


@dataclass(frozen=True)
class Pair:
    one: Path
    other: Path
    same: bool
    fold: int
    person: str = ""  # the first one's name, where the set says it


@dataclass(frozen=True)
class Verified:
    ours: Ours
    faces: Faces
    scores: dict[str, tuple[float, ...]]


def verify(contestant: Contestant, pairs: Sequence[Pair]) -> Verified:
    """Accuracy over the folds, mean and standard error. Raises NotMeasured."""
    if len({pair.fold for pair in pairs}) < 2:
        raise NotMeasured("It has fewer than two folds: a threshold must come from other folds than it is used on.")
    paths = sorted({path for pair in pairs for path in (pair.one, pair.other)})
    view = View(contestant.embedder.crop, contestant.embedder.embed)
    seen = look([Sample(path.name, path) for path in paths], [view], contestant.tick)
    # A face that was not found is like nobody's: the middle of the picture would be a guess that no system makes.
    vectors = np.where(seen.found[:, None], seen.arrays[0], 0)
    place = {path: number for number, path in enumerate(paths)}
    one, other = (
        vectors[[place[path] for path in side]] for side in zip(*((p.one, p.other) for p in pairs), strict=True)
    )
    cosines = np.asarray((one * other).sum(axis=1), np.float64)
    same, fold = np.array([pair.same for pair in pairs]), np.array([pair.fold for pair in pairs])
    right = right_pairs(cosines, same, fold)
    each = by_fold([Sample("", pair.one, fold=pair.fold) for pair in pairs], {"accuracy": right})
    people = np.unique([pair.person or f"#{n}" for n, pair in enumerate(pairs)], return_inverse=True)[1]
    interval = stated(bootstrap.measured(bootstrap.mean(right), people.astype(np.int64)))
    figure = over_folds([held_out["accuracy"] for held_out in each], STANDARD_ERROR, interval)
    ours = Ours(contestant.backbone, len(pairs), {"accuracy": figure}, each)
    faces = Faces(len(paths), int(seen.found.sum()), NOWHERE)
    return Verified(ours, faces, {"same": tuple(cosines[same].tolist()), "different": tuple(cosines[~same].tolist())})


def right_pairs(cosines: Floats, same: npt.NDArray[np.bool_], fold: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Which pairs are told rightly, each fold at the best threshold of all others."""
    right = np.zeros(len(cosines), bool)
    for held_out in np.unique(fold):
        threshold = best_threshold(cosines[fold != held_out], same[fold != held_out])
        now = fold == held_out
        right[now] = (cosines[now] >= threshold) == same[now]
    return right


def best_threshold(cosines: Floats, same: npt.NDArray[np.bool_]) -> float:
    """The cosine that parts these pairs with the fewest errors: the middle of the best gap."""
    order = np.argsort(cosines, kind="stable")
    values, alike = cosines[order], same[order]
    # Told to be the same from place k on: right are the different ones before it, and the same ones after.
    right = np.concatenate([[0], np.cumsum(~alike)]) + np.concatenate([np.cumsum(alike[::-1])[::-1], [0]])
    cuts = np.concatenate([[values[0] - 1e-3], (values[1:] + values[:-1]) / 2, [values[-1] + 1e-3]])
    apart = np.concatenate([[True], values[1:] > values[:-1], [True]])  # no cut goes through equal cosines
    return float(cuts[np.argmax(np.where(apart, right, -1))])
