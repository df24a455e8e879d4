"""People, the clusters that nobody has looked at yet, and what a curator does with both."""

from collections.abc import Sequence
from math import ceil, floor
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import conflicts, likeness, reads
from annotation import people as acts
from annotation.access import BROWSE, CURATE
from annotation.errors import AnnotationError
from annotation.forms import (
    FaceSearchForm,
    FacesForm,
    MergeForm,
    MergeManyForm,
    NameForm,
    PeopleFilter,
    SplitForm,
)
from annotation.models import Answer, Cluster, FaceSearch, Identity, Label, Membership
from annotation.views.page import SignedIn, act, back, page, tell_mistakes, tell_undoable
from annotation.words import LIKENESS
from inference.core.images import PictureRefused

PEOPLE = 24
FACES = 60
HISTORY = 20
SUGGESTIONS = 20
ACTS = 40
PERHAPS = 6


@page(BROWSE)
def people(request: SignedIn) -> HttpResponse:
    form = PeopleFilter(request.GET)
    if not form.is_valid():
        tell_mistakes(request, form)
        form = PeopleFilter({})
        form.is_valid()
    found = reads.page(form.of(reads.people()), order=form.order(), cursor=request.GET.get("cursor", ""), size=PEOPLE)
    faces = reads.exemplars([person.pk for person in found.rows], 4)
    context = {
        "form": form,
        "page": found,
        "people": [(person, faces.get(person.pk, [])) for person in found.rows],
        "unchecked": reads.count_up_to_many(reads.unchecked_clusters()),
    }
    return render(request, "annotation/people.html", context)


@page(BROWSE)
def clusters(request: SignedIn) -> HttpResponse:
    rows = reads.unchecked_clusters()
    found = reads.page(rows, order=["-face_count", "pk"], cursor=request.GET.get("cursor", ""), size=PEOPLE)
    ids = [cluster.pk for cluster in found.rows]
    faces, terms = reads.surest_faces(ids, 4), reads.terms_of(ids)
    context = {
        "page": found,
        "clusters": [(cluster, faces.get(cluster.pk, []), terms.get(cluster.pk, [])[:2]) for cluster in found.rows],
        "total": reads.count_up_to_many(rows),
    }
    return render(request, "annotation/clusters.html", context)


@page(BROWSE)
def cluster(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Cluster.objects.select_related("identity", "run"), pk=pk)
    members = Membership.objects.filter(cluster=shown).select_related("face__photo__source", "face__label__identity")
    found = reads.page(members, order=["belief", "pk"], cursor=request.GET.get("cursor", ""), size=FACES)
    context = {
        "cluster": shown,
        "page": found,
        "faces": [member.face for member in found.rows],
        "total": members.count(),
        "terms": reads.terms_of([shown.pk]).get(shown.pk, []),
    }
    return render(request, "annotation/cluster.html", context)


@page(BROWSE)
def person(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Identity.objects.select_related("merged_into"), pk=pk)
    if shown.merged_into is not None:
        messages.info(request, _("Person {pk} was merged into this one.").format(pk=pk))
        return redirect("person", shown.merged_into.pk)
    labels = Label.objects.filter(identity=shown).select_related("face__photo__source")
    found = reads.page(labels, order=["face_id"], cursor=request.GET.get("cursor", ""), size=FACES)
    history = reads.page(reads.acts_of(shown), order=["-pk"], cursor=request.GET.get("history", ""), size=HISTORY)
    context = {
        "person": shown,
        "page": found,
        "faces": [label.face for label in found.rows],
        "total": labels.count(),
        "history": history,
        "acts": reads.told(history.rows),
        "attributes": reads.attributes_of_person(shown),
        "perhaps": reads.asked(list(reads.suggestions_about(shown)[:PERHAPS])),
    }
    return render(request, "annotation/person.html", context)


@act(CURATE)
def rename(request: SignedIn, pk: int) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("person", pk)
    done = acts.rename(identity_id=pk, name=form.cleaned_data["name"], by=request.user)
    name = form.cleaned_data["name"]
    tell_undoable(request, _("Named {name}.").format(name=name) if name else _("The name was taken away."), done)
    return redirect("person", pk)


