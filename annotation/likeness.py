"""Who looks like whom: a face to the people it may be, a person's faces by how alike they are."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from annotation import gallery, pictures, reads, sightings, visible
from annotation.core.batches import batched
from annotation.embeddings import matrix
from annotation.models import Embedding, Face, FaceSearch, Identity, User
from inference import batching, registry
from inference.core.align import align
from inference.core.images import Decoded
from inference.core.likeness import main_mode
from inference.core.types import FaceFound, Picture
from inference.look import look
from inference.models import ModelVersion
from inference.predict import SMALL_IN_REDUCED

MATCHES = 8  # people shown for a face
SOUGHT = 5  # faces of a photo that are looked for; more are a crowd
SHOWN = 2_000  # faces of one person on one page
CHUNK = 500
READ = 10_000


# ---- by face


@dataclass(frozen=True)
class Match:
    """Somebody whom a face may be."""

    identity: Identity
    cosine: float  # to their mean
    probability: float
    faces: list[Face]


@dataclass(frozen=True, eq=False)
class Sought:
    """A face of the photo that was sent, and whom it may be, the likeliest first."""

    found: FaceFound
    crop: Picture
    matches: list[Match]
    nobody: float  # the probability that it is nobody who is known
    calibrated: bool  # it was learnt from the known people's own faces

    @property
    def picture(self) -> str:
        """Of the crop, as a data: address, as nothing of it is kept."""
        return _as_address(self.crop)


def search(
    data: bytes, *, by: User, most: int = MATCHES, version: ModelVersion | None = None
) -> tuple[Decoded, list[Sought]]:
    """Whom the faces of this photo may be, at most so many people each, from the most centred face on.

    The photo is not kept; that somebody looked, and what was found, is. Raises PictureRefused.
    """
    photo, seen = look(data, small=SMALL_IN_REDUCED)
    picture, found = photo.picture, sorted(seen, key=lambda face: not face.chosen)[:SOUGHT]
    version = version or registry.ensure_live()  # the same for all of it, should another one go live meanwhile
    network = registry.embedder(version)
    crops = [align(picture, face.landmarks, network.crop)[0] for face in found]
    among = visible.identities(by).values_list("pk", flat=True) if by.restricted else None
    recognised = gallery.recognise(batching.embed(network, np.stack(crops)), most, version, among) if crops else []
    shown = {each.identity for row in recognised for each in row.candidates}
    people, faces = Identity.objects.in_bulk(shown), reads.exemplars(shown, by, 4)
    visible.as_seen(by, list(people.values()))
    FaceSearch.objects.create(by=by, faces=len(found), found=sorted(shown))
    sightings.searches()
    sightings.show(people=sorted(shown))
    return photo, [
        Sought(
            found=face,
            crop=align(picture, face.landmarks, pictures.CROP)[0],
            matches=[
                Match(people[each.identity], each.cosine, each.probability, faces.get(each.identity, []))
                for each in row.candidates
                if each.identity in people
            ],
            nobody=row.nobody,
            calibrated=row.calibrated,
        )
        for face, row in zip(found, recognised, strict=True)
    ]


def _as_address(crop: Picture) -> str:
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(cv2.resize(crop, (192, 192)), cv2.COLOR_RGB2BGR))
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode()}"


# ---- within a person


@dataclass(frozen=True)
class Alike:
    """A face of a person, and how like it is to what most of their faces have in common."""

    face: Face
    cosine: float


def spread(identity: Identity, user: User) -> list[Alike]:
    """The faces of this person that are least like the others, the least first; those without a vector are left out."""
    version = registry.ensure_live()
    rows = list(
        Embedding.objects.filter(visible.of(user, "face__photo"), version=version, face__label__identity=identity)
        .order_by("face_id")
        .values_list("face_id", "vector")
    )
    if not rows:
        return []
    vectors = matrix([face for face, _ in rows], ((face, bytes(data)) for face, data in rows), version.dimensions)
    cosines = vectors @ main_mode(vectors)
    order = np.argsort(cosines, kind="stable")[:SHOWN]
    faces = _in_bulk([rows[index][0] for index in order])
    visible.as_seen(user, list(faces.values()))
    return [Alike(faces[rows[index][0]], float(cosines[index])) for index in order]


def _in_bulk(pks: Sequence[int]) -> dict[int, Face]:
    faces = Face.objects.select_related("photo__source").defer("landmarks", "points")
    return {pk: face for chunk in batched(pks, CHUNK) for pk, face in faces.in_bulk(list(chunk)).items()}
