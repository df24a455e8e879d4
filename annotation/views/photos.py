"""Photos and faces: lists with filters, and the whole story of one."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from annotation import clustering, reads, served, thumbnails, visible
from annotation.access import BROWSE, may_see
from annotation.forms import AskForm, FaceFilter, Filter, PhotoFilter, for_reader
from annotation.models import Copy, Decision, Face, Label, Membership, Photo
from annotation.views.page import SignedIn, page, tell_mistakes
from annotation.words import evidence
from inference.core.images import PictureRefused

PHOTOS = 48
FACES = 96
NEIGHBOURS = 12
CROWD = 30  # faces; beyond it 68 points each would hide the photo


# ---- lists


@page(BROWSE, by_source=True)
def photos(request: SignedIn) -> HttpResponse:
    form, rows = _filtered(request, PhotoFilter, visible.photos(request.user).only("pk"))
    found = reads.page(rows, order=["-pk"], cursor=request.GET.get("cursor", ""), size=PHOTOS)
    shown = visible.as_seen(request.user, reads.whole(found.rows, Photo.objects.select_related("source")))
    context = {"form": form, "page": found, "photos": shown, "total": reads.count_up_to_many(rows)}
    return render(request, "annotation/photos.html", context)


@page(BROWSE, by_source=True)
def faces(request: SignedIn) -> HttpResponse:
    form, rows = _filtered(request, FaceFilter, visible.faces(request.user).only("pk", "photo"))
    # Where a photo's source or term decides, photo by photo: they are found by an index, however old they are.
    of_photos = request.user.restricted or form.chosen().keys() & {"source", "query"}
    order = ["-photo_id", "-pk"] if of_photos else ["-pk"]
    found = reads.page(rows, order=order, cursor=request.GET.get("cursor", ""), size=FACES)
    related = Face.objects.select_related("photo__source", "label__identity").defer("landmarks", "points")
    shown, total = visible.as_seen(request.user, reads.whole(found.rows, related)), reads.count_up_to_many(rows)
    context = {"form": form, "page": found, "faces": shown, "total": total, "ask": AskForm()}
    return render(request, "annotation/faces.html", context)


def _filtered(request: SignedIn, kind: type[Any], rows: Any) -> tuple[Filter, Any]:
    form = for_reader(kind(request.GET), request.user)
    if form.is_valid():
        return form, form.of(rows)
    tell_mistakes(request, form)
    return form, rows.none()


# ---- one of them


@page(BROWSE, by_source=True)
def photo(request: SignedIn, pk: int) -> HttpResponse:
    found = Prefetch("faces", Face.objects.select_related("label__identity").order_by("number"))
    copies = Prefetch("copies", Copy.objects.filter(source__in=visible.sources(request.user)).select_related("source"))
    rows = visible.photos(request.user).select_related("source", "duplicate_of").prefetch_related(found, copies)
    shown = get_object_or_404(rows, pk=pk)
    stands_for = shown.duplicate_of or shown
    group = [stands_for, *stands_for.duplicates.order_by("pk")[:50]]
    if request.user.restricted:
        seen = visible.photos(request.user).in_bulk([each.pk for each in group])
        group = [each for each in group if each.pk in seen]
    visible.as_seen(request.user, [shown, *group])
    context = {
        "photo": shown,
        "faces": shown.faces.all(),
        "landmarks": len(shown.faces.all()) <= CROWD,
        "dot": _dot(shown),
        "duplicates": [other for other in group if other.pk != shown.pk],
        "metadata": sorted(shown.metadata.items()),
    }
    return render(request, "annotation/photo.html", context)


@page(BROWSE, by_source=True)
def face(request: SignedIn, pk: int) -> HttpResponse:
    rows = visible.faces(request.user).select_related("photo__source", "label__identity", "duplicate_of__photo")
    shown = get_object_or_404(rows, pk=pk)
    visible.as_seen(request.user, [shown])
    member = Membership.objects.filter(face=shown, run__state="applied").select_related("cluster__identity").first()
    if member is not None:
        reads.without_strangers(request.user, [member.cluster])
    nearest = clustering.nearest(shown, NEIGHBOURS, visible.of(request.user, "face__photo"))
    labelled = Label.objects.filter(face__in=[other for other, _ in nearest], identity__isnull=False)
    people = {label.face_id: str(label.identity) for label in labelled.select_related("identity")}
    context = {
        "face": shown,
        "photo": shown.photo,
        "only": [shown],
        "dot": _dot(shown.photo),
        "label": getattr(shown, "label", None),
        "member": member,
        "neighbours": [(other, similarity, people.get(other.pk)) for other, similarity in nearest],
        "lines": [_told(line) for line in reads.lines_of(shown, request.user)],
        "attributes": reads.attribute_labels(shown),
        "proposals": reads.proposals_of(shown),
        "feedback": shown.feedback.select_related("by").order_by("-pk"),
    }
    return render(request, "annotation/face.html", context)


def _told(line: Decision) -> tuple[Decision, str, list[str]]:
    """A line of the ledger, which value of what it says, and what it rests on."""
    said = " ".join(_(name.replace("_", " ")) for name in (line.attribute, line.value) if line.attribute)
    return line, said, evidence(line.evidence)


def _dot(photo: Photo) -> str:
    """The radius of a landmark in pixels of the photo, so that it shows at one size whatever the photo's."""
    return f"{max(photo.width, photo.height) / 260:.2f}"


# ---- pictures


@require_safe
def photo_file(request: SignedIn, pk: int) -> HttpResponseBase:
    _require_pass(request, "photo-file", pk)
    shown = get_object_or_404(Photo, pk=pk)
    return served.photo(request, shown)


@require_safe
def photo_small(request: SignedIn, pk: int) -> HttpResponseBase:
    _require_pass(request, "photo-small", pk)
    shown = get_object_or_404(Photo, pk=pk)
    try:
        key = thumbnails.key(shown)
    except (FileNotFoundError, PictureRefused) as error:
        raise Http404(f"Photo {pk} has no picture to show: {error}") from error
    kind = served.TYPES.get(shown.format) if key == shown.key else served.TYPES["jpg"]
    return served.picture(request, key, f"photo-{pk}-small", kind, f"{shown.sha256}-small")


@require_safe
def face_crop(request: SignedIn, pk: int) -> HttpResponseBase:
    _require_pass(request, "face-crop", pk)
    shown = get_object_or_404(Face.objects.select_related("photo"), pk=pk)
    return served.crop(request, shown)


def _require_pass(request: SignedIn, name: str, pk: int) -> None:
    if not may_see(request.user, name, pk, request.GET.get("pass", "")):
        raise PermissionDenied("This picture belongs to no question of yours.")
