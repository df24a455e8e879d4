"""Which faces a release is to hold: a query that is checked, kept with the release, and can be asked again."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args

from annotation.core.splits import SHARES, BadShares, Split, checked_shares
from inference.core.attributes import ATTRIBUTES

IDENTITY = "identity"
KNOWABLE = (IDENTITY, *ATTRIBUTES)  # what a face can be wanted for
DecidedBy = Literal["person", "machine", "import"]
Balance = Literal["none", "weights"]


class BadQuery(ValueError):
    """A query that asks for what cannot be; the message says what, and what can."""


@dataclass(frozen=True)
class ReleaseQuery:
    """Filters over faces and their labels. What is left empty does not filter."""

    attributes: tuple[str, ...] = ()  # of these at least one must be known
    all_of_them: bool = False  # every one must be
    min_confidence: float = 0.0  # labels that are believed less are left out
    decided_by: tuple[str, ...] = ()  # labels by others are left out
    sources: tuple[str, ...] = ()  # names
    licences: tuple[str, ...] = ()  # as the photo or its source states them
    min_size: float = 0.0  # pixels of the photo: the shorter side of the face's box
    min_sharpness: float = 0.0
    max_yaw: float = 90.0  # degrees to either side
    usable_only: bool = True  # good enough to be asked about
    chosen_only: bool = False  # of each photo only the most centred face
    with_duplicates: bool = False  # else one of each group of duplicates
    cap_per_age: int | None = None  # at most so many faces a year of age in the training part
    balance: Balance = "none"  # "weights": every five years of age count alike in training
    seed: int = 0  # of the order in which groups are dealt out
    shares: Mapping[str, float] = field(default_factory=lambda: dict[str, float](SHARES.items()))

    def __post_init__(self) -> None:
        _require_known("attribute", self.attributes, KNOWABLE)
        _require_known("decided_by", self.decided_by, get_args(DecidedBy))
        _require_known("balance", (self.balance,), get_args(Balance))
        for name, low, high in (
            ("min_confidence", 0, 1),
            ("max_yaw", 0, 90),
            ("min_size", 0, 100_000),
            ("min_sharpness", 0, 1e9),
        ):
            if not low <= getattr(self, name) <= high:
                raise BadQuery(f"{name} {getattr(self, name)}: a number from {low} to {high} is needed.")
        if self.cap_per_age is not None and not 1 <= self.cap_per_age < 2**31:
            raise BadQuery(f"cap_per_age {self.cap_per_age}: at least one face a year of age must be allowed.")
        if not abs(self.seed) < 2**63:
            raise BadQuery(f"seed {self.seed}: a whole number of 64 bits is needed.")
        if self.all_of_them and not self.attributes:
            raise BadQuery("all_of_them needs attributes: name those that must all be known.")
        try:
            checked_shares(self.shares)
        except BadShares as error:
            raise BadQuery(str(error)) from error

    @property
    def split_shares(self) -> dict[Split, float]:
        return checked_shares(self.shares)

    def as_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}


def query_of(content: Mapping[str, Any]) -> ReleaseQuery:
    """The query that JSON says. Raises BadQuery for an unknown filter or a value of another type."""
    known = {each.name: each.type for each in fields(ReleaseQuery)}
    for name, value in content.items():
        if name not in known:
            raise BadQuery(f"There is no filter {name!r}.{_did_you_mean(name, known)} Known are: {', '.join(known)}.")
        _require_type(name, value)
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in content.items()
    }
    return ReleaseQuery(**given)


def _require_type(name: str, value: object) -> None:
    kind = type(getattr(_DEFAULT, name))
    fits = {
        tuple: isinstance(value, list) and all(isinstance(each, str) and "\0" not in each for each in value),
        bool: isinstance(value, bool),
        float: isinstance(value, int | float) and not isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        type(None): value is None or (isinstance(value, int) and not isinstance(value, bool)),
        str: isinstance(value, str),
        dict: isinstance(value, dict) and all(isinstance(each, int | float) for each in value.values()),
    }
    words = {tuple: "a list of words", bool: "true or false", float: "a number", int: "a whole number"}
    if not fits[kind]:
        raise BadQuery(f"{name} must be {words.get(kind, f'like {getattr(_DEFAULT, name)!r}')}, not {value!r}.")


def _require_known(what: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise BadQuery(f"{what} {name!r} is not known.{_did_you_mean(name, known)} Known are: {', '.join(known)}.")


def _did_you_mean(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    near = get_close_matches(word, list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


_DEFAULT = ReleaseQuery()
