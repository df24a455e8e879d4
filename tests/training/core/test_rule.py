"""When it is worth training again, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from training.core.rule import FEWEST, Rule, Seen, why_train

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULE = Rule(labels=2000, growth=0.25, coverage=0.5, days=0, cooldown=timedelta(hours=12))
QUIET = Seen(now=NOW, labels=10_000, new=100, last=NOW - timedelta(days=3), under_way=False, coverage=0.8)


@pytest.mark.parametrize(
    ("case", "seen", "rule", "why"),
    [
        ("few new labels, certificates that cover", {}, {}, None),
        ("as many new labels as are set", {"new": 2000}, {}, "labels"),
        ("one less", {"new": 1999}, {}, None),
        ("a quarter more than before", {"labels": 5_000, "new": 1_000}, {}, "labels"),
        ("not quite a quarter", {"labels": 5_000, "new": 999}, {}, None),
        ("enough, but it was trained just now", {"new": 5000, "last": NOW - timedelta(hours=11)}, {}, None),
        ("when the cool-down is over", {"new": 5000, "last": NOW - timedelta(hours=12)}, {}, "labels"),
        ("enough, but one is under way", {"new": 5000, "under_way": True}, {}, None),
        ("certificates short of coverage while labels grew", {"new": 600, "coverage": 0.4}, {}, "coverage"),
        ("short, but labels hardly grew", {"new": 300, "coverage": 0.0}, {}, None),
        ("short, of years, that no certificate accepts", {"new": 600, "coverage": None}, {}, None),
        ("coverage as set", {"new": 600, "coverage": 0.5}, {}, None),
        ("it is time", {"new": 1}, {"days": 3}, "schedule"),
        ("not yet", {"new": 1}, {"days": 4}, None),
        ("time, but nothing is new", {"new": 0}, {"days": 3}, None),
        ("the first one, with too few labels", {"labels": FEWEST - 1, "new": FEWEST - 1, "last": None}, {}, None),
        (
            "the first one, with nothing to cover",
            {"labels": 500, "new": 500, "last": None, "coverage": 0.0},
            {},
            "coverage",
        ),
        ("the first one, of years", {"labels": 500, "new": 500, "last": None, "coverage": None}, {}, None),
        ("the first one, with enough", {"labels": 2000, "new": 2000, "last": None, "coverage": None}, {}, "labels"),
        (
            "the first one, by schedule",
            {"labels": 500, "new": 500, "last": None, "coverage": 0.9},
            {"days": 9},
            "schedule",
        ),
        ("two reasons: labels are told", {"new": 3000, "coverage": 0.1}, {"days": 1}, "labels"),
    ],
)
def test_the_rule(case, seen, rule, why):
    assert why_train(replace(QUIET, **seen), replace(RULE, **rule)) == why, case
