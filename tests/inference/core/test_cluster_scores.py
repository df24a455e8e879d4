"""The scores against brute force over all faces and pairs."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core.cluster_scores import bcubed, pairwise, purity

groupings = st.integers(1, 30).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-3, 6), min_size=n, max_size=n) for _ in range(2)])
)


def brute_bcubed(labels: list[int], truth: list[int]) -> tuple[float, float]:
    precision, recall = [], []
    for mine, person in zip(labels, truth, strict=True):
        together = [other for other, label in zip(truth, labels, strict=True) if label == mine]
        same = [label for other, label in zip(truth, labels, strict=True) if other == person]
        precision.append(together.count(person) / len(together))
        recall.append(same.count(mine) / len(same))
    return float(np.mean(precision)), float(np.mean(recall))


@given(groupings)
def test_bcubed_is_the_mean_over_faces(grouping):
    labels, truth = grouping

    score = bcubed(np.array(labels), np.array(truth))

    assert (score.precision, score.recall) == pytest.approx(brute_bcubed(labels, truth))


@given(groupings)
def test_pairwise_counts_every_pair(grouping):
    labels, truth = grouping
    pairs = list(combinations(range(len(labels)), 2))
    together = {(i, j) for i, j in pairs if labels[i] == labels[j]}
    same = {(i, j) for i, j in pairs if truth[i] == truth[j]}

    score = pairwise(np.array(labels), np.array(truth))

    assert score.precision == pytest.approx(len(together & same) / len(together) if together else 1)
    assert score.recall == pytest.approx(len(together & same) / len(same) if same else 1)


@given(groupings)
def test_purity_counts_the_commonest_person_of_each_cluster(grouping):
    labels, truth = grouping
    members = {label: [t for t, mine in zip(truth, labels, strict=True) if mine == label] for label in set(labels)}
    commonest = sum(max(people.count(p) for p in people) for people in members.values())

    assert purity(np.array(labels), np.array(truth)) == pytest.approx(commonest / len(labels))


@given(groupings)
def test_the_names_of_clusters_do_not_matter(grouping):
    labels, truth = np.array(grouping[0]), np.array(grouping[1])

    renamed, given = bcubed(labels * -7, truth), bcubed(labels, truth)

    assert (renamed.precision, renamed.recall) == pytest.approx((given.precision, given.recall))


def test_f_is_the_harmonic_mean():
    score = bcubed(np.array([0, 0, 0, 0]), np.array([1, 1, 2, 2]))

    assert (score.precision, score.recall, score.f) == pytest.approx((0.5, 1.0, 2 / 3))


@pytest.mark.parametrize("measure", [bcubed, pairwise, purity])
@pytest.mark.parametrize(("labels", "truth"), [([], []), ([1], [1, 2])])
def test_labels_and_truth_must_match(measure, labels, truth):
    with pytest.raises(ValueError, match="As many labels as truths"):
        measure(np.array(labels, int), np.array(truth, int))
