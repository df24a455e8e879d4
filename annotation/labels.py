"""The ledger in, labels out. Labels, merges and names are derived: the same again from the ledger alone."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, F, Q

from annotation.core.batches import batched
from annotation.core.lineage import Belief, Line, ValueLine, belief, holding, roots
from annotation.models import AttributeLabel, Cluster, ClusteringRun, Decision, Face, Identity, Label, Membership
from annotation.prepared import Prepared
from annotation.turns import take_turn

CHUNK = 500  # SQLite takes so many values in one query, and more


@transaction.atomic(savepoint=False)
def derive(*, faces: Collection[int] = (), identities: Collection[int] = ()) -> None:
    """Bring the labels of these faces, and of everyone merged with these identities, up to date."""
    take_turn()
    related = _related(identities)
    _derive_identities(related)
    affected = set(faces)
    for chunk in batched(sorted(related), CHUNK):
        lines = Decision.objects.filter(kind=Decision.Kind.LABEL, identity__in=chunk)
        affected.update(lines.values_list("face_id", flat=True))
    for chunk in batched(sorted(affected), CHUNK):
        _derive_faces(chunk)
        _derive_attributes(chunk)
        _derive_clusters(chunk)
        _leave_wrong_clusters(chunk)


@transaction.atomic(savepoint=False)
def derive_attributes(*, faces: Collection[int] = (), identities: Collection[int] = ()) -> None:
    """Bring the attributes of these faces, and of all faces of these identities, up to date; who they are stands."""
    take_turn(shared=True)
    affected = set(faces)
    for chunk in batched(sorted(identities), CHUNK):
        affected.update(_faces_of(chunk, chunk))
    for chunk in batched(sorted(affected), CHUNK):
        _derive_attributes(chunk)


_faces_of = Prepared[int](
    lambda people, same: Label.objects.filter(
        Q(identity__in=people) | Q(identity__in=Identity.objects.filter(pk__in=same).values("merged_into"))
    ).values_list("face_id", flat=True)
)


def rebuild() -> None:
    """Derive every label anew from the ledger."""
    derive(
        faces=set(Face.objects.filter(decisions__isnull=False).values_list("pk", flat=True)),
        identities=set(Identity.objects.values_list("pk", flat=True)),
    )


def _related(identities: Collection[int]) -> set[int]:
    """These identities and all that are, or by any line ever were, merged with them."""
    related, fresh = set[int](identities), set[int](identities)
    while fresh:
        met = set[int]()
        for chunk in batched(sorted(fresh), CHUNK):
            touching = Q(identity__in=chunk) | Q(other_identity__in=chunk)
            for pair in Decision.objects.filter(touching, kind=Decision.Kind.MERGE).values_list(
                "identity_id", "other_identity_id"
            ):
                met.update(pk for pk in pair if pk is not None)
        fresh = met - related
        related |= fresh
    return related


def _derive_identities(related: Collection[int]) -> None:
    merges, names = list[tuple[int, int]](), dict[int, str]()
    for chunk in batched(sorted(related), CHUNK):
        standing = Decision.objects.standing().filter(identity__in=chunk)
        merges += standing.filter(kind=Decision.Kind.MERGE).values_list("id", "identity_id", "other_identity_id")  # type: ignore[arg-type]
        names |= dict(standing.filter(kind=Decision.Kind.NAME).order_by("id").values_list("identity_id", "value"))
    top = roots(pair[1:] for pair in sorted(merges))  # type: ignore[misc]
    inherited = {top[pk]: name for pk, name in names.items() if pk in top and name}
    for chunk in batched(sorted(related), CHUNK):
        rows = list(Identity.objects.filter(pk__in=chunk))
        for row in rows:
            row.merged_into_id = top.get(row.pk)
            row.name = names.get(row.pk) or inherited.get(row.pk, "")
        Identity.objects.bulk_update(rows, ["merged_into", "name"])


def _derive_faces(chunk: Collection[int]) -> None:
    """A face without a word of its own has the label of the face that stands for it in a group of duplicate photos."""
    touched = Face.objects.filter(Q(pk__in=chunk) | Q(duplicate_of__in=chunk))
    stands_for: dict[int, int | None] = dict(touched.values_list("pk", "duplicate_of_id"))
    lines: dict[int, list[Line]] = {pk: [] for pair in stands_for.items() for pk in pair if pk is not None}
    rows = Decision.objects.standing().filter(face__in=list(lines), kind__in=Decision.OF_FACES).order_by("id")
    for pk, face, kind, identity in rows.values_list("id", "face_id", "kind", "identity_id"):
        lines[face].append(Line(pk, kind, identity))
    named = {line.identity for story in lines.values() for line in story if line.identity is not None}
    top = dict(Identity.objects.filter(pk__in=named, merged_into__isnull=False).values_list("pk", "merged_into_id"))
    held = {
        face: belief(lines[face] or lines.get(original, []), top)  # type: ignore[arg-type]
        for face, original in stands_for.items()
    }
    before = _identities_of(held)
    bare = [face for face, found in held.items() if found is None]
    Label.objects.filter(face__in=bare).delete()
    Label.objects.bulk_create(
        list(_rows(held)),
        update_conflicts=True,
        unique_fields=["face"],
        update_fields=["identity", "verdict", "decision"],
    )
    Face.objects.filter(pk__in=bare, labelled=True).update(labelled=False)
    Face.objects.filter(pk__in=held.keys() - set(bare), labelled=False).update(labelled=True)
    count_faces(before | _identities_of(held))


def _identities_of(faces: Collection[int]) -> set[int]:
    of_them = Label.objects.filter(face__in=faces, identity__isnull=False)
    return {pk for pk in of_them.values_list("identity_id", flat=True) if pk is not None}


def count_faces(identities: Collection[int]) -> None:
    """How many faces each of these people has, so that a list of all people need not count.

    The lock queues up two that label faces of one person at once: the second counts what the first has written.
    """
    for chunk in batched(sorted(identities), CHUNK):
        people = Identity.objects.filter(pk__in=chunk).order_by("pk").select_for_update(no_key=True)
        known = {person.pk: person.face_count for person in people}
        labels = Label.objects.filter(identity__in=chunk).order_by().values_list("identity")
        counts = dict(labels.annotate(count=Count("pk")))
        changed = [
            Identity(pk=pk, face_count=counts.get(pk, 0)) for pk, count in known.items() if counts.get(pk, 0) != count
        ]
        Identity.objects.bulk_update(changed, ["face_count"])


def _rows(held: dict[int, Belief | None]) -> Iterator[Label]:
    for face, found in held.items():
        if found is not None:
            yield Label(face_id=face, identity_id=found.identity, verdict=found.verdict, decision_id=found.line)


def _derive_attributes(chunk: Collection[int]) -> None:
    """What each attribute of these faces is: by a line about the face, about the one that stands for it, or about who
    it is.
    """
    faces = _touched(list(chunk), list(chunk))
    told = _value_lines({pk for row in faces for pk in row[:2] if pk is not None}, {row[3] for row in faces if row[3]})
    held = dict[tuple[int, str], Decision]()
    for face, original, verdict, identity in faces:
        if verdict == Label.Verdict.NOT_A_FACE:
            continue
        own = told.of_faces.get(face) or told.of_faces.get(original or 0, [])
        lines = own + told.of_identities.get(identity or 0, [])
        for attribute in {line.attribute for line in lines}:
            stories = {line.pk: line for line in lines if line.attribute == attribute}
            found = holding(ValueLine(line.pk, line.by, line.face_id is not None) for line in stories.values())
            if found is not None:
                held[face, attribute] = stories[found.id]
    _replace_attribute_labels([face for face, *_ in faces], held)


_touched = Prepared[tuple[int, int | None, str | None, int | None]](
    lambda faces, same: Face.objects.filter(Q(pk__in=faces) | Q(duplicate_of__in=same)).values_list(
        "pk", "duplicate_of_id", "label__verdict", "label__identity_id"
    )
)


@dataclass(frozen=True)
class _Told:
    of_faces: dict[int, list[Decision]]
    of_identities: dict[int, list[Decision]]  # by what they were merged into


def _value_lines(faces: Collection[int], identities: Collection[int]) -> _Told:
    told = _Told({}, {})
    for line in _lines_of_faces(sorted(faces)):
        told.of_faces.setdefault(line.face_id or 0, []).append(line)
    if not identities:
        return told
    now = {pk: into or pk for pk, into in _same_people(sorted(identities), sorted(identities))}
    for line in _lines_of_people(sorted(now)):
        told.of_identities.setdefault(now[line.identity_id or 0], []).append(line)
    return told


_values_said = Decision.objects.standing().filter(kind=Decision.Kind.VALUE)
_lines_of_faces = Prepared[Decision](lambda faces: _values_said.filter(face__in=faces))
_lines_of_people = Prepared[Decision](lambda people: _values_said.filter(identity__in=people))
_same_people = Prepared[tuple[int, int | None]](
    lambda people, same: Identity.objects.filter(Q(pk__in=people) | Q(merged_into__in=same)).values_list(
        "pk", "merged_into_id"
    )
)


def _replace_attribute_labels(faces: Collection[int], held: Mapping[tuple[int, str], Decision]) -> None:
    gone = [pk for pk, face, attribute in _attribute_labels(sorted(faces)) if (face, attribute) not in held]
    if gone:
        AttributeLabel.objects.filter(pk__in=gone).delete()
    AttributeLabel.objects.bulk_create(
        [
            AttributeLabel(face_id=face, attribute=attribute, value=line.value, detail=line.detail, decision=line)
            for (face, attribute), line in held.items()
        ],
        update_conflicts=True,
        unique_fields=["face", "attribute"],
        update_fields=["value", "detail", "decision"],
    )


_attribute_labels = Prepared[tuple[int, int, str]](
    lambda faces: AttributeLabel.objects.filter(face__in=faces).values_list("pk", "face", "attribute")
)


def _derive_clusters(faces: Iterable[int]) -> None:
    """A cluster is of the identity that most of its labelled faces are of."""
    clusters = Cluster.objects.filter(
        run__state=ClusteringRun.State.APPLIED, memberships__face__in=list(faces)
    ).distinct()
    votes: dict[int, dict[int, int]] = {cluster.pk: {} for cluster in clusters}
    labelled = Membership.objects.filter(cluster__in=list(votes), face__label__identity__isnull=False)
    for cluster, identity, count in (
        labelled.order_by().values_list("cluster_id", "face__label__identity_id").annotate(count=Count("id"))
    ):
        votes[cluster][identity] = count
    for cluster in clusters:
        of = votes[cluster.pk]
        identity = max(sorted(of), key=of.__getitem__) if of else None
        if cluster.identity_id != identity:
            Cluster.objects.filter(pk=cluster.pk).update(identity=identity)


def _leave_wrong_clusters(faces: Iterable[int]) -> None:
    """A face that is not whom its cluster is goes back to the machine, which finds it another place."""
    touched = Face.objects.filter(Q(pk__in=list(faces)) | Q(duplicate_of__in=list(faces)))
    members = Membership.objects.filter(run__state=ClusteringRun.State.APPLIED, face__in=touched)
    clusters = list(members.order_by().values_list("cluster_id", flat=True).distinct())
    members.filter(face__label__verdict=Label.Verdict.NOT_A_FACE).delete()
    members.filter(face__label__identity__isnull=False).exclude(face__label__identity=F("cluster__identity")).delete()
    lines = Decision.objects.standing().filter(kind=Decision.Kind.CANNOT_LINK, face__in=touched)
    top = dict(
        Identity.objects.filter(decisions__in=lines, merged_into__isnull=False).values_list("pk", "merged_into_id")
    )
    refused = {(face, top.get(identity, identity)) for face, identity in lines.values_list("face_id", "identity_id")}
    left = members.filter(face__label=None, face__in={face for face, _ in refused}).values_list(
        "pk", "face_id", "cluster__identity_id"
    )
    Membership.objects.filter(pk__in=[pk for pk, face, identity in left if (face, identity) in refused]).delete()
    Cluster.objects.filter(pk__in=clusters).count_faces()


def people_since(line: int, kinds: Collection[str] = tuple(Decision.Kind.values)) -> set[int]:
    """Everybody whom lines of these kinds after this one, or their undoing, touched: as they are after all merges."""
    lines = Decision.objects.filter(pk__gt=line)
    undone = Decision.objects.filter(pk__in=lines.filter(undoes__isnull=False).values("undoes"))
    found = set[int | None]()
    for about in (lines.filter(kind__in=kinds), undone.filter(kind__in=kinds)):
        of_faces = Label.objects.filter(face__decisions__in=about, identity__isnull=False)
        found |= set(of_faces.values_list("identity_id", flat=True))
        for columns in (("identity", "identity__merged_into"), ("other_identity", "other_identity__merged_into")):
            found |= {now or one for one, now in about.values_list(*columns)}
    return {pk for pk in found if pk is not None}
