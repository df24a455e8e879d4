"""What a label costs: human actions per label, and per label that is right."""

from dataclasses import dataclass
from math import sqrt

NORMAL = 1.96  # 95 %


def wilson(right: int, n: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, 1927); from 0 to 1 while nothing was counted."""
    if n == 0:
        return 0.0, 1.0
    share, square = right / n, NORMAL**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = NORMAL / (1 + square / n) * sqrt(share * (1 - share) / n + square / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True)
class Measured:
    """A share that was counted: so many right of so many."""

    right: int
    n: int

    @property
    def share(self) -> float | None:
        return self.right / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.n)


@dataclass(frozen=True)
class Effort:
    """All actions about one attribute, and the labels that stand for it: imported ones cost nobody anything here.

    How many of the labels are right is measured, never assumed: of the machine's by the control slice, where people
    answer blind about faces that a certificate would let through; of people's by questions whose answer is known, each
    answer by itself, which is less than what several agree on.
    """

    actions: int  # of everything: work, control, audits, known answers, and what was taken back
    by_people: int
    by_machine: int
    control: Measured
    known: Measured

    @property
    def labels(self) -> int:
        return self.by_people + self.by_machine

    @property
    def per_label(self) -> float | None:
        return self.actions / self.labels if self.labels else None

    @property
    def per_clean(self) -> tuple[float, float, float] | None:
        """Actions per label that is right: as measured, and from the upper to the lower end of both intervals.

        None where labels stand whose rightness nobody has measured.
        """
        if not self.labels or (self.by_machine and not self.control.n) or (self.by_people and not self.known.n):
            return None
        low, high = (self._clean(self.known.interval[end], self.control.interval[end]) for end in (0, 1))
        clean = self._clean(self.known.share or 0.0, self.control.share or 0.0)
        if not low or not clean:
            return None
        return self.actions / clean, self.actions / high, self.actions / low

    def _clean(self, people: float, machine: float) -> float:
        return self.by_people * people + self.by_machine * machine
