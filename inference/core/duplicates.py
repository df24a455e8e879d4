"""Which pictures are one picture: re-encoded, resized or slightly cropped."""

import cv2
import faiss
import numpy as np
import numpy.typing as npt

from inference.core.search import nearest
from inference.core.types import Picture, Vectors

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]

# Chosen on copies of 250 photos of LFW, re-encoded (quality 30–90), resized (0.5–0.9) and cropped (up to 8 % a side),
# among 600 photos of the same people: see tests/benchmarks/near_duplicates.py.
ALIKE_VECTOR = 0.97  # cosine (dlib's vectors): copies 0.975 at least
ALIKE_CROP = 14  # bits that the hashes of two aligned crops may differ in: copies 14 at most
ALIKE_WHOLE = 10  # bits between the hashes of whole photos: what encoding and resizing change, and some of the crops
SAME_DETAIL = (
    0.93  # correlation of registered crops: all but one of 1,000 copies 0.96 at least, other photos 0.88 at most
)
SAME_PHOTO = 2  # bits, for pictures without a face, which nothing else can confirm
BLACK = 12  # luma
SHOWN = 1 / 3  # of the area; with less to compare, nothing is confirmed
FLAT = 4.0  # deviation of the luma; a blank page hashes to noise
REGISTERED_AT = 96  # pixels
ECC_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
NEIGHBOURS = 12  # a photo is scraped a few times over, not hundreds of times


def perceptual_hash(picture: Picture) -> int | None:
    """64 bits that hardly change when a picture is re-encoded or resized (pHash: Zauner, 2010); none for a blank one.

    The signs of the 8 × 8 lowest frequencies of the 32 × 32 luma around their median.
    """
    luma = _luma(picture, 32)
    if luma.std() < FLAT:
        return None
    frequencies = cv2.dct(luma.astype(np.float32))[:8, :8].ravel()
    bits = frequencies > np.median(frequencies[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def crop_hash(crop: Picture) -> int | None:
    """The hash of the inner part of an aligned crop. Alignment undoes what cropping and resizing the photo did."""
    return perceptual_hash(_inner(crop))


def detail_correlation(crop: Picture, other: Picture) -> float:
    """How alike two aligned crops are in their fine structure, −1 to 1, once one is registered onto the other.

    In another photo of one person the light may be alike, but not the hair. Landmarks found anew in a copy lie some
    pixels beside, so the crops do, too; that must not count.
    """
    return max(_correlation(crop, other), _correlation(crop, _registered(crop, other)))


def _correlation(crop: Picture, other: Picture) -> float:
    """Over what both show: beyond the edge of its photo a crop is black."""
    one, two = (_luma(_inner(picture), 48) for picture in (crop, other))
    lit = (np.minimum(one, two) > BLACK).astype(np.uint8)
    shown = cv2.erode(lit, np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    if shown.mean() < SHOWN:
        return 0.0
    fine, also_fine = (_detail(luma.astype(np.float32), shown.astype(np.float32))[shown] for luma in (one, two))
    if min(fine.std(), also_fine.std()) < 1e-6:
        return 0.0
    return float(np.corrcoef(fine, also_fine)[0, 1])


def _detail(luma: npt.NDArray[np.float32], shown: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """What is left of the luma without its light and shade, a blur that looks only at what is shown."""
    light = cv2.GaussianBlur(luma * shown, (0, 0), 6) / np.maximum(cv2.GaussianBlur(shown, (0, 0), 6), 1e-6)
    return np.asarray(luma - light, np.float32)


def _registered(crop: Picture, other: Picture) -> Picture:
    """The other crop warped onto this one by the affine map that correlates them best (ECC: Evangelidis, 2008)."""
    still, moving = (_luma(picture, REGISTERED_AT) for picture in (crop, other))
    identity = np.eye(2, 3, dtype=np.float32)
    try:
        _, warp = cv2.findTransformECC(still, moving, identity, cv2.MOTION_AFFINE, ECC_STOP, None, 5)  # type: ignore[call-overload]
    except cv2.error:  # they have nothing in common that could be brought together
        return other
    warp[:, 2] *= crop.shape[0] / REGISTERED_AT
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(other, warp, crop.shape[1::-1], flags=flags), np.uint8)


def _luma(picture: Picture, side: int) -> Picture:
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(gray, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _inner(crop: Picture) -> Picture:
    margin = crop.shape[0] * 3 // 16
    return np.ascontiguousarray(crop[margin:-margin, margin:-margin])


def alike_faces(vectors: Vectors, crops: Hashes, photos: Hashes, rows: Ints) -> list[tuple[int, int]]:
    """Pairs that may show one face of one picture: each of `rows` among all n. `detail_correlation` has the last word.

    Vectors (n, dimensions) agree, and so do the hashes (n,) of the crops or of the whole photos.
    """
    found, cosines = nearest(vectors[rows], vectors, NEIGHBOURS + 1)
    one, other, cosine = np.repeat(rows, found.shape[1]), found.ravel(), cosines.ravel()
    keep = (other >= 0) & (one != other) & (cosine >= ALIKE_VECTOR)
    one, other = one[keep], other[keep]
    alike = np.bitwise_count(crops[one] ^ crops[other]) <= ALIKE_CROP
    alike |= np.bitwise_count(photos[one] ^ photos[other]) <= ALIKE_WHOLE
    pairs = np.sort(np.column_stack([one, other])[alike], axis=1)
    return [(int(a), int(b)) for a, b in np.unique(pairs, axis=0)]


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
