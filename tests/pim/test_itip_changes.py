"""What messages change in meetings that are kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.pim import itip
from mailstead.pim.calendar_object import calendar_object, of_calendar
from mailstead.pim.component import write
from mailstead.pim.itip_changes import INSTANCES_MAX, applied_add, applied_cancel, applied_reply, applied_request

HOST, ANN, BEN = (f"mailto:{name}@example.test" for name in ("host", "ann", "ben"))
DAILY = "RRULE:FREQ=DAILY;COUNT=5"
ELEVENTH, TWELFTH = "20260311T100000Z", "20260312T100000Z"
ALARM = "BEGIN:VALARM\nACTION:AUDIO\nTRIGGER:-PT9M\nEND:VALARM"


def part(*people, rid="", start="20260310T100000Z", sequence=1, stamp=1, more="", answer="NEEDS-ACTION", zone=""):
    tzid = f";TZID={zone}" if zone else ""
    lines = ["BEGIN:VEVENT", "UID:m", f"DTSTAMP:202601{stamp:02}T000000Z"]
    lines += [f"SEQUENCE:{sequence}"] if sequence is not None else []
    lines += [f"RECURRENCE-ID{tzid}:{rid}"] if rid else []
    lines += [f"DTSTART{tzid}:{start}", "DURATION:PT1H", f"ORGANIZER:{HOST}"]
    lines += [f"ATTENDEE;PARTSTAT={answer}:{who}" for who in people]
    return "\r\n".join([*lines, *filter(None, more.split("\n")), "END:VEVENT", ""])


def calendar(*parts, method=""):
    head = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n" + (f"METHOD:{method}\r\n" if method else "")
    return calendar_object((head + "".join(parts) + "END:VCALENDAR\r\n").encode(), allows_method=bool(method))


def request(*parts):
    return calendar(*parts, method="REQUEST")


def answers(found, who=ANN):
    return [itip.answer_of(each) for one in found.parts for each in one.all("ATTENDEE") if each.value == who]


# REQUEST


def test_an_invitation_is_taken_as_it_is_but_for_its_method():
    message = request(part(ANN))
    assert write(applied_request(None, message)) == write(calendar(part(ANN)).calendar)


@pytest.mark.parametrize(
    ("stored", "message", "is_taken"),
    [
        ({"sequence": 1}, {"sequence": 2, "stamp": 1}, True),
        ({"sequence": 2}, {"sequence": 1, "stamp": 9}, False),
        ({"stamp": 1}, {"stamp": 2}, True),
        ({"stamp": 2}, {"stamp": 1}, False),
        ({"stamp": 1}, {"stamp": 1}, False),  # the same once more
        ({"stamp": 1}, {"stamp": 1, "answer": "ACCEPTED"}, False),  # answers are not what is told
        ({"stamp": 1}, {"stamp": 1, "start": "20260310T110000Z"}, True),  # twice changed within a second
        ({"sequence": 3}, {"sequence": None, "stamp": 9}, False),
    ],
)
def test_which_of_two_versions_is_newer(stored, message, is_taken):
    changed = applied_request(calendar(part(ANN, **stored)), request(part(ANN, **message)))
    assert (changed is not None) is is_taken


def test_what_is_the_attendees_own_stays():
    stored = calendar(part(ANN, more=f"TRANSP:TRANSPARENT\nCATEGORIES:mine\n{ALARM}"))
    alarm = ALARM.replace("9M", "1M")
    message = request(part(ANN, stamp=2, more=f"TRANSP:OPAQUE\nCATEGORIES:theirs\nLOCATION:There\n{alarm}"))
    text = write(applied_request(stored, message)).decode()
    for kept in ("TRANSP:TRANSPARENT", "CATEGORIES:mine", "LOCATION:There", "TRIGGER:-PT9M"):
        assert text.count(kept) == 1
    for gone in ("OPAQUE", "theirs", "-PT1M"):
        assert gone not in text


def test_one_instance_is_changed_and_the_others_stay():
    stored = calendar(part(ANN, more=DAILY), part(ANN, rid=ELEVENTH, start="20260311T110000Z"))
    changed = of_calendar(applied_request(stored, request(part(ANN, rid=TWELFTH, start="20260312T150000Z", stamp=2))))
    assert changed.master.value("RRULE")
    assert {each.value("RECURRENCE-ID"): each.value("DTSTART") for each in changed.overrides} == {
        ELEVENTH: "20260311T110000Z",
        TWELFTH: "20260312T150000Z",
    }


def test_a_series_that_loses_a_changed_instance_has_it_as_the_others():
    stored = calendar(part(ANN, more=DAILY), part(ANN, rid=ELEVENTH, start="20260311T110000Z"))
    assert of_calendar(applied_request(stored, request(part(ANN, more=DAILY)))).overrides == []


def test_an_old_message_does_not_come_in_beside_a_new_instance():
    stored = calendar(part(ANN, more=DAILY, sequence=5))
    old = request(part(ANN, more=DAILY, sequence=4, stamp=9), part(ANN, rid=ELEVENTH, start=ELEVENTH, stamp=9))
    assert applied_request(stored, old) is None


# ADD


def test_an_instance_is_added_to_a_series():
    stored = calendar(part(ANN, more=f"{DAILY}\n{ALARM}"))
    one = calendar(part(ANN, start="20260320T150000Z", sequence=2, more="LOCATION:There"), method="ADD")
    changed = of_calendar(applied_add(stored, one))
    assert changed.master.value("RDATE") == "20260320T150000Z"
    assert [each.value("LOCATION") for each in changed.overrides] == ["There"]
    assert applied_add(changed, one) is None


@pytest.mark.parametrize(
    "one",
    [part(ANN, start=ELEVENTH), part(ANN, start="20260320T150000Z", sequence=0), part(ANN, start=TWELFTH, more=DAILY)],
    ids=["is there already", "old", "a series"],
)
def test_what_is_not_added(one):
    assert applied_add(calendar(part(ANN, more=DAILY)), calendar(one, method="ADD")) is None


def test_nothing_is_added_to_single_instances():
    stored = calendar(part(ANN, rid=ELEVENTH, start=ELEVENTH))
    assert applied_add(stored, calendar(part(ANN, start=TWELFTH), method="ADD")) is None


# CANCEL


def test_the_whole_is_cancelled_with_its_instances():
    stored = calendar(part(ANN, more=f"{DAILY}\nSTATUS:CONFIRMED"), part(ANN, rid=ELEVENTH, start=ELEVENTH))
    message = calendar(part(ANN, sequence=2), method="CANCEL")
    changed = of_calendar(applied_cancel(stored, message))
    assert [each.value("STATUS") for each in changed.parts] == ["CANCELLED", "CANCELLED"]
    assert applied_cancel(changed, message) is None
    assert write(stored.calendar).count(b"CANCELLED") == 0  # what was there is not touched


def test_one_instance_is_cancelled():
    message = calendar(part(ANN, rid=ELEVENTH, start=ELEVENTH, sequence=2), method="CANCEL")
    changed = of_calendar(applied_cancel(calendar(part(ANN, more=DAILY)), message))
    assert changed.master.value("STATUS") == ""
    assert [(each.value("RECURRENCE-ID"), each.value("STATUS")) for each in changed.overrides] == [
        (ELEVENTH, "CANCELLED")
    ]


@pytest.mark.parametrize(
    "message", [part(ANN, sequence=0), part(ANN, rid="20270101T000000Z", start=ELEVENTH, sequence=9)]
)
def test_what_cancels_nothing(message):
    assert applied_cancel(calendar(part(ANN, more=DAILY)), calendar(message, method="CANCEL")) is None


# REPLY


def reply(*parts):
    return calendar(*parts, method="REPLY")


def test_an_answer_is_taken_of_its_attendee_only():
    stored = calendar(part(HOST, ANN, BEN))
    message = reply(part(ANN, answer="ACCEPTED", more=f"ATTENDEE;PARTSTAT=DECLINED:{BEN}\nSUMMARY:Other"))
    changed = of_calendar(applied_reply(stored, message, ANN))
    assert (answers(changed), answers(changed, BEN)) == (["ACCEPTED"], ["NEEDS-ACTION"])
    assert changed.master.value("SUMMARY") == ""
    assert applied_reply(changed, message, ANN) is None


@pytest.mark.parametrize("zone", ["", "Europe/Berlin"])
def test_an_answer_for_one_instance_makes_it_one_of_its_own(zone):
    start, rid = ("20260310T100000", "20260311T100000") if zone else ("20260310T100000Z", ELEVENTH)
    stored = calendar(part(HOST, ANN, more=DAILY, start=start, zone=zone))
    changed = of_calendar(
        applied_reply(stored, reply(part(ANN, rid=rid, start=rid, zone=zone, answer="DECLINED")), ANN)
    )
    assert answers(changed) == ["NEEDS-ACTION", "DECLINED"]
    assert [(each.value("RECURRENCE-ID"), each.value("DTSTART")) for each in changed.overrides] == [(rid, rid)]


@pytest.mark.parametrize(
    ("message", "who"),
    [
        (part(BEN, answer="ACCEPTED"), BEN),
        (part(BEN, rid=ELEVENTH, start=ELEVENTH, answer="ACCEPTED"), BEN),
        (part(ANN, sequence=0, answer="ACCEPTED"), ANN),
        (part(ANN, answer="X-WHATEVER"), ANN),
        (part(ANN, rid="20270101T000000Z", start=ELEVENTH, answer="ACCEPTED"), ANN),
        (part(ANN, rid="never", start=ELEVENTH, answer="ACCEPTED"), ANN),
        (part(HOST, answer="ACCEPTED"), ANN),
    ],
    ids=["not invited", "not invited, one instance", "old", "no answer", "no instance", "no time", "somebody else"],
)
def test_attack_083_answers_that_change_nothing(message, who):
    assert applied_reply(calendar(part(HOST, ANN, more=DAILY)), reply(message), who) is None


def test_an_answer_without_a_version_is_to_the_present_one():
    stored = calendar(part(HOST, ANN, sequence=7))
    assert answers(of_calendar(applied_reply(stored, reply(part(ANN, sequence=None, answer="ACCEPTED")), ANN)))


def test_attack_083_one_message_does_not_make_a_meeting_large():
    stored = calendar(part(HOST, ANN, more="RRULE:FREQ=HOURLY;COUNT=5000"))
    parts = [
        part(ANN, rid=f"202603{day:02}T{hour:02}0000Z", start=ELEVENTH, answer="DECLINED")
        for day in range(11, 20)
        for hour in range(24)
    ]
    assert len(of_calendar(applied_reply(stored, reply(*parts), ANN)).overrides) <= INSTANCES_MAX


# laws

PARTS = st.lists(
    st.sampled_from(
        [
            part(HOST, ANN, more=DAILY),
            part(HOST, ANN, rid=ELEVENTH, start=ELEVENTH, answer="ACCEPTED", stamp=3),
            part(HOST, BEN, rid=TWELFTH, start=TWELFTH, sequence=4),
            part(HOST, ANN, rid="nonsense", start="nonsense"),
        ]
    ),
    min_size=1,
    max_size=4,
    unique=True,
)


@given(stored=PARTS, message=PARTS)
def test_what_comes_out_is_an_object_and_what_went_in_is_as_it_was(stored, message):
    kept = calendar(*stored)
    before = write(kept.calendar)
    for method, apply in (
        ("REQUEST", applied_request),
        ("CANCEL", applied_cancel),
        ("ADD", applied_add),
        ("REPLY", lambda known, told: applied_reply(known, told, ANN)),
    ):
        changed = apply(kept, calendar(*message, method=method))
        assert write(kept.calendar) == before
        if changed is not None:
            again = calendar_object(write(changed))
            assert (again.uid, again.method) == ("m", "")
