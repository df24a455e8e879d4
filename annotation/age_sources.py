"""What each source says of how old somebody is: a mean and a spread, told without the face's own label.

The network; a head and the neighbours, learnt from labelled faces; the other dated photos of the same person, who grows
older by as much as lies between the dates; and what came along: a record beside the dates, or others under the term.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from annotation.core.ages import ImpossibleAge, in_years
from annotation.lifetimes import date_of
from annotation.models import AttributeLabel, Decision, Face
from annotation.records import age_by_dates
from inference.core.attributes import APPARENT_AGE, REAL_AGE, Attribute
from inference.core.types import Vectors
from inference.core.years import as_far_off, of_person, of_term, tell_years

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ALIKE = 0.3  # how much the mistakes of a network on two faces of one person are the same mistake
SEEMS = 5.0  # years that people look older or younger than they are, as a rule; the calibration weighs it
LEAST = 0.5  # years: a record says no more than the year


@dataclass(frozen=True)
class RealAge:
    """What is written down of one face."""

    years: float
    half: float  # ± so many
    by_record: bool  # a set's; else it follows from dates
    date_is_wrong: bool = False  # somebody said so


def said(
    attribute: Attribute,
    faces: Sequence[Face],
    seen: Floats,
    years: Floats,
    person: Ints,
    term: Ints,
    has: npt.NDArray[np.bool_],
    vectors: Vectors,
) -> Floats:
    """Means and spreads (faces, sources, 2), NaN where a source says nothing.

    From what the network says `seen` (faces, 2), the known ages `years` (faces,), NaN without, the number of each
    face's person and search term, and the vectors of those faces that have one. An age that follows from dates is
    never told by the same dates again, neither of the face itself nor by the person's other photos.
    """
    network = as_far_off(seen, years)
    head, neighbours = np.full_like(seen, np.nan), np.full_like(seen, np.nan)
    if has.any():
        told = tell_years(vectors, years[has], person[has])
        head[has], neighbours[has] = told.head, told.neighbours
    written = _real_ages()
    identity = of_person(_by_itself(attribute, faces, network, years, written), _taken(faces, written), person, ALIKE)
    metadata = _by_metadata(attribute, faces, written)
    others = of_term(term, years, person)
    metadata = np.where(np.isnan(metadata), others, metadata)
    return np.stack([network, head, neighbours, identity, metadata], axis=1)


def _real_ages() -> dict[int, RealAge]:
    rows = AttributeLabel.objects.filter(attribute=REAL_AGE.name).values_list(
        "face_id", "value", "detail", "decision__by"
    )
    found = dict[int, RealAge]()
    for face, value, detail, by in rows.iterator(chunk_size=5_000):
        if by == Decision.By.PERSON:
            found[face] = RealAge(np.nan, np.nan, by_record=False, date_is_wrong=True)
        else:
            half = max((detail["high"] - detail["low"]) / 2, LEAST)
            found[face] = RealAge(float(value), half, by_record=by == Decision.By.IMPORT)
    return found


def _by_itself(
    attribute: Attribute, faces: Sequence[Face], network: Floats, years: Floats, written: Mapping[int, RealAge]
) -> Floats:
    """What is known of each age but for its date (faces, 2): people's guesses or a record, else the network's word."""
    found = network.copy()
    for row, face in enumerate(faces):
        real = written.get(face.pk)
        if attribute == APPARENT_AGE and np.isfinite(years[row]):
            found[row] = years[row], 2 * LEAST
        elif attribute == REAL_AGE and real is not None and real.by_record:
            found[row] = real.years, real.half
    return found


def _taken(faces: Sequence[Face], written: Mapping[int, RealAge]) -> Floats:
    """When each photo was taken (faces,), in years."""
    found = np.full(len(faces), np.nan)
    for row, face in enumerate(faces):
        taken = date_of(face.photo, "taken_at")
        real = written.get(face.pk)
        if taken is not None and not (real is not None and real.date_is_wrong):
            found[row] = (in_years(taken.first) + in_years(taken.last)) / 2
    return found


def _by_metadata(attribute: Attribute, faces: Sequence[Face], written: Mapping[int, RealAge]) -> Floats:
    """What the dates say (faces, 2): of a real age that a record gives; of an apparent one what its real age is."""
    found = np.full((len(faces), 2), np.nan)
    for row, face in enumerate(faces):
        real = written.get(face.pk)
        if real is None or real.date_is_wrong:
            continue
        if attribute == APPARENT_AGE:
            found[row] = real.years, np.hypot(real.half, SEEMS)
        elif real.by_record and face.chosen:
            try:
                age = age_by_dates(face.photo)
            except ImpossibleAge:
                continue
            if age is not None:
                found[row] = age.years, max(age.uncertainty, LEAST)
    return found
