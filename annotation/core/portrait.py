"""How a portrait is drawn: what a person and a photo are made of, and the brush.

Positions on a head are in head units: the head is two wide, x runs to the picture's right, y downwards, the
eyes are at y = 0. Each feature lies on an ellipsoid that is turned by yaw, pitch and roll and then seen from
far away, so that a turned head moves its nose more than its ears.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Points = npt.NDArray[np.float64]  # (n, 2)
Outline = Points | Iterable[tuple[float, float]]

STYLES = ("short", "long", "bald", "curly", "parted", "bob", "afro", "fringe", "bun")
OVERSAMPLING = 2  # drawn twice as large, then reduced: Pillow's polygons have hard edges

_HEAD_ROOM = {"afro": 0.82, "curly": 0.9, "bun": 0.9}  # big hair fits the picture on a smaller head
_WHITE, _BLACK = (255, 255, 255), (0, 0, 0)


@dataclass(frozen=True)
class Person:
    """What stays from photo to photo. Lengths are in head units."""

    skin: Colour
    hair: Colour
    iris: Colour
    style: str  # of the hair: one of STYLES
    beard: str  # none, full, stubble, goatee, moustache
    glasses: str  # none, round, square
    frame: Colour
    width: float  # of the head over its usual width
    jaw: float  # 0: broad chin, 1: narrow
    square: float  # exponent of the outline: 2 is an ellipse
    length: float  # from the eyes to the chin
    eye_apart: float  # from the middle to an eye
    eye_size: float
    eye_open: float  # height over width
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
    wrinkles: float  # 0–1
    relief: float  # how deep the shadows of sockets, cheeks and nose are; 1 as usual
    eye_shadow: Colour
    make_up: float  # 0–1
    lashes: float  # 0–1


@dataclass(frozen=True)
class Look:
    """What passes: another photo, another look. Angles in degrees, as in `inference.core.types.Pose`."""

    yaw: float
    pitch: float
    roll: float
    smile: float  # -1 sad, 0 neutral, 1 broad
    mouth_open: float  # 0–1
    brows_up: float
    lids: float  # 1 as usual, less when squinting
    gaze: float
    zoom: float
    shift: tuple[float, float]  # of the head from the middle, as shares of the picture
    light: float  # where it comes from: -1 left, 1 right
    light_strength: float
    exposure: float
    warmth: float
    noise: float  # standard deviation in gray levels
    blur: float  # px
    clothes: Colour
    setting: int  # seed of the background and of the grain


def draw(people: Sequence[tuple[Person, Look]], size: tuple[int, int]) -> Image.Image:
    """People side by side, from left to right, in the first one's light: RGB, `size` is (width, height) in pixels."""
    _, scene = people[0]
    width, height = size[0] * OVERSAMPLING, size[1] * OVERSAMPLING
    sheet = _background(scene.setting, (width, height))
    share = width / len(people)
    scale = 0.3 * min(share, 0.85 * height) * (1.0 if len(people) == 1 else 0.85)
    # Of an even number nobody would be in the middle: the row stands a little to the left.
    aside = 0.15 * share if len(people) % 2 == 0 else 0.0
    for index, (person, look) in enumerate(people):
        room = _HEAD_ROOM.get(person.style, 1.0)
        lit = replace(look, light=scene.light, light_strength=scene.light_strength)
        own = scale * scene.zoom
        x = (index + 0.5 + look.shift[0]) * share - aside
        y = (0.47 + look.shift[1]) * height + 0.9 * own * (1 - room)
        _Head(sheet, person, lit, np.array([x, y]), own * room).draw()
    return _developed(sheet.image, scene, size)


