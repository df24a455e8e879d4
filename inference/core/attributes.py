"""What is said of a face besides who it is. A new attribute is an entry here and a reader of its labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

OLDEST = 116  # years

Keeps = Literal["value", "distribution", "mean and deviation"]


@dataclass(frozen=True)
class Attribute:
    """One attribute: what it may be, and who may say so."""

    name: str
    values: tuple[str, ...]  # of a class; years have none
    keeps: Keeps  # what its label holds of the answers
    asked: bool = True  # of people; if not, it is computed from dates or imported
    of_identity: bool = False  # constant over a person: one answer labels all of that person's faces
    blind: bool = False  # no proposal is ever shown with its question
    answers: int = 1  # at least so many people, before it is a label
    bar: float = 0.98  # the belief from which on people's answers settle it: most are settled with far more
    most: int = 7  # answers; then a curator decides. Of opinions, kept as they are, the settings say how many are asked

    def __post_init__(self) -> None:
        if len(set(self.values)) != len(self.values):
            raise ValueError(f"{self.name} names a value twice: {', '.join(self.values)}.")
        if self.answers < 1:
            raise ValueError(f"{self.name} asks for {self.answers} answers; at least one is needed.")

    @property
    def in_years(self) -> bool:
        return not self.values

    def index(self, value: str) -> int:
        """The number of this value. Raises UnknownValue."""
        try:
            return self.values.index(value)
        except ValueError:
            raise UnknownValue(self, value) from None


class UnknownValue(ValueError):
    def __init__(self, attribute: Attribute, value: str) -> None:
        known = ", ".join(attribute.values) or f"a number of years from 0 to {OLDEST}"
        super().__init__(f"{attribute.name} cannot be {value!r}. It is one of: {known}.")


class UnknownAttribute(KeyError):
    def __init__(self, name: str) -> None:
        self.message = f"There is no attribute {name!r}. Known are: {', '.join(ATTRIBUTES)}."
        super().__init__(self.message)

    def __str__(self) -> str:
        return self.message


# People guess a real age worse than a machine does, so nobody is asked for it: photo date less birth date, or imported.
REAL_AGE = Attribute("real_age", (), "value", asked=False)
# How old somebody looks is a matter of opinion: ten guesses that do not know of one another (ChaLearn LAP, 2015).
APPARENT_AGE = Attribute("apparent_age", (), "mean and deviation", blind=True, answers=10)
GENDER = Attribute("gender", ("female", "male"), "value", of_identity=True)
# The seven classes of the paper, in the alphabet's order.
EMOTION = Attribute(
    "emotion",
    ("angry", "disgusted", "fearful", "happy", "neutral", "sad", "surprised"),
    "distribution",
)

ATTRIBUTES: Mapping[str, Attribute] = {each.name: each for each in (REAL_AGE, APPARENT_AGE, GENDER, EMOTION)}


def years_of(value: str) -> tuple[int, int]:
    """The years that an output of an age's network stands for, from and to: "31", or a group as in "25-32".

    Raises UnknownValue.
    """
    low, _, high = value.partition("-")
    try:
        span = int(low), int(high or low)
    except ValueError:
        span = 1, 0
    if not 0 <= span[0] <= span[1] <= OLDEST:
        raise UnknownValue(REAL_AGE, value)
    return span


def attribute(name: str) -> Attribute:
    """Raises UnknownAttribute."""
    if name not in ATTRIBUTES:
        raise UnknownAttribute(name)
    return ATTRIBUTES[name]
