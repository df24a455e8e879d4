"""What labelled faces say of others, never of themselves or their own group."""

import numpy as np
import pytest

from inference.core.probe import predict, same_term, tell


def two_kinds(count: int = 200, dimensions: int = 16, seed: int = 0):
    """Unit vectors of two classes that share a large common direction, as those of one backbone do."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    vectors = rng.normal(0, 0.3, (count, dimensions)) + 2.0
    vectors[:, 0] += np.where(truth == 0, 1.0, -1.0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), truth


def test_head_and_neighbours_tell_the_unlabelled_what_they_are():
    vectors, truth = two_kinds()
    known = truth.copy()
    known[100:] = -1
    told = tell(vectors, known, np.arange(200), 2)
    for said in (told.head, told.neighbours):
        assert said.shape == (200, 2)
        assert np.allclose(said[~np.isnan(said).any(axis=1)].sum(axis=1), 1)
        rest = np.arange(100, 200)
        heard = rest[~np.isnan(said[rest]).any(axis=1)]
        assert (said[heard].argmax(axis=1) == truth[heard]).mean() > 0.95


def test_a_network_that_takes_one_value_for_another_is_understood_after_some_labels():
    """What it saw is heard by the head, whatever the vectors tell."""
    rng, truth = np.random.default_rng(0), np.arange(300) % 3
    seen = np.where(np.eye(3)[(truth + 1) % 3] > 0, 0.8, 0.1) + rng.uniform(0, 0.05, (300, 3))
    vectors = rng.normal(0, 1, (300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    known = np.where(np.arange(300) < 150, truth, -1)

    deaf, told = (tell(vectors, known, np.arange(300), 3, seen=each).head for each in (None, seen))

    assert (deaf[150:].argmax(axis=1) == truth[150:]).mean() < 0.6
    assert (told[150:].argmax(axis=1) == truth[150:]).mean() > 0.97


def test_a_label_does_not_speak_for_its_own_face_nor_for_its_group():
    vectors, truth = two_kinds()
    wrong = truth.copy()
    wrong[:10] = 1 - wrong[:10]  # one group of ten faces, all labelled wrongly
    group = np.where(np.arange(200) < 10, 0, np.arange(200))
    told = tell(vectors, wrong, group, 2)
    assert (told.head[:10].argmax(axis=1) == truth[:10]).mean() > 0.8


def test_few_labels_make_no_head_and_no_labels_no_neighbours():
    vectors, truth = two_kinds()
    few = np.where(np.arange(200) < 20, truth, -1)
    assert np.isnan(tell(vectors, few, np.arange(200), 2).head).all()
    none = tell(vectors, np.full(200, -1), np.arange(200), 2)
    assert np.isnan(none.head).all()
    assert np.isnan(none.neighbours).all()


def test_a_class_that_nobody_has_is_hardly_believed():
    vectors, truth = two_kinds()
    told = tell(vectors, truth, np.arange(200), 3)
    assert told.head[:, 2].max() < 0.01


def test_predict_learns_from_all_labels():
    vectors, truth = two_kinds()
    assert (predict(vectors, truth, 2).argmax(axis=1) == truth).mean() > 0.95


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="differ"):
        tell(np.zeros((3, 4), np.float32), np.zeros(2, np.int64), np.zeros(3, np.int64), 2)


def test_a_search_term_says_what_the_others_found_under_it_are():
    term = np.array([0, 0, 0, 0, 1, 1, -1, 1])
    truth = np.array([1, 1, 1, -1, 0, -1, 1, 0])
    group = np.array([10, 11, 12, 13, 14, 15, 16, 14])
    told = same_term(term, truth, group, 2)
    assert told[3] == pytest.approx([0.5 / 4, 3.5 / 4])
    assert told[0] == pytest.approx([0.5 / 3, 2.5 / 3])  # without its own label
    assert told[5].argmax() == 0
    assert np.isnan(told[4]).all()  # only the same person was labelled under it
    assert np.isnan(told[6]).all()
    assert np.isnan(same_term(term, np.full(8, -1), group, 2)).all()
