"""Answers as the browser sends them."""

import pytest

from annotation.core.answers import Malformed, grid_answer, record_answer, value_answer
from inference.core.attributes import APPARENT_AGE, EMOTION, GENDER


def test_in_a_grid_each_mark_is_an_action_and_says_what_the_face_is_instead():
    said = grid_answer({"verdict": "marked", "marks": {"3": "sad", "4": "other"}}, {3, 4, 5}, EMOTION)

    assert said.actions == 3
    assert said.content == {"verdict": "marked", "marks": {"3": "sad", "4": "other"}}


@pytest.mark.parametrize(
    ("marks", "told"),
    [
        ({"9": "other"}, "does not show"),
        ({"9" * 5000: "other"}, "face '9999999999"),
        ({"3": "bored"}, "must be one of"),
        ({"3": ["other"]}, "must be one of"),
        ("3", "must map face ids"),
    ],
)
def test_marks_that_make_no_sense_are_named(marks, told):
    with pytest.raises(Malformed, match=told):
        grid_answer({"verdict": "marked", "marks": marks}, {3}, EMOTION)


def test_a_value_is_one_of_the_attributes_values():
    assert value_answer({"verdict": "value", "value": "female"}, GENDER).value == "female"
    with pytest.raises(Malformed, match="female, male"):
        value_answer({"verdict": "value", "value": "happy"}, GENDER)


def test_years_cost_an_action_a_digit():
    assert value_answer({"verdict": "value", "value": 42}, APPARENT_AGE).actions == 2
    assert value_answer({"verdict": "value", "value": "07"}, APPARENT_AGE).value == "7"


@pytest.mark.parametrize("years", [117, -1, "old", None, 3.5, True, "٣", "3" * 5000])
def test_years_that_nobody_has_are_refused(years):
    with pytest.raises(Malformed, match="0 to 116"):
        value_answer({"verdict": "value", "value": years}, APPARENT_AGE)


def test_whoever_cannot_tell_names_no_value():
    assert value_answer({"verdict": "cannot_tell", "value": "male"}, GENDER).content["value"] == ""


def test_a_record_is_of_the_right_person_or_is_not():
    assert record_answer({"verdict": "marked", "marks": {"3": "wrong_date"}}, {3, 4}).actions == 2
    with pytest.raises(Malformed, match="verdict"):
        record_answer({"verdict": "perhaps"}, {3})
