"""Copies hash alike, other pictures do not; the best of a group stands for it."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.core.duplicates import (
    ALIKE_CROP,
    SAME_DETAIL,
    SAME_PHOTO,
    alike_faces,
    crop_hash,
    detail_correlation,
    perceptual_hash,
    representatives,
    same_photos,
)


def a_picture(seed, size=256):
    """Soft blobs of colour: structure at every scale, and unlike any other seed's."""
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.random((cells, cells, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
        / cells**0.5
        for cells in (4, 8, 16, 32, 64)
    ]
    mixed = sum(layers)
    return np.uint8(255 * (mixed - mixed.min()) / (mixed.max() - mixed.min()))


def reencoded(picture, quality):
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def bits(one, other):
    return (one ^ other).bit_count()


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0])
def test_a_copy_hashes_alike(quality, scale):
    for seed in range(10):
        picture = a_picture(seed)
        copy = reencoded(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), quality)

        assert bits(perceptual_hash(picture), perceptual_hash(copy)) <= 6


def test_other_pictures_hash_otherwise():
    hashes = [perceptual_hash(a_picture(seed)) for seed in range(40)]

    assert min(bits(one, other) for i, one in enumerate(hashes) for other in hashes[:i]) > ALIKE_CROP


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_blank_picture_has_no_hash(value):
    assert perceptual_hash(np.full((64, 64, 3), value, np.uint8)) is None


def test_a_hash_has_64_bits():
    assert all(0 <= perceptual_hash(a_picture(seed)) < 2**64 for seed in range(20))


def test_the_hash_of_a_crop_is_that_of_its_inner_part():
    crop = a_picture(0)
    framed = crop.copy()
    framed[:40] = 0

    assert crop_hash(framed) == crop_hash(crop)


def test_detail_tells_a_copy_from_a_picture_of_the_same_light():
    crop = a_picture(1)
    copy = reencoded(crop, 50)
    light = cv2.GaussianBlur(crop, (0, 0), 20)
    noise = a_picture(2).astype(np.float32) - cv2.GaussianBlur(a_picture(2), (0, 0), 20)
    other = np.clip(light + noise, 0, 255).astype(np.uint8)

    assert detail_correlation(crop, copy) > SAME_DETAIL
    assert detail_correlation(crop, other) < 0.5


@pytest.mark.parametrize("shift", [(0, 0), (4, -3), (-6, 5)])
def test_detail_does_not_mind_a_crop_that_lies_beside(shift):
    photo = a_picture(3, 300)
    turned = cv2.getRotationMatrix2D((150, 150), 2, 1.02)
    moved = cv2.warpAffine(photo, turned + np.array([[0, 0, shift[0]], [0, 0, shift[1]]]), (300, 300))
    crop, beside = photo[22:-22, 22:-22], reencoded(moved[22:-22, 22:-22], 60)

    assert detail_correlation(crop, beside) > SAME_DETAIL


def test_detail_of_pictures_with_nothing_in_common_is_still_a_number():
    half = np.zeros((256, 256, 3), np.uint8)
    half[:, 128:] = 255

    assert detail_correlation(a_picture(4), half) < 0.5


def test_faces_may_be_one_picture_only_if_vectors_and_a_hash_agree():
    vectors = np.zeros((5, 8), np.float32)
    vectors[:, 0] = 1
    vectors[3] = [0, 1, 0, 0, 0, 0, 0, 0]
    crops = np.array([0, 0, 2**40 - 1, 0, 2**40 - 1], np.uint64)
    photos = np.array([0, 2**30 - 1, 0, 0, 2**30 - 1], np.uint64)

    pairs = alike_faces(vectors, crops, photos, np.array([0]))

    # 1 by its crop, 2 by its photo; 3 hashes alike but is somebody else; 4 hashes otherwise
    assert pairs == [(0, 1), (0, 2)]


def test_photos_without_faces_need_nearly_the_same_hash():
    near, far = 2**SAME_PHOTO - 1, 2 ** (SAME_PHOTO + 1) - 1

    assert same_photos(np.array([0, near, 2**63, far << 20], np.uint64)) == [(0, 1), (0, 2)]
    assert same_photos(np.array([5], np.uint64)) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20), st.permutations(range(10)))
def test_the_best_of_each_group_stands_for_all_others(pairs, order):
    rank = {item: (float(place),) for item, place in enumerate(order)}
    group = {item: {item} for item in range(10)}
    for one, other in pairs:
        union = group[one] | group[other]
        for item in union:
            group[item] = union

    stands = representatives(pairs, rank)

    assert stands == {item: best for item in range(10) if (best := max(group[item], key=rank.__getitem__)) != item}
