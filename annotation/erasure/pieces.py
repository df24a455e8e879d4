"""Some photos or faces at a time: all about them goes in one transaction, which also says which files have to go."""

from typing import Any

from django.db.models import F, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from annotation import holds, releases, tombstones
from annotation.blackout import Blackened, blacken
from annotation.erasure.piece import Piece, write_down
from annotation.erasure.rows import follow, forget_faces, forget_file, forget_lines
from annotation.models import Copy, Decision, ErasedFace, ErasedFile, Erasure, Face, Photo, Question, QuestionFace
from annotation.thumbnails import small_key
from annotation.turns import beginning_again, take_turn
from inference.core.types import Box

Kind = Erasure.Kind


@beginning_again
def erase_piece(made: Erasure, photos: list[int], faces: list[int], *, listed: bool = True) -> Piece:
    """Everything about these photos and faces, in one transaction, with what files have to go.

    Not `listed` is a dry run: it is taken back, so the list that outlives the database does not hear of it.
    """
    piece = Piece()
    black = _blackened(made, faces) if made.black_out and faces else None
    shows = QuestionFace.objects.filter(Q(face__in=faces) | Q(face__photo__in=photos))
    asked = set(shows.values_list("question", flat=True))
    # In the order in which others lock: answers the question, then the turn; whoever seeks faces the photo, then it.
    list(Question.objects.filter(pk__in=asked).order_by("pk").select_for_update().values_list("pk", flat=True))
    touched = {*photos, *Face.objects.filter(pk__in=faces).values_list("photo", flat=True)}
    locked = list(Photo.objects.filter(pk__in=touched).select_for_update(of=("self",)).order_by("pk"))
    take_turn()
    asked |= set(shows.values_list("question", flat=True))  # those that were stored while this waited
    if black is not None and black.of not in {photo.sha256 for photo in locked}:
        return piece  # somebody else on it was blacked out meanwhile: this is done anew, on that picture
    rows = [photo for photo in locked if photo.pk in set(photos)]
    if made.kind != Kind.EXPIRY:
        holds.require_none(Photo.objects.filter(Q(pk__in=photos) | Q(faces__in=faces)))
    else:
        held = set(holds.held(Photo.objects.filter(pk__in=photos)).values_list("pk", flat=True))
        rows = [photo for photo in rows if photo.pk not in held]
    piece.done = len(rows)
    piece.sources = {photo.source_id for photo in locked}
    piece.sources |= set(Copy.objects.filter(photo__in=locked).values_list("source_id", flat=True))
    piece.since = min((photo.received_at for photo in locked), default=None)
    rows = _hand_over(made, rows, piece) if made.kind in (Kind.SOURCE, Kind.EXPIRY) else rows
    found = Face.objects.filter(Q(photo__in=[photo.pk for photo in rows]) | Q(pk__in=faces))
    going = list(found.select_related("photo").order_by("pk"))
    alone = [face for face in going if face.pk in set(faces)]
    piece.done += len(alone)
    _mark(made, rows, going, piece)
    piece.files |= {face.crop_key for face in going}
    for photo in rows:
        piece.files |= {photo.key, small_key(photo)}
    piece.rows["annotation.Tombstone"] += tombstones.raise_for([photo.sha256 for photo in rows], made)
    _remember_places(made, alone, piece)
    if listed:
        tombstones.write_down(_entries(made, rows, alone))
    if black is not None and going:
        _go_on_without(made, going[0].photo, black, piece)
    forget_faces([face.pk for face in going], rows, sorted(asked), piece)
    ErasedFile.objects.bulk_create(
        [ErasedFile(erasure=made, key=tombstones.sealed(key)) for key in sorted(piece.files)], ignore_conflicts=True
    )
    write_down(made, piece)
    return piece


def _entries(made: Erasure, photos: list[Photo], faces: list[Face]) -> list[dict[str, Any]]:
    """For the list that a restore reads."""
    at = timezone.now().isoformat(timespec="seconds")
    return [{"at": at, "what": "photo", "key": tombstones.key_of(photo.sha256)} for photo in photos] + [
        {
            "at": at,
            "what": "face",
            "key": tombstones.key_of(face.photo.sha256),
            "box": [face.x, face.y, face.width, face.height],
            "black_out": made.black_out,
        }
        for face in faces
    ]


