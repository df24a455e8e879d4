"""What people's answers say together, each weighed by how far its author can be trusted about each class."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDS = 100
SETTLED = 1e-4  # no belief moves by more than this between two rounds
AVERAGE_IS_RIGHT = 0.7  # before anything is known of anybody: a voter is right so often, and otherwise errs evenly
OF_POOL = 10.0  # answers' worth of the average voter that each confusion starts from: who answered little is average
OF_NOBODY = 5.0  # answers' worth of the guess above that the average voter starts from
BAR = 0.99  # belief from which on a question is settled
MOST_ANSWERS = 7  # then a curator decides


@dataclass(frozen=True, eq=False)
class Votes:
    """Who said what of which item: three arrays (votes,) of numbers from 0."""

    item: Ints
    voter: Ints
    value: Ints

    def __post_init__(self) -> None:
        if len({len(self.item), len(self.voter), len(self.value)}) != 1:
            raise ValueError(f"{len(self.item)} items, {len(self.voter)} voters and {len(self.value)} values differ.")


@dataclass(frozen=True, eq=False)
class Consensus:
    belief: Floats  # (items, classes): the probability of each value
    confusion: Floats  # (voters, classes, classes): of saying the last where the second is true


def dawid_skene(
    votes: Votes,
    *,
    items: int,
    voters: int,
    classes: int,
    machine: Floats | None = None,
    gold: Ints | None = None,
) -> Consensus:
    """Beliefs and reliabilities that explain each other (Dawid & Skene, 1979), by EM to the posterior's maximum.

    Each voter's confusion is drawn towards the average voter's (as in Paun et al., "Comparing Bayesian models of
    annotation", 2018), so that few answers do not make anybody infallible or a liar. `machine` (items, classes) is
    the calibrated proposal of each item: the one voter whose reliability is known. Without it, the classes'
    frequencies are estimated, too. `gold` (items,) holds the values that are known, and −1.

    Raises ValueError for a number outside of `items`, `voters` or `classes`.
    """
    for name, values, end in (
        ("item", votes.item, items),
        ("voter", votes.voter, voters),
        ("value", votes.value, classes),
    ):
        if len(values) and not (values.min() >= 0 and values.max() < end):
            raise ValueError(f"A vote's {name} lies outside of 0 to {end - 1}.")
    known = np.full(items, -1) if gold is None else gold
    prior = np.full((items, classes), 1 / classes) if machine is None else np.clip(machine, 1e-6, 1)
    belief = _fixed(_shares(_counted(votes, items, classes) + prior), known)
    confusion = np.empty((voters, classes, classes))
    for _ in range(ROUNDS):
        confusion = _confusions(votes, belief, voters, classes)
        if machine is None:
            prior = np.broadcast_to(_shares(belief.sum(axis=0) + 1), belief.shape)
        before, belief = belief, _fixed(_beliefs(votes, prior, confusion), known)
        if np.abs(belief - before).max(initial=0) < SETTLED:
            break
    return Consensus(belief, confusion)


def _counted(votes: Votes, items: int, classes: int) -> Floats:
    flat = np.bincount(votes.item * classes + votes.value, minlength=items * classes)
    return flat.reshape(items, classes).astype(np.float64)


def _confusions(votes: Votes, belief: Floats, voters: int, classes: int) -> Floats:
    """What each voter said where each class was true, drawn towards what all say."""
    said = np.empty((voters, classes, classes))
    cell = votes.voter * classes + votes.value
    for true in range(classes):
        flat = np.bincount(cell, weights=belief[votes.item, true], minlength=voters * classes)
        said[:, true] = flat.reshape(voters, classes)
    return _shares(said + OF_POOL * _shares(said.sum(axis=0) + OF_NOBODY * _guess(classes)))


def _guess(classes: int) -> Floats:
    wrong = (1 - AVERAGE_IS_RIGHT) / max(classes - 1, 1)
    return np.asarray(np.eye(classes) * (AVERAGE_IS_RIGHT - wrong) + wrong, np.float64)


def _beliefs(votes: Votes, prior: Floats, confusion: Floats) -> Floats:
    logs = np.log(prior)
    told = np.log(confusion[votes.voter, :, votes.value])  # (votes, classes): how well each true class explains it
    for true in range(logs.shape[1]):
        logs[:, true] += np.bincount(votes.item, weights=told[:, true], minlength=len(logs))
    return _shares(np.exp(logs - logs.max(axis=1, keepdims=True)))


def _fixed(belief: Floats, known: Ints) -> Floats:
    rows = known >= 0
    belief[rows] = np.eye(belief.shape[1])[known[rows]]
    return belief


def _shares(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), np.float64)


def believed(prior: Floats, confusion: Floats, values: Ints) -> Floats:
    """The belief (classes,) in one item from its prior (classes,) and its answers.

    `confusion` (answers, classes, classes) is that of each answer's author, `values` (answers,) what they said. For
    the moment an answer arrives; `dawid_skene` over all answers follows in the background.
    """
    logs = np.log(np.clip(prior, 1e-6, 1)) + np.log(confusion[np.arange(len(values)), :, values]).sum(axis=0)
    return _shares(np.exp(logs - logs.max()))


def next_step(
    belief: Floats, answers: int, *, bar: float = BAR, most: int = MOST_ANSWERS
) -> Literal["settled", "ask", "curator"]:
    """What happens to an item after so many people's answers: none is settled by the machine's word alone."""
    if answers and belief.max() >= bar:
        return "settled"
    return "ask" if answers < most else "curator"
