"""The smallest valid row of each table. Everything else is the test's own business."""

import io
from collections.abc import Sequence
from functools import cache
from itertools import count

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db.models import F
from django.utils import timezone
from PIL import Image

from annotation import ledger, people
from annotation.core.drawn import draw_portrait
from annotation.core.practice import EXAMPLES
from annotation.core.sampling import face_key, in_control_slice
from annotation.models import (
    Calibration,
    Certificate,
    Cluster,
    ClusteringRun,
    Decision,
    Embedding,
    Face,
    Identity,
    Membership,
    NetworkOutput,
    Photo,
    Proposal,
    Question,
    Source,
    User,
)
from annotation.proposals import packed
from annotation.questions import store
from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.models import ModelVersion

_number = count(1)
# A photo's bytes decide whether chance draws its face into the control slice, of which two people are always asked. How
# many photos other tests made first must not: whoever wants such a face sets CONTROL_SHARE.
_undrawn = (number for number in count(1) if not in_control_slice(face_key(f"{number:064x}", 0)))


def a_user(name: str = "", role: str = User.Role.CURATOR, password: str | None = None) -> User:
    """Without a password nobody waits for one to be hashed; such a user is signed in by `force_login`."""
    return User.objects.create_user(name or f"user{next(_number)}", password=password, role=role)


def an_annotator(name: str = "", practised: Sequence[str] = tuple(EXAMPLES)) -> User:
    """Somebody who has practised every kind of question, unless it is said otherwise."""
    user = a_user(name, User.Role.ANNOTATOR)
    user.practised = list(practised)
    user.save()
    return user


def a_source(name: str = "", **fields: object) -> Source:
    stated = {"licence": "CC0-1.0", "legal_basis": "drawn"}
    return Source.objects.create(name=name or f"source {next(_number)}", **(stated | fields))


def a_photo(source: Source | None = None, **fields: object) -> Photo:
    number = next(_undrawn)
    defaults = {
        "sha256": f"{number:064x}",
        "file": f"photo{number}.jpg",
        "format": "jpg",
        "size": 1000,
        "width": 400,
        "height": 300,
        "faces_sought_at": timezone.now(),
    }
    return Photo.objects.create(source=source or a_source(), **(defaults | fields))


