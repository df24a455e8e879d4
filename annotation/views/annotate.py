"""The queue: one page, on which questions come and go without loading it again."""

from django.contrib import messages
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import answers, queue, reads, visible
from annotation.access import ANNOTATE, BROWSE
from annotation.core import practice
from annotation.models import Question
from annotation.views.page import SignedIn, act, back, page
from annotation.words import DESK, names

PAGE = 30
FEW = 6  # faces of an answer, by which somebody knows it again


@page(ANNOTATE, by_source=True)
def annotate(request: SignedIn) -> HttpResponse:
    kind = request.GET.get("kind", "")
    kind = kind if kind in Question.Kind.values else ""
    tally = reads.tally(request.user, kind or None, idle=False)
    shown = {"kind": kind, "tally": tally, "streak": reads.gold_streak(request.user)}
    shown |= {"words": {**DESK, "names": names()}}
    return render(request, "annotation/annotate.html", shown)


@page(ANNOTATE | BROWSE, by_source=True)
def practice_picture(request: SignedIn, name: str) -> HttpResponseBase:
    """A drawn face of the practice: drawn once, then kept."""
    if name not in practice.pictures():
        raise Http404(f"There is no drawing {name!r}.")
    key = f"practice/{practice.VERSION}/{name}.jpg"
    if not default_storage.exists(key):
        default_storage.save(key, ContentFile(practice.drawn(name)))
    response = FileResponse(default_storage.open(key), content_type="image/jpeg")
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


@page(ANNOTATE, by_source=True)
def own_answers(request: SignedIn) -> HttpResponse:
    """What this person answered, to look at and take back."""
    own = visible.answers(request.user).filter(annotator=request.user).select_related("annotator", "question")
    found = reads.page(own, order=["-pk"], cursor=request.GET.get("cursor", ""), size=PAGE)
    watched = reads.watched(found.rows, request.user)
    marked_first = [(each, sorted(each.faces, key=lambda shown: not shown[1])[:FEW]) for each in watched]
    return render(request, "annotation/answers.html", {"page": found, "watched": marked_first})


@act(ANNOTATE | BROWSE, by_source=True)
def undo(request: SignedIn, pk: int) -> HttpResponse:
    answers.undo_answer(answer_id=pk, by=request.user)
    messages.success(request, _("Undone. The ledger keeps both: what was said, and that it was taken back."))
    return back(request)


@act(ANNOTATE, by_source=True)
def bring_back(request: SignedIn) -> HttpResponse:
    count = queue.bring_back_skipped(request.user)
    told = ngettext(
        "{count} skipped question will be asked again.", "{count} skipped questions will be asked again.", count
    )
    messages.success(request, told.format(count=count))
    return back(request, "annotate")
