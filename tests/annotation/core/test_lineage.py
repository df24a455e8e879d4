from hypothesis import given
from hypothesis import strategies as st

from annotation.core.lineage import Line, belief, roots


def test_a_chain_of_merges_ends_at_its_last_identity():
    assert roots([(1, 2), (2, 3)]) == {1: 3, 2: 3}


def test_an_identity_merged_twice_makes_all_three_one():
    assert roots([(1, 2), (1, 3)]) == {1: 3, 2: 3}


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(1, 8))))
def test_roots_are_the_connected_components(merges: list[tuple[int, int]]):
    found = roots(merges)
    component = {n: n for n in range(1, 9)}
    for one, other in merges:
        low, high = component[one], component[other]
        component = {n: low if c == high else c for n, c in component.items()}
    top = {n: found.get(n, n) for n in range(1, 9)}
    for one in range(1, 9):
        for other in range(1, 9):
            assert (top[one] == top[other]) == (component[one] == component[other])


def test_the_last_label_counts():
    assert belief([Line(1, "label", 5), Line(2, "label", 6)], {}).identity == 6


def test_not_that_person_takes_back_the_label_of_that_person_only():
    assert belief([Line(1, "label", 5), Line(2, "cannot_link", 5)], {}) is None
    assert belief([Line(1, "label", 5), Line(2, "cannot_link", 6)], {}).identity == 5


def test_not_that_person_reaches_whom_that_person_was_merged_into():
    assert belief([Line(1, "label", 5), Line(2, "cannot_link", 6)], {5: 7, 6: 7}) is None


def test_a_label_after_not_that_person_holds():
    assert belief([Line(1, "cannot_link", 5), Line(2, "label", 5)], {}).identity == 5


def test_a_face_that_is_none_has_no_identity():
    found = belief([Line(1, "label", 5), Line(2, "not_a_face", None)], {})
    assert (found.verdict, found.identity, found.line) == ("not_a_face", None, 2)