def a_face(photo: Photo | None = None, **fields: object) -> Face:
    defaults = {
        "number": 0,
        "x": 10.0,
        "y": 20.0,
        "width": 80.0,
        "height": 80.0,
        "score": 0.95,
        "points": [[30.0, 40.0]] * 5,
        "landmarks": [[30.0 + n, 40.0 + n] for n in range(68)],
        "chosen": True,
        "yaw": 0.0,
        "pitch": 0.0,
        "roll": 0.0,
        "sharpness": 100.0,
        "brightness": 0.5,
        "gray": False,
        "truncated": False,
        "usable": True,
        "transform": [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
    }
    face = Face.objects.create(photo=photo or a_photo(), **(defaults | fields))
    Photo.objects.filter(pk=face.photo_id).update(face_count=F("face_count") + 1)
    return face


def a_version(**fields: object) -> ModelVersion:
    defaults = {"task": "embedding", "name": "test net", "checksum": f"c{next(_number):063x}", "dimensions": 4}
    return ModelVersion.objects.create(**(defaults | {"state": "live"} | fields))


def an_embedding(face: Face, version: ModelVersion, vector: Sequence[float]) -> Embedding:
    unit = np.asarray(vector, np.float32) / np.linalg.norm(vector)
    return Embedding.objects.create(face=face, version=version, vector=unit.astype("<f2").tobytes())


def a_run(version: ModelVersion | None = None, state: str = "applied") -> ClusteringRun:
    live = version or ModelVersion.objects.filter(task="embedding", state="live").first() or a_version()
    return ClusteringRun.objects.create(version=live, state=state)


def a_cluster(faces: Sequence[Face], run: ClusteringRun | None = None, belief: float = 0.9) -> Cluster:
    run = run or ClusteringRun.objects.filter(state="applied").first() or a_run()
    cluster = Cluster.objects.create(run=run, face_count=len(faces))
    Membership.objects.bulk_create(Membership(run=run, cluster=cluster, face=face, belief=belief) for face in faces)
    return cluster


def a_question(faces: Sequence[Face] | int = 3, **fields: object) -> Question:
    """A question about a cluster of these faces, or of so many new ones."""
    faces = [a_face() for _ in range(faces)] if isinstance(faces, int) else faces
    cluster = fields.pop("cluster", None) or a_cluster(faces)
    return _with_faces(Question(kind="cluster", cluster=cluster, **({"worth": 1.0, "belief": 0.9} | fields)), faces)


def a_pair(one: Identity | None = None, other: Identity | None = None, belief: float = 0.9) -> Question:
    one, other = one or Identity.objects.create(), other or Identity.objects.create()
    return store([(Question(kind="pair", identity=one, other_identity=other, belief=belief, worth=0.5), [])])[0]


def a_proposal(face: Face, belief: Sequence[float], attribute: str = "gender", **fields: object) -> Proposal:
    """What the live network's word is; of that word itself, `evidence` may say otherwise."""
    best = max(range(len(belief)), key=belief.__getitem__)
    value = ATTRIBUTES[attribute].values[best]
    network = registry.network_of(attribute)
    an_output(face, network, fields.get("evidence", {}).get("network", belief))
    defaults = {"value": value, "confidence": belief[best], "belief": list(belief), "network": network}
    return Proposal.objects.create(face=face, attribute=attribute, **(defaults | fields))


def an_output(face: Face, version: ModelVersion, belief: Sequence[float]) -> NetworkOutput:
    return NetworkOutput.objects.create(face=face, version=version, belief=packed(belief))


def a_certificate(value: str = "female", attribute: str = "gender") -> Certificate:
    calibration = Calibration.objects.create(
        attribute=attribute, sources=["network"], weights=[1.0], bias=[0.0, 0.0], answers=60, error=0.01,
        diagram={"confidence": [0.6, 0.99], "right": [0.5, 1.0], "count": [30, 30]},
    )  # fmt: skip
    return Certificate.objects.create(
        attribute=attribute, value=value, threshold=0.97, target=0.01, audited=400, wrong=0, bound=0.009,
        coverage=0.6, calibration=calibration,
    )  # fmt: skip


def a_grid(faces: Sequence[Face], value: str = "female", attribute: str = "gender", **fields: object) -> Question:
    return _with_faces(Question(kind="grid", attribute=attribute, value=value, worth=1.0, **fields), faces)


def a_single(face: Face | None = None, attribute: str = "gender", **fields: object) -> Question:
    return _with_faces(Question(kind="value", attribute=attribute, worth=1.0, **fields), [face or a_face()])


# Why a label that a model disbelieves is asked again.
DISBELIEVED = {"kind": "disbelieved", "label": "sad", "votes": 1, "models": "happy", "belief": 0.93}


def some_gold(value: str = "female", face: Face | None = None) -> Question:
    """A question about gender whose answer is known."""
    face = face or a_face()
    ledger.write([Decision(kind="value", face=face, attribute="gender", value=value, by="import")])
    return a_single(face, purpose="gold", value=value)


def _with_faces(question: Question, faces: Sequence[Face]) -> Question:
    return store([(question, [(face.pk, 0.9) for face in faces])])[0]


def a_person(faces: Sequence[Face] | int = 1, name: str = "", by: User | None = None) -> Identity:
    """Somebody whom a person gave these faces, or so many new ones, in one act."""
    faces = [a_face() for _ in range(faces)] if isinstance(faces, int) else faces
    act = people.assign(face_ids=[face.pk for face in faces], identity_id=None, by=by or a_user())
    identity = Identity.objects.get(pk=act.content["identity"])
    if name:
        people.rename(identity_id=identity.pk, name=name, by=act.annotator)
        identity.refresh_from_db()
    return identity


def a_picture(photo: Photo, seed: int = 0) -> Photo:
    """Files for a photo that exists as a row only, and for the crops of its faces: a drawn portrait."""
    portrait, crop = _drawn(seed, photo.width, photo.height)
    default_storage.save(photo.key, ContentFile(portrait))
    for face in photo.faces.all():
        default_storage.save(face.crop_key, ContentFile(crop))
    return photo


@cache
def _drawn(seed: int, width: int, height: int) -> tuple[bytes, bytes]:
    """A portrait and a crop of it, as JPEG: scenes draw the same people again and again."""
    portrait = draw_portrait(seed, seed, (width, height))
    return _jpeg(portrait), _jpeg(portrait.resize((64, 64)))


def _jpeg(picture: Image.Image) -> bytes:
    encoded = io.BytesIO()
    picture.save(encoded, "JPEG")
    return encoded.getvalue()
