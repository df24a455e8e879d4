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
from django.db import transaction
from django.db.models import Exists, F, FilteredRelation, Max, OuterRef, Q, QuerySet

from annotation import age_sources, labels, live_settings
from annotation.age_sources import ALIKE
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
from annotation.presence import faces_there
from annotation.votes import known_of, number_of
from inference import registry
from inference.core import attributes
from inference.core.attributes import REAL_AGE, Attribute
from inference.core.calibrate import Calibrator, Reliability, fit, reliability, uncalibrated
from inference.core.probe import hear, same_term, tell
from inference.core.types import Picture, Vectors
from inference.core.years import TILT, YEARS, coverage, median, over_years, shares, summary
from inference.models import ModelVersion

log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BATCH = 64
MOVED = 1e-9  # a belief that changes by less is left as it was written; thresholds are compared to the last digit
FOLDS = 5  # to judge a calibrator by answers that it was not fitted on
CHUNK = 400
FUSED = 10_000  # faces whose beliefs over the years are made at a time: 50 MB a source
APART = 0.5  # years: a label that says less else than that corrects nothing
FOLLOWED = 20_000  # proposals that are brought to another network's word at a time: a minute or so
WHO = (Decision.Kind.LABEL, Decision.Kind.CANNOT_LINK, Decision.Kind.MERGE)  # lines that say who somebody is
SOURCES = ("network", "head", "neighbours", "identity", "metadata")


def fused(attribute: Attribute) -> bool:
    """Whether its beliefs are fused from all sources: those of ages, and of what people are asked about here."""
    return attribute.in_years or attribute.name in live_settings.get("ASKED")


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
            outputs = _of_whom_is_there(outputs)
            NetworkOutput.objects.bulk_create(outputs, ignore_conflicts=True)
            _propose_as_told(version, outputs)
        made += len(outputs)
    return made


def look(faces: Sequence[Face], version: ModelVersion) -> int:
    """Let a network look at these faces, though another one is heard; returns how many looks are new."""
    made = 0
    for _, outputs in _looks(faces, [version]):
        with transaction.atomic():
            outputs = _of_whom_is_there(outputs)
            NetworkOutput.objects.bulk_create(outputs, ignore_conflicts=True)
        made += len(outputs)
    return made


def _of_whom_is_there(outputs: Sequence[NetworkOutput]) -> list[NetworkOutput]:
    there = faces_there([each.face_id for each in outputs])
    return [each for each in outputs if each.face_id in there]


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
    for name in attributes.ATTRIBUTES:
        if registry.network_of(name) != version:
            continue
        told = [_as_told(Proposal(face_id=each.face_id, attribute=name), version, each.belief) for each in outputs]
        Proposal.objects.bulk_create(told, ignore_conflicts=True)
        held = Proposal.objects.filter(attribute=name, face__in=[each.face_id for each in outputs])
        held.filter(calibration__isnull=False).filter(_of_another(version)).update(calibration=None)


def _as_told(row: Proposal, version: ModelVersion, output: bytes | memoryview) -> Proposal:
    attribute, belief = attributes.attribute(row.attribute), unpacked(output)
    for name, value in _best(attribute, belief).items():
        setattr(row, name, value)
    said = summary(belief[None])[0] if attribute.in_years else belief
    row.network, row.evidence = version, {"network": rounded(said)}
    return row


def _of_another(version: ModelVersion) -> Q:
    """Not by `exclude`: these are ranges of an index, in which a million others are passed over."""
    return Q(network__lt=version.pk) | Q(network__gt=version.pk) | Q(network=None)


def behind_network(attribute: Attribute) -> QuerySet[Proposal]:
    """Proposals that say what a network says, though another one is live and has looked at the face.

    Of an attribute whose beliefs are fused there are none: `learn` makes them anew.
    """
    version = registry.network_of(attribute.name)
    if version is None or fused(attribute):
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
    best = median(belief) if attribute.in_years else int(belief.argmax())
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
    said: Floats  # (faces, sources, classes), of years (faces, sources, 2) mean and spread; NaN where one says nothing
    truth: Floats  # (faces,): the value that people or a record gave, a class by its number; −1 without
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
    rows = [row for row, each in enumerate(table.proposals) if refit or each.calibration_id is None]
    belief = _fused(attribute, calibrator, table, rows)
    with transaction.atomic():
        if refit:
            held.sequences = _sequences(attribute, belief[table.stands])
        held.save()
        _store(attribute, table, belief, rows, held)
    return held


def _fused(attribute: Attribute, calibrator: Calibrator, table: Table, rows: Sequence[int]) -> Floats:
    """The beliefs (rows, classes): of years so many at a time, as there are 117 of them for each source."""
    if not rows:
        return np.zeros((0, _width(attribute)))
    if not attribute.in_years:
        return calibrator.fuse(table.said)[rows]
    pieces = [np.array(piece, np.int64) for piece in batched(rows, FUSED)]
    return np.concatenate([calibrator.fuse(_told(attribute, table.said[piece])).astype(np.float32) for piece in pieces])


