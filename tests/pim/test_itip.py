"""Which messages a change of a meeting causes: tables of changes by organizers and attendees."""

from datetime import UTC, datetime

import pytest

from mailstead.pim import itip
from mailstead.pim.calendar_object import calendar_object, of_calendar
from mailstead.pim.component import write
from mailstead.pim.itip import by_attendee, by_organizer

HOST, ANN, BEN, CAT = (f"mailto:{name}@example.test" for name in ("host", "ann", "ben", "cat"))
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def part(*people, rid="", start="20260310T100000Z", host=HOST, more=""):
    """A VEVENT; people are addresses, or addresses with parameters: ``;PARTSTAT=DECLINED:mailto:…``."""
    lines = ["BEGIN:VEVENT", "UID:m", "DTSTAMP:20260101T000000Z", "SEQUENCE:2", f"DTSTART:{start}", "SUMMARY:Plan"]
    lines += [f"RECURRENCE-ID:{rid}"] if rid else []
    lines += [f"ORGANIZER:{host}" if host.startswith("mailto") else f"ORGANIZER{host}"] if host else []
    lines += [f"ATTENDEE:{who}" if who.startswith("mailto") else f"ATTENDEE{who}" for who in people]
    return "\r\n".join([*lines, *filter(None, more.split("\n")), "END:VEVENT", ""])


def calendar(*parts):
    return calendar_object(
        ("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n" + "".join(parts) + "END:VCALENDAR\r\n").encode()
    )


DAILY = "RRULE:FREQ=DAILY;COUNT=5"
ELEVENTH = "20260311T100000Z"


def told(messages):
    return [(each.to, each.method) for each in messages]


def lines(message):
    return write(message.calendar).decode().replace("\r\n ", "").split("\r\n")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, [part(HOST, ANN)], [(ANN, "REQUEST")]),
        (None, [part(HOST)], []),
        ([part(HOST, ANN)], None, [(ANN, "CANCEL")]),
        ([part(HOST, ANN)], [part(HOST, ANN)], []),
        ([part(HOST, ANN)], [part(HOST, ANN, start="20260310T110000Z")], [(ANN, "REQUEST")]),
        ([part(HOST, ANN)], [part(HOST, ANN, more="LOCATION:There")], [(ANN, "REQUEST")]),
        ([part(HOST, ANN)], [part(HOST, ANN, BEN)], [(ANN, "REQUEST"), (BEN, "REQUEST")]),
        ([part(HOST, ANN, BEN)], [part(HOST, BEN)], [(ANN, "CANCEL"), (BEN, "REQUEST")]),
        ([part(HOST, ANN)], [part(HOST, f";PARTSTAT=ACCEPTED:{ANN}")], []),
        ([part(HOST, ANN)], [part(HOST, ANN, more="X-SNOOZE:1\nCATEGORIES:a\nTRANSP:OPAQUE\nCOLOR:red")], []),
        ([part(HOST, ANN)], [part(HOST, ANN, more="LAST-MODIFIED:20260101T000000Z\nCREATED:20260101T000000Z")], []),
        ([part(HOST, ANN)], [part(HOST, f";SCHEDULE-FORCE-SEND=REQUEST:{ANN}")], [(ANN, "REQUEST")]),
        (None, [part(HOST, f";SCHEDULE-AGENT=CLIENT:{ANN}", f";SCHEDULE-AGENT=NONE:{BEN}", CAT)], [(CAT, "REQUEST")]),
        ([part(HOST, f";SCHEDULE-AGENT=CLIENT:{ANN}")], None, []),
        # nobody organizes it any more
        ([part(HOST, ANN)], [part(host="")], [(ANN, "CANCEL")]),
        # addresses are the same whatever their case
        ([part(HOST, ANN)], [part(HOST, ANN.replace("mailto:ann", "mailto:Ann"))], []),
    ],
)
def test_what_an_organizers_change_causes(old, new, expected):
    messages = by_organizer(old and calendar(*old), new and calendar(*new), NOW)
    assert told(messages) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # one instance is moved: all of the series is told
        (
            [part(HOST, ANN, more=DAILY)],
            [part(HOST, ANN, more=DAILY), part(HOST, ANN, rid=ELEVENTH, start="20260311T120000Z")],
            [(ANN, "REQUEST")],
        ),
        # … and moved back: that is no cancellation
        (
            [part(HOST, ANN, more=DAILY), part(HOST, ANN, rid=ELEVENTH, start="20260311T120000Z")],
            [part(HOST, ANN, more=DAILY)],
            [(ANN, "REQUEST")],
        ),
        # one more comes to one instance only
        (
            [part(HOST, ANN, more=DAILY)],
            [part(HOST, ANN, more=DAILY), part(HOST, ANN, BEN, rid=ELEVENTH, start=ELEVENTH)],
            [(ANN, "REQUEST"), (BEN, "REQUEST")],
        ),
        # who came to one instance only comes no more
        (
            [part(HOST, more=DAILY), part(HOST, BEN, rid=ELEVENTH, start=ELEVENTH)],
            [part(HOST, more=DAILY)],
            [(BEN, "CANCEL")],
        ),
        # from the whole series to one instance: first the end of all, then the one
        (
            [part(HOST, ANN, more=DAILY)],
            [part(HOST, more=DAILY), part(HOST, ANN, rid=ELEVENTH, start=ELEVENTH)],
            [(ANN, "CANCEL"), (ANN, "REQUEST")],
        ),
        # an instance is left out
        ([part(HOST, ANN, more=DAILY)], [part(HOST, ANN, more=f"{DAILY}\nEXDATE:{ELEVENTH}")], [(ANN, "REQUEST")]),
    ],
)
def test_what_a_change_of_instances_causes(old, new, expected):
    assert told(by_organizer(calendar(*old), calendar(*new), NOW)) == expected


