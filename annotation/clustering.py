"""Vectors in, clusters out: looked at before they hold, pinned where a person has spoken."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import IntegrityError, transaction
from django.db.models import Count, Max, Q
from django.utils import timezone

from annotation import belt, duplicates, questions
from annotation.core.batches import batched
from annotation.embeddings import matrix
from annotation.errors import ClusteringUnderWay, RunNotProposed, RunOutdated
from annotation.models import (
    Cluster,
    ClusteringRun,
    Decision,
    Embedding,
    Face,
    Identity,
    Label,
    Membership,
    Question,
    User,
)
from annotation.presence import faces_there
from inference import registry
from inference.core.cluster import Clustering, Evidence, Settings, cluster, extend, merge_candidates
from inference.core.types import Vectors
from inference.models import ModelVersion

log = logging.getLogger(__name__)

CLAIM = timedelta(minutes=30)  # a million faces take minutes
IMPATIENT = 5_000  # so many ungrouped faces are grouped even while more are on their way
EXAMPLES = 50
SHOWN = 6  # faces of each example

ClusterOf = dict[int, int]  # face → cluster


@dataclass(frozen=True)
class Corpus:
    """All faces with a vector that stand for themselves, and what is known of them."""

    faces: npt.NDArray[np.int64]  # (n,)
    vectors: Vectors  # (n, dimensions)
    evidence: Evidence


def start_run(*, by: User | None) -> ClusteringRun:
    """A new run, to be computed. Raises ClusteringUnderWay while another one is."""
    version = registry.ensure_live()
    try:
        with transaction.atomic():
            return ClusteringRun.objects.create(version=version, created_by=by, claimed_until=timezone.now() + CLAIM)
    except IntegrityError as error:
        raise ClusteringUnderWay from error


def fail_lost_runs(now: datetime) -> None:
    """A run whose worker died is over; the next one starts anew."""
    ClusteringRun.objects.filter(state=ClusteringRun.State.RUNNING, claimed_until__lte=now).update(
        state=ClusteringRun.State.FAILED, error="Its worker has not been heard of. Start another run.", finished_at=now
    )


def compute(run: ClusteringRun) -> None:
    """Group all faces, and write down what applying it would change. Computed before, it is left alone."""
    if run.state != ClusteringRun.State.RUNNING:
        return
    try:
        duplicates.find(run.version)
        corpus = load(run.version)
        chosen = _settings(run.version)
        found = cluster(corpus.vectors, corpus.evidence, chosen)
        write(run, corpus, found)
        changes = compare(current(), run)
    except Exception as error:
        # The edge of a worker: whatever went wrong, the run says so and another one may start.
        log.exception("Clustering run %s failed", run.pk)
        _close(run, ClusteringRun.State.FAILED, error=f"{type(error).__name__}: {error}")
        raise
    _close(run, ClusteringRun.State.PROPOSED, changes=changes, settings=asdict(chosen))


def _close(run: ClusteringRun, state: ClusteringRun.State, **fields: Any) -> None:
    ClusteringRun.objects.filter(pk=run.pk).update(
        state=state, claimed_until=None, finished_at=timezone.now(), **fields
    )
    run.refresh_from_db()


# ---- what the machine may rest on


def load(version: ModelVersion) -> Corpus:
    """Every face that may be grouped. A duplicate's face follows the one that stands for it: it is not loaded."""
    usable = Embedding.objects.filter(version=version, face__duplicate_of=None).exclude(
        face__label__verdict=Label.Verdict.NOT_A_FACE
    )
    count = usable.count()
    faces, photos = np.zeros(count, np.int64), np.zeros(count, np.int64)
    queries = np.full(count, -1, np.int32)
    vectors = np.zeros((count, version.dimensions), np.float32)
    terms: dict[str, int] = {}
    columns = ("face_id", "face__photo_id", "face__chosen", "face__photo__query", "vector")
    rows = usable.order_by("face_id").values_list(*columns)[:count]
    for index, (face, photo, chosen, query, vector) in enumerate(rows.iterator(chunk_size=5_000)):
        faces[index], photos[index] = face, photo
        # The search term speaks of the photo's main person, not of who else is in it.
        if chosen and query:
            queries[index] = terms.setdefault(query, len(terms))
        vectors[index] = np.frombuffer(vector, "<f2")
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return Corpus(faces, vectors, _evidence(faces, photos, queries))


def _evidence(faces: npt.NDArray[np.int64], photos: npt.NDArray[np.int64], queries: npt.NDArray[np.int32]) -> Evidence:
    row = {int(face): index for index, face in enumerate(faces)}
    pinned = np.full(len(faces), -1, np.int64)
    labels = Label.objects.filter(verdict=Label.Verdict.IDENTITY)
    for face, identity in labels.values_list("face_id", "identity_id").iterator(chunk_size=10_000):
        if face in row:
            pinned[row[face]] = identity
    return Evidence(photo=photos, query=queries, pinned=pinned, cannot_identity=_forbidden(row))


