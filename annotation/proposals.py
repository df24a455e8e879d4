"""Faces in, beliefs about their attributes out: what each source says, weighed as the control slice taught.

A network looks at each face once, and what it says is kept beside what others say; the live one is heard. What the
labelled faces say of the others is learnt anew as labels come in, or once another network is live: then a new
calibration holds, and the certificates begin again. In between, only those beliefs are made anew that rested on what
has changed: on who somebody is, or on a label that was corrected.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, FilteredRelation, Max, OuterRef, Q, QuerySet

from annotation import labels
from annotation.core.batches import batched
from annotation.core.certificate import thresholds
from annotation.core.sampling import in_control_slice
from annotation.models import (
    AttributeLabel,
    Calibration,
    Decision,
    Embedding,
    Face,
    Label,
    NetworkOutput,
    Photo,
    Proposal,
)
from annotation.pictures import cut, read_crop
from annotation.votes import known_of
from inference import registry
from inference.core import attributes
from inference.core.attributes import Attribute
from inference.core.calibrate import Calibrator, fit, reliability, uncalibrated
from inference.core.probe import hear, same_term, tell
from inference.core.types import Picture, Vectors
from inference.models import ModelVersion

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BATCH = 64
MOVED = 1e-9  # a belief that changes by less is left as it was written; thresholds are compared to the last digit
ALIKE = 0.3  # how much the network's mistakes on two faces of one person are the same mistake
FOLDS = 5  # to judge a calibrator by answers that it was not fitted on
CHUNK = 400
FOLLOWED = 20_000  # proposals that are brought to another network's word at a time: a minute or so
WHO = (Decision.Kind.LABEL, Decision.Kind.CANNOT_LINK, Decision.Kind.MERGE)  # lines that say who somebody is
SOURCES = ("network", "head", "neighbours", "identity", "metadata")


def asked() -> list[Attribute]:
    """The attributes with classes that people are asked about here."""
    return [attributes.attribute(name) for name in settings.ASKED if not attributes.attribute(name).in_years]


# ---- what the networks say


def lookable(faces: QuerySet[Face]) -> QuerySet[Face]:
    """Faces that networks look at: once per group of duplicates, if they can be asked about at all."""
    return faces.filter(usable=True, duplicate_of=None, failure="")


def without_proposal(faces: QuerySet[Face]) -> QuerySet[Face]:
    """Faces that some live network has not looked at."""
    lacking = [~heard(version) for version in registry.ensure_attributes().values()]
    return lookable(faces).filter(reduce(or_, map(Q, lacking)))


def without_output(version: ModelVersion) -> QuerySet[Face]:
    """Faces with a proposal of this network's attribute that it has not looked at."""
    proposed = Proposal.objects.filter(face=OuterRef("pk"), attribute=version.task)
    return lookable(Face.objects.all()).filter(Exists(proposed), ~heard(version))


def heard(version: ModelVersion, face: str = "pk") -> Exists:
    """Whether this network has looked at the face."""
    return Exists(NetworkOutput.objects.filter(face=OuterRef(face), version=version))


def propose(faces: Sequence[Face]) -> int:
    """Let each live network look at these faces; returns how many looks are new. One done twice is one."""
    made = 0
    for version, outputs in _looks(faces, list(registry.ensure_attributes().values())):
        # Both or neither: whoever has an output of a live network has a proposal.
        with transaction.atomic():
            NetworkOutput.objects.bulk_create(outputs, ignore_conflicts=True)
            _propose_as_told(version, outputs)
        made += len(outputs)
    return made


def look(faces: Sequence[Face], version: ModelVersion) -> int:
    """Let a network look at these faces, though another one is heard; returns how many looks are new."""
    made = 0
    for _, outputs in _looks(faces, [version]):
        NetworkOutput.objects.bulk_create(outputs, ignore_conflicts=True)
        made += len(outputs)
    return made