def draw_hills(look: Look, size: tuple[int, int]) -> Image.Image:
    """Hills under a sky: a picture without a face."""
    rng = np.random.default_rng([look.setting, 3])
    width, height = size[0] * OVERSAMPLING, size[1] * OVERSAMPLING
    sheet = _Sheet((width, height), (150, 190, 224), (236, 226, 206))
    sun = ellipse(rng.uniform(0.15, 0.85) * width, rng.uniform(0.12, 0.3) * height, 0.06 * height, 0.06 * height)
    sheet.fill(sun, (255, 240, 190))
    across = np.linspace(0, 1, 60)
    for layer in range(4):
        ridge = np.full(60, 0.45 + 0.13 * layer)
        for _ in range(3):
            ridge += rng.uniform(0.01, 0.05) * np.sin(across * rng.uniform(3, 14) + rng.uniform(0, 6))
        land = np.vstack([np.column_stack([across * width, ridge * height]), [[width, height], [0, height]]])
        sheet.fill(land, mix((150, 176, 150), (44, 84, 62), layer / 3))
    return _developed(sheet.image, look, size)


def _background(seed: int, size: tuple[int, int]) -> "_Sheet":
    """A soft room or garden: a gradient with a few blurred lights."""
    rng = np.random.default_rng([seed, 5])
    top = _any_colour(rng, 90, 215)
    sheet = _Sheet(size, top, mix(top, (70, 72, 80), 0.45))
    width, height = size
    for _ in range(int(rng.integers(3, 9))):
        radius = float(rng.uniform(0.04, 0.16)) * width
        light = ellipse(rng.uniform(0, width), rng.uniform(0, height * 0.8), radius, radius)
        sheet.fill(light, _any_colour(rng, 120, 250), alpha=float(rng.uniform(0.15, 0.45)), blur=radius / 5)
    return sheet


def _developed(image: Image.Image, look: Look, size: tuple[int, int]) -> Image.Image:
    """The lens and the film: reduced to size, blurred, lit from one side, tinted, with grain."""
    small = image.resize(size, Image.Resampling.LANCZOS)
    if look.blur > 0.1:
        small = small.filter(ImageFilter.GaussianBlur(look.blur))
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :, None]
    pixels = np.asarray(small, np.float32) * look.exposure * (1 + look.light * look.light_strength * 0.5 * across)
    pixels *= np.array([1 + look.warmth, 1, 1 - look.warmth], np.float32)
    rng = np.random.default_rng([look.setting, 6])
    pixels += look.noise * rng.standard_normal(pixels.shape, np.float32)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


class _Sheet:
    """A picture that soft-edged shapes are laid on. All lengths are in pixels."""

    def __init__(self, size: tuple[int, int], top: Colour, bottom: Colour) -> None:
        down = np.linspace(0, 1, size[1])[:, None, None]
        rows = np.array(top) * (1 - down) + np.array(bottom) * down
        self.image = Image.fromarray(np.broadcast_to(rows, (size[1], size[0], 3)).astype(np.uint8))

    def fill(
        self, outline: Points, colour: Colour, *, alpha: float = 1.0, blur: float = 0.0, inside: Points | None = None
    ) -> None:
        """A polygon with a blurred edge, cut off at the outline of another one."""
        reach = 3 * blur + 2
        left, top = (max(int(low - reach), 0) for low in outline.min(axis=0))
        right, bottom = (int(high + reach) + 1 for high in outline.max(axis=0))
        size = min(right, self.image.width) - left, min(bottom, self.image.height) - top
        if min(size) <= 0:
            return
        mask = _mask(outline - (left, top), size, alpha)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur))
        if inside is not None:
            mask = ImageChops.multiply(mask, _mask(inside - (left, top), size))
        self.image.paste(colour, (left, top), mask)


def _mask(outline: Points, size: tuple[int, int], alpha: float = 1.0) -> Image.Image:
    mask = Image.new("L", size, 0)
    ImageDraw.Draw(mask).polygon(outline.ravel().tolist(), fill=round(255 * min(alpha, 1.0)))
    return mask


