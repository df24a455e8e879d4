"""Where things stand, and what to do next."""

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import reads
from annotation.access import ANNOTATE, BROWSE, CURATE, may
from annotation.models import User
from annotation.views.page import SignedIn, page

EVERYBODY = ANNOTATE | BROWSE | {User.Role.CLIENT}


@dataclass(frozen=True)
class Next:
    """The one thing that brings the corpus on now."""

    text: str
    button: str
    address: str


@page(EVERYBODY, by_source=True)
def home(request: SignedIn) -> HttpResponse:
    if not may(request.user, BROWSE):
        return redirect("annotate" if may(request.user, ANNOTATE) else "tokens")
    standing = reads.standing(request.user)
    context = {"standing": standing, "counts": standing.counts, "next": _next(standing, request.user)}
    return render(request, "annotation/home.html", context)


def _next(standing: reads.Standing, user: User) -> Next | None:
    counts = standing.counts
    if not counts["photos"] and may(user, CURATE):
        if counts["sources"]:
            return Next(_("There are no photos yet."), _("Add photos"), reverse("sources"))
        return Next(
            _("There are no photos yet. Every photo belongs to a source."), _("Make a source"), reverse("source-new")
        )
    if counts["questions"] and may(user, ANNOTATE):
        waiting = counts["questions"]
        told = ngettext("{count} question waits for an answer.", "{count} questions wait for an answer.", waiting)
        return Next(told.format(count=f"{waiting:,}"), _("Annotate"), reverse("annotate"))
    if counts["labels"] and not counts["exportable"]:
        return Next(
            _("No label may be exported: no source states its licence and legal basis."),
            _("State them"),
            reverse("sources"),
        )
    if counts["exportable"]:
        return Next(_("Nothing waits for an answer."), _("Export the labels"), reverse("export"))
    return None
