"""One file of many objects, and what the world may see of one."""

from hypothesis import given
from hypothesis import strategies as st

from mailstead.pim.calendar_file import CalendarFile, for_the_world
from mailstead.pim.calendar_object import calendar_object, split
from mailstead.pim.component import parse, write


def event(uid, *lines, zone=""):
    text = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//y//EN"]
    if zone:
        text += zone.split()
    text += ["BEGIN:VEVENT", f"UID:{uid}", "DTSTAMP:20260101T000000Z", *lines, "END:VEVENT", "END:VCALENDAR", ""]
    return parse("\r\n".join(text).encode())[0]


def zone(tzid, offset):
    return (
        f"BEGIN:VTIMEZONE TZID:{tzid} BEGIN:STANDARD DTSTART:19700101T000000 TZOFFSETFROM:{offset} "
        f"TZOFFSETTO:{offset} END:STANDARD END:VTIMEZONE"
    )


def test_what_is_put_together_comes_apart_again():
    file = CalendarFile("Work, and more; really", "#112233")
    for number in range(3):
        file.add(
            event(f"u{number}", "DTSTART;TZID=X:20260101T100000", f"SUMMARY:{'long ' * 40}", zone=zone("X", "+0100"))
        )
    octets = file.octets()
    (calendar,) = parse(octets)
    assert len(list(calendar.children("VTIMEZONE"))) == 1
    assert calendar.value("NAME") == "Work\\, and more\\; really"
    assert [each.components[-1].value("UID") for each in split(octets)] == ["u0", "u1", "u2"]
    assert file.count == 3


def test_an_empty_calendar_is_one_too():
    (calendar,) = parse(CalendarFile("Empty").octets())
    assert (calendar.name, calendar.components) == ("VCALENDAR", [])


def test_zones_of_one_name_and_different_rules_are_kept_apart():
    file = CalendarFile()
    for uid, offset in (("a", "+0100"), ("b", "+0500"), ("c", "+0100")):
        file.add(event(uid, "DTSTART;TZID=Customized:20260101T100000", zone=zone("Customized", offset)))
    hours = {}
    for each in split(file.octets()):
        read = calendar_object(write(each))
        tzid = read.master.first("DTSTART").parameter("TZID")
        hours[read.uid] = (tzid, each.components[0].components[0].value("TZOFFSETTO"))
    assert hours == {"a": ("Customized", "+0100"), "b": ("Customized-2", "+0500"), "c": ("Customized", "+0100")}


SECRETS = (
    "DTSTART;TZID=X;X-HINT=secret:20260101T100000",
    "DURATION:PT1H",
    "RRULE:FREQ=DAILY;COUNT=3",
    "SUMMARY:secret",
    "DESCRIPTION:secret",
    "LOCATION:secret",
    "ATTENDEE;CN=secret:mailto:bob@example.test",
    "ORGANIZER:mailto:secret@example.test",
    "ATTACH:https://secret.test/",
    "X-SECRET:secret",
    "CATEGORIES:secret",
)
ALARM = ("BEGIN:VALARM", "ACTION:EMAIL", "ATTENDEE:mailto:secret@example.test", "TRIGGER:-PT5M", "END:VALARM")


def test_the_world_sees_neither_alarms_nor_people():
    public = for_the_world(event("u", *SECRETS, *ALARM, zone=zone("X", "+0100")), hides_details=False)
    (part,) = public.children("VEVENT")
    assert {each.name for each in part.properties} == {
        "UID", "DTSTAMP", "DTSTART", "DURATION", "RRULE", "SUMMARY", "DESCRIPTION", "LOCATION", "CATEGORIES",
    }  # fmt: skip
    assert part.components == []


def test_attack_084_busy_times_tell_only_when():
    for hides_details, extra in ((True, ()), (False, ("CLASS:PRIVATE",)), (False, ("CLASS:CONFIDENTIAL",))):
        public = for_the_world(
            event("birthday-secret@example.test", *SECRETS, *extra, *ALARM, zone=zone("X", "+0100")),
            hides_details=hides_details,
        )
        text = write(public)
        assert b"secret" not in text
        read = calendar_object(text)
        assert (read.master.value("SUMMARY"), read.master.value("RRULE")) == ("Busy", "FREQ=DAILY;COUNT=3")


def test_attack_084_tasks_are_no_busy_times():
    task = parse(b"BEGIN:VCALENDAR\r\nBEGIN:VTODO\r\nUID:u\r\nSUMMARY:secret\r\nEND:VTODO\r\nEND:VCALENDAR\r\n")[0]
    assert for_the_world(task, hides_details=True) is None
    assert for_the_world(task, hides_details=False) is not None


def test_a_changed_instance_keeps_its_place():
    calendar = event("u", "DTSTART:20260101T100000Z", "RRULE:FREQ=DAILY;COUNT=3")
    calendar.components += event(
        "u", "DTSTART:20260102T120000Z", "RECURRENCE-ID:20260102T100000Z", "STATUS:CANCELLED"
    ).components
    read = calendar_object(write(for_the_world(calendar, hides_details=True)))
    assert [each.value("STATUS") for each in read.overrides] == ["CANCELLED"]


VALUES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=80)
LINES = st.tuples(st.sampled_from(["SUMMARY", "DESCRIPTION", "X-ODD", "CATEGORIES"]), VALUES)


@given(st.dictionaries(st.from_regex(r"[a-z0-9@.-]{1,20}", fullmatch=True), st.lists(LINES, max_size=4), max_size=5))
def test_whatever_is_put_together_comes_apart_the_same(objects):
    file = CalendarFile("x")
    for uid, lines in objects.items():
        file.add(event(uid, *(f"{name}:{value}" for name, value in lines)))
    apart = {each.components[0].value("UID"): each.components[0] for each in split(file.octets())}
    for uid, lines in objects.items():
        assert [(each.name, each.value) for each in apart[uid].properties][2:] == lines
    assert apart.keys() == objects.keys()


@given(st.lists(LINES, max_size=6), st.sampled_from(["VALARM", "X-PART", "VLOCATION", "PARTICIPANT"]))
def test_attack_084_nothing_that_is_not_a_time_gets_into_busy_times(lines, child):
    marked = [f"{name};X-NOTE=secretmark:secretmark{value}" for name, value in lines]
    calendar = event(
        "secretmark", *marked, "DTSTART;X-A=secretmark:20260101T100000Z", f"BEGIN:{child}", *marked, f"END:{child}"
    )
    assert b"secretmark" not in write(for_the_world(calendar, hides_details=True))


def test_what_leaves_the_owner_free_is_no_busy_time():
    start = "DTSTART:20260101T100000Z"
    for line in ("TRANSP:TRANSPARENT", "STATUS:CANCELLED"):
        assert for_the_world(event("u", start, line), hides_details=True) is None
        assert for_the_world(event("u", start, line), hides_details=False) is not None
    both = event("u", start, "RRULE:FREQ=DAILY", "TRANSP:TRANSPARENT")
    instance = event("u", start, "RECURRENCE-ID:20260101T100000Z", "TRANSP:OPAQUE")
    both.components += instance.components
    assert len(for_the_world(both, hides_details=True).components) == 2