def _looks(
    faces: Sequence[Face], versions: Sequence[ModelVersion]
) -> Iterator[tuple[ModelVersion, list[NetworkOutput]]]:
    """What these networks say of those faces that they have not looked at, a batch at a time."""
    for piece in batched(faces, BATCH):
        seen, kept = list[Face](), list[Picture]()
        for face in piece:
            try:
                kept.append(read_crop(face))
                seen.append(face)
            except OSError as error:
                log.exception("Face %s cannot be looked at", face.pk)
                Face.objects.filter(pk=face.pk).update(failure=f"{type(error).__name__}: {error}", claimed_until=None)
        had = NetworkOutput.objects.filter(version__in=versions, face__in=seen)
        done = set(had.values_list("version_id", "face_id"))
        for version in versions:
            new = [row for row, face in enumerate(seen) if (version.pk, face.pk) not in done]
            if new:
                model = registry.attribute_model(version)
                crops = np.stack([cut(seen[row], kept[row], model.crop) for row in new])
                told, features = model.look(crops)
                yield version, _outputs(version, [seen[row] for row in new], told, features)
        Face.objects.filter(pk__in=[face.pk for face in seen]).update(claimed_until=None)


def _outputs(
    version: ModelVersion, faces: Sequence[Face], told: Floats, features: Vectors | None
) -> list[NetworkOutput]:
    return [
        NetworkOutput(
            face=face,
            version=version,
            belief=packed(belief),
            features=None if features is None else features[row].astype("<f2").tobytes(),
        )
        for row, (face, belief) in enumerate(zip(faces, told, strict=True))
    ]


def packed(belief: npt.ArrayLike) -> bytes:
    return np.asarray(belief, "<f4").tobytes()


def unpacked(belief: bytes | memoryview) -> Floats:
    return np.frombuffer(belief, "<f4").astype(np.float64)


def _propose_as_told(version: ModelVersion, outputs: Sequence[NetworkOutput]) -> None:
    """What the network says is proposed until all sources are heard; what rests on another's word is fresh again."""
    told = [_as_told(Proposal(face_id=each.face_id, attribute=version.task), version, each.belief) for each in outputs]
    Proposal.objects.bulk_create(told, ignore_conflicts=True)
    held = Proposal.objects.filter(attribute=version.task, face__in=[each.face_id for each in outputs])
    held.filter(calibration__isnull=False).filter(_of_another(version)).update(calibration=None)


def _as_told(row: Proposal, version: ModelVersion, output: bytes | memoryview) -> Proposal:
    belief = unpacked(output)
    for name, value in _best(attributes.attribute(version.task), belief).items():
        setattr(row, name, value)
    row.network, row.evidence = version, {"network": rounded(belief)}
    return row


def _of_another(version: ModelVersion) -> Q:
    """Not by `exclude`: these are ranges of an index, in which a million others are passed over."""
    return Q(network__lt=version.pk) | Q(network__gt=version.pk) | Q(network=None)


def behind_network(attribute: Attribute) -> QuerySet[Proposal]:
    """Proposals that say what a network says, though another one is live and has looked at the face.

    Of an attribute that people are asked about there are none: its beliefs are fused anew by `learn`.
    """
    version = registry.network_of(attribute.name)
    if version is None or attribute in asked():
        return Proposal.objects.none()
    of_attribute = Proposal.objects.filter(attribute=attribute.name, calibration=None)
    return of_attribute.filter(_of_another(version)).filter(heard(version, "face"))


def follow_network(attribute: Attribute, most: int = FOLLOWED) -> int:
    """Let proposals that nothing is fused into say what the live network says. Returns how many changed."""
    version, done = registry.network_of(attribute.name), 0
    while version is not None and done < most:
        with transaction.atomic():
            # Two workers take different rows; who fuses a row meanwhile is waited for, and then it is no more behind.
            rows = list(behind_network(attribute).select_for_update(skip_locked=True).order_by("pk")[:CHUNK])
            told = NetworkOutput.objects.filter(version=version, face__in=[row.face_id for row in rows])
            belief = dict(told.values_list("face_id", "belief"))
            changed = [_as_told(row, version, belief[row.face_id]) for row in rows if row.face_id in belief]
            _write(changed)
        if not changed:
            break
        done += len(changed)
    return done


def rounded(belief: Floats) -> list[float]:
    return [round(float(each), 5) for each in belief]


def _best(attribute: Attribute, belief: Floats) -> dict[str, Any]:
    best = int(belief.argmax())
    value = str(best) if attribute.in_years else attribute.values[best]
    return {"value": value, "confidence": float(belief[best]), "belief": rounded(belief)}


# ---- what all sources say together


