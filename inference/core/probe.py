"""What labelled faces say of the others: by a linear head on their vectors, and by their nearest neighbours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import faiss
import numpy as np
import numpy.typing as npt

from inference.core.late import Late
from inference.core.types import Beliefs, Vectors

if TYPE_CHECKING:
    from sklearn import linear_model, model_selection
else:
    linear_model, model_selection = Late("sklearn.linear_model"), Late("sklearn.model_selection")

Ints = npt.NDArray[np.int64]

FOLDS = 5
FEWEST = 40  # labels; below that a head learns more noise than anything else
STRENGTH = 10.0  # C: the inverse of how strongly the head's weights are held back, for vectors of length √dimensions
STRENGTH_HEARING = 3.0  # where it hears the network, too: on FER+ with 10 it agreed with people less, by 0.002 to 0.015
NEIGHBOURS = 10
NEAR = 0.35  # of the cosine above a stranger's at which a neighbour counts half


@dataclass(frozen=True, eq=False)
class Told:
    """What the labelled faces say of all faces, each face judged without its own label."""

    head: Beliefs  # (n, classes), NaN where there are too few labels
    neighbours: Beliefs  # (n, classes), NaN for a face without a labelled neighbour


def tell(vectors: Vectors, truth: Ints, group: Ints, classes: int, *, seen: Beliefs | None = None) -> Told:
    """From vectors (n, dimensions), their labels `truth` (n,), −1 where there is none, and `group` (n,).

    The head hears what the network has `seen` (n, classes), too: where people call things by other names than those
    whom the network learnt from, some hundred labels tell.
    Out of fold: faces of one group (a person, a set of duplicates) never speak for one another, neither in the head
    nor as neighbours. So what is said of a labelled face may be compared with its label.
    Raises ValueError for shapes that do not match.
    """
    if not len(vectors) == len(truth) == len(group):
        raise ValueError(f"{len(vectors)} vectors, {len(truth)} labels and {len(group)} groups differ.")
    heard, strength = vectors, STRENGTH
    if seen is not None:
        heard, strength = np.concatenate([vectors, _as_vectors(seen)], axis=1), STRENGTH_HEARING
    return Told(_head(heard, truth, group, classes, strength), _neighbours(vectors, truth, group, classes))


def _as_vectors(seen: Beliefs) -> Vectors:
    """Beliefs (n, classes) as log odds against their mean, of length one on the average."""
    logs = np.log(np.clip(seen, 1e-6, 1.0))
    logs -= logs.mean(axis=1, keepdims=True)
    return np.asarray(logs / max(float(np.sqrt((logs**2).sum(axis=1).mean())), 1e-9), np.float32)


def _head(vectors: Vectors, truth: Ints, group: Ints, classes: int, strength: float) -> Beliefs:
    found = np.full((len(vectors), classes), np.nan)
    known = np.flatnonzero(truth >= 0)
    folds = min(FOLDS, len(np.unique(group[known])))
    if len(known) < FEWEST or folds < 2 or len(np.unique(truth[known])) < 2:
        return found
    scaled = vectors * np.sqrt(vectors.shape[1], dtype=np.float32)
    for learn, judge in model_selection.GroupKFold(folds).split(known, groups=group[known]):
        found[known[judge]] = _fitted(scaled, truth, known[learn], known[judge], classes, strength)
    rest = np.flatnonzero(truth < 0)
    if len(rest):
        found[rest] = _fitted(scaled, truth, known, rest, classes, strength)
    return found


def _fitted(
    vectors: Vectors, truth: Ints, learn: Ints, judge: Ints, classes: int, strength: float = STRENGTH
) -> Beliefs:
    told = np.full((len(judge), classes), 1e-6)
    seen = np.unique(truth[learn])
    if len(seen) == 1:
        return np.full((len(judge), classes), np.nan)
    middle = vectors[learn].mean(axis=0)  # faces of one backbone share a direction, which slows the solver twentyfold
    head = linear_model.LogisticRegression(C=strength / vectors.shape[1], max_iter=300)
    told[:, seen] = head.fit(vectors[learn] - middle, truth[learn]).predict_proba(vectors[judge] - middle)
    return np.asarray(told / told.sum(axis=1, keepdims=True), np.float64)


def predict(vectors: Vectors, truth: Ints, classes: int) -> Beliefs:
    """What a head learnt from all labels says of every face (n, classes): for those labelled, not out of fold."""
    scaled = vectors * np.sqrt(vectors.shape[1], dtype=np.float32)
    return _fitted(scaled, truth, np.flatnonzero(truth >= 0), np.arange(len(vectors)), classes)


def _neighbours(vectors: Vectors, truth: Ints, group: Ints, classes: int) -> Beliefs:
    """The nearest labelled faces' values, each weighed by how near it is; a stranger's cosine weighs nothing."""
    found = np.full((len(vectors), classes), np.nan)
    known = np.flatnonzero(truth >= 0)
    if len(known) == 0:
        return found
    near, cosine = nearest(vectors, known)
    strange = float(np.median(cosine[:, -1]))
    weight = np.clip((cosine - strange) / NEAR, 0, None) ** 2
    weight[group[near] == group[:, None]] = 0
    count = np.ones((len(vectors), classes)) * 0.5  # half a vote for each value: few neighbours make nobody sure
    np.add.at(count, (np.arange(len(vectors))[:, None], truth[near]), weight)
    heard = weight.sum(axis=1) > 0
    found[heard] = (count / count.sum(axis=1, keepdims=True))[heard]
    return found


def hear(vectors: Vectors, labelled: npt.NDArray[np.bool_], speaks: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which rows (n,) have one that `speaks` (n,) among the `labelled` (n,) ones nearest to them."""
    known = np.flatnonzero(labelled)
    if len(known) == 0:
        return np.zeros(len(vectors), np.bool_)
    near, _ = nearest(vectors, known)
    return np.asarray(speaks[near].any(axis=1), np.bool_)


def nearest(vectors: Vectors, known: Ints) -> tuple[Ints, npt.NDArray[np.float32]]:
    """The known rows nearest to each, (n, neighbours), and their cosines."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors[known]))
    cosine, near = index.search(np.ascontiguousarray(vectors), min(2 * NEIGHBOURS, len(known)))
    return known[near], cosine


def same_term(term: Ints, truth: Ints, group: Ints, classes: int) -> Beliefs:
    """What the labelled faces that were found under the same search term say (n, classes), each group (n,) for others.

    `term` (n,) numbers the terms, −1 where there is none. NaN where nobody else of the term is labelled.
    """
    found = np.full((len(truth), classes), np.nan)
    known = np.flatnonzero((truth >= 0) & (term >= 0))
    if len(known) == 0:
        return found
    of_term = np.zeros((int(term.max()) + 1, classes))
    np.add.at(of_term, (term[known], truth[known]), 1)
    # What a face's own group said is taken off again: of a person with many faces, all of it.
    keys, own = np.unique(np.stack([term, group]), axis=1, return_inverse=True)
    of_own = np.zeros((keys.shape[1], classes))
    np.add.at(of_own, (own[known], truth[known]), 1)
    others = of_term[term] - of_own[own]
    heard = (term >= 0) & (others.sum(axis=1) > 0)
    count = others + 0.5  # half a vote for each value: few faces make nobody sure
    found[heard] = (count / count.sum(axis=1, keepdims=True))[heard]
    return found
