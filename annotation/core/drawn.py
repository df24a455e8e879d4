"""Photos of nobody: the sample to try everything on, and faces for tests.

A person follows from one seed and a photo of that person from another, so a picture can be drawn again at any
time, and who is on it is known without asking anyone. `annotation.core.portrait` does the drawing.
"""

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from PIL import Image

from annotation.core.portrait import STYLES, Colour, Look, Person, draw, draw_hills, mix

T = TypeVar("T")
Fault = Literal["wrong person", "group", "copy", "re-encoded", "truncated", "no face"]

# The seeds behind the first persons. Of 1,500 people drawn at random they are the ones whom dlib's ResNet finds least
# alike, so that a sample of drawings can be told apart where real faces are: over 12 photos of each the cosine is at
# least 0.95 within a person and at most 0.93 between two.
CAST = (10368, 10245, 11178, 10637, 10165, 10473, 11460, 10654, 11260, 10333, 10662, 10779)
_NAMES = (
    "Robin Vale",
    "Kim Arden",
    "Noor Lindqvist",
    "Sasha Merrow",
    "Ade Castell",
    "Jules Okoro",
    "Alex Thornby",
    "Remy Salt",
    "Toni Brask",
    "Charlie Umber",
    "Dana Fairweather",
    "Luca Pellow",
)
_FIRST_DAY = date(2015, 1, 1)

_SKINS: tuple[Colour, ...] = (
    (255, 224, 205),
    (84, 53, 40),
    (232, 184, 150),
    (141, 92, 66),
    (247, 203, 172),
    (198, 141, 104),
    (110, 70, 51),
)
_HAIRS: tuple[Colour, ...] = (
    (36, 28, 26),
    (214, 176, 104),
    (120, 62, 34),
    (190, 188, 186),
    (168, 72, 36),
    (74, 48, 34),
    (92, 84, 88),
)
_IRISES: tuple[Colour, ...] = ((78, 52, 34), (72, 118, 158), (88, 122, 74), (118, 84, 44), (104, 120, 128))
_CLOTHES: tuple[Colour, ...] = (
    (58, 92, 132),
    (176, 72, 66),
    (84, 128, 98),
    (228, 196, 108),
    (122, 92, 140),
    (60, 64, 74),
    (220, 218, 212),
)
_EYE_SHADOWS: tuple[Colour, ...] = ((70, 60, 130), (120, 60, 110), (40, 110, 110), (60, 50, 50))
_FRAMES: tuple[Colour, ...] = ((32, 28, 30), (150, 40, 44), (176, 140, 70), (60, 70, 120))
_LONG_STYLES = ("bob", "bun", "fringe", "long")  # worn without a beard
_BEARDS = ("full", "moustache", "stubble", "goatee")
_GLASSES = ("none", "none", "none", "round", "square")


def person_of(seed: int) -> Person:
    """The same seed gives the same person. Those of the first seeds are cast to be unlike one another."""
    rng = np.random.default_rng([CAST[seed] if seed < len(CAST) else 10_000 + seed, 1])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    skin, style = _pick(_SKINS, rng), _pick(STYLES, rng)
    bearded = style not in _LONG_STYLES and rng.random() < 0.6
    nose = between(0.3, 0.7)
    mouth = nose + between(0.18, 0.38)
    return Person(
        skin=skin,
        hair=_pick(_HAIRS, rng),
        iris=_pick(_IRISES, rng),
        style=style,
        beard=_pick(_BEARDS, rng) if bearded else "none",
        glasses=_pick(_GLASSES, rng),
        frame=_pick(_FRAMES, rng),
        width=between(0.9, 1.08),
        jaw=between(0.0, 0.75),
        square=between(1.9, 2.7),
        length=max(between(1.12, 1.42), mouth + 0.3),
        eye_apart=between(0.28, 0.52),
        eye_size=between(0.12, 0.25),
        eye_open=between(0.32, 0.72),
        eye_slant=between(-0.35, 0.35),
        brow_thick=between(0.02, 0.14),
        brow_high=between(0.23, 0.43),
        brow_slant=between(-0.4, 0.4),
        nose_long=nose,
        nose_wide=between(0.09, 0.32),
        mouth_high=mouth,
        mouth_wide=between(0.19, 0.44),
        lips=between(0.035, 0.18),
        lip_colour=mix(skin, (176, 58, 66), between(0.25, 0.6)),
        blush=between(0.0, 0.35),
        freckles=40 if rng.random() < 0.15 else 0,
        mole=(between(-0.5, 0.5), between(0.3, 0.7)) if rng.random() < 0.25 else None,
        hairline=between(-0.98, -0.68),
        wrinkles=between(0.0, 1.0) ** 1.5,
        relief=between(0.3, 1.7),
        eye_shadow=_pick(_EYE_SHADOWS, rng),
        make_up=0.0 if bearded else max(0.0, between(-0.5, 0.7)),
        lashes=0.0 if bearded else between(0.0, 1.0),
    )


