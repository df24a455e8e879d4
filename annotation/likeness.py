"""Who looks like whom: a face to the people it may be, a person's faces by how alike they are."""

import base64
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from django.db.models import Max, Q

from annotation import labels, pictures, reads
from annotation.core.batches import batched
from annotation.embeddings import matrix
from annotation.models import Decision, Embedding, Face, FaceSearch, Identity, Label, User
from inference import registry
from inference.core.align import align
from inference.core.detect import cold_detector
from inference.core.faces import find_faces
from inference.core.landmarks import cold_landmarker
from inference.core.likeness import main_mode
from inference.core.types import Picture, Vectors
from inference.decoding import decode

MATCHES = 8  # people shown for a face
SOUGHT = 5  # faces of a photo that are looked for; more are a crowd
SIDE = 1600  # px; a larger photo is reduced before its faces are sought
SHOWN = 2_000  # faces of one person on one page
CHUNK = 500
READ = 10_000


# ---- everybody's mean vector, kept in this process


@dataclass
class _Gallery:
    version: int
    line: int  # of the ledger, up to which it is known who is who
    people: npt.NDArray[np.int64]
    means: Vectors  # (people, dimensions), of unit length


_held: _Gallery | None = None
_one_at_a_time = threading.Lock()


def _gallery() -> _Gallery:
    """Everybody's mean vector. The first call of a process reads all of them; later ones only what changed since."""
    global _held
    version = registry.ensure_live()
    last = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    with _one_at_a_time:
        if _held is None or _held.version != version.pk:
            people, means = _means(version.pk, version.dimensions)
            _held = _Gallery(version.pk, last, people, means)
        elif last > _held.line:
            changed = _touched_since(_held.line)
            gone = np.isin(_held.people, list(changed))
            people, means = _means(version.pk, version.dimensions, changed)
            _held = _Gallery(
                version.pk,
                last,
                np.concatenate([_held.people[~gone], people]),
                np.concatenate([_held.means[~gone], means]),
            )
        return _held


def _touched_since(line: int) -> set[int]:
    """Whoever may have won or lost a face since this line of the ledger, merged people too."""
    touched = labels.people_since(line)
    lines = Decision.objects.filter(pk__gt=line).order_by()
    faces = {
        *lines.filter(face__isnull=False).values_list("face_id", flat=True),
        *lines.filter(undoes__face__isnull=False).values_list("undoes__face_id", flat=True),
    }
    for chunk in batched(sorted(face for face in faces if face is not None), CHUNK):
        before = Decision.objects.filter(kind=Decision.Kind.LABEL, face__in=chunk)
        touched.update(pk for pk in before.values_list("identity_id", flat=True) if pk is not None)
    for chunk in batched(sorted(touched), CHUNK):
        related = Identity.objects.filter(Q(pk__in=chunk) | Q(merged_into__in=chunk))
        for pk, into in related.values_list("pk", "merged_into_id"):
            touched.update({pk, into or pk})
    return touched


def _means(
    version: int, dimensions: int, people: Collection[int] | None = None
) -> tuple[npt.NDArray[np.int64], Vectors]:
    rows = Label.objects.filter(identity__isnull=False, face__embeddings__version=version).order_by()
    columns = rows.values_list("identity_id", "face__embeddings__vector")
    stretches = [columns] if people is None else [columns.filter(identity__in=each) for each in batched(people, CHUNK)]
    sums, place = np.zeros((0, dimensions), np.float32), dict[int, int]()
    for stretch in stretches:
        for piece in batched(stretch.iterator(chunk_size=READ), READ):
            vectors = np.stack([np.frombuffer(data, "<f2") for _, data in piece]).astype(np.float32)
            for pk, _ in piece:
                place.setdefault(pk or 0, len(place))
            if len(place) > len(sums):
                sums = np.concatenate([sums, np.zeros((len(place) - len(sums), dimensions), np.float32)])
            np.add.at(sums, [place[pk or 0] for pk, _ in piece], vectors)
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.array(list(place), np.int64), np.asarray(sums / np.maximum(length, 1e-12), np.float32)


# ---- by face


@dataclass(frozen=True)
class Match:
    """Somebody whom a face may be."""

    identity: Identity
    cosine: float  # to their mean
    faces: list[Face]


@dataclass(frozen=True)
class Sought:
    """A face of the photo that was dropped: how it was cut out, and whom it may be, the likeliest first."""

    picture: str  # of the crop, as a data: address, as nothing of it is kept
    matches: list[Match]


def search(data: bytes, *, by: User) -> list[Sought]:
    """Whom the faces of this photo may be. The photo is not kept; that somebody looked, and what was found, is.

    Raises PictureRefused.
    """
    picture = decode(data, max_side=SIDE).picture
    found = sorted(find_faces(picture, cold_detector(), cold_landmarker()), key=lambda face: not face.chosen)[:SOUGHT]
    network = registry.embedder(registry.ensure_live())
    crops = [align(picture, face.landmarks, network.crop)[0] for face in found]
    nearest = _nearest(network.embed(np.stack(crops))) if crops else []
    shown = {pk for row in nearest for pk, _ in row}
    people, faces = Identity.objects.in_bulk(shown), reads.exemplars(shown, 4)
    FaceSearch.objects.create(by=by, faces=len(found), found=sorted(shown))
    return [
        Sought(
            picture=_as_address(align(picture, face.landmarks, pictures.CROP)[0]),
            matches=[Match(people[pk], cosine, faces.get(pk, [])) for pk, cosine in row if pk in people],
        )
        for face, row in zip(found, nearest, strict=True)
    ]


def _nearest(queries: Vectors) -> list[list[tuple[int, float]]]:
    gallery = _gallery()
    if not len(gallery.people):
        return [[] for _ in queries]
    cosines = queries @ gallery.means.T
    best = np.argsort(-cosines, axis=1)[:, :MATCHES]
    return [
        [(int(gallery.people[column]), float(cosines[row, column])) for column in columns]
        for row, columns in enumerate(best)
    ]


def _as_address(crop: Picture) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(cv2.resize(crop, (192, 192)), cv2.COLOR_RGB2BGR))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


# ---- within a person


@dataclass(frozen=True)
class Alike:
    """A face of a person, and how like it is to what most of their faces have in common."""

    face: Face
    cosine: float


def spread(identity: Identity) -> list[Alike]:
    """The faces of this person that are least like the others, the least first; those without a vector are left out."""
    version = registry.ensure_live()
    rows = list(
        Embedding.objects.filter(version=version, face__label__identity=identity)
        .order_by("face_id")
        .values_list("face_id", "vector")
    )
    if not rows:
        return []
    vectors = matrix([face for face, _ in rows], ((face, bytes(data)) for face, data in rows), version.dimensions)
    cosines = vectors @ main_mode(vectors)
    order = np.argsort(cosines, kind="stable")[:SHOWN]
    faces = _in_bulk([rows[index][0] for index in order])
    return [Alike(faces[rows[index][0]], float(cosines[index])) for index in order]


def _in_bulk(pks: Sequence[int]) -> dict[int, Face]:
    faces = Face.objects.select_related("photo__source").defer("landmarks", "points")
    return {pk: face for chunk in batched(pks, CHUNK) for pk, face in faces.in_bulk(list(chunk)).items()}
