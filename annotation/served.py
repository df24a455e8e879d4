"""Pictures as they leave the server. They are somebody's files: never served as anything but a picture."""

from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, HttpResponseNotModified

from annotation.models import Face, Photo

TYPES = {"jpg": "image/jpeg", "png": "image/png", "webp": "image/webp"}


def photo(request: HttpRequest, shown: Photo) -> HttpResponseBase:
    """The whole file, as it was received."""
    name = f"photo-{shown.pk}.{shown.format}"
    return picture(request, shown.key, name, TYPES.get(shown.format), shown.sha256)


def crop(request: HttpRequest, shown: Face) -> HttpResponseBase:
    tag = f"{shown.photo.sha256}-{shown.number}-{shown.pk}"
    return picture(request, shown.crop_key, f"face-{shown.pk}.jpg", TYPES["jpg"], tag)


def picture(request: HttpRequest, key: str, name: str, kind: str | None, tag: str) -> HttpResponseBase:
    """A stored picture. Its key is a hash of what it shows, so whoever has it never needs to ask again."""
    response: HttpResponseBase
    if request.headers.get("If-None-Match") == f'"{tag}"':
        response = HttpResponseNotModified()
    else:
        try:
            response = FileResponse(default_storage.open(key), content_type=kind or "application/octet-stream")
        except FileNotFoundError as error:
            raise Http404(
                f"The file of {name} is gone. Restore it from a backup, or take its source in again."
            ) from error
        response["Content-Disposition"] = f'{"inline" if kind else "attachment"}; filename="{name}"'
    response["ETag"] = f'"{tag}"'
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
