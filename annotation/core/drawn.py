"""Portraits of nobody, drawn with Pillow: the sample to try everything on, and faces for tests.

A person is a set of features that stay (`Person`), a photo is a set of things that pass (`Look`). Both follow
from a seed, so a picture can be drawn again at any time, and who is on it is known without asking anyone.

Positions on a head are in head units: the head is two wide, x runs to the picture's right, y downwards, the
eyes are near y = 0. Each feature lies on an ellipsoid that is turned by yaw, pitch and roll and then seen from
far away, so that a turned head moves its nose more than its ears.
"""

import csv
import hashlib
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

T = TypeVar("T")
Fault = Literal["wrong person", "group", "copy", "re-encoded", "truncated", "no face"]
Colour = tuple[int, int, int]
Floats = npt.NDArray[np.float64]  # (n, 2) unless said otherwise

_OVERSAMPLE = 2  # drawn twice as large, then reduced: Pillow's polygons have hard edges

_SKINS: tuple[Colour, ...] = (
    (255, 224, 205), (84, 53, 40), (232, 184, 150), (141, 92, 66), (247, 203, 172), (198, 141, 104), (110, 70, 51),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (36, 28, 26), (214, 176, 104), (120, 62, 34), (190, 188, 186), (168, 72, 36), (74, 48, 34), (92, 84, 88),
)  # fmt: skip
_IRISES: tuple[Colour, ...] = ((78, 52, 34), (72, 118, 158), (88, 122, 74), (118, 84, 44), (104, 120, 128))
_CLOTHES: tuple[Colour, ...] = (
    (58, 92, 132), (176, 72, 66), (84, 128, 98), (228, 196, 108), (122, 92, 140), (60, 64, 74), (220, 218, 212),
)  # fmt: skip
_ROOM = {"afro": 0.82, "curly": 0.9, "bun": 0.9}  # big hair fits the picture on a smaller head
_SHADOWS: tuple[Colour, ...] = ((70, 60, 130), (120, 60, 110), (40, 110, 110), (60, 50, 50))
_STYLES = ("short", "long", "bald", "curly", "parted", "bob", "afro", "fringe", "bun")
_BEARDS = ("full", "moustache", "stubble", "goatee")
_GLASSES = ("none", "none", "round", "none", "square")
_FRAMES: tuple[Colour, ...] = ((32, 28, 30), (150, 40, 44), (176, 140, 70), (60, 70, 120))


_NAMES = (
    "Robin Vale", "Kim Arden", "Noor Lindqvist", "Sasha Merrow", "Ade Castell", "Jules Okoro",
    "Alex Thornby", "Remy Salt", "Toni Brask", "Charlie Umber", "Dana Fairweather", "Luca Pellow",
)  # fmt: skip
_FIRST_DAY = date(2015, 1, 1)

CAST: tuple[int, ...] = ()


@dataclass(frozen=True)
class Person:
    """What stays from photo to photo. Lengths are in head units."""

    skin: Colour
    hair: Colour
    iris: Colour
    style: str
    beard: str
    glasses: str
    frame: Colour
    width: float  # of the head over its usual width
    jaw: float  # 0: round chin, 1: narrow
    square: float  # exponent of the outline: 2 is an ellipse
    length: float  # from the eyes to the chin
    eye_apart: float  # from the middle to an eye
    eye_size: float
    eye_open: float
    eye_slant: float
    brow_thick: float
    brow_high: float
    brow_slant: float
    nose_long: float
    nose_wide: float
    mouth_high: float  # from the eyes to the mouth
    mouth_wide: float
    lips: float
    lip_colour: Colour
    blush: float
    freckles: int
    mole: tuple[float, float] | None
    hairline: float
    wrinkles: float
    relief: float  # how deep the shadows of sockets, cheeks and nose are
    eye_shadow: Colour
    make_up: float
    lashes: float


@dataclass(frozen=True)
class Look:
    """What passes: another photo, another look. Angles in degrees, as in `inference.core.types.Pose`."""

    yaw: float
    pitch: float
    roll: float
    smile: float  # -1 sad, 0 neutral, 1 broad
    mouth_open: float
    brows_up: float
    lids: float  # 1 as usual, less when squinting
    gaze: float
    zoom: float
    shift: tuple[float, float]  # of the head from the middle, as shares of the picture
    light: float  # from which side: -1 left, 1 right
    light_strength: float
    exposure: float
    warmth: float
    noise: float
    blur: float
    clothes: Colour
    background: int