def test_who_is_not_invited_to_an_instance_does_not_see_it():
    found = calendar(part(HOST, ANN, BEN, more=DAILY), part(HOST, BEN, rid=ELEVENTH, start="20260311T120000Z"))
    anns, bens = by_organizer(None, found, NOW)
    assert f"EXDATE:{ELEVENTH}" in lines(anns)
    assert f"RECURRENCE-ID:{ELEVENTH}" not in lines(anns)
    assert f"RECURRENCE-ID:{ELEVENTH}" in lines(bens)
    assert not any(each.startswith("EXDATE") for each in lines(bens))


def test_what_is_private_is_not_told():
    alarm = "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT1M\nEND:VALARM"
    own = f"X-MOZ-LASTACK:1\nX-APPLE-TRAVEL-START:home\nX-CONFERENCE:https://meet.example.test/1\n{alarm}"
    (message,) = by_organizer(None, calendar(part(HOST, f";SCHEDULE-STATUS=1.1;CN=Ann:{ANN}", more=own)), NOW)
    text = "\n".join(lines(message))
    for private in ("VALARM", "X-MOZ", "X-APPLE-TRAVEL", "SCHEDULE-"):
        assert private not in text
    assert "X-CONFERENCE:https://meet.example.test/1" in text
    assert "DTSTAMP:20260102T030405Z" in text
    assert "DTSTAMP:20260101T000000Z" not in text
    assert "METHOD:REQUEST" in text


def test_a_cancellation_names_one_guest_and_is_a_new_version():
    (anns, bens) = by_organizer(calendar(part(HOST, ANN, BEN, more=DAILY)), None, NOW)
    assert (anns.to, bens.to) == (ANN, BEN)
    assert [each for each in lines(anns) if each.startswith("ATTENDEE")] == [f"ATTENDEE:{ANN}"]
    assert {"STATUS:CANCELLED", "SEQUENCE:3", "METHOD:CANCEL"} <= set(lines(anns))
    assert not any(each.startswith("RRULE") for each in lines(anns))


