"""Dates, times, durations, offsets, as they stand in objects."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject
from mailstead.pim.component import Component, Property
from mailstead.pim.values import (
    Duration,
    Moment,
    Period,
    duration,
    moment,
    moments,
    parse_moment,
    parse_period,
    utc_offset,
    written_date,
    written_local,
    written_utc,
)
from mailstead.pim.zones import Zones, iana_zone

ZONES = Zones(Component("VCALENDAR"))
BERLIN = iana_zone("Europe/Berlin")
PLAIN = Property("DTSTART", "")


def local(*parts: int) -> datetime:
    return datetime(*parts)


def in_berlin(value: str) -> datetime:
    return moment(Property("DTSTART", value, (("TZID", ("Europe/Berlin",)),)), ZONES).utc(UTC)


def test_the_three_forms_of_a_time_and_a_date():
    assert moment(Property("DTSTART", "20260110T090000Z"), ZONES) == Moment(local(2026, 1, 10, 9), zone=UTC)
    assert moment(Property("DTSTART", "20260110T090000"), ZONES) == Moment(local(2026, 1, 10, 9))
    assert moment(Property("DTSTART", "20260110"), ZONES) == Moment(local(2026, 1, 10), is_date=True)
    assert in_berlin("20260110T090000") == datetime(2026, 1, 10, 8, tzinfo=UTC)
    assert in_berlin("20260710T090000") == datetime(2026, 7, 10, 7, tzinfo=UTC)


def test_floating_times_and_dates_are_of_the_zone_of_who_asks():
    floating = timezone(timedelta(hours=-5))
    assert moment(Property("DTSTART", "20260110T090000"), ZONES).utc(floating) == datetime(2026, 1, 10, 14, tzinfo=UTC)
    assert moment(Property("DTSTART", "20260110"), ZONES).utc(floating) == datetime(2026, 1, 10, 5, tzinfo=UTC)


def test_a_date_with_a_zone_floats_as_well():
    prop = Property("DTSTART", "20260110", (("TZID", ("Europe/Berlin",)),))
    assert moment(prop, ZONES).zone is None


def test_times_that_do_not_exist_and_times_that_exist_twice():
    # RFC 5545 §3.3.5: by the offset before the gap; the first of two.
    assert in_berlin("20260329T023000") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert in_berlin("20261025T023000") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_lists_with_periods_and_holes():
    prop = Property("RDATE", "20260110T090000Z,,20260111T090000Z/PT1H,20260112T090000Z/20260112T110000Z,")
    assert moments(prop, ZONES) == [
        Moment(local(2026, 1, 10, 9), zone=UTC),
        Period(Moment(local(2026, 1, 11, 9), zone=UTC), Moment(local(2026, 1, 11, 10), zone=UTC)),
        Period(Moment(local(2026, 1, 12, 9), zone=UTC), Moment(local(2026, 1, 12, 11), zone=UTC)),
    ]
    assert moments(Property("EXDATE", ""), ZONES) == []


def test_attack_080_a_list_has_an_end():
    with pytest.raises(BadObject, match="more than 10000"):
        moments(Property("EXDATE", "20260110," * 100_001), ZONES)


@pytest.mark.parametrize(
    "value",
    ["", "x", "2026011", "20261301", "20260230", "00000101", "20260110T", "20260110T0900", "20260110T250000",
     "20260110T090000+0100", "20260110 090000", "２０２６０１１０", "2026-01-10", "20260110T090000ZZ"],
)  # fmt: skip
def test_what_is_no_date_is_told(value):
    with pytest.raises(BadObject, match="no date or time"):
        parse_moment(value, PLAIN)


def test_a_leap_second_is_the_one_before():
    assert parse_moment("20161231T235960Z", PLAIN).local == local(2016, 12, 31, 23, 59, 59)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("PT15M", Duration(0, 900)),
        ("-PT15M", Duration(0, -900)),
        ("+P1D", Duration(1, 0)),
        ("P2W", Duration(14, 0)),
        ("P1DT2H3M4S", Duration(1, 7384)),
        ("P1W2D", Duration(9, 0)),
        (" pt1h ", Duration(0, 3600)),
        ("PT0S", Duration(0, 0)),
        ("-P0DT0H30M0S", Duration(0, -1800)),
    ],
)
def test_durations(value, wanted):
    assert duration(value) == wanted


@pytest.mark.parametrize(
    "value", ["", "P", "PT", "1H", "PT1", "P1H", "PT1D", "P1Y", "P-1D", "PT1.5H", "P1000000W", "P１D"]
)
def test_what_is_no_duration_is_told(value):
    with pytest.raises(BadObject, match="no duration"):
        duration(value)


def test_days_are_nominal_and_hours_exact():
    start = Moment(local(2026, 3, 28, 12), zone=BERLIN)  # the clock is put forward at night
    assert start.plus(Duration(days=1)).utc(UTC) == datetime(2026, 3, 29, 10, tzinfo=UTC)
    assert start.plus(Duration(seconds=86400)).utc(UTC) == datetime(2026, 3, 29, 11, tzinfo=UTC)
    assert start.plus(Duration(seconds=86400)).local == local(2026, 3, 29, 13)
    assert Duration(1, 60).exact == timedelta(days=1, seconds=60)


@given(st.text("0123456789TZP/-+WDHMS", max_size=24), st.sampled_from([None, UTC, BERLIN]))
def test_whatever_is_read_can_be_reckoned_with(value, zone):
    for read in (parse_moment, parse_period):
        try:
            found = read(value, PLAIN, zone)
        except BadObject:
            continue
        for each in (found.start, found.end) if isinstance(found, Period) else (found,):
            assert each.utc(timezone(timedelta(hours=14))).tzinfo is UTC


@given(st.datetimes(), st.integers(-(10**6), 10**6), st.integers(-(10**9), 10**9), st.sampled_from([None, UTC, BERLIN]))
def test_no_sum_leaves_what_can_be_reckoned(start, days, seconds, zone):
    moved = Moment(start.replace(microsecond=0), zone=zone).plus(Duration(days, seconds))
    assert moved.utc(UTC).tzinfo is UTC


@given(st.datetimes().map(lambda at: at.replace(microsecond=0)))
def test_what_is_written_is_read_again(at):
    assert parse_moment(written_local(at), PLAIN).local == at
    assert parse_moment(written_date(at), PLAIN).local == at.replace(hour=0, minute=0, second=0)
    assert parse_moment(written_utc(at.replace(tzinfo=UTC)), PLAIN) == Moment(at, zone=UTC)


def test_offsets():
    assert utc_offset("+0100") == timedelta(hours=1)
    assert utc_offset("-033000") == timedelta(hours=-3, minutes=-30)
    assert utc_offset("+005328") == timedelta(minutes=53, seconds=28)
    assert utc_offset("+9999") < timedelta(days=1)
    for value in ("", "0100", "+1", "+01:00", "+０１００"):
        with pytest.raises(BadObject, match="no offset"):
            utc_offset(value)
