import json

from training.core.plain import plain


def test_what_is_no_number_is_none_however_deep_it_lies() -> None:
    told = {"a": float("nan"), "b": [1.5, (float("inf"), "x")], "c": {"d": -float("inf"), "e": 3}}

    assert plain(told) == {"a": None, "b": [1.5, [None, "x"]], "c": {"d": None, "e": 3}}
    json.dumps(plain(told), allow_nan=False)