def said(who, answer, **more):
    return part(HOST, f";PARTSTAT={answer}:{who}", **more)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([said(ANN, "NEEDS-ACTION")], [said(ANN, "ACCEPTED")], ["ACCEPTED"]),
        ([said(ANN, "ACCEPTED")], [said(ANN, "DECLINED")], ["DECLINED"]),
        ([said(ANN, "ACCEPTED")], [said(ANN, "ACCEPTED", more="CATEGORIES:mine")], []),
        ([said(ANN, "ACCEPTED")], [part(HOST, f";PARTSTAT=ACCEPTED:{ANN}", f";PARTSTAT=DECLINED:{BEN}")], []),
        # taken over from a mail
        (None, [said(ANN, "ACCEPTED")], ["ACCEPTED"]),
        (None, [said(ANN, "NEEDS-ACTION")], []),
        # removed
        ([said(ANN, "ACCEPTED")], None, ["DECLINED"]),
        ([said(ANN, "NEEDS-ACTION")], None, ["DECLINED"]),
        ([said(ANN, "DECLINED")], None, []),
        ([said(ANN, "ACCEPTED", more="STATUS:CANCELLED")], None, []),
        # somebody else's
        ([said(BEN, "NEEDS-ACTION")], [said(BEN, "ACCEPTED")], []),
        ([said(BEN, "ACCEPTED")], None, []),
        # the program does it itself
        (None, [part(f";PARTSTAT=ACCEPTED:{ANN}", host=f";SCHEDULE-AGENT=CLIENT:{HOST}")], []),
        # once more, please
        (
            [said(ANN, "ACCEPTED")],
            [part(f";PARTSTAT=ACCEPTED:{ANN}", host=f";SCHEDULE-FORCE-SEND=REPLY:{HOST}")],
            ["ACCEPTED"],
        ),
        # single instances
        (
            [said(ANN, "ACCEPTED", more=DAILY)],
            [said(ANN, "ACCEPTED", more=DAILY), said(ANN, "DECLINED", rid=ELEVENTH, start=ELEVENTH)],
            ["DECLINED"],
        ),
        (
            [said(ANN, "ACCEPTED", more=DAILY)],
            [said(ANN, "ACCEPTED", more=DAILY), said(ANN, "ACCEPTED", rid=ELEVENTH, start=ELEVENTH)],
            [],
        ),
        (
            [said(ANN, "ACCEPTED", more=DAILY)],
            [said(ANN, "ACCEPTED", more=f"{DAILY}\nEXDATE:{ELEVENTH}")],
            ["DECLINED"],
        ),
        (
            [said(ANN, "ACCEPTED", more=f"{DAILY}\nEXDATE:{ELEVENTH}")],
            [said(ANN, "ACCEPTED", more=f"{DAILY}\nEXDATE:{ELEVENTH}")],
            [],
        ),
        # declined before, now out of sight
        (
            [said(ANN, "ACCEPTED", more=DAILY), said(ANN, "DECLINED", rid=ELEVENTH, start=ELEVENTH)],
            [said(ANN, "ACCEPTED", more=f"{DAILY}\nEXDATE:{ELEVENTH}")],
            [],
        ),
        # nobody organizes it
        ([part(host="")], [part(host="", more="LOCATION:x")], []),
    ],
)
def test_what_an_attendees_change_causes(old, new, expected):
    messages = by_attendee(old and calendar(*old), new and calendar(*new), frozenset({ANN}), NOW)
    answers = [
        itip.answer_of(each) for one in messages for found in one.calendar.components for each in found.all("ATTENDEE")
    ]
    assert answers == expected
    assert {each.to for each in messages} <= {HOST}
    assert {each.method for each in messages} <= {"REPLY"}


def test_an_answer_tells_nothing_but_the_answer():
    own = part(HOST, f";PARTSTAT=ACCEPTED;CN=Ann:{ANN}", f";PARTSTAT=DECLINED:{BEN}", more="DESCRIPTION:x\nX-MINE:y")
    (message,) = by_attendee(calendar(said(ANN, "NEEDS-ACTION")), calendar(own), frozenset({ANN}), NOW)
    text = "\n".join(lines(message))
    assert f"ATTENDEE;PARTSTAT=ACCEPTED;CN=Ann:{ANN}" in text
    for kept in (BEN, "DESCRIPTION", "X-MINE"):
        assert kept not in text
    assert "SEQUENCE:2" in text  # to which version it is an answer


def test_an_instance_left_out_is_named_in_the_refusal():
    old, new = (
        said(ANN, "ACCEPTED", more=DAILY),
        said(ANN, "ACCEPTED", more=f"{DAILY}\nEXDATE:20260310T100000Z,{ELEVENTH}"),
    )
    (message,) = by_attendee(calendar(old), calendar(new), frozenset({ANN}), NOW)
    named = [each.value("RECURRENCE-ID") for each in message.calendar.components]
    assert named == ["20260310T100000Z", ELEVENTH]


