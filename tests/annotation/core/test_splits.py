"""Splits tear no group apart, stay as they were, and are even over what is known."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.sampling import draw
from annotation.core.splits import SHARES, SPLITS, BadShares, Candidate, assign, connected, warnings


def candidates(sizes: list[tuple[int, str]], *, first: int = 0, seed: int = 0) -> list[Candidate]:
    """A group of so many faces each, all of one stratum."""
    return [
        Candidate(number, draw(f"{seed}/{number}", "split"), [stratum] * size, size)
        for number, (size, stratum) in enumerate(sizes, start=first)
    ]


def placed(group: Candidate, given: dict) -> Candidate:
    return Candidate(group.group, group.order, group.strata, group.faces, given.get(group.group))


corpora = st.lists(st.tuples(st.integers(1, 6), st.sampled_from(["child", "adult", "old"])), max_size=120)


@given(corpora)
def test_every_group_is_in_one_part_whatever_order_they_come_in(sizes):
    groups = candidates(sizes)

    given_ = assign(groups)

    assert set(given_) == {each.group for each in groups}
    assert set(given_.values()) <= set(SPLITS)
    assert assign(groups[::-1]) == given_


@given(corpora)
def test_each_part_has_its_share_of_each_stratum_up_to_two_groups(sizes):
    groups = candidates(sizes)

    given_ = assign(groups)

    faces = Counter()
    for each in groups:
        faces[given_[each.group], each.strata[0]] += each.faces
    for stratum in {each.strata[0] for each in groups}:
        total = sum(each.faces for each in groups if each.strata[0] == stratum)
        largest = max(each.faces for each in groups)
        for part in SPLITS:
            assert abs(faces[part, stratum] - SHARES[part] * total) <= 2 * largest


@given(corpora, corpora)
def test_what_has_a_part_keeps_it_when_others_come_so_the_test_only_grows(sizes, more):
    old = candidates(sizes)
    before = assign(old)

    after = assign([placed(each, before) for each in old] + candidates(more, first=len(old)))

    assert {group: after[group] for group in before} == before


@given(st.integers(200, 400), st.integers(0, 50))
def test_single_faces_are_dealt_out_exactly(count, seed):
    given_ = assign(candidates([(1, "adult")] * count, seed=seed))

    for part in SPLITS:
        assert abs(Counter(given_.values())[part] - SHARES[part] * count) <= 1


def test_a_rare_stratum_reaches_the_test_though_chance_alone_would_often_leave_it_out():
    given_ = assign(candidates([(1, "adult")] * 990 + [(1, "over 90")] * 10))

    rare = Counter(given_[group] for group in range(990, 1_000))
    assert rare == {"train": 7, "validation": 2, "test": 1} or rare == {"train": 7, "validation": 1, "test": 2}


def test_faces_of_several_strata_are_even_over_all_of_them():
    groups = [
        Candidate(n, draw(str(n), "split"), [("gender", n % 2), ("age", n % 7), ("emotion", n % 5)]) for n in range(700)
    ]

    given_ = assign(groups)

    for stratum in {each for group in groups for each in group.strata}:
        of = [given_[each.group] for each in groups if stratum in each.strata]
        assert abs(of.count("test") / len(of) - 0.15) < 0.03


def test_another_seed_deals_otherwise():
    sizes = [(1, "adult")] * 200

    assert assign(candidates(sizes, seed=1)) != assign(candidates(sizes, seed=2))


def test_a_group_too_large_for_the_test_goes_to_the_training_part():
    given_ = assign(candidates([(1, "adult")] * 50 + [(60, "famous")]))

    assert given_[50] == "train"


def test_a_part_without_a_share_gets_nothing_new():
    given_ = assign(candidates([(1, "adult")] * 50), {"train": 0.8, "validation": 0.2, "test": 0.0})

    assert "test" not in given_.values()


@pytest.mark.parametrize("shares", [{}, {"train": 1.0}, {"train": 0.5, "validation": 0.5, "test": 0.5}])
def test_shares_that_cannot_be_are_refused_by_their_values(shares):
    with pytest.raises(BadShares, match=r"shares of the splits cannot be"):
        assign([], shares)


def parts(train: int, validation: int, test: int, largest: int = 1) -> dict[str, object]:
    splits = {"train": train, "validation": validation, "test": test}
    return {"faces": sum(splits.values()), "splits": splits, "largest_group": largest, "attributes": {}}


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (parts(700, 150, 150), []),
        (parts(700, 150, 150, largest=90), []),
        (parts(3, 1, 1, largest=3), []),
        (
            parts(650, 180, 170) | {"capped": 2_000},
            ["train part has 88%", "validation part has 6%", "test part has 6%"],
        ),
        (parts(400, 150, 150) | {"capped": 300}, []),
        (
            parts(900, 60, 40, largest=850),
            ["850 of 1,000", "train part has 90%", "validation part has 6%", "test part"],
        ),
        (parts(9, 1, 0), ["test part is empty"]),
    ],
)
def test_parts_that_are_not_what_was_asked_for_are_told(counts, told):
    said = warnings(counts, SHARES)

    assert len(said) == len(told)
    assert all(part in each for part, each in zip(told, said, strict=True)), said


def test_a_part_without_a_share_is_missed_by_nobody():
    assert warnings(parts(800, 200, 0), {"train": 0.8, "validation": 0.2, "test": 0.0}) == []


def test_a_part_in_which_no_face_has_a_label_of_an_attribute_is_told():
    ages = {"train": {"30": 5}, "validation": {}, "test": {"cannot_tell": 1}}
    genders = {"train": {"male": 7}, "validation": {"male": 1}, "test": {"female": 1}}
    counts = parts(8, 2, 2) | {"attributes": {"real_age": ages, "gender": genders}}

    (said,) = warnings(counts, SHARES)

    assert "real_age has no labelled face in: validation, test." in said
    assert "chosen only" in said
    assert not any("real_age" in each for each in warnings(counts, {"train": 1.0, "validation": 0.0, "test": 0.0}))


@given(st.lists(st.tuples(st.integers(-1, 12), st.integers(-1, 12)), max_size=40))
def test_all_that_share_a_key_through_whatever_chain_are_one_component(pairs):
    keys = [np.array([pair[kind] for pair in pairs], np.int64) for kind in (0, 1)]

    found = connected(len(pairs), *keys)

    reached = [{number} for number in range(len(pairs))]
    for _ in pairs:
        for one, other in itertools.combinations(range(len(pairs)), 2):
            if any(key[one] == key[other] >= 0 for key in keys):
                reached[one] = reached[other] = reached[one] | reached[other]
    for one, other in itertools.combinations(range(len(pairs)), 2):
        assert (found[one] == found[other]) == (other in reached[one])