def person_of(seed: int) -> Person:
    """The same seed gives the same person. Those of the first seeds are cast to be unlike one another."""
    rng = np.random.default_rng([CAST[seed] if seed < len(CAST) else seed + 1_000, 1])

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    style = _pick(_STYLES, rng)
    skin = _pick(_SKINS, rng)
    nose = between(0.3, 0.7)
    mouth = nose + between(0.18, 0.38)
    bearded = style not in ("bob", "bun", "fringe", "long") and rng.random() < 0.6
    lip_base = _mix(skin, (176, 58, 66), between(0.25, 0.6))
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
        lip_colour=lip_base,
        blush=between(0.0, 0.35),
        freckles=40 if rng.random() < 0.15 else 0,
        mole=(float(rng.uniform(-0.5, 0.5)), float(rng.uniform(0.3, 0.7))) if rng.random() < 0.25 else None,
        hairline=between(-0.98, -0.68),
        wrinkles=between(0.0, 1.0) ** 1.5,
        relief=between(0.3, 1.7),
        eye_shadow=_pick(_SHADOWS, rng),
        make_up=max(0.0, between(-0.5, 0.7)) if not bearded else 0.0,
        lashes=between(0.0, 1.0) if not bearded else 0.0,
    )


def look_of(seed: int) -> Look:
    """An everyday photo: mostly frontal, mostly friendly, never the same light."""
    rng = np.random.default_rng([seed, 2])
    smile = float(np.clip(rng.normal(0.35, 0.45), -0.7, 1.0))
    return Look(
        yaw=float(np.clip(rng.normal(0, 9), -20, 20)),
        pitch=float(np.clip(rng.normal(0, 5), -10, 10)),
        roll=float(np.clip(rng.normal(0, 6), -14, 14)),
        smile=smile,
        mouth_open=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.3 else 0.0,
        brows_up=float(rng.normal(0.0, 0.025)),
        lids=float(rng.uniform(0.8, 1.1)),
        gaze=float(rng.uniform(-0.25, 0.25)),
        zoom=float(rng.uniform(0.85, 1.15)),
        shift=(float(rng.uniform(-0.05, 0.05)), float(rng.uniform(-0.04, 0.04))),
        light=float(rng.choice([-1.0, 1.0])),
        light_strength=float(rng.uniform(0.08, 0.3)),
        exposure=float(rng.uniform(0.86, 1.1)),
        warmth=float(rng.uniform(-0.05, 0.06)),
        noise=float(rng.uniform(1.0, 4.0)),
        blur=float(rng.uniform(0.0, 0.6)),
        clothes=_pick(_CLOTHES, rng),
        background=int(rng.integers(1 << 30)),
    )


def draw_portrait(person_seed: int, photo_seed: int, size: tuple[int, int] = (360, 420)) -> Image.Image:
    """One photo of one person: RGB, `size` is (width, height) in pixels."""
    return _photo([person_of(person_seed)], look_of(photo_seed), size)


def draw_group(person_seeds: Sequence[int], photo_seed: int, size: tuple[int, int] = (640, 400)) -> Image.Image:
    """Several people side by side, from left to right; `middle_of` says whose photo it is."""
    return _photo([person_of(seed) for seed in person_seeds], look_of(photo_seed), size)


