"""People, the clusters that nobody has looked at yet, and what a curator does with both."""

from collections.abc import Sequence
from math import ceil, floor
from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation import conflicts, likeness, reads, sightings, visible
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
    for_reader,
)
from annotation.models import Answer, Cluster, FaceSearch, Identity, User
from annotation.views.page import SignedIn, act, back, page, tell_mistakes, tell_undoable
from annotation.words import LIKENESS
from inference.core.images import PictureRefused

PEOPLE = 24
FACES = 60
HISTORY = 20
SUGGESTIONS = 20
ACTS = 40
PERHAPS = 6


@page(BROWSE, by_source=True)
def people(request: SignedIn) -> HttpResponse:
    form = PeopleFilter(request.GET)
    if not form.is_valid():
        tell_mistakes(request, form)
        form = PeopleFilter({})
        form.is_valid()
    rows, order = reads.people(request.user), form.order
    if request.user.restricted and "-face_count" in order:  # how many they have that are seen
        rows, order = reads.people_counted(request.user), ("-seen", "pk")
    found = reads.page(form.of(rows), order=order, cursor=request.GET.get("cursor", ""), size=PEOPLE)
    visible.as_seen(request.user, found.rows)
    faces = reads.exemplars([person.pk for person in found.rows], request.user, 4)
    context = {"form": form, "page": found, "people": [(person, faces.get(person.pk, [])) for person in found.rows]}
    if not request.user.restricted:  # whose clusters are counted face by face: their own page tells how many there are
        context["unchecked"] = reads.count_up_to_many(reads.unchecked_clusters(request.user))
    return render(request, "annotation/people.html", context)


@page(BROWSE, by_source=True)
def clusters(request: SignedIn) -> HttpResponse:
    rows, order = reads.unchecked_clusters(request.user), ["-seen" if request.user.restricted else "-face_count", "pk"]
    found = reads.page(rows, order=order, cursor=request.GET.get("cursor", ""), size=PEOPLE)
    reads.without_strangers(request.user, found.rows)
    ids = [cluster.pk for cluster in found.rows]
    faces, terms = reads.surest_faces(ids, request.user, 4), reads.terms_of(ids, request.user)
    context = {
        "page": found,
        "clusters": [(cluster, faces.get(cluster.pk, []), terms.get(cluster.pk, [])[:2]) for cluster in found.rows],
        "total": reads.count_up_to_many(rows),
    }
    return render(request, "annotation/clusters.html", context)


@page(BROWSE, by_source=True)
def cluster(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Cluster.objects.select_related("identity", "run"), pk=pk)
    members = reads.members_seen(request.user).filter(cluster=shown)
    if request.user.restricted and not members.exists():
        raise Http404("None of its faces is to be seen.")
    reads.without_strangers(request.user, [shown])
    rows = members.select_related("face__photo__source", "face__label__identity")
    found = reads.page(rows, order=["belief", "pk"], cursor=request.GET.get("cursor", ""), size=FACES)
    visible.as_seen(request.user, [member.face for member in found.rows])
    context = {
        "cluster": shown,
        "page": found,
        "faces": [member.face for member in found.rows],
        "total": members.count(),
        "terms": reads.terms_of([shown.pk], request.user).get(shown.pk, []),
    }
    return render(request, "annotation/cluster.html", context)


