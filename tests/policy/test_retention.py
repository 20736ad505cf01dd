from datetime import UTC, datetime, timedelta

from mailstead.policy.retention import Retention, kept

NOW = datetime(2026, 11, 27, 3, tzinfo=UTC)


def days(moments):
    return sorted((NOW - moment).days for moment in moments)


def test_nothing_is_kept_of_nothing():
    assert kept([], Retention()) == set()


def test_days_weeks_and_months_that_have_any():
    each_day = [NOW - timedelta(days=number) for number in range(400)]
    stay = kept(each_day, Retention(7, 4, 6))
    assert days(stay) == [0, 1, 2, 3, 4, 5, 6, 12, 19, 27, 58, 88, 119, 150]


def test_what_lies_far_back_stays_where_nothing_newer_is():
    assert days(kept([NOW - timedelta(days=number) for number in (300, 301, 500)], Retention(7, 4, 6))) == [
        300,
        301,
        500,
    ]


def test_all_of_the_last_day_stay():
    hourly = [NOW - timedelta(hours=number) for number in range(48)]
    assert len(kept(hourly, Retention(1, 0, 0))) == 24
