"""Search terms as evidence of who is on a photo: worth as much as the photos themselves say, never taken as truth.

A term is right for a face (its person is the one that was searched for) or wrong. Two faces of one person share
their term if both are right; two people share one only by a wrong term. So among neighbours in the graph, how often
terms are shared at each cosine tells two things without any truth: how reliable the terms are, and at which cosine
neighbours cease to be one person in this very corpus.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Queries = npt.NDArray[np.int32]  # (faces,): search term, or −1

SURE = 2.0  # log-odds; neighbours above it may speak about each other's terms
TRUST = 0.95  # no term is held to be more certainly right, or wrong, than this: two people can have one name
ROUNDS = 2  # of asking the neighbours, whose own terms are weighed from the second time on
SHIFTS = np.linspace(-6, 6, 61)
SHIFT_DEVIATION = 2.0  # log-odds; a few dozen pairs outweigh it
AGREEMENTS = np.linspace(0.02, 0.98, 49)
GAIN = 10.0  # in log-likelihood, over terms that have nothing to do with faces; pairs are not independent, so not less
PRIOR_AGREEMENT, PRIOR_PAIRS = 0.8, 10.0  # as if ten pairs of one person had been seen, of which eight shared


@dataclass(frozen=True)
class Reliability:
    """How far the search terms of a corpus may be relied on."""

    agreement: float  # how often two faces of one person share their term
    chance: float  # how often any two faces do
    shift: float  # to be added to the log-odds from a cosine, which neighbours in this corpus deserve


def reliability(query: Queries, one: Ints, other: Ints, log_odds: Floats) -> Reliability | None:
    """Learn it from pairs of neighbours with the log-odds of their cosines; None where terms tell nothing of people.

    The likelihood of each pair to share its term is p·a + (1 − p)·(1 − a)·c, p being the probability that it is one
    person, a the agreement, c the chance; agreement and shift of p are the most probable ones on a grid.
    """
    known = (query[one] >= 0) & (query[other] >= 0)
    chance = chance_of(query)
    if not known.any() or chance > 0.9:
        return None
    sharing = (query[one] == query[other])[known]
    # Counted in bins, so that a grid over millions of pairs costs nothing.
    edges = np.linspace(-15, 15, 121)
    place = np.clip(np.digitize(log_odds[known], edges), 1, 120) - 1
    middle = (edges[:-1] + edges[1:]) / 2
    shared, unshared = np.bincount(place[sharing], minlength=120), np.bincount(place[~sharing], minlength=120)
    agreements = AGREEMENTS[chance / (1 + chance) < AGREEMENTS]  # else sharing would speak against one person
    same = 1 / (1 + np.exp(-(middle + SHIFTS[:, None, None])))
    expected = same * agreements[:, None] + (1 - same) * (1 - agreements[:, None]) * chance
    likelihood = np.log(expected) @ shared + np.log1p(-expected) @ unshared
    prior = PRIOR_PAIRS * (PRIOR_AGREEMENT * np.log(agreements) + (1 - PRIOR_AGREEMENT) * np.log1p(-agreements))
    prior = prior - (SHIFTS[:, None] / SHIFT_DEVIATION) ** 2 / 2
    best = np.unravel_index(np.argmax(likelihood + prior), likelihood.shape)
    if likelihood[best] < _blind(int(sharing.sum()), len(sharing)) + GAIN:
        return None
    return Reliability(float(agreements[best[1]]), chance, float(SHIFTS[best[0]]))


def _blind(sharing: int, pairs: int) -> float:
    """The log-likelihood of terms that have nothing to do with faces: one rate of sharing, whatever the cosine."""
    return sum(count * math.log(count / pairs) for count in (sharing, pairs - sharing) if count)


def chance_of(query: Queries) -> float:
    """How often two faces with a term share it, drawn at random; 1 if there are none."""
    count = np.bincount(query[query >= 0])
    return float(((count / count.sum()) ** 2).sum()) if count.any() else 1.0


def trust(
    query: Queries, one: Ints, other: Ints, log_odds: Floats, terms: Reliability, *, known: Floats | None = None
) -> Floats:
    """The probability (faces,) that each face's term is right, by the terms of its neighbours; 0 without a term.

    `log_odds` are those of one person, from the cosine. What is `known` (faces,) stays; nan where nothing is.
    """
    held = np.full(len(query), np.nan) if known is None else known
    sure = (query[one] >= 0) & (query[other] >= 0) & (log_odds > SURE)
    one, other, weight = one[sure], other[sure], 1 / (1 + np.exp(-log_odds[sure]))
    sharing = query[one] == query[other]
    said = np.zeros(len(query))
    for _ in range(ROUNDS + 1):  # the first finds nothing said: each term is as likely right as any
        right = np.where(np.isnan(held), np.where(query >= 0, _posterior(said, terms), 0.0), held)
        said = np.zeros(len(query))
        for face, neighbour in ((one, other), (other, one)):
            said += np.bincount(face, weight * _word(sharing, right[neighbour], terms), len(query))
    return right


def trust_in_groups(query: Queries, labels: Ints, terms: Reliability) -> Floats:
    """The same by the other faces of its group (faces,); for faces that are grouped already."""
    known = query >= 0
    right = np.zeros(len(query))
    if not known.any():
        return right
    _, group, size = np.unique(labels[known], return_inverse=True, return_counts=True)
    _, cell, count = np.unique(group * (int(query.max()) + 1) + query[known], return_inverse=True, return_counts=True)
    alike = count[cell] - 1
    others = np.full(len(alike), np.sqrt(terms.agreement))
    yes, no = (_word(np.full(len(alike), sharing), others, terms) for sharing in (True, False))
    right[known] = _posterior(alike * yes + (size[group] - 1 - alike) * no, terms)
    return right


def _word(sharing: npt.NDArray[np.bool_], right: Floats, terms: Reliability) -> Floats:
    """What a face of the same person says for one's term being right: its own is with this probability."""
    return np.where(sharing, np.log(right / terms.chance + 1 - right), np.log1p(-np.minimum(right, TRUST)))


def _posterior(said: Floats, terms: Reliability) -> Floats:
    prior = np.sqrt(terms.agreement)
    return np.asarray(np.clip(expit(said + logit(prior)), 1 - TRUST, TRUST))


def evidence(query: Queries, one: Ints, other: Ints, right: Floats, terms: Reliability) -> Floats:
    """What the terms of each pair add to its log-odds of being one person; nothing where one of them is unknown.

    `right` (faces,) is the trust in each term. One person shares a term if both are right, else by chance;
    two people share one only if not both are right, and then by chance.
    """
    both = right[one] * right[other]
    sharing_if_two = (1 - both) * terms.chance
    sharing_if_one = both + sharing_if_two
    sharing = query[one] == query[other]
    told = np.where(
        sharing, np.log(sharing_if_one / sharing_if_two), np.log((1 - sharing_if_one) / (1 - sharing_if_two))
    )
    return np.where((query[one] >= 0) & (query[other] >= 0), told, 0.0)
