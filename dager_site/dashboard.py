"""The dashboard: how far everything is, at what pace, what is stuck, and how far it can be believed.

It stands above the apps, as it tells of all of them. What is counted in the background comes from one row; what is
looked up here, at each view, is small: workers, failures, certificates, disks.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import condition

from annotation import audit, dashboard, failures, live_settings, maps, tasks, workers
from annotation.access import BROWSE, CURATE, GROUP_AND_EXPORT, TRAIN, Roles, crop_address, may
from annotation.failures import Failure
from annotation.models import ClusteringRun, FaceMap, MapPoint, Snapshot, User, Worker
from annotation.views.page import SignedIn, act, page
from annotation.words import DASHBOARD
from dager_site import told
from dager_site.metrics import messages_waiting
from dager_site.stuck import LATE, SWEEP, stuck
from training import failures as of_training
from training import tasks as training_tasks
from training.errors import TrainingError

KINDS = {**failures.KINDS, **of_training.KINDS}
WHO: dict[str, Roles] = {  # may try what failed again
    **dict.fromkeys(("intake", "photo", "face"), CURATE),
    **dict.fromkeys(("run", "release", SWEEP), GROUP_AND_EXPORT),
    **dict.fromkeys(("training", "promotion"), TRAIN),
}
LISTED = 20  # failures of each kind
SECTIONS = ("stuck", "funnel", "pace", "queue", "effort", "trust", "labels", "quality", "machine", "failures")


@page(BROWSE)
def show(request: SignedIn) -> HttpResponse:
    sections, last = _sections(request.user)
    context = {"sections": sections, "snapshot": last, "map": _map_version(last), "words": DASHBOARD}
    return render(request, "dashboard/page.html", context)


def figures_etag(request: SignedIn) -> str:
    """What the figures rest on: the snapshot, and what is looked up beside it. It is asked every few seconds."""
    now, last = timezone.now(), Snapshot.objects.only("pk", "at").first()
    late = last is not None and now - last.at > LATE
    heard = [(worker.name, workers.silent(worker, now), worker.busy) for worker in Worker.objects.all()]
    told_of = (last and last.pk, late, heard, failures.count(KINDS), request.user.role, get_language())
    return f'"{hashlib.sha256(repr(told_of).encode()).hexdigest()[:32]}"'


def map_etag(request: SignedIn) -> str:
    return f'"{_map_version(Snapshot.objects.first())}"'


@page(BROWSE)
@condition(etag_func=figures_etag)
def figures_json(request: SignedIn) -> HttpResponse:
    """The sections as they are now, for a page that is open."""
    sections, last = _sections(request.user)
    at = last.at.isoformat() if last else None
    return JsonResponse({"at": at, "map": _map_version(last), "sections": sections})


@page(BROWSE)
@condition(etag_func=map_etag)
def map_json(request: SignedIn) -> HttpResponse:
    """Where faces lie on the map, and whose they are; ids only, the pictures have their own addresses.

    The audit log is told which map that was, not each of its thousands of faces.
    """
    drawn = maps.shown()
    if drawn is None:
        return JsonResponse({"at": None, "faces": [], "x": [], "y": [], "group": [], "groups": []})
    at = drawn.drawn.at and drawn.drawn.at.isoformat()
    details = {"page": "dashboard-map", "drawn": at, "count": len(drawn.faces)}
    audit.write(audit.Action.SEE, by=request.user, subject="map", details=details)
    return JsonResponse(
        {
            "at": at,
            "of": drawn.drawn.of,
            "model": drawn.drawn.version.name if drawn.drawn.version else "",
            "faces": drawn.faces,
            "x": drawn.x,
            "y": drawn.y,
            "group": drawn.group,
            "groups": drawn.groups,
        }
    )


@page(BROWSE)
def map_face(request: SignedIn, pk: int) -> HttpResponse:
    """A face that somebody chose on the map: the address of its picture is handed out by one, as everywhere."""
    get_object_or_404(MapPoint, pk=pk)
    return JsonResponse({"id": pk, "address": reverse("face", args=[pk]), "crop": crop_address(pk, request.user)})


@act(BROWSE)
def again(request: SignedIn) -> HttpResponseBase:
    """Try one thing that failed again, `photo:12`, or all of a kind, `photo`."""
    kind, _colon, key = request.POST.get("what", "").partition(":")
    if kind not in WHO or (key and not (key.isdecimal() and len(key) < 19)):
        raise Http404("There is nothing of this kind to try again.")
    if not may(request.user, WHO[kind]):
        raise PermissionDenied("Your role does not include this. An admin can give you another one.")
    try:
        count = 0 if kind == SWEEP else failures.try_again(KINDS, kind, int(key) if key else None, request.user)
    except TrainingError as error:
        messages.error(request, str(error))
        return redirect("dashboard")
    transaction.on_commit(_send)
    if kind == "run" and count:
        started = ClusteringRun.objects.latest("pk").pk
        transaction.on_commit(lambda: tasks.cluster.delay(started))
    if kind != SWEEP and not count:
        messages.warning(request, _("Nothing of it has failed any more."))
    else:
        text = ngettext("{count} is tried again.", "{count} are tried again.", count).format(count=f"{count:,}")
        messages.success(request, _("The workers are told.") if kind == SWEEP else text)
    return redirect("dashboard")


def _send() -> None:
    tasks.sweep.delay()
    training_tasks.sweep.delay()


# ---- what is shown


def _sections(user: User) -> tuple[dict[str, str], Snapshot | None]:
    """Each section as HTML, by name. There is no token of a form in it, so that it changes only with what it tells."""
    context, last = _context(user, timezone.now())
    return {name: render_to_string(f"dashboard/_{name}.html", context) for name in SECTIONS}, last


def _context(user: User, now: datetime) -> tuple[dict[str, Any], Snapshot | None]:
    last, shown = dashboard.shown()
    parts = {name: part.found for name, part in shown.items()}
    failed, queues = failures.count(KINDS), messages_waiting() or None
    at = last.at if last else None
    return {
        "user": user,
        "may_try": {kind for kind, roles in WHO.items() if may(user, roles)},
        "times": {name: part.at for name, part in shown.items()},
        "snapshot": last,
        "stuck": stuck(user, now, parts=parts, at=at, failed=failed, queues=queues),
        "steps": told.steps(parts),
        "labelled": told.labelled(parts),
        "plots": told.plots(parts),
        "queue": told.queue(parts),
        "effort": told.effort(parts),
        "rate": live_settings.get("HOURLY_RATE"),
        "trust": told.trust(),
        "target": live_settings.get("TARGET_ERROR"),
        "balance": told.balance(parts),
        "ages": told.ages(parts),
        "quality": told.quality(parts),
        "machine": told.machine(parts, queues, now),
        "failures": _listed(failed),
    }, last


def _listed(failed: Mapping[str, int]) -> list[dict[str, Any]]:
    rows: dict[str, list[Failure]] = {}
    for each in failures.listed({kind: KINDS[kind] for kind, count in failed.items() if count}, LISTED):
        rows.setdefault(each.kind, []).append(each)
    titles = told.failure_titles()
    return [
        {
            "kind": kind,
            "title": titles[kind],
            "count": failed[kind],
            "rows": [(each, reverse(each.page, args=[each.of_page])) for each in found],
            "more": failed[kind] - len(found),
        }
        for kind, found in rows.items()
    ]


def _map_version(last: Snapshot | None) -> str:
    """What the map rests on: its points, the grouping that colours it, and who was named since, as often as that is
    counted: while people answer it would change with each of them."""
    drawn = FaceMap.objects.filter(pk=1).first()
    run = ClusteringRun.objects.filter(state=ClusteringRun.State.APPLIED).values_list("pk", flat=True).first()
    named = last.parts.get("labels", {}).get("is", {}).get("by", {}).get("identity") if last else None
    told_of = (drawn and drawn.at, drawn and drawn.version_id, MapPoint.objects.count(), run, named)
    return hashlib.sha256(repr(told_of).encode()).hexdigest()[:16]
