"""Which pictures are one picture: re-encoded, resized or slightly cropped."""

from dataclasses import dataclass

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
SAME_CROP = 8  # bits that the hashes of two aligned crops may differ in: copies 6 at most, other photos 10 at least
SAME_VECTOR = 0.97  # cosine (dlib's vectors): copies 0.979 at least
SAME_DETAIL = 0.85  # correlation of the crops' detail: all but one in a hundred copies above, other photos 0.79 at most
SAME_WHOLE = 2  # bits between the hashes of whole photos whose vectors agree: what encoding and resizing change
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
    return perceptual_hash(_inner(crop))


def detail_correlation(crop: Picture, other: Picture) -> float:
    """How alike two aligned crops are in their fine structure, −1 to 1.

    In another photo of one person the light may be alike, but not the hair.
    """
    return float(np.corrcoef(_detail(crop).ravel(), _detail(other).ravel())[0, 1])


def _detail(crop: Picture) -> npt.NDArray[np.float32]:
    luma = cv2.resize(cv2.cvtColor(_inner(crop), cv2.COLOR_RGB2GRAY), (48, 48), interpolation=cv2.INTER_AREA)
    fine = luma.astype(np.float32)
    return np.asarray(fine - cv2.GaussianBlur(fine, (0, 0), 6), np.float32)


def _inner(crop: Picture) -> Picture:
    margin = crop.shape[0] * 3 // 16
    return np.ascontiguousarray(crop[margin:-margin, margin:-margin])


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of rows that may show one face of one picture."""

    sure: list[tuple[int, int]]  # the whole photos hash alike, too
    doubtful: list[tuple[int, int]]  # the crops hash alike; `detail_correlation` has the last word


def same_faces(vectors: Vectors, crops: Hashes, photos: Hashes, rows: Ints) -> Candidates:
    """Copies of each of `rows` among all n: vectors (n, dimensions) agree, and hashes (n,) of crops or photos."""
    found, cosines = nearest(vectors[rows], vectors, NEIGHBOURS + 1)
    one, other, cosine = np.repeat(rows, found.shape[1]), found.ravel(), cosines.ravel()
    keep = (other >= 0) & (one != other) & (cosine >= SAME_VECTOR)
    one, other = one[keep], other[keep]
    whole = np.bitwise_count(photos[one] ^ photos[other]) <= SAME_WHOLE
    close = (np.bitwise_count(crops[one] ^ crops[other]) <= SAME_CROP) & ~whole
    return Candidates(
        sure=list(zip(one[whole].tolist(), other[whole].tolist(), strict=True)),
        doubtful=list(zip(one[close].tolist(), other[close].tolist(), strict=True)),
    )


def same_photos(hashes: Hashes) -> list[tuple[int, int]]:
    """Pairs of rows of pictures without faces that are one picture by their hashes (n,) alone."""
    if len(hashes) < 2:
        return []
    codes = np.ascontiguousarray(hashes).view(np.uint8).reshape(len(hashes), 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    limits, _, rows = index.range_search(codes, SAME_PHOTO + 1)  # FAISS takes those below the radius
    one = np.repeat(np.arange(len(hashes)), np.asarray(np.diff(limits.astype(np.int64)), np.int64))
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
