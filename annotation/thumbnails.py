"""Small pictures of photos, made when a list first shows them."""

import cv2
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotation.models import Photo
from inference.decoding import decode

SIDE = 320  # pixels of the longer side: sharp on a high-density screen at the size that lists show
SMALL_ENOUGH = 60_000  # bytes: such a photo is its own thumbnail
QUALITY = 80


def key(photo: Photo) -> str:
    """Where the small picture of this photo is kept; it is made if it is not there yet.

    Raises PictureRefused if the photo can no longer be decoded, FileNotFoundError if its file is gone.
    """
    if photo.size <= SMALL_ENOUGH:
        return photo.key
    small = small_key(photo)
    if not default_storage.exists(small):
        with default_storage.open(photo.key) as file:
            picture = decode(file.read(), max_side=SIDE).picture
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        default_storage.save(small, ContentFile(encoded.tobytes()))
        if not Photo.objects.filter(pk=photo.pk, sha256=photo.sha256).exists():  # it was erased meanwhile
            default_storage.delete(small)
            raise FileNotFoundError(small)
    return small


def small_key(photo: Photo) -> str:
    return f"thumbnails/{photo.sha256[:2]}/{photo.sha256}.jpg"
