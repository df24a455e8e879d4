"""What few answers come to, weighed and counted: is Dawid-Skene ever worse than the plurality, and as right as it says?

python -m tests.benchmarks.few_answers simulated [--cells 2000]   (people of seven sorts; the machine says nothing)
python -m tests.benchmarks.few_answers ferplus [--seeds 20]       (real votes: some of the ten that each face has)

A simulated cell is drawn at random: how many items, people, answers each, classes; even or as skewed as gender and
emotion are in scraped photos; some items' values known, or none. Ties are broken by chance. The seeds are such as no
parameter was chosen on. "sure" is the share with a belief of 0.98 or more as an answer arrives (`believed`), "wrong"
the share of these that is wrong.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from annotation.core.consensus import Votes, believed, dawid_skene, starting
from tests.benchmarks.shared_data import SHARED_DATA

SURE = 0.98
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
SKEWED = {2: (0.85, 0.15), 7: (0.34, 0.27, 0.14, 0.11, 0.08, 0.04, 0.02)}
SORTS = ("right in 0.9", "right in 0.75", "a tenth at random", "a tenth always the same", "a tenth liars",
         "a third confuse two classes", "items that mislead")  # fmt: skip


@dataclass(frozen=True)
class Case:
    votes: Votes
    truth: np.ndarray  # (items,)
    people: int
    classes: int
    gold: np.ndarray  # (items,): −1 where the value is not known
    scored: np.ndarray  # (items,): whether the truth is clear


def a_crowd(rng: np.random.Generator, people: int, classes: int, sort: str) -> np.ndarray:
    """(people, classes, classes)"""
    mean = 0.75 if sort in ("right in 0.75", "items that mislead") else 0.9
    right = rng.beta(30 * mean, 30 * (1 - mean), people)
    some = max(1, round(0.1 * people))
    right[:some] = {"a tenth at random": 1 / classes, "a tenth liars": 0.1}.get(sort, right[:some])
    wrong = (1 - right) / (classes - 1)
    confusion = np.eye(classes) * (right - wrong)[:, None, None] + wrong[:, None, None]
    if sort == "a tenth always the same":
        confusion[:some] = np.eye(classes)[0]
    if sort == "a third confuse two classes":
        third = max(1, people // 3)
        confusion[:third, 1] *= 0.4
        confusion[:third, 1, 0] += 0.6
    return confusion


def simulated(seed: int) -> tuple[dict[str, object], Case]:
    rng = np.random.default_rng(seed)
    items, people, classes = (
        int(rng.choice([20, 50, 160, 500, 2_000])),
        int(rng.choice([3, 10, 50])),
        rng.choice([2, 7]),
    )
    answers, skewed, known = min(int(rng.choice([1, 2, 3, 5, 7])), people), bool(rng.integers(2)), rng.choice([0, 0.05])
    sort = str(rng.choice(SORTS))
    truth = rng.choice(classes, size=items, p=SKEWED[classes] if skewed else None)
    confusion = a_crowd(rng, people, classes, sort)
    voter = rng.random((items, people)).argsort(axis=1)[:, :answers]
    chance = confusion[voter, truth[:, None]].cumsum(axis=2)
    said = (rng.random((items, answers, 1)) * chance[..., -1:] > chance).sum(axis=2)
    if sort == "items that mislead":  # a third of them, all to the same wrong value
        to = (truth + rng.integers(1, classes, items)) % classes
        misled = (rng.random((items, answers)) < 0.35) & (rng.random(items) < 0.3)[:, None]
        said = np.where(misled, to[:, None], said)
    gold = np.where(rng.random(items) < known, truth, -1)
    votes = Votes(np.repeat(np.arange(items), answers), voter.ravel(), said.ravel())
    told = {
        "classes": f"{classes}{', skewed' if skewed else ', even'}",
        "items": items,
        "answers": answers,
        "people": sort,
    }
    return told, Case(votes, truth, people, int(classes), gold, gold < 0)


def of_ferplus(rows: np.ndarray, items: int, answers: int, seed: int, people: int = 10) -> Case:
    """Some of the votes (faces, emotions) that faces have; the truth is what most of their other votes say, clear where
    seven in ten do. Who said what is not known: each is of one of ten people by chance, and all are alike."""
    rng = np.random.default_rng(seed)
    counts = rows[rng.choice(len(rows), items, replace=False)]
    said = np.array([rng.permutation(np.repeat(np.arange(7), row))[:answers] for row in counts])
    others = counts - np.eye(7, dtype=np.int64)[said].sum(axis=1)
    voter = rng.random((items, people)).argsort(axis=1)[:, :answers]
    votes = Votes(np.repeat(np.arange(items), answers), voter.ravel(), said.ravel())
    clear = others.max(axis=1) >= 0.7 * others.sum(axis=1)
    return Case(votes, others.argmax(axis=1), people, 7, np.full(items, -1), clear)


def right(score: np.ndarray, case: Case) -> float:
    most = np.isclose(score, score.max(axis=1, keepdims=True))
    return float((most[np.arange(len(score)), case.truth] / most.sum(axis=1))[case.scored].mean())


def counted(case: Case) -> np.ndarray:
    cell = case.votes.item * case.classes + case.votes.value
    return np.bincount(cell, minlength=len(case.truth) * case.classes).reshape(-1, case.classes).astype(float)


def weighed(case: Case) -> np.ndarray:
    items = len(case.truth)
    silent = np.full((items, case.classes), 1 / case.classes)
    sizes = {"items": items, "voters": case.people, "classes": case.classes}
    found = dawid_skene(case.votes, **sizes, machine=silent, gold=case.gold)
    return believed(case.votes, starting(silent, found.frequency), found.confusion)


def one_coin(case: Case) -> np.ndarray:
    """Each is right so often, and otherwise errs evenly; frequencies from every round's beliefs."""
    item, voter, value = case.votes.item, case.votes.voter, case.votes.value
    belief = (counted(case) + 1 / case.classes) / (counted(case) + 1 / case.classes).sum(axis=1, keepdims=True)
    for _ in range(50):
        belief[case.gold >= 0] = np.eye(case.classes)[case.gold[case.gold >= 0]]
        hits = np.bincount(voter, weights=belief[item, value], minlength=case.people)
        sure = ((hits + 7) / (np.bincount(voter, minlength=case.people) + 10))[voter, None]
        told = np.where(np.eye(case.classes)[value] > 0, np.log(sure), np.log((1 - sure) / (case.classes - 1)))
        logs = np.tile(np.log(belief.sum(axis=0) + 1), (len(belief), 1))
        np.add.at(logs, item, told)
        belief = np.exp(logs - logs.max(axis=1, keepdims=True))
        belief /= belief.sum(axis=1, keepdims=True)
    return belief