def middle_of(people: Sequence[int]) -> int:
    """Whose face is nearest to the middle of `draw_group`'s picture."""
    return people[len(people) // 2]


def draw_landscape(photo_seed: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """Hills under a sky: a picture without a face."""
    rng = np.random.default_rng([photo_seed, 3])
    width, height = size
    sheet = _Sheet((width * _OVERSAMPLE, height * _OVERSAMPLE), (150, 190, 224), (236, 226, 206))
    wide, tall = sheet.image.size
    sun = np.array([[rng.uniform(0.15, 0.85) * wide, rng.uniform(0.12, 0.3) * tall]])
    sheet.fill(sun + _circle(0.06 * tall), (255, 240, 190))
    across = np.linspace(0, 1, 60)
    for layer in range(4):
        waves = sum(rng.uniform(0.01, 0.05) * np.sin(across * rng.uniform(3, 14) + rng.uniform(0, 6)) for _ in range(3))
        ridge = np.column_stack([across * wide, (0.45 + 0.13 * layer + waves) * tall])
        below = np.array([[wide, tall], [0, tall]])
        sheet.fill(np.vstack([ridge, below]), _mix((150, 176, 150), (44, 84, 62), layer / 3))
    return _developed(sheet.image, look_of(photo_seed), size)


# ---- a scrape


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
        keep(_jpeg(draw_landscape(photo())), int(rng.integers(people)), (), "no face")
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


# ---- one picture


def _photo(people: Sequence[Person], look: Look, size: tuple[int, int]) -> Image.Image:
    width, height = size[0] * _OVERSAMPLE, size[1] * _OVERSAMPLE
    sheet = _background(look.background, (width, height))
    share = width / len(people)
    head = 0.3 * min(share, 0.85 * height) * look.zoom * (1.0 if len(people) == 1 else 0.85)
    rng = np.random.default_rng([look.background, 4])
    # Of an even number nobody would be in the middle: the row stands a little to the left.
    aside = 0.15 * share if len(people) % 2 == 0 else 0.0
    for index, person in enumerate(people):
        own = look if index == 0 else _varied(look, rng)
        shift = np.array(own.shift) * (share, height)
        middle = np.array([(index + 0.5) * share - aside, 0.47 * height]) + shift
        room = _ROOM.get(person.style, 1.0)
        middle[1] += head * (1 - room) * 0.9
        _Head(sheet, person, own, middle, head * room).draw()
    return _developed(sheet.image, look, size)


def _varied(look: Look, rng: np.random.Generator) -> Look:
    """The others of a group hold their heads otherwise, in the same light."""
    other = look_of(int(rng.integers(1 << 30)))
    return replace(
        other, light=look.light, light_strength=look.light_strength, zoom=look.zoom, background=look.background
    )


def _background(seed: int, size: tuple[int, int]) -> "_Sheet":
    """A soft room or garden: a gradient with a few blurred lights."""
    rng = np.random.default_rng([seed, 5])
    top = tuple(int(value) for value in rng.uniform(90, 215, 3))
    sheet = _Sheet(size, (top[0], top[1], top[2]), _mix((top[0], top[1], top[2]), (70, 72, 80), 0.45))
    width, height = size
    for _ in range(int(rng.integers(3, 9))):
        radius = rng.uniform(0.04, 0.16) * width
        at = np.array([[rng.uniform(0, width), rng.uniform(0, height * 0.8)]])
        tint = tuple(int(value) for value in rng.uniform(120, 250, 3))
        sheet.fill(at + _circle(radius), (tint[0], tint[1], tint[2]), alpha=rng.uniform(0.15, 0.45), blur=radius / 5)
    return sheet


def _developed(image: Image.Image, look: Look, size: tuple[int, int]) -> Image.Image:
    """The lens and the film: reduced to size, blurred, lit, coloured, with grain."""
    small = image.resize(size, Image.Resampling.LANCZOS)
    if look.blur > 0.1:
        small = small.filter(ImageFilter.GaussianBlur(look.blur))
    pixels = np.asarray(small, np.float32)
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :, None]
    lit = pixels * look.exposure * (1 + look.light * look.light_strength * 0.5 * across)
    lit *= np.array([1 + look.warmth, 1, 1 - look.warmth], np.float32)
    rng = np.random.default_rng([look.background, 6])
    lit += rng.normal(0, look.noise, lit.shape).astype(np.float32)
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


class _Sheet:
    """A picture that soft-edged shapes are laid on."""

    def __init__(self, size: tuple[int, int], top: Colour, bottom: Colour) -> None:
        ramp = np.linspace(0, 1, size[1])[:, None, None]
        rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
        self.image = Image.fromarray(np.broadcast_to(rows, (size[1], size[0], 3)).astype(np.uint8))

    def fill(
        self, outline: Floats, colour: Colour, *, alpha: float = 1.0, blur: float = 0.0, inside: Floats | None = None
    ) -> None:
        """A polygon in pixels, blurred by a radius in pixels, cut off at another polygon."""
        reach = 3 * blur + 2
        left, top = np.floor(outline.min(axis=0) - reach).astype(int)
        right, bottom = np.ceil(outline.max(axis=0) + reach).astype(int)
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, self.image.width), min(bottom, self.image.height)
        if right <= left or bottom <= top:
            return
        corner = np.array([left, top])
        mask = _mask(outline - corner, (right - left, bottom - top), round(255 * alpha))
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        if inside is not None:
            mask = ImageChops.multiply(mask, _mask(inside - corner, mask.size, 255))
        self.image.paste(colour, (int(left), int(top)), mask)

    def stroke(
        self, path: Floats, colour: Colour, width: float, *, alpha: float = 1.0, blur: float = 0.0,
        inside: Floats | None = None, taper: bool = True,
    ) -> None:  # fmt: skip
        """A brush stroke along a path, thinner at its ends."""
        along = np.gradient(path, axis=0)
        across = np.column_stack([-along[:, 1], along[:, 0]])
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        half = np.full(len(path), width / 2)
        if taper:
            half *= np.sin(np.linspace(0.12, math.pi - 0.12, len(path))) ** 0.6
        edge = across * half[:, None]
        self.fill(np.vstack([path + edge, (path - edge)[::-1]]), colour, alpha=alpha, blur=blur, inside=inside)


def _mask(outline: Floats, size: tuple[int, int], value: int) -> Image.Image:
    mask = Image.new("L", (int(size[0]), int(size[1])), 0)
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in outline], fill=value)
    return mask


# ---- one head


