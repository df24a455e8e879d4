"""What is said of a face follows from the belief, and where it should not be relied on that is said too."""

import numpy as np
import pytest

from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER
from inference.core.said import Choice, Sureness, Years, say

SURE = Sureness(calibrated=True, abstain_below=0.6)


def test_the_likeliest_value_is_said_with_the_whole_distribution():
    said = say(EMOTION, np.array([0, 0, 0, 0.7, 0.2, 0.1, 0]), sureness=SURE, usable=True)

    assert isinstance(said, Choice)
    assert (said.value, said.confidence, said.abstained, said.calibrated) == ("happy", 0.7, False, True)
    assert list(said.distribution) == list(EMOTION.values)
    assert sum(said.distribution.values()) == pytest.approx(1)


def test_too_little_confidence_and_a_face_that_cannot_be_seen_are_told():
    unsure, sure = np.array([0.55, 0.45]), np.array([0.95, 0.05])

    assert say(GENDER, unsure, sureness=SURE, usable=True).abstained
    assert not say(GENDER, sure, sureness=SURE, usable=True).abstained
    assert say(GENDER, sure, sureness=SURE, usable=False).abstained


@pytest.mark.parametrize("belief", [[0.5, 0.3, 0.2], [float("nan"), 1.0]])
def test_what_is_no_belief_is_refused(belief: list[float]):
    with pytest.raises(ValueError, match="A belief in gender"):
        say(GENDER, np.array(belief), sureness=SURE, usable=True)


def test_an_age_has_the_interval_that_holds_nine_tenths_of_the_belief():
    belief = np.zeros(117)
    belief[20:40] = 0.05  # even over the years 20 to 39

    said = say(APPARENT_AGE, belief, sureness=Sureness(False, 0.0), usable=True)

    assert isinstance(said, Years)
    assert (said.mean, said.low, said.high) == (pytest.approx(29.5), 20, 38)
    assert said.sd == pytest.approx(np.sqrt((20**2 - 1) / 12))
    assert not said.calibrated


def test_a_belief_of_another_attribute_is_refused():
    with pytest.raises(ValueError, match=r"gender has shape \(2,\), not \(117,\)"):
        say(GENDER, np.zeros(117), sureness=SURE, usable=True)
