"""Rates and plots from counts over time, and which moments are kept."""

from datetime import UTC, datetime, timedelta

from annotation.core.pace import DAY, HOUR, WEEK, Moment, rate, seconds_left, series, too_many

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def moments(*told: tuple[float, int]) -> list[Moment]:
    """So many minutes ago there were so many."""
    return [Moment(NOW - timedelta(minutes=minutes), {"faces": count}) for minutes, count in told]


def test_a_rate_is_what_came_within_the_span_scaled_to_what_is_asked():
    known = moments((90, 0), (60, 100), (30, 200), (0, 400))
    assert rate(known, "faces", HOUR, HOUR) == 300
    assert rate(known, "faces", HOUR, DAY) == 7200


def test_erased_faces_count_against_it():
    assert rate(moments((60, 500), (0, 400)), "faces", HOUR, HOUR) == -100


def test_no_rate_is_told_of_a_week_by_an_afternoon_nor_of_what_nobody_counted():
    known = moments((240, 0), (0, 400))
    assert rate(known, "faces", WEEK, DAY) is None
    assert rate(known, "photos", HOUR, HOUR) is None
    assert rate([], "faces", HOUR, HOUR) is None


def test_a_plot_has_a_point_a_slot_whose_counts_add_up_to_all_that_came():
    known = moments(*((minutes, 600 - 10 * minutes) for minutes in range(60, -1, -1)))
    points = list(series(known, "faces", since=NOW - HOUR, slot=timedelta(minutes=10), per=HOUR))
    assert [round(value) for _, value in points] == [600] * len(points)
    assert points[-1][0] == NOW
    assert len(points) == 6


def test_a_slot_without_a_moment_is_bridged_at_its_average_pace():
    points = list(
        series(moments((60, 0), (5, 110), (0, 120)), "faces", since=NOW - HOUR, slot=timedelta(minutes=10), per=HOUR)
    )
    assert [round(value) for _, value in points] == [120, 120]


def test_of_old_moments_the_first_of_each_slot_stays_and_of_the_last_hours_all():
    ages = [timedelta(minutes=1), timedelta(hours=1), timedelta(hours=2, minutes=55), timedelta(hours=3)]
    ages += [timedelta(days=40), timedelta(days=40, hours=1), timedelta(days=41)]
    times = [(key, NOW - age) for key, age in enumerate(ages)]
    assert sorted(too_many(times, NOW)) == [2, 4]
    kept = [row for row in times if row[0] not in too_many(times, NOW)]
    assert too_many(kept, NOW) == []


def test_the_time_left_goes_by_the_shortest_span_in_which_anything_was_done():
    spans = {"hour": HOUR, "day": DAY}
    assert seconds_left(100, {"hour": 50, "day": 60}, spans) == (7200, "hour")
    assert seconds_left(100, {"hour": 0, "day": 50}, spans) == (2 * 86_400, "day")
    assert seconds_left(100, {"hour": 0, "day": 0}, spans) is None
