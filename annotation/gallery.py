"""Everybody's mean vector, and whom a face may be by them: kept in each process, and in a file for those that begin."""

import io
import json
import threading
import zipfile
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import Max, Q

from annotation import labels
from annotation.core.batches import batched
from annotation.models import Decision, Embedding, Erasure, Identity, Label
from inference import registry
from inference.core.bundle import EMBEDDING
from inference.core.sameness import Recognition, learn, unfitted
from inference.core.types import Vectors
from inference.models import ModelVersion

CHUNK = 500
READ = 10_000
SAMPLE = 2_000  # faces of known people that tell how sure a cosine makes

LEARNT = "sure.json"  # how sure cosines make: a file of its own, so small that each search reads it anew
KEPT = ("people", "counts", "lengths", "means", "erased")
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Gallery:
    version: int
    line: int  # of the ledger, up to which it is known who is who
    people: Ints
    counts: Ints  # (people,): faces with a vector
    lengths: npt.NDArray[np.float32]  # (people,): of the sum of their vectors
    means: Vectors  # (people, dimensions), of unit length
    erased: Ints  # erasures that it knows of: their lines are gone, so the ledger does not tell


@dataclass(frozen=True)
class Candidate:
    identity: int
    cosine: float  # to their mean
    probability: float


@dataclass(frozen=True)
class Recognised:
    """Whom a face may be, the likeliest first, and how likely it is nobody of the gallery."""

    candidates: list[Candidate]
    nobody: float  # probability; with those of all people of the gallery it is 1
    calibrated: bool  # learnt from the gallery's own faces


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
    for ending in ("npz", LEARNT):
        default_storage.delete(_key(version, ending))


def _keep(gallery: Gallery, version: ModelVersion, *, for_erasure: bool = False) -> None:
    kept = _read(version)
    if kept is None or kept.line < gallery.line or not np.array_equal(kept.erased, gallery.erased):
        file = io.BytesIO()
        line = [gallery.line, _written_at(gallery.line)]
        np.savez(file, line=line, **{name: getattr(gallery, name) for name in KEPT})
        _write(_key(version), file.getvalue())
        if learnt := _learn(gallery):
            _write(_key(version, LEARNT), json.dumps({"line": line, "learnt": asdict(learnt)}).encode())
        # Read before an erasure and written after it, it would hold who is erased: the next look makes it anew.
        under_way = Erasure.objects.filter(state=Erasure.State.RUNNING)
        if not for_erasure and (under_way.exists() or not np.array_equal(_erasures(), gallery.erased)):
            drop(version)


def _write(key: str, content: bytes) -> None:
    default_storage.delete(key)
    default_storage.save(key, ContentFile(content))


def _key(version: ModelVersion, ending: str = "npz") -> str:
    return f"galleries/{version.checksum}.{ending}"


def _read(version: ModelVersion) -> Gallery | None:
    """As a worker last kept it; None if none has yet, another is just at it, or it tells of another ledger."""
    try:
        with default_storage.open(_key(version)) as file, np.load(io.BytesIO(file.read())) as kept:
            line, at = kept["line"].tolist()
            known = Gallery(version.pk, line, **{name: kept[name] for name in KEPT})
    except (FileNotFoundError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None  # KeyError: an earlier version of this program kept less
    return known if _written_at(line) == at else None


def _written_at(line: int) -> int:
    """When this line of the ledger was written, in microseconds; 0 for none."""
    at = Decision.objects.filter(pk=line).values_list("at", flat=True).first()
    return round(at.timestamp() * 1_000_000) if at else 0


def current(version: ModelVersion | None = None) -> Gallery:
    """Everybody's mean vector by this backbone, the live one if none is named.

    The first call of a process reads the kept ones; then, what changed since.
    """
    global _held
    version, last = version or registry.ensure_live(), _last_line()
    with _one_at_a_time:
        known = _held if _held is not None and _held.version == version.pk else _read(version)
        _held = _followed(known, version, last)
        return _held


def _last_line() -> int:
    return Decision.objects.aggregate(last=Max("pk"))["last"] or 0


def _followed(known: Gallery | None, version: ModelVersion, last: int) -> Gallery:
    """A gallery brought up to this line of the ledger; made anew where none is known."""
    erased = _erasures()
    if known is None:
        return Gallery(version.pk, last, *_means(version.pk, version.dimensions), erased=erased)
    new = np.setdiff1d(erased, known.erased)
    if last <= known.line and not len(new):
        return known
    changed = _touched_since(known.line) | _touched_by(new)
    gone = np.isin(known.people, list(changed))
    people, counts, lengths, means = _means(version.pk, version.dimensions, changed)
    return Gallery(
        version.pk,
        last,
        people=np.concatenate([known.people[~gone], people]),
        counts=np.concatenate([known.counts[~gone], counts]),
        lengths=np.concatenate([known.lengths[~gone], lengths]),
        means=np.concatenate([known.means[~gone], means]),
        erased=erased,
    )


def forget() -> int:
    """Drop what is kept of every model, and make it anew for the live one. Returns how many files went.

    What each process holds follows by the erasure's row before its next search.
    """
    global _held
    gone = 0
    for version in ModelVersion.objects.filter(task=EMBEDDING):
        for ending in ("npz", LEARNT):
            if default_storage.exists(_key(version, ending)):
                default_storage.delete(_key(version, ending))
                gone += 1
    with _one_at_a_time:
        _held = None
    if gone:
        _keep(current(), registry.ensure_live(), for_erasure=True)
    return gone


def _erasures() -> Ints:
    done = Erasure.objects.filter(state=Erasure.State.DONE).order_by("pk").values_list("pk", flat=True)
    return np.array(list(done), np.int64)


def _touched_by(erasures: Ints) -> set[int]:
    rows = Erasure.objects.filter(pk__in=erasures.tolist()).values_list("people", flat=True)
    return {pk for people in rows for pk in people}


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
) -> tuple[Ints, Ints, npt.NDArray[np.float32], Vectors]:
    """Identities, how many faces each has, how long the sum of their vectors is, and its direction."""
    rows = Label.objects.filter(identity__isnull=False, face__embeddings__version=version).order_by()
    columns = rows.values_list("identity_id", "face__embeddings__vector")
    stretches = [columns] if people is None else [columns.filter(identity__in=each) for each in batched(people, CHUNK)]
    sums, counts, place = np.zeros((0, dimensions), np.float32), np.zeros(0, np.int64), dict[int, int]()
    for stretch in stretches:
        for piece in batched(stretch.iterator(chunk_size=READ), READ):
            vectors = np.frombuffer(b"".join(data for _, data in piece), "<f2").reshape(-1, dimensions)
            for pk, _ in piece:
                place.setdefault(pk or 0, len(place))
            if len(place) > len(sums):
                sums = np.concatenate([sums, np.zeros((len(place) - len(sums), dimensions), np.float32)])
                counts = np.concatenate([counts, np.zeros(len(place) - len(counts), np.int64)])
            rows_of = [place[pk or 0] for pk, _ in piece]
            np.add.at(sums, rows_of, vectors.astype(np.float32))
            np.add.at(counts, rows_of, 1)
    length = np.linalg.norm(sums, axis=1)
    means = sums / np.maximum(length, 1e-12)[:, None]
    return np.array(list(place), np.int64), counts, length.astype(np.float32), np.asarray(means, np.float32)


