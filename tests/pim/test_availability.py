"""Availability: when somebody cannot be met at all."""

from zoneinfo import ZoneInfo

import pytest

from mailstead.model.errors import TooManyMatches
from mailstead.pim.availability import unavailable
from mailstead.pim.free_busy import BUSY, TENTATIVE, UNAVAILABLE
from mailstead.pim.recurrence import UTC, Budget
from pim.objects import at, part, text_of

MONDAY = at(2026, 3, 2), at(2026, 3, 3)


def available(start, end, *lines, uid="a"):
    return ["BEGIN:AVAILABLE", f"UID:{uid}", f"DTSTART:{start}", f"DTEND:{end}", *lines, "END:AVAILABLE"]


OFFICE = available("20260202T090000Z", "20260202T170000Z", "RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")


def of(*parts, span=MONDAY, zone=UTC):
    found = unavailable(text_of(*(line for each in parts for line in each)), *span, zone, Budget())
    return [(each.start.strftime("%d%H"), each.end.strftime("%d%H"), each.kind) for each in found]


def test_outside_of_office_hours():
    assert of(part("VAVAILABILITY", *OFFICE)) == [("0200", "0209", UNAVAILABLE), ("0217", "0300", UNAVAILABLE)]


@pytest.mark.parametrize(("busy_type", "kind"), [("BUSY", BUSY), ("BUSY-TENTATIVE", TENTATIVE), ("X-SKIING", BUSY)])
def test_how_busy_is_said_by_busytype(busy_type, kind):
    assert {each[2] for each in of(part("VAVAILABILITY", f"BUSYTYPE:{busy_type}", *OFFICE))} == {kind}


def test_only_within_its_own_time():
    limited = part("VAVAILABILITY", "DTSTART:20260302T080000Z", "DTEND:20260302T120000Z", *OFFICE)
    assert of(limited) == [("0208", "0209", UNAVAILABLE)]
    lasting = part("VAVAILABILITY", "DTSTART:20260302T080000Z", "DURATION:PT4H", *OFFICE)
    assert of(lasting) == [("0208", "0209", UNAVAILABLE)]
    assert of(part("VAVAILABILITY", "DTSTART:20260401T000000Z", *OFFICE)) == []


def test_the_higher_priority_says():
    """RFC 7953 §4: 1 is the highest, 9 the lowest, 0 below all."""
    usual = part("VAVAILABILITY", "PRIORITY:9", *OFFICE)
    late = available("20260302T120000Z", "20260302T200000Z", uid="b")
    week = part(
        "VAVAILABILITY", "PRIORITY:1", "BUSYTYPE:BUSY", "DTSTART:20260302T060000Z", "DTEND:20260302T220000Z", *late
    )
    expected = [
        ("0200", "0206", UNAVAILABLE),
        ("0206", "0212", BUSY),
        ("0220", "0222", BUSY),
        ("0222", "0300", UNAVAILABLE),
    ]
    assert of(usual, week) == of(week, usual) == expected
    undefined = [each.replace("PRIORITY:9", "PRIORITY:0") for each in usual]
    assert of(undefined, week) == expected


def test_a_changed_day_of_the_series():
    off = [
        "BEGIN:AVAILABLE", "UID:a", "RECURRENCE-ID:20260302T090000Z", "DTSTART:20260302T100000Z", "DTEND:20260302T110000Z", "END:AVAILABLE",
    ]  # fmt: skip
    assert of(part("VAVAILABILITY", *OFFICE, *off)) == [("0200", "0210", UNAVAILABLE), ("0211", "0300", UNAVAILABLE)]


def test_floating_hours_are_those_of_the_owner():
    office = part("VAVAILABILITY", *available("20260302T090000", "20260302T170000"))
    assert of(office, zone=ZoneInfo("America/New_York")) == [
        ("0200", "0214", UNAVAILABLE),
        ("0222", "0300", UNAVAILABLE),
    ]


@pytest.mark.parametrize("text", ["", "nonsense", text_of(*part("VEVENT", "DTSTART:20260302T090000Z"))])
def test_what_cannot_be_read_says_nothing(text):
    assert unavailable(text, *MONDAY, UTC, Budget()) == []


def test_a_part_that_cannot_be_read_says_nothing():
    assert of(part("VAVAILABILITY", "DTSTART:nonsense")) == []
    whole_day = [("0200", "0300", UNAVAILABLE)]
    assert of(part("VAVAILABILITY", *available("nonsense", "nonsense"))) == whole_day
    assert of(part("VAVAILABILITY", "PRIORITY:high")) == whole_day


def test_attack_080_hours_without_end():
    bomb = part("VAVAILABILITY", *available("20260302T000000Z", "20260302T000001Z", "RRULE:FREQ=SECONDLY"))
    with pytest.raises(TooManyMatches):
        of(bomb)
