"""Groups keep every decision, find people, and grow without moving anybody."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.core.bundle import Calibration
from inference.core.cluster import Evidence, Settings, cluster, extend, merge_candidates
from inference.core.cluster_scores import bcubed

# Made-up vectors in 32 dimensions: faces of one person have cosines around 0.6, of two around 0.
SETTINGS = Settings(calibration=Calibration(slope=20.0, intercept=-7.0), neighbours=12)
NOBODY = -1


def some_vectors(people, rng, spread=0.8):
    """One face (n, 32) for each number of a person."""
    centres = rng.normal(size=(max(people) + 1, 32))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = centres[people] + rng.normal(scale=spread / np.sqrt(32), size=(len(people), 32))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def evidence_of(n, **known):
    unknown = np.full(n, NOBODY)
    return replace(Evidence(photo=np.arange(n), query=unknown.astype(np.int32), pinned=unknown), **known)


@st.composite
def cases(draw):
    """Faces of a few people with decisions and photos at random, contradictions with the vectors included."""
    n = draw(st.integers(1, 24))
    one_of = lambda low, high: st.lists(st.integers(low, high), min_size=n, max_size=n)  # noqa: E731
    pairs = st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=8)
    people = np.array(draw(one_of(0, 4)))
    return some_vectors(people, np.random.default_rng(draw(st.integers(0, 99)))), Evidence(
        photo=np.array(draw(one_of(0, 2 * n))),
        query=np.array(draw(one_of(-1, 3)), np.int32),
        pinned=np.array(draw(one_of(-8, 3))).clip(-1),
        cannot_identity=draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, 3)), max_size=8)),
        cannot=[(a, b) for a, b in draw(pairs) if a != b],
    )


def violations(labels, evidence):
    """The decisions that the labels break. Two faces that are pinned to one identity stand above the other rules."""
    pinned, found = evidence.pinned, []
    n = len(labels)
    told = {frozenset(pair) for pair in evidence.cannot}
    told |= {
        frozenset((face, other))
        for face, who in evidence.cannot_identity
        for other in np.flatnonzero(pinned == who).tolist()
    }
    for a in range(n):
        for b in range(a):
            together = labels[a] == labels[b]
            if pinned[a] >= 0 and pinned[b] >= 0:
                if together != (pinned[a] == pinned[b]):
                    found.append(("pinned", a, b))
            elif together and (evidence.photo[a] == evidence.photo[b] or frozenset((a, b)) in told):
                found.append(("apart", a, b))
    return found


@settings(max_examples=150, deadline=None)
@given(cases())
def test_no_decision_is_ever_broken(case):
    vectors, evidence = case

    found = cluster(vectors, evidence, SETTINGS)

    assert violations(found.labels, evidence) == []
    assert ((found.belief >= 0) & (found.belief <= 1)).all()


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(0, 99))
def test_extending_breaks_no_decision_either(case, seed):
    vectors, evidence = case
    previous = np.random.default_rng(seed).integers(-1, 6, len(vectors)) * 10  # it may break any decision itself
    previous[previous < 0] = -1

    found = extend(vectors, evidence, previous, SETTINGS)

    assert violations(found.labels, evidence) == []


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 99))
def test_extending_moves_nobody_who_has_a_place(case, seed):
    vectors, evidence = case
    labels = cluster(vectors, evidence, SETTINGS).labels
    fresh = (np.random.default_rng(seed).random(len(labels)) < 0.3) & (evidence.pinned < 0)
    previous = np.where(fresh, -1, labels * 3 + 5)

    found = extend(vectors, evidence, previous, SETTINGS)

    assert (found.labels[~fresh] == previous[~fresh]).all()
    assert set(found.labels[fresh].tolist()) <= set(previous[~fresh].tolist()) | set(range(-len(labels) - 1, -1))
    assert np.isfinite(found.belief[fresh]).all()
    assert np.isnan(found.belief[~fresh]).all()


def test_people_are_found():
    rng = np.random.default_rng(0)
    people = rng.integers(0, 40, 800)

    found = cluster(some_vectors(people, rng), evidence_of(800), SETTINGS)

    assert bcubed(found.labels, people).f > 0.98


def test_the_same_faces_give_the_same_groups():
    rng = np.random.default_rng(1)
    vectors = some_vectors(rng.integers(0, 30, 300), rng, spread=1.3)

    first, second = (cluster(vectors, evidence_of(300), SETTINGS) for _ in range(2))

    assert (first.labels == second.labels).all()
    assert (first.belief == second.belief).all()


def test_search_terms_help_where_vectors_do_not_suffice():
    rng = np.random.default_rng(2)
    people = rng.integers(0, 40, 800)
    vectors = some_vectors(people, rng, spread=1.5)
    terms = np.where(rng.random(800) < 0.1, rng.permutation(people), people).astype(np.int32)

    without, with_terms, alone = (
        bcubed(labels, people).f
        for labels in (
            cluster(vectors, evidence_of(800), SETTINGS).labels,
            cluster(vectors, evidence_of(800, query=terms), SETTINGS).labels,
            terms,
        )
    )

    assert with_terms > without + 0.02
    assert with_terms > alone + 0.02


@pytest.mark.parametrize("terms", [np.zeros(400), np.arange(400), np.random.default_rng(3).integers(0, 20, 400)])
def test_terms_that_say_nothing_of_people_change_little(terms):
    rng = np.random.default_rng(4)
    people = rng.integers(0, 20, 400)
    vectors = some_vectors(people, rng)

    found = cluster(vectors, evidence_of(400, query=terms.astype(np.int32)), SETTINGS)

    assert bcubed(found.labels, people).f > 0.97


def test_two_people_of_one_name_stay_two():
    rng = np.random.default_rng(5)
    people = np.repeat(np.arange(30), 15)
    vectors = some_vectors(people, rng)

    found = cluster(vectors, evidence_of(len(people), query=(people // 2).astype(np.int32)), SETTINGS)

    assert bcubed(found.labels, people).f > 0.97


def test_a_stranger_among_a_group_is_doubted_most():
    rng = np.random.default_rng(6)
    people = np.repeat(np.arange(10), 12)
    vectors = some_vectors(people, rng)
    vectors[0] = some_vectors([0], rng)[0]  # somebody else, whom a person took for this one
    pinned = np.where(people == 0, 7, NOBODY)

    found = cluster(vectors, evidence_of(len(people), pinned=pinned), SETTINGS)

    assert found.belief[people == 0].argmin() == 0


def test_new_faces_join_the_people_they_belong_to():
    rng = np.random.default_rng(7)
    people = rng.integers(0, 30, 600)
    vectors = some_vectors(people, rng)
    old = np.arange(600) < 500
    previous = np.full(600, -1)
    previous[old] = cluster(vectors[old], evidence_of(500), SETTINGS).labels

    found = extend(vectors, evidence_of(600), previous, SETTINGS)

    assert bcubed(found.labels, people).f > 0.98


def test_new_people_get_clusters_of_their_own():
    rng = np.random.default_rng(8)
    people = np.repeat(np.arange(10), 10)
    previous = np.where(people < 8, people * 100, -1)

    found = extend(some_vectors(people, rng), evidence_of(100), previous, SETTINGS)

    assert sorted(set(found.labels[people >= 8].tolist())) == [-3, -2]
    assert bcubed(found.labels, people).f == 1.0


def test_one_person_under_two_identities_is_suggested():
    rng = np.random.default_rng(9)
    people = np.repeat(np.arange(20), 8)
    vectors = some_vectors(people, rng)
    identities = people * 10
    identities[:4] = 999  # half of person 0

    suggested = list(merge_candidates(vectors, identities, SETTINGS))

    assert suggested[0][:2] == (0, 999)
    assert suggested[0][2] > 0.8
    assert all(probability < 0.5 for _, _, probability in suggested[1:])


def test_nothing_is_suggested_for_one_person_alone():
    assert list(merge_candidates(np.eye(3, dtype=np.float32), np.array([5, 5, 5]), SETTINGS)) == []


@pytest.mark.parametrize("n", [0, 1])
def test_few_faces_are_no_trouble(n):
    vectors = np.eye(32, dtype=np.float32)[:n]

    assert cluster(vectors, evidence_of(n), SETTINGS).labels.tolist() == [0] * n
    assert extend(vectors, evidence_of(n), np.full(n, -1), SETTINGS).labels.tolist() == [-2] * n
