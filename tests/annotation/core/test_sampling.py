import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from annotation.core.sampling import draw, in_control_slice, is_audited

KEYS = [f"{number:064x}-0" for number in range(20_000)]
IN_THE_SLICE = ["28-0", "35-0", "3f-0", "58-0", "6b-0", "b3-0"]


def test_draws_are_spread_evenly():
    assert kstest([draw(key, "control") for key in KEYS], "uniform").pvalue > 0.001


@given(st.text(max_size=80), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_slice_only_adds_faces(key: str, one: float, other: float):
    less, more = sorted((one, other))

    assert in_control_slice(key, more) or not in_control_slice(key, less)


def test_the_slice_never_drifts():
    """These faces are in it for ever: a change of the hash would mix new faces into every measurement."""
    assert [key[-4:] for key in KEYS[:200] if in_control_slice(key)] == IN_THE_SLICE


def test_draws_for_two_purposes_know_nothing_of_one_another():
    control = [key for key in KEYS if in_control_slice(key, 0.2)]
    audited = [key for key in control if is_audited(key, "7", 0.3)]

    assert len(audited) / len(control) == pytest.approx(0.3, abs=0.03)
    assert [key for key in control if is_audited(key, "8", 0.3)] != audited


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(share: float):
    with pytest.raises(ValueError, match="from 0 to 1"):
        in_control_slice("a", share)
