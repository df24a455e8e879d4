"""Sources: their rights, what was taken in of them, and what was refused."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation import erasure, holds, intake, reads, tasks, visible
from annotation.access import BROWSE, CURATE
from annotation.core.tables import csv_lines
from annotation.errors import AnnotationError
from annotation.forms import IntakeForm, RightsForm, SourceForm
from annotation.models import Photo, Refusal, Source
from annotation.views.page import SignedIn, act, only, page, tell_mistakes

SOURCES = 50
INTAKES = 20
REFUSALS = 100


@page(BROWSE, by_source=True)
def sources(request: SignedIn) -> HttpResponse:
    found = reads.page(
        visible.sources(request.user), order=["name", "pk"], cursor=request.GET.get("cursor", ""), size=SOURCES
    )
    counts = reads.source_counts([source.pk for source in found.rows])
    context = {"page": found, "sources": [(source, counts[source.pk]) for source in found.rows]}
    return render(request, "annotation/sources.html", context)


def _new(request: SignedIn) -> HttpResponse:
    form = SourceForm(request.POST or None)
    if form.is_valid():
        try:
            return redirect("upload", intake.create_source(**form.cleaned_data, by=request.user).pk)
        except AnnotationError as error:
            form.add_error("name", str(error))
    return render(request, "annotation/source_new.html", {"form": form}, status=400 if form.errors else 200)


source_new = require_http_methods(["GET", "HEAD", "POST"])(only(CURATE, _new))


@page(BROWSE, by_source=True)
def source(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(visible.sources(request.user), pk=pk)
    rights = {name: getattr(shown, name) for name in ("licence", "legal_basis", "retention_until")}
    context = {
        "source": shown,
        "counts": reads.source_counts([pk])[pk],
        "expiry": _expiry(shown),
        "intakes": shown.intakes.select_related("created_by").order_by("-pk")[:INTAKES],
        "refusals": shown.refusals.order_by("-at", "-pk")[:10],
        "rights_form": RightsForm(initial=rights),
        "intake_form": IntakeForm(),
        "folders": settings.INTAKE_FOLDERS,
    }
    return render(request, "annotation/source.html", context)


def _expiry(shown: Source) -> dict[str, Any]:
    """What the schedule does with it soon, if anything; nothing where it has no photos."""
    if not erasure.expiring().filter(pk=shown.pk).exists():
        return {}
    held = holds.held(Photo.objects.filter(source=shown)).count()
    return {"over": shown.retention_until and shown.retention_until < timezone.now().date(), "held": held}


@act(CURATE, by_source=True)
def state_rights(request: SignedIn, pk: int) -> HttpResponse:
    get_object_or_404(visible.sources(request.user), pk=pk)
    form = RightsForm(request.POST)
    if form.is_valid():
        intake.state_rights(source_id=pk, **form.cleaned_data, by=request.user)
        messages.success(request, _("The rights are kept."))
    else:
        tell_mistakes(request, form)
    return redirect("source", pk)


@page(CURATE, by_source=True)
def upload(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(visible.sources(request.user), pk=pk)
    context = {"source": shown, "deliveries": intake.DELIVERIES, "file_mb": settings.INTAKE_FILE_MB}
    return render(request, "annotation/upload.html", context)


@act(CURATE, by_source=True)
def start_intake(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(visible.sources(request.user), pk=pk)
    form = IntakeForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("source", pk)
    delivery = intake.start_intake(source=shown, **form.cleaned_data, by=request.user)
    transaction.on_commit(lambda: tasks.take_in.delay(delivery.pk))
    messages.success(request, _("Taking in {path}.").format(path=delivery.path))
    return redirect("source", pk)


@page(BROWSE, by_source=True)
def refusals(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(visible.sources(request.user), pk=pk)
    found = reads.page(shown.refusals.all(), order=["file", "pk"], cursor=request.GET.get("cursor", ""), size=REFUSALS)
    context = {
        "source": shown,
        "page": found,
        "refusals": found.rows,
        "total": reads.count_up_to_many(shown.refusals.all()),
    }
    return render(request, "annotation/refusals.html", context)


@page(BROWSE, by_source=True)
def refusals_csv(request: SignedIn, pk: int) -> StreamingHttpResponse:
    shown = get_object_or_404(visible.sources(request.user), pk=pk)
    rows = Refusal.objects.filter(source=shown).order_by("file").values_list("file", "code", "reason", "at")
    response = StreamingHttpResponse(
        csv_lines(["file", "code", "reason", "at"], rows.iterator()), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="refusals-{pk}.csv"'
    return response