def _width(attribute: Attribute) -> int:
    return len(YEARS) if attribute.in_years else len(attribute.values)


def fresh(attribute: Attribute) -> QuerySet[Proposal]:
    """Proposals that the live network has spoken for, and that are not fused yet."""
    version = registry.network_of(attribute.name)
    if version is None:
        return Proposal.objects.none()
    return Proposal.objects.filter(attribute=attribute.name, calibration=None).filter(heard(version, "face"))


def outdate(attribute: Attribute, since: int) -> int:
    """Mark the proposals that rest on what changed after this line of the ledger. Returns how many that are.

    What people's faces say together changes with who is who, and with a date or a record of one of them; what labelled
    faces say of those beside them, with a label that was corrected. Labels that came in besides count when next all is
    learnt: a certificate speaks for proposals as they were audited, so they may not move with every answer.
    """
    faces = _of_changed_people(since) if attribute.of_identity else set()
    if attribute.in_years:
        faces |= _of_changed_dates(since)
    faces |= _beside(attribute, corrected(attribute, since))
    held = Proposal.objects.filter(attribute=attribute.name, calibration__isnull=False)
    return sum(held.filter(face__in=chunk).update(calibration=None) for chunk in batched(sorted(faces), CHUNK))


def _of_changed_people(since: int) -> set[int]:
    people = labels.people_since(since, WHO)
    lines = Decision.objects.filter(Q(pk__gt=since) | Q(undone_by__gt=since), kind__in=WHO, face__isnull=False)
    faces = set(lines.values_list("face_id", flat=True))
    for chunk in batched(sorted(people), CHUNK):
        faces |= set(Label.objects.filter(identity__in=chunk).values_list("face_id", flat=True))
    return faces


def _of_changed_dates(since: int) -> set[int]:
    """Faces whose real age is written down anew, and the dated ones of people who have such a face or who changed."""
    lines = Decision.objects.filter(kind=Decision.Kind.VALUE, attribute=REAL_AGE.name)
    written = set(lines.filter(Q(pk__gt=since) | Q(undone_by__gt=since)).values_list("face_id", flat=True))
    dated = Face.objects.filter(photo__taken_at__isnull=False)
    people, found = set[int](), set[int](written)
    for chunk in batched(sorted(written), CHUNK):
        people |= set(Label.objects.filter(face__in=chunk, identity__isnull=False).values_list("identity", flat=True))
    for chunk in batched(sorted(people), CHUNK):
        found |= set(dated.filter(label__identity__in=chunk).values_list("pk", flat=True))
    for chunk in batched(sorted(_of_changed_people(since)), CHUNK):
        found |= set(dated.filter(pk__in=chunk).values_list("pk", flat=True))
    return found


def corrected(attribute: Attribute, since: int) -> set[int]:
    """Faces of which something else was known up to this line of the ledger than is known now."""
    lines = Decision.objects.filter(kind=Decision.Kind.VALUE, attribute=attribute.name)
    if attribute.asked:
        lines = lines.exclude(by=Decision.By.MACHINE)
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
    numbers = {(face, number_of(attribute, value)) for face, value in before}
    apart = APART if attribute.in_years else 0
    return {face for face, number in numbers if number is not None and abs(now.get(face, np.inf) - number) > apart}


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
    """Labels that somebody or a record gave; real ages are computed from dates, which is as good."""
    held = AttributeLabel.objects.filter(attribute=attribute.name)
    return (held.exclude(decision__by=Decision.By.MACHINE) if attribute.asked else held).count()


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
        .defer("belief", "evidence", "face__landmarks", "face__points", "face__photo__metadata")
    )
    faces = np.array([row.face_id for row in rows], np.int64)
    person = np.array([getattr(_label(row.face), "identity_id", None) or -row.face_id for row in rows], np.int64)
    known = known_of(attribute)
    truth = np.array([known.value.get(face, -1) for face in faces.tolist()], np.float64)
    terms = {term: number for number, term in enumerate(sorted({_term(row.face) for row in rows} - {""}))}
    term = np.array([terms.get(_term(row.face), -1) for row in rows], np.int64)
    has, vectors = vectors_of(attribute, faces, version, network)
    if attribute.in_years:
        seen = np.array([summary(unpacked(row.told)[None])[0] for row in rows]).reshape(len(rows), 2)
        years = np.where(truth >= 0, truth, np.nan)
        said = age_sources.said(attribute, [row.face for row in rows], seen, years, person, term, has, vectors)
    else:
        seen = np.array([unpacked(row.told) for row in rows]).reshape(len(rows), len(attribute.values))
        said = _said(attribute, seen, truth.astype(np.int64), person, term, has, vectors)
    drawn = [
        in_control_slice(f"{row.face.photo.sha256}-{row.face.number}", live_settings.get("CONTROL_SHARE"))
        for row in rows
    ]
    return Table(
        proposals=rows,
        network=network,
        said=said,
        truth=truth,
        control=np.array(drawn, np.bool_) & np.array([face in known.blind for face in faces.tolist()], np.bool_),
        stands=_stands(person) if attribute.of_identity else np.ones(len(rows), np.bool_),
    )


