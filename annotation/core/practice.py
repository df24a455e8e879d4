"""Questions on drawn faces whose answers are known: what somebody practises on before the real ones."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from annotation.core.drawn import look_of, person_of
from annotation.core.portrait import Look, Person, draw, draw_hills

SIDE = 384  # pixels, as crops have
VERSION = 1  # of the drawings: raise it when they change, so that no cache keeps the old ones
HILLS = "hills"
_GRAY = (206, 206, 204)


@dataclass(frozen=True)
class Example:
    """A question as the desk asks it, and what a right answer says. Faces are named by how they are drawn."""

    name: str
    kind: str
    faces: tuple[str, ...] = ()
    people: tuple[tuple[str, ...], ...] = ()
    attribute: str = ""
    value: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    verdicts: tuple[str, ...] = ()  # any of these is right
    marks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by face: any of these is right
    values: tuple[str, ...] = ()
    years: tuple[int, int] | None = None  # from and to


# A face is named person.photo.look: the same three draw the same picture.
EXAMPLES: Mapping[str, tuple[Example, ...]] = {
    "cluster": (
        Example(
            "cluster_other",
            "cluster",
            faces=("0.1.plain", "0.2.plain", "3.4.plain", "0.3.plain", "0.5.plain", "0.6.plain"),
            verdicts=("one_person",),
            marks={"3.4.plain": ("other",)},
        ),
        Example(
            "cluster_not_a_face",
            "cluster",
            faces=("5.1.plain", "5.2.plain", "5.3.plain", HILLS),
            verdicts=("one_person",),
            marks={HILLS: ("not_a_face",)},
        ),
    ),
    "pair": (
        Example(
            "pair_same",
            "pair",
            people=(("2.1.plain", "2.2.plain", "2.3.plain"), ("2.4.plain", "2.5.plain")),
            verdicts=("same",),
        ),
        Example(
            "pair_different",
            "pair",
            people=(("4.1.plain", "4.2.plain", "4.3.plain"), ("7.1.plain", "7.2.plain")),
            verdicts=("different",),
        ),
    ),
    "grid": (
        Example(
            "grid_happy",
            "grid",
            faces=("1.1.happy", "2.2.happy", "4.3.sad", "0.4.happy", "8.5.happy", "5.6.neutral"),
            attribute="emotion",
            value="happy",
            verdicts=("marked",),
            marks={"4.3.sad": ("other", "sad"), "5.6.neutral": ("other", "neutral")},
        ),
        Example(
            "grid_sad",
            "grid",
            faces=("0.7.sad", "2.8.happy", "4.9.sad", HILLS, "8.1.sad", "1.2.sad"),
            attribute="emotion",
            value="sad",
            verdicts=("marked",),
            marks={"2.8.happy": ("other", "happy"), HILLS: ("not_a_face",)},
        ),
    ),
    "value": (
        Example(
            "value_happy", "value", faces=("2.6.happy",), attribute="emotion", verdicts=("value",), values=("happy",)
        ),
        Example("value_none", "value", faces=(HILLS,), attribute="emotion", verdicts=("not_a_face",)),
    ),
    "years": (
        Example(
            "years_old", "value", faces=("8.3.old",), attribute="apparent_age", verdicts=("value",), years=(55, 95)
        ),
        Example(
            "years_young", "value", faces=("4.5.young",), attribute="apparent_age", verdicts=("value",), years=(14, 50)
        ),
    ),
    "record": (
        Example(
            "record_both",
            "record",
            faces=("8.4.old", "8.6.old", "1.3.young"),
            people=(("8.1.old", "8.2.old"),),
            attribute="real_age",
            facts={
                "8.4.old": "taken in 2015, aged 70",
                "8.6.old": "taken in 1953, aged 8",
                "1.3.young": "taken in 2014, aged 69",
            },
            verdicts=("marked",),
            marks={"8.6.old": ("wrong_date",), "1.3.young": ("other",)},
        ),
    ),
}


def pictures() -> set[str]:
    """The names of all pictures that the examples show."""
    return {
        name
        for examples in EXAMPLES.values()
        for each in examples
        for name in (*each.faces, *(face for person in each.people for face in person))
    }


def drawn(name: str) -> bytes:
    """The picture of this name, as JPEG."""
    encoded = io.BytesIO()
    if name == HILLS:
        draw_hills(look_of(11), (SIDE, SIDE)).save(encoded, "JPEG", quality=90)
    else:
        person, photo, look = name.split(".")
        who, how = _as(look, person_of(int(person)), look_of(int(photo)))
        draw([(who, how)], (SIDE, SIDE)).save(encoded, "JPEG", quality=90)
    return encoded.getvalue()


def _as(look: str, person: Person, photo: Look) -> tuple[Person, Look]:
    calm = replace(photo, smile=0.15, mouth_open=0.0, brows_up=0.0, zoom=1.1)
    changed: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "plain": ({}, {}),
        "happy": ({}, {"smile": 1.0, "mouth_open": 0.5}),
        "sad": ({}, {"smile": -1.0, "lids": 0.85}),
        "neutral": ({}, {"smile": 0.0}),
        "old": ({"wrinkles": 1.0, "hair": _GRAY}, {}),
        "young": ({"wrinkles": 0.0, "beard": "none"}, {}),
    }
    of_person, of_look = changed[look]
    return replace(person, **of_person), replace(calm, **of_look)