@dataclass(frozen=True, eq=False)
class Table:
    """All faces that one attribute is proposed for and that its live network has looked at, in the order of their ids.

    After a model was taken back, those who came in its time wait for the other's look; till then their beliefs stay.
    """

    proposals: Sequence[Proposal]
    network: ModelVersion | None
    told: Floats  # (faces, sources, classes), NaN where a source says nothing
    truth: Ints  # (faces,): the value that people or a record gave, −1 without
    control: npt.NDArray[np.bool_]  # (faces,): drawn for the control slice, and answered blind
    stands: npt.NDArray[np.bool_]  # (faces,): asked about, for itself or for all of its person's faces


def learn(attribute: Attribute, *, refit: bool = True) -> Calibration:
    """Bring the beliefs up to date. With `refit` all of them, by a new calibration; without it those of fresh faces."""
    version, network = registry.ensure_live(), registry.network_of(attribute.name)
    seen = Decision.objects.aggregate(last=Max("pk"))["last"] or 0
    table = _load(attribute, version, network)
    held = latest(attribute)
    if refit or held is None:
        held = _calibrate(attribute, table)
        held.version, held.network, held.decisions_seen = version, network, seen
    calibrator = Calibrator(np.array(held.weights), np.array(held.bias), held.answers)
    belief = calibrator.fuse(table.told) if len(table.told) else np.zeros((0, len(attribute.values)))
    rows = range(len(belief)) if refit else [i for i, each in enumerate(table.proposals) if each.calibration_id is None]
    with transaction.atomic():
        if refit:
            held.sequences = _sequences(attribute, belief[table.stands])
        held.save()
        _store(attribute, table, belief, rows, held)
    return held


def fresh(attribute: Attribute) -> QuerySet[Proposal]:
    """Proposals that the live network has spoken for, and that are not fused yet."""
    version = registry.network_of(attribute.name)
    if version is None:
        return Proposal.objects.none()
    return Proposal.objects.filter(attribute=attribute.name, calibration=None).filter(heard(version, "face"))


def outdate(attribute: Attribute, since: int) -> int:
    """Mark the proposals that rest on what changed after this line of the ledger. Returns how many that are.

    What people's faces say together changes with who is who; what labelled faces say of those beside them, with a label
    that was corrected. Labels that came in besides count when next all is learnt: a certificate speaks for proposals as
    they were audited, so they may not move with every answer.
    """
    faces = _of_changed_people(since) if attribute.of_identity else set()
    faces |= _beside(attribute, corrected(attribute, since))
    held = Proposal.objects.filter(attribute=attribute.name, calibration__isnull=False)
    return sum(held.filter(face__in=chunk).update(calibration=None) for chunk in batched(sorted(faces), CHUNK))


def _of_changed_people(since: int) -> set[int]:
    people = labels.people_since(since, WHO)
    faces = set(
        Decision.objects.filter(pk__gt=since, kind__in=WHO, face__isnull=False).values_list("face_id", flat=True)
    )
    for chunk in batched(sorted(people), CHUNK):
        faces |= set(Label.objects.filter(identity__in=chunk).values_list("face_id", flat=True))
    return faces


def corrected(attribute: Attribute, since: int) -> set[int]:
    """Faces of which something else was known up to this line of the ledger than is known now."""
    lines = Decision.objects.filter(kind=Decision.Kind.VALUE, attribute=attribute.name).exclude(by=Decision.By.MACHINE)
    said = lines.filter(pk__gt=since)
    gone = Q(undone_by__gt=since)
    overruled = Q(undone_by=None, face__in=said.filter(face__isnull=False).values("face")) | Q(
        undone_by=None, identity__in=said.filter(identity__isnull=False).values("identity")
    )
    before = set[tuple[int, str]]()
    of_people = dict[int, set[str]]()
    for face, person, value in lines.filter(gone | overruled, pk__lte=since).values_list("face", "identity", "value"):
        if not person:
            before.add((face, value))
        else:
            of_people.setdefault(person, set()).add(value)
    for chunk in batched(sorted(of_people), CHUNK):
        theirs = Label.objects.filter(Q(identity__in=chunk) | Q(identity__absorbed__in=chunk))
        for face, person, absorbed in theirs.values_list("face_id", "identity_id", "identity__absorbed"):
            before |= {(face, value) for each in (person, absorbed) for value in of_people.get(each or 0, ())}
    now = known_of(attribute).value if before else {}
    return {face for face, value in before if value in attribute.values and now.get(face, -1) != attribute.index(value)}


