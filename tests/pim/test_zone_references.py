"""Objects with and without the definitions of zones that everybody knows."""

from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.zone_references import with_zones, without_zones

EVENT = b"""BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//EN\r
BEGIN:VEVENT\r
UID:a\r
DTSTAMP:20260101T000000Z\r
DTSTART;TZID=Europe/Berlin:20260110T090000\r
DTEND;TZID=Asia/Tokyo:20260110T190000\r
EXDATE;TZID=Europe/Berlin:20260111T090000\r
END:VEVENT\r
END:VCALENDAR\r
"""
OWN_ZONE = b"""BEGIN:VTIMEZONE\r
TZID:Our own\r
BEGIN:STANDARD\r
DTSTART:19700101T000000\r
TZOFFSETFROM:+0100\r
TZOFFSETTO:+0100\r
END:STANDARD\r
END:VTIMEZONE\r
"""


def test_missing_zones_are_added_once_and_taken_away_again():
    whole = with_zones(EVENT)
    assert whole.count(b"BEGIN:VTIMEZONE") == 2
    assert b"TZID:Europe/Berlin\r\n" in whole
    assert b"TZID:Asia/Tokyo\r\n" in whole
    assert calendar_object(whole).uid == "a"
    assert with_zones(whole) is whole
    assert without_zones(whole) == EVENT


def test_what_nobody_else_knows_stays_and_is_not_invented():
    head, tail = EVENT.split(b"BEGIN:VEVENT", 1)
    own = (
        head
        + OWN_ZONE
        + b"BEGIN:VEVENT"
        + tail.replace(b"Europe/Berlin", b"Our own").replace(b"Asia/Tokyo", b"Nowhere")
    )
    assert without_zones(own) is own
    assert with_zones(own) is own


def test_objects_without_zones_stay_as_they_are():
    plain = EVENT.replace(b";TZID=Europe/Berlin", b"").replace(b";TZID=Asia/Tokyo", b"")
    assert with_zones(plain) is plain
    assert without_zones(plain) is plain
    assert without_zones(EVENT) is EVENT