def test_somebody_without_calendar_answers_all_that_is_asked():
    found = calendar(
        part(HOST, ANN, more=DAILY),
        part(HOST, ANN, rid=ELEVENTH, start=ELEVENTH),
        part(HOST, ANN, rid="20260312T100000Z", start=ELEVENTH, more="STATUS:CANCELLED"),
    )
    reply = of_calendar(itip.answered(found, ANN, "TENTATIVE", NOW), allows_method=True)
    assert reply.method == "REPLY"
    assert [itip.answer_of(each) for one in reply.parts for each in one.all("ATTENDEE")] == ["TENTATIVE"] * 2
    assert itip.answered(found, CAT, "ACCEPTED", NOW) is None


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        ([said(ANN, "ACCEPTED")], [part(HOST, ANN, more="LOCATION:x")], "ACCEPTED"),
        ([said(ANN, "ACCEPTED")], [part(HOST, ANN, start="20260310T110000Z")], "NEEDS-ACTION"),
        ([said(ANN, "ACCEPTED")], [said(ANN, "DECLINED")], "DECLINED"),
        ([said(ANN, "NEEDS-ACTION")], [part(HOST, ANN)], "NEEDS-ACTION"),
        ([said(ANN, "ACCEPTED")], [part(HOST, f";SCHEDULE-AGENT=CLIENT:{ANN}")], "NEEDS-ACTION"),
    ],
)
def test_answers_that_came_meanwhile_are_kept(old, new, kept):
    changed = calendar(*new)
    before = write(changed.calendar)
    assert itip.keep_answers(calendar(*old), changed) is (before != write(changed.calendar))
    assert [itip.answer_of(each) for each in changed.master.all("ATTENDEE") if itip.person(each.value) == ANN] == [kept]


@pytest.mark.parametrize(
    ("old", "new", "number"),
    [
        ([part(HOST, ANN)], [part(HOST, ANN, start="20260310T110000Z")], 3),
        ([part(HOST, ANN)], [part(HOST, ANN, more="EXDATE:20260312T100000Z")], 3),
        ([part(HOST, ANN)], [part(HOST, ANN, more="STATUS:CANCELLED")], 3),
        ([part(HOST, ANN)], [part(HOST, ANN, more="LOCATION:x")], 2),
        # a program that has counted by itself is believed
        ([part(HOST, ANN)], [part(HOST, ANN, start="20260310T110000Z").replace("SEQUENCE:2", "SEQUENCE:7")], 7),
        # one that has not seen how far it went does not go back
        ([part(HOST, ANN).replace("SEQUENCE:2", "SEQUENCE:5")], [part(HOST, ANN, more="LOCATION:x")], 5),
        ([part(HOST, ANN)], [part(HOST, ANN, start="20260310T110000Z").replace("SEQUENCE:2\r\n", "")], 3),
        # nobody is told, so nobody compares
        ([part(HOST)], [part(HOST, start="20260310T110000Z")], 2),
        ([part(HOST)], [part(HOST, f";SCHEDULE-AGENT=CLIENT:{ANN}", start="20260310T110000Z")], 2),
    ],
)
def test_another_time_is_another_version(old, new, number):
    changed = calendar(*new)
    before = write(changed.calendar)
    assert itip.count_versions(calendar(*old), changed) is (before != write(changed.calendar))
    assert itip.sequence_of(changed.master) == number


def test_each_instance_has_its_own_version():
    old = calendar(part(HOST, ANN, more=DAILY), part(HOST, ANN, rid=ELEVENTH, start=ELEVENTH))
    new = calendar(part(HOST, ANN, more=DAILY), part(HOST, ANN, rid=ELEVENTH, start="20260311T150000Z"))
    assert itip.count_versions(old, new)
    assert [itip.sequence_of(each) for each in new.parts] == [2, 3]


def test_what_became_of_messages_is_noted():
    found = calendar(part(HOST, f";SCHEDULE-FORCE-SEND=REQUEST:{ANN}", BEN))
    text = write(itip.with_statuses(found, {ANN: itip.SENT})).decode().replace("\r\n ", "")
    assert f"ATTENDEE;SCHEDULE-STATUS=1.1:{ANN}\r\n" in text
    assert f"ATTENDEE:{BEN}\r\n" in text


@pytest.mark.parametrize(("value", "number"), [("0", 0), ("7", 7), ("", 0), ("-1", 0), ("9" * 30, 0), ("٣", 0)])
def test_versions(value, number):
    found = calendar(part(HOST, ANN).replace("SEQUENCE:2", f"SEQUENCE:{value}"))
    assert itip.sequence_of(found.master) == number
