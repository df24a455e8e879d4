"""What came along with a photo, into lines of the ledger: a labelled set's record, and the age that its dates give."""

from collections.abc import Iterator
from typing import Any

from annotation import ledger
from annotation.core.ages import Age, ImpossibleAge, real_age
from annotation.core.datasets.entry import CANNOT_TELL, NOT_A_FACE, Entry
from annotation.core.dates import PartialDate
from annotation.models import Decision, Face, Identity, Photo
from inference.core.attributes import REAL_AGE

Said = dict[str, Any]


def kept(entry: Entry) -> Said:
    """What a set says of a picture, as its photo keeps it until its face is found."""
    return {
        "identity": entry.identity,
        "age": None if entry.age is None else [entry.age.low, entry.age.high],
        "values": dict(entry.values),
        "votes": {name: dict(votes) for name, votes in entry.votes.items()},
        "cropped": entry.cropped,
    }


def age_by_dates(photo: Photo) -> Age | None:
    """How old the photo's main person was, if it says when they were born and when it was taken.

    Raises ImpossibleAge.
    """
    if photo.birth_date is None or photo.taken_at is None:
        return None
    return real_age(
        PartialDate(photo.birth_date, photo.birth_date_precision or "day"),  # type: ignore[arg-type]
        PartialDate(photo.taken_at, photo.taken_at_precision or "day"),  # type: ignore[arg-type]
    )


def write_down(photo: Photo) -> int:
    """Say of the photo's main face what came with the photo. Call once, within a transaction, when its faces are known.

    Returns how many lines that were; none for a photo without a face.
    """
    face = _main_face(photo)
    lines = [] if face is None else [*_by_dates(photo, face), *_by_set(photo, face)]
    ledger.write(lines)
    return len(lines)


def write_down_record(photo: Photo) -> None:
    """Say of the main face of a photo that was here before what a labelled set says of it now."""
    face = _main_face(photo)
    if face is not None:
        ledger.write(list(_by_set(photo, face)))


def _main_face(photo: Photo) -> Face | None:
    return Face.objects.filter(photo=photo, chosen=True).first()


def _by_dates(photo: Photo, face: Face) -> Iterator[Decision]:
    try:
        age = age_by_dates(photo)
    except ImpossibleAge:
        return  # intake refuses such dates; nothing is claimed of a row that came in by another way
    if age is not None:
        evidence: Said = {"born": str(photo.birth_date), "taken": str(photo.taken_at)}
        yield _age_line(face, age, by=Decision.By.MACHINE, evidence=evidence)


def _by_set(photo: Photo, face: Face) -> Iterator[Decision]:
    said = photo.imported
    if said is None:
        return
    evidence: Said = {"set": photo.source.name, "file": photo.file}
    if said["age"] is not None:
        yield _age_line(face, Age(*said["age"]), by=Decision.By.IMPORT, evidence=evidence)
    for attribute, value in said["values"].items():
        yield _line(face, attribute, value, evidence)
    for attribute, votes in said["votes"].items():
        value = most_voted(votes)
        if value == NOT_A_FACE:
            yield Decision(kind=Decision.Kind.NOT_A_FACE, face=face, by=Decision.By.IMPORT, evidence=evidence)
        elif value is not None:
            yield _line(face, attribute, value, evidence, votes=votes)
    if said["identity"]:
        yield from _identity_lines(photo, face, said["identity"], evidence)


def most_voted(votes: dict[str, int]) -> str | None:
    """What most voted for; between equals nobody can tell. None without a vote.

    A set like FER+ says how many of its ten people voted for what, never who did. Their answers stay what they are,
    anonymous: all are in the label's distribution, and consensus hears each as that of somebody of whom nothing is
    known, beside whoever is asked later. Nobody's reliability, agreement or drift is made up from them.
    """
    most = max(votes.values(), default=0)
    if most == 0:
        return None
    first = [value for value, count in votes.items() if count == most]
    return first[0] if len(first) == 1 else CANNOT_TELL


def _identity_lines(photo: Photo, face: Face, name: str, evidence: Said) -> Iterator[Decision]:
    """One name within one source is one person."""
    person, new = Identity.objects.get_or_create(imported_as=f"{photo.source_id}/{name}")
    if new:
        yield Decision(kind=Decision.Kind.NAME, identity=person, value=name, by=Decision.By.IMPORT, evidence=evidence)
    yield Decision(kind=Decision.Kind.LABEL, face=face, identity=person, by=Decision.By.IMPORT, evidence=evidence)


def _line(face: Face, attribute: str, value: str, evidence: Said, *, votes: dict[str, int] | None = None) -> Decision:
    return Decision(
        kind=Decision.Kind.VALUE,
        face=face,
        attribute=attribute,
        value=value,
        detail={"votes": votes} if votes else {},
        by=Decision.By.IMPORT,
        evidence=evidence,
    )


def _age_line(face: Face, age: Age, *, by: str, evidence: Said) -> Decision:
    return Decision(
        kind=Decision.Kind.VALUE,
        face=face,
        attribute=REAL_AGE.name,
        value=f"{age.years:.2f}",
        detail={"low": round(age.low, 4), "high": round(age.high, 4)},
        by=by,
        evidence=evidence,
    )
