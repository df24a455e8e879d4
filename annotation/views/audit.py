"""The audit log as admins read it: filtered, page by page, taken along as JSON lines."""

import json
from typing import Any

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone

from annotation import audit, reads
from annotation.access import ADMINISTER
from annotation.forms import AuditFilter
from annotation.models import AuditEvent
from annotation.views.page import SignedIn, page, tell_mistakes

LINES = 50
TOLD = 300  # letters of what a line holds; the export has all of it


@page(ADMINISTER)
def log(request: SignedIn) -> HttpResponse:
    """Whoever reads in it stands in it, too."""
    form = AuditFilter(request.GET)
    rows = AuditEvent.objects.select_related("by")
    if form.is_valid():
        found = form.of(rows)
    else:
        tell_mistakes(request, form)
        found = rows.none()
    shown = reads.page(found, order=["-pk"], cursor=request.GET.get("cursor", ""), size=LINES)
    audit.write(audit.Action.AUDIT, by=request.user, subject="page", details=_asked(form))
    number, last = audit.head()
    context = {
        "form": form,
        "page": shown,
        "lines": [(event, _in_short(event.details)) for event in shown.rows],
        "number": number,
        "head": last,
        "unsealed": AuditEvent.objects.unsealed().count(),
    }
    return render(request, "annotation/audit.html", context)


def _asked(form: AuditFilter) -> dict[str, Any]:
    """What was looked for: what a form's field took, and so no text of anybody's own."""
    if not form.is_valid():
        return {}
    said = {name: value for name, value in form.cleaned_data.items() if value and name != "subject"}
    return {name: value.pk if name == "by" else str(value) for name, value in said.items()}


def _in_short(details: dict[str, Any]) -> str:
    told = ", ".join(f"{name}: {json.dumps(value)}" for name, value in details.items())
    return told if len(told) <= TOLD else f"{told[:TOLD]}…"


@page(ADMINISTER)
def export(request: SignedIn) -> HttpResponseBase:
    audit.seal()
    audit.write(audit.Action.AUDIT, by=request.user, subject="export")
    lines = (json.dumps(line, sort_keys=True) + "\n" for line in audit.lines())
    response = StreamingHttpResponse(lines, content_type="application/jsonl; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="audit-{timezone.now():%Y-%m-%d}.jsonl"'
    return response
