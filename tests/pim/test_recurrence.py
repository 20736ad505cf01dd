"""Recurrence sets: the examples of the RFC, changed instances, zones, and bombs."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject, TooManyMatches
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.recurrence import Budget, instances
from mailstead.pim.rule import occurrences, parse_rule

NEW_YORK = "DTSTART;TZID=America/New_York:19970902T090000"


def event(*lines: str, more: str = ""):
    text = "\r\n".join(
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "BEGIN:VEVENT",
            "UID:1",
            *lines,
            "END:VEVENT",
            *filter(None, more.split("\n")),
            "END:VCALENDAR",
            "",
        ]
    )
    return calendar_object(text.encode())


def starts(parsed, start=None, end=None, zone=UTC, limit=50):
    found = []
    for each in instances(parsed, start, end, zone, Budget()):
        found.append(each.at.local.strftime("%Y%m%d" if each.is_all_day else "%Y%m%dT%H%M"))
        if len(found) == limit:
            break
    return found


def days(*texts: str) -> list[str]:
    """`1997 9 2 3` stands for two days of a month."""
    return [
        f"{year}{int(month):02}{int(day):02}"
        for text in texts
        for year, month, *numbers in (text.split(),)
        for day in numbers
    ]


# RFC 5545 §3.8.5.3, with the beginnings of their results
EXAMPLES = [
    ("FREQ=DAILY;COUNT=10", NEW_YORK, days("1997 9 2 3 4 5 6 7 8 9 10 11")),
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", NEW_YORK, days("1997 9 2 12 22", "1997 10 2 12")),
    ("FREQ=DAILY;INTERVAL=2", NEW_YORK, days("1997 9 2 4 6 8")),
    ("FREQ=WEEKLY;COUNT=10", NEW_YORK, days("1997 9 2 9 16 23 30", "1997 10 7 14 21 28", "1997 11 4")),
    ("FREQ=WEEKLY;INTERVAL=2;WKST=SU", NEW_YORK, days("1997 9 2 16 30", "1997 10 14 28")),
    ("FREQ=WEEKLY;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", NEW_YORK, days("1997 9 2 4 9 11 16 18 23 25 30", "1997 10 2")),
    ("FREQ=WEEKLY;INTERVAL=2;UNTIL=19971224T000000Z;WKST=SU;BYDAY=MO,WE,FR", "DTSTART;TZID=America/New_York:19970901T090000",
     days("1997 9 1 3 5 15 17 19 29", "1997 10 1 3 13 15 17 27 29 31", "1997 11 10 12 14 24 26 28", "1997 12 8 10 12 22")),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=8;WKST=SU;BYDAY=TU,TH", NEW_YORK, days("1997 9 2 4 16 18 30", "1997 10 2 14 16")),
    ("FREQ=MONTHLY;COUNT=10;BYDAY=1FR", "DTSTART;TZID=America/New_York:19970905T090000", days("1997 9 5", "1997 10 3", "1997 11 7", "1997 12 5", "1998 1 2")),
    ("FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU", "DTSTART;TZID=America/New_York:19970907T090000", days("1997 9 7 28", "1997 11 2 30", "1998 1 4 25", "1998 3 1 29", "1998 5 3 31")),
    ("FREQ=MONTHLY;COUNT=6;BYDAY=-2MO", "DTSTART;TZID=America/New_York:19970922T090000", days("1997 9 22", "1997 10 20", "1997 11 17", "1997 12 22", "1998 1 19", "1998 2 16")),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "DTSTART;TZID=America/New_York:19970928T090000", days("1997 9 28", "1997 10 29", "1997 11 28", "1997 12 29", "1998 1 29", "1998 2 26")),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15", NEW_YORK, days("1997 9 2 15", "1997 10 2 15", "1997 11 2 15")),
    ("FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1", "DTSTART;TZID=America/New_York:19970930T090000", days("1997 9 30", "1997 10 1 31", "1997 11 1 30", "1997 12 1 31", "1998 1 1 31", "1998 2 1")),
    ("FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15", "DTSTART;TZID=America/New_York:19970910T090000", days("1997 9 10 11 12 13 14 15", "1999 3 10 11 12 13")),
    ("FREQ=MONTHLY;INTERVAL=2;BYDAY=TU", NEW_YORK, days("1997 9 2 9 16 23 30", "1997 11 4 11 18 25")),
    ("FREQ=YEARLY;COUNT=10;BYMONTH=6,7", "DTSTART;TZID=America/New_York:19970610T090000", days("1997 6 10", "1997 7 10", "1998 6 10", "1998 7 10")),
    ("FREQ=YEARLY;INTERVAL=2;COUNT=10;BYMONTH=1,2,3", "DTSTART;TZID=America/New_York:19970310T090000", days("1997 3 10", "1999 1 10", "1999 2 10", "1999 3 10")),
    ("FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200", "DTSTART;TZID=America/New_York:19970101T090000", days("1997 1 1", "1997 4 10", "1997 7 19", "2000 1 1", "2000 4 9", "2000 7 18", "2003 1 1")),
    ("FREQ=YEARLY;BYDAY=20MO", "DTSTART;TZID=America/New_York:19970519T090000", days("1997 5 19", "1998 5 18", "1999 5 17")),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "DTSTART;TZID=America/New_York:19970512T090000", days("1997 5 12", "1998 5 11", "1999 5 17")),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=TH", "DTSTART;TZID=America/New_York:19970313T090000", days("1997 3 13 20 27", "1998 3 5 12 19 26")),
    ("FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8", "DTSTART;TZID=America/New_York:19970605T090000", days("1997 6 5 12 19 26", "1997 7 3 10 17 24 31", "1997 8 7 14 21 28", "1998 6 4")),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "DTSTART;TZID=America/New_York:19970913T090000", days("1997 9 13", "1997 10 11", "1997 11 8", "1997 12 13", "1998 1 10", "1998 2 7")),
    ("FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "DTSTART;TZID=America/New_York:19961105T090000", days("1996 11 5", "2000 11 7", "2004 11 2")),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "DTSTART;TZID=America/New_York:19970904T090000", days("1997 9 4", "1997 10 7", "1997 11 6")),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "DTSTART;TZID=America/New_York:19970929T090000", days("1997 9 29", "1997 10 30", "1997 11 27", "1997 12 30", "1998 1 29")),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "DTSTART;TZID=America/New_York:19970805T090000", days("1997 8 5 10 19 24")),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "DTSTART;TZID=America/New_York:19970805T090000", days("1997 8 5 17 19 31")),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "DTSTART;TZID=America/New_York:20070115T090000", days("2007 1 15 30", "2007 2 15", "2007 3 15 30")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "start", "expected"), EXAMPLES)
def test_examples_of_the_rfc(rule, start, expected):
    assert [each[:8] for each in starts(event(start, f"RRULE:{rule}"), limit=len(expected))] == expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("FREQ=HOURLY;INTERVAL=3;UNTIL=19970902T210000Z", ["0900", "1200", "1500"]),
        ("FREQ=MINUTELY;INTERVAL=15;COUNT=6", ["0900", "0915", "0930", "0945", "1000", "1015"]),
        ("FREQ=MINUTELY;INTERVAL=90;COUNT=4", ["0900", "1030", "1200", "1330"]),
        ("FREQ=DAILY;BYHOUR=9,10,11;BYMINUTE=0,20,40;COUNT=5", ["0900", "0920", "0940", "1000", "1020"]),
        ("FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11;COUNT=5", ["0900", "0920", "0940", "1000", "1020"]),
    ],
)
def test_examples_within_a_day(rule, expected):
    assert [each[9:] for each in starts(event(NEW_YORK, f"RRULE:{rule}"))] == expected


def test_a_friday_the_13th_without_its_first():
    parsed = event(
        NEW_YORK, "EXDATE;TZID=America/New_York:19970902T090000", "RRULE:FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13"
    )
    assert starts(parsed, limit=3) == ["19980213T0900", "19980313T0900", "19981113T0900"]


def test_the_start_is_always_the_first():
    assert starts(event("DTSTART:20260302T100000Z", "RRULE:FREQ=WEEKLY;BYDAY=FR;COUNT=2")) == [
        "20260302T1000",
        "20260306T1000",
        "20260313T1000",
    ]


def test_the_hour_stays_when_clocks_change():
    parsed = event(
        "DTSTART;TZID=Europe/Berlin:20260327T090000",
        "DTEND;TZID=Europe/Berlin:20260327T100000",
        "RRULE:FREQ=DAILY;COUNT=4",
    )
    found = list(instances(parsed, None, None, UTC, Budget()))
    assert [each.start.hour for each in found] == [8, 8, 7, 7]
    assert {each.end - each.start for each in found} == {timedelta(hours=1)}


def test_a_night_that_has_no_such_hour():
    parsed = event("DTSTART;TZID=Europe/Berlin:20260328T023000", "RRULE:FREQ=DAILY;COUNT=3")
    assert [each.start for each in instances(parsed, None, None, UTC, Budget())] == [
        datetime(2026, 3, 28, 1, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC), datetime(2026, 3, 30, 0, 30, tzinfo=UTC),
    ]  # fmt: skip


def test_dates_added_and_taken_away():
    parsed = event(
        "DTSTART:20260302T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", "EXRULE:FREQ=DAILY;INTERVAL=2;COUNT=5",
        "RDATE:20260310T080000Z,20260302T100000Z", "RDATE;VALUE=PERIOD:20260311T080000Z/PT3H,20260312T080000Z/20260312T090000Z",
    )  # fmt: skip
    found = list(instances(parsed, None, None, UTC, Budget()))
    assert [each.at.local.strftime("%d %H") for each in found] == ["03 10", "10 08", "11 08", "12 08"]
    assert [each.end - each.start for each in found] == [timedelta(hours=hours) for hours in (1, 1, 3, 1)]


def test_a_day_excludes_what_is_on_it():
    """Some clients write EXDATE as a date where the event has times."""
    assert starts(
        event("DTSTART;TZID=Europe/Berlin:20260302T100000", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20260303")
    ) == ["20260302T1000", "20260304T1000"]


def override(recurrence_id: str, *lines: str) -> str:
    return "\n".join(["BEGIN:VEVENT", "UID:1", recurrence_id, *lines, "END:VEVENT"])


def test_changed_instances_stand_in_place_of_theirs():
    more = override("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260305T150000Z", "DTEND:20260305T160000Z")
    parsed = event("DTSTART;TZID=Europe/Berlin:20260302T100000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=3", more=more)
    assert starts(parsed) == ["20260302T1000", "20260304T1000", "20260305T1500"]
    window = datetime(2026, 3, 5, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC)
    (moved,) = instances(parsed, *window, UTC, Budget())
    assert moved.recurrence_id.local == datetime(2026, 3, 3, 9)
    assert starts(parsed, datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC)) == []


def test_this_and_all_that_follow():
    more = override("RECURRENCE-ID;RANGE=THISANDFUTURE:20260304T100000Z", "DTSTART:20260304T120000Z", "DURATION:PT2H")
    parsed = event("DTSTART:20260302T100000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=4", more=more)
    found = list(instances(parsed, None, datetime(2027, 1, 1, tzinfo=UTC), UTC, Budget()))
    assert [(each.start.day, each.start.hour, (each.end - each.start).seconds // 3600) for each in found] == [
        (2, 10, 1),
        (3, 10, 1),
        (4, 12, 2),
        (5, 12, 2),
    ]


def test_instances_without_a_master():
    text = (
        "BEGIN:VCALENDAR\nVERSION:2.0\n"
        + override("RECURRENCE-ID:20260303T090000Z", "DTSTART:20260303T100000Z")
        + "\nEND:VCALENDAR\n"
    )
    assert starts(calendar_object(text.encode())) == ["20260303T1000"]


def test_whole_days_are_where_the_reader_is():
    parsed = event("DTSTART;VALUE=DATE:20260302", "RRULE:FREQ=DAILY;COUNT=2", "EXDATE;VALUE=DATE:20260303")
    (each,) = instances(parsed, None, None, ZoneInfo("America/New_York"), Budget())
    assert (each.start, each.end) == (datetime(2026, 3, 2, 5, tzinfo=UTC), datetime(2026, 3, 3, 5, tzinfo=UTC))


def test_times_of_the_day_are_ignored_where_there_are_only_days():
    """RFC 5545 §3.3.10; what is left of shorter rules is one a day."""
    day = "DTSTART;VALUE=DATE:20260302"
    assert starts(event(day, "RRULE:FREQ=DAILY;BYHOUR=9,10;BYMINUTE=30;COUNT=3")) == days("2026 3 2 3 4")
    assert starts(event(day, "RRULE:FREQ=HOURLY;INTERVAL=9"), limit=3) == days("2026 3 2 3 4")


def test_a_changed_instance_that_says_no_time_is_where_it_was():
    more = override("RECURRENCE-ID:20260303T100000Z", "SUMMARY:Special")
    assert starts(event("DTSTART:20260302T100000Z", "RRULE:FREQ=DAILY;COUNT=3", more=more)) == [
        "20260302T1000",
        "20260303T1000",
        "20260304T1000",
    ]


def test_all_that_follow_are_moved_by_days_and_from_zone_to_zone():
    """Found a week later than by the rule, in a window where none would be without the change."""
    more = override(
        "RECURRENCE-ID;RANGE=THISANDFUTURE:20260304T090000Z",
        "DTSTART;TZID=America/New_York:20260311T090000",
        "DURATION:PT1H",
    )
    parsed = event("DTSTART;TZID=Europe/Berlin:20260302T100000", "DURATION:PT1H", "RRULE:FREQ=DAILY;COUNT=5", more=more)
    found = instances(parsed, datetime(2026, 3, 12, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC), UTC, Budget())
    assert [each.start for each in found] == [datetime(2026, 3, day, 13, tzinfo=UTC) for day in (12, 13)]


def test_a_period_that_ends_before_it_begins_has_no_length():
    parsed = event("DTSTART:20260302T100000Z", "RDATE;VALUE=PERIOD:20260303T100000Z/20260301T100000Z")
    assert [each.end - each.start for each in instances(parsed, None, None, UTC, Budget())] == [timedelta()] * 2


RULES = st.sampled_from(
    [
        "FREQ=DAILY",
        "FREQ=WEEKLY;BYDAY=MO,SA",
        "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=-1FR;COUNT=20",
        "FREQ=HOURLY;INTERVAL=7",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
        "FREQ=DAILY;UNTIL=20260401T000000Z",
    ]
)
BASE = datetime(2026, 1, 1, tzinfo=UTC)


@given(RULES, st.integers(0, 200), st.integers(1, 100), st.integers(0, 80), st.sampled_from(["PT0S", "PT1H", "P3D"]))
def test_windows_give_the_same_however_they_are_cut(rule, begin, length, cut, duration):
    parsed = event("DTSTART;TZID=Europe/Berlin:20251215T103000", f"DURATION:{duration}", f"RRULE:{rule}")
    start, end = BASE + timedelta(days=begin), BASE + timedelta(days=begin + length)
    middle = min(end, start + timedelta(days=cut, hours=5))
    whole = [each.start for each in instances(parsed, start, end, UTC, Budget())]
    assert whole == sorted(whole)
    parts = {
        each.start
        for window in ((start, middle), (middle, end))
        if window[0] < window[1]
        for each in instances(parsed, *window, UTC, Budget())
    }
    assert parts == set(whole)
    everything = (
        each.start
        for each in instances(parsed, None, end, UTC, Budget())
        if each.end > start or (each.end == each.start >= start)
    )
    assert whole == list(everything)


# attack row 80

BOMBS = {
    "a thousand years of seconds": ["RRULE:FREQ=SECONDLY;UNTIL=30260101T000000Z"],
    "never": ["RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"],
    "never, by position": ["RRULE:FREQ=YEARLY;BYMONTH=1;BYDAY=MO;BYSETPOS=300"],
    "never, by hour": ["RRULE:FREQ=MINUTELY;INTERVAL=1440;BYHOUR=3;BYSECOND=5"],
    "mixes": ["RRULE:FREQ=YEARLY;BYDAY=" + ",".join(f"{n}{d}" for n in range(-53, 54) if n for d in ("MO", "TU", "WE")) + ";BYHOUR=" + ",".join(map(str, range(24))) + ";BYMINUTE=" + ",".join(map(str, range(60))) + ";BYSECOND=" + ",".join(map(str, range(60)))],
    "many rules": ["RRULE:FREQ=SECONDLY"] * 200,
    "excluded by themselves": ["RRULE:FREQ=SECONDLY", "EXRULE:FREQ=SECONDLY"],
    "a hundred thousand dates": ["RDATE:" + ",".join(f"2026{1 + n % 12:02}{1 + n % 28:02}T{n % 24:02}{n // 24 % 60:02}{n // 1440 % 60:02}Z" for n in range(99_999))],
    "a hundred thousand exclusions": ["RRULE:FREQ=SECONDLY", "EXDATE:" + ",".join(f"2026{1 + n % 12:02}{1 + n % 28:02}T{n % 24:02}{n // 24 % 60:02}{n // 1440 % 60:02}Z" for n in range(99_999))],
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_attack_080_bombs_of_rules_end_within_their_budget(name):
    try:
        parsed = event("DTSTART:20260101T000000Z", "DURATION:PT1S", *BOMBS[name])
        found = facts(parsed)
        assert found.is_recurring
    except BadObject:
        return
    try:
        count = sum(
            1
            for _ in instances(
                parsed, datetime(2030, 1, 1, tzinfo=UTC), datetime(2130, 1, 1, tzinfo=UTC), UTC, Budget()
            )
        )
    except TooManyMatches:
        return
    assert count <= 10_000


@pytest.mark.parametrize(
    "value",
    ["", "FREQ=", "FREQ=NEVER", "COUNT=3", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=-1", "FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;INTERVAL=x", "FREQ=DAILY;FREQ=DAILY",
     "FREQ=DAILY;BYHOUR=24", "FREQ=DAILY;BYMONTH=13", "FREQ=MONTHLY;BYMONTHDAY=0", "FREQ=MONTHLY;BYDAY=1XX", "FREQ=DAILY;UNTIL=tomorrow", "RSCALE=CHINESE;FREQ=YEARLY",
     "FREQ=YEARLY;BYYEARDAY=" + ",".join(["1"] * 10_000), "FREQ=YEARLY;BYDAY=99MO", "FREQ=DAILY;COUNT=" + "9" * 5000],
)  # fmt: skip
def test_what_is_no_rule_is_refused(value):
    with pytest.raises(BadObject):
        parse_rule(value)


def test_attack_080_a_bad_rule_spoils_only_itself():
    assert starts(event("DTSTART:20260302T100000Z", "RRULE:FREQ=NEVER")) == ["20260302T1000"]


def test_a_daily_rule_of_long_ago_costs_little():
    rule, budget = parse_rule("FREQ=DAILY"), Budget(steps_max=200)
    found = occurrences(rule, datetime(1990, 1, 1, 10), budget, after=datetime(2026, 3, 1))
    assert [next(found).year for _ in range(5)] == [2026] * 5
