"""Two faces in, whether they are one person out; a face and known people in, who it is, or nobody of them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import logsumexp

from inference.core.bundle import Calibration
from inference.core.cluster import COLD_START
from inference.core.types import Vectors

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Of dlib's vectors; nobody knows whom that network learnt from. Platt's fit on the pairs of 3,684 faces of 1,400 people
# (celeba_small), weighed so that half of them are of one person. Clustering has constants of its own, as in a heap of
# faces next to no pair is of one person.
SHIPPED = Calibration(slope=95.1, intercept=-86.0)
FEWEST = 100  # faces, each of a person with another one; of fewer, how sure a cosine makes is not learnt
NEAREST = 32  # people whom such a face is held against; all others are less like it than these
CHUNK = 500  # faces held against everybody at a time
PULL = 1e-4  # how far the weights are held at their start, for galleries where no two people are alike
START = np.array([2.0, -4.0, 0.0])  # slope of cosines scaled to deviation 1, intercept, few


# ---- two faces


@dataclass(frozen=True)
class Verdict:
    """Whether two faces are one person's, and how likely that is wrong."""

    similarity: float  # cosine of the two vectors, −1 to 1
    threshold: float  # from which similarity on they are taken for one person
    same: bool
    probability: float  # that both show one person
    chance_of_error: float  # that the verdict is wrong
    calibrated: bool  # slope and intercept were fitted on people whom the backbone had not seen


def judge(similarity: float, calibration: Calibration | None) -> Verdict:
    """The verdict on two faces of this cosine s, by a backbone of this calibration.

    The probability of one person is p = 1 / (1 + exp(−(slope · s + intercept))), the threshold is where p = 1/2, and
    the chance of error is min(p, 1 − p): 1 − p where they are called one person, p where they are called two. A
    bundle's slope and intercept are fitted on pairs of its validation part, weighed so that as many are of one person
    as of two; so that is the mix of pairs for which these chances hold. Who expects one pair in k to be of one person
    adds ln(1 / (k − 1)) to the log-odds. A backbone without a calibration is judged as the one that ships is: then
    `calibrated` is false, and the chance is a guide, no promise.
    """
    used = calibration or SHIPPED
    probability = used.probability(similarity)
    return Verdict(
        similarity=similarity,
        threshold=-used.intercept / used.slope,
        same=probability >= 0.5,
        probability=probability,
        chance_of_error=min(probability, 1 - probability),
        calibrated=calibration is not None,
    )


# ---- one face among many people


@dataclass(frozen=True)
class Recognition:
    """From cosines to people's mean vectors to the probability of each person, and of nobody among them.

    Person i with n_i faces has the weight exp(slope · cosine_i + intercept + few / n_i) and nobody the weight 1; what
    is left after dividing by their sum are probabilities. A mean of few faces is less like another face of the same
    person than a mean of many: hence the last term.
    """

    slope: float
    intercept: float
    few: float = 0.0
    faces: int = 0  # that it was fitted on; 0: it was not

    def log_odds(self, cosines: Floats, counts: Ints) -> Floats:
        """Of each person against nobody; both arrays of one shape."""
        return np.asarray(self.slope * cosines + self.intercept + self.few / counts, np.float64)

    def probabilities(self, cosines: Floats, counts: Ints) -> tuple[Floats, float]:
        """Of each of all people (people,) and of nobody, for one face: together they are 1."""
        told = np.append(self.log_odds(cosines, counts), 0.0)
        shares = np.exp(told - logsumexp(told))
        return shares[:-1], float(shares[-1])


def unfitted(calibration: Calibration | None) -> Recognition:
    """Where too few people are known to learn it from: a mean vector is taken for a face."""
    used = calibration or COLD_START
    return Recognition(used.slope, used.intercept)


def learn(
    means: Vectors, lengths: npt.NDArray[np.float32], counts: Ints, vectors: Vectors, own: Ints
) -> Recognition | None:
    """How sure cosines make in a gallery of people, from faces that are in it; None of too few.

    `means` (people, dimensions) have unit length, `lengths` (people,) are those of the sums that they come from and
    `counts` (people,) how many faces these have; `vectors` (faces, dimensions) are in the means of the rows `own`.
    """
    told = counts[own] > 1  # nothing is left of somebody whose only face is taken away
    vectors, own = vectors[told], own[told]
    if not len(own):
        return None
    near, of_near = [], []
    for start in range(0, len(vectors), CHUNK):
        part, of = vectors[start : start + CHUNK], own[start : start + CHUNK]
        cosines = part @ means.T
        cosines[np.arange(len(part)), of] = -np.inf
        most = min(NEAREST, len(means) - 1)
        best = np.argpartition(-cosines, most, axis=1)[:, :most]
        near.append(np.take_along_axis(cosines, best, axis=1))
        of_near.append(counts[best])
    without = means[own] * lengths[own][:, None] - vectors
    without /= np.maximum(np.linalg.norm(without, axis=1, keepdims=True), 1e-12)
    mine = (without * vectors).sum(axis=1).astype(np.float64)
    return fit(np.concatenate(near).astype(np.float64), np.concatenate(of_near), mine, counts[own] - 1)


def fit(cosines: Floats, counts: Ints, own: Floats, own_counts: Ints) -> Recognition | None:
    """Learn it from faces of known people, each looked at twice; None of fewer than FEWEST faces.

    `cosines` (faces, others) to the nearest means of other people with their face `counts`; `own` (faces,) to the mean
    of the face's own person without this face. Once the face is one of a known person; once, with that person left
    out, it is nobody's. Both count alike, so probabilities hold where every second face that is asked about is of
    somebody known. Maximises the likelihood.
    """
    if len(own) < FEWEST:
        return None
    seen = np.concatenate([own, cosines.ravel()])
    middle, spread = float(seen.mean()), max(float(seen.std()), 1e-6)  # else slope and intercept pull at one another
    others = np.stack([(cosines - middle) / spread, np.ones_like(cosines), 1 / counts])
    mine = np.stack([(own - middle) / spread, np.ones_like(own), 1 / own_counts])
    nothing = np.zeros((len(own), 1))

    def loss(told: Floats) -> tuple[float, Floats]:
        other, self_ = np.tensordot(told, others, 1), told @ mine
        strange = logsumexp(np.hstack([other, nothing]), axis=1)  # that the face is nobody's, or another's
        known = np.logaddexp(strange, self_)
        weight = np.exp(other - strange[:, None]) + np.exp(other - known[:, None])
        wrong = np.exp(self_ - known) - 1
        gradient = ((others * weight).sum(axis=2) + mine * wrong).mean(axis=1)
        away = told - START
        return float((strange + known - self_).mean() + PULL * (away @ away) / 2), gradient + PULL * away

    slope, intercept, few = minimize(
        loss, START, jac=True, method="L-BFGS-B", bounds=[(0, None), *[(None, None)] * 2]
    ).x
    return Recognition(float(slope / spread), float(intercept - slope * middle / spread), float(few), faces=len(own))
