"""May the machine's proposals be accepted unseen? Audited answers decide, and may be looked at after each one.

The claim is about a *region*: all proposals of one value whose confidence is at least a threshold. Of a random sample
of them people say which are wrong. The region is certified once the hypothesis "its error is above the target" is
rejected, by a test that stays valid however often one looks. Thresholds are tried from the strictest to the loosest,
and never past the first that fails, so that trying many costs nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

Floats = npt.NDArray[np.float64]

ALPHA = 0.05  # how often a certificate may be wrong
TARGET = 0.01  # the error that may be left in what is accepted
# The bets against "the error is the target": that it is this share of it. Half of the money on errors that are very
# rare, as most certificates are asked for where the machine hardly errs; the rest loses little where it errs more.
BETS = np.array([0.0, 0.1, 0.25, 0.5, 0.75])
COVERAGES = np.array([0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0])
STAKES = np.array([0.3, 0.25, 0.2, 0.15, 0.1])


def evidence(audited: int, wrong: int, target: float) -> float:
    """The log of the wealth made by betting against "the error is `target` or more" on these answers.

    A mixture of likelihood ratios, each a supermartingale under every error from `target` up; so by Ville's inequality
    the wealth ever passes 1/α with a probability of at most α (Howard et al., "Time-uniform, nonparametric,
    nonasymptotic confidence sequences", 2021; Ramdas et al., "Game-theoretic statistics", 2023).
    """
    return float(_log_wealth(audited, wrong, np.array([target]))[0])


def _log_wealth(audited: int, wrong: int, targets: Floats) -> Floats:
    if not 0 <= wrong <= audited:
        raise ValueError(f"{wrong} of {audited} answers cannot be wrong.")
    errors = targets[:, None] * BETS  # (targets, bets)
    with np.errstate(divide="ignore"):
        ratio_wrong = np.log(BETS)
    ratio_right = np.log1p(-errors) - np.log1p(-targets[:, None])
    lost = wrong * ratio_wrong if wrong else np.zeros_like(ratio_wrong)  # 0 × −∞
    return np.asarray(logsumexp(lost + (audited - wrong) * ratio_right, b=STAKES, axis=1), np.float64)


def upper_bound(audited: int, wrong: int, alpha: float = ALPHA) -> float:
    """The error that is not exceeded, with probability 1 − α over all times one may look; 1 before any answer.

    The smallest target that the answers reject, found by bisection: evidence grows with the target.
    """
    low, high = 0.0, 1.0 - 1e-9
    if _log_wealth(audited, wrong, np.array([high]))[0] < -np.log(alpha):
        return 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _log_wealth(audited, wrong, np.array([middle]))[0] >= -np.log(alpha):
            high = middle
        else:
            low = middle
    return high


def thresholds(confidence: Floats) -> list[float]:
    """The thresholds to try, the strictest first, from the confidence (n,) of all proposals of one value.

    By how much of them each accepts. The first accepts half: a stricter one would hold too few of the audited to be
    certified, and would stop the sequence before it began.
    """
    if len(confidence) == 0:
        return []
    return sorted({float(value) for value in np.quantile(confidence, 1 - COVERAGES)}, reverse=True)


@dataclass(frozen=True)
class Certified:
    """A region that may be accepted unseen, and the answers that say so."""

    threshold: float  # proposals of this confidence or more
    audited: int
    wrong: int
    bound: float  # of the error among them


def certify(
    confidence: Floats,
    wrong: npt.NDArray[np.bool_],
    drawn_above: Floats,
    sequence: Sequence[float],
    *,
    target: float = TARGET,
    alpha: float = ALPHA,
) -> Certified | None:
    """The loosest threshold that the audit allows, or none.

    `confidence` (audited,) is the machine's in each audited proposal, `wrong` (audited,) what people said of it, and
    `drawn_above` (audited,) the confidence from which on its sample was drawn: 0 for the control slice. A proposal
    speaks only for regions that its sample covers. `sequence` holds the thresholds, fixed before any answer is known.

    Fixed-sequence testing: to certify a region that is not good enough, the first such region in the sequence has to
    be rejected at some time, and that happens with a probability of at most `alpha`, whatever lies before and after.
    """
    if len({len(confidence), len(wrong), len(drawn_above)}) != 1:
        raise ValueError(f"{len(confidence)} confidences, {len(wrong)} verdicts and {len(drawn_above)} draws differ.")
    if not 0 < target < 1 or not 0 < alpha < 1:
        raise ValueError(f"target {target} and alpha {alpha} must lie between 0 and 1.")
    found = None
    for threshold in sorted(sequence, reverse=True):
        counted = (confidence >= threshold) & (drawn_above <= threshold)
        audited, errors = int(counted.sum()), int(wrong[counted].sum())
        if evidence(audited, errors, target) < -np.log(alpha):
            break
        found = threshold, audited, errors
    return None if found is None else Certified(*found, bound=upper_bound(found[1], found[2], alpha))


def broken(audited: int, wrong: int, target: float = TARGET, alpha: float = ALPHA) -> bool:
    """Whether audits made since a region was certified show that its error is above the target.

    The same bets, made the other way: against "the error is the target or less". It grows only by answers that came
    after the certificate, and may be looked at after each.
    """
    errors = np.minimum(target * np.array([1.5, 2.0, 4.0, 8.0, 16.0]), 0.9)
    rightly = (audited - wrong) * (np.log1p(-errors) - np.log1p(-target))
    wealth = logsumexp(wrong * np.log(errors / target) + rightly) - np.log(len(errors))
    return bool(wealth >= -np.log(alpha))


def needed(target: float = TARGET, alpha: float = ALPHA) -> int:
    """How many answers, none of them wrong, certify a region at the earliest."""
    low, high = 0, 1
    while evidence(high, 0, target) < -np.log(alpha):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if evidence(middle, 0, target) >= -np.log(alpha) else (middle, high)
    return high
