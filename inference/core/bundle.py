"""The bundle: a folder with a network's weights and everything needed to use it as it was trained.

    bundle.json     name, task, architecture, crop, normalisation, calibration, licence, card, checksums of the weights
    *.onnx, ...     the weights

No pickle and no code: what a bundle can do is fixed by the architectures known here. A bundle is never edited;
with another calibration it is another bundle.
"""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Protocol

from inference.core.align import TEMPLATES
from inference.core.embed import DlibEmbedder, OnnxEmbedder
from inference.core.packaged import packaged_file
from inference.core.types import CropSpec, Embedder

FORMAT = 1
DESCRIPTION = "bundle.json"
TASKS = ("embedding",)
CHANNELS = ("rgb", "bgr")


class BadBundle(ValueError):
    """A bundle that cannot be understood or trusted; the message says what is wrong with it."""


@dataclass(frozen=True)
class Calibration:
    """From the cosine of two vectors to the probability that they show one person (Platt, 1999)."""

    slope: float
    intercept: float

    def probability(self, cosine: float) -> float:
        """1 / (1 + exp(-(slope * cosine + intercept))), written so that nothing overflows."""
        return (1 + math.tanh((self.slope * cosine + self.intercept) / 2)) / 2


@dataclass(frozen=True)
class WeightFile:
    """A file of the bundle's folder, and the SHA-256 of its bytes in hexadecimal."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Bundle:
    """What bundle.json says, and the folder that it lies in. Contradictions are refused when it is made."""

    folder: Path
    name: str
    architecture: str
    crop: CropSpec
    dimensions: int
    weights: tuple[WeightFile, ...]  # the first is the one that is opened, the others are what it refers to
    task: str = "embedding"
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # a channel's, as a share of 255, in the order of `channels`
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: str = "rgb"
    flip: bool = False  # add up the vectors of the crop and of its mirror image: better, at twice the time
    calibration: Calibration | None = None  # none was measured: such a bundle can embed, but not say how sure it is
    licence: str = "not stated"
    card: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BadBundle(f"Bundle format {self.format!r} is not known; this version reads format {FORMAT}.")
        _require_known("task", self.task, TASKS)
        _require_known("architecture", self.architecture, ARCHITECTURES)
        _require_known("crop template", self.crop.template, TEMPLATES)
        _require_known("order of channels", self.channels, CHANNELS)
        if not 1 <= self.dimensions <= 4096 or not 1 <= self.crop.size <= 4096:
            raise BadBundle(f"Dimensions {self.dimensions} and crop size {self.crop.size} must be from 1 to 4096.")
        if not min(self.deviation) > 0:
            raise BadBundle(f"Every channel's deviation must be above zero, not {self.deviation}.")
        if not self.weights:
            raise BadBundle("A bundle needs at least one weight file.")
        for weight in self.weights:
            _require_inside(weight.file)

    @property
    def main_weights(self) -> Path:
        return self.folder / self.weights[0].file

    @property
    def checksum(self) -> str:
        """SHA-256 of what bundle.json says, and by its checksums of all weights: the bundle's identity."""
        return hashlib.sha256(_as_json(self).encode()).hexdigest()


def load(folder: Path) -> Bundle:
    """The bundle in this folder, its weights checked against their checksums. Raises BadBundle."""
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last one: brackets nested without end
        raise BadBundle(f"{folder} is no bundle: its {DESCRIPTION} cannot be read ({error}).") from error
    bundle = _parsed(folder, content)
    _verify(bundle)
    return bundle