@act(CURATE)
def describe(request: SignedIn, pk: int) -> HttpResponse:
    attribute, value = request.POST.get("attribute", ""), request.POST.get("value", "")
    done = acts.describe(identity_id=pk, attribute=attribute, value=value, by=request.user)
    tell_undoable(request, f"{_(attribute.replace('_', ' ')).capitalize()}: {_(value.replace('_', ' '))}.", done)
    return redirect("person", pk)


@act(CURATE)
def act_on_faces(request: SignedIn) -> HttpResponse:
    """What was chosen for the selected faces of the page that the form is on."""
    form = FacesForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return back(request)
    faces: list[int] = form.cleaned_data["faces"]
    of = request.POST.get("person", "")
    done, told = _do(
        form.cleaned_data["act"], faces, int(of) if of.isdecimal() else 0, form.cleaned_data["to"], request
    )
    tell_undoable(request, told, done)
    return back(request)


def _do(chosen: str, faces: Sequence[int], of: int, to: Identity | None, request: SignedIn) -> tuple[Answer, str]:
    count = reads.faces_in_words(len(faces))
    match chosen:
        case "remove":
            told = _("{faces}: not person {person}.").format(faces=count, person=of)
            return acts.remove(identity_id=of, face_ids=faces, by=request.user), told
        case "split":
            done = acts.split(identity_id=of, face_ids=faces, by=request.user)
            told = _("{faces} split off as person {person}.")
            return done, told.format(faces=count, person=done.content["into"])
        case "not_a_face":
            return acts.not_a_face(face_ids=faces, by=request.user), _("{faces}: not a face.").format(faces=count)
        case _:
            done = acts.assign(face_ids=faces, identity_id=to.pk if to and chosen == "move" else None, by=request.user)
            whom = to if to and chosen == "move" else _("person {pk}").format(pk=done.content["identity"])
            return done, f"{count}: {whom}."


@page(CURATE)
def merge_with(request: SignedIn, pk: int) -> HttpResponse:
    """From a person's page: them and somebody who is named."""
    form = MergeForm(request.GET)
    if not form.is_valid() or form.cleaned_data["other"].pk == pk:
        tell_mistakes(request, form)
        if form.is_valid():
            told = _("Person {pk} cannot be merged with themselves. Choose another person.")
            messages.error(request, told.format(pk=pk))
        return redirect("person", pk)
    query = urlencode({"people": [pk, form.cleaned_data["other"].pk], "into": pk}, doseq=True)
    return redirect(f"{reverse('merge-preview')}?{query}")


@page(CURATE)
def merge_preview(request: SignedIn) -> HttpResponse:
    """What merging people would change, before anything is written."""
    form = MergeManyForm(request.GET)
    if not form.is_valid():
        tell_mistakes(request, form)
    chosen = form.cleaned_data.get("people", [])
    if not chosen:
        return redirect("people")
    return render(request, "annotation/merge.html", {"merging": reads.merging(chosen, form.cleaned_data.get("into"))})


@act(CURATE)
def merge(request: SignedIn) -> HttpResponse:
    form = MergeManyForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("people")
    chosen, into = form.cleaned_data["people"], form.cleaned_data["into"]
    if not chosen:
        messages.error(request, _("None of these people is here any more. Choose them again."))
        return redirect("people")
    into = into if into in chosen else chosen[0]
    done = acts.merge(identity_ids=chosen, into_id=into, by=request.user)
    merged = done.content["identities"]
    if len(merged) == 1:
        told = _("Merged person {pk} into this one.").format(pk=merged[0])
    else:
        told = _("Merged {count} people into this one.").format(count=len(merged))
    tell_undoable(request, told, done)
    return redirect("person", done.content["into"])


# ---- suggestions of the machine


@page(BROWSE)
def suggestions(request: SignedIn) -> HttpResponse:
    rows = reads.suggestions()
    found = reads.page(rows, order=["-worth", "pk"], cursor=request.GET.get("cursor", ""), size=SUGGESTIONS)
    context = {"page": found, "pairs": reads.asked(found.rows), "total": reads.count_up_to_many(rows)}
    return render(request, "annotation/suggestions.html", context)


