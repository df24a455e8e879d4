"""What a training run is to do: a frozen configuration, kept as JSON beside the weights."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from typing import Any

from inference.core.align import TEMPLATES
from inference.core.architectures import ARCHITECTURES, DLIB_DEVIATION, DLIB_MEAN
from inference.core.attributes import APPARENT_AGE, ATTRIBUTES, EMOTION, GENDER, OLDEST, REAL_AGE, Attribute
from inference.core.bundle import EMBEDDING, TASKS
from inference.core.strict_json import did_you_mean
from inference.core.types import CropSpec

COLD, SCRATCH = "cold", "scratch"
SHARES = ("balance", "trunk_rate", "warm_up", "epsilon", "sampled")
LIMITS: Mapping[str, tuple[float, float]] = {  # beyond them a machine has no memory, nothing ends or nothing is learnt
    **dict.fromkeys(("epochs", "patience"), (1, 10_000)),
    "batch": (1, 65_536),
    **dict.fromkeys(("side", "dimensions"), (1, 4_096)),
    "centres": (1, 100),
    **dict.fromkeys(SHARES, (0, 1)),
    **dict.fromkeys(("rate", "weight_decay", "augment"), (0, 10)),
    "deviation": (0.01, OLDEST),
    "l1": (0, 1_000),
    "frozen": (0, 1_000),
    "checkpoint_minutes": (0, 10_000),
    "threads": (0, 1_024),
    "seed": (0, 2**32 - 1),
}
LOSSES = ("margin", "distilled", "soft labels", "age", "squared EMD")


class BadConfig(ValueError):
    """A configuration that cannot be carried out; the message says why and what may stand instead."""


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a run's outcome depends on, besides its data. Contradictions are refused when it is made."""

    task: str  # an attribute, or "embedding"
    architecture: str = "dlib-29"
    start: str = (
        COLD  # the weights to begin with: those that ship with packages, none ("scratch"), or a bundle's folder
    )
    dimensions: int = 128  # of the embedding
    template: str = "dlib-150"
    side: int = 150  # pixels of a crop
    loss: str = "soft labels"
    bins: int = 101  # years from 0 on that an age's network tells apart
    groups: tuple[tuple[int, int], ...] = ()  # or groups of years, from and to, in order
    epochs: int = 8
    batch: int = 64  # faces a step, on each device
    rate: float = 1e-3  # of learning, of the head
    trunk_rate: float = 0.1  # that of the trunk, as a share of it: what tells faces apart is known already
    warm_up: float = 0.1  # share of the steps in which the rate rises; then it falls along a cosine
    weight_decay: float = 0.05
    dropout: float = 0.2
    fit_head: bool = False  # begin with a head that fits the trunk as it is
    frozen: int = 0  # stages of the trunk, from the first, that stay as they are
    balance: float = 0.5  # 0: faces as they come, 1: every class or age band as often as any other
    augment: float = 1.0  # how strongly pictures are varied; 0 leaves them as they are
    deviation: float = 2.0  # years about a real age that a soft label spreads
    l1: float = 0.2  # weight of the expectation's distance in years
    epsilon: float = 0.0  # share of the epochs, at the end, that lower the apparent error itself
    trust_labels: bool = False  # count a doubtful label as much as a sure one
    patience: int = 3  # epochs without a better validation, after which a run ends
    margin: str = "arcface"
    centres: int = 1  # an identity; three for clusters that nobody cleaned
    sampled: float = 1.0  # share of the identities in each step's softmax
    teacher: str = COLD  # of a distillation: the bundle's folder
    flip: bool = True  # judge a face together with its mirror image
    precision: str = "float32"  # or bfloat16
    checkpoint_minutes: float = 5.0  # at most so much is lost with a killed worker
    threads: int = 0  # 0: all cores
    seed: int = 0

    def __post_init__(self) -> None:
        _known("task", self.task, TASKS)
        _known("network", self.architecture, ARCHITECTURES)
        _known("crop template", self.template, TEMPLATES)
        _known("loss", self.loss, LOSSES)
        _known("margin", self.margin, ("arcface", "cosface"))
        _known("precision", self.precision, ("float32", "bfloat16"))
        self._require_loss()
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:  # nor what is no number
                told = "it is a share" if name in SHARES else "it must be"
                raise BadConfig(f"{name} is {getattr(self, name)}; {told} from {low:,} to {high:,}.")
        if self.rate <= 0 or self.sampled == 0:
            raise BadConfig(f"With a rate of {self.rate} and {self.sampled} of the identities nothing is learnt.")
        if not 0 <= self.dropout < 1:
            raise BadConfig(f"dropout is {self.dropout}; it is a share from 0 to below 1.")
        if self.start == COLD and self.architecture != "dlib-29":
            raise BadConfig(
                f"There are no weights to begin {self.architecture} with: name a bundle's folder, or start=scratch."
            )

    def _require_loss(self) -> None:
        fits = {
            "margin": self.task == EMBEDDING,
            "distilled": self.task == EMBEDDING,
            "soft labels": self.task in ATTRIBUTES and not ATTRIBUTES[self.task].in_years,
            "age": self.task in ATTRIBUTES and ATTRIBUTES[self.task].in_years and not self.groups,
            "squared EMD": self.task in ATTRIBUTES and ATTRIBUTES[self.task].in_years and bool(self.groups),
        }
        if not fits[self.loss]:
            fitting = [name for name, suits in fits.items() if suits]
            raise BadConfig(
                f"The loss {self.loss!r} is not one for {self.task}. Use: {', '.join(fitting) or 'groups'}."
            )
        if self.groups and any(not 0 <= low <= high <= OLDEST for low, high in self.groups):
            raise BadConfig(f"Groups of years run from 0 to {OLDEST}, not {self.groups}.")
        if any(one[1] >= two[0] for one, two in pairwise(self.groups)):
            raise BadConfig(f"Groups of years follow one another without overlap, not {self.groups}.")
        if not 2 <= self.bins <= OLDEST + 1:
            raise BadConfig(f"bins is {self.bins}; years from 0 to {OLDEST} make 2 to {OLDEST + 1}.")

    @property
    def attribute(self) -> Attribute | None:
        return ATTRIBUTES.get(self.task)

    @property
    def crop(self) -> CropSpec:
        return CropSpec(self.template, self.side)

    @property
    def values(self) -> tuple[str, ...]:
        """What the network's outputs stand for; of an embedding nothing."""
        if self.attribute is None:
            return ()
        if self.groups:
            return tuple(f"{low}-{high}" for low, high in self.groups)
        return tuple(map(str, range(self.bins))) if self.attribute.in_years else self.attribute.values

    @property
    def mean(self) -> tuple[float, float, float]:
        return DLIB_MEAN if self.architecture == "dlib-29" else (0.5, 0.5, 0.5)

    @property
    def deviation_of_pixels(self) -> tuple[float, float, float]:
        return DLIB_DEVIATION if self.architecture == "dlib-29" else (0.5, 0.5, 0.5)

    def as_json(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True)


