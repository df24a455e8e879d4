"""A query asks for what there is, and comes back from JSON as it was."""

import json
import math

import pytest

from annotation.core.release_query import BadQuery, ReleaseQuery, query_of


def test_a_query_comes_back_from_json_as_it_was():
    query = ReleaseQuery(attributes=("gender",), sources=("a", "b"), cap_per_age=100, balance="weights", seed=3)

    assert query_of(json.loads(json.dumps(query.as_json()))) == query
    assert query_of({}) == ReleaseQuery()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"atributes": []}, "Did you mean 'attributes'"),
        ({"attributes": "gender"}, "a list of words"),
        ({"attributes": ["gendre"]}, "Did you mean 'gender'"),
        ({"decided_by": ["robot"]}, "Known are: person, machine, import"),
        ({"min_confidence": 2}, "from 0 to 1"),
        ({"min_confidence": True}, "a number"),
        ({"min_sharpness": -1}, "min_sharpness -1: a number from 0"),
        ({"min_sharpness": math.nan}, "min_sharpness nan: a number from 0"),
        ({"shares": {"train": math.nan, "validation": 0.5, "test": 0.5}}, "cannot be train nan"),
        ({"sources": ["a\0b"]}, "a list of words"),
        ({"seed": 2**70}, "64 bits"),
        ({"cap_per_age": 2**70}, "at least one"),
        ({"max_yaw": 100}, "from 0 to 90"),
        ({"cap_per_age": 0}, "at least one"),
        ({"cap_per_age": "9"}, "cap_per_age must be"),
        ({"balance": "caps"}, "Known are: none, weights"),
        ({"all_of_them": True}, "needs attributes"),
        ({"usable_only": 1}, "true or false"),
        ({"shares": {"train": 1.0}}, "shares of the splits"),
        ({"shares": [1]}, "shares must be"),
        ({"seed": 1.5}, "a whole number"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(content, said):
    with pytest.raises(BadQuery, match=said):
        query_of(content)
