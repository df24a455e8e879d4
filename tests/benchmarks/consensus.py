"""How many answers a label takes, and how often it is right, when some people answer at random.

python -m tests.benchmarks.consensus

Simulated people: a tenth answer at random, the others are right as often as a Beta distribution says and err evenly.
One answer each at a time: an item is asked again until the belief passes the bar or seven people have answered;
what is left then would go to a curator, and is counted as its most believed value here.
"""

from dataclasses import dataclass

import numpy as np

from annotation.core.consensus import BAR, MOST_ANSWERS, Votes, dawid_skene, next_step

ITEMS, PEOPLE, SEEDS = 4_000, 30, 5
SPAMMERS = 0.1


@dataclass(frozen=True)
class Crowd:
    classes: int
    right: float  # the mean over those who try

    def confusion(self, rng: np.random.Generator) -> np.ndarray:
        """(people, classes, classes)"""
        right = rng.beta(30 * self.right, 30 * (1 - self.right), PEOPLE)
        right[: round(SPAMMERS * PEOPLE)] = 1 / self.classes
        wrong = (1 - right) / (self.classes - 1)
        return np.eye(self.classes) * (right - wrong)[:, None, None] + wrong[:, None, None]


def adaptive(crowd: Crowd, seed: int) -> tuple[float, float, float]:
    """Share right, answers per item, share left to a curator."""
    rng = np.random.default_rng(seed)
    confusion = crowd.confusion(rng)
    truth = rng.integers(crowd.classes, size=ITEMS)
    order = rng.permuted(np.tile(np.arange(PEOPLE), (ITEMS, 1)), axis=1)  # who is asked about an item, in turn
    said = np.array([[rng.choice(crowd.classes, p=confusion[who, true]) for who in row[:MOST_ANSWERS]]
                     for row, true in zip(order, truth, strict=True)])  # fmt: skip
    asked = np.ones(ITEMS, np.int64)
    while True:
        taken = np.arange(MOST_ANSWERS) < asked[:, None]
        item, turn = np.nonzero(taken)
        found = dawid_skene(
            Votes(item, order[item, turn], said[item, turn]), items=ITEMS, voters=PEOPLE, classes=crowd.classes
        )
        steps = np.array([next_step(row, int(n)) for row, n in zip(found.belief, asked, strict=True)])
        if not (steps == "ask").any():
            break
        asked[steps == "ask"] += 1
    return float((found.belief.argmax(axis=1) == truth).mean()), float(asked.mean()), float((steps == "curator").mean())


def fixed(crowd: Crowd, seed: int, answers: int) -> float:
    """Share right by the majority of so many answers each."""
    rng = np.random.default_rng(seed)
    confusion = crowd.confusion(rng)
    truth = rng.integers(crowd.classes, size=ITEMS)
    right = 0
    for true in truth:
        who = rng.choice(PEOPLE, answers, replace=False)
        counts = np.bincount(
            [rng.choice(crowd.classes, p=confusion[one, true]) for one in who], minlength=crowd.classes
        )
        right += rng.choice(np.flatnonzero(counts == counts.max())) == true
    return right / ITEMS


def interval(values: list[float]) -> str:
    half = 2.776 * np.std(values, ddof=1) / np.sqrt(len(values))  # t of four degrees of freedom
    return f"{np.mean(values):.4f} ± {half:.4f}"


def main() -> None:
    print(f"{ITEMS} items, {PEOPLE} people, {SPAMMERS:.0%} of them at random, bar {BAR}, {SEEDS} seeds; mean ± 95 %\n")
    print("| classes | people right | right, adaptive | answers | to a curator | majority of 3 | of 1 |")
    print("| --- " * 7 + "|")
    for crowd in (Crowd(2, 0.95), Crowd(2, 0.92), Crowd(7, 0.9), Crowd(7, 0.85)):
        right, answers, left = (
            list(column) for column in zip(*(adaptive(crowd, s) for s in range(SEEDS)), strict=True)
        )
        three, one = ([fixed(crowd, seed, n) for seed in range(SEEDS)] for n in (3, 1))
        cells = " | ".join(interval(column) for column in (right, answers, left, three, one))
        print(f"| {crowd.classes} | {crowd.right} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
