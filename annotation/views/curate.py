"""Curators at work: conflicts, a live sample of answers, the annotators, and faces sent to the queue."""

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import conflicts, reads, tasks, visible, wanted
from annotation.access import ANNOTATE, CURATE
from annotation.forms import AskForm, ConflictFilter, FaceFilter, ReassignForm, SampleFilter, for_reader
from annotation.models import Answer, Reliability, User
from annotation.views.page import SignedIn, act, back, page, tell_mistakes, tell_undoable
from annotation.words import LIVE

PAGE = 20
ANSWERS = 30


# ---- conflicts


@page(CURATE, by_source=True)
def to_decide(request: SignedIn) -> HttpResponse:
    return _conflicts(request, decided=False)


@page(CURATE, by_source=True)
def decided(request: SignedIn) -> HttpResponse:
    return _conflicts(request, decided=True)


def _conflicts(request: SignedIn, *, decided: bool) -> HttpResponse:
    form = ConflictFilter(request.GET)
    about = form.cleaned_data["about"] if form.is_valid() else ""
    rows = conflicts.decided(request.user, about) if decided else conflicts.to_decide(request.user, about)
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=PAGE)
    context = {
        "form": form,
        "page": found,
        "conflicts": conflicts.shown(found.rows, request.user),
        "total": reads.count_up_to_many(rows),
        "decided": decided,
        "about": about,
    }
    return render(request, "annotation/conflicts.html", context)


@page(CURATE, by_source=True)
def conflict(request: SignedIn, pk: int) -> HttpResponse:
    question = get_object_or_404(visible.questions(request.user), pk=pk)
    (shown,) = conflicts.shown([question], request.user)
    said = visible.answers(request.user).filter(question=question).select_related("annotator", "question")
    context = {
        "conflict": shown,
        "about": request.GET.get("about", ""),
        "values": list(enumerate(shown.asked.values, 1)),
        "history": reads.told(list(said.order_by("-pk")[:50])),
    }
    return render(request, "annotation/conflict.html", context)


@act(CURATE, by_source=True)
def decide(request: SignedIn, pk: int) -> HttpResponse:
    """One word settles it; then the next conflict is shown."""
    said = request.POST.get("said", "")
    verdicts = ("same", "different", "cannot_tell", "not_a_face")
    content = {"verdict": said} if said in verdicts else {"verdict": "value", "value": said}
    done = conflicts.decide(question_id=pk, content=content, by=request.user)
    told = {"same": _("one person"), "different": _("two people")}.get(said, _(said.replace("_", " ")))
    tell_undoable(request, _("Decided: {said}.").format(said=told), done)
    about = request.POST.get("about", "")
    following = conflicts.to_decide(request.user, about).exclude(pk=pk).order_by("-pk").first()
    address = reverse("conflict", args=[following.pk]) if following else reverse("conflicts")
    return redirect(f"{address}?{urlencode({'about': about})}" if about else address)


@act(CURATE, by_source=True)
def reopen(request: SignedIn, pk: int) -> HttpResponse:
    conflicts.reopen(question_id=pk, by=request.user)
    messages.success(request, _("Open again: people who have not answered it yet will be asked, or decide it here."))
    return redirect("conflict", pk)


# ---- a live sample


@page(CURATE, by_source=True)
def live(request: SignedIn) -> HttpResponse:
    form = SampleFilter(request.GET)
    if request.user.restricted:  # who works on what they do not see is not theirs to know
        del form.fields["annotator"]
    chosen: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
    annotator = chosen.get("annotator")
    answers = conflicts.sample(
        request.user,
        float(chosen.get("share") or 1),
        annotator=annotator.pk if annotator else None,
        kind=chosen.get("kind", ""),
    )
    context = {"form": form, "watched": reads.watched(answers, request.user), "words": LIVE}
    return render(request, "annotation/live.html", context)


# ---- annotators


@page(CURATE)
def annotators(request: SignedIn) -> HttpResponse:
    rows = User.objects.filter(role__in=ANNOTATE)
    found = reads.page(rows, order=["username"], cursor=request.GET.get("cursor", ""), size=ANSWERS)
    return render(request, "annotation/annotators.html", {"page": found, "people": reads.at_work(found.rows)})


@page(CURATE)
def annotator(request: SignedIn, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk)
    own = Answer.objects.filter(annotator=person).select_related("annotator", "question")
    found = reads.page(own, order=["-pk"], cursor=request.GET.get("cursor", ""), size=ANSWERS)
    context = {
        "person": person,
        "form": ReassignForm(),
        "page": found,
        "acts": reads.told(found.rows),
        "reliabilities": reads.with_values(Reliability.objects.filter(annotator=person).order_by("attribute")),
        "of_pairs": conflicts.right_about_pairs([pk]).get(pk),
        "due": wanted.due().filter(annotator=person).count(),
    }
    return render(request, "annotation/annotator.html", context)


@act(CURATE)
def reassign(request: SignedIn, pk: int) -> HttpResponse:
    form = ReassignForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("annotator", pk)
    person = get_object_or_404(User, pk=pk)
    count = wanted.reassign(person=pk, by=request.user, **form.cleaned_data)
    if count:
        transaction.on_commit(tasks.take_back.delay, robust=True)  # without it, the sweep finds them
    told = ngettext(
        "{count} answer of {username} will be taken back, and others asked what only they said.",
        "{count} answers of {username} will be taken back, and others asked what only they said.",
        count,
    )
    messages.success(request, told.format(count=f"{count:,}", username=person.username))
    return redirect("annotator", pk)


# ---- faces sent to the queue


@act(CURATE, by_source=True)
def ask(request: SignedIn) -> HttpResponse:
    """The faces that the filters of the page find, asked about before all else."""
    chosen = QueryDict(request.POST.get("filter", ""))
    form, faces = AskForm(request.POST), for_reader(FaceFilter(chosen), request.user)
    for each in (form, faces):
        if not each.is_valid():
            tell_mistakes(request, each)
            return back(request, "faces")
    kept = QueryDict(mutable=True)
    kept.update({name: value for name, value in chosen.dict().items() if name != "query"})  # it may be a name
    done = wanted.ask(
        faces=faces.of(visible.faces(request.user)),
        by=request.user,
        because=kept.urlencode()[:500],
        **form.cleaned_data,
    )
    count = done.content["count"]
    told = ngettext("{count} question will be asked first.", "{count} questions will be asked first.", count)
    tell_undoable(request, told.format(count=f"{count:,}"), done)
    return back(request, "faces")
