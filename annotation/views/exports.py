"""Identity labels out, as CSV or Parquet."""

import tempfile
from contextlib import ExitStack

from django.contrib import messages
from django.http import FileResponse, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from annotation import erasure, export, visible
from annotation.access import GROUP_AND_EXPORT
from annotation.errors import RightsNotStated
from annotation.models import Source
from annotation.views.page import SignedIn, page


@page(GROUP_AND_EXPORT, by_source=True)
def export_page(request: SignedIn) -> HttpResponse:
    of = _source(request)
    summary = export.summary(of, by=request.user)
    context = {
        "summary": summary,
        "columns": export.SCHEMA.names,
        "source": of,
        "sources": visible.sources(request.user).order_by("name")[:500],
        # Of exports of everything, whoever sees some sources only is not told.
        "stale": [] if request.user.restricted else erasure.stale_exports(),
        "withheld": Source.objects.filter(name__in=summary.withheld_sources[:50]),
    }
    return render(request, "annotation/export.html", context)


@page(GROUP_AND_EXPORT, by_source=True)
def labels_csv(request: SignedIn) -> HttpResponseBase:
    try:
        lines = export.csv_lines(_source(request), by=request.user)
    except RightsNotStated as error:
        messages.error(request, str(error))
        return redirect("export")
    response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{_name()}.csv"'
    return response


@page(GROUP_AND_EXPORT, by_source=True)
def labels_parquet(request: SignedIn) -> HttpResponseBase:
    source = _source(request)
    with ExitStack() as unsent:
        # A Parquet file ends with its index, so it is written out first: on disk, in constant memory.
        file = unsent.enter_context(tempfile.TemporaryFile())
        try:
            export.write_parquet(file, source, by=request.user)
        except RightsNotStated as error:
            messages.error(request, str(error))
            return redirect("export")
        file.seek(0)
        unsent.pop_all()  # the response closes it once it is sent
    return FileResponse(
        file, as_attachment=True, filename=f"{_name()}.parquet", content_type="application/vnd.apache.parquet"
    )


def _source(request: SignedIn) -> Source | None:
    wanted = request.GET.get("source", "")
    return get_object_or_404(visible.sources(request.user), pk=int(wanted)) if wanted.isdecimal() else None


def _name() -> str:
    return f"identity-labels-{timezone.now():%Y-%m-%d}"
