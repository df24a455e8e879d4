"""People, the clusters that nobody has looked at yet, and what a curator does with both."""

from collections.abc import Sequence

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from annotation import people as acts
from annotation import reads
from annotation.access import BROWSE, CURATE
from annotation.forms import FacesForm, MergeForm, NameForm, PeopleFilter
from annotation.models import Answer, Cluster, Identity, Label, Membership
from annotation.views.page import SignedIn, act, back, page, tell_mistakes, tell_undoable

PEOPLE = 24
FACES = 60
HISTORY = 20


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
        messages.info(request, f"Person {pk} was merged into this one.")
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
    tell_undoable(request, f"Named {name}." if name else "The name was taken away.", done)
    return redirect("person", pk)


@act(CURATE)
def describe(request: SignedIn, pk: int) -> HttpResponse:
    attribute, value = request.POST.get("attribute", ""), request.POST.get("value", "")
    done = acts.describe(identity_id=pk, attribute=attribute, value=value, by=request.user)
    tell_undoable(request, f"{attribute.replace('_', ' ').capitalize()}: {value.replace('_', ' ')}.", done)
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
    count = "1 face" if len(faces) == 1 else f"{len(faces)} faces"
    match chosen:
        case "remove":
            return acts.remove(identity_id=of, face_ids=faces, by=request.user), f"{count}: not person {of}."
        case "split":
            done = acts.split(identity_id=of, face_ids=faces, by=request.user)
            return done, f"{count} split off as person {done.content['into']}."
        case "not_a_face":
            return acts.not_a_face(face_ids=faces, by=request.user), f"{count}: not a face."
        case _:
            done = acts.assign(face_ids=faces, identity_id=to.pk if to and chosen == "move" else None, by=request.user)
            return done, f"{count}: {to if to and chosen == 'move' else 'person ' + str(done.content['identity'])}."


@page(CURATE)
def merge_preview(request: SignedIn, pk: int) -> HttpResponse:
    """What merging two people would make one, before anything is written."""
    one = get_object_or_404(Identity, pk=pk, merged_into=None)
    form = MergeForm(request.GET)
    if not form.is_valid() or form.cleaned_data["other"] == one:
        tell_mistakes(request, form)
        if form.is_valid():
            messages.error(request, f"{one} cannot be merged with themselves. Choose another person.")
        return redirect("person", pk)
    other: Identity = form.cleaned_data["other"]
    counts, faces = reads.face_counts([one.pk, other.pk]), reads.exemplars([one.pk, other.pk], 8)
    context = {
        "one": one,
        "other": other,
        "sides": [(side, counts.get(side.pk, 0), faces.get(side.pk, [])) for side in (one, other)],
        "total": sum(counts.values()),
        "shared_photos": reads.photos_with_both(one, other),
        "said_to_differ": reads.said_to_differ(one, other),
    }
    return render(request, "annotation/merge.html", context)


@act(CURATE)
def merge(request: SignedIn, pk: int) -> HttpResponse:
    form = MergeForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("person", pk)
    other: Identity = form.cleaned_data["other"]
    done = acts.merge(identity_ids=[other.pk], into_id=pk, by=request.user)
    tell_undoable(request, f"Merged person {other.pk} into this one.", done)
    return redirect(reverse("person", args=[pk]))
