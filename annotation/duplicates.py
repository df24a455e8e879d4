"""Faces and photos in, groups of one picture out, each with the one that stands for it in questions."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import transaction

from annotation import labels
from annotation.core.batches import batched
from annotation.models import Embedding, Face, Photo
from annotation.pictures import read_crop
from annotation.turns import take_turn
from inference.core.duplicates import SAME_DETAIL, alike_faces, detail_correlation, representatives, same_photos
from inference.core.types import Vectors
from inference.models import ModelVersion

Rank = tuple[float, ...]


@dataclass(frozen=True, eq=False)
class _Seen:
    """Every face that can be compared, in the order of its id."""

    faces: npt.NDArray[np.int64]
    vectors: Vectors
    crops: npt.NDArray[np.uint64]
    photos: npt.NDArray[np.uint64]
    photo_of: dict[int, int]
    stands: dict[int, int]  # who stands for a face so far
    rank: dict[int, Rank]


def find(version: ModelVersion, fresh: Collection[int] | None = None) -> int:
    """Find the duplicates of these faces (of all without), and of photos without faces. Returns how many faces are.

    Who stands for a group already goes on to do so, since people may have answered about that face.
    """
    seen = _seen(version, fresh)
    rows = np.arange(len(seen.faces)) if fresh is None else np.flatnonzero(np.isin(seen.faces, list(fresh)))
    pairs = _copies(seen, rows) if len(rows) else []
    pairs += [(face, original) for face, original in seen.stands.items() if original in seen.rank]
    stands = representatives(pairs, seen.rank)
    changed = {face: original for face, original in stands.items() if seen.stands.get(face) != original}
    _write_faces(changed)
    _write_photos_without_faces()
    return len(changed)


def _seen(version: ModelVersion, fresh: Collection[int] | None) -> _Seen:
    known = Embedding.objects.filter(
        version=version, face__perceptual_hash__isnull=False, face__photo__perceptual_hash__isnull=False
    )
    count = known.count()
    seen = _Seen(
        faces=np.zeros(count, np.int64),
        vectors=np.zeros((count, version.dimensions), np.float32),
        crops=np.zeros(count, np.uint64),
        photos=np.zeros(count, np.uint64),
        photo_of={},
        stands={},
        rank={},
    )
    rows = known.order_by("face_id").select_related("face__photo")
    rows = rows.defer("face__landmarks", "face__points", "face__photo__metadata", "face__photo__caption")
    for index, row in enumerate(rows[:count].iterator(chunk_size=5_000)):
        face, photo = row.face, row.face.photo
        seen.faces[index] = face.pk
        seen.vectors[index] = np.frombuffer(row.vector, "<f2")
        seen.crops[index] = face.perceptual_hash % 2**64  # type: ignore[operator]
        seen.photos[index] = photo.perceptual_hash % 2**64  # type: ignore[operator]
        seen.photo_of[face.pk] = photo.pk
        settled = fresh is not None and face.pk not in fresh and face.duplicate_of_id is None
        seen.rank[face.pk] = (float(settled), photo.width * photo.height, photo.size, -face.pk)
        if face.duplicate_of_id is not None:
            seen.stands[face.pk] = face.duplicate_of_id
    return seen


def _copies(seen: _Seen, rows: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    alike = [
        (int(seen.faces[a]), int(seen.faces[b])) for a, b in alike_faces(seen.vectors, seen.crops, seen.photos, rows)
    ]
    # Two faces of one photo are two faces, however alike: twins, or a collage.
    return _confirmed([(a, b) for a, b in alike if seen.photo_of[a] != seen.photo_of[b]])


def _confirmed(pairs: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The pairs whose crops agree in detail, too."""
    confirmed = list[tuple[int, int]]()
    for piece in batched(pairs, 500):
        faces = Face.objects.select_related("photo").in_bulk({face for pair in piece for face in pair})
        crops = {}
        for pk, face in faces.items():
            try:
                crops[pk] = read_crop(face)
            except FileNotFoundError:
                continue  # erased meanwhile
        there = [(a, b) for a, b in piece if a in crops and b in crops]
        confirmed += [(a, b) for a, b in there if detail_correlation(crops[a], crops[b]) >= SAME_DETAIL]
    return confirmed


@transaction.atomic
def _write_faces(changed: dict[int, int]) -> None:
    take_turn()
    for piece in batched(sorted(changed), 500):
        rows = list(Face.objects.filter(pk__in=piece).select_related("photo"))
        originals = Face.objects.filter(pk__in={changed[face.pk] for face in rows}).in_bulk()
        for face in rows:
            original = originals.get(changed[face.pk])
            if original is None:
                continue  # erased meanwhile
            face.duplicate_of = original
            # The photos are one picture if it is the main face of both that is one.
            if face.chosen and original.chosen:
                Photo.objects.filter(pk=face.photo_id).update(duplicate_of=original.photo_id)
                Photo.objects.filter(duplicate_of=face.photo_id).update(duplicate_of=original.photo_id)
        Face.objects.bulk_update(rows, ["duplicate_of"])
        labels.derive(faces=piece)


def _write_photos_without_faces() -> None:
    faceless = Photo.objects.filter(faces=None, perceptual_hash__isnull=False, faces_sought_at__isnull=False)
    rows = list(faceless.order_by("id").values_list("pk", "perceptual_hash", "width", "height", "size"))
    hashes = np.array([hashed % 2**64 for _, hashed, *_ in rows if hashed is not None], np.uint64)
    pairs = [(rows[a][0], rows[b][0]) for a, b in same_photos(hashes)]
    rank: dict[int, Rank] = {pk: (width * height, size, -pk) for pk, _, width, height, size in rows}
    for pk, original in representatives(pairs, rank).items():
        Photo.objects.filter(pk=pk).update(duplicate_of=original)