def _known(what: str, value: str, known: Any) -> None:
    if value not in known:
        raise BadConfig(f"There is no {what} {value!r}.{did_you_mean(value, known)} Known are: {', '.join(known)}.")


def parse(told: Mapping[str, Any]) -> TrainConfig:
    """A configuration from JSON. Raises BadConfig for an unknown or missing name, or a value of another type."""
    known = {each.name: each for each in fields(TrainConfig)}
    for name in told:
        if name not in known:
            raise BadConfig(f"There is no setting {name!r}.{did_you_mean(name, known)} Known are: {', '.join(known)}.")
    if "task" not in told:
        raise BadConfig("A configuration needs a task.")
    values = {name: _typed(name, value, known[name].type) for name, value in told.items()}
    return TrainConfig(**values)


def _typed(name: str, value: Any, kind: Any) -> Any:
    """Numbers may come as text, as from a command line."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if kind in (int, float, str):
            if isinstance(value, bool | None) or "\0" in str(value) or (kind is int and int(value) != float(value)):
                raise ValueError
            return kind(value)
        return tuple((int(low), int(high)) for low, high in value)
    except (KeyError, TypeError, ValueError, OverflowError):
        wanted = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        raise BadConfig(f"{name} must be {wanted.get(kind, 'pairs of years')}, not {value!r}.") from None


# ---- presets

PRESETS = ("quick", "full")


def preset(name: str, task: str, /, **changes: Any) -> TrainConfig:
    """A task's usual configuration with some changes. `quick` takes minutes on two cores, `full` wants a GPU.

    Raises BadConfig.
    """
    _known("preset", name, PRESETS)
    _known("task", task, TASKS)
    if changes.get("task", task) != task:
        raise BadConfig(f"A training of {task} cannot be one of {changes['task']}. Ask for that one instead.")
    chosen = {"quick": _quick, "full": _full}[name](task)
    return parse(json.loads(replace(chosen).as_json()) | changes)


_BY_TASK: Mapping[str, Mapping[str, Any]] = {
    EMBEDDING: {"loss": "margin", "balance": 0.0, "dropout": 0.0},
    REAL_AGE.name: {"loss": "age"},
    APPARENT_AGE.name: {"loss": "age", "epsilon": 0.3},
    GENDER.name: {},
    EMOTION.name: {},
}


def _quick(task: str) -> TrainConfig:
    """The backbone that ships, in the crop that it learnt from: in a wider one faces are too small for it.

    Its first three stages stay as they are: they see edges and colours, and cost most. A head that fits it to begin
    with is worth two epochs, and low rates keep what both know. Ages are learnt as they come, which is how their mean
    error is judged; `balance` makes them even.
    """
    if task == EMBEDDING:
        return TrainConfig(task, epochs=5, batch=48, **_BY_TASK[task])
    chosen = TrainConfig(task, fit_head=True, frozen=3, epochs=2, batch=32, rate=3e-4, trunk_rate=0.3, **_BY_TASK[task])
    return replace(chosen, balance=0.0) if ATTRIBUTES[task].in_years else chosen


def _full(task: str) -> TrainConfig:
    """A network of our own at 112 pixels, all of it trained.

    A face's age is seen in hair, ears and throat, too: that crop is 1.4 times as wide. Of emotions there are thousands
    of labels, not millions: the backbone that ships, all of it trained, came to 0.86, one from scratch to 0.79.
    """
    if task == EMOTION.name:
        return replace(_quick(task), frozen=0, trunk_rate=1.0, epochs=24, patience=24)
    in_years = task in ATTRIBUTES and ATTRIBUTES[task].in_years
    return TrainConfig(
        task,
        architecture="iresnet50",
        start=SCRATCH,
        dimensions=512,
        template="wide-384" if in_years else "arcface-112",
        side=112,
        epochs=24,
        batch=256,
        precision="bfloat16",
        **_BY_TASK[task],
    )
