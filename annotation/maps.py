"""Vectors in, a map of them out: where a sample of all faces lies on a plane, by the live model.

Where a face lies is kept in the table MapPoint, a row a face, and nowhere else: it is a vector still, if a short one,
and goes when its face is erased. Cluster and person are looked up when the map is shown, so a new grouping colours the
same map anew; drawn anew it is for another model, and once the faces have become a tenth more, or less.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from annotation import belt
from annotation.core.batches import batched
from annotation.core.neighbour_map import layout
from annotation.embeddings import vectors
from annotation.models import ClusteringRun, Embedding, FaceMap, Identity, MapPoint, Photo
from annotation.presence import faces_there
from annotation.stretches import row_by_row, stretches
from inference import registry
from inference.core.bundle import EMBEDDING
from inference.models import ModelVersion

SAMPLE = 20_000  # faces that are shown: more would be a blur, and cover one another
FEWEST = 3
MOVED = 0.1  # of the faces came or went: it is drawn anew
CLAIMED, CLAIM = "map", timedelta(minutes=15)
CHUNK = 500
SHOWN = 5_000  # faces whose groups one query looks up
ALONE = -1  # the group of a face that is in no cluster
GROUPS = 2_000  # that are told apart: the largest; who is in a smaller one is alone


def behind() -> bool:
    """Whether the map shows another model, or too few of the faces that there are."""
    version = _live()
    if version is None:
        return False
    count, drawn = Embedding.objects.filter(version=version).count(), FaceMap.objects.filter(pk=1).first()
    if drawn is None or drawn.at is None or drawn.version_id != version.pk:
        return count >= FEWEST
    return abs(count - drawn.of) > MOVED * max(drawn.of, 1)


def due(now: datetime) -> bool:
    """Whether somebody should draw it now. While photos wait it is not: it would be behind again in a moment."""
    return not belt.claimed(CLAIMED, now) and not Photo.objects.without_faces_sought().exists() and behind()


def keep_up(now: datetime | None = None) -> bool:
    """Draw the map anew if it is behind, unless somebody else does. Returns whether it was drawn."""
    held = belt.claim(CLAIMED, CLAIM, now) if behind() else None
    if held is None:
        return False
    try:
        draw(registry.ensure_live())
    finally:
        belt.let_go(CLAIMED, held)
    return True


def draw(version: ModelVersion, seed: int = 0) -> int:
    """Place a sample of the faces; the slow work first, then all rows at once. Returns how many were placed."""
    begun = monotonic()
    faces, of = _sample(version, seed)
    places = layout(vectors(faces, version), seed)
    with transaction.atomic():
        there = faces_there(faces)  # who was erased meanwhile is not drawn
        MapPoint.objects.all().delete()
        points = [
            MapPoint(face_id=face, x=round(float(x), 4), y=round(float(y), 4))
            for face, (x, y) in zip(faces, places, strict=True)
            if face in there
        ]
        MapPoint.objects.bulk_create(points, batch_size=2_000)
        FaceMap.objects.update_or_create(
            pk=1,
            defaults={"version": version, "of": of, "seconds": round(monotonic() - begun, 1), "at": timezone.now()},
        )
    return len(points)


def _live() -> ModelVersion | None:
    return ModelVersion.objects.filter(task=EMBEDDING, state=ModelVersion.State.LIVE).first()


def _sample(version: ModelVersion, seed: int) -> tuple[list[int], int]:
    """The faces, in ascending order, and of how many: all of a few, of many those that chance picks."""
    rows = Embedding.objects.filter(version=version).order_by("face_id").values_list("face_id", flat=True)
    faces = np.fromiter(rows.iterator(chunk_size=20_000), np.int64)
    if len(faces) <= SAMPLE:
        return faces.tolist(), len(faces)
    picked = np.random.default_rng(seed).choice(len(faces), SAMPLE, replace=False)
    return faces[np.sort(picked)].tolist(), len(faces)


# ---- shown


@dataclass(frozen=True)
class Drawn:
    """The map as it is shown: who is where, and in which group."""

    drawn: FaceMap
    faces: list[int]
    x: list[float]
    y: list[float]
    group: list[int]  # the place of its group, or ALONE
    groups: list[dict[str, Any]]  # cluster, identity, name, faces on the map; the largest first


def shown() -> Drawn | None:
    """None while there is no map. In a dozen queries for a full map."""
    drawn = FaceMap.objects.select_related("version").filter(pk=1, at__isnull=False).first()
    if drawn is None:
        return None
    points = list(MapPoint.objects.order_by("face_id").values_list("face_id", "x", "y"))
    named, groups = _groups()
    place = {key: number for number, key in enumerate(groups)}
    keys = [named.get(face) for face, _, _ in points]
    return Drawn(
        drawn=drawn,
        faces=[face for face, _, _ in points],
        x=[x for _, x, _ in points],
        y=[y for _, _, y in points],
        group=[place.get(key, ALONE) if key is not None else ALONE for key in keys],
        groups=list(groups.values()),
    )


def _groups() -> tuple[dict[int, tuple[str, int]], dict[tuple[str, int], dict[str, Any]]]:
    """By face: whose it is, a person's or else a cluster's; and those who have two faces on the map, or more."""
    known = dict[int, tuple[str, int]]()
    run = ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).first()
    with row_by_row():
        for piece in stretches(MapPoint.objects.all(), SHOWN):
            if run is not None:
                members = piece.filter(face__memberships__run=run)
                for face, cluster in members.values_list("face_id", "face__memberships__cluster_id"):
                    known[face] = ("cluster", cluster)
            named = piece.filter(face__label__identity__isnull=False)
            for face, person in named.values_list("face_id", "face__label__identity_id"):
                known[face] = ("person", person)
    count = Counter(known.values())
    largest = sorted((key for key in count if count[key] > 1), key=lambda key: (-count[key], key))[:GROUPS]
    names = dict[int, str]()
    for chunk in batched([pk for kind, pk in largest if kind == "person"], CHUNK):
        names |= dict(Identity.objects.filter(pk__in=chunk).values_list("pk", "name"))
    return known, {
        (kind, pk): {
            "cluster": pk if kind == "cluster" else None,
            "identity": pk if kind == "person" else None,
            "name": names.get(pk, "") if kind == "person" else "",
            "faces": count[kind, pk],
        }
        for kind, pk in largest
    }
