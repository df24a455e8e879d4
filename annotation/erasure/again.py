"""What a restored backup brings back though it was erased since goes once more, by the list that outlives the rows."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from annotation import tombstones
from annotation.core.batches import batched
from annotation.erasure.asked import MOST, draft, keep
from annotation.erasure.carrying_out import carry_out
from annotation.models import Erasure, Face, Photo
from inference.core.types import Box

ROUNDS = 20  # faces of one photo that were blacked out one after another: each made another picture
SAME = 0.9  # intersection over union of a face and the place of the one that was erased
REASON = "A backup that was restored had brought it back."

Entry = Mapping[str, Any]


def erase_again(entries: Iterable[Entry]) -> int:
    """Erase what these say and is there. Returns how many photos, and faces of photos that stay, that were.

    Raises HeldBack where a legal hold of the backup keeps something: lift it, and restore again.
    """
    gone, places = set[str](), dict[str, list[Entry]]()
    for entry in entries:
        if entry.get("what") == "face":
            places.setdefault(entry["key"], []).append(entry)
        elif entry.get("what") == "lifted":
            gone.discard(entry["key"])
        else:
            gone.add(entry["key"])
    done = 0
    for _ in range(ROUNDS):
        photos, faces = _there(gone, places)
        made = [
            *_erased(Erasure.Kind.PHOTO, photos),
            *_erased(Erasure.Kind.FACE, [pk for pk, black in faces if not black]),
            *_erased(Erasure.Kind.FACE, [pk for pk, black in faces if black], black_out=True),
        ]
        if not made:
            break
        done += sum(each.done for each in made)
    return done


def _there(gone: set[str], places: Mapping[str, list[Entry]]) -> tuple[list[int], list[tuple[int, bool]]]:
    photos, faces = list[int](), list[tuple[int, bool]]()
    if gone or places:
        for pk, sha256 in Photo.objects.order_by("pk").values_list("pk", "sha256").iterator(chunk_size=10_000):
            key = tombstones.key_of(sha256)
            if key in gone:
                photos.append(pk)
            elif key in places:
                faces += _at(pk, places[key])
    return photos, faces


def _at(photo: int, places: Iterable[Entry]) -> Iterator[tuple[int, bool]]:
    """The faces of a photo that are where one was erased, and whether they are to be blacked out."""
    for face in Face.objects.filter(photo=photo):
        box = Box(face.x, face.y, face.width, face.height)
        met = [place for place in places if box.iou(Box(*place["box"])) >= SAME]
        if met:
            yield face.pk, any(place["black_out"] for place in met)


def _erased(kind: str, ids: list[int], *, black_out: bool = False) -> Iterator[Erasure]:
    for chunk in batched(ids, MOST):
        asked = keep(draft(kind=kind, ids=chunk, reason=REASON, black_out=black_out, by=None))
        made = carry_out(asked.pk)
        if made is not None:
            yield made
