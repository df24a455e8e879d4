"""Ages from dates: never surer than the dates are, and impossible ones refused."""

from datetime import date, timedelta
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.core.ages import (
    SLACK,
    BirthRecord,
    ImpossibleAge,
    contradicting,
    could_be_of,
    implied_birth,
    likely_birth,
    possible,
    real_age,
    stated_birth,
)
from annotation.core.dates import PartialDate


def day(text: str) -> PartialDate:
    return PartialDate(date.fromisoformat(text), "day")


def year(number: int) -> PartialDate:
    return PartialDate(date(number, 1, 1), "year")


def test_two_days_give_an_age_to_the_day():
    age = real_age(day("1980-05-17"), day("2020-05-17"))

    assert age.years == pytest.approx(40, abs=0.01)
    assert age.uncertainty == 0


def test_a_year_without_a_day_is_half_a_year_of_doubt():
    assert real_age(day("1980-07-01"), year(2020)).uncertainty == pytest.approx(0.5, abs=0.01)
    assert real_age(year(1980), year(2020)).uncertainty == pytest.approx(1, abs=0.01)
    month = PartialDate(date(2020, 3, 1), "month")
    assert real_age(day("1980-07-01"), month).uncertainty == pytest.approx(1 / 24, abs=0.01)


days = st.dates(date(1900, 1, 1), date(2025, 12, 31))


@given(
    days, st.integers(0, 40_000), st.sampled_from(["year", "month", "day"]), st.sampled_from(["year", "month", "day"])
)
def test_the_true_age_lies_within_what_partial_dates_say(born: date, lived: int, birth: str, taken: str):
    shot = born + timedelta(days=lived)

    age = real_age(PartialDate(born, birth), PartialDate(shot, taken))

    assert age.low - 1e-9 <= lived / 365.2425 <= age.high + 1e-9


@pytest.mark.parametrize(
    ("birth", "taken", "why"),
    [
        (day("2000-01-02"), day("2000-01-01"), "after the photo was taken on 2000-01-01"),
        (year(2001), year(2000), "Born in 2001, after the photo was taken in 2000"),
        (year(1850), day("2020-01-01"), "more than 116"),
    ],
)
def test_ages_that_cannot_be_are_refused_with_the_reason(birth: PartialDate, taken: PartialDate, why: str):
    with pytest.raises(ImpossibleAge, match=why):
        real_age(birth, taken)


def test_a_photo_of_the_year_of_birth_is_possible():
    assert real_age(year(2000), year(2000)).low == 0


def test_two_birth_dates_of_one_person_contradict_each_other():
    records = {1: stated_birth(day("1980-05-17")), 2: stated_birth(day("1981-05-17"))}

    assert contradicting(records) == [1, 2]
    assert contradicting({1: stated_birth(day("1980-05-17")), 2: stated_birth(year(1980))}) == []


def test_the_odd_one_out_is_named_alone():
    records = {photo: stated_birth(day("1980-05-17")) for photo in (1, 2, 3)} | {7: stated_birth(day("1990-05-17"))}

    assert contradicting(records) == [7]


def test_ages_out_of_order_over_dated_photos_contradict_one_another():
    """30 years old in 2010, 35 in 2015, and 20 in 2020."""
    records = {number: implied_birth(year(taken), age, age + 1) for number, (taken, age) in enumerate(
        [(2010, 30), (2015, 35), (2020, 20)]
    )}  # fmt: skip

    assert contradicting(records) == [2]


def test_nothing_is_said_of_a_single_record():
    assert contradicting({1: BirthRecord(1980, 1981)}) == []
    assert contradicting({}) == []


def test_recorded_ages_tell_when_somebody_was_born_and_which_photos_cannot_be_of_them():
    """11 in 1990, 25 in 2005: born in 1979."""
    born = likely_birth({1: implied_birth(year(1990), 11, 12), 2: implied_birth(year(2005), 25, 26)})

    assert born is not None
    assert (born.first, born.last) == pytest.approx((1979.0, 1980.0), abs=0.1)
    told = {taken: could_be_of(year(taken), born) for taken in (1970, 1977, 1979, 2000, 2096, 2099)}
    assert told == {1970: False, 1977: False, 1979: True, 2000: True, 2096: True, 2099: False}
    assert likely_birth({}) is None


def test_records_that_disagree_alike_exclude_only_what_none_of_them_allows():
    born = likely_birth({1: stated_birth(day("1950-01-01")), 2: stated_birth(day("1980-01-01"))})

    assert born is not None
    assert could_be_of(year(1960), born)
    assert not could_be_of(year(1940), born)


# Ends that are a slack apart, or nearly: where rounding would tell.
ends = st.integers(0, 12).map(lambda slacks: 1980 + slacks * SLACK / 2) | st.floats(1979, 1982)
spans = st.tuples(ends, ends).map(lambda pair: BirthRecord(min(pair), max(pair)))


def most_allowed(records: dict[int, BirthRecord]) -> dict[float, set[int]]:
    """The moments of birth that most records allow, and which those are: as it is defined, each by each."""
    moments = {moment for record in records.values() for moment in (record.first, record.last)}
    allowed = {
        moment: {
            key for key, each in records.items() if each.first - SLACK <= moment <= each.last + SLACK
        }
        for moment in moments
    }  # fmt: skip
    most = max(len(keys) for keys in allowed.values())
    return {moment: keys for moment, keys in allowed.items() if len(keys) == most}


@given(st.lists(spans, min_size=1, max_size=12))
def test_what_most_records_allow_is_found_as_it_is_defined(found: list[BirthRecord]):
    records = dict(enumerate(found))
    allowed = most_allowed(records)

    assert likely_birth(records) == BirthRecord(min(allowed), max(allowed))
    assert contradicting(records) == sorted(set(records).difference(set(records).intersection(*allowed.values())))


@given(
    st.dictionaries(st.integers(), spans, max_size=5),
    st.lists(st.builds(PartialDate, st.dates(date(1970, 1, 1), date(2110, 1, 1)), st.sampled_from(["year", "day"]))),
)
def test_as_many_photos_are_possible_as_could_be_of_somebody_born_then(
    births: dict[int, BirthRecord], taken: list[PartialDate]
):
    assert possible(births, taken) == {
        key: sum(could_be_of(each, birth) for each in taken) for key, birth in births.items()
    }


def test_a_person_of_thousands_of_records_takes_no_time():
    """Compared each with each it was nine seconds."""
    records = {number: BirthRecord(1980 + number / 1e4, 1981 + number / 1e4) for number in range(5_000)}

    began = perf_counter()

    assert contradicting(records) == []
    assert perf_counter() - began < 0.5


@given(st.lists(st.tuples(st.integers(1950, 2020), st.integers(0, 30)), min_size=2, max_size=8), days)
def test_true_records_never_contradict_one_another(photos: list[tuple[int, int]], born: date):
    records = {number: stated_birth(PartialDate(born, precision)) for number, precision in enumerate(("year", "day"))}
    for number, (_, lived) in enumerate(photos, start=2):
        shot = born + timedelta(days=365 * lived)
        age = real_age(PartialDate(born, "day"), PartialDate(shot, "day"))
        records[number] = implied_birth(PartialDate(shot, "month"), age.low - 1, age.high + 1)

    assert contradicting(records) == []
