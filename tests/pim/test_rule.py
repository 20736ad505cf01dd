"""Rules: what they say, where they end, what other calendars' rules and the ends of time do."""

from contextlib import suppress
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject, TooManyMatches
from mailstead.pim.component import Property
from mailstead.pim.rule import DAILY, Budget, occurrences, parse_rule, until_local
from mailstead.pim.values import Moment, parse_moment

BERLIN = ZoneInfo("Europe/Berlin")


def moment(text, zone=None):
    return parse_moment(text, Property("DTSTART", text), zone)


def test_a_rule_in_all_its_parts():
    rule = parse_rule("freq=daily;interval=2;count=3;bymonth=2,1;byday=-1mo,SU;bysetpos=-1;wkst=su;")
    assert (rule.frequency, rule.interval, rule.count, rule.week_start) == (DAILY, 2, 3, 6)
    assert (rule.by_month, rule.by_day, rule.by_set_pos) == ((1, 2), ((-1, 0), (0, 6)), (-1,))
    assert not rule.is_endless
    assert parse_rule("FREQ=DAILY").is_endless


def test_only_the_gregorian_calendar_is_reckoned():
    assert parse_rule("RSCALE=GREGORIAN;FREQ=YEARLY") == parse_rule("FREQ=YEARLY")
    for value in ("RSCALE=HEBREW;FREQ=YEARLY", "RSCALE=GREGORIAN"):
        with pytest.raises(BadObject):
            parse_rule(value)


@pytest.mark.parametrize(
    ("until", "start", "expected"),
    [
        ("20260401T080000Z", moment("20260301T100000", BERLIN), datetime(2026, 4, 1, 10)),  # in summer
        ("20260401T100000", moment("20260301T100000", BERLIN), datetime(2026, 4, 1, 10)),  # local, against the RFC
        ("20260401", moment("20260301T100000", BERLIN), datetime(2026, 4, 1, 23, 59, 59)),  # a day is taken whole
        ("20260401T080000Z", moment("20260301"), datetime(2026, 4, 1)),
        ("20260401T080000Z", moment("20260301T100000"), datetime(2026, 4, 1, 8)),
        ("99991231", moment("20260301T100000", BERLIN), datetime(9999, 12, 31, 23, 59, 59)),  # "for ever", of Outlook
    ],
)
def test_until_in_all_its_forms(until, start, expected):
    assert until_local(parse_rule(f"FREQ=DAILY;UNTIL={until}"), start) == expected


def test_no_until_is_no_end():
    assert until_local(parse_rule("FREQ=DAILY"), Moment(datetime(2026, 1, 1))) is None


def test_years_end_at_9998():
    found = list(occurrences(parse_rule("FREQ=YEARLY"), datetime(9990, 1, 1), Budget()))
    assert [each.year for each in found] == list(range(9990, 9999))


@pytest.mark.parametrize("start", [datetime(1, 1, 1), datetime(9998, 12, 31)])
@pytest.mark.parametrize("frequency", ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"])
def test_a_rule_at_the_ends_of_time_has_an_end(frequency, start):
    for more in ("", ";WKST=SU;BYWEEKNO=1,53", ";BYDAY=-1MO,1SU", ";INTERVAL=1000000", ";BYYEARDAY=-366,1"):
        try:
            found = list(islice(occurrences(parse_rule(f"FREQ={frequency}{more}"), start, Budget(20_000)), 30))
        except TooManyMatches:
            continue
        assert found == sorted(set(found))


@pytest.mark.parametrize(
    "rule",
    ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=YEARLY;BYWEEKNO=53;BYMONTH=6", "FREQ=HOURLY;BYMONTHDAY=31;BYMONTH=4"],
)
def test_attack_080_a_rule_that_never_comes_costs_its_budget_at_most(rule):
    with pytest.raises(TooManyMatches):
        list(occurrences(parse_rule(rule), datetime(2026, 1, 1), Budget(2_000)))


@given(
    st.sampled_from(["FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU", "FREQ=MONTHLY;INTERVAL=5;BYDAY=-1FR",
                     "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29", "FREQ=HOURLY;INTERVAL=7", "FREQ=MINUTELY;INTERVAL=1000"]),
    st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)),
)  # fmt: skip
def test_beginning_late_leaves_out_nothing(rule, after):
    start = datetime(2000, 2, 29, 8, 30)
    late = (each for each in occurrences(parse_rule(rule), start, Budget(), after=after) if each >= after)
    whole = (each for each in occurrences(parse_rule(rule), start, Budget(10**7)) if each >= after)
    assert next(late) == next(whole)


@given(st.text(max_size=60) | st.text("FREQ=DAILY;BYCOUNT,0123456789-+MOSU", max_size=60).map("FREQ=DAILY;{}".format))
def test_whatever_stands_in_a_rule(value):
    with suppress(BadObject):
        assert parse_rule(value).interval >= 1