@page(BROWSE, by_source=True)
def person(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(Identity.objects.select_related("merged_into"), pk=pk)
    now = shown.merged_into or shown
    if request.user.restricted and not visible.identities(request.user).filter(pk=now.pk).exists():
        raise Http404("None of their faces is to be seen.")
    if shown.merged_into is not None:
        messages.info(request, _("Person {pk} was merged into this one.").format(pk=pk))
        return redirect("person", shown.merged_into.pk)
    labels = visible.labels(request.user).filter(identity=shown).select_related("face__photo__source")
    found = reads.page(labels, order=["face_id"], cursor=request.GET.get("cursor", ""), size=FACES)
    visible.as_seen(request.user, [label.face for label in found.rows])
    history = reads.page(
        reads.acts_of(shown, request.user), order=["-pk"], cursor=request.GET.get("history", ""), size=HISTORY
    )
    context = {
        "person": shown,
        "page": found,
        "faces": [label.face for label in found.rows],
        "total": labels.count(),
        "history": history,
        "acts": reads.told(history.rows),
        "attributes": reads.attributes_of_person(shown, request.user),
        "perhaps": reads.asked(list(reads.suggestions_about(shown, request.user)[:PERHAPS]), request.user),
    }
    return render(request, "annotation/person.html", context)


@act(CURATE, by_source=True)
def rename(request: SignedIn, pk: int) -> HttpResponse:
    form = NameForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("person", pk)
    done = acts.rename(identity_id=pk, name=form.cleaned_data["name"], by=request.user)
    name = form.cleaned_data["name"]
    tell_undoable(request, _("Named {name}.").format(name=name) if name else _("The name was taken away."), done)
    return redirect("person", pk)


@act(CURATE, by_source=True)
def describe(request: SignedIn, pk: int) -> HttpResponse:
    attribute, value = request.POST.get("attribute", ""), request.POST.get("value", "")
    done = acts.describe(identity_id=pk, attribute=attribute, value=value, by=request.user)
    tell_undoable(request, f"{_(attribute.replace('_', ' ')).capitalize()}: {_(value.replace('_', ' '))}.", done)
    return redirect("person", pk)


@act(CURATE, by_source=True)
def act_on_faces(request: SignedIn) -> HttpResponse:
    """What was chosen for the selected faces of the page that the form is on."""
    form = for_reader(FacesForm(request.POST), request.user)
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
            done = acts.not_a_face(face_ids=faces, by=request.user)
            fresh = reads.faces_in_words(len(done.content["faces"]))  # without those that were said to be none before
            return done, _("{faces}: not a face.").format(faces=fresh)
        case _:
            done = acts.assign(face_ids=faces, identity_id=to.pk if to and chosen == "move" else None, by=request.user)
            whom = to if to and chosen == "move" else _("person {pk}").format(pk=done.content["identity"])
            return done, f"{count}: {whom}."


@page(CURATE, by_source=True)
def merge_with(request: SignedIn, pk: int) -> HttpResponse:
    """From a person's page: them and somebody who is named."""
    get_object_or_404(visible.identities(request.user), pk=pk)
    form = for_reader(MergeForm(request.GET), request.user)
    if not form.is_valid() or form.cleaned_data["other"].pk == pk:
        tell_mistakes(request, form)
        if form.is_valid():
            told = _("Person {pk} cannot be merged with themselves. Choose another person.")
            messages.error(request, told.format(pk=pk))
        return redirect("person", pk)
    query = urlencode({"people": [pk, form.cleaned_data["other"].pk], "into": pk}, doseq=True)
    return redirect(f"{reverse('merge-preview')}?{query}")


@page(CURATE, by_source=True)
def merge_preview(request: SignedIn) -> HttpResponse:
    """What merging people would change, before anything is written."""
    form = for_reader(MergeManyForm(request.GET), request.user)
    if not form.is_valid():
        tell_mistakes(request, form)
    chosen = form.cleaned_data.get("people", [])
    if not chosen:
        return redirect("people")
    try:
        acts.require_whole(chosen, request.user)
    except AnnotationError as error:
        messages.error(request, str(error))
        return redirect("people")
    merging = reads.merging(chosen, request.user, form.cleaned_data.get("into"))
    return render(request, "annotation/merge.html", {"merging": merging})


@act(CURATE, by_source=True)
def merge(request: SignedIn) -> HttpResponse:
    form = for_reader(MergeManyForm(request.POST), request.user)
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


@page(BROWSE, by_source=True)
def suggestions(request: SignedIn) -> HttpResponse:
    rows = reads.suggestions(request.user)
    found = reads.page(rows, order=["-worth", "pk"], cursor=request.GET.get("cursor", ""), size=SUGGESTIONS)
    context = {"page": found, "pairs": reads.asked(found.rows, request.user), "total": reads.count_up_to_many(rows)}
    return render(request, "annotation/suggestions.html", context)


@act(CURATE, by_source=True)
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


@page(CURATE, by_source=True)
def _search_page(request: SignedIn) -> HttpResponse:
    searches = _latest_searches(request.user)
    return render(request, "annotation/by_face.html", {"form": FaceSearchForm(), "searches": searches})


@act(CURATE, by_source=True)
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
    searches = _latest_searches(request.user)
    context = {"form": FaceSearchForm(), "searches": searches, "sought": sought, "searched": True}
    return render(request, "annotation/by_face.html", context)


def _latest_searches(user: User) -> QuerySet[FaceSearch]:
    """Whoever sees some sources only is told of their own: who looked for whom in others is not theirs to know."""
    found = FaceSearch.objects.filter(by=user) if user.restricted else FaceSearch.objects.all()
    return found.select_related("by").order_by("-pk")[:10]


# ---- who falls out of a person


@page(CURATE, by_source=True)
def by_likeness(request: SignedIn, pk: int) -> HttpResponse:
    shown = get_object_or_404(visible.identities(request.user), pk=pk, merged_into=None)
    visible.as_seen(request.user, [shown])
    alike = likeness.spread(shown, request.user)
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


@act(CURATE, by_source=True)
def split_by_likeness(request: SignedIn, pk: int) -> HttpResponse:
    form = SplitForm(request.POST)
    if not form.is_valid():
        tell_mistakes(request, form)
        return redirect("by-likeness", pk)
    done, told = _do(form.cleaned_data["act"], form.cleaned_data["faces"], pk, None, request)
    tell_undoable(request, told, done)
    return redirect("by-likeness", pk)


# ---- what was done


@page(BROWSE, by_source=True)
def history(request: SignedIn) -> HttpResponse:
    """Everything that was done to people, at any time, each with its undo."""
    merges = request.GET.get("only") == "merges"
    if merges:
        lines = reads.page(
            reads.merges_done(request.user), order=["-pk"], cursor=request.GET.get("cursor", ""), size=ACTS
        )
        sightings.show(people=[pk for line in lines.rows for pk in (line.identity_id, line.other_identity_id) if pk])
        return render(request, "annotation/acts.html", {"page": lines, "lines": lines.rows, "merges": True})
    found = reads.page(reads.acts_done(request.user), order=["-pk"], cursor=request.GET.get("cursor", ""), size=ACTS)
    return render(request, "annotation/acts.html", {"page": found, "acts": reads.told(found.rows), "merges": False})
