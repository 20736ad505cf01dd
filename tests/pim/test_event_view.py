"""What a calendar object tells at a glance."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailstead.model.errors import BadObject
from mailstead.pim.event_view import view

BERLIN = ZoneInfo("Europe/Berlin")


def calendar(*lines: str, component: str = "VEVENT") -> bytes:
    inner = "".join(f"{line}\r\n" for line in (f"BEGIN:{component}", "UID:u-1", *lines, f"END:{component}"))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{inner}END:VCALENDAR\r\n".encode()


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        (("DTSTART:20260105T090000Z", "DTEND:20260105T100000Z"), (5, 9), (5, 10)),
        (("DTSTART;TZID=Europe/Berlin:20260105T090000", "DURATION:PT30M"), (5, 8), (5, 8, 30)),
        (("DTSTART:20260105T090000", "DTEND:20260105T100000"), (5, 8), (5, 9)),
        (("DTSTART;VALUE=DATE:20260105",), (4, 23), (5, 23)),
        (("DTSTART:nonsense",), None, None),
    ],
)
def test_when_it_is(lines, start, end):
    found = view(calendar(*lines), BERLIN)
    expected = [None if at is None else datetime(2026, 1, *at, tzinfo=UTC) for at in (start, end)]
    assert [found.start_at, found.end_at] == expected


def test_texts_and_people():
    found = view(
        calendar(
            "SUMMARY:Lunch\\, long",
            "DESCRIPTION:One\\nTwo",
            "LOCATION:Room 1\\; left",
            "STATUS:tentative",
            "ORGANIZER;CN=Ada:MAILTO:ada@example.test",
        ),
        UTC,
    )
    assert (found.summary, found.description, found.location) == ("Lunch, long", "One\nTwo", "Room 1; left")
    assert (found.status, found.organizer, found.uid, found.component) == (
        "TENTATIVE", "ada@example.test", "u-1", "VEVENT",
    )  # fmt: skip


def test_a_task_is_where_it_is_due():
    found = view(calendar("DUE:20260105T090000Z", "SUMMARY:Do", component="VTODO"), UTC)
    assert (found.component, found.end_at) == ("VTODO", datetime(2026, 1, 5, 9, tzinfo=UTC))
    with pytest.raises(BadObject):
        view(b"BEGIN:VCARD\r\nEND:VCARD\r\n", UTC)