def _beside(attribute: Attribute, changed: set[int]) -> set[int]:
    """Faces of whom these speak as their neighbours, or as found under the same search term."""
    if not changed:
        return set()
    of_attribute = Proposal.objects.filter(attribute=attribute.name)
    faces = np.array(of_attribute.order_by("face_id").values_list("face_id", flat=True), np.int64)
    network = registry.network_of(attribute.name)
    has, vectors = vectors_of(attribute, faces, registry.ensure_live(), network)
    faces, known = faces[has], known_of(attribute).value
    speaks = np.isin(faces, list(changed))
    labelled = np.array([face in known for face in faces.tolist()], np.bool_)
    found = set(faces[hear(vectors, labelled | speaks, speaks)].tolist())
    terms = set(Photo.objects.filter(faces__in=changed, faces__chosen=True).values_list("query", flat=True)) - {""}
    return found | set(Face.objects.filter(chosen=True, photo__query__in=terms).values_list("pk", flat=True))


def latest(attribute: Attribute) -> Calibration | None:
    return Calibration.objects.filter(attribute=attribute.name).order_by("-id").first()


def labels_known(attribute: Attribute) -> int:
    return AttributeLabel.objects.filter(attribute=attribute.name).exclude(decision__by=Decision.By.MACHINE).count()


def _load(attribute: Attribute, version: ModelVersion, network: ModelVersion | None) -> Table:
    own = FilteredRelation("face__outputs", condition=Q(face__outputs__version=network))
    rows = list(
        Proposal.objects.filter(attribute=attribute.name)
        .annotate(own=own)
        .filter(own__isnull=False)
        .annotate(told=F("own__belief"))
        .exclude(face__label__verdict="not_a_face")
        .order_by("face_id")
        .select_related("face__photo", "face__label")
        .defer("face__landmarks", "face__points", "face__photo__metadata")
    )
    faces = np.array([row.face_id for row in rows], np.int64)
    person = np.array([getattr(_label(row.face), "identity_id", None) or -row.face_id for row in rows], np.int64)
    known = known_of(attribute)
    truth = np.array([known.value.get(face, -1) for face in faces.tolist()], np.int64)
    seen = np.array([unpacked(row.told) for row in rows]).reshape(len(rows), len(attribute.values))
    head, neighbours = _labelled_faces_say(attribute, faces, truth, person, version, network)
    identity = _person_says(seen, person) if attribute.of_identity else np.full_like(seen, np.nan)
    terms = {term: number for number, term in enumerate(sorted({_term(row.face) for row in rows} - {""}))}
    metadata = same_term(
        np.array([terms.get(_term(row.face), -1) for row in rows], np.int64), truth, person, len(attribute.values)
    )
    drawn = [in_control_slice(f"{row.face.photo.sha256}-{row.face.number}", settings.CONTROL_SHARE) for row in rows]
    return Table(
        proposals=rows,
        network=network,
        told=np.stack([seen, head, neighbours, identity, metadata], axis=1),
        truth=truth,
        control=np.array(drawn, np.bool_) & np.array([face in known.blind for face in faces.tolist()], np.bool_),
        stands=_stands(person) if attribute.of_identity else np.ones(len(rows), np.bool_),
    )


def _term(face: Face) -> str:
    """What its photo was searched by: that speaks of the photo's main person."""
    return face.photo.query if face.chosen else ""


def _label(face: Face) -> Any:
    return getattr(face, "label", None)


def _labelled_faces_say(
    attribute: Attribute,
    faces: Ints,
    truth: Ints,
    person: Ints,
    version: ModelVersion,
    network: ModelVersion | None,
) -> tuple[Floats, Floats]:
    classes = len(attribute.values)
    head, neighbours = (np.full((len(faces), classes), np.nan) for _ in range(2))
    has, vectors = vectors_of(attribute, faces, version, network)
    if has.any():
        told = tell(vectors, truth[has], person[has], classes)
        head[has], neighbours[has] = told.head, told.neighbours
    return head, neighbours


