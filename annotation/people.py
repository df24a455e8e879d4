"""What a curator does on a person's page. Each act is an answer without a question, so it is undone as one.

Who sees some sources only moves the faces that they see; what holds for all faces of a person (a name, a merge, an
attribute) they say of those of whom they see every face. So nothing changes that they do not see.
"""

from collections.abc import Collection, Sequence

from django.db.models import F

from annotation import ledger, visible
from annotation.answers import drop_pairs_of_nobody, drop_settled_faces
from annotation.errors import BadAct
from annotation.models import Answer, Decision, Identity, Label, User
from annotation.questions import drop_moot_pairs
from annotation.turns import beginning_again, take_turn
from inference.core import attributes as registry


@beginning_again
def rename(*, identity_id: int, name: str, by: User) -> Answer:
    """Give a person a name; an empty one takes the name away. Raises BadAct where that changes nothing."""
    name = name.strip()
    if len(name) > 300 or (name and not name.isprintable()):
        raise BadAct("A name is printable text of at most 300 characters.")
    identity = _whole(identity_id, by)
    if identity.name == name:
        known = f"is named {name} already" if name else "has no name"
        raise BadAct(f"Person {identity.pk} {known}. Nothing was changed.")
    act = _act(by, {"act": "rename", "identity": identity.pk, "name": name}, actions=1)
    ledger.write([ledger.line(act, Decision.Kind.NAME, identity=identity, value=name)])
    return act


@beginning_again
def merge(*, identity_ids: Sequence[int], into_id: int, by: User) -> Answer:
    """These people are all one. Any number at once; undone as one."""
    into = _whole(into_id, by)
    others = {_whole(pk, by).pk for pk in identity_ids} - {into.pk}
    if not others:
        raise BadAct(f"Person {into_id} cannot be merged with themselves. Choose at least one other person.")
    act = _act(by, {"act": "merge", "identities": sorted(others), "into": into.pk}, actions=1 + len(others))
    people = Identity.objects.in_bulk(others)
    ledger.write(
        [ledger.line(act, Decision.Kind.MERGE, identity=people[pk], other_identity=into) for pk in sorted(others)]
    )
    drop_moot_pairs([into.pk])
    return act


@beginning_again
def split(*, identity_id: int, face_ids: Sequence[int], by: User) -> Answer:
    """These faces of this person are one other person."""
    identity, faces = _identity(identity_id, by), _faces(face_ids, by, of=identity_id)
    second = Identity.objects.create()
    act = _act(by, {"act": "split", "identity": identity.pk, "into": second.pk, "faces": faces}, actions=1 + len(faces))
    lines = [ledger.line(act, Decision.Kind.LABEL, face=face, identity=second) for face in faces]
    lines.append(ledger.line(act, Decision.Kind.CANNOT_LINK, identity=second, other_identity=identity))
    ledger.write(lines)
    drop_pairs_of_nobody([identity.pk])
    return act


@beginning_again
def remove(*, identity_id: int, face_ids: Sequence[int], by: User) -> Answer:
    """These faces are not this person; the machine is to find out who they are."""
    identity, faces = _identity(identity_id, by), _faces(face_ids, by, of=identity_id)
    act = _act(by, {"act": "remove", "identity": identity.pk, "faces": faces}, actions=1 + len(faces))
    ledger.write([ledger.line(act, Decision.Kind.CANNOT_LINK, face=face, identity=identity) for face in faces])
    drop_pairs_of_nobody([identity.pk])
    return act


@beginning_again
def assign(*, face_ids: Sequence[int], identity_id: int | None, by: User) -> Answer:
    """These faces are this person, or with None one new person."""
    identity = Identity.objects.create() if identity_id is None else _identity(identity_id, by)
    faces = _faces(face_ids, by)
    act = _act(by, {"act": "assign", "identity": identity.pk, "faces": faces}, actions=1 + len(faces))
    before = Label.objects.filter(face__in=faces, identity__isnull=False).values_list("identity_id", flat=True)
    whose = {pk for pk in before if pk is not None}
    ledger.write([ledger.line(act, Decision.Kind.LABEL, face=face, identity=identity) for face in faces])
    drop_settled_faces(faces)
    drop_pairs_of_nobody(whose)
    return act


