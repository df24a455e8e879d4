"""The bundle: a folder with a network's weights and everything needed to use it as it was trained.

    bundle.json     name, task, architecture, crop, normalisation, values, calibration, the release that it learnt
                    from, metrics, licence, card, checksums of the weights
    *.safetensors   the weights; of a backbone that a user brings *.onnx; an *.onnx beside is for use elsewhere

No pickle and no code: what a bundle can do is fixed by the architectures known here. A bundle is never edited;
with another calibration it is another bundle.
"""

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference.core.align import TEMPLATES
from inference.core.architectures import ARCHITECTURES, DLIB_CROP, DLIB_DEVIATION, DLIB_DIMENSIONS, DLIB_MEAN
from inference.core.attributes import ATTRIBUTES, OLDEST, UnknownValue, years_of
from inference.core.embed import OnnxEmbedder
from inference.core.late import Late
from inference.core.packaged import packaged_file
from inference.core.strict_json import StrictJson, did_you_mean
from inference.core.types import AttributeModel, CropSpec, Embedder

if TYPE_CHECKING:
    from inference.core import dlib_resnet, torch_models
else:
    dlib_resnet, torch_models = Late("inference.core.dlib_resnet"), Late("inference.core.torch_models")

FORMAT = 1
DESCRIPTION = "bundle.json"
EMBEDDING = "embedding"
TASKS = (EMBEDDING, *ATTRIBUTES)
CHANNELS = ("rgb", "bgr")
LONGEST_NAME = 100


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
    dimensions: int  # of the embedding; of an attribute's network, those of the backbone that it was made from
    weights: tuple[WeightFile, ...]  # the first is the one that is opened, the others are what it refers to
    task: str = EMBEDDING  # or an attribute
    values: tuple[
        str, ...
    ] = ()  # of an attribute, in the order of the network's outputs: classes, years or groups of years
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)  # a channel's, as a share of 255, in the order of `channels`
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: str = "rgb"
    flip: bool = False  # add up the vectors of the crop and of its mirror image: better, at twice the time
    calibration: Calibration | None = None  # none was measured: such a bundle can embed, but not say how sure it is
    temperature: float = 1.0  # that an attribute's logits are divided by (Guo et al., ICML 2017)
    abstain_below: float = 0.0  # the confidence below which an attribute's network should not say
    release: str = ""  # the id of the dataset that it learnt from
    metrics: Mapping[str, object] = field(default_factory=dict)  # on that dataset's test part, with intervals
    licence: str = "not stated"
    card: str = ""
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise BadBundle(f"Bundle format {self.format!r} is not known; this version reads format {FORMAT}.")
        _require_known("task", self.task, TASKS)
        _require_known("architecture", self.architecture, (*OPENERS, *ARCHITECTURES))
        _require_known("crop template", self.crop.template, TEMPLATES)
        _require_known("order of channels", self.channels, CHANNELS)
        if not 1 <= self.dimensions <= 4096 or not 1 <= self.crop.size <= 4096:
            raise BadBundle(f"Dimensions {self.dimensions} and crop size {self.crop.size} must be from 1 to 4096.")
        self._require_values()
        if not (self.temperature > 0 and 0 <= self.abstain_below <= 1):
            raise BadBundle(
                f"A temperature is above 0, a confidence from 0 to 1; not {self.temperature} and {self.abstain_below}."
            )
        if not min(self.deviation) > 0:
            raise BadBundle(f"Every channel's deviation must be above zero, not {self.deviation}.")
        if not 0 < len(self.name) <= LONGEST_NAME:
            raise BadBundle(f"A bundle's name has 1 to {LONGEST_NAME} letters, not {len(self.name)}.")
        if not self.weights:
            raise BadBundle("A bundle needs at least one weight file.")
        for weight in self.weights:
            _require_inside(weight.file)

    def _require_values(self) -> None:
        """An attribute's network has its values in some order for outputs, or years, or groups of years, in order."""
        if self.task == EMBEDDING:
            if self.values:
                raise BadBundle("An embedding has no values; only an attribute's network has.")
            return
        known = ATTRIBUTES[self.task]
        fits = _in_order(self.values) if known.in_years else sorted(self.values) == sorted(known.values)
        if not fits or len(self.values) < 2:
            wanted = f"years from 0 to {OLDEST} at most" if known.in_years else ", ".join(known.values)
            raise BadBundle(f"The values of {self.task} are {wanted}, not {', '.join(self.values) or 'none'}.")

    @property
    def main_weights(self) -> Path:
        return self.folder / self.weights[0].file

    @property
    def checksum(self) -> str:
        """SHA-256 of what bundle.json says, and by its checksums of all weights: the bundle's identity."""
        return hashlib.sha256(_as_json(self).encode()).hexdigest()


def _in_order(values: Sequence[str]) -> bool:
    try:
        spans = [years_of(value) for value in values]
    except UnknownValue:
        return False
    return all(one[1] < two[0] for one, two in pairwise(spans))


def load(folder: Path) -> Bundle:
    """The bundle in this folder, its weights checked against their checksums. Raises BadBundle."""
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last one: brackets nested without end
        raise BadBundle(f"{folder} is no bundle: its {DESCRIPTION} cannot be read ({error}).") from error
    bundle = _parsed(folder, content)
    _verify(bundle)
    return bundle


