"""What a TZID means; zones reckoned by their VTIMEZONE, and VTIMEZONEs made of the database."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject
from mailstead.pim import zones
from mailstead.pim.component import Component, Property, parse, write
from mailstead.pim.zones import OBSERVANCES_MAX, RDATES_MAX, RuleZone, Zones, iana_zone, known_zone, vtimezone, zone_of

# Of both halves of the world, with seconds, halves and quarters of hours, changes of the rule, and of the day.
NAMES = (
    "Europe/Berlin", "Europe/London", "Europe/Dublin", "America/New_York", "America/Sao_Paulo", "America/Noronha",
    "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Chatham", "Asia/Kathmandu", "Asia/Tehran", "Africa/Casablanca",
    "Africa/Monrovia", "Asia/Gaza", "Etc/GMT+5", "UTC", "Antarctica/Troll", "America/Caracas", "Europe/Moscow",
)  # fmt: skip

CENTRAL = """BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
"""


def part(observances: str, tzid: str = "Customized Time Zone", more: str = "") -> Component:
    return parse(f"BEGIN:VTIMEZONE\nTZID:{tzid}\n{more}{observances}END:VTIMEZONE\n".encode())[0]


def calendar(*parts: Component) -> Component:
    return Component("VCALENDAR", [], list(parts))


def standard(start: str = "19700101T000000", before: str = "+0100", after: str = "+0100", more: str = "") -> str:
    return f"BEGIN:STANDARD\nDTSTART:{start}\nTZOFFSETFROM:{before}\nTZOFFSETTO:{after}\n{more}END:STANDARD\n"


def offset_h(zone: RuleZone, *when: int) -> float:
    return zone.utcoffset(datetime(*when)).total_seconds() / 3600


# names


@pytest.mark.parametrize(
    ("tzid", "wanted"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (" Europe/Berlin ", "Europe/Berlin"),
        ('"Europe/Berlin"', "Europe/Berlin"),
        ("US/Eastern", "US/Eastern"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("/mozilla.org/20070129_1/Europe/Berlin", "Europe/Berlin"),
        ("/freeassociation.sourceforge.net/Tzfile/America/Argentina/Salta", "America/Argentina/Salta"),
        ("/freeassociation.sourceforge.net/Europe/Lisbon", "Europe/Lisbon"),
        ("/softwarestudio.org/Olson_20011030_5/America/New_York", "America/New_York"),
        ("/citadel.org/20210210_1/EST5EDT", "EST5EDT"),
    ],
)
def test_names_that_say_a_zone(tzid, wanted):
    assert known_zone(tzid) == ZoneInfo(wanted)


@pytest.mark.parametrize("tzid", ["UTC", "Etc/UTC", "GMT", "Z"])
def test_utc_has_several_names(tzid):
    assert known_zone(tzid) is UTC


@pytest.mark.parametrize(
    "tzid",
    ["", "Nowhere", "Customized Time Zone", "../../etc/passwd", "/etc/passwd", "Europe", "localtime", "Factory",
     "posixrules", "Europe/Berlin\x00", "a" * 5000, "/" * 5000, "Europe/../Europe/Berlin", "."],
)  # fmt: skip
def test_names_that_say_nothing(tzid):
    assert known_zone(tzid) is None
    assert Zones(calendar()).zone(tzid) is None


@given(st.text(max_size=60))
def test_no_name_does_harm(tzid):
    Zones(calendar()).zone(tzid)


@pytest.mark.parametrize(
    ("tzid", "january", "july"),
    [
        ("(UTC+01:00) Amsterdam, Berlin, Bern, Rome, Stockholm, Vienna", 1, 2),
        ("(GMT-05.00) Eastern Time (US & Canada)", -5, -4),
        ("(UTC-05:00) Eastern Time (US & Canada)", -5, -4),
        ("(UTC) Dublin, Edinburgh, Lisbon, London", 0, 1),
        ("UTC+1", 1, 1),
        ("GMT-0330", -3.5, -3.5),
        ("UTC+05:45", 5.75, 5.75),
        ("tzone://Microsoft/Utc", 0, 0),
    ],
)
def test_descriptions_are_read_where_there_is_no_vtimezone(tzid, january, july):
    zone = Zones(calendar()).zone(tzid)
    assert datetime(2026, 1, 1, tzinfo=zone).utcoffset() == timedelta(hours=january)
    assert datetime(2026, 7, 1, tzinfo=zone).utcoffset() == timedelta(hours=july)
    own = Zones(calendar(part(standard(after="+0900"), tzid))).zone(tzid)
    assert datetime(2026, 1, 1, tzinfo=own).utcoffset() == timedelta(hours=9)


def test_the_database_is_asked_before_the_vtimezone():
    wrong = part(standard(after="-0900"), "Europe/Berlin")
    assert Zones(calendar(wrong)).zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")


def test_a_location_says_the_zone():
    found = part(standard(after="-0900"), "Berlin, as we call it", "X-LIC-LOCATION:Europe/Berlin\n")
    assert Zones(calendar(found)).zone("Berlin, as we call it") == ZoneInfo("Europe/Berlin")


def test_the_zone_of_a_property():
    text = write(calendar(part(CENTRAL))).decode()
    assert zone_of(text).utcoffset(datetime(2026, 7, 1)) == timedelta(hours=2)
    for nothing in (
        "",
        "x",
        "BEGIN:VCALENDAR\nEND:VCALENDAR\n",
        write(calendar(part(CENTRAL), part(CENTRAL))).decode(),
    ):
        assert zone_of(nothing) is None


# zones by rules


def test_the_zone_that_outlook_writes():
    zone = RuleZone(part(CENTRAL))
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(1996, 1, 1, tzinfo=UTC)  # since when Europe has these rules
    while at.year < 2030:
        assert at.astimezone(zone).utcoffset() == at.astimezone(berlin).utcoffset()
        at += timedelta(hours=101)


def test_the_hours_that_are_skipped_and_those_that_come_twice():
    zone, berlin = RuleZone(part(CENTRAL)), ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 28, 22)
    for day in (at, datetime(2026, 10, 24, 22)):
        for minutes in range(0, 600, 10):
            for fold in (0, 1):
                local = (day + timedelta(minutes=minutes)).replace(fold=fold)
                assert local.replace(tzinfo=zone).utcoffset() == local.replace(tzinfo=berlin).utcoffset(), local
            utc = (day + timedelta(minutes=minutes)).replace(tzinfo=UTC)
            assert utc.astimezone(zone).replace(tzinfo=None) == utc.astimezone(berlin).replace(tzinfo=None)
            assert utc.astimezone(zone).fold == utc.astimezone(berlin).fold
            assert utc.astimezone(zone).astimezone(UTC) == utc


def test_one_part_is_one_offset():
    zone = RuleZone(part(standard(before="+0530", after="+0530")))
    assert offset_h(zone, 1900, 1, 1) == offset_h(zone, 2500, 1, 1) == 5.5
    assert zone.tzname(None) == "Customized Time Zone"
    assert zone.dst(None) is None


def test_offsets_with_seconds():
    zone = RuleZone(part(standard(before="+005328", after="+005328")))
    assert zone.utcoffset(None) == timedelta(minutes=53, seconds=28)


def test_rules_that_end_and_dates():
    until = standard("20000101T000000", "+0000", "+0100", "RRULE:FREQ=YEARLY;UNTIL=20050101T000000Z\n")
    dates = standard("20100601T000000", "+0100", "+0300", "RDATE:20200601T000000,20210601T000000\n")
    back = standard("20110101T000000", "+0300", "+0100")
    zone = RuleZone(part(until + dates + back))
    assert [offset_h(zone, year, 3, 1) for year in (1990, 2003, 2008, 2010, 2011, 2019, 2021, 2030)] == [
        0,
        1,
        1,
        1,
        1,
        1,
        3,
        3,
    ]


@pytest.mark.parametrize(
    ("rule", "onset"),
    [
        ("FREQ=YEARLY;BYMONTH=4;BYDAY=1SU", (2026, 4, 5)),
        ("FREQ=YEARLY;BYMONTH=4;BYDAY=2SU;WKST=MO", (2026, 4, 12)),
        ("FREQ=YEARLY;BYMONTH=4;BYDAY=-2SU", (2026, 4, 19)),
        ("FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=8,9,10,11,12,13,14;BYDAY=SU", (2026, 4, 12)),
        ("FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=-1", (2026, 4, 30)),
        ("FREQ=YEARLY", (2026, 1, 1)),
        ("FREQ=YEARLY;BYMONTH=4", (2026, 4, 1)),
    ],
)
def test_rules(rule, onset):
    zone = RuleZone(part(standard("20000101T000000", "+0000", "+0100") + standard(
        "20000101T030000", "+0100", "+0500", f"RRULE:{rule}\n") + standard(
        "20000901T000000", "+0500", "+0100", "RRULE:FREQ=YEARLY;BYMONTH=9\n")))  # fmt: skip
    day = datetime(*onset)
    before, after = day + timedelta(hours=2), day + timedelta(hours=8)
    assert [zone.utcoffset(at) for at in (before, after)] == [timedelta(hours=1), timedelta(hours=5)]


@pytest.mark.parametrize(
    "rule",
    ["", "x", "FREQ=SECONDLY", "FREQ=YEARLY;BYMONTH=13", "FREQ=YEARLY;BYMONTH=x", "FREQ=YEARLY;BYDAY=99MO;BYMONTH=1",
     "FREQ=YEARLY;UNTIL=x", "FREQ=YEARLY;COUNT=-99999", "FREQ=YEARLY;COUNT=99999999999999999999",
     "FREQ=YEARLY;BYMONTHDAY=0", "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"],
)  # fmt: skip
def test_rules_that_make_no_sense_leave_the_first_onset(rule):
    try:
        zone = RuleZone(part(standard("20000101T000000", "+0000", "+0100", f"RRULE:{rule}\n")))
    except BadObject:
        return
    assert offset_h(zone, 2026, 6, 1) == 1


@pytest.mark.parametrize("start", ["00010101T000000", "16010101T000000", "99991231T235959", "99991231"])
@pytest.mark.parametrize(("before", "after"), [("+1400", "-1200"), ("-1200", "+1400"), ("+0100", "+0100")])
def test_zones_that_begin_with_time_or_end_with_it(start, before, after):
    # Exchange writes the year 1, and Outlook 1601.
    zone = RuleZone(part(standard(start, before, after, "RRULE:FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=31\n")))
    for at in (
        datetime(1, 1, 2),
        datetime(4, 1, 1),
        datetime(2026, 1, 1),
        datetime(9996, 12, 31),
        datetime(9999, 12, 30),
    ):
        assert at.replace(tzinfo=zone).astimezone(UTC)
        assert at.replace(tzinfo=UTC).astimezone(zone)


@pytest.mark.parametrize(
    "observances",
    ["", "BEGIN:STANDARD\nEND:STANDARD\n", "BEGIN:STANDARD\nDTSTART:19700101T000000\nEND:STANDARD\n",
     standard("x"), standard(after="x"), standard(more="RDATE:x\n")],
)  # fmt: skip
def test_a_vtimezone_that_says_nothing_is_floating(observances):
    broken = part(observances)
    with pytest.raises(BadObject):
        RuleZone(broken)
    assert Zones(calendar(broken)).zone("Customized Time Zone") is None


def test_a_part_without_the_offset_before_is_taken():
    observance = "BEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETTO:+0300\nEND:STANDARD\n"
    assert offset_h(RuleZone(part(observance)), 1960, 1, 1) == 3


def test_attack_080_bombs_of_time_zones():
    many = part(standard() * (OBSERVANCES_MAX + 1))
    dates = ",".join(["20200101T000000"] * (RDATES_MAX // 2 + 1))
    for bomb in (many, part(standard(more=f"RDATE:{dates}\n") * 2)):
        with pytest.raises(BadObject):
            RuleZone(bomb)
        assert Zones(calendar(bomb)).zone("Customized Time Zone") is None


def test_attack_080_a_zone_reckons_each_year_once(monkeypatch):
    days = ",".join(["1"] * 10_000)
    dates = ",".join(f"{year}0101T000000" for year in range(1000, 1009))
    heavy = standard(more=f"RRULE:FREQ=YEARLY;BYMONTHDAY={days}\nRDATE:{dates}\n") * OBSERVANCES_MAX
    zone = RuleZone(part(heavy))
    asked = []
    onsets = zones._Observance.onsets
    monkeypatch.setattr(zones._Observance, "onsets", lambda self, year: (asked.append(year), onsets(self, year))[1])
    for hour in range(1_000):
        zone.utcoffset(datetime(2026, 1, 1) + timedelta(hours=hour))
    assert len(asked) <= OBSERVANCES_MAX * 5  # of 1000 moments in one year
    assert len(zone._observances[0].month_days) == 1


@given(st.text("0123456789TZ+-,;=FREQYALBMONTHDSUWK", max_size=60), st.text("0123456789+-", max_size=7), st.datetimes())
def test_whatever_a_vtimezone_says_it_is_refused_or_reckons(rule, offset, at):
    for start in ("19700101T000000", rule[:15]):
        parts = [Property("DTSTART", start), Property("TZOFFSETTO", offset), Property("RRULE", f"FREQ=YEARLY;{rule}")]
        try:
            zone = RuleZone(Component("VTIMEZONE", [], [Component("STANDARD", parts)]))
        except BadObject:
            continue
        assert zone.utcoffset(at) is not None


# VTIMEZONEs of the database


@pytest.mark.parametrize("name", NAMES)
def test_a_vtimezone_tells_what_the_database_knows(name):
    made = vtimezone(name)
    (again,) = parse(write(made))
    zone, known = RuleZone(again), iana_zone(name)
    at = datetime(1970, 1, 3, tzinfo=UTC)
    while at.year < 2038:
        assert at.astimezone(zone).utcoffset() == at.astimezone(known).utcoffset(), at
        assert at.astimezone(zone).astimezone(UTC) == at
        at += timedelta(days=3, hours=7)


def test_it_is_short_where_a_rule_tells_it():
    text = write(vtimezone("Europe/Berlin"))
    assert b"RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r\n" in text
    assert b"RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU\r\n" in text
    assert len(text) < 3000
    assert len(vtimezone("Asia/Kolkata").components) == 1


def test_there_is_none_of_what_is_no_zone():
    assert vtimezone("Nowhere") is None