class _Head:
    """One person on a sheet, drawn from the back to the front. Lengths are in head units, `blur` too."""

    def __init__(self, sheet: _Sheet, person: Person, look: Look, middle: Points, scale: float) -> None:
        self.sheet, self.person, self.look = sheet, person, look
        self._middle, self._scale = middle, scale
        yaw, pitch, roll = (math.radians(angle) for angle in (look.yaw, look.pitch, look.roll))
        self._yaw, self._pitch = (math.sin(yaw), math.cos(yaw)), (math.sin(pitch), math.cos(pitch))
        self._roll = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
        self.outline = self._flat(self._head_outline())
        self.dark = mix(person.skin, (40, 16, 16), 0.45)
        self.shade = mix(person.skin, (36, 10, 14), 0.6)

    def draw(self) -> None:
        self._hair_behind()
        self._body()
        self._ears()
        self._skin()
        self._cheeks_and_sockets()
        self._wrinkles()
        self._marks()
        self._beard()
        for side in (-1, 1):
            self._eye(side)
            self._brow(side)
        self._nose()
        self._mouth()
        self._hair_in_front()
        self._glasses()

    # ---- from head units to pixels

    def _straight(self, points: Outline) -> Points:
        """The body's points: they follow the head's place, not its turn."""
        return as_points(points) * self._scale + self._middle

    def _flat(self, points: Outline) -> Points:
        """Points of the silhouette, which a turn of the head hardly changes: only rolled."""
        return self._straight(as_points(points) @ self._roll.T)

    def _on(self, points: Outline, lift: float = 0.0) -> Points:
        """Points on the face, `lift` in front of it, turned with the head."""
        x, y = as_points(points).T
        depth = 0.85 * np.sqrt(np.clip(1 - (x / 1.2) ** 2 - (y / 1.75) ** 2, 0, None)) + lift
        across = x * self._yaw[1] + depth * self._yaw[0]
        towards = depth * self._yaw[1] - x * self._yaw[0]
        return self._flat(np.column_stack([across, y * self._pitch[1] - towards * self._pitch[0]]))

    def _paint(
        self, pixels: Points, colour: Colour, alpha: float = 1.0, blur: float = 0.0, inside: Points | None = None
    ) -> None:
        self.sheet.fill(pixels, colour, alpha=alpha, blur=blur * self._scale, inside=inside)

    def _stroke(
        self,
        pixels: Points,
        colour: Colour,
        width: float,
        alpha: float = 1.0,
        blur: float = 0.0,
        inside: Points | None = None,
        *,
        even: bool = False,
    ) -> None:
        """A brush stroke along a path, thinner at its ends unless `even`."""
        along = np.gradient(pixels, axis=0)
        across = np.column_stack([-along[:, 1], along[:, 0]])
        across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-9)
        press = np.ones(len(pixels)) if even else np.sin(np.linspace(0.12, math.pi - 0.12, len(pixels))) ** 0.6
        edge = across * (press * width * self._scale / 2)[:, None]
        self._paint(np.vstack([pixels + edge, (pixels - edge)[::-1]]), colour, alpha, blur, inside)

    # ---- skin

    def _head_outline(self, grow: float = 0.0) -> Points:
        """A superellipse (Lamé), narrower towards the chin."""
        person = self.person
        angle = np.linspace(0, 2 * math.pi, 120, endpoint=False)
        cosine, sine = np.cos(angle), np.sin(angle)
        power = 2 / person.square
        x = np.sign(cosine) * np.abs(cosine) ** power * 0.94 * person.width
        y = np.sign(sine) * np.abs(sine) ** power
        x *= 1 - 0.42 * person.jaw * np.clip(y, 0, None) ** 2
        return np.column_stack([x, np.where(y > 0, y * person.length, y * 1.22)]) * (1 + grow)

    def _body(self) -> None:
        clothes, chin = self.look.clothes, self.person.length
        shoulders = curve(mirrored([(0.45, chin + 0.28), (1.3, chin + 0.62), (1.75, chin + 1.1), (1.9, chin + 3)]))
        body = self._straight(np.vstack([[-1.9, 20], shoulders, [1.9, 20]]))  # down to below any picture
        self._paint(body, clothes)
        shadow = body + np.array([-0.5 * self.look.light, 0.5]) * self._scale
        self._paint(shadow, _BLACK, 0.16, 0.3, body)
        # The head rolls and the shoulders do not: the neck joins the two.
        collar = self._straight(curve(mirrored([(0.0, chin + 0.66), (0.3, chin + 0.56), (0.54, chin + 0.3)])))
        left, right = self._flat([(-0.46, 0.5), (-0.44, chin)]), self._flat([(0.44, chin), (0.46, 0.5)])
        neck = np.vstack([left, collar, right])
        self._paint(neck, mix(self.person.skin, (50, 20, 20), 0.28))
        self._paint(self.outline + np.array([0, 0.16]) * self._scale, (60, 24, 20), 0.35, 0.08, neck)
        self._stroke(collar, mix(clothes, _BLACK, 0.22), 0.09, even=True)

    def _ears(self) -> None:
        x = 0.96 * self.person.width
        for side in (-1, 1):
            self._paint(self._flat(ellipse(side * x, 0.08, 0.13, 0.26)), mix(self.person.skin, self.dark, 0.18))
            self._stroke(self._flat(ellipse(side * x, 0.08, 0.07, 0.16)[10:38]), self.dark, 0.025, 0.5)

    def _skin(self) -> None:
        person, light = self.person, self.look.light
        self._paint(self.outline, person.skin)
        far_side = self._flat(ellipse(-light * 1.15, 0.3, 0.5, 1.5))
        self._paint(far_side, self.shade, 0.25 + self.look.light_strength, 0.22, self.outline)
        self._paint(self._flat(ellipse(0, person.length + 0.08, 0.8, 0.3)), self.shade, 0.35, 0.14, self.outline)
        forehead = self._on(ellipse(light * 0.25, -0.6, 0.4, 0.26))
        self._paint(forehead, mix(person.skin, (255, 250, 240), 0.45), 0.4, 0.16, self.outline)

    def _cheeks_and_sockets(self) -> None:
        person = self.person
        rosy = mix(person.skin, (220, 60, 60), 0.5)
        for side in (-1, 1):
            self._paint(self._on(ellipse(side * 0.52, 0.42, 0.22, 0.16)), rosy, person.blush, 0.1, self.outline)
            socket = self._on(ellipse(side * person.eye_apart, -0.02, 0.27, 0.2))
            self._paint(socket, self.shade, 0.3 * person.relief, 0.09)
            hollow = self._on(ellipse(side * 0.72, 0.5, 0.16, 0.34))
            self._paint(hollow, self.shade, 0.22 * person.relief, 0.1, self.outline)

    def _wrinkles(self) -> None:
        age = self.person.wrinkles
        for side in (-1, 1):
            fold = self._on(curve([(side * 0.3, 0.48), (side * 0.42, 0.62), (side * 0.46, 0.8)]))
            depth = 0.12 + 0.6 * age + 0.2 * max(0.0, self.look.smile)
            self._stroke(fold, self.dark, 0.03 + 0.02 * age, depth, 0.012)
        for row in range(round(3 * age)):
            y = -0.52 - 0.12 * row
            self._stroke(self._on(curve([(-0.4, y), (0, y - 0.04), (0.4, y)])), self.dark, 0.025, 0.6 * age, 0.008)

    def _marks(self) -> None:
        person = self.person
        rng = np.random.default_rng(round(1e6 * person.nose_long))  # the same places on every photo
        for x, y in rng.uniform((-0.6, 0.1), (0.6, 0.6), (person.freckles, 2)):
            self._paint(self._on(ellipse(x, y, 0.014, 0.014)), mix(person.skin, (110, 50, 24), 0.6), 0.7)
        if person.mole:
            self._paint(self._on(ellipse(*person.mole, 0.03, 0.03)), mix(person.skin, (30, 12, 8), 0.75))

    # ---- eyes, nose, mouth

    def _eye(self, side: int) -> None:
        person = self.person
        x, size = side * person.eye_apart, person.eye_size
        squint = self.look.lids * (1 - 0.25 * max(0.0, self.look.smile)) * (1 + 2 * max(0.0, self.look.brows_up))
        height = size * person.eye_open * squint
        steps = np.linspace(-1, 1, 13)

        def lid(high: float, lower: float = 0.0) -> Points:
            bow = -high * (1 - steps**2) ** 0.75 - side * person.eye_slant * size * steps
            return np.column_stack([x + steps * size, bow + lower])

        upper, under = lid(1.15 * height), lid(-0.85 * height)
        almond = self._on(np.vstack([upper, under[::-1]]))
        if person.make_up:
            shadowed = self._on(ellipse(x, -1.1 * height, 1.2 * size, 0.65 * size))
            self._paint(shadowed, person.eye_shadow, person.make_up, 0.05)
        self._paint(almond, (244, 240, 236))
        self._iris(x + 0.6 * self.look.gaze * size, -0.1 * height, 0.52 * size, almond)
        self._stroke(self._on(upper), _BLACK, 0.36 * height, 0.28, 0.02, almond)
        self._stroke(self._on(upper), mix(self.dark, (18, 10, 10), 0.75), 0.035 + 0.035 * person.lashes, 0.95)
        self._stroke(self._on(under), self.dark, 0.018, 0.55)
        crease = lid(1.15 * height, -0.075 - 0.3 * (person.eye_open - 0.38) * size)
        self._stroke(self._on(crease), self.dark, 0.022, 0.55)
        if person.wrinkles > 0.25:
            bag = lid(-0.85 * height, 0.07)[2:-2]
            self._stroke(self._on(bag), self.dark, 0.025, 0.7 * person.wrinkles, 0.008)

    def _iris(self, x: float, y: float, radius: float, almond: Points) -> None:
        disc = self._on(ellipse(x, y, radius, radius))
        self._paint(disc, self.person.iris, inside=almond)
        self._paint(disc, (20, 14, 12), 0.35, 0.02, almond)
        self._paint(self._on(ellipse(x, y, 0.5 * radius, 0.5 * radius)), (12, 10, 10), inside=almond)
        glint = ellipse(x + 0.35 * self.look.light * radius, y - 0.35 * radius, 0.22 * radius, 0.22 * radius)
        self._paint(self._on(glint), _WHITE, inside=almond)

    def _brow(self, side: int) -> None:
        person = self.person
        inner, outer = person.eye_apart - 0.2, person.eye_apart + 0.24
        y = -person.brow_high - self.look.brows_up
        tilt = 0.25 * person.brow_slant - 0.05 * min(0.0, self.look.smile)
        arch = [
            (side * inner, y + 0.5 * tilt),
            (side * (0.4 * inner + 0.6 * outer), y - 0.07 - 0.4 * tilt),
            (side * outer, y + 0.03 - 0.5 * tilt),
        ]
        colour = mix(person.hair, (40, 30, 26), 0.45)
        self._stroke(self._on(curve(arch)), colour, 1.6 * person.brow_thick, 0.92, 0.008)

    def _nose(self) -> None:
        person, light = self.person, self.look.light
        tip, half = person.nose_long, person.nose_wide
        bridge = curve([(-light * 0.07, -0.12), (-light * 0.06, 0.5 * tip), (-light * 0.95 * half, 0.95 * tip)])
        self._stroke(self._on(bridge, 0.12), self.dark, 0.09, 0.38 * person.relief, 0.035)
        shine = mix(person.skin, (255, 252, 246), 0.55)
        self._paint(self._on(ellipse(0.02 * light, 0.86 * tip, 0.06, 0.055), 0.28), shine, 0.6, 0.025)
        self._paint(self._on(ellipse(0.015 * light, 0.35 * tip, 0.028, 0.2), 0.18), shine, 0.4, 0.02)
        base = [(0, tip + 0.06), (0.3 * half, tip + 0.02), (0.75 * half, tip + 0.035), (half, tip - 0.06)]
        self._stroke(self._on(curve(mirrored(base)), 0.14), self.dark, 0.035, 0.8, 0.006)
        for side in (-1, 1):
            nostril = ellipse(0.48 * side * half, tip + 0.012, 0.25 * half, 0.026)
            self._paint(self._on(nostril, 0.16), mix(self.dark, (20, 6, 6), 0.6), 0.85, 0.006)
            wing = ellipse(0.85 * half, tip - 0.045, 0.28 * half, 0.075)[:13] * (side, 1)
            self._stroke(self._on(wing, 0.1), self.dark, 0.022, 0.35)

    def _mouth(self) -> None:
        person, smile = self.person, self.look.smile
        broad = max(0.0, smile)
        half, lips = person.mouth_wide * (1 + 0.22 * broad), person.lips * (1 - 0.2 * broad)
        lift, gape = 0.11 * smile, 0.16 * self.look.mouth_open
        corner = (half, person.mouth_high - lift)
        upper = person.mouth_high + 0.25 * lift - 0.15 * gape
        lower = person.mouth_high + 0.25 * lift + gape
        seam = curve(mirrored([(0, upper), (0.5 * half, upper - 0.3 * lift), corner]))
        under = curve(mirrored([(0, lower), (0.5 * half, lower - 0.3 * lift), corner]))
        bow = [(0, upper - 0.8 * lips), (0.14 * half, upper - lips), (0.4 * half, upper - 0.8 * lips), corner]
        pout = [(0, lower + 1.25 * lips), (0.5 * half, lower + 0.9 * lips), corner]
        if gape:
            hole = self._on(np.vstack([seam, under[::-1]]), 0.03)
            self._paint(hole, (70, 20, 24))
            teeth = np.vstack([seam, (seam + np.array([0, 0.075]))[::-1]])
            self._paint(self._on(teeth, 0.03), (246, 242, 234), inside=hole)
        upper_lip = np.vstack([curve(mirrored(bow)), seam[::-1]])
        self._paint(self._on(upper_lip, 0.04), mix(person.lip_colour, (60, 10, 20), 0.2), 1.0, 0.004)
        lower_lip = np.vstack([curve(mirrored(pout)), under[::-1]])
        self._paint(self._on(lower_lip, 0.04), person.lip_colour, 1.0, 0.004)
        gloss = ellipse(0, lower + 0.6 * lips, 0.35 * half, 0.3 * lips)
        self._paint(self._on(gloss, 0.06), (255, 235, 230), 0.25, 0.02)
        if not gape:
            self._stroke(self._on(seam, 0.04), mix(self.dark, (60, 10, 14), 0.6), 0.03, 0.9)
        self._paint(self._on(ellipse(0, lower + 1.25 * lips + 0.08, 0.6 * half, 0.04)), self.dark, 0.3, 0.03)

    # ---- hair and glasses

    def _beard(self) -> None:
        kind, mouth, chin = self.person.beard, self.person.mouth_high, self.person.length
        colour = mix(self.person.hair, self.person.skin, 0.12)
        if kind in ("full", "stubble"):
            cheeks = [(0, mouth - 0.17), (0.5, 0.58), (0.8, 0.5), (0.98, 0.25), (0.95, chin), (0.4, chin + 0.2)]
            whiskers = self._on(loop(mirrored(cheeks)))
            self._paint(whiskers, colour, 0.95 if kind == "full" else 0.42, 0.04, self.outline)
        if kind == "goatee":
            tuft = self._on(ellipse(0, (mouth + chin) / 2 + 0.1, 0.3, (chin - mouth) / 2 + 0.02))
            self._paint(tuft, colour, 0.92, 0.025, self.outline)
        if kind in ("full", "goatee", "moustache"):
            top = mirrored([(0, mouth - 0.17), (0.2, mouth - 0.15), (0.36, mouth - 0.02)])
            below = mirrored([(0, mouth - 0.07), (0.18, mouth - 0.05)])
            self._paint(self._on(loop([*top, *below[::-1]]), 0.06), colour, 0.97, 0.01)

    def _hair_behind(self) -> None:
        person, chin, side = self.person, self.person.length, 1.25 * self.person.width
        dark = mix(person.hair, _BLACK, 0.25)
        ends = {"long": [(1.3, chin), (1.2, chin + 0.9)], "bob": [(1.28, chin - 0.1), (0.6, chin)]}
        ends["fringe"] = [(1.28, chin + 0.25), (0.6, chin + 0.35)]
        if person.style in ends:
            self._paint(self._flat(loop(mirrored([(0, -1.45), (0.9, -0.9), (side, 0.1), *ends[person.style]]))), dark)
        elif person.style == "bun":
            self._paint(self._flat(ellipse(0, -1.55, 0.42, 0.36)), dark)
            self._stroke(self._flat(ellipse(0, -1.5, 0.3, 0.2)[24:47]), person.hair, 0.06, 0.7)
        elif person.style == "afro":
            self._curls(radius=1.32, size=0.3, count=34, down_to=0.55)
        elif person.style == "curly":
            self._curls(radius=1.16, size=0.26, count=26, down_to=1.05)

    def _curls(self, *, radius: float, size: float, count: int, down_to: float) -> None:
        """A ring of curls around the head."""
        below = math.asin(down_to / (1.2 * radius))
        for index, angle in enumerate(np.linspace(math.pi - below, 2 * math.pi + below, count)):
            away = radius * (1 + 0.05 * math.sin(2.3 * index))
            curl = size * (0.9 + 0.25 * math.sin(1.7 * index))
            at = away * math.cos(angle) * self.person.width, 1.12 * away * math.sin(angle) - 0.05
            shade = mix(self.person.hair, _BLACK, 0.2 + 0.1 * (index % 3))
            self._paint(self._flat(ellipse(*at, curl, curl)), shade)

    def _hair_in_front(self) -> None:
        style = self.person.style
        if style == "bald":
            gloss = self._flat(ellipse(0.3 * self.look.light, -0.95, 0.24, 0.1))
            self._paint(gloss, (255, 255, 250), 0.35, 0.06, self.outline)
            return
        grow = {"afro": 0.12, "curly": 0.12, "bun": 0.03, "short": 0.05}.get(style, 0.1)
        low = {"short": -0.35, "afro": -0.1, "curly": 0.0, "bun": -0.15, "parted": -0.2}.get(style, 0.45)
        crown = self._head_outline(grow)
        crown = crown[crown[:, 1] < low]
        crown = crown[np.argsort(np.arctan2(crown[:, 0], -crown[:, 1]))]  # from the left end over the top to the right
        line = self._hairline(low)
        hair = self._flat(np.vstack([crown, line[::-1]]))
        self._paint(hair, self.person.hair, 1.0, 0.006)
        if style in ("afro", "curly"):
            self._ringlets(hair)
        else:
            self._strands(hair, crown, line)

    def _hairline(self, low: float) -> Points:
        """Where hair meets the forehead, from the left temple, `low` down, to the right one."""
        high, temple = self.person.hairline, 0.82 * self.person.width
        across = {
            "fringe": [(-0.7, -0.46), (-0.35, -0.42), (0, -0.46), (0.35, -0.42), (0.7, -0.46)],
            "parted": [(-temple, -0.45), (-0.55, high - 0.05), (-0.3, high - 0.15), (0.2, high + 0.2), (temple, -0.3)],
            "bob": [(-temple, -0.2), (-0.5, high + 0.05), (0.25, high - 0.12), (0.55, high + 0.1), (temple, -0.2)],
            "long": [(-temple, -0.1), (-0.55, high + 0.2), (0, high - 0.18), (0.55, high + 0.2), (temple, -0.1)],
        }
        plain = [(-temple, -0.42), (-0.6, high + 0.06), (0, high), (0.6, high + 0.06), (temple, -0.42)]
        edge = 0.93 * self.person.width
        return curve([(-edge, low), *across.get(self.person.style, plain), (edge, low)])

    def _strands(self, hair: Points, crown: Points, line: Points) -> None:
        """Lighter and darker strokes from the crown to the hairline."""
        for number, share in enumerate(np.linspace(0.03, 0.97, 26)):
            above, below = crown[round(share * (len(crown) - 1))], line[round(share * (len(line) - 1))]
            bend = (above + below) / 2 + np.array([0.06 * math.sin(40 * share), 0])
            self._stroke(self._flat(curve([above, bend, below])), self._sheen(number % 2 == 0), 0.035, 0.45, 0, hair)

    def _ringlets(self, hair: Points) -> None:
        rng = np.random.default_rng(round(1e6 * self.person.nose_long))
        for number, (x, y) in enumerate(rng.uniform((-1.1, -1.5), (1.1, 0.0), (70, 2))):
            ring = self._flat(ellipse(x, y, 0.1, 0.1)[:30])
            self._stroke(ring, self._sheen(number % 2 == 0), 0.03, 0.5, 0, hair)

    def _sheen(self, light: bool) -> Colour:
        return mix(self.person.hair, (255, 240, 220), 0.2) if light else mix(self.person.hair, _BLACK, 0.28)

    def _glasses(self) -> None:
        person = self.person
        if person.glasses == "none":
            return
        middle = max(person.eye_apart, 0.36)
        corners = [(-0.31, -0.17), (0, -0.2), (0.31, -0.17), (0.29, 0.19), (0, 0.23), (-0.29, 0.19)]
        rim = ellipse(0, 0.02, 0.3, 0.28) if person.glasses == "round" else loop(corners)
        for side in (-1, 1):
            lens = self._on((rim + np.array([middle, 0])) * (side, 1), 0.14)
            self._paint(lens, (235, 244, 255), 0.1)
            self._stroke(np.vstack([lens, lens[:2]]), person.frame, 0.055, even=True)
            arm = self._on([(side * (middle + 0.3), -0.03), (side * 0.98 * person.width, -0.05)], 0.05)
            self._stroke(arm, person.frame, 0.045, even=True)
        bridge = curve(mirrored([(0, -0.05), (middle - 0.29, 0.0)]))
        self._stroke(self._on(bridge, 0.2), person.frame, 0.05, even=True)