def _forbidden(row: dict[int, int]) -> list[tuple[int, int]]:
    """(index of a face, identity) for every "this face is not that person" that stands, of whom that person is now."""
    top = dict(Identity.objects.exclude(merged_into=None).values_list("pk", "merged_into_id"))
    lines = Decision.objects.standing().filter(kind=Decision.Kind.CANNOT_LINK, face__isnull=False)
    return [
        (row[face], top.get(identity, identity))
        for face, identity in lines.values_list("face_id", "identity_id")
        if face in row
    ]


def _settings(version: ModelVersion) -> Settings:
    calibration = registry.bundle_of(version).calibration
    return Settings(calibration=calibration) if calibration else Settings()


# ---- a run's rows


def write(run: ClusteringRun, corpus: Corpus, found: Clustering) -> None:
    """Keep the clusters of a run that does not hold yet."""
    order = np.argsort(found.labels, kind="stable")
    labels, first = np.unique(found.labels[order], return_index=True)
    groups = np.split(order, first)[1:]  # before the first there is nothing, and with no faces nothing at all
    for piece in batched(zip(labels, groups, strict=True), 1_000):
        _write_groups(run, corpus, found, [group for _, group in piece])
    _follow_duplicates(run)
    Cluster.objects.filter(run=run).count_faces()


def _write_groups(
    run: ClusteringRun, corpus: Corpus, found: Clustering, groups: Sequence[npt.NDArray[np.intp]]
) -> None:
    with transaction.atomic():
        there = faces_there({int(corpus.faces[index]) for group in groups for index in group})
        rows = Cluster.objects.bulk_create(
            [Cluster(run=run, identity_id=_identity_of(corpus.evidence.pinned[group])) for group in groups]
        )
        Membership.objects.bulk_create(
            (
                Membership(run=run, cluster=row, face_id=int(corpus.faces[index]), belief=float(found.belief[index]))
                for row, group in zip(rows, groups, strict=True)
                for index in group
                if int(corpus.faces[index]) in there
            ),
            batch_size=2_000,
        )


def _identity_of(pinned: npt.NDArray[np.int64]) -> int | None:
    known = pinned[pinned >= 0]
    return int(known[0]) if len(known) else None


def _follow_duplicates(run: ClusteringRun) -> set[int]:
    """A duplicate photo's face is where the one that stands for it is. Returns the clusters that such a face joined."""
    joined = set[int]()
    twins = Face.objects.exclude(duplicate_of=None).exclude(memberships__run=run)
    for piece in batched(twins.values_list("pk", "duplicate_of_id").iterator(), 500):
        place = {
            member.face_id: member for member in Membership.objects.filter(run=run, face__in={of for _, of in piece})
        }
        joined |= {place[of].cluster_id for _, of in piece if of in place}
        Membership.objects.bulk_create(
            [
                Membership(run=run, cluster_id=place[of].cluster_id, face_id=face, belief=place[of].belief)
                for face, of in piece
                if of in place
            ],
            ignore_conflicts=True,
        )
    return joined


def current() -> ClusteringRun | None:
    """The run that holds."""
    return ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).select_related("version").first()


def clusters_of(run: ClusteringRun) -> ClusterOf:
    return dict(Membership.objects.filter(run=run).values_list("face_id", "cluster_id"))


# ---- looked at before it holds


def compare(old: ClusteringRun | None, new: ClusteringRun) -> dict[str, Any]:
    """What applying the new run would change: counts, and some examples to look at."""
    before, after = (clusters_of(old) if old else {}), clusters_of(new)
    sizes = Counter(after.values())
    changes: dict[str, Any] = {
        "faces": len(after),
        "clusters": sum(1 for size in sizes.values() if size > 1),
        "singletons": sum(1 for size in sizes.values() if size == 1),
        "pinned_faces": Label.objects.filter(
            verdict=Label.Verdict.IDENTITY, face__in=Membership.objects.filter(run=new).values("face")
        ).count(),
        "faces_joined": sum(1 for face in after if face not in before),
        "questions_withdrawn": Question.objects.filter(state=Question.State.OPEN, kind=Question.Kind.CLUSTER).count(),
    }
    return changes | moves(before, after)