def write_bundle(
    folder: Path,
    weights: Sequence[Path],
    *,
    name: str,
    architecture: str,
    crop: CropSpec,
    dimensions: int,
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0),
    channels: str = "rgb",
    flip: bool = False,
    calibration: Calibration | None = None,
    licence: str = "not stated",
    card: str = "",
) -> Bundle:
    """Make a bundle of weight files that lie elsewhere: copy them, describe them, and run it once on a blank crop.

    The first weight file is the one that is opened; the others keep their names beside it (ONNX external data). The
    folder must not exist yet; it appears whole or not at all. Raises BadBundle, UnusableBackbone, FileExistsError.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and a bundle is never edited. Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        beside = Path(scratch) / folder.name
        beside.mkdir()
        bundle = Bundle(
            folder=beside,
            name=name,
            architecture=architecture,
            crop=crop,
            dimensions=dimensions,
            weights=tuple(_copied(weight, beside) for weight in weights),
            mean=mean,
            deviation=deviation,
            channels=channels,
            flip=flip,
            calibration=calibration,
            licence=licence,
            card=card,
        )
        (beside / DESCRIPTION).write_text(_as_json(bundle), encoding="utf-8")
        written = load(beside)
        open_embedder(written)
        beside.rename(folder)
    return replace(written, folder=folder)


@cache
def cold_start() -> Bundle:
    """The bundle that ships inside face-recognition-models, which has no folder of its own. Raises BadBundle."""
    weights = packaged_file("face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat")
    bundle = Bundle(
        folder=weights.parent,
        name="dlib-resnet",
        architecture="dlib-resnet",
        crop=DlibEmbedder.crop,
        dimensions=DlibEmbedder.dimensions,
        weights=(WeightFile(weights.name, "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30"),),
        flip=True,
        licence="CC0-1.0",
        card=(
            "dlib_face_recognition_resnet_model_v1 by Davis King (2017): a ResNet of 29 convolutions, trained on about "
            "3 million faces of 7,485 people (FaceScrub, VGG and scraped ones), 128 dimensions. The weights are in the "
            "public domain. It is less accurate on children and on people who are rare in its training data."
        ),
    )
    _verify(bundle)
    return bundle


def open_embedder(bundle: Bundle, *, threads: int = 1) -> Embedder:
    """The network of a bundle, loaded and ready. Raises UnusableBackbone where it is not what the bundle says."""
    return ARCHITECTURES[bundle.architecture](bundle, threads)


class Opener(Protocol):
    def __call__(self, bundle: Bundle, threads: int) -> Embedder: ...


def _open_dlib(bundle: Bundle, threads: int) -> Embedder:
    if bundle.crop != DlibEmbedder.crop or bundle.dimensions != DlibEmbedder.dimensions:
        raise BadBundle(f"dlib-resnet takes {DlibEmbedder.crop} and gives {DlibEmbedder.dimensions} dimensions.")
    return DlibEmbedder(bundle.main_weights, flip=bundle.flip, threads=threads)


def _open_onnx(bundle: Bundle, threads: int) -> Embedder:
    return OnnxEmbedder(
        bundle.main_weights,
        crop=bundle.crop,
        dimensions=bundle.dimensions,
        mean=bundle.mean,
        deviation=bundle.deviation,
        channels=bundle.channels,
        flip=bundle.flip,
        threads=threads,
    )


ARCHITECTURES: dict[str, Opener] = {"dlib-resnet": _open_dlib, "onnx": _open_onnx}


def _as_json(bundle: Bundle) -> str:
    described = asdict(bundle)
    del described["folder"]  # a bundle is the same one wherever it lies
    return json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _parsed(folder: Path, content: object) -> Bundle:
    """A bundle from parsed JSON, every key known and every value of its type. Raises BadBundle."""
    given = _object(content, Bundle, "the bundle", without=("folder",))
    crop = _object(given["crop"], CropSpec, "crop")
    calibration = given.get("calibration")
    if calibration is not None:
        sure = _object(calibration, Calibration, "calibration")
        calibration = Calibration(_number(sure["slope"], "slope"), _number(sure["intercept"], "intercept"))
    weights = [_object(weight, WeightFile, "weights") for weight in _list(given["weights"], "weights")]
    return Bundle(
        folder=folder,
        name=_text(given["name"], "name"),
        architecture=_text(given["architecture"], "architecture"),
        crop=CropSpec(_text(crop["template"], "template"), _whole(crop["size"], "size")),
        dimensions=_whole(given["dimensions"], "dimensions"),
        weights=tuple(WeightFile(_text(w["file"], "file"), _text(w["sha256"], "sha256")) for w in weights),
        task=_text(given.get("task", "embedding"), "task"),
        mean=_three(given.get("mean", [0, 0, 0]), "mean"),
        deviation=_three(given.get("deviation", [1, 1, 1]), "deviation"),
        channels=_text(given.get("channels", "rgb"), "channels"),
        flip=_truth(given.get("flip", False), "flip"),
        calibration=calibration,
        licence=_text(given.get("licence", "not stated"), "licence"),
        card=_text(given.get("card", ""), "card"),
        format=_whole(given.get("format"), "format"),
    )


def _object(value: object, kind: type, where: str, without: Sequence[str] = ()) -> dict[str, object]:
    """A JSON object whose keys are the fields of `kind`. Raises BadBundle for an unknown or a missing one."""
    if not isinstance(value, dict):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be an object, not {value!r}.")
    known = {f.name: f for f in fields(kind) if f.name not in without}
    for key in value:
        if key not in known:
            raise BadBundle(f"In {DESCRIPTION}, {where} has the unknown key {key!r}.{_did_you_mean(key, known)}")
    for name, f in known.items():
        if f.default is MISSING and name not in value:
            raise BadBundle(f"In {DESCRIPTION}, {where} lacks the key {name!r}.")
    return value


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be a list, not {value!r}.")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be text, not {value!r}.")
    return value


def _truth(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be true or false, not {value!r}.")
    return value


def _whole(value: object, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be a whole number, not {value!r}.")
    return value


def _number(value: object, where: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise BadBundle(f"In {DESCRIPTION}, {where} must be a finite number, not {value!r}.")
    return float(value)


def _three(value: object, where: str) -> tuple[float, float, float]:
    numbers = [_number(item, where) for item in _list(value, where)]
    if len(numbers) != 3:
        raise BadBundle(f"In {DESCRIPTION}, {where} must have three numbers, one a channel, not {len(numbers)}.")
    return numbers[0], numbers[1], numbers[2]


def _require_known(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise BadBundle(
            f"There is no {what} {value!r}.{_did_you_mean(value, known)} Known are: {', '.join(sorted(known))}."
        )


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def _require_inside(file: str) -> None:
    """A weight file is named by a bare file name: nothing that could lead out of the folder."""
    if not file or file in (".", "..", DESCRIPTION) or any(sign in file for sign in "/\\:\0"):
        raise BadBundle(f"{file!r} cannot be a weight file: a plain file name in the bundle's own folder is needed.")


def _verify(bundle: Bundle) -> None:
    for weight in bundle.weights:
        path = bundle.folder / weight.file
        if path.is_symlink() or not path.is_file():
            raise BadBundle(f"The bundle {bundle.name!r} lacks its weight file {weight.file} in {bundle.folder}.")
        if _sha256(path) != weight.sha256.lower():
            raise BadBundle(f"{path} is damaged or was changed: its SHA-256 is not {weight.sha256}. Fetch it again.")


def _copied(weight: Path, folder: Path) -> WeightFile:
    shutil.copyfile(weight, folder / weight.name)
    return WeightFile(weight.name, _sha256(folder / weight.name))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