# ---- shapes and colours


def as_points(outline: Outline) -> Points:
    return np.asarray(outline if isinstance(outline, np.ndarray) else list(outline), np.float64)


def ellipse(x: float, y: float, across: float, down: float) -> Points:
    angle = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    return np.column_stack([x + across * np.cos(angle), y + down * np.sin(angle)])


def mirrored(right: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The right half of something symmetric, completed: from the left end to the right one."""
    left = [(-x, y) for x, y in reversed(right) if x]
    return [*left, *right]


def curve(points: Outline) -> Points:
    """A Catmull-Rom spline (Catmull and Rom, 1974) from the first point to the last."""
    given = as_points(points)
    ends = 2 * given[:1] - given[1:2], 2 * given[-1:] - given[-2:-1]
    return np.vstack([_spline(np.vstack([ends[0], given, ends[1]])), given[-1:]])


def loop(points: Outline) -> Points:
    """The same spline through all points and back to the first."""
    given = as_points(points)
    return _spline(np.vstack([given[-1:], given, given[:2]]))


def _spline(points: Points) -> Points:
    """Through all but the first and the last, which only give the direction there."""
    before, start, end, after = points[:-3, None], points[1:-2, None], points[2:-1, None], points[3:, None]
    t = np.linspace(0, 1, 8, endpoint=False)[None, :, None]
    bent = 2 * before - 5 * start + 4 * end - after
    cubic = 3 * start - before - 3 * end + after
    return np.asarray(0.5 * (2 * start + (end - before) * t + bent * t**2 + cubic * t**3), np.float64).reshape(-1, 2)


def mix(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of the other colour in the one."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def _any_colour(rng: np.random.Generator, low: int, high: int) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(low, high, 3))
    return red, green, blue
