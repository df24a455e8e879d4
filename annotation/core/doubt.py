"""Which labels are probably wrong: confident learning (Northcutt et al., JAIR 2021), by cleanlab."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inference.core.late import Late

if TYPE_CHECKING:
    from cleanlab import filter as confident_learning
else:
    confident_learning = Late("cleanlab.filter")

FEWEST = 50  # labels; below that nobody knows how sure the models may be of a class


def disbelieved(belief: npt.NDArray[np.float64], given: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The rows whose label is probably wrong, the least believed first.

    `belief` (n, classes) is what models say that did not see the row's own label, and `given` (n,) the labels. How
    sure they are of the rows labelled as a class is compared with their average for that class, so that a class of
    which they are never sure is not disbelieved as a whole.
    """
    if belief.shape[0] != len(given):
        raise ValueError(f"{belief.shape[0]} beliefs and {len(given)} labels differ.")
    if len(given) < FEWEST or len(np.unique(given)) < 2:
        return np.zeros(0, np.int64)
    told = np.clip(belief, 1e-6, None)
    told /= told.sum(axis=1, keepdims=True)
    found = confident_learning.find_label_issues(given, told, return_indices_ranked_by="self_confidence", n_jobs=1)
    rows = np.asarray(found, np.int64)
    return np.asarray(rows[told[rows].argmax(axis=1) != given[rows]], np.int64)
