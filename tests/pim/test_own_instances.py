"""Instances with a component of their own."""

import pytest

from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.own_instances import own_instance


def series(*lines):
    return calendar_object(
        "\r\n".join(
            [
                "BEGIN:VCALENDAR",
                "VERSION:2.0",
                "BEGIN:VEVENT",
                "UID:series",
                "DTSTAMP:20260101T000000Z",
                *lines,
                "SUMMARY:Stand-up",
                "END:VEVENT",
                "END:VCALENDAR",
                "",
            ]
        ).encode()
    )


def values(component):
    return {each.name: each.value for each in component.properties if each.name != "DTSTAMP"}


@pytest.mark.parametrize(
    ("lines", "rid", "start", "end"),
    [
        (
            ("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z"),
            "20260112T090000Z",
            "20260112T090000Z",
            "20260112T100000Z",
        ),
        (
            ("DTSTART;TZID=Europe/Berlin:20260323T090000", "DTEND;TZID=Europe/Berlin:20260323T100000"),
            "20260330T070000Z",  # summer time has begun
            "20260330T090000",
            "20260330T100000",
        ),
        (("DTSTART;VALUE=DATE:20260105", "DTEND;VALUE=DATE:20260106"), "20260112", "20260112", "20260113"),
        (("DTSTART:20260105T090000", "DTEND:20260105T100000"), "20260112T090000", "20260112T090000", "20260112T100000"),
    ],
)
def test_an_instance_gets_a_component_of_its_own_once(lines, rid, start, end):
    parsed = series(*lines, "RRULE:FREQ=WEEKLY")
    made = own_instance(parsed, rid)
    assert values(made) == {
        "UID": "series",
        "DTSTART": start,
        "DTEND": end,
        "SUMMARY": "Stand-up",
        "RECURRENCE-ID": start,
    }
    assert made.first("RECURRENCE-ID").parameters == parsed.master.first("DTSTART").parameters
    assert own_instance(parsed, rid) is made
    assert parsed.parts == [parsed.master, made]


@pytest.mark.parametrize(
    "rid", ["20260113T090000Z", "20250112T090000Z", "20260112", "20260119T090000Z", "M", "", "x" * 99]
)
def test_what_is_no_instance_is_none(rid):
    parsed = series("DTSTART:20260105T090000Z", "RRULE:FREQ=WEEKLY", "EXDATE:20260119T090000Z")
    assert own_instance(parsed, rid) is None
    assert own_instance(series("DTSTART:20260105T090000Z"), "20260105T090000Z") is None
