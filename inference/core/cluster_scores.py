"""How well a clustering agrees with the truth: BCubed, pairwise F, purity."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.integer]  # (faces,), any whole numbers
Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Precision and recall, each 0–1."""

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Their harmonic mean."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Overlaps:
    """The non-empty cells of the table of clusters by people: how many faces they share."""

    shared: Counts  # (cells,)
    cluster: npt.NDArray[np.intp]  # (cells,), the cell's row
    person: npt.NDArray[np.intp]  # (cells,), and its column

    @property
    def cluster_sizes(self) -> Counts:
        return np.asarray(np.bincount(self.cluster, self.shared), np.float64)

    @property
    def person_sizes(self) -> Counts:
        return np.asarray(np.bincount(self.person, self.shared), np.float64)


def overlaps(labels: Labels, truth: Labels) -> Overlaps:
    """Raises ValueError for no faces, or for lengths that differ."""
    if len(labels) == 0 or len(labels) != len(truth):
        raise ValueError(f"As many labels as truths are needed, and at least one; got {len(labels)} and {len(truth)}.")
    _, clusters = np.unique(labels, return_inverse=True)
    _, people = np.unique(truth, return_inverse=True)
    width = int(people.max()) + 1
    cells, shared = np.unique(clusters * width + people, return_counts=True)
    return Overlaps(shared.astype(np.float64), cells // width, cells % width)


def bcubed(labels: Labels, truth: Labels) -> Score:
    """BCubed precision and recall (Bagga and Baldwin, 1998): the mean over faces of two shares.

    Precision: of the face's cluster, the share that is the same person; recall: of this person's faces,
    the share in the same cluster. A face counts itself. Raises ValueError as `overlaps` does.
    """
    table = overlaps(labels, truth)
    squared = table.shared**2 / len(labels)
    return Score(
        precision=float((squared / table.cluster_sizes[table.cluster]).sum()),
        recall=float((squared / table.person_sizes[table.person]).sum()),
    )


def pairwise(labels: Labels, truth: Labels) -> Score:
    """Precision and recall over pairs of faces; 1 where there is no pair to be wrong about.

    Raises ValueError as `overlaps` does.
    """
    table = overlaps(labels, truth)
    both, together, same = (_pairs(sizes) for sizes in (table.shared, table.cluster_sizes, table.person_sizes))
    return Score(both / together if together else 1.0, both / same if same else 1.0)


def purity(labels: Labels, truth: Labels) -> float:
    """The share of faces whose person is the most frequent one of their cluster.

    It is 1 where every face is a cluster of its own: read it beside the number of clusters.
    Raises ValueError as `overlaps` does.
    """
    table = overlaps(labels, truth)
    most = np.zeros(len(table.cluster_sizes))
    np.maximum.at(most, table.cluster, table.shared)
    return float(most.sum() / len(labels))


def _pairs(sizes: Counts) -> float:
    return float((sizes * (sizes - 1) / 2).sum())