@beginning_again
def not_a_face(*, face_ids: Sequence[int], by: User) -> Answer:
    """The detector was wrong about these. Raises BadAct where a person has said so of all of them."""
    faces = _faces(face_ids, by)
    said = Label.objects.filter(face__in=faces, verdict=Label.Verdict.NOT_A_FACE, decision__by=Decision.By.PERSON)
    known = set(said.filter(decision__face=F("face")).values_list("face_id", flat=True))  # not of the photo it copies
    faces = [face for face in faces if face not in known]
    if not faces:
        raise BadAct("All of these are marked as not a face already. Nothing was changed.")
    act = _act(by, {"act": "not_a_face", "faces": faces}, actions=len(faces))
    ledger.write([ledger.line(act, Decision.Kind.NOT_A_FACE, face=face) for face in faces])
    drop_settled_faces(faces)
    return act


@beginning_again
def describe(*, identity_id: int, attribute: str, value: str, by: User) -> Answer:
    """Say what an attribute that is constant over a person is: it holds for all faces of theirs, now and later."""
    identity = _whole(identity_id, by)
    try:
        wanted = registry.attribute(attribute)
        if not wanted.of_identity:
            raise BadAct(
                f"{attribute} is no matter of a person but of each face. It cannot be said of person {identity.pk}."
            )
        if value != "cannot_tell":
            wanted.index(value)
    except (registry.UnknownAttribute, registry.UnknownValue) as error:
        raise BadAct(str(error)) from error
    content = {"act": "describe", "identity": identity.pk, "attribute": attribute, "value": value}
    act = _act(by, content, actions=1)
    ledger.write([ledger.line(act, Decision.Kind.VALUE, identity=identity, attribute=attribute, value=value)])
    return act


def _act(by: User, content: dict[str, object], *, actions: int) -> Answer:
    return Answer.objects.create(annotator=by, content=content, actions=actions)


def require_whole(people: Collection[int], by: User) -> None:
    """That this person sees every face of these people. Raises BadAct."""
    if by.restricted:
        seen = set(visible.whole_identities(by).filter(pk__in=people).values_list("pk", flat=True))
        if others := sorted(set(people) - seen):
            raise BadAct(
                f"This would change faces of person {others[0]} that you do not see. "
                "Ask a curator who sees all sources to do it."
            )


def _whole(pk: int, by: User) -> Identity:
    found = _identity(pk, by)
    require_whole([found.pk], by)
    return found


def _identity(pk: int, by: User) -> Identity:
    """The person, or who they are since they were merged: two who change somebody at once do so one after the other."""
    take_turn()
    found = Identity.objects.select_related("merged_into").filter(pk=pk).first()
    now = found and (found.merged_into or found)
    if now is None or (by.restricted and not visible.identities(by).filter(pk=now.pk).exists()):
        raise BadAct(f"There is no person {pk}. They may have been erased; look again on the people page.")
    return now


def _faces(face_ids: Sequence[int], by: User, of: int | None = None) -> list[int]:
    wanted = sorted(set(face_ids))
    if not wanted:
        raise BadAct("No face is selected. Select at least one.")
    held = set(
        visible.faces(by).filter(pk__in=wanted).values_list("pk", flat=True)
        if of is None
        else visible.labels(by)
        .filter(face__in=wanted, identity__in=[of, _identity(of, by).pk])
        .values_list("face_id", flat=True)
    )
    strange = [pk for pk in wanted if pk not in held]
    if strange:
        where = "" if of is None else f" of person {of}"
        raise BadAct(
            f"There is no face {strange[0]}{where}: it moved meanwhile, or never existed. Load the page again."
        )
    return wanted
