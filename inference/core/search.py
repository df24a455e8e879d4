"""Nearest neighbours among vectors (FAISS)."""

import faiss
import numpy as np
import numpy.typing as npt

from inference.core.types import Vectors

EXACT = 50_000  # vectors; up to here comparing all with all takes seconds
PROBES = 16  # inverted lists that a query looks into: finds 0.9 of the true neighbours among a million
Neighbours = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]


def nearest(queries: Vectors, vectors: Vectors, k: int) -> Neighbours:
    """The k most similar of `vectors` (n, d) for each query (m, d): their rows (m, k) and cosines (m, k).

    Both of unit length. Fewer than k are filled up with row −1. Exact for small sets, else by inverted lists.
    """
    k = min(k, len(vectors))
    index = _index(vectors, queries=len(queries))
    cosines, rows = index.search(np.ascontiguousarray(queries, np.float32), k)
    return rows, cosines


def _index(vectors: Vectors, *, queries: int) -> faiss.Index:
    dimensions = vectors.shape[1]
    flat = faiss.IndexFlatIP(dimensions)
    if len(vectors) <= EXACT or queries <= 1_000:  # training an index costs as much as comparing some queries with all
        flat.add(np.ascontiguousarray(vectors, np.float32))
        return flat
    lists = int(4 * np.sqrt(len(vectors)))
    index = faiss.IndexIVFScalarQuantizer(
        flat, dimensions, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter = 10  # of k-means; the lists need to be alike in size, not perfect
    rng = np.random.default_rng(0)
    index.train(vectors[rng.permutation(len(vectors))[: 40 * lists]])
    index.add(np.ascontiguousarray(vectors, np.float32))
    index.nprobe = PROBES
    return index
