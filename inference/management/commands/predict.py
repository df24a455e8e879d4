"""`manage.py predict`: what the live models say of the faces in photos, as text, as JSON lines, or drawn on them."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track

from inference import registry
from inference.core.attributes import ATTRIBUTES
from inference.core.images import PictureRefused
from inference.core.types import Picture
from inference.decoding import decode
from inference.errors import PhotoFailed
from inference.look import REDUCED_SIDE
from inference.predict import Prediction, predict_all
from inference.reports import models_report, report

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}  # of a folder's files; a file that is named is taken whatever its name
Outcome: TypeAlias = Prediction | PictureRefused | PhotoFailed | OSError
INK = (40, 220, 255)  # blue, green, red
CROWD = 6  # faces; of more the words would lie on one another


def _named(text: str) -> Path:
    """Raises ArgumentTypeError: without a name it would be the folder that one is in, with all that lies below."""
    if not text.strip():
        raise ArgumentTypeError("a name is empty. Name a photo or a folder; `.` is the one that you are in")
    return Path(text)


class Command(BaseCommand):
    help = "Say what the live models see in photos: faces, ages, gender, emotion. Nothing of them is kept."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("photos", nargs="+", type=_named, metavar="PHOTO", help="a photo, or a folder of them")
        parser.add_argument("--json", action="store_true", help="one line of JSON a photo, as the REST call gives it")
        parser.add_argument("--draw", type=Path, metavar="OUT.png", help="draw it on the photo: for one photo")

    def handle(self, *args: Any, **options: Any) -> None:
        photos = list(_files(options["photos"]))
        if not photos:
            raise CommandError(f"There is no photo in {', '.join(map(str, options['photos']))}.")
        if options["draw"] and len(photos) > 1:
            raise CommandError(f"--draw takes one photo, not {len(photos)}.")
        versions = registry.ensure_attributes()
        models, refused = models_report(versions), 0
        drawn_on = _content(photos[0]) if options["draw"] else None  # read once: it may be a pipe
        contents = map(_content, photos) if drawn_on is None else [drawn_on]
        outcomes = predict_all(contents, versions, count=len(photos))
        for path, outcome in zip(photos, _shown(outcomes, len(photos)), strict=True):
            if not isinstance(outcome, Prediction):
                refused += 1
                self._refuse(path, outcome, as_json=options["json"])
                continue
            self._tell(path, report(outcome), models, as_json=options["json"])
            if isinstance(drawn_on, bytes):
                draw(drawn_on, outcome, options["draw"])
        if refused:
            raise CommandError(f"{refused} of {len(photos)} photos could not be looked at.")

    def _tell(self, path: Path, told: dict[str, Any], models: dict[str, Any], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps({"photo": str(path)} | told | {"models": models}))
            return
        count = len(told["faces"])
        self.stdout.write(f"{path}: {'no face' if not count else f'{count} face' + 's' * (count > 1)}")
        for number, face in enumerate(told["faces"], start=1):
            self.stdout.write(f"  {number}. {'; '.join(lines(face))}")

    def _refuse(self, path: Path, refused: PictureRefused | PhotoFailed | OSError, *, as_json: bool) -> None:
        error = _unread(refused) if isinstance(refused, OSError) else refused
        code = getattr(error, "code", "unreadable")
        if as_json:
            self.stdout.write(json.dumps({"photo": str(path), "error": {"code": code, "message": str(error)}}))
        else:
            self.stderr.write(f"{path}: {error}")


def _files(named: Sequence[Path]) -> Iterator[Path]:
    for path in named:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        else:
            yield path


def _content(path: Path) -> bytes | OSError:
    try:
        return path.read_bytes()
    except OSError as error:
        return error


def _unread(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "There is no such file or folder. Name a photo, or a folder of photos."
    return f"The file cannot be read: {error.strerror or error}."


def _shown(outcomes: Iterator[Outcome], total: int) -> Iterable[Outcome]:
    """With a bar on the terminal for many; standard output is for what is told."""
    console = Console(file=sys.stderr)
    hidden = total < 2 or not console.is_terminal
    return track(outcomes, total=total, console=console, transient=True, disable=hidden)


def lines(face: dict[str, Any]) -> list[str]:
    """What is said of a face in a few words; what should not be relied on with a question mark."""
    words = []
    for name in ("gender", "emotion"):
        if said := face[name]:
            words.append(f"{said['value']} {said['confidence']:.0%}{'?' * said['abstained']}")
    for name, verb in (("apparent_age", "looks"), ("real_age", "is")):
        if said := face[name]:
            span = f" ({said['low']}-{said['high']})" if said["calibrated"] else ""
            words.append(f"{verb} {said['mean']:.0f}{span}{'?' * said['abstained']}")
    if guessed := [name for name in ATTRIBUTES if face[name] and not face[name]["calibrated"]]:
        words.append(f"not calibrated: {', '.join(name.replace('_', ' ') for name in guessed)}")
    if not face["quality"]["usable"]:
        words.append(f"cannot be relied on: {face['quality']['reason']}")
    return words


def draw(photo: bytes, predicted: Prediction, path: Path) -> None:
    """The picture that was looked at with boxes, landmarks and a few words on it; in a crowd the faces are numbered.

    Raises CommandError.
    """
    looked_at = decode(photo, max_side=REDUCED_SIDE if predicted.size.scale > 1 else None)
    canvas: Picture = np.ascontiguousarray(looked_at.picture[:, :, ::-1])
    size = max(canvas.shape[0], canvas.shape[1], 900) / 1200  # of the letters, which must be read on a small one too
    faces = report(predicted)["faces"]
    for number, (face, told) in enumerate(zip(predicted.faces, faces, strict=True), start=1):
        box = face.found.detection.box
        corners = (round(box.x), round(box.y)), (round(box.x + box.width), round(box.y + box.height))
        cv2.rectangle(canvas, *corners, INK, max(1, round(2 * size)))
        for x, y in face.found.landmarks:
            cv2.circle(canvas, (round(float(x)), round(float(y))), max(1, round(1.5 * size)), INK, -1)
        for row, text in enumerate(lines(told) if len(faces) <= CROWD else [str(number)]):
            at = (corners[0][0], corners[1][1] + round((row + 1) * 22 * size))
            for colour, thick in (((0, 0, 0), 4), (INK, 1)):  # outlined, to be read on any ground
                cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.6 * size, colour, max(1, round(thick * size)))
    try:
        written = cv2.imwrite(str(path), canvas)
    except cv2.error as error:
        raise CommandError(f"{path} cannot be written: its name must end in .png, .jpg or .webp.") from error
    if not written:
        raise CommandError(f"{path} cannot be written. Is its folder there, and may you write into it?")
