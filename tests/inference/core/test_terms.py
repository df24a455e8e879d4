"""What search terms are worth is learnt from the faces, and found again where it was planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core.terms import TRUST, Reliability, chance_of, evidence, reliability, trust, trust_in_groups

PEOPLE, FACES = 50, 20


def a_corpus(right=0.9, shift=0.0, seed=0):
    """People, terms of which this share is right, and pairs whose log-odds are off by `shift`."""
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(PEOPLE), FACES)
    term = np.where(rng.random(len(people)) < right, people, rng.integers(0, PEOPLE, len(people))).astype(np.int32)
    one, other = rng.integers(0, len(people), (2, 60_000))
    mates = rng.random(60_000) < 0.5  # neighbours are one person far more often than any two faces
    other = np.where(mates, people[one] * FACES + rng.integers(0, FACES, 60_000), other)
    one, other = one[one != other], other[one != other]
    # Drawn so that they are true log-odds: of Gaussians 3 deviations apart, with as many pairs of either kind.
    same = people[one] == people[other]
    log_odds = 3 * rng.normal(size=len(one)) + np.where(same, 4.5, -4.5) + np.log(same.mean() / (1 - same.mean()))
    return people, term, one, other, log_odds - shift


@pytest.mark.parametrize("right", [0.6, 0.9, 0.98])
def test_the_agreement_of_terms_is_found(right):
    _, term, one, other, log_odds = a_corpus(right)

    told = reliability(term, one, other, log_odds)

    assert told.agreement == pytest.approx(right**2, abs=0.04)
    assert told.chance == pytest.approx(1 / PEOPLE, rel=0.2)


@pytest.mark.parametrize("shift", [-2.0, 0.0, 3.0])
def test_log_odds_that_are_off_in_this_corpus_are_set_right(shift):
    _, term, one, other, log_odds = a_corpus(shift=shift)

    assert reliability(term, one, other, log_odds).shift == pytest.approx(shift, abs=0.5)


@pytest.mark.parametrize(
    "term",
    [
        np.full(PEOPLE * FACES, -1),
        np.zeros(PEOPLE * FACES, int),
        np.arange(PEOPLE * FACES),
        np.random.default_rng(1).integers(0, 30, PEOPLE * FACES),
    ],
    ids=["no terms", "one term", "a term for each face", "terms at random"],
)
def test_terms_that_tell_nothing_are_not_believed(term):
    _, _, one, other, log_odds = a_corpus()

    assert reliability(term.astype(np.int32), one, other, log_odds) is None


def test_wrong_terms_are_mistrusted():
    people, term, one, other, log_odds = a_corpus()
    told = reliability(term, one, other, log_odds)

    right = trust(term, one, other, log_odds, told)

    assert (right[term == people] > 0.9).mean() > 0.97
    assert (right[term != people] < 0.1).mean() > 0.97


def test_what_is_known_of_a_term_beforehand_stays():
    people, term, one, other, log_odds = a_corpus()
    known = np.where(people == 0, 0.3, np.nan)

    right = trust(term, one, other, log_odds, reliability(term, one, other, log_odds), known=known)

    assert (right[people == 0] == 0.3).all()
    assert (right[people != 0] != 0.3).all()


def test_groups_tell_of_their_terms_too():
    people, term, *pairs = a_corpus()

    right = trust_in_groups(term, people, reliability(term, *pairs))

    assert (right[term == people] > 0.9).mean() > 0.97
    assert (right[term != people] < 0.1).mean() > 0.97


def test_a_face_without_a_term_says_nothing_and_is_told_nothing():
    query = np.array([-1, 3, 3], np.int32)
    told = Reliability(agreement=0.8, chance=0.02, shift=0.0)
    one, other = np.array([0, 0, 1]), np.array([1, 2, 2])

    right = trust(query, one, other, np.full(3, 5.0), told)

    assert right[0] == 0.0
    assert trust_in_groups(query, np.zeros(3, int), told)[0] == 0.0
    assert evidence(query, one, other, right, told)[:2].tolist() == [0.0, 0.0]


@given(st.floats(0, TRUST), st.floats(0, TRUST), st.floats(1e-5, 0.9))
def test_sharing_a_term_never_speaks_against_one_person(one, other, chance):
    query, told = np.array([0, 0, 1], np.int32), Reliability(agreement=0.8, chance=chance, shift=0.0)

    share, differ = evidence(query, np.array([0, 0]), np.array([1, 2]), np.array([one, other, other]), told)

    assert share >= 0 >= differ
    assert np.isfinite([share, differ]).all()


def test_chance_is_that_of_two_faces_drawn_at_random():
    assert chance_of(np.array([0, 0, 1, -1], np.int32)) == pytest.approx((2 / 3) ** 2 + (1 / 3) ** 2)
    assert chance_of(np.full(3, -1, np.int32)) == 1.0
