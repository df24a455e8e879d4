"""What every protocol is made of: samples in, an outcome out, or the word that it was not measured."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from inference.core.attributes import APPARENT_AGE, REAL_AGE, Attribute
from inference.core.types import AttributeModel, Beliefs, Crops, CropSpec, Embedder, Picture
from training.core.evaluate import Evaluation
from training.core.metrics import AgeGroups

SHARES = frozenset({"accuracy", "exact", "1-off", "within 5 years"})  # published in per cent

Floats = npt.NDArray[np.float64]
Array = npt.NDArray[Any]  # what is kept of each face, (n, ...)


class NotMeasured(Exception):
    """The set is not there, or not whole. A figure over something else would be a guess, so none is given."""


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture of a set, with what the set says of it."""

    name: str  # as messages call it
    source: Path | Picture
    value: float = float("nan")  # index of the class, or years
    person: str = ""  # or album, or photo: what intervals are drawn over; empty where nothing is known
    fold: int = 0
    training: bool = False  # belongs to the part that may be learnt from
    deviation: float = float("nan")  # years, of the guesses
    cropped: bool = False  # an aligned face and nothing around it
    eyes: npt.NDArray[np.float64] | None = None  # (2, 2) in pixels, where the set says which of many faces is meant
    slices: Mapping[str, str] = field(default_factory=dict)


class Predictor(Protocol):
    def __call__(self, faces: Array) -> Beliefs:
        """Beliefs (n, values | 117 years) about what `FineTune.see` kept of n faces."""
        ...


class FineTune(Protocol):
    """A network that learns from the part of a set that its protocol gives for learning."""

    @property
    def name(self) -> str:
        """What the row in the table is called."""
        ...

    @property
    def crop(self) -> CropSpec: ...

    def see(self, crops: Crops) -> Array:
        """What is kept of each face (n, ...): a head keeps its vector, a whole network the pixels."""
        ...

    def fit(
        self,
        faces: Array,
        values: Floats,
        attribute: Attribute,
        *,
        people: Sequence[str],
        deviation: Floats | None = None,
        ages: AgeGroups | None = None,
    ) -> Predictor:
        """Learn the values (index of the class, or years) of these faces; what is chosen, is chosen across people.

        `deviation` (n,) is how far the guesses of an age spread, 0 where nobody said; `ages` says that the classes are
        groups of years.
        """
        ...


@dataclass(frozen=True, eq=False)
class Contestant:
    """What is judged: a backbone, networks of attributes as they are, and a way to learn from a set."""

    embedder: Embedder
    backbone: str  # its name
    models: Mapping[str, AttributeModel]  # by attribute
    names: Mapping[str, str]  # of the models, by attribute
    fine_tune: FineTune
    tick: Callable[[int, int], None] = lambda done, of: None
    cautions: Mapping[str, str] = field(default_factory=dict)  # by a model's name: what is to be said with its row
    brought: Attribute | None = None  # what a model that a user brought is for: then nothing else may be judged

    def of_age(self, *wanted: Attribute) -> tuple[AttributeModel, str]:
        """The network that tells an age, and its name: one kind of age stands in for the other."""
        name = next(each.name for each in (*wanted, REAL_AGE, APPARENT_AGE) if each.name in self.models)
        return self.models[name], self.names[name]


@dataclass(frozen=True)
class Figure:
    """A number, with what it varies by: over the folds as the protocol asks, and as an interval over people."""

    value: float
    spread: float | None = None
    spread_is: str = ""  # "sd over folds", "standard error over folds"
    low: float | None = None  # of the 95 % interval
    high: float | None = None

    def __str__(self) -> str:
        text = f"{self.value:.4f}" if abs(self.value) < 1.5 else f"{self.value:.2f}"
        if self.spread is not None:
            text += f" ± {self.spread:.4f}" if abs(self.value) < 1.5 else f" ± {self.spread:.2f}"
        if self.low is not None and self.high is not None:
            digits = 3 if abs(self.value) < 1.5 else 2
            text += f" ({self.low:.{digits}f}–{self.high:.{digits}f})"
        return text


def shown(name: str, figure: Figure) -> str:
    """Shares in per cent, as the others are published."""
    many = 100 if name in SHARES else 1
    text = f"{figure.value * many:.{2 if many == 100 or name == 'MAE' else 4}f}"
    if figure.spread is not None:
        text += f" ± {figure.spread * many:.2f}"
    if figure.low is not None and figure.high is not None:
        digits = 3 if name == "ε" else 2
        text += f" ({figure.low * many:.{digits}f}–{figure.high * many:.{digits}f})"
    return text


@dataclass(frozen=True)
class Published:
    """What somebody else stated, as it stands in the source. `figures` are text: some come with ±, some without."""

    method: str
    year: int
    figures: Mapping[str, str]
    source: str


@dataclass(frozen=True)
class Ours:
    """One row of ours."""

    method: str
    n: int  # test faces or pairs
    figures: Mapping[str, Figure]
    folds: tuple[Mapping[str, float], ...] = ()
    evaluation: Evaluation | None = None


@dataclass(frozen=True)
class Faces:
    """In how many pictures the face was found, and what became of the others."""

    pictures: int
    found: int
    others: str  # "whole picture used", …

    def __str__(self) -> str:
        missing = self.pictures - self.found
        return f"face found in {self.found:,} of {self.pictures:,} pictures" + (
            f"; {missing:,} without: {self.others}" if missing else ""
        )


@dataclass(frozen=True)
class Outcome:
    """All that a protocol states."""

    protocol: str
    title: str
    columns: tuple[str, ...]  # the figures, in the order of the table
    ours: tuple[Ours, ...]
    published: tuple[Published, ...]
    faces: Faces
    notes: tuple[str, ...] = ()  # what of the protocol could not be kept, and what counts how
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # of pairs: cosines of "same", "different"

    def as_json(self) -> dict[str, Any]:
        return {"measured": True, **asdict(self)}
