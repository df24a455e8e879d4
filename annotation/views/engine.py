"""The engine's page: how far the machine and the people can be believed, and what was accepted because of it."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from annotation import certificates, reads, reliabilities
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
            if name in settings.ASKED or not each.asked
        ],
        "target": settings.TARGET_ERROR,
        "people": reads.reliabilities(),
    }
    return render(request, "annotation/engine.html", context)


@act(CURATE)
def revoke(request: SignedIn, pk: int) -> HttpResponse:
    held = get_object_or_404(Certificate, pk=pk)
    count = certificates.revoke(held, f"Revoked by {request.user.username}.")
    messages.success(
        request, f"Revoked. {count} label{'' if count == 1 else 's'} that rested on it will be asked about."
    )
    return redirect("engine")


@act(CURATE)
def let_back(request: SignedIn, pk: int) -> HttpResponse:
    user = get_object_or_404(User, pk=pk)
    reliabilities.let_back(user.pk)
    messages.success(request, f"{user.username} may answer again; what they said of attributes before counts again.")
    return redirect("engine")
