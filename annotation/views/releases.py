"""Releases: chosen with a look at what would be in them, frozen, compared, checked, taken along."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotation import reads, tasks
from annotation import releases as stage
from annotation.access import BROWSE, GROUP_AND_EXPORT
from annotation.core.datasheet import by_value
from annotation.core.release import DATASHEET
from annotation.core.release_diff import of_test
from annotation.core.release_formats.formats import FORMATS
from annotation.core.release_query import query_of
from annotation.core.splits import SPLITS
from annotation.errors import AnnotationError, QueueAway
from annotation.forms import ReleaseForm
from annotation.models import Release
from annotation.views.page import SignedIn, act, only, page
from inference.core.attributes import ATTRIBUTES

RELEASES = 30
ERASED = 200  # photos that are listed


@page(BROWSE)
def releases(request: SignedIn) -> HttpResponse:
    rows = Release.objects.select_related("created_by")
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=RELEASES)
    under_way = rows.filter(state__in=[Release.State.WAITING, Release.State.BUILDING]).exists()
    return render(request, "annotation/releases.html", {"page": found, "releases": found.rows, "under_way": under_way})


def _new(request: SignedIn) -> HttpResponse:
    form = ReleaseForm(request.POST or None)
    context: dict[str, Any] = {"form": form}
    freeze = request.POST.get("act") == "freeze"
    if request.method == "POST" and not freeze:
        form.fields["name"].required = False  # to look, no name is needed
    if form.is_valid():
        try:
            if freeze:
                return _asked(request, form)
            planned = stage.preview(stage.checked_query(form.query()), _)
            context |= {"planned": planned, "tables": _tables(planned), "parts": _parts(planned)}
        except AnnotationError as error:
            form.add_error(None, str(error))
    return render(request, "annotation/release_new.html", context, status=400 if form.errors else 200)


release_new = require_http_methods(["GET", "HEAD", "POST"])(only(GROUP_AND_EXPORT, _new))


def _asked(request: SignedIn, form: ReleaseForm) -> HttpResponse:
    said = form.cleaned_data
    asked = stage.create_release(name=said["name"], purpose=said["purpose"], query=form.query(), by=request.user)
    transaction.on_commit(lambda: tasks.build_release.delay(asked.pk))
    messages.success(request, _("{name} is being frozen.").format(name=asked.name))
    return redirect("release", asked.pk)


@page(BROWSE)
def release(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Release.objects.select_related("created_by", "predecessor"), pk=pk)
    erased = shown.erasures.order_by("-at", "-pk")
    context: dict[str, Any] = {
        "release": shown,
        "query": _told(shown.query),
        "damage": "",
        "formats": FORMATS.items(),
        "by": [name for name in shown.counts.get("attributes", {}) if ATTRIBUTES[name].values],
        "erased": erased[:ERASED],
        "erased_count": erased.count(),
        "models": stage.models_of(shown),
        "others": Release.objects.filter(state=Release.State.DONE).exclude(pk=pk).order_by("-pk")[:100],
    }
    if shown.state == Release.State.DONE:
        context["warnings"] = stage.warnings_of(shown, _)
        context |= {"tables": _tables(shown.counts), "parts": _parts(shown.counts), **_opened(request, shown)}
    return render(request, "annotation/release.html", context)


def _opened(request: SignedIn, shown: Release) -> dict[str, Any]:
    """What only its folder tells: the datasheet, its size, and what another release has and it has not."""
    try:
        frozen = stage.opened(shown)
        against = request.GET.get("against", "")
        older = shown.predecessor
        changes = shown.changes
        if against.isascii() and against.isdecimal() and len(against) < 16:
            older = get_object_or_404(Release, pk=int(against), state=Release.State.DONE)
            changes = stage.compare(older, shown).as_json()
        return {
            "datasheet": (frozen.folder / DATASHEET).read_text(encoding="utf-8"),
            "bytes": sum(file.size for file in frozen.description.files),
            "rights": frozen.description.rights,
            "older": older,
            "changes": changes,
            "of_test": of_test(changes, _) if "moved" in changes else "",
        }
    except AnnotationError as error:
        return {"damage": str(error)}


def _told(query: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The filters that are set, in words; those as they are without a word are left out."""
    usual = query_of({}).as_json()
    return [(name.replace("_", " "), _word(value)) for name, value in query.items() if value != usual.get(name)]


def _word(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return {"True": "yes", "False": "no"}.get(str(value), str(value))


def _parts(counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    whole = max(counts["faces"], 1)
    return [
        {"name": split, "faces": counts["splits"][split], "share": 100 * counts["splits"][split] / whole}
        for split in SPLITS
    ]


def _tables(counts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each attribute its values, or ages by ten years, with how many faces each part has."""
    return [{"name": name.replace("_", " "), **_table(name, of)} for name, of in counts["attributes"].items()]


def _table(name: str, of: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    values = by_value(name, of)
    rows = [
        {"value": value, "total": sum(parts.values()), "parts": [parts[split] for split in SPLITS]}
        for value, parts in values
    ]
    return {"rows": rows, "most": max((sum(parts.values()) for _, parts in values), default=0)}


@act(GROUP_AND_EXPORT)
def verify(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Release, pk=pk, state=Release.State.DONE)
    if tasks.verify_release.delay(shown.pk) is None:
        raise QueueAway
    told = _("All files of {name} are being hashed anew. This page tells the outcome.")
    messages.success(request, told.format(name=shown.name))
    return redirect("release", pk)


@page(BROWSE)
def datasheet(request: SignedIn, pk: int) -> HttpResponse:
    try:
        frozen = stage.opened(get_object_or_404(Release, pk=pk))
    except AnnotationError as error:
        raise Http404(str(error)) from error
    return HttpResponse((frozen.folder / DATASHEET).read_bytes(), content_type="text/markdown; charset=utf-8")


@page(GROUP_AND_EXPORT)
def download(request: SignedIn, pk: int, layout: str) -> HttpResponseBase:
    shown = get_object_or_404(Release, pk=pk)
    by = request.GET.get("by", "")
    if layout not in FORMATS or (by and (layout != "images" or by not in ATTRIBUTES)):
        raise Http404(f"There is no such format. Known are: {', '.join(FORMATS)}.")
    try:
        pieces = stage.tar(shown, layout, by=by)
    except AnnotationError as error:
        messages.error(request, str(error))
        return redirect("release", pk)
    response = StreamingHttpResponse(pieces, content_type="application/x-tar")
    response["Content-Disposition"] = f'attachment; filename="{stage.tar_name(shown, layout)}"'
    return response