@act(CURATE)
def decide_suggestions(request: SignedIn) -> HttpResponse:
    """One word on all pairs that are selected. A pair that an earlier one of them answered is left out."""
    said = request.POST.get("said", "")
    chosen = [int(pk) for pk in request.POST.getlist("pairs")[:SUGGESTIONS] if pk.isdecimal()]
    if said not in ("same", "different") or not chosen:
        messages.error(request, _("No pair is selected. Select at least one."))
        return back(request, "suggestions")
    done = 0
    for pk in chosen:
        try:
            conflicts.decide(question_id=pk, content={"verdict": said}, by=request.user)
        except AnnotationError as error:
            messages.warning(request, str(error))
        else:
            done += 1
    if said == "same":
        told = ngettext(
            "{count} pair merged. Each can be undone in the history.",
            "{count} pairs merged. Each can be undone in the history.",
            done,
        )
    else:
        told = ngettext(
            "{count} pair said to be two people each. Each can be undone in the history.",
            "{count} pairs said to be two people each. Each can be undone in the history.",
            done,
        )
    messages.success(request, told.format(count=done))
    return back(request, "suggestions")


# ---- by face


def by_face(request: SignedIn) -> HttpResponseBase:
    """Drop a photo: whom may its faces be? It is looked at and forgotten; that somebody looked is kept."""
    return (_search if request.method == "POST" else _search_page)(request)


@page(CURATE)
def _search_page(request: SignedIn) -> HttpResponse:
    searches = FaceSearch.objects.select_related("by").order_by("-pk")[:10]
    return render(request, "annotation/by_face.html", {"form": FaceSearchForm(), "searches": searches})


@act(CURATE)
def _search(request: SignedIn) -> HttpResponse:
    form = FaceSearchForm(request.POST, request.FILES)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("by-face")
    # One byte more than is taken is enough to refuse it by its size.
    data = form.cleaned_data["photo"].read(settings.INTAKE_FILE_MB * 1_000_000 + 1)
    try:
        sought = likeness.search(data, by=request.user)[1]
    except PictureRefused as refused:
        messages.error(request, str(refused))
        return redirect("by-face")
    searches = FaceSearch.objects.select_related("by").order_by("-pk")[:10]
    context = {"form": FaceSearchForm(), "searches": searches, "sought": sought, "searched": True}
    return render(request, "annotation/by_face.html", context)


# ---- who falls out of a person


@page(CURATE)
def by_likeness(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Identity, pk=pk, merged_into=None)
    alike = likeness.spread(shown)
    below = _threshold(request.GET.get("below", ""), alike)
    context = {
        "person": shown,
        "alike": alike,
        "below": below,
        "out": [each.face.pk for each in alike if each.cosine < below],
        "least": floor(100 * alike[0].cosine) / 100 if alike else 0,
        "most": ceil(100 * alike[-1].cosine) / 100 if alike else 1,
        "total": shown.face_count,
        "words": LIKENESS,
    }
    return render(request, "annotation/by_likeness.html", context)


def _threshold(typed: str, alike: Sequence[likeness.Alike]) -> float:
    """What was asked for, or what nobody falls below."""
    try:
        return min(max(float(typed), -1.0), 1.0)
    except ValueError:
        return floor(100 * alike[0].cosine) / 100 if alike else 0.0


@act(CURATE)
def split_by_likeness(request: SignedIn, pk: int) -> HttpResponse:
    form = SplitForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("by-likeness", pk)
    done, told = _do(form.cleaned_data["act"], form.cleaned_data["faces"], pk, None, request)
    tell_undoable(request, told, done)
    return redirect("by-likeness", pk)


# ---- what was done


@page(BROWSE)
def history(request: SignedIn) -> HttpResponse:
    """Everything that was done to people, at any time, each with its undo."""
    merges = request.GET.get("only") == "merges"
    if merges:
        lines = reads.page(reads.merges_done(), order=["-pk"], cursor=request.GET.get("cursor", ""), size=ACTS)
        return render(request, "annotation/acts.html", {"page": lines, "lines": lines.rows, "merges": True})
    found = reads.page(reads.acts_done(), order=["-pk"], cursor=request.GET.get("cursor", ""), size=ACTS)
    return render(request, "annotation/acts.html", {"page": found, "acts": reads.told(found.rows), "merges": False})