def _mark(made: Erasure, photos: list[Photo], faces: list[Face], piece: Piece) -> None:
    of_photo: dict[str, list[int]] = {}
    for face in faces:
        of_photo.setdefault(face.photo.sha256, []).append(face.pk)
    piece.releases.update(releases.mark_all(of_photo))


def _hand_over(made: Erasure, photos: list[Photo], piece: Piece) -> list[Photo]:
    """Photos that another source brought, too, go on as its own, without what this one said. Returns those that go."""
    copies = Copy.objects.filter(photo__in=photos).exclude(source__in=made.ids).order_by("-pk")
    first = {copy.photo_id: copy for copy in copies.select_related("source")}
    going = []
    for photo in photos:
        copy = first.get(photo.pk)
        if copy is None:
            going.append(photo)
            continue
        source, file = photo.source_id, photo.file
        _strip(photo)
        photo.source, photo.file, photo.intake_id = copy.source, copy.file, copy.intake_id
        photo.query, photo.source_url = copy.query, copy.source_url
        photo.save()
        piece.rows["annotation.Copy"] += copy.delete()[0]
        piece.rows["handed over"] += 1
        lines = Decision.objects.filter(face__photo=photo).exclude(by=Decision.By.PERSON)
        said = lines.filter(Q(by=Decision.By.IMPORT) | Q(evidence__has_key="born"))
        follow(forget_lines(list(said.values_list("pk", flat=True)), piece), piece)
        forget_file(source, file, photo, piece)
    return going


def _strip(photo: Photo) -> None:
    """What was said of it."""
    photo.query = photo.source_url = photo.licence = photo.name = photo.caption = ""
    photo.taken_at = photo.birth_date = None
    photo.taken_at_precision = photo.birth_date_precision = ""
    photo.metadata, photo.imported = {}, None


def _remember_places(made: Erasure, faces: list[Face], piece: Piece) -> None:
    """So that they are not found again; of the main face the photo forgets what was said of it, too."""
    ErasedFace.objects.bulk_create(
        ErasedFace(photo_id=face.photo_id, erasure=made, x=face.x, y=face.y, width=face.width, height=face.height)
        for face in faces
    )
    if faces:
        piece.rows["annotation.ErasedFace (kept)"] += len(faces)
    for face in faces:
        if face.chosen:
            Photo.objects.filter(pk=face.photo_id).update(
                name="", caption="", query="", birth_date=None, birth_date_precision="", imported=None
            )
        Photo.objects.filter(pk=face.photo_id).update(face_count=Greatest(F("face_count") - 1, 0))


def _blackened(made: Erasure, faces: list[int]) -> Blackened | None:
    """The slow work, before anything is locked."""
    rows = list(Face.objects.filter(pk__in=faces).select_related("photo"))
    if not rows:
        return None
    photo = rows[0].photo
    before = [Box(each.x, each.y, each.width, each.height) for each in photo.erased_faces.all()]
    boxes = before + [Box(face.x, face.y, face.width, face.height) for face in rows]
    return blacken(photo, boxes, list(photo.faces.exclude(pk__in=faces)))


def _go_on_without(made: Erasure, photo: Photo, black: Blackened, piece: Piece) -> None:
    """The photo is another picture now. Its old bytes, its copies' names and its description go."""
    piece.files |= {photo.key, small_key(photo), *(face.crop_key for face in photo.faces.all())}
    piece.rows["annotation.Tombstone"] += tombstones.raise_for([photo.sha256], made)
    piece.rows["annotation.Copy"] += Copy.objects.filter(photo=photo).delete()[0]
    forget_file(photo.source_id, photo.file, photo, piece)
    changed = Photo.objects.get(pk=photo.pk)
    _strip(changed)
    changed.sha256, changed.format, changed.size = black.sha256, black.format, black.size
    changed.perceptual_hash, changed.file = black.perceptual_hash, f"photo-{photo.pk}.{black.format}"
    changed.save()
    for face, hashed in black.crops.items():
        Face.objects.filter(pk=face).update(perceptual_hash=hashed)
    piece.rows["blacked out"] += 1