def _term(face: Face) -> str:
    """What its photo was searched by: that speaks of the photo's main person."""
    return face.photo.query if face.chosen else ""


def _label(face: Face) -> Any:
    return getattr(face, "label", None)


def _said(
    attribute: Attribute,
    seen: Floats,
    truth: Ints,
    person: Ints,
    term: Ints,
    has: npt.NDArray[np.bool_],
    vectors: Vectors,
) -> Floats:
    """What each source says of an attribute with classes (faces, sources, classes), in the order of SOURCES."""
    head, neighbours, identity = (np.full_like(seen, np.nan) for _ in range(3))
    if has.any():
        # Opinions alone: annotators and whoever taught the network call genders by the same names, and to hear it twice
        # made labels of gender 2 % dearer (UTKFace).
        heard = seen[has] if attribute.keeps == "distribution" else None
        told = tell(vectors, truth[has], person[has], len(attribute.values), seen=heard)
        head[has], neighbours[has] = told.head, told.neighbours
    if attribute.of_identity:
        identity = _person_says(seen, person)
    return np.stack([seen, head, neighbours, identity, same_term(term, truth, person, len(attribute.values))], axis=1)


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
    said, truth = table.said[answered], table.truth[answered]
    calibrator = _fit(attribute, said, truth) if len(answered) else uncalibrated(len(SOURCES), _width(attribute))
    made = Calibration(
        attribute=attribute.name,
        sources=list(SOURCES),
        weights=calibrator.weights.tolist(),
        bias=calibrator.bias.tolist(),
        answers=len(answered),
        learnt_from=int((table.truth >= 0).sum()),
    )
    if len(answered) >= 2 * FOLDS:
        judged = _judged(attribute, _out_of_fold(attribute, said, truth), truth)
        made.error = judged.error
        made.diagram = {name: getattr(judged, name).tolist() for name in ("confidence", "right", "count")}
    return made


def _fit(attribute: Attribute, said: Floats, truth: Floats) -> Calibrator:
    if attribute.in_years:
        return fit(over_years(said), shares(truth), along=TILT)
    return fit(said, truth.astype(np.int64))


def _out_of_fold(attribute: Attribute, said: Floats, truth: Floats) -> Floats:
    """The belief in each answer by a calibrator that was fitted on the others."""
    belief = np.zeros((len(truth), _width(attribute)))
    fold = np.arange(len(truth)) % FOLDS
    for each in range(FOLDS):
        others = _fit(attribute, said[fold != each], truth[fold != each])
        belief[fold == each] = others.fuse(_told(attribute, said[fold == each]))
    return belief


def _told(attribute: Attribute, said: Floats) -> Floats:
    return over_years(said) if attribute.in_years else said


def _judged(attribute: Attribute, belief: Floats, truth: Floats) -> Reliability:
    if attribute.in_years:
        return coverage(belief, truth)
    return reliability(belief.max(axis=1), belief.argmax(axis=1) == truth)


def _sequences(attribute: Attribute, belief: Floats) -> dict[str, list[float]]:
    if not len(belief):
        return {}
    confidence, best = belief.max(axis=1), belief.argmax(axis=1)
    return {value: thresholds(confidence[best == number]) for number, value in enumerate(attribute.values)}


def _store(attribute: Attribute, table: Table, belief: Floats, rows: Sequence[int], held: Calibration) -> None:
    moved = list[Proposal]()
    for index, believed in zip(rows, belief, strict=True):
        row = table.proposals[index]
        found = _best(attribute, believed)
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
            for name, told in zip(SOURCES, table.said[index], strict=True)
            if not np.isnan(told).any()
        }
        moved.append(row)
    _write(moved)


def _write(rows: Sequence[Proposal]) -> None:
    """Written over by their key: an UPDATE of so many different values takes ten times as long."""
    with transaction.atomic():
        there = faces_there([row.face_id for row in rows])
        _write_over([row for row in rows if row.face_id in there])


def _write_over(rows: Sequence[Proposal]) -> None:
    Proposal.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["face", "attribute"],
        update_fields=["value", "confidence", "belief", "evidence", "stands", "calibration", "network"],
        batch_size=500,
    )
