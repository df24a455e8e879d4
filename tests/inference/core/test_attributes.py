import pytest

from inference.core.attributes import ATTRIBUTES, EMOTION, GENDER, Attribute, UnknownAttribute, UnknownValue, attribute


def test_the_rules_of_each_attribute():
    assert list(ATTRIBUTES) == ["real_age", "apparent_age", "gender", "emotion"]
    assert not attribute("real_age").asked
    assert attribute("apparent_age").blind
    assert attribute("apparent_age").answers == 10
    assert GENDER.of_identity
    assert EMOTION.keeps == "distribution"
    assert len(EMOTION.values) == 7
    assert [each.in_years for each in ATTRIBUTES.values()] == [True, True, False, False]


def test_what_is_unknown_is_refused_with_what_is_known():
    with pytest.raises(UnknownAttribute, match="Known are: real_age, apparent_age, gender, emotion"):
        attribute("mood")
    with pytest.raises(UnknownValue, match=r"gender cannot be 'f'\. It is one of: female, male"):
        GENDER.index("f")
    with pytest.raises(UnknownValue, match="0 to 116"):
        attribute("real_age").index("young")


@pytest.mark.parametrize("wrong", [{"values": ("a", "a")}, {"answers": 0}])
def test_an_entry_that_contradicts_itself_is_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match="mood"):
        Attribute(**({"name": "mood", "values": ("a", "b"), "keeps": "value"} | wrong))