def vectors_of(
    attribute: Attribute, faces: Ints, version: ModelVersion, network: ModelVersion | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """Which of these faces (n,) have a vector to learn an attribute from, and those as unit vectors.

    What the attribute's own network sees tells more of it than what tells people apart; without that, the latter.
    """
    own = NetworkOutput.objects.filter(version=network).values_list("face_id", "features")
    backbone = Embedding.objects.filter(version=version).values_list("face_id", "vector")
    tells = any(features for _, features in own[:1])  # a network tells them of all faces, or of none
    stored = own if tells else backbone
    row = {int(face): index for index, face in enumerate(faces)}
    found = {
        row[face]: np.frombuffer(data or b"", "<f2") for face, data in stored.iterator(chunk_size=5_000) if face in row
    }
    has = np.zeros(len(faces), np.bool_)
    has[list(found)] = True
    if not found:
        return has, np.zeros((0, version.dimensions), np.float32)
    vectors = np.stack([found[index] for index in sorted(found)]).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return has, vectors


def _person_says(network: Floats, person: Ints) -> Floats:
    """What the network says of all faces of the same person together; NaN for who has only one.

    A product of the faces' beliefs, drawn back because the faces of one person fool a network alike.
    """
    _, number, count = np.unique(person, return_inverse=True, return_counts=True)
    logs = np.log(np.clip(network, 1e-4, 1))
    total = np.zeros((len(count), network.shape[1]))
    np.add.at(total, number, logs)
    worth = count / (1 + ALIKE * (count - 1))  # so many independent faces
    belief = np.exp(total / count[:, None] * worth[:, None])
    belief = (belief / belief.sum(axis=1, keepdims=True))[number]
    belief[count[number] < 2] = np.nan
    return np.asarray(belief, np.float64)


def _stands(person: Ints) -> npt.NDArray[np.bool_]:
    stands = np.zeros(len(person), np.bool_)
    stands[np.unique(person, return_index=True)[1]] = True
    return stands


def _calibrate(attribute: Attribute, table: Table) -> Calibration:
    answered = np.flatnonzero(table.control)
    told, truth = table.told[answered], table.truth[answered]
    calibrator = fit(told, truth) if len(answered) else uncalibrated(len(SOURCES), len(attribute.values))
    made = Calibration(
        attribute=attribute.name,
        sources=list(SOURCES),
        weights=calibrator.weights.tolist(),
        bias=calibrator.bias.tolist(),
        answers=len(answered),
        learnt_from=int((table.truth >= 0).sum()),
    )
    if len(answered) >= 2 * FOLDS:
        belief = _judged(told, truth)
        judged = reliability(belief.max(axis=1), belief.argmax(axis=1) == truth)
        made.error = judged.error
        made.diagram = {name: getattr(judged, name).tolist() for name in ("confidence", "right", "count")}
    return made


def _judged(told: Floats, truth: Ints) -> Floats:
    """The belief in each answer by a calibrator that was fitted on the others."""
    belief = np.zeros((len(truth), told.shape[2]))
    fold = np.arange(len(truth)) % FOLDS
    for each in range(FOLDS):
        belief[fold == each] = fit(told[fold != each], truth[fold != each]).fuse(told[fold == each])
    return belief


def _sequences(attribute: Attribute, belief: Floats) -> dict[str, list[float]]:
    if not len(belief):
        return {}
    confidence, best = belief.max(axis=1), belief.argmax(axis=1)
    return {value: thresholds(confidence[best == number]) for number, value in enumerate(attribute.values)}


def _store(attribute: Attribute, table: Table, belief: Floats, rows: Sequence[int], held: Calibration) -> None:
    moved = list[Proposal]()
    for index in rows:
        row = table.proposals[index]
        found = _best(attribute, belief[index])
        stays = (
            row.calibration_id is not None
            and found["value"] == row.value
            and abs(found["confidence"] - row.confidence) < MOVED
            and row.stands == table.stands[index]
            and row.network_id == getattr(table.network, "pk", None)
        )
        if stays:
            continue
        for name, value in found.items():
            setattr(row, name, value)
        row.stands, row.calibration, row.network = bool(table.stands[index]), held, table.network
        row.evidence = {
            name: rounded(told)
            for name, told in zip(SOURCES, table.told[index], strict=True)
            if not np.isnan(told).any()
        }
        moved.append(row)
    _write(moved)


def _write(rows: Sequence[Proposal]) -> None:
    """Written over by their key: an UPDATE of so many different values takes ten times as long."""
    Proposal.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["face", "attribute"],
        update_fields=["value", "confidence", "belief", "evidence", "stands", "calibration", "network"],
        batch_size=500,
    )
