import numpy as np
import pytest

from inference.core.likeness import main_mode


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_large_minority_does_not_draw_what_most_have_in_common_to_its_side():
    rng = np.random.default_rng(0)
    many = unit(rng.normal(0, 0.02, (60, 16)) + np.eye(16)[0])
    few = unit(rng.normal(0, 0.02, (40, 16)) + np.eye(16)[1])

    near = main_mode(rng.permutation(np.concatenate([many, few])))

    assert np.linalg.norm(near) == pytest.approx(1.0, abs=1e-5)
    assert near[0] > 0.99
    assert (many @ near).min() > 0.9 > 0.2 > (few @ near).max()


def test_the_order_of_the_faces_does_not_matter():
    rng = np.random.default_rng(1)
    vectors = unit(rng.normal(size=(31, 8)) + 2 * np.eye(8)[2])
    assert np.allclose(main_mode(vectors), main_mode(vectors[::-1]), atol=1e-5)


def test_one_face_has_itself_in_common():
    (vector,) = unit(np.ones((1, 4)))
    assert np.allclose(main_mode(vector[None]), vector, atol=1e-6)


def test_nothing_has_nothing_in_common():
    with pytest.raises(ValueError, match="Without a vector"):
        main_mode(np.zeros((0, 4), np.float32))
