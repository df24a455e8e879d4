"""Clustering runs: started, looked at, applied or discarded."""

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _

from annotation import clustering, reads, tasks
from annotation.access import BROWSE, GROUP_AND_EXPORT
from annotation.models import ClusteringRun, Face
from annotation.views.page import SignedIn, act, page

RUNS = 30


@page(BROWSE)
def runs(request: SignedIn) -> HttpResponse:
    rows = ClusteringRun.objects.select_related("version", "created_by")
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=RUNS)
    under_way = rows.filter(state=ClusteringRun.State.RUNNING).exists()
    return render(request, "annotation/runs.html", {"page": found, "runs": found.rows, "under_way": under_way})


@page(BROWSE)
def run(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(ClusteringRun.objects.select_related("version", "created_by"), pk=pk)
    counts = {name: value for name, value in shown.changes.items() if isinstance(value, int)}
    context = {
        "run": shown,
        "counts": counts,
        "examples": _with_faces(shown.changes.get("examples", [])),
        "settings": sorted(
            (name, value) for name, value in shown.settings.items() if not isinstance(value, dict | list)
        ),
    }
    return render(request, "annotation/run.html", context)


def _with_faces(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The examples with faces in place of their ids; one that was erased meanwhile is left out."""
    ids = {face for example in examples for group in example["groups"] for face in group}
    faces = Face.objects.select_related("photo").in_bulk(ids)
    return [
        example | {"groups": [[faces[face] for face in group if face in faces] for group in example["groups"]]}
        for example in examples
    ]


@act(GROUP_AND_EXPORT)
def start(request: SignedIn) -> HttpResponse:
    started = clustering.start_run(by=request.user)
    transaction.on_commit(lambda: tasks.cluster.delay(started.pk))
    messages.success(request, _("Run {pk} is under way. Nothing changes until it is applied.").format(pk=started.pk))
    return redirect("run", started.pk)


@act(GROUP_AND_EXPORT)
def apply(request: SignedIn, pk: int) -> HttpResponse:
    clustering.apply_run(run_id=get_object_or_404(ClusteringRun, pk=pk).pk, by=request.user)
    messages.success(request, _("Run {pk} holds now; its questions are in the queue.").format(pk=pk))
    return redirect("run", pk)


@act(GROUP_AND_EXPORT)
def discard(request: SignedIn, pk: int) -> HttpResponse:
    clustering.discard_run(run_id=get_object_or_404(ClusteringRun, pk=pk).pk, by=request.user)
    messages.success(request, _("Run {pk} was discarded; nothing changed.").format(pk=pk))
    return redirect("runs")