def moves(before: ClusterOf, after: ClusterOf) -> dict[str, Any]:
    """How the faces of both groupings moved. A cluster goes on in the new one that most of its faces went to."""
    both = [face for face in after if face in before]
    went: dict[int, Counter[int]] = defaultdict(Counter)
    came: dict[int, Counter[int]] = defaultdict(Counter)
    for face in both:
        went[before[face]][after[face]] += 1
        came[after[face]][before[face]] += 1
    goes_on = {old: to.most_common(1)[0][0] for old, to in went.items()}
    moved = [face for face in both if goes_on[before[face]] != after[face]]
    split = {old: to for old, to in went.items() if len(to) > 1}
    merged = {new: of for new, of in came.items() if len(of) > 1}
    return {
        "faces_moved": len(moved),
        "clusters_new": len(set(after.values()) - set(came)),
        "clusters_merged": len(merged),
        "clusters_split": len(split),
        "examples": list(_examples(split, merged, both, before, after))[:EXAMPLES],
    }


def _examples(
    split: dict[int, Counter[int]],
    merged: dict[int, Counter[int]],
    both: Iterable[int],
    before: ClusterOf,
    after: ClusterOf,
) -> Iterator[dict[str, Any]]:
    faces_of: dict[tuple[int, int], list[int]] = defaultdict(list)
    for face in both:
        faces_of[before[face], after[face]].append(face)
    for old, to in sorted(split.items(), key=lambda item: -item[1].total()):
        groups = [faces_of[old, new][:SHOWN] for new, _ in to.most_common(4)]
        yield {"kind": "split", "groups": groups, "note": f"{to.total()} faces of one cluster go to {len(to)} clusters"}
    for new, of in sorted(merged.items(), key=lambda item: -item[1].total()):
        groups = [faces_of[old, new][:SHOWN] for old, _ in of.most_common(4)]
        yield {"kind": "merged", "groups": groups, "note": f"faces of {len(of)} clusters become one of {of.total()}"}


@transaction.atomic
def apply_run(*, run_id: int, by: User | None) -> None:
    """Make a proposed run the one that holds. Raises RunNotProposed, or RunOutdated if it would undo a decision."""
    run = _proposed(run_id)
    if _contradicts(run):
        raise RunOutdated(run.pk)
    now = timezone.now()
    superseded = ClusteringRun.objects.filter(state=ClusteringRun.State.REPLACED).values("pk")
    Cluster.objects.filter(run__in=superseded).delete()  # the last one that held is kept, to compare with
    ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).update(state=ClusteringRun.State.REPLACED)
    ClusteringRun.objects.filter(pk=run.pk).update(state=ClusteringRun.State.APPLIED, applied_at=now)
    Question.objects.filter(kind=Question.Kind.CLUSTER, state=Question.State.OPEN).update(
        leased_to=None, leased_until=None
    )
    questions.ask_about_clusters(run, now=now)


@transaction.atomic
def discard_run(*, run_id: int, by: User | None) -> None:
    """Throw a proposed run away. Raises RunNotProposed."""
    run = _proposed(run_id)
    Cluster.objects.filter(run=run).delete()
    ClusteringRun.objects.filter(pk=run.pk).update(state=ClusteringRun.State.DISCARDED)


def _proposed(run_id: int) -> ClusteringRun:
    run = ClusteringRun.objects.select_for_update().get(pk=run_id)
    if run.state != ClusteringRun.State.PROPOSED:
        raise RunNotProposed(run.pk, run.state)
    return run


def _contradicts(run: ClusteringRun) -> bool:
    """Whether a decision that was taken since would be undone: two people in one cluster, one person in two,
    or a face with somebody whom it is not."""
    members = Membership.objects.filter(run=run, face__label__identity__isnull=False)
    people = members.values("cluster").annotate(people=Count("face__label__identity", distinct=True))
    if people.filter(people__gt=1).exists():
        return True
    where = dict(members.values_list("face__label__identity_id", "cluster_id"))
    if members.exclude(cluster__in=where.values()).exists():
        return True
    top = dict(Identity.objects.exclude(merged_into=None).values_list("pk", "merged_into_id"))
    lines = Decision.objects.standing().filter(kind=Decision.Kind.CANNOT_LINK, face__memberships__run=run)
    return any(
        where.get(top.get(identity, identity)) == cluster_id
        for identity, cluster_id in lines.values_list("identity_id", "face__memberships__cluster_id")
        if identity is not None
    )


# ---- kept up with new faces and new decisions


def behind(version: ModelVersion) -> bool:
    """Whether there are faces to group or decisions to look at, and it is worth doing now."""
    run = current()
    if ClusteringRun.objects.filter(state=ClusteringRun.State.RUNNING).exists():
        return False
    if run is not None and run.version_id != version.pk and belt.drained(version):
        return True  # another model was promoted, and every face has its vector: the grouping is made anew
    if run is not None and (Decision.objects.aggregate(last=Max("id"))["last"] or 0) > run.decisions_seen:
        return True
    waiting = belt.ungrouped(version, run)
    return waiting.exists() and (belt.drained(version) or waiting[IMPATIENT:].exists())


