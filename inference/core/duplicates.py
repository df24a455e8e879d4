"""Which pictures are one picture: re-encoded, resized or slightly cropped."""

import cv2
import faiss
import numpy as np
import numpy.typing as npt

from inference.core.search import nearest
from inference.core.types import Picture, Vectors

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

# Chosen on 250 photos of LFW that were re-encoded (quality 30–90), resized (0.5–0.9) and cropped (up to 8 % a side),
# against 340 pairs of other photos of one person: see tests/benchmarks/near_duplicates.py.
SAME_CROP = 10  # bits that the hashes of two aligned crops may differ in
SAME_VECTOR = 0.98  # cosine that confirms it (dlib's vectors)
SAME_PHOTO = 2  # bits, for pictures without a face, which nothing else can confirm
FLAT = 4.0  # deviation of the luma; a blank page hashes to noise
NEIGHBOURS = 12  # a photo is scraped a few times over, not hundreds of times


def perceptual_hash(picture: Picture) -> int | None:
    """64 bits that hardly change when a picture is re-encoded or resized (pHash: Zauner, 2010); none for a blank one.

    The signs of the 8 × 8 lowest frequencies of the 32 × 32 luma around their median.
    """
    luma = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (32, 32), interpolation=cv2.INTER_AREA)
    if luma.std() < FLAT:
        return None
    frequencies = cv2.dct(luma.astype(np.float32))[:8, :8].ravel()
    bits = frequencies > np.median(frequencies[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def crop_hash(crop: Picture) -> int | None:
    """The hash of the inner part of an aligned crop. Alignment undoes what cropping and resizing the photo did."""
    margin = crop.shape[0] * 3 // 16
    return perceptual_hash(np.ascontiguousarray(crop[margin:-margin, margin:-margin]))


def same_faces(vectors: Vectors, hashes: Hashes, rows: Ints) -> list[tuple[int, int]]:
    """Pairs (row, other row) that show one face of one picture, for each of `rows` among all n.

    `vectors` (n, dimensions) and the crops' `hashes` (n,) must both agree.
    """
    found, cosines = nearest(vectors[rows], vectors, NEIGHBOURS + 1)
    one, other, cosine = np.repeat(rows, found.shape[1]), found.ravel(), cosines.ravel()
    keep = (other >= 0) & (one != other) & (cosine >= SAME_VECTOR)
    one, other = one[keep], other[keep]
    close = np.bitwise_count(hashes[one] ^ hashes[other]) <= SAME_CROP
    return list(zip(one[close].tolist(), other[close].tolist(), strict=True))


def same_photos(hashes: Hashes) -> list[tuple[int, int]]:
    """Pairs of rows of pictures without faces that are one picture by their hashes (n,) alone."""
    if len(hashes) < 2:
        return []
    codes = np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    limits, _, rows = index.range_search(codes, SAME_PHOTO + 1)  # FAISS takes those below the radius
    one = np.repeat(np.arange(len(hashes)), np.diff(limits.astype(np.int64)))
    return [(int(a), int(b)) for a, b in zip(one, rows, strict=True) if a < b]


def representatives(pairs: list[tuple[int, int]], rank: dict[int, tuple[float, ...]]) -> dict[int, int]:
    """For each member of a group that another one stands for: who does, the one of the highest rank."""
    parent: dict[int, int] = {}

    def root(item: int) -> int:
        while parent.get(item, item) != item:
            parent[item] = item = parent.get(parent[item], parent[item])
        return item

    for one, other in pairs:
        a, b = root(one), root(other)
        if a != b:
            best, worse = (a, b) if rank[a] >= rank[b] else (b, a)
            parent[worse] = best
    return {item: root(item) for item in parent if root(item) != item}