@dataclass
class Row:
    counted: list[float]
    gained: dict[str, list[float]]
    items: int = 0
    sure: int = 0
    wrong: int = 0

    def hear(self, case: Case, ways: dict[str, Callable[[Case], np.ndarray]]) -> None:
        self.counted.append(right(counted(case), case))
        for name, way in ways.items():
            belief = way(case)
            self.gained[name].append(right(belief, case) - self.counted[-1])
            if name == "weighed":
                sure = case.scored & (belief.max(axis=1) >= SURE)
                self.items += int(case.scored.sum())
                self.sure += int(sure.sum())
                self.wrong += int((belief.argmax(axis=1) != case.truth)[sure].sum())

    def __str__(self) -> str:
        gained = " | ".join(interval(each) for each in self.gained.values())
        told = f"{len(self.counted)} | {np.mean(self.counted):.3f} | {gained} | {self.sure / self.items:.2f}"
        return f"{told} | {self.wrong / max(self.sure, 1):.4f} of {self.sure}"


def interval(gained: list[float]) -> str:
    return f"{np.mean(gained):+.4f} ± {1.96 * np.std(gained, ddof=1) / len(gained) ** 0.5:.4f}"


def show(rows: dict[str, Row], ways: dict[str, Callable[[Case], np.ndarray]], what: str) -> None:
    columns = ["", what, "counted", *(f"{name}, less counted" for name in ways), "sure", "wrong"]
    print(f"\n|{' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for name in rows:
        print(f"| {name} | {rows[name]} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["simulated", "ferplus"])
    parser.add_argument("--cells", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    ways = {"weighed": weighed, "one coin": one_coin}
    rows: dict[str, Row] = defaultdict(lambda: Row([], defaultdict(list)))
    if asked.what == "simulated":
        for seed in range(1_000_000, 1_000_000 + asked.cells):
            told, case = simulated(seed)
            for name in ["all", *(f"{key}: {value}" for key, value in told.items())]:
                rows[name].hear(case, ways)
        show(dict(sorted(rows.items())), ways, "cells")
        return
    with (SHARED_DATA / "ferplus" / "votes.csv").open(newline="") as file:
        faces = [[int(row[name]) for name in EMOTIONS] for row in csv.DictReader(file)]
    votes = np.array([row for row in faces if sum(row) >= 8])
    for answers in (1, 2, 3, 5):
        for items in (50, 160, 500, 2_000):
            for seed in range(asked.seeds):
                rows[f"{answers} of ten votes, {items} faces"].hear(of_ferplus(votes, items, answers, seed), ways)
    show(rows, ways, "seeds")


if __name__ == "__main__":
    main()
