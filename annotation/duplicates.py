"""Faces and photos in, groups of one picture out, each with the one that stands for it in questions."""

from collections.abc import Collection

import numpy as np
from django.db import transaction

from annotation import labels
from annotation.core.batches import batched
from annotation.models import Embedding, Face, Photo
from inference.core.duplicates import representatives, same_faces, same_photos
from inference.models import ModelVersion

Rank = tuple[float, ...]


def find(version: ModelVersion, fresh: Collection[int] | None = None) -> int:
    """Find the duplicates of these faces (of all without), and of photos without faces. Returns how many faces are.

    Who stands for a group already goes on to do so, since people may have answered about that face.
    """
    columns = ("face_id", "face__perceptual_hash", "face__photo__width", "face__photo__height", "face__photo__size", "vector")
    columns += ("face__duplicate_of_id", "face__photo_id")
    found = Embedding.objects.filter(version=version, face__perceptual_hash__isnull=False)
    count = found.count()
    faces, hashes = np.zeros(count, np.int64), np.zeros(count, np.uint64)
    vectors = np.zeros((count, version.dimensions), np.float32)
    rank: dict[int, Rank] = {}
    photo: dict[int, int] = {}
    stands: dict[int, int] = {}
    rows = found.order_by("face_id").values_list(*columns)[:count]
    for index, (face, hashed, width, height, size, vector, original, of_photo) in enumerate(rows.iterator(chunk_size=5_000)):
        faces[index], hashes[index] = face, hashed % 2**64
        vectors[index] = np.frombuffer(vector, "<f2")
        old = fresh is not None and face not in fresh
        rank[face] = (float(old and original is None), width * height, size, -face)
        photo[face] = of_photo
        if original is not None:
            stands[face] = original
    wanted = np.arange(count) if fresh is None else np.flatnonzero(np.isin(faces, list(fresh)))
    pairs = [(int(faces[a]), int(faces[b])) for a, b in same_faces(vectors, hashes, wanted)] if len(wanted) else []
    # Two faces of one photo are two faces, however alike: twins, or a collage.
    pairs = [(a, b) for a, b in pairs if photo[a] != photo[b]]
    pairs += [(face, original) for face, original in stands.items() if original in rank]
    changed = {face: original for face, original in representatives(pairs, rank).items() if stands.get(face) != original}
    _write_faces(changed)
    _write_photos_without_faces()
    return len(changed)


@transaction.atomic
def _write_faces(changed: dict[int, int]) -> None:
    for piece in batched(sorted(changed), 500):
        rows = list(Face.objects.filter(pk__in=piece).select_related("photo"))
        originals = Face.objects.filter(pk__in={changed[face.pk] for face in rows}).in_bulk()
        for face in rows:
            original = originals[changed[face.pk]]
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
    hashes = np.array([hashed % 2**64 for _, hashed, *_ in rows], np.uint64)
    pairs = [(rows[a][0], rows[b][0]) for a, b in same_photos(hashes)]
    rank: dict[int, Rank] = {pk: (width * height, size, -pk) for pk, _, width, height, size in rows}
    for pk, original in representatives(pairs, rank).items():
        Photo.objects.filter(pk=pk).update(duplicate_of=original)
