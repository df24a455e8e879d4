"""What only names ids in passing, and is looked through once, at an erasure's end."""

from typing import Any

from annotation.core.batches import batched
from annotation.erasure.piece import Piece
from annotation.erasure.rows import follow, forget_lines, scrub_answers
from annotation.models import ClusteringRun, Decision, Face, FaceSearch, Identity, Release

CHUNK = 500


def drop_what_names_nobody(piece: Piece) -> None:
    """Ids in passing: in logs of searches, examples of changes, evidence. Those that nothing has any more go."""
    for search in FaceSearch.objects.exclude(found=[]).iterator(chunk_size=2_000):
        there = set(Identity.objects.filter(pk__in=search.found).values_list("pk", flat=True))
        if len(there) < len(search.found):
            FaceSearch.objects.filter(pk=search.pk).update(found=[pk for pk in search.found if pk in there])
            piece.rows["annotation.FaceSearch (shortened)"] += 1
    for run in ClusteringRun.objects.filter(changes__has_key="examples"):
        examples = [each | {"groups": [_there(group) for group in each["groups"]]} for each in run.changes["examples"]]
        if examples != run.changes["examples"]:
            ClusteringRun.objects.filter(pk=run.pk).update(changes=run.changes | {"examples": examples})
    for release in Release.objects.exclude(changes={}):
        changes = _without_gone(release.changes)
        if changes != release.changes:
            Release.objects.filter(pk=release.pk).update(changes=changes)
    said = Decision.objects.filter(kind=Decision.Kind.VALUE, identity__isnull=False, evidence__face__isnull=False)
    seen = dict(said.values_list("pk", "evidence__face"))
    there = set[int]()
    for chunk in batched(sorted(set(seen.values())), CHUNK):
        there.update(Face.objects.filter(pk__in=chunk).values_list("pk", flat=True))
    gone = forget_lines([line for line, face in seen.items() if face not in there], piece)
    follow(gone, piece)
    scrub_answers(gone.answers, set(), set(), set(), piece)


def _there(faces: list[int]) -> list[int]:
    there = set(Face.objects.filter(pk__in=faces).values_list("pk", flat=True))
    return [face for face in faces if face in there]


def _without_gone(told: Any) -> Any:
    """The lists of faces in what a release changed, without those that are gone."""
    if isinstance(told, dict):
        return {
            name: _there(inner) if name == "faces" and isinstance(inner, list) else _without_gone(inner)
            for name, inner in told.items()
        }
    return told