def keep_up() -> None:
    """Group what is not grouped yet, and suggest which people may be one. Somebody else at it is enough."""
    version, run = registry.ensure_live(), current()
    if run is None or run.version_id != version.pk:
        try:
            run = start_run(by=None)
        except ClusteringUnderWay:
            return
        compute(run)
        apply_run(run_id=run.pk, by=None)
    if not _claim(run):
        return
    try:
        join(run)
        suggest_merges(run)
    finally:
        ClusteringRun.objects.filter(pk=run.pk).update(claimed_until=None)


def _claim(run: ClusteringRun) -> bool:
    now = timezone.now()
    free = ClusteringRun.objects.filter(pk=run.pk).filter(Q(claimed_until=None) | Q(claimed_until__lte=now))
    return bool(free.update(claimed_until=now + CLAIM))


def join(run: ClusteringRun) -> int:
    """Give new faces a place in the grouping that holds; no other face moves. Returns how many joined."""
    waiting = set(belt.ungrouped(run.version, run).values_list("face_id", flat=True))
    if not waiting:
        return 0
    duplicates.find(run.version, waiting)
    corpus, place = load(run.version), clusters_of(run)
    previous = np.array([place.get(int(face), -1) for face in corpus.faces], np.int64)
    found = extend(corpus.vectors, corpus.evidence, previous, _settings(run.version))
    fresh = np.flatnonzero(previous < 0)
    with transaction.atomic():
        there = faces_there({int(corpus.faces[index]) for index in fresh})
        fresh = np.array([index for index in fresh if int(corpus.faces[index]) in there], np.intp)
        known = set(Cluster.objects.filter(run=run).values_list("pk", flat=True))
        new = sorted({int(found.labels[index]) for index in fresh} - known)
        rows = Cluster.objects.bulk_create([Cluster(run=run) for _ in new])
        cluster_id = dict(zip(new, (row.pk for row in rows), strict=True)) | {pk: pk for pk in known}
        Membership.objects.bulk_create(
            [
                Membership(
                    run=run,
                    cluster_id=cluster_id[int(found.labels[index])],
                    face_id=int(corpus.faces[index]),
                    belief=float(found.belief[index]),
                )
                for index in fresh
            ],
            ignore_conflicts=True,
            batch_size=2_000,
        )
        touched = {cluster_id[int(found.labels[index])] for index in fresh}
        for piece in batched(sorted(touched | _follow_duplicates(run)), 500):
            Cluster.objects.filter(pk__in=piece).count_faces()
        questions.ask_about_clusters(run, touched)
    return len(fresh)


def suggest_merges(run: ClusteringRun) -> int:
    """Ask about pairs of people who may be one. Returns how many questions are new."""
    last = Decision.objects.aggregate(last=Max("id"))["last"] or 0
    if last <= run.decisions_seen:
        return 0
    members = list(
        Label.objects.filter(
            verdict=Label.Verdict.IDENTITY, face__embeddings__version=run.version, face__duplicate_of=None
        )
        .order_by("identity_id", "face_id")
        .values_list("identity_id", "face_id", "face__embeddings__vector")
    )
    asked = 0
    if members:
        people = np.array([identity for identity, _, _ in members], np.int64)
        vectors = matrix(
            [face for _, face, _ in members], ((face, bytes(data)) for _, face, data in members), run.version.dimensions
        )
        sizes = Counter(people.tolist())
        apart = set(questions.parted())
        pairs = merge_candidates(vectors, people, _settings(run.version))
        asked = questions.ask_about_pairs(
            (one, other, belief, min(sizes[one], sizes[other]))
            for one, other, belief in pairs
            if tuple(sorted((one, other))) not in apart
        )
    ClusteringRun.objects.filter(pk=run.pk).update(decisions_seen=last)
    return asked


# ---- neighbours


def nearest(face: Face, count: int = 12, among: Q | None = None) -> list[tuple[Face, float]]:
    """The most similar faces with their cosines, by a scan in constant memory; `among` is a condition on Embedding."""
    version = registry.ensure_live()
    own = Embedding.objects.filter(face=face, version=version).values_list("vector", flat=True).first()
    if own is None:
        return []
    query = np.frombuffer(own, "<f2").astype(np.float32)
    best: list[tuple[float, int]] = []
    others = Embedding.objects.filter(among or Q(), version=version).exclude(face=face).values_list("face_id", "vector")
    for piece in batched(others.iterator(chunk_size=10_000), 10_000):
        vectors = np.stack([np.frombuffer(data, "<f2") for _, data in piece]).astype(np.float32)
        cosines = vectors @ query
        top = np.argsort(-cosines)[:count]
        best = sorted(best + [(float(cosines[index]), piece[index][0]) for index in top], reverse=True)[:count]
    faces = Face.objects.select_related("photo__source").in_bulk([pk for _, pk in best])
    return [(faces[pk], cosine) for cosine, pk in best if pk in faces]