def write_bundle(folder: Path, weights: Sequence[Path], **described: Any) -> Bundle:
    """Make a bundle of weight files that lie elsewhere: copy them, describe them, and run it once on a blank crop.

    `described` are the fields of `Bundle`: at least its name, architecture, crop and dimensions. The first weight file
    is the one that is opened; the others keep their names beside it (ONNX external data). The folder must not exist
    yet; it appears whole or not at all. Raises BadBundle, UnusableBackbone, FileExistsError.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists, and a bundle is never edited. Name another folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        beside = Path(scratch) / folder.name
        beside.mkdir()
        bundle = Bundle(folder=beside, weights=tuple(_copied(weight, beside) for weight in weights), **described)
        (beside / DESCRIPTION).write_text(_as_json(bundle), encoding="utf-8")
        written = load(beside)
        open_embedder(written) if written.task == EMBEDDING else open_attribute_model(written)
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
        crop=DLIB_CROP,
        dimensions=DLIB_DIMENSIONS,
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
    if bundle.task != EMBEDDING:
        raise BadBundle(f"{bundle.name} is a network for {bundle.task}; a backbone is needed here.")
    return OPENERS.get(bundle.architecture, _open_ours)(bundle, threads)


def open_attribute_model(bundle: Bundle, *, threads: int = 1) -> AttributeModel:
    """The network of an attribute's bundle, loaded and ready. Raises BadBundle, UnusableBackbone."""
    if bundle.task == EMBEDDING or bundle.architecture not in ARCHITECTURES:
        raise BadBundle(f"{bundle.name} is a {bundle.architecture} for {bundle.task}, not a network for an attribute.")
    return torch_models.TorchAttribute(
        torch_models.task_network(bundle.architecture, len(bundle.values), bundle.dimensions, bundle.main_weights),
        attribute=ATTRIBUTES[bundle.task],
        values=bundle.values,
        crop=bundle.crop,
        mean=bundle.mean,
        deviation=bundle.deviation,
        flip=bundle.flip,
        temperature=bundle.temperature,
        threads=threads,
    )


Opener = Callable[[Bundle, int], Embedder]


def _open_dlib(bundle: Bundle, threads: int) -> Embedder:
    if bundle.crop != DLIB_CROP or bundle.dimensions != DLIB_DIMENSIONS:
        raise BadBundle(f"dlib-resnet takes {DLIB_CROP} and gives {DLIB_DIMENSIONS} dimensions.")
    network = dlib_resnet.read(bundle.main_weights)
    # Its normalisation is part of the network, whatever the bundle says.
    return torch_models.TorchEmbedder(
        network, crop=bundle.crop, mean=DLIB_MEAN, deviation=DLIB_DEVIATION, flip=bundle.flip, threads=threads
    )


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


def _open_ours(bundle: Bundle, threads: int) -> Embedder:
    return torch_models.TorchEmbedder(
        torch_models.trunk(bundle.architecture, bundle.dimensions, bundle.main_weights),
        crop=bundle.crop,
        mean=bundle.mean,
        deviation=bundle.deviation,
        flip=bundle.flip,
        threads=threads,
    )


OPENERS: dict[str, Opener] = {"dlib-resnet": _open_dlib, "onnx": _open_onnx}


def _as_json(bundle: Bundle) -> str:
    described = asdict(bundle)
    del described["folder"]  # a bundle is the same one wherever it lies
    return json.dumps(described, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _parsed(folder: Path, content: object) -> Bundle:
    """A bundle from parsed JSON, every key known and every value of its type. Raises BadBundle."""
    read = StrictJson(DESCRIPTION, BadBundle)
    given = read.record(content, Bundle, "the bundle", without=("folder",))
    crop = read.record(given["crop"], CropSpec, "crop")
    calibration = given.get("calibration")
    if calibration is not None:
        sure = read.record(calibration, Calibration, "calibration")
        calibration = Calibration(read.number(sure["slope"], "slope"), read.number(sure["intercept"], "intercept"))
    weights = [read.record(weight, WeightFile, "weights") for weight in read.items(given["weights"], "weights")]
    return Bundle(
        folder=folder,
        name=read.text(given["name"], "name"),
        architecture=read.text(given["architecture"], "architecture"),
        crop=CropSpec(read.text(crop["template"], "template"), read.whole(crop["size"], "size")),
        dimensions=read.whole(given["dimensions"], "dimensions"),
        weights=tuple(WeightFile(read.text(w["file"], "file"), read.text(w["sha256"], "sha256")) for w in weights),
        task=read.text(given.get("task", EMBEDDING), "task"),
        values=tuple(read.text(value, "values") for value in read.items(given.get("values", []), "values")),
        mean=read.three(given.get("mean", [0, 0, 0]), "mean"),
        deviation=read.three(given.get("deviation", [1, 1, 1]), "deviation"),
        channels=read.text(given.get("channels", "rgb"), "channels"),
        flip=read.truth(given.get("flip", False), "flip"),
        calibration=calibration,
        temperature=read.number(given.get("temperature", 1.0), "temperature"),
        abstain_below=read.number(given.get("abstain_below", 0.0), "abstain_below"),
        release=read.text(given.get("release", ""), "release"),
        metrics=read.mapping(given.get("metrics", {}), "metrics"),
        licence=read.text(given.get("licence", "not stated"), "licence"),
        card=read.text(given.get("card", ""), "card"),
        format=read.whole(given.get("format"), "format"),
    )


def _require_known(what: str, value: str, known: Iterable[str]) -> None:
    if value not in known:
        raise BadBundle(
            f"There is no {what} {value!r}.{did_you_mean(value, known)} Known are: {', '.join(sorted(known))}."
        )


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