def look_of(seed: int) -> Look:
    """An everyday photo: mostly frontal, mostly friendly, never the same light."""
    rng = np.random.default_rng([seed, 2])

    def around(middle: float, deviation: float, low: float, high: float) -> float:
        return float(np.clip(rng.normal(middle, deviation), low, high))

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    return Look(
        yaw=around(0, 9, -20, 20),
        pitch=around(0, 5, -10, 10),
        roll=around(0, 6, -14, 14),
        smile=around(0.35, 0.45, -0.7, 1.0),
        mouth_open=between(0.3, 1.0) if rng.random() < 0.3 else 0.0,
        brows_up=around(0, 0.025, -0.06, 0.06),
        lids=between(0.8, 1.1),
        gaze=between(-0.25, 0.25),
        zoom=between(0.85, 1.15),
        shift=(between(-0.05, 0.05), between(-0.04, 0.04)),
        light=_pick((-1.0, 1.0), rng),
        light_strength=between(0.08, 0.3),
        exposure=between(0.86, 1.1),
        warmth=between(-0.05, 0.06),
        noise=between(1.0, 4.0),
        blur=between(0.0, 0.6),
        clothes=_pick(_CLOTHES, rng),
        setting=int(rng.integers(1 << 30)),
    )


def draw_portrait(person_seed: int, photo_seed: int, size: tuple[int, int] = (360, 420)) -> Image.Image:
    """One photo of one person: RGB, `size` is (width, height) in pixels."""
    return draw([(person_of(person_seed), look_of(photo_seed))], size)


def draw_group(person_seeds: Sequence[int], photo_seed: int, size: tuple[int, int] = (640, 400)) -> Image.Image:
    """Several people side by side, from left to right; `middle_of` says whose photo it is."""
    looks = [look_of(photo_seed + 7919 * index) for index in range(len(person_seeds))]
    return draw([(person_of(seed), look) for seed, look in zip(person_seeds, looks, strict=True)], size)


def middle_of(people: Sequence[int]) -> int:
    """Whose face is nearest to the middle of `draw_group`'s picture."""
    return people[len(people) // 2]


@dataclass(frozen=True)
class DrawnPhoto:
    """One file of the sample and the truth about it, which the pipeline never gets to see."""

    file: str  # relative to the sample's folder
    query: str
    people: tuple[int, ...]  # seeds, from left to right
    fault: Fault | None
    of: str  # the file that this one is a copy of; else empty


def draw_sample(folder: Path, *, people: int = 12, photos_each: int = 8, seed: int = 0) -> list[DrawnPhoto]:
    """Draws a folder as a scraper would have left it, and `manifest.csv` beside the photos.

    One folder for each search term, with about a tenth of the photos showing somebody else, groups, exact and
    re-encoded copies, files cut off half-way and pictures without a face. The same arguments give the same bytes.
    """
    rng = np.random.default_rng([seed, 8])
    drawn: list[DrawnPhoto] = []
    rows: list[dict[str, str]] = []

    def keep(content: bytes, query: int, shown: tuple[int, ...], fault: Fault | None = None, of: str = "") -> None:
        name = hashlib.sha256(f"{seed}/{len(drawn)}".encode()).hexdigest()[:12]
        file = Path("photos", search_term(query).lower().replace(" ", "-"), f"{name}.jpg")
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_bytes(content)
        drawn.append(DrawnPhoto(file.as_posix(), search_term(query), shown, fault, of))
        rows.append(
            {
                "file": file.as_posix(),
                "query": search_term(query),
                "source_url": f"https://photos.example/{name}.jpg",
                "licence": "CC0-1.0",
                "taken_at": str(_FIRST_DAY + timedelta(days=int(rng.integers(3000)))),
            }
        )

    def photo() -> int:
        return int(rng.integers(1 << 31))

    def another(person: int) -> int:
        return int((person + 1 + rng.integers(max(people - 1, 1))) % people)

    for person in range(people):
        for number in range(photos_each):
            wrong = people > 1 and (person + number * people) % 10 == 9
            shown = another(person) if wrong else person
            keep(_jpeg(draw_portrait(shown, photo())), person, (shown,), "wrong person" if wrong else None)
    for count in (2, 3, 4, 2, 3):
        row = [int(one) for one in rng.permutation(people)[:count]]
        keep(_jpeg(draw_group(row, photo())), middle_of(row), tuple(row), "group" if len(row) > 1 else None)
    portraits = [one for one in drawn if one.fault is None]
    for number, index in enumerate(rng.permutation(len(portraits))[:16]):
        original = portraits[index]
        content = (folder / original.file).read_bytes()
        (query,) = original.people
        if number < 6:
            keep(content, query, original.people, "copy", original.file)
        elif number < 13:
            keep(_encoded_again(content, rng), query, original.people, "re-encoded", original.file)
        else:
            keep(content[: len(content) // 2], query, original.people, "truncated", original.file)
    for _ in range(3):
        keep(_jpeg(draw_hills(look_of(photo()), (480, 360))), int(rng.integers(people)), (), "no face")
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return drawn


def search_term(person: int) -> str:
    """The name under which a drawn person is found. Nobody's name."""
    return _NAMES[person] if person < len(_NAMES) else f"Person {person + 1}"


def _jpeg(picture: Image.Image, quality: int = 88) -> bytes:
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=quality)
    return content.getvalue()


def _encoded_again(content: bytes, rng: np.random.Generator) -> bytes:
    """The same photo, saved smaller and worse, with up to 3 % of its edges gone."""
    with Image.open(io.BytesIO(content)) as picture:
        width, height = picture.size
        left, top = (int(side * rng.uniform(0, 0.03)) for side in (width, height))
        cropped = picture.crop((left, top, width - left, height - top))
    scale = rng.uniform(0.6, 0.95)
    return _jpeg(
        cropped.resize((round(cropped.width * scale), round(cropped.height * scale))), int(rng.integers(55, 85))
    )


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]
