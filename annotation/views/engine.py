"""The engine's page: how far the machine and the people can be believed, and what was accepted because of it."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import certificates, live_settings, reads, reliabilities
from annotation.access import BROWSE, CURATE
from annotation.models import Certificate, User
from annotation.views.page import SignedIn, act, page
from inference.core.attributes import ATTRIBUTES


@page(BROWSE)
def engine(request: SignedIn) -> HttpResponse:
    context: dict[str, Any] = {
        "attributes": [
            reads.standing_of_years(name) if each.in_years else reads.standing_of(name)
            for name, each in ATTRIBUTES.items()
            if name in live_settings.get("ASKED") or each.in_years
        ],
        "target": live_settings.get("TARGET_ERROR"),
        "people": reads.reliabilities(),
    }
    return render(request, "annotation/engine.html", context)


@act(CURATE)
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    held = get_object_or_404(Certificate, pk=pk)
    count = certificates.revoke(held, f"Revoked by {request.user.username}.")
    told = ngettext(
        "Revoked. {count} label that rested on it will be asked about.",
        "Revoked. {count} labels that rested on it will be asked about.",
        count,
    )
    messages.success(request, told.format(count=count))
    return redirect("engine")


@act(CURATE)
def let_back(request: SignedIn, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    reliabilities.let_back(user.pk)
    told = _("{username} may answer again; what they said of attributes before counts again.")
    messages.success(request, told.format(username=user.username))
    return redirect("engine")
