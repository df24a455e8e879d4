"""Labels in, frozen datasets out: which faces, in which part, with which weight; and what was erased of them since."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.files.storage import default_storage
from django.db import IntegrityError, transaction
from django.db.models import Count, F, Q, QuerySet
from django.utils import timezone
from django.utils.text import slugify

from annotation import audit, live_settings, presence, votes
from annotation.core import release as format_
from annotation.core.balance import age_weights, within_cap
from annotation.core.batches import batched
from annotation.core.datasets.entry import CANNOT_TELL
from annotation.core.datasheet import datasheet
from annotation.core.release import BadRelease, BadRow, FaceRow, LabelValue, SplitLeak
from annotation.core.release_diff import Difference, diff
from annotation.core.release_formats.formats import format_named, stream
from annotation.core.release_query import IDENTITY, BadQuery, ReleaseQuery, query_of
from annotation.core.sampling import draw, face_key, in_control_slice
from annotation.core.splits import SPLITS, Candidate, assign, connected, warnings
from annotation.errors import (
    BadReleaseQuery,
    ReleaseDamaged,
    ReleaseExists,
    ReleaseHasErased,
    ReleaseNotDone,
    RightsNotStated,
)
from annotation.models import (
    Agreement,
    AttributeLabel,
    Certificate,
    ClusteringRun,
    Decision,
    Face,
    Identity,
    Label,
    Membership,
    Photo,
    Proposal,
    Release,
    ReleaseErasure,
    Source,
    User,
    Vote,
)
from inference.core.align import apply
from inference.core.attributes import APPARENT_AGE, ATTRIBUTES, REAL_AGE, Attribute
from inference.models import ModelVersion

log = logging.getLogger(__name__)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CLAIM = timedelta(minutes=10)  # a worker that builds says every few seconds that it lives, but for the plan's minutes
HEARD = timedelta(seconds=2)
CHUNK = 5_000  # faces whose labels are read at once for the plan
ROWS = 200  # faces that are read at once with their pictures; SQLite bears as many in one query
PINS = 400
OLD = 7  # tens of years; the few who are older are dealt out as one, so that some are in the test
PREVIEWED = 50_000  # faces that a preview deals out, which takes some seconds; of more, a share
GUESSED, GUESSED_FEW = 0.01, 50  # of all faces, or so many: more are not held together by clusters alone


# ---- asked for


def create_release(
    *, name: str, query: dict[str, Any], purpose: str = "", predecessor: Release | None = None, by: User | None
) -> Release:
    """Ask for a release; the belt builds it. It follows the latest one that is done, unless another one is named.

    Raises BadReleaseQuery, ReleaseExists, RightsNotStated.
    """
    checked = checked_query(query)
    release = Release(
        name=name.strip(),
        purpose=purpose.strip(),
        query=checked.as_json(),
        predecessor=predecessor or Release.objects.filter(state=Release.State.DONE).order_by("-pk").first(),
        created_by=by,
    )
    if Release.objects.filter(name=release.name).exists():
        raise ReleaseExists(release.name)
    try:
        Release._meta.get_field("name").clean(release.name, release)
    except ValidationError as error:
        raise BadReleaseQuery(f"The name {release.name!r} cannot be: {' '.join(error.messages)}") from error
    _require_some(checked)
    try:
        with transaction.atomic():
            release.save()
            audit.write(audit.Action.RELEASE, by=by, subject=f"release {release.pk}")
    except IntegrityError as error:
        raise ReleaseExists(release.name) from error
    return release


def checked_query(content: dict[str, Any]) -> ReleaseQuery:
    """Raises BadReleaseQuery, also for a source that there is not."""
    try:
        query = query_of(content)
    except BadQuery as error:
        raise BadReleaseQuery(str(error)) from error
    known = set(Source.objects.filter(name__in=query.sources).values_list("name", flat=True))
    for name in query.sources:
        if name not in known:
            there = ", ".join(Source.objects.order_by("name").values_list("name", flat=True)[:20]) or "none yet"
            raise BadReleaseQuery(f"There is no source {name!r}. There are: {there}.")
    return query


def _require_some(query: ReleaseQuery) -> None:
    """That rights do not withhold all there is. Raises RightsNotStated."""
    if not _labelled(_filtered(query)).exists():
        withheld = _labelled(_of_query(Face.objects.all(), query))
        sources = withheld.order_by("photo__source__name").values_list("photo__source__name", flat=True).distinct()
        if sources:
            raise RightsNotStated(list(sources))
        raise BadReleaseQuery("No labelled face fits these filters. Widen them, or label some first.")


def _filtered(query: ReleaseQuery) -> QuerySet[Face]:
    """The faces that fit, but for what only their labels decide. Only what may be released; nothing kept too long."""
    today = timezone.now().date()
    may = Photo.objects.exportable().exclude(source__retention_until__lt=today)
    return _of_query(Face.objects.filter(photo__in=may), query)


def _of_query(faces: QuerySet[Face], query: ReleaseQuery) -> QuerySet[Face]:
    found = faces.filter(~Q(label__verdict=Label.Verdict.NOT_A_FACE) | Q(label=None))
    if query.sources:
        found = found.filter(photo__source__name__in=query.sources)
    if query.licences:
        own = Q(photo__licence__in=query.licences)
        found = found.filter(own | Q(photo__licence="", photo__source__licence__in=query.licences))
    if query.usable_only:
        found = found.filter(usable=True)
    if query.chosen_only:
        found = found.filter(chosen=True)
    if query.min_size:
        found = found.filter(width__gte=query.min_size, height__gte=query.min_size)
    if query.min_sharpness:
        found = found.filter(sharpness__gte=query.min_sharpness)
    if query.max_yaw < 90:
        found = found.filter(yaw__gte=-query.max_yaw, yaw__lte=query.max_yaw)
    return found


def _labelled(faces: QuerySet[Face]) -> QuerySet[Face]:
    return faces.filter(Q(label__identity__isnull=False) | Q(attribute_labels__isnull=False)).distinct()


# ---- what a label is worth


def _value_of(
    attribute: Attribute, value: str, detail: dict[str, Any], by: str, evidence: dict[str, Any], decision: int
) -> LabelValue:
    if value == CANNOT_TELL:
        return LabelValue(None, decided_by=by, decision=decision)
    believed = confidence(by, evidence)
    if attribute.in_years:
        return LabelValue(float(value), None, _deviation(detail), believed, by, decision)
    return LabelValue(value, _distribution(attribute, value, detail), None, believed, by, decision)


def confidence(by: str, evidence: dict[str, Any]) -> float:
    """How far a line of the ledger is believed.

    Of people's answers the consensus' belief; a curator's word, an import and what dates give are believed whole. Of
    what a certificate let through the calibrated confidence. (The belief that an answer to a question carries otherwise
    is the machine's own, from before: it says nothing of the answer.)
    """
    if by == Decision.By.PERSON:
        return float(evidence["belief"]) if "machine" in evidence else 1.0
    if by == Decision.By.MACHINE and "certificate" in evidence:
        return float(evidence["confidence"])
    return 1.0


def _deviation(detail: dict[str, Any]) -> float | None:
    """Of guesses as they have it; of an age between two bounds, that of an even distribution between them."""
    if "deviation" in detail:
        return float(detail["deviation"])
    if "low" in detail and "high" in detail:
        return float(detail["high"] - detail["low"]) / sqrt(12)
    return None


def _distribution(attribute: Attribute, value: str, detail: dict[str, Any]) -> tuple[float, ...]:
    """The votes' shares; without votes the one value."""
    votes = [float(detail.get("votes", {}).get(each, 0)) for each in attribute.values]
    if sum(votes) <= 0:
        votes = [float(each == value) for each in attribute.values]
    return tuple(vote / sum(votes) for vote in votes)


# ---- the plan: which face is in which part


@dataclass(eq=False)
class Plan:
    """What a release will hold, by ascending face; its pictures are read only when it is written."""

    faces: Ints
    split: npt.NDArray[np.int8]  # the number of the part
    group: Ints
    identity: Ints  # −1: unknown
    weight: Floats
    control: npt.NDArray[np.bool_]  # by the faces themselves; whom else these tell of is found when it is written
    known: dict[str, Floats]  # by attribute: the number of the value or the years; NaN: unknown
    moved_to_test: int = 0  # faces that an earlier release had elsewhere
    capped: int = 0  # faces left out since there are enough of their age

    @property
    def counts(self) -> dict[str, Any]:
        """As a release counts, but for photos."""
        _, sizes = np.unique(self.group, return_counts=True)
        told = dict[str, dict[str, dict[str, int]]]()
        for name, values in self.known.items():
            if np.isfinite(values).any():
                told[name] = {
                    split: _counted(ATTRIBUTES[name], values[self.split == place]) for place, split in enumerate(SPLITS)
                }
        return {
            "faces": len(self.faces),
            "splits": {split: int((self.split == place).sum()) for place, split in enumerate(SPLITS)},
            "identities": len(np.unique(self.identity[self.identity >= 0])),
            "groups": len(sizes),
            "largest_group": int(sizes.max(initial=0)),
            "attributes": told,
            "moved_to_test": self.moved_to_test,
            "capped": self.capped,
        }


def _counted(attribute: Attribute, values: Floats) -> dict[str, int]:
    numbers, counts = np.unique(np.floor(values[np.isfinite(values)]).astype(int), return_counts=True)
    return {
        (str(number) if attribute.in_years else attribute.values[number]): int(count)
        for number, count in zip(numbers, counts, strict=True)
    }


@dataclass(eq=False)
class _Nodes:
    """Faces that matter for the splits: those that are chosen, and those that an earlier release has."""

    face: Ints
    photo: Ints  # that stands for it
    original: Ints  # the face that stands for it
    identity: Ints
    before: npt.NDArray[np.int8]  # the part, −1: none yet
    order: Floats  # as good as random
    control: npt.NDArray[np.bool_]
    chosen: npt.NDArray[np.bool_]
    known: dict[str, Floats] = field(default_factory=dict)


def preview(query: ReleaseQuery, _: Callable[[str], str] = str) -> dict[str, Any]:
    """What a release would count: of many faces, estimated from one in `one_in` that chance picks.

    `_` puts its warnings into the reader's language.
    """
    one_in = -(-_filtered(query).count() // PREVIEWED) or 1
    counts = plan(query, one_in=one_in).counts
    counts = _scaled(counts, one_in) if one_in > 1 else counts
    return counts | {"one_in": one_in, "warnings": warnings(counts, query.shares, _) if counts["faces"] else []}


def warnings_of(release: Release, _: Callable[[str], str] = str) -> list[str]:
    """What somebody should know who is to trust its parts, in the language that `_` puts it into."""
    return warnings(release.counts, query_of(release.query).shares, _) if release.counts else []


def _scaled(counts: Any, factor: int) -> Any:
    if isinstance(counts, dict):
        return {name: _scaled(value, factor) for name, value in counts.items()}
    return counts * factor


def plan(query: ReleaseQuery, *, one_in: int = 1) -> Plan:
    """Choose the faces and deal them out; or only so many of them, evenly. Nothing is written."""
    nodes = _nodes(query, one_in)
    group = connected(len(nodes.face), nodes.identity, nodes.photo, nodes.original)
    split = _dealt(query, nodes, group)
    named = np.full(group.max(initial=-1) + 1, np.iinfo(np.int64).max)
    np.minimum.at(named, group, nodes.face)  # a group is called after its smallest face
    moved = nodes.chosen & (nodes.before >= 0) & (nodes.before != split) & (split == SPLITS.index("test"))
    stays = nodes.chosen & _within_cap(query, nodes, split)
    found = Plan(
        faces=nodes.face[stays],
        split=split[stays],
        group=named[group[stays]],
        identity=nodes.identity[stays],
        weight=np.ones(int(stays.sum())),
        control=nodes.control[stays],
        known={name: values[stays] for name, values in nodes.known.items()},
        moved_to_test=int((moved & stays).sum()),
        capped=int((nodes.chosen & ~stays).sum()),
    )
    if query.balance == "weights":
        trains = found.split == SPLITS.index("train")
        found.weight[trains] = age_weights(_ages(found.known)[trains])
    return found


def _ages(known: dict[str, Floats]) -> Floats:
    """The real age, or else the apparent one."""
    real, apparent = known[REAL_AGE.name], known[APPARENT_AGE.name]
    return np.where(np.isfinite(real), real, apparent)


def _within_cap(query: ReleaseQuery, nodes: _Nodes, split: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """All but those of the training part that there are enough of: a test is never cut down."""
    stays = np.ones(len(nodes.face), np.bool_)
    if query.cap_per_age is not None:
        trains = np.flatnonzero(nodes.chosen & (split == SPLITS.index("train")))
        ages = _ages(nodes.known)
        stays[trains] = within_cap(ages[trains], nodes.order[trains], query.cap_per_age)
    return stays


def _nodes(query: ReleaseQuery, one_in: int) -> _Nodes:
    columns = (
        *("pk", "photo_id", "photo__duplicate_of_id", "duplicate_of_id", "label__identity_id", "split"),
        *("photo__sha256", "number", "duplicate_of__photo__sha256", "duplicate_of__number"),
    )
    rows = list[tuple[int, int, int, int, int, float, bool]]()
    known: dict[str, list[float]] = {name: [] for name in ATTRIBUTES}
    chosen = list[bool]()
    share = live_settings.get("CONTROL_SHARE")
    fit = _one_in(_filtered(query), one_in).order_by("pk").values_list(*columns)
    for batch in batched(fit.iterator(chunk_size=CHUNK), CHUNK):
        numbers = _numbers(query, batch[0][0], batch[-1][0], one_in)
        for row in batch:
            said = numbers.get(row[0], {})
            if _is_wanted(query, said, row[4]):
                rows.append(_node(query, row, share))
                chosen.append(True)
                for name, values in known.items():
                    values.append(said.get(name, np.nan))
    seen = {row[0] for row in rows}
    pinned = _one_in(Face.objects.exclude(split=""), one_in).order_by("pk").values_list(*columns)
    for row in pinned.iterator(chunk_size=CHUNK):
        if row[0] not in seen:
            rows.append(_node(query, row, share))
            chosen.append(False)
            for values in known.values():
                values.append(np.nan)
    return _arrays(query, rows, chosen, known)


def _one_in(faces: QuerySet[Face], one_in: int) -> QuerySet[Face]:
    return faces if one_in == 1 else faces.annotate(rest=F("pk") % one_in).filter(rest=0)


def _numbers(query: ReleaseQuery, first: int, last: int, one_in: int) -> dict[int, dict[str, float]]:
    """What such a release would know of faces from one id to another: the number of a value, or years."""
    rows = _labels(query, first, last)
    if one_in > 1:
        rows = rows.annotate(rest=F("face") % one_in).filter(rest=0)
    found = defaultdict[int, dict[str, float]](dict)
    if query.min_confidence > 0:
        believed = rows.values_list("face_id", "attribute", "value", "decision__by", "decision__evidence")
        for face, name, value, by, evidence in believed.iterator(chunk_size=CHUNK):
            if value != CANNOT_TELL and confidence(by, evidence) >= query.min_confidence:
                found[face][name] = _number(ATTRIBUTES[name], value)
        return found
    for face, name, value in rows.values_list("face_id", "attribute", "value").iterator(chunk_size=CHUNK):
        if value != CANNOT_TELL:
            found[face][name] = _number(ATTRIBUTES[name], value)
    return found


def _labels(query: ReleaseQuery, first: int, last: int) -> QuerySet[AttributeLabel]:
    rows = AttributeLabel.objects.filter(face__gte=first, face__lte=last, attribute__in=list(ATTRIBUTES))
    return rows.filter(decision__by__in=query.decided_by) if query.decided_by else rows


def _number(attribute: Attribute, value: str) -> float:
    return float(value) if attribute.in_years else float(attribute.index(value))


def _node(query: ReleaseQuery, row: tuple[Any, ...], share: float) -> tuple[int, int, int, int, int, float, bool]:
    face, photo, same_photo, original, identity, split, sha256, number, *asked_there = row
    key = face_key(sha256, number)
    order = draw(f"{query.seed}/{key}", "split")
    # What is answered about the face that stands for a duplicate is said of the duplicate, too.
    control = any(in_control_slice(each, share) for each in (key, *([face_key(*asked_there)] if original else [])))
    before = SPLITS.index(split) if split else -1
    return face, same_photo or photo, original or face, -1 if identity is None else identity, before, order, control


def _arrays(query: ReleaseQuery, rows: list[Any], chosen: list[bool], known: dict[str, list[float]]) -> _Nodes:
    by_face = np.argsort([row[0] for row in rows]) if rows else np.empty(0, np.int64)
    face, photo, original, identity, before = np.array([row[:5] for row in rows], np.int64).reshape(-1, 5)[by_face].T
    nodes = _Nodes(
        face=face,
        photo=photo,
        original=original,
        identity=identity,
        before=before.astype(np.int8),
        order=np.array([row[5] for row in rows], np.float64)[by_face],
        control=np.array([row[6] for row in rows], np.bool_)[by_face],
        chosen=np.array(chosen, np.bool_)[by_face],
        known={name: np.array(values, np.float64)[by_face] for name, values in known.items()},
    )
    if not query.with_duplicates:
        nodes.chosen &= _first_of_each(nodes)
    return nodes


def _control_people() -> list[int]:
    """Whom the control slice tells the truth about: what is said of the face that stands for them holds for all others.

    A network that learnt it from those would know the answer, too.
    """
    share, found = live_settings.get("CONTROL_SHARE"), set[int]()
    for each in filter(lambda each: each.of_identity, ATTRIBUTES.values()):
        stand = Proposal.objects.filter(attribute=each.name, stands=True, face__label__identity__isnull=False)
        rows = stand.values_list("face__label__identity", "face__photo__sha256", "face__number")
        for person, sha256, number in rows.iterator(chunk_size=CHUNK):
            if in_control_slice(face_key(sha256, number), share):
                found.add(person)
        answered = votes.control_known(votes.known_of(each))
        for chunk in batched(sorted(answered), CHUNK):
            theirs = Label.objects.filter(face__in=chunk, identity__isnull=False)
            found |= set(theirs.values_list("identity", flat=True))
    return sorted(found)


def _first_of_each(nodes: _Nodes) -> npt.NDArray[np.bool_]:
    """One face of each group of duplicates: that which stands for it, if it is chosen."""
    first = np.zeros(len(nodes.face), np.bool_)
    of = np.flatnonzero(nodes.chosen)
    ranked = of[np.lexsort((nodes.face[of], nodes.face[of] != nodes.original[of], nodes.original[of]))]
    _, places = np.unique(nodes.original[ranked], return_index=True)
    first[ranked[places]] = True
    return first


def _told(query: ReleaseQuery, first: int, last: int) -> dict[int, dict[str, LabelValue]]:
    """The labels of faces from one id to another that such a release keeps."""
    rows = _labels(query, first, last).values_list(
        "face_id", "attribute", "value", "detail", "decision__by", "decision__evidence", "decision_id"
    )
    found = defaultdict[int, dict[str, LabelValue]](dict)
    for face, name, *columns in rows.iterator(chunk_size=CHUNK):
        told = _value_of(ATTRIBUTES[name], *columns)
        if told.confidence is None or told.confidence >= query.min_confidence:
            found[face][name] = told
    return found


def _is_wanted(query: ReleaseQuery, known: Collection[str], identity: int | None) -> bool:
    if not query.attributes:
        return bool(known) or identity is not None
    has = [name in known or (name == IDENTITY and identity is not None) for name in query.attributes]
    return all(has) if query.all_of_them else any(has)


def _dealt(query: ReleaseQuery, nodes: _Nodes, group: Ints) -> npt.NDArray[np.int8]:
    """The part of each face, by its group; groups that clusters take for one person go together where they may."""
    held = np.full(group.max(initial=-1) + 1, -1)
    np.maximum.at(held, group, nodes.before)  # parts are numbered so that the later one holds
    together, split = _guessed(nodes, group, held[group])
    members = defaultdict[int, list[int]](list)  # the chosen faces of each
    for node in np.flatnonzero(nodes.chosen).tolist():
        members[int(together[node])].append(node)
    strata = _strata(query, nodes)
    candidates = [
        Candidate(
            group=key,
            order=float(nodes.order[of].min()),
            strata=[stratum for node in of for stratum in strata(node)],
            faces=len(of),
            before=SPLITS[split[of[0]]] if split[of[0]] >= 0 else None,
        )
        for key, of in members.items()
    ]
    for key, part in assign(candidates, query.split_shares).items():
        split[members[key]] = SPLITS.index(part)
    return split.astype(np.int8)


def _guessed(nodes: _Nodes, group: Ints, held: Ints) -> tuple[Ints, Ints]:
    """What is dealt out as one: a group, or several that share a cluster, likely one person whom nobody confirmed yet.

    New groups follow the faces of their clusters that have a part already. But a guess moves nobody who has one, and
    where it would hold many together, their groups are dealt out singly. Returns a number of what is dealt out as one,
    and the part (−1: none yet) of each face.
    """
    cluster = _clusters(nodes.face)
    fresh = held < 0
    guess = connected(len(group), np.where(fresh, group, -1), np.where(fresh, cluster, -1))
    known, joins = cluster >= 0, (cluster >= 0) & fresh
    of_cluster = np.full(cluster.max(initial=-1) + 1, -1)
    np.maximum.at(of_cluster, cluster[known], held[known])
    of_guess = np.full(guess.max(initial=-1) + 1, -1)
    np.maximum.at(of_guess, guess[joins], of_cluster[cluster[joins]])
    sizes = np.bincount(guess, weights=nodes.chosen, minlength=len(of_guess))
    believed = fresh & (sizes <= max(GUESSED * nodes.chosen.sum(), GUESSED_FEW))[guess]
    return np.where(believed, guess, len(of_guess) + group), np.where(believed, of_guess[guess], held)


def _clusters(faces: Ints) -> Ints:
    """The cluster of each face in the grouping that holds, numbered from 0; −1: none."""
    found = np.full(len(faces), -1, np.int64)
    rows = Membership.objects.filter(run__state=ClusteringRun.State.APPLIED).values_list("face_id", "cluster_id")
    members = np.fromiter(rows.iterator(chunk_size=20_000), np.dtype((np.int64, 2))).reshape(-1, 2)
    known = members[np.isin(members[:, 0], faces)]
    found[np.searchsorted(faces, known[:, 0])] = np.unique(known[:, 1], return_inverse=True)[1]
    return found


def _strata(query: ReleaseQuery, nodes: _Nodes) -> Callable[[int], list[tuple[str, int]]]:
    """What each face is to be evenly dealt out by: the attributes that are asked for; ages by ten years up to 70."""
    names = [name for name in query.attributes if name in ATTRIBUTES] or list(ATTRIBUTES)
    coded = {}
    for name in names:
        known = np.isfinite(nodes.known[name])
        codes = np.where(known, nodes.known[name], 0.0).astype(np.int64)
        coded[name] = np.where(known, np.minimum(codes // 10, OLD) if ATTRIBUTES[name].in_years else codes, -1)
    return lambda node: [(name, int(codes[node])) for name, codes in coded.items() if codes[node] >= 0]


# ---- the rows


def rows_of(query: ReleaseQuery, planned: Plan, left_out: list[int]) -> Iterator[FaceRow]:
    """The faces of a plan with their pictures, some at a time.

    Whoever they are is as planned, whatever is decided meanwhile. Faces that are gone, or may not be released any more,
    are left out; so are those whose picture is missing, and `left_out` gets their ids.
    """
    place = 0
    for batch in batched(planned.faces.tolist(), ROWS):
        places = dict(zip(batch, range(place, place + len(batch)), strict=True))
        place += len(batch)
        faces = _filtered(query).filter(pk__in=batch).select_related("photo__source").order_by("pk")
        told = _told(query, batch[0], batch[-1])
        names, who = _names(planned.identity[list(places.values())]), _who_said(batch)
        for face in faces:
            try:
                with default_storage.open(face.crop_key) as file:
                    image = file.read()
            except FileNotFoundError:
                log.warning("The crop of face %s is missing: left out of the release", face.pk)
                left_out.append(face.pk)
                continue
            yield _row(face, image, planned, places[face.pk], told.get(face.pk, {}), names, who)


def _names(identities: Ints) -> dict[int, str]:
    known = np.unique(identities[identities >= 0]).tolist()
    return dict(Identity.objects.filter(pk__in=known).values_list("pk", "name"))


def _who_said(faces: list[int]) -> dict[tuple[int, int], tuple[str, float, int]]:
    """By face and whoever it is: by whom that is said, how far it is believed, and the line of the ledger."""
    labels = Label.objects.filter(face__in=faces, identity__isnull=False)
    rows = labels.values_list("face_id", "identity_id", "decision__by", "decision__evidence", "decision_id")
    return {(face, who): (by, confidence(by, evidence), line) for face, who, by, evidence, line in rows}


def _row(
    face: Face,
    image: bytes,
    planned: Plan,
    place: int,
    labels: dict[str, LabelValue],
    names: dict[int, str],
    who: dict[tuple[int, int], tuple[str, float, int]],
) -> FaceRow:
    photo, identity = face.photo, int(planned.identity[place])
    by, believed, line = who.get((face.pk, identity), (None, None, None))
    points = apply(np.asarray(face.transform, np.float64), np.asarray(face.landmarks, np.float64))
    return FaceRow(
        face=face.pk,
        split=SPLITS[planned.split[place]],
        group=int(planned.group[place]),
        identity=identity if identity >= 0 else None,
        identity_name=names.get(identity, "") if identity >= 0 else None,
        file=photo.file,
        sha256=photo.sha256,
        source=photo.source.name,
        licence=photo.licence or photo.source.licence,
        legal_basis=photo.source.legal_basis,
        source_url=photo.source_url,
        image=image,
        landmarks=points.astype(np.float32),
        size=min(face.width, face.height),
        sharpness=face.sharpness,
        brightness=face.brightness,
        gray=face.gray,
        yaw=face.yaw,
        pitch=face.pitch,
        roll=face.roll,
        weight=float(planned.weight[place]),
        control=bool(planned.control[place]),
        identity_decided_by=by,
        identity_confidence=believed,
        identity_decision=line,
        labels=labels,
    )


def _notes(release: Release, planned: Plan, left_out: list[int]) -> dict[str, Any]:
    """What the datasheet says besides: who labelled, and how well. `left_out` fills while the rows are written."""
    valid = Certificate.objects.filter(state=Certificate.State.VALID).order_by("attribute", "value")
    people = Vote.objects.filter(answer__undone_at=None).values_list("attribute")
    agreed = Agreement.objects.exclude(value=None).order_by("attribute")
    return {
        "purpose": release.purpose,
        "moved_to_test": planned.moved_to_test,
        "capped": planned.capped,
        "control": int(planned.control.sum()),
        "without_picture": left_out,
        "annotators": dict(people.annotate(count=Count("annotator", distinct=True)).order_by("attribute")),
        "agreement": [
            {"measure": each.get_measure_display()}
            | {name: getattr(each, name) for name in ("attribute", "value", "faces")}
            for each in agreed
        ],
        "certificates": [
            {name: getattr(each, name) for name in ("attribute", "value", "threshold", "audited", "wrong", "bound")}
            | {"at": f"{each.at:%Y-%m-%d}"}
            for each in valid
        ],
    }


# ---- built


def folder_of(release: Release) -> Path:
    """Where it lies, or will."""
    named = release.folder or f"{release.pk:05d}-{slugify(release.name)[:60]}".rstrip("-")
    return Path(settings.RELEASES_DIR) / named


def build(
    release_id: int,
    *,
    now: datetime | None = None,
    on_progress: Callable[[int, int], object] = lambda done, total: None,
) -> None:
    """Freeze a release that waits. Safe to run twice, and after a kill: what was half written is made anew.

    One at a time; a second one waits, and the sweep finds it.
    """
    release = _claim(release_id, now or timezone.now())
    if release is None:
        return
    folder = folder_of(release)
    format_.remove_remains(folder)
    try:
        if not folder.exists():  # a worker that was killed just after it was done left it whole
            _write(release, folder, on_progress)
        frozen = format_.open_release(folder)
        _require_own(release, frozen)
        _finish(release, frozen)
    except (SplitLeak, BadRow, BadRelease, OSError) as error:
        log.warning("Release %s failed: %s", release_id, error)
        _close(release, Release.State.FAILED, error=str(error) or type(error).__name__)


def _require_own(release: Release, frozen: format_.Release) -> None:
    """That the folder is not left from another database, of whose releases one had the same number and name."""
    said = frozen.description
    if (said.name, datetime.fromisoformat(said.created)) != (release.name, release.created_at.replace(microsecond=0)):
        raise BadRelease(
            f"{frozen.folder} holds another release. Move it away, or set DAGER_RELEASES to a free folder."
        )


def _claim(release_id: int, now: datetime) -> Release | None:
    unfinished = Q(state__in=[Release.State.WAITING, Release.State.BUILDING])
    free = Q(claimed_until=None) | Q(claimed_until__lte=now)
    try:
        with transaction.atomic():
            taken = Release.objects.filter(unfinished, free, pk=release_id).update(
                state=Release.State.BUILDING, claimed_until=now + CLAIM, written=0
            )
    except IntegrityError:
        return None  # another one is being built
    return Release.objects.select_related("predecessor").get(pk=release_id) if taken else None


def _write(release: Release, folder: Path, on_progress: Callable[[int, int], object]) -> None:
    query = query_of(release.query)
    planned = plan(query)
    planned.control |= np.isin(planned.identity, _control_people())
    left_out = list[int]()
    heard = timezone.now()
    Release.objects.filter(pk=release.pk).update(total=len(planned.faces), claimed_until=heard + CLAIM)

    def tell(written: int) -> None:
        nonlocal heard
        on_progress(written, len(planned.faces))
        if timezone.now() - heard > HEARD:
            heard = timezone.now()
            Release.objects.filter(pk=release.pk).update(written=written, claimed_until=heard + CLAIM)

    format_.write_release(
        folder,
        rows_of(query, planned, left_out),
        name=release.name,
        query=release.query,
        seed=query.seed,
        shares=query.shares,
        predecessor=release.predecessor.checksum if release.predecessor else None,
        datasheet=datasheet,
        created=release.created_at,
        notes=_notes(release, planned, left_out),
        on_progress=tell,
    )


def _finish(release: Release, frozen: format_.Release) -> None:
    """Its faces have their part from now on, in the same moment in which it is done."""
    changes: dict[str, Any] = {}
    if release.predecessor is not None:
        try:
            changes = diff(opened(release.predecessor), frozen).as_json()
        except (ReleaseDamaged, BadRelease) as error:
            changes = {"error": str(error)}
    with transaction.atomic():
        _mark_gone(release, frozen)
        for batch in frozen.rows(["face", "split"], at_once=PINS):
            rows = batch.to_pylist()
            for split in SPLITS:
                faces = [row["face"] for row in rows if row["split"] == split]
                Face.objects.filter(pk__in=faces).exclude(split=split).update(split=split)
        _close(
            release,
            Release.State.DONE,
            folder=frozen.folder.name,
            checksum=frozen.id,
            counts=dict(frozen.counts) | {name: frozen.description.notes[name] for name in ("moved_to_test", "capped")},
            changes=changes,
            written=frozen.counts["faces"],
            total=frozen.counts["faces"],
        )


def _close(release: Release, state: Release.State, **columns: Any) -> None:
    Release.objects.filter(pk=release.pk).update(state=state, claimed_until=None, finished_at=timezone.now(), **columns)


# ---- opened, compared, checked


def opened(release: Release) -> format_.Release:
    """Its folder. Raises ReleaseNotDone, ReleaseDamaged."""
    if release.state != Release.State.DONE:
        raise ReleaseNotDone(release.name, release.state, release.error)
    try:
        found = format_.open_release(folder_of(release))
    except BadRelease as error:
        raise ReleaseDamaged(str(error)) from error
    if found.id != release.checksum:
        raise ReleaseDamaged(
            f"{folder_of(release)} is another release ({found.id[:12]}…) than was frozen ({release.checksum[:12]}…). "
            "Restore it from a backup."
        )
    return found


def for_export(release: Release) -> format_.Release:
    """Its folder, to be handed out. Raises ReleaseHasErased besides."""
    erased = release.erasures.count()
    if erased:
        raise ReleaseHasErased(release.name, erased)
    return opened(release)


def tar(release: Release, layout: str, *, by: str = "") -> Iterator[bytes]:
    """The release in this format as one tar, made while it is sent.

    Raises UnknownFormat, and ReleaseNotDone, ReleaseDamaged, ReleaseHasErased at once.
    """
    chosen = format_named(layout, by=by)
    return stream(for_export(release), chosen)


def tar_name(release: Release, layout: str) -> str:
    return f"{slugify(release.name) or release.pk}-{layout}.tar"


def compare(older: Release, newer: Release) -> Difference:
    """Raises ReleaseNotDone, ReleaseDamaged."""
    try:
        return diff(opened(older), opened(newer))
    except BadRelease as error:
        raise ReleaseDamaged(str(error)) from error


def verify(release: Release) -> str:
    """Hash all files anew, and write down what was found. Returns the damage; empty: it is whole.

    Raises ReleaseNotDone.
    """
    damage = ""
    try:
        opened(release).verify()
    except (BadRelease, ReleaseDamaged, OSError) as error:
        damage = str(error)
    Release.objects.filter(pk=release.pk).update(checked_at=timezone.now(), damage=damage)
    return damage


# ---- what was erased


def holding(photo: Photo) -> list[Release]:
    """The releases that hold a face of this photo: of each release, one file is looked into for each face.

    One whose folder is damaged or gone counts as holding it: nobody can tell that it does not.
    """
    return [release for release, _ in _held(photo)]


def mark_erased(photo: Photo) -> list[Release]:
    """Write down with each release that holds it that this photo is erased. Call before its rows are.

    Returns those releases. They are not handed out any more; the models trained on them are `models_of` these.
    """
    faces = list(photo.faces.order_by("pk").values_list("pk", flat=True))
    marked = mark_all({photo.sha256: faces})
    return list(Release.objects.filter(pk__in=marked).order_by("pk"))


def mark_all(erased: Mapping[str, Sequence[int]]) -> dict[int, int]:
    """The same for many photos, each with those of its faces that go. Returns how many of them each release holds.

    One that is being built is marked when it is done: whoever is gone by then is.
    """
    marked = dict[int, int]()
    for release in Release.objects.filter(state=Release.State.DONE).order_by("pk"):
        try:
            found = opened(release)
            held = found.holds(face for faces in erased.values() for face in faces)
        except (ReleaseDamaged, BadRelease):
            held = {face for faces in erased.values() for face in faces}
        for sha256, faces in erased.items():
            theirs = sorted(held.intersection(faces))
            if theirs:
                _mark(release, sha256, theirs)
                marked[release.pk] = marked.get(release.pk, 0) + 1
    return marked


def _mark(release: Release, sha256: str, faces: list[int]) -> None:
    mark, new = ReleaseErasure.objects.get_or_create(release=release, sha256=sha256, defaults={"faces": faces})
    if not new and not set(faces) <= set(mark.faces):
        mark.faces = sorted({*mark.faces, *faces})
        mark.save(update_fields=["faces"])


def _mark_gone(release: Release, frozen: format_.Release) -> None:
    """Whoever was erased while it was built is in it, and nobody told it. Call in the turn in which it becomes done."""
    for batch in frozen.rows(["face", "sha256"], at_once=PINS):
        rows = {row["face"]: row["sha256"] for row in batch.to_pylist()}
        gone = defaultdict[str, list[int]](list)
        for face in sorted(rows.keys() - presence.faces_there(rows)):
            gone[rows[face]].append(face)
        for sha256, faces in gone.items():
            _mark(release, sha256, faces)


def _held(photo: Photo) -> Iterator[tuple[Release, list[int]]]:
    faces = list(photo.faces.order_by("pk").values_list("pk", flat=True))
    for release in Release.objects.filter(state=Release.State.DONE).order_by("pk"):
        try:
            held = sorted(opened(release).holds(faces))
        except (ReleaseDamaged, BadRelease):
            held = faces
        if held:
            yield release, held


def models_of(release: Release) -> QuerySet[ModelVersion]:
    """The models that were trained on it, as their bundles say."""
    if not release.checksum:
        return ModelVersion.objects.none()
    return ModelVersion.objects.filter(release_ids__contains=release.checksum).order_by("pk")


def erased_since(version: ModelVersion) -> int:
    """How many photos that a model learnt from were erased since."""
    held = ReleaseErasure.objects.filter(release__checksum__in=version.release_ids.split())
    return held.values("sha256").distinct().count()
