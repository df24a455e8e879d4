"""Faces in, vectors out: one per face and model version."""

import logging
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
from django.db import transaction

from annotation.core.batches import batched
from annotation.models import Embedding, Face
from annotation.pictures import crop_for
from annotation.presence import faces_there
from inference import registry
from inference.core.types import Picture, Vectors
from inference.models import ModelVersion

log = logging.getLogger(__name__)

BATCH = 32


def embed(faces: Sequence[Face], version: ModelVersion) -> int:
    """Give these faces a vector from this model; those that have one are left alone. Returns how many were done."""
    network = registry.embedder(version)
    having = set(Embedding.objects.filter(version=version, face__in=faces).values_list("face_id", flat=True))
    done = 0
    for piece in batched((face for face in faces if face.pk not in having), BATCH):
        crops, whole = list[Picture](), list[Face]()
        for face in piece:
            try:
                crops.append(crop_for(face, network.crop))
                whole.append(face)
            except OSError as error:
                log.exception("Face %s cannot be embedded", face.pk)
                Face.objects.filter(pk=face.pk).update(failure=f"{type(error).__name__}: {error}", claimed_until=None)
        if not whole:
            continue
        vectors = network.embed(np.stack(crops))
        with transaction.atomic():
            there = faces_there([face.pk for face in whole])
            # Two workers with one face write one vector: the second finds the row and leaves it.
            Embedding.objects.bulk_create(
                [
                    Embedding(face=face, version=version, vector=packed(vector))
                    for face, vector in zip(whole, vectors, strict=True)
                    if face.pk in there
                ],
                ignore_conflicts=True,
            )
        Face.objects.filter(pk__in=[face.pk for face in whole]).update(claimed_until=None)
        done += len(whole)
    return done


def packed(vector: npt.NDArray[np.float32]) -> bytes:
    return vector.astype("<f2").tobytes()


def vectors(faces: Sequence[int], version: ModelVersion) -> Vectors:
    """The vectors (faces, dimensions) of these faces, in their order. Raises KeyError for a face without one."""
    return matrix(faces, _stored(faces, version), version.dimensions)


def matrix(faces: Sequence[int], stored: Iterable[tuple[int, bytes]], dimensions: int) -> Vectors:
    row = {face: index for index, face in enumerate(faces)}
    filled = np.zeros((len(faces), dimensions), np.float32)
    missing = set(row)
    for face, data in stored:
        filled[row[face]] = np.frombuffer(data, "<f2")
        missing.discard(face)
    if missing:
        raise KeyError(f"Face {min(missing)} has no vector yet.")
    length = np.linalg.norm(filled, axis=1, keepdims=True)  # float16 has rounded it off by up to one in a thousand
    return np.asarray(filled / np.maximum(length, 1e-12), np.float32)


def _stored(faces: Sequence[int], version: ModelVersion) -> Iterable[tuple[int, bytes]]:
    for piece in batched(faces, 500):
        rows = Embedding.objects.filter(version=version, face__in=piece).values_list("face_id", "vector")
        yield from ((face, bytes(vector)) for face, vector in rows)
