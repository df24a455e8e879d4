"""Everybody's mean vector: kept in each process, and in a file for those that begin."""

import io
import threading
import zipfile
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Max, Q

from annotation import labels
from annotation.core.batches import batched
from annotation.models import Decision, Identity, Label
from inference import registry
from inference.core.types import Vectors
from inference.models import ModelVersion

CHUNK = 500
READ = 10_000


@dataclass
class Gallery:
    version: int
    line: int  # of the ledger, up to which it is known who is who
    people: npt.NDArray[np.int64]
    means: Vectors  # (people, dimensions), of unit length


_held: Gallery | None = None
_one_at_a_time = threading.Lock()


def keep_up() -> None:
    """Bring the kept file up to date: no search has to read a million vectors first. A worker does it now and then."""
    _keep(current(), registry.ensure_live())


def build(version: ModelVersion) -> None:
    """Keep the gallery of a model that is not live yet, so that it has one from its first moment."""
    _keep(_followed(_read(version), version, _last_line()), version)


def drop(version: ModelVersion) -> None:
    """Its vectors are dropped, and so are their means."""
    default_storage.delete(_key(version))


def _keep(gallery: Gallery, version: ModelVersion) -> None:
    kept = _read(version)
    if kept is None or kept.line < gallery.line:
        file = io.BytesIO()
        line = [gallery.line, _written_at(gallery.line)]
        np.savez(file, line=line, people=gallery.people, means=gallery.means)
        default_storage.delete(_key(version))
        default_storage.save(_key(version), ContentFile(file.getvalue()))


def _key(version: ModelVersion) -> str:
    return f"galleries/{version.checksum}.npz"


def _read(version: ModelVersion) -> Gallery | None:
    """As a worker last kept it; None if none has yet, another is just at it, or it tells of another ledger."""
    try:
        with default_storage.open(_key(version)) as file, np.load(io.BytesIO(file.read())) as kept:
            line, at = kept["line"].tolist()
            known = Gallery(version.pk, line, kept["people"], kept["means"])
    except (FileNotFoundError, EOFError, ValueError, zipfile.BadZipFile):
        return None
    return known if _written_at(line) == at else None


def _written_at(line: int) -> int:
    """When this line of the ledger was written, in microseconds; 0 for none."""
    at = Decision.objects.filter(pk=line).values_list("at", flat=True).first()
    return round(at.timestamp() * 1_000_000) if at else 0


def current() -> Gallery:
    """Everybody's mean vector. The first call of a process reads the kept ones; then, what changed since."""
    global _held
    version, last = registry.ensure_live(), _last_line()
    with _one_at_a_time:
        known = _held if _held is not None and _held.version == version.pk else _read(version)
        _held = _followed(known, version, last)
        return _held


def _last_line() -> int:
    return Decision.objects.aggregate(last=Max("pk"))["last"] or 0


def _followed(known: Gallery | None, version: ModelVersion, last: int) -> Gallery:
    """A gallery brought up to this line of the ledger; made anew where none is known."""
    if known is None:
        return Gallery(version.pk, last, *_means(version.pk, version.dimensions))
    if last <= known.line:
        return known
    changed = _touched_since(known.line)
    gone = np.isin(known.people, list(changed))
    people, means = _means(version.pk, version.dimensions, changed)
    return Gallery(
        version.pk,
        last,
        np.concatenate([known.people[~gone], people]),
        np.concatenate([known.means[~gone], means]),
    )


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
            vectors = np.frombuffer(b"".join(data for _, data in piece), "<f2").reshape(-1, dimensions)
            for pk, _ in piece:
                place.setdefault(pk or 0, len(place))
            if len(place) > len(sums):
                sums = np.concatenate([sums, np.zeros((len(place) - len(sums), dimensions), np.float32)])
            np.add.at(sums, [place[pk or 0] for pk, _ in piece], vectors.astype(np.float32))
    length = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.array(list(place), np.int64), np.asarray(sums / np.maximum(length, 1e-12), np.float32)


def nearest(queries: Vectors, count: int) -> list[list[tuple[int, float]]]:
    """Whom each of these unit vectors (queries, dimensions) may be, with the cosine to their mean, the best first."""
    gallery = current()
    if not len(gallery.people):
        return [[] for _ in queries]
    cosines = queries @ gallery.means.T
    likeliest = np.argpartition(-cosines, min(count, cosines.shape[1] - 1), axis=1)[:, :count]
    order = np.argsort(-np.take_along_axis(cosines, likeliest, axis=1), axis=1)
    best = np.take_along_axis(likeliest, order, axis=1)
    return [
        [(int(gallery.people[column]), float(cosines[row, column])) for column in columns]
        for row, columns in enumerate(best)
    ]