# ---- who somebody is


def recognise(
    queries: Vectors, count: int, version: ModelVersion | None = None, among: Iterable[int] | None = None
) -> list[Recognised]:
    """Whom each of these unit vectors (queries, dimensions) may be, at most `count` people each.

    They are of the backbone `version`, the live one if none is named. With `among` nobody else is told of: whom they
    leave out counts as nobody.
    """
    version = version or registry.ensure_live()
    gallery = current(version)
    told_of = np.ones(len(gallery.people), np.bool_)
    if among is not None:
        told_of = np.isin(gallery.people, np.fromiter(among, np.int64))
    if not told_of.any():
        return [Recognised([], 1.0, calibrated=False) for _ in queries]
    learnt = _learnt(version)
    sure = learnt or unfitted(registry.calibration(version))
    found, people = [], gallery.people[told_of]
    for cosines in (queries @ gallery.means.T).astype(np.float64):
        told, nobody = sure.probabilities(cosines, gallery.counts)
        nobody, told, cosines = nobody + float(told[~told_of].sum()), told[told_of], cosines[told_of]
        likeliest = np.argpartition(-told, min(count, len(told)) - 1)[:count]
        best = likeliest[np.argsort(-told[likeliest], kind="stable")]
        candidates = [Candidate(int(people[at]), float(cosines[at]), float(told[at])) for at in best]
        found.append(Recognised(candidates, nobody, calibrated=learnt is not None))
    return found


def _learnt(version: ModelVersion) -> Recognition | None:
    """As a worker last learnt it; None before, where too few people are known, or if it was of another ledger."""
    try:
        with default_storage.open(_key(version, LEARNT)) as file:
            kept = json.loads(file.read())
    except (FileNotFoundError, ValueError):  # none yet, or another process is just writing it
        return None
    line, at = kept["line"]
    return Recognition(**kept["learnt"]) if _written_at(line) == at else None


def _learn(gallery: Gallery) -> Recognition | None:
    """How sure cosines make, from the gallery's own faces: each held against everybody, its person without it.

    Faces that have a duplicate are left out: they would be found by it, as no other photo is.
    """
    rng = np.random.default_rng(0)
    of_some = rng.permutation(np.flatnonzero(gallery.counts > 1))[:SAMPLE]
    place = {int(gallery.people[at]): int(at) for at in of_some}
    faces = Embedding.objects.filter(version=gallery.version, face__duplicate_of=None, face__duplicates=None)
    found = list[tuple[int, int]]()
    for chunk in batched(sorted(place), CHUNK):
        rows = faces.filter(face__label__identity__in=chunk).order_by("pk")
        found += [(pk, place[person or 0]) for pk, person in rows.values_list("pk", "face__label__identity")]
    chosen = [found[at] for at in sorted(rng.permutation(len(found))[:SAMPLE])]
    if not chosen:
        return None
    stored = dict[int, bytes]()
    for chunk in batched([pk for pk, _ in chosen], CHUNK):
        vectors_of = Embedding.objects.filter(pk__in=chunk).values_list("pk", "vector")
        stored |= {pk: bytes(data) for pk, data in vectors_of}
    vectors = np.stack([np.frombuffer(stored[pk], "<f2") for pk, _ in chosen]).astype(np.float32)
    own = np.array([at for _, at in chosen], np.int64)
    return learn(gallery.means, gallery.lengths, gallery.counts, vectors, own)
