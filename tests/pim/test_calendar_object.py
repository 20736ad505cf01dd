"""What may be kept in a calendar, and files of many objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import BadObject
from mailstead.pim.calendar_object import UID_CHARACTERS_MAX, calendar_object, of_calendar, split
from mailstead.pim.component import parse, write

RESOURCE = "valid-calendar-object-resource"
DATA = "valid-calendar-data"
START = "DTSTART:20260110T090000Z"


def part(uid: str = "a", *lines: str, name: str = "VEVENT") -> str:
    return "\r\n".join([f"BEGIN:{name}", *([f"UID:{uid}"] if uid else []), START, *lines, f"END:{name}"])


def zone(tzid: str) -> str:
    return (
        f"BEGIN:VTIMEZONE\r\nTZID:{tzid}\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
        "TZOFFSETFROM:+0100\r\nTZOFFSETTO:+0100\r\nEND:STANDARD\r\nEND:VTIMEZONE"
    )


def calendar(*parts: str, head: str = "VERSION:2.0\r\nPRODID:x") -> bytes:
    return "\r\n".join(["BEGIN:VCALENDAR", head, *parts, "END:VCALENDAR", ""]).encode()


def refusal(octets: bytes) -> tuple[str, str]:
    with pytest.raises(BadObject) as refused:
        calendar_object(octets)
    return refused.value.log_fields["condition"], str(refused.value)


@pytest.mark.parametrize("name", ["VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY"])
def test_kinds_that_are_kept(name):
    found = calendar_object(calendar(zone("X"), part(name=name)))
    assert (found.component, found.uid, found.method) == (name, "a", "")
    assert found.parts == [found.master]


def test_master_and_changed_instances():
    found = calendar_object(calendar(part("a", "RECURRENCE-ID:20260117T090000Z"), part()))
    assert found.master is not None
    assert found.master.first("RECURRENCE-ID") is None
    assert [each.value("RECURRENCE-ID") for each in found.parts] == ["", "20260117T090000Z"]


def test_changed_instances_alone_are_kept():
    # An attendee who was invited to some instances only. Spec: RFC 4791 §4.1
    found = calendar_object(calendar(part("a", "RECURRENCE-ID:20260117T090000Z")))
    assert found.master is None
    assert len(found.overrides) == 1


def test_what_clients_leave_out_is_tolerated():
    assert calendar_object(calendar(part(), head="X-A:b")).uid == "a"
    assert calendar_object(calendar(part(), head="VERSION:1.0;2.0")).uid == "a"
    assert calendar_object(calendar("BEGIN:X-VENDOR\r\nX:y\r\nEND:X-VENDOR", part(" a "))).uid == "a"


@pytest.mark.parametrize(
    ("octets", "condition", "words"),
    [
        (b"", DATA, "nothing in it"),
        (b"BEGIN:VCARD\r\nEND:VCARD\r\n", DATA, "no VCALENDAR"),
        (part().encode(), DATA, "no VCALENDAR"),
        (calendar(part()) * 2, RESOURCE, "one VCALENDAR"),
        (calendar(part(), head="VERSION:1.0"), "supported-calendar-data", "2.0"),
        (calendar(part(), head="METHOD:PUBLISH"), RESOURCE, "METHOD"),
        (calendar(), RESOURCE, "no event, task or journal"),
        (calendar(zone("X")), RESOURCE, "no event, task or journal"),
        (calendar(part(), part(name="VTODO")), RESOURCE, "one kind"),
        (calendar(part(name="VPOLL")), "supported-calendar-component", "VPOLL"),
        (calendar(part("a"), part("b")), RESOURCE, "one UID"),
        (calendar(part("a"), part("", "RECURRENCE-ID:20260117T090000Z")), RESOURCE, "one UID"),
        (calendar(part("")), RESOURCE, "UID is missing"),
        (calendar(part(" ")), RESOURCE, "UID is missing"),
        (calendar(part("a"), part("a")), RESOURCE, "no RECURRENCE-ID"),
        (calendar(part("a" * (UID_CHARACTERS_MAX + 1))), RESOURCE, "at most 512"),
        (calendar(part("a\tb")), RESOURCE, "control"),
    ],
)
def test_what_may_not_be_kept(octets, condition, words):
    told, text = refusal(octets)
    assert told == condition
    assert words in text


def test_a_uid_of_512_characters_is_kept():
    assert len(calendar_object(calendar(part("é" * UID_CHARACTERS_MAX))).uid) == UID_CHARACTERS_MAX


def test_scheduling_messages_have_a_method():
    octets = calendar(part(), head="METHOD:request")
    assert calendar_object(octets, allows_method=True).method == "REQUEST"
    assert of_calendar(parse(octets)[0], allows_method=True).uid == "a"


def test_a_file_comes_apart_by_uid_with_the_zones_that_are_used():
    inner = "BEGIN:VALARM\r\nTRIGGER;TZID=C:20260101T000000\r\nEND:VALARM"
    octets = calendar(
        zone("A"), zone("B"), zone("C"), part("1", "RDATE;TZID=A:20260101T000000"), part("2", inner),
        part("1", "RECURRENCE-ID;TZID=B:20260101T000000", "EXDATE;TZID=A:20260101T000000"), part("3", name="VTODO"),
        head="VERSION:2.0\r\nPRODID:x\r\nMETHOD:PUBLISH\r\nX-WR-CALNAME:All",
    )  # fmt: skip
    found = [calendar_object(write(each)) for each in split(octets)]
    assert [each.uid for each in found] == ["1", "2", "3"]
    zones = [sorted(one.value("TZID") for one in each.calendar.children("VTIMEZONE")) for each in found]
    assert zones == [["A", "B"], ["C"], []]
    assert len(found[0].parts) == 2
    assert {each.calendar.value("X-WR-CALNAME") for each in found} == {""}


def test_several_calendars_in_a_file_and_each_its_own_zone():
    found = split(calendar(zone("A"), part("1", "RDATE;TZID=A:20260101T000000")) + calendar(part("2")))
    assert [each.components[-1].value("UID") for each in found] == ["1", "2"]
    assert not list(found[1].children("VTIMEZONE"))


def test_what_has_no_uid_gets_the_same_one_each_time():
    octets = calendar(part("", "SUMMARY:a"), part("", "SUMMARY:b"))
    first, second = (calendar_object(write(each)).uid for each in split(octets))
    assert first != second
    assert [calendar_object(write(each)).uid for each in split(octets)] == [first, second]


def test_what_is_no_calendar_is_told():
    with pytest.raises(BadObject, match="no VCALENDAR"):
        split(b"BEGIN:VCARD\r\nEND:VCARD\r\n")
    assert split(calendar(zone("A"))) == []


LINES = st.lists(
    st.sampled_from(
        ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTODO", "END:VTODO", "UID:a", "UID:b",
         "UID:", "VERSION:2.0", "METHOD:X", "BEGIN:VTIMEZONE", "END:VTIMEZONE", "TZID:Z", "DTSTART;TZID=Z:2", "X-Y:z",
         "RECURRENCE-ID:x"]
    ),
    max_size=14,
)  # fmt: skip


@given(LINES)
def test_whatever_comes_it_is_read_or_refused(lines):
    octets = "\r\n".join(["BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""]).encode()
    try:
        found = calendar_object(octets)
    except BadObject as refused:
        assert refused.log_fields["condition"]  # noqa: PT017
    else:
        assert found.uid
        assert found.parts
    try:
        pieces = split(octets)
    except BadObject:
        return
    for piece in pieces:
        assert {each.value("UID").strip() for each in piece.components if each.name != "VTIMEZONE"}
