"""What must be forgotten, and what must not: looked at first, asked for with a reason, proved by a signed report."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from annotation import erasure, holds, reads, tasks, words
from annotation.access import ADMINISTER
from annotation.errors import BadErasure, HeldBack
from annotation.forms import ErasureForm, ErasureReasonForm, HoldForm
from annotation.models import Erasure, LegalHold, Photo
from annotation.views.page import SignedIn, act, only, page, tell_mistakes

ERASURES = 30
HOLDS = 50
SOON = 20  # sources that are told
REPORT = 2_000_000  # bytes of a report that is to be verified


@page(ADMINISTER)
def erasures(request: SignedIn) -> HttpResponse:
    rows = Erasure.objects.select_related("by")
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=ERASURES)
    context = {
        "page": found,
        "erasures": found.rows,
        "form": ErasureForm(),
        "expiring": [_soon(source) for source in erasure.expiring()[:SOON]],
        "holds": holds.standing().count(),
    }
    return render(request, "annotation/erasures.html", context)


def _soon(source: Any) -> dict[str, Any]:
    held = holds.held(Photo.objects.filter(source=source)).count()
    return {"source": source, "on": source.retention_until + timedelta(days=1), "held": held}


def _ask(request: SignedIn) -> HttpResponse:
    """A dry run, and the form that asks for the thing itself."""
    asked = request.POST if request.method == "POST" else request.GET
    about, form = ErasureForm(asked), ErasureReasonForm(request.POST or None)
    if not about.is_valid():
        tell_mistakes(request, about)
        return redirect("erasures")
    what = about.cleaned_data
    try:
        made = erasure.draft(**what, by=request.user)
        if form.is_valid() and _confirmed(made, form):
            why = {name: form.cleaned_data[name] for name in ("reason", "legal_reference")}
            begun = erasure.request(**what, **why, by=request.user)
            transaction.on_commit(lambda: tasks.erase.delay(begun.pk), robust=True)  # without it, the sweep finds it
            return redirect("erasure", begun.pk)
        foreseen = erasure.dry_run(made)
    except (BadErasure, HeldBack) as error:
        if getattr(error, "field", "") not in form.fields:
            messages.error(request, str(error))
            return redirect("erasures")
        form.add_error(error.field, str(error))  # type: ignore[union-attr]
        foreseen = erasure.dry_run(made)
    context = {
        "about": about,
        "ids": " ".join(map(str, what["ids"])),
        "made": made,
        "foreseen": foreseen,
        "rows": words.erased(foreseen.rows),
        "form": form,
        "other_way": urlencode({**asked.dict(), "black_out": "" if made.black_out else "on"}),
    }
    return render(request, "annotation/erasure_ask.html", context, status=400 if form.errors else 200)


def _confirmed(made: Erasure, form: ErasureReasonForm) -> bool:
    count = erasure.count(made)
    if form.cleaned_data["confirm"] != count:
        form.add_error("confirm", _("It is {count} now. Look at it again, and type that.").format(count=count))
    return form.cleaned_data.get("confirm") == count


ask = require_http_methods(["GET", "HEAD", "POST"])(only(ADMINISTER, _ask))


@page(ADMINISTER)
def one(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Erasure.objects.select_related("by"), pk=pk)
    context = {
        "erasure": shown,
        "went": [*words.erased(shown.counts), *words.erased(shown.files)],
        "tombstones": shown.tombstones.count(),
    }
    return render(request, "annotation/erasure.html", context)


@page(ADMINISTER)
def report(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Erasure, pk=pk)
    if shown.report is None:
        raise Http404(f"Erasure {pk} is {shown.state}: its report is written at its end.")
    signed = {"report": shown.report, "signature": shown.signature}
    response = JsonResponse(signed, json_dumps_params={"indent": 2})
    response["Content-Disposition"] = f'attachment; filename="erasure-{pk}.json"'
    return response


@act(ADMINISTER)
def verify(request: SignedIn) -> HttpResponse:
    file = request.FILES.get("report")
    try:
        kept = json.loads(file.read(REPORT)) if file else None
        genuine = erasure.is_genuine(kept["report"], kept["signature"])  # type: ignore[index]
    except (ValueError, KeyError, TypeError, RecursionError):
        messages.error(request, _("This is no report of an erasure. Choose the JSON file as it was downloaded."))
    else:
        if genuine:
            messages.success(request, _("Genuine: signed by this installation, and unchanged."))
        else:
            messages.error(request, _("Not genuine: it was changed, or signed by another installation’s key."))
    return redirect("erasures")


@act(ADMINISTER)
def go_on(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Erasure, pk=pk)
    erasure.go_on(shown)
    transaction.on_commit(lambda: tasks.erase.delay(shown.pk), robust=True)
    return redirect("erasure", pk)


@act(ADMINISTER)
def let_back(request: SignedIn, pk: int) -> HttpResponse:
    count = erasure.lift_tombstones(get_object_or_404(Erasure, pk=pk), by=request.user)
    told = ngettext("{count} photo may come back.", "{count} photos may come back.", count)
    messages.success(request, told.format(count=count))
    return redirect("erasure", pk)


# ---- legal holds


@page(ADMINISTER)
def all_holds(request: SignedIn) -> HttpResponse:
    rows = LegalHold.objects.select_related("by", "lifted_by", "identity", "source", "photo")
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=HOLDS)
    standing = set(holds.standing().filter(pk__in=[hold.pk for hold in found.rows]).values_list("pk", flat=True))
    context = {
        "page": found,
        "holds": [(hold, hold.pk in standing) for hold in found.rows],
        "form": HoldForm(initial={name: request.GET[name] for name in ("kind", "id") if name in request.GET}),
        "today": timezone.now().date(),
    }
    return render(request, "annotation/holds.html", context)


@act(ADMINISTER)
def place(request: SignedIn) -> HttpResponse:
    form = HoldForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("holds")
    said = form.cleaned_data
    on = holds.about(said["kind"], said["id"])
    hold = holds.place(on=on, because=said["because"], until=said["until"], by=request.user)
    messages.success(request, _("{hold} stands.").format(hold=str(hold).capitalize()))
    return redirect("holds")


@act(ADMINISTER)
def lift(request: SignedIn, pk: int) -> HttpResponse:
    hold = get_object_or_404(LegalHold, pk=pk)
    holds.lift(hold=hold, because=request.POST.get("because", ""), by=request.user)
    messages.success(request, _("{hold} is lifted.").format(hold=str(hold).capitalize()))
    return redirect("holds")