class _Head:
    """One person drawn on a sheet, from the back to the front."""

    def __init__(self, sheet: _Sheet, person: Person, look: Look, middle: Floats, scale: float) -> None:
        self.sheet, self.person, self.look = sheet, person, look
        self._middle, self._scale = middle, scale
        yaw, pitch, roll = (math.radians(angle) for angle in (look.yaw, look.pitch, look.roll))
        self._yaw, self._pitch = (math.sin(yaw), math.cos(yaw)), (math.sin(pitch), math.cos(pitch))
        self._roll = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
        self._rng = np.random.default_rng([round(1e4 * (person.width + person.nose_long)), 7])
        self.outline = self.flat(self._head_outline())
        self.dark = _mix(person.skin, (40, 16, 16), 0.45)

    # -- from head units to pixels

    def flat(self, points: Floats) -> Floats:
        """Points of the silhouette, which a turn of the head hardly changes: only rolled."""
        return np.asarray(points @ self._roll.T * self._scale + self._middle, np.float64)

    def on(self, points: Iterable[tuple[float, float]] | Floats, lift: float = 0.0) -> Floats:
        """Points on the face, `lift` above it, turned with the head."""
        flat = np.asarray(points if isinstance(points, np.ndarray) else list(points), np.float64)
        x, y = flat[:, 0], flat[:, 1]
        depth = 0.85 * np.sqrt(np.clip(1 - (x / 1.2) ** 2 - (y / 1.75) ** 2, 0, None)) + lift
        turned = x * self._yaw[1] + depth * self._yaw[0]
        behind = depth * self._yaw[1] - x * self._yaw[0]
        return self.flat(np.column_stack([turned, y * self._pitch[1] - behind * self._pitch[0]]))

    def _head_outline(self, grow: float = 0.0) -> Floats:
        person = self.person
        angle = np.linspace(0, 2 * math.pi, 120, endpoint=False)
        power = 2 / person.square
        x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
        y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
        down = np.clip(y, 0, None)
        x = x * (0.94 * person.width) * (1 - 0.42 * person.jaw * down**2)
        y = np.where(y > 0, y * person.length, y * 1.22)
        return np.column_stack([x, y]) * (1 + grow)

    # -- the parts

    def draw(self) -> None:
        self._hair_behind()
        self._body()
        self._ears()
        self._skin()
        self._beard()
        for side in (-1, 1):
            self._eye(side)
            self._brow(side)
        self._nose()
        self._mouth()
        self._hair_in_front()
        self._wear_glasses()

    def _body(self) -> None:
        sheet, scale = self.sheet, self._scale
        chin = self.person.length
        shade = _mix(self.person.skin, (50, 20, 20), 0.28)
        shoulders = _smooth(
            [(-0.45, chin + 0.28), (-1.3, chin + 0.62), (-1.75, chin + 1.1), (-1.9, chin + 3)], closed=False
        )
        body = np.vstack([shoulders, shoulders[::-1] * (-1, 1)])
        straight = body * scale + self._middle
        sheet.fill(straight, self.look.clothes)
        sheet.fill(straight + (self.look.light * -0.5 * scale, 0.5 * scale), (0, 0, 0), alpha=0.16, blur=0.3 * scale,
                   inside=straight)  # fmt: skip
        # The head rolls and the shoulders do not: the neck joins the two.
        collar = _smooth([(-0.54, chin + 0.3), (-0.3, chin + 0.56), (0, chin + 0.66), (0.3, chin + 0.56),
                          (0.54, chin + 0.3)], closed=False) * scale + self._middle  # fmt: skip
        neck = np.vstack([self.flat(np.array([[-0.46, 0.5], [-0.44, chin]])), collar,
                          self.flat(np.array([[0.44, chin], [0.46, 0.5]]))])  # fmt: skip
        sheet.fill(neck, shade)
        sheet.fill(self.outline + (0, 0.16 * scale), (60, 24, 20), alpha=0.35, blur=0.08 * scale, inside=neck)
        sheet.stroke(collar, _mix(self.look.clothes, (0, 0, 0), 0.22), 0.09 * scale, taper=False)

    def _ears(self) -> None:
        for side in (-1, 1):
            x = side * 0.96 * self.person.width
            ear = _ellipse(x, 0.08, 0.13, 0.26)
            self.sheet.fill(self.flat(ear), _mix(self.person.skin, self.dark, 0.18))
            self.sheet.stroke(
                self.flat(_ellipse(x, 0.08, 0.07, 0.16)[10:38]), self.dark, 0.025 * self._scale, alpha=0.5
            )

    def _skin(self) -> None:
        person, scale, sheet = self.person, self._scale, self.sheet
        sheet.fill(self.outline, person.skin)
        away = -self.look.light
        shadow = _mix(person.skin, (36, 10, 14), 0.6)
        side = self.flat(_ellipse(away * 1.15, 0.3, 0.5, 1.5))
        strength = 0.25 + self.look.light_strength
        sheet.fill(side, shadow, alpha=strength, blur=0.22 * scale, inside=self.outline)
        sheet.fill(self.flat(_ellipse(0, person.length + 0.08, 0.8, 0.3)), shadow, alpha=0.35, blur=0.14 * scale,
                   inside=self.outline)  # fmt: skip
        light = _mix(person.skin, (255, 250, 240), 0.45)
        sheet.fill(self.on(_ellipse(self.look.light * 0.25, -0.6, 0.4, 0.26)), light, alpha=0.4, blur=0.16 * scale,
                   inside=self.outline)  # fmt: skip
        for at in (-1, 1):
            sheet.fill(self.on(_ellipse(at * 0.52, 0.42, 0.22, 0.16)), _mix(person.skin, (220, 60, 60), 0.5),
                       alpha=person.blush, blur=0.1 * scale, inside=self.outline)  # fmt: skip
            sheet.fill(self.on(_ellipse(at * person.eye_apart, -0.02, 0.27, 0.2)), shadow, alpha=0.3 * person.relief,
                       blur=0.09 * scale)  # fmt: skip
            sheet.fill(self.on(_ellipse(at * 0.72, 0.5, 0.16, 0.34)), shadow, alpha=0.22 * person.relief,
                       blur=0.1 * scale, inside=self.outline)  # fmt: skip
            fold = [(at * 0.3, 0.48), (at * 0.42, 0.62), (at * 0.46, 0.8)]
            depth = 0.12 + 0.6 * person.wrinkles + 0.2 * max(0.0, self.look.smile)
            sheet.stroke(self.on(_smooth(fold, closed=False)), self.dark, (0.03 + 0.02 * person.wrinkles) * scale, alpha=depth,
                         blur=0.012 * scale)  # fmt: skip
        for row in range(round(3 * person.wrinkles)):
            y = -0.52 - 0.12 * row
            sheet.stroke(self.on(_smooth([(-0.4, y), (0, y - 0.04), (0.4, y)], closed=False)), self.dark,
                         0.025 * scale, alpha=0.6 * person.wrinkles, blur=0.008 * scale)  # fmt: skip
        self._marks()

    def _marks(self) -> None:
        person = self.person
        brown = _mix(person.skin, (110, 50, 24), 0.6)
        for x, y in self._rng.uniform((-0.6, 0.1), (0.6, 0.6), (person.freckles, 2)):
            self.sheet.fill(self.on(_ellipse(x, y, 0.014, 0.014)), brown, alpha=0.7)
        if person.mole:
            self.sheet.fill(self.on(_ellipse(*person.mole, 0.03, 0.03)), _mix(person.skin, (30, 12, 8), 0.75))

    def _beard(self) -> None:
        person, scale = self.person, self._scale
        if person.beard == "none":
            return
        mouth = person.mouth_high
        moustache = _smooth(
            [(-0.36, mouth - 0.02), (-0.2, mouth - 0.15), (0, mouth - 0.17), (0.2, mouth - 0.15), (0.36, mouth - 0.02),
             (0.18, mouth - 0.05), (0, mouth - 0.07), (-0.18, mouth - 0.05)]
        )  # fmt: skip
        chin = person.length
        full = _smooth(
            [(-0.98, 0.25), (-0.8, 0.5), (-0.5, 0.58), (0, mouth - 0.17), (0.5, 0.58), (0.8, 0.5), (0.98, 0.25),
             (0.95, chin), (0.4, chin + 0.2), (-0.4, chin + 0.2), (-0.95, chin)]
        )  # fmt: skip
        goatee = _ellipse(0, (mouth + chin) / 2 + 0.1, 0.3, (chin - mouth) / 2 + 0.02)
        colour = _mix(person.hair, person.skin, 0.12)
        if person.beard in ("full", "stubble"):
            alpha = 0.95 if person.beard == "full" else 0.42
            self.sheet.fill(self.on(full), colour, alpha=alpha, blur=0.04 * scale, inside=self.outline)
        if person.beard == "goatee":
            self.sheet.fill(self.on(goatee), colour, alpha=0.92, blur=0.025 * scale, inside=self.outline)
        if person.beard in ("moustache", "goatee", "full"):
            self.sheet.fill(self.on(moustache, 0.06), colour, alpha=0.97, blur=0.01 * scale)

    def _eye(self, side: int) -> None:
        person, look, sheet, scale = self.person, self.look, self.sheet, self._scale
        x, size = side * person.eye_apart, person.eye_size
        squint = look.lids * (1 - 0.25 * max(0.0, look.smile)) * (1 + 0.3 * max(0.0, look.brows_up / 0.05) * 0.3)
        tall = size * person.eye_open * squint
        slant = side * person.eye_slant * size

        def lid(height: float) -> list[tuple[float, float]]:
            steps = np.linspace(-1, 1, 13)
            return [(x + u * size, -height * (1 - u * u) ** 0.75 + slant * -u * side) for u in steps]

        upper, lower = lid(tall * 1.15), lid(-tall * 0.85)
        almond = self.on(upper + lower[::-1])
        if person.make_up:
            shadowed = _ellipse(x, -tall * 1.1, size * 1.2, size * 0.65)
            sheet.fill(self.on(shadowed), person.eye_shadow, alpha=person.make_up, blur=0.05 * scale)
        sheet.fill(almond, (244, 240, 236))
        round_iris = size * 0.52
        centre = (x + look.gaze * size * 0.6, -tall * 0.1)
        sheet.fill(self.on(_ellipse(*centre, round_iris, round_iris)), person.iris, inside=almond)
        sheet.fill(self.on(_ellipse(*centre, round_iris, round_iris)), (20, 14, 12), alpha=0.35, blur=0.02 * scale,
                   inside=almond)  # fmt: skip
        sheet.fill(self.on(_ellipse(*centre, round_iris * 0.5, round_iris * 0.5)), (12, 10, 10), inside=almond)
        glint = (centre[0] + look.light * round_iris * 0.35, centre[1] - round_iris * 0.35)
        sheet.fill(self.on(_ellipse(*glint, round_iris * 0.22, round_iris * 0.22)), (255, 255, 255), inside=almond)
        sheet.stroke(self.on(upper), (0, 0, 0), 0.09 * tall * 4, alpha=0.28, blur=0.02 * scale, inside=almond)
        sheet.stroke(
            self.on(upper), _mix(self.dark, (18, 10, 10), 0.75), (0.035 + 0.035 * person.lashes) * scale, alpha=0.95
        )
        sheet.stroke(self.on(lower), self.dark, 0.018 * scale, alpha=0.55)
        crease = [(u, v - 0.075 - 0.3 * (person.eye_open - 0.38) * size) for u, v in upper]
        sheet.stroke(self.on(crease), self.dark, 0.022 * scale, alpha=0.55)
        if person.wrinkles > 0.25:
            bag = [(u, v + 0.07) for u, v in lower[2:-2]]
            sheet.stroke(self.on(bag), self.dark, 0.025 * scale, alpha=0.7 * person.wrinkles, blur=0.008 * scale)

    def _brow(self, side: int) -> None:
        person = self.person
        y = -person.brow_high - self.look.brows_up
        inner, outer = person.eye_apart - 0.2, person.eye_apart + 0.24
        tilt = person.brow_slant * 0.25 - 0.05 * min(0.0, self.look.smile)
        path = _smooth(
            [(side * inner, y + tilt * 0.5), (side * (inner * 0.4 + outer * 0.6), y - 0.07 - tilt * 0.4),
             (side * outer, y + 0.03 - tilt * 0.5)],
            closed=False,
        )  # fmt: skip
        colour = _mix(person.hair, (40, 30, 26), 0.45)
        self.sheet.stroke(self.on(path), colour, person.brow_thick * 1.6 * self._scale, alpha=0.92,
                          blur=0.008 * self._scale)  # fmt: skip

    def _nose(self) -> None:
        person, sheet, scale = self.person, self.sheet, self._scale
        tip, half = person.nose_long, person.nose_wide
        away = -self.look.light
        bridge = [(away * 0.07, -0.12), (away * 0.06, tip * 0.5), (away * half * 0.95, tip * 0.95)]
        sheet.stroke(self.on(_smooth(bridge, closed=False), 0.12), self.dark, 0.09 * scale, alpha=min(1.0, 0.38 * person.relief),
                     blur=0.035 * scale)  # fmt: skip
        shine = _mix(person.skin, (255, 252, 246), 0.55)
        sheet.fill(self.on(_ellipse(-away * 0.02, tip * 0.86, 0.06, 0.055), 0.28), shine, alpha=0.6, blur=0.025 * scale)
        sheet.fill(self.on(_ellipse(-away * 0.015, tip * 0.35, 0.028, 0.2), 0.18), shine, alpha=0.4, blur=0.02 * scale)
        base = [(-half, tip - 0.06), (-half * 0.75, tip + 0.035), (-half * 0.3, tip + 0.02), (0, tip + 0.06),
                (half * 0.3, tip + 0.02), (half * 0.75, tip + 0.035), (half, tip - 0.06)]  # fmt: skip
        sheet.stroke(self.on(_smooth(base, closed=False), 0.14), self.dark, 0.035 * scale, alpha=0.8,
                     blur=0.006 * scale)  # fmt: skip
        for side in (-1, 1):
            sheet.fill(self.on(_ellipse(side * half * 0.48, tip + 0.012, half * 0.25, 0.026), 0.16),
                       _mix(self.dark, (20, 6, 6), 0.6), alpha=0.85, blur=0.006 * scale)  # fmt: skip
            wing = _ellipse(side * half * 0.85, tip - 0.045, half * 0.28, 0.075)
            half_wing = wing[:25] if side > 0 else np.vstack([wing[23:48], wing[:1]])
            sheet.stroke(self.on(half_wing[:13] if side > 0 else half_wing[:13], 0.1), self.dark, 0.022 * scale,
                         alpha=0.35)  # fmt: skip

    def _mouth(self) -> None:
        person, look, sheet, scale = self.person, self.look, self.sheet, self._scale
        y, half = person.mouth_high, person.mouth_wide * (1 + 0.22 * max(0.0, look.smile))
        lift = 0.11 * look.smile
        gape = 0.16 * look.mouth_open
        thin = person.lips * (1 - 0.2 * max(0.0, look.smile))
        left, right = (-half, y - lift), (half, y - lift)
        middle_up, middle_low = y + 0.25 * lift - gape * 0.15, y + 0.25 * lift + gape
        top = [left, (-half * 0.4, middle_up - thin * 0.8), (-half * 0.14, middle_up - thin), (0, middle_up - thin * 0.8),
               (half * 0.14, middle_up - thin), (half * 0.4, middle_up - thin * 0.8), right]  # fmt: skip
        seam_up = [
            left,
            (-half * 0.5, middle_up - lift * 0.3),
            (0, middle_up),
            (half * 0.5, middle_up - lift * 0.3),
            right,
        ]
        seam_low = [
            left,
            (-half * 0.5, middle_low - lift * 0.3),
            (0, middle_low),
            (half * 0.5, middle_low - lift * 0.3),
            right,
        ]
        low = [
            left,
            (-half * 0.5, middle_low + thin * 0.9),
            (0, middle_low + thin * 1.25),
            (half * 0.5, middle_low + thin * 0.9),
            right,
        ]
        upper_curve, lower_curve = _smooth(seam_up, closed=False), _smooth(seam_low, closed=False)
        if gape:
            hole = self.on(np.vstack([upper_curve, lower_curve[::-1]]), 0.03)
            sheet.fill(hole, (70, 20, 24))
            teeth = self.on(np.vstack([upper_curve, (upper_curve + (0, 0.075))[::-1]]), 0.03)
            sheet.fill(teeth, (246, 242, 234), inside=hole)
        upper_lip = self.on(np.vstack([_smooth(top, closed=False), upper_curve[::-1]]), 0.04)
        lower_lip = self.on(np.vstack([_smooth(low, closed=False), lower_curve[::-1]]), 0.04)
        sheet.fill(upper_lip, _mix(person.lip_colour, (60, 10, 20), 0.2), blur=0.004 * scale)
        sheet.fill(lower_lip, person.lip_colour, blur=0.004 * scale)
        sheet.fill(self.on(_ellipse(0, middle_low + thin * 0.6, half * 0.35, thin * 0.3), 0.06), (255, 235, 230), alpha=0.25,
                   blur=0.02 * scale)  # fmt: skip
        if not gape:
            sheet.stroke(self.on(upper_curve, 0.04), _mix(self.dark, (60, 10, 14), 0.6), 0.03 * scale, alpha=0.9)
        sheet.fill(self.on(_ellipse(0, middle_low + thin * 1.25 + 0.08, half * 0.6, 0.04)), self.dark, alpha=0.3,
                   blur=0.03 * scale)  # fmt: skip

    # -- hair

    def _hair_behind(self) -> None:
        person, scale = self.person, self._scale
        chin, wide = person.length, person.width
        dark = _mix(person.hair, (0, 0, 0), 0.25)
        if person.style == "long":
            self._lock([(-0.9, -0.9), (-1.22 * wide, 0.2), (-1.3, chin), (-1.2, chin + 0.9), (1.2, chin + 0.9), (1.3, chin),
                        (1.22 * wide, 0.2), (0.9, -0.9), (0, -1.45)], dark)  # fmt: skip
        if person.style in ("bob", "fringe"):
            end = chin - 0.1 if person.style == "bob" else chin + 0.25
            self._lock([(-0.9, -0.9), (-1.25 * wide, 0.0), (-1.28, end), (-0.6, end + 0.1), (0.6, end + 0.1), (1.28, end),
                        (1.25 * wide, 0.0), (0.9, -0.9), (0, -1.45)], dark)  # fmt: skip
        if person.style == "bun":
            self.sheet.fill(self.flat(_ellipse(0, -1.55, 0.42, 0.36)), dark)
            self.sheet.stroke(self.flat(_ellipse(0, -1.5, 0.3, 0.2)[24:47]), person.hair, 0.06 * scale, alpha=0.7)
        if person.style == "afro":
            self._curls(1.32, 0.3, 34, y_end=0.55)
        if person.style == "curly":
            self._curls(1.16, 0.26, 26, y_end=1.05)

    def _lock(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        shape = self.flat(_smooth(points))
        self.sheet.fill(shape, colour)

    def _curls(self, radius: float, size: float, count: int, *, y_end: float) -> None:
        """A ring of curls around the head, down to `y_end`."""
        start = math.asin(min(1.0, y_end / (radius * 1.2)))
        for index, angle in enumerate(np.linspace(math.pi - start, 2 * math.pi + start, count)):
            r = radius * (1 + 0.05 * math.sin(index * 2.3))
            at = (r * math.cos(angle) * self.person.width, r * 1.12 * math.sin(angle) - 0.05)
            curl = size * (0.9 + 0.25 * math.sin(index * 1.7))
            self.sheet.fill(
                self.flat(_ellipse(*at, curl, curl)), _mix(self.person.hair, (0, 0, 0), 0.2 + 0.1 * (index % 3))
            )

    def _hair_in_front(self) -> None:
        person, scale, style = self.person, self._scale, self.person.style
        if style == "bald":
            self.sheet.fill(self.flat(_ellipse(self.look.light * 0.3, -0.95, 0.24, 0.1)), (255, 255, 250), alpha=0.35,
                            blur=0.06 * scale, inside=self.outline)  # fmt: skip
            return
        grow = {"afro": 0.12, "curly": 0.12, "bun": 0.03, "short": 0.05}.get(style, 0.1)
        crown = self._head_outline(grow)
        low = {"short": -0.35, "afro": -0.1, "curly": 0.0, "bun": -0.15, "parted": -0.2}.get(style, 0.45)
        cap = crown[crown[:, 1] < low]
        cap = _from_left(cap)
        line = self._hairline(low)
        shape = self.flat(np.vstack([cap, line[::-1]]))
        self.sheet.fill(shape, person.hair, blur=0.006 * scale)
        self._strands(shape, cap, line)

    def _hairline(self, low: float) -> Floats:
        """Where hair meets the forehead, from the left temple to the right one."""
        person, style = self.person, self.person.style
        edge = 0.93 * person.width
        high = person.hairline
        temple = 0.82 * person.width
        if style == "fringe":
            inner = [(-0.7, -0.46), (-0.35, -0.42), (0, -0.46), (0.35, -0.42), (0.7, -0.46)]
        elif style == "parted":
            inner = [(-temple, -0.45), (-0.55, high - 0.05), (-0.3, high - 0.15), (0.2, high + 0.2), (temple, -0.3)]
        elif style == "bob":
            inner = [(-temple, -0.2), (-0.5, high + 0.05), (0.25, high - 0.12), (0.55, high + 0.1), (temple, -0.2)]
        elif style == "long":
            inner = [(-temple, -0.1), (-0.55, high + 0.2), (0, high - 0.18), (0.55, high + 0.2), (temple, -0.1)]
        else:
            inner = [(-temple, -0.42), (-0.6, high + 0.06), (0, high), (0.6, high + 0.06), (temple, -0.42)]
        points = [(-edge, low), *inner, (edge, low)]
        return _smooth(points, closed=False)

    def _strands(self, shape: Floats, cap: Floats, line: Floats) -> None:
        """Lighter and darker strokes from the crown to the hairline."""
        person = self.person
        if person.style in ("afro", "curly"):
            for x, y in self._rng.uniform((-1.1, -1.5), (1.1, 0.0), (70, 2)):
                tone = _mix(person.hair, (255, 240, 220), 0.14) if x > 0 else _mix(person.hair, (0, 0, 0), 0.3)
                ring = self.flat(_ellipse(x, y, 0.1, 0.1)[:30])
                self.sheet.stroke(ring, tone, 0.03 * self._scale, alpha=0.5, inside=shape)
            return
        for share in np.linspace(0.03, 0.97, 26):
            above = cap[round(share * (len(cap) - 1))]
            below = line[round(share * (len(line) - 1))]
            bend = (above + below) / 2 + (0.06 * math.sin(40 * share), 0.0)
            tone = (
                _mix(person.hair, (255, 240, 220), 0.22)
                if round(share * 97) % 2
                else _mix(person.hair, (0, 0, 0), 0.28)
            )
            path = self.flat(_smooth([tuple(above), tuple(bend), tuple(below)], closed=False))
            self.sheet.stroke(path, tone, 0.035 * self._scale, alpha=0.45, inside=shape)

    def _wear_glasses(self) -> None:
        person, scale = self.person, self._scale
        if person.glasses == "none":
            return
        frame = person.frame
        for side in (-1, 1):
            x = side * max(person.eye_apart, 0.36)
            if person.glasses == "round":
                rim = _ellipse(x, 0.02, 0.3, 0.28)
            else:
                rim = _smooth(
                    [(x - 0.31, -0.17), (x, -0.2), (x + 0.31, -0.17), (x + 0.29, 0.19), (x, 0.23), (x - 0.29, 0.19)]
                )
            lens = self.on(rim, 0.14)
            self.sheet.fill(lens, (235, 244, 255), alpha=0.1)
            self.sheet.stroke(np.vstack([lens, lens[:2]]), frame, 0.055 * scale, taper=False)
            arm = self.on([(side * (abs(x) + 0.3), -0.03), (side * 0.98 * person.width, -0.05)], 0.05)
            self.sheet.stroke(arm, frame, 0.045 * scale, taper=False)
        bridge = _smooth([(-0.09, 0.0), (0, -0.05), (0.09, 0.0)], closed=False)
        self.sheet.stroke(self.on(bridge, 0.2), frame, 0.05 * scale, taper=False)


# ---- shapes and colours


def _circle(radius: float) -> Floats:
    return _ellipse(0, 0, radius, radius)


def _ellipse(x: float, y: float, across: float, down: float) -> Floats:
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    return np.column_stack([x + across * np.cos(angle), y + down * np.sin(angle)])


def _smooth(points: Sequence[tuple[float, float]], *, closed: bool = True, steps: int = 8) -> Floats:
    """A Catmull-Rom curve (1974) through the points."""
    given = np.array(points, np.float64)
    if closed:
        ring = np.vstack([given[-1], given, given[:2]])
    else:
        ring = np.vstack([2 * given[0] - given[1], given, 2 * given[-1] - given[-2]])
    before, start, end, after = ring[:-3, None], ring[1:-2, None], ring[2:-1, None], ring[3:, None]
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.vstack([flat, given[-1]])


def _from_left(points: Floats) -> Floats:
    """Points of an arc over the head, in order from its left end to its right end."""
    return points[np.argsort(np.arctan2(points[:, 0], -points[:, 1]))]


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _pick(options: Sequence[T], rng: np.random.Generator) -> T:
    return options[int(rng.integers(len(options)))]
