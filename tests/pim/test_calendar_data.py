"""Calendar data in part: expanded, limited, chosen; and whole, octet by octet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.errors import TooManyMatches
from mailstead.pim.calendar_data import render
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.filters import CalendarData, CompChoice, PropChoice, TimeRange
from mailstead.pim.recurrence import UTC, Budget, instances
from pim.objects import at, event, made, part

MARCH = TimeRange(at(2026, 3, 1), at(2026, 4, 1))
WEEKLY = part(
    "VEVENT",
    "DTSTART;TZID=Europe/Berlin:20260318T100000",
    "DTEND;TZID=Europe/Berlin:20260318T110000",
    "RRULE:FREQ=WEEKLY",
    "EXDATE;TZID=Europe/Berlin:20260408T100000",
    "SUMMARY:Usual",
)
ZONE = ["BEGIN:VTIMEZONE", "TZID:Europe/Berlin", "END:VTIMEZONE"]


def rendered(parsed, wanted, budget=None):
    return calendar_object(render(parsed, b"", wanted, UTC, budget or Budget()))


def expanded(parsed, span=MARCH):
    found = calendar_object(render(parsed, b"", CalendarData(expand=span), UTC, Budget())).calendar
    return [{each.name: each.value for each in one.properties} for one in found.components]


def test_whole_objects_are_given_as_they_were_put():
    octets = b"begin:VCALENDAR\nodd but kept\n"
    assert render(event("DTSTART:20260302T100000Z"), octets, CalendarData(), UTC, Budget()) is octets


def test_expanded_instances_are_in_utc_without_rules_and_zones():
    parsed = made(*ZONE, *WEEKLY)
    assert expanded(parsed) == [
        {"UID": "1", "RECURRENCE-ID": "20260318T090000Z", "DTSTART": "20260318T090000Z", "DTEND": "20260318T100000Z", "SUMMARY": "Usual"},
        {"UID": "1", "RECURRENCE-ID": "20260325T090000Z", "DTSTART": "20260325T090000Z", "DTEND": "20260325T100000Z", "SUMMARY": "Usual"},
    ]  # fmt: skip
    summer = expanded(parsed, TimeRange(at(2026, 4, 1), at(2026, 4, 16)))
    assert [each["DTSTART"] for each in summer] == ["20260401T080000Z", "20260415T080000Z"]  # and not what is excluded


def test_expanded_with_a_changed_instance():
    changed = part(
        "VEVENT",
        "RECURRENCE-ID;TZID=Europe/Berlin:20260325T100000",
        "DTSTART;TZID=Europe/Berlin:20260326T120000",
        "DURATION:PT2H",
        "SUMMARY:Special",
    )
    _, moved = expanded(made(*WEEKLY, *changed))
    assert moved == {"UID": "1", "RECURRENCE-ID": "20260325T090000Z", "DTSTART": "20260326T110000Z", "DURATION": "PT2H", "SUMMARY": "Special"}  # fmt: skip


def test_expanded_single_event_has_no_recurrence_id():
    (found,) = expanded(
        event("DTSTART;TZID=America/New_York:20260318T100000", "CREATED;TZID=America/New_York:20260101T000000")
    )
    assert found == {"UID": "1", "DTSTART": "20260318T140000Z", "CREATED": "20260101T050000Z"}


def test_expanded_days_stay_days_and_floating_times_float():
    days = expanded(event("DTSTART;VALUE=DATE:20260318", "RRULE:FREQ=DAILY;COUNT=2"))
    assert [(each["DTSTART"], each["RECURRENCE-ID"]) for each in days] == [("20260318",) * 2, ("20260319",) * 2]
    floating = expanded(event("DTSTART:20260318T100000", "DTEND:20260318T110000"))
    assert floating == [{"UID": "1", "DTSTART": "20260318T100000", "DTEND": "20260318T110000"}]


def test_expanded_periods_last_as_long_as_they_say():
    lines = ("DTSTART:20260302T100000Z", "RDATE;VALUE=PERIOD:20260303T100000Z/PT3H")
    usual, longer = expanded(event(*lines, "DURATION:PT1H"))
    assert (usual["DURATION"], "DTEND" in usual) == ("PT1H", False)
    assert (longer["DTEND"], "DURATION" in longer) == ("20260303T130000Z", False)
    usual, longer = expanded(event(*lines))
    assert "DTEND" not in usual
    assert longer["DTEND"] == "20260303T130000Z"


def test_expanded_tasks():
    due = expanded(made(*part("VTODO", "DUE;TZID=Europe/Berlin:20260318T100000")))
    assert due == [{"UID": "1", "DUE": "20260318T090000Z"}]
    assert expanded(made(*part("VTODO", "SUMMARY:Milk"))) == [{"UID": "1", "SUMMARY": "Milk"}]


def test_expanded_alarms_come_along():
    parsed = event("DTSTART:20260318T100000Z", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")
    (found,) = rendered(parsed, CalendarData(expand=MARCH)).parts
    assert [each.value("TRIGGER") for each in found.children("VALARM")] == ["-PT5M"]


def test_attack_080_an_expansion_without_end_is_refused():
    bomb = event("DTSTART:20260301T000000Z", "RRULE:FREQ=SECONDLY")
    with pytest.raises(TooManyMatches):
        render(bomb, b"", CalendarData(expand=MARCH), UTC, Budget())


RULES = st.sampled_from(["FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=HOURLY;INTERVAL=9", "FREQ=MONTHLY;BYDAY=-1FR"])


@given(RULES, st.sampled_from(["PT1H", "P2D", "PT0S"]), st.sampled_from([";TZID=Europe/Berlin:20260105T103000", ":20260105T103000", ";VALUE=DATE:20260105"]))  # fmt: skip
def test_an_expansion_has_the_instances_of_the_whole(rule, length, start):
    parsed = event(f"DTSTART{start}", f"DURATION:{length}", f"RRULE:{rule}", "EXDATE:20260307T093000Z")
    again = rendered(parsed, CalendarData(expand=MARCH))

    def of(one):
        return [(each.start, each.end) for each in instances(one, MARCH.start, MARCH.end, UTC, Budget())]

    assert of(again) == of(parsed)


# what was changed, and is not in the span


def changed(day: str, now: str) -> list[str]:
    return part("VEVENT", f"RECURRENCE-ID:{day}T090000Z", f"DTSTART:{now}T090000Z", "DURATION:PT1H", f"SUMMARY:{day}")


def test_changed_instances_outside_of_a_span_are_left_out():
    series = part("VEVENT", "DTSTART:20260101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY", "SUMMARY:Usual")
    parsed = made(
        *ZONE,
        *series,
        *changed("20260110", "20260111"),
        *changed("20260310", "20260501"),  # was in it
        *changed("20260501", "20260311"),  # is in it
        *changed("20260601", "20260601"),
    )
    found = rendered(parsed, CalendarData(limit_recurrence_set=MARCH))
    assert [each.value("SUMMARY") for each in found.parts] == ["Usual", "20260310", "20260501"]
    assert found.master.value("RRULE") == "FREQ=DAILY"
    assert len(list(found.calendar.children("VTIMEZONE"))) == 1


def test_an_instance_changed_for_all_that_follow_stays():
    series = part("VEVENT", "DTSTART:20260101T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    since = [each.replace("RECURRENCE-ID", "RECURRENCE-ID;RANGE=THISANDFUTURE") for each in changed("20260110", "20260110")]  # fmt: skip
    assert len(rendered(made(*series, *since), CalendarData(limit_recurrence_set=MARCH)).parts) == 2


def test_free_busy_times_outside_of_a_span_are_left_out():
    parsed = made(
        *part(
            "VFREEBUSY",
            "FREEBUSY:20260201T000000Z/PT1H,20260310T000000Z/PT1H",
            "FREEBUSY;FBTYPE=BUSY-TENTATIVE:20260501T000000Z/PT1H",
        )
    )
    (found,) = rendered(parsed, CalendarData(limit_freebusy_set=MARCH)).parts
    assert [each.value for each in found.all("FREEBUSY")] == ["20260310T000000Z/PT1H"]


# parts


def test_only_what_was_chosen():
    parsed = event("DTSTART:20260318T100000Z", "SUMMARY:Party", "LOCATION:Here", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")  # fmt: skip
    inner = CompChoice("VEVENT", (PropChoice("UID"), PropChoice("SUMMARY"), PropChoice("LOCATION", no_value=True)), ())
    choice = CompChoice("VCALENDAR", (PropChoice("VERSION"),), (inner,))
    assert render(parsed, b"", CalendarData(choice=choice), UTC, Budget()).decode().split("\r\n") == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", "UID:1", "SUMMARY:Party", "LOCATION:", "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip


def test_all_properties_and_all_components():
    parsed = event("DTSTART:20260318T100000Z", "BEGIN:VALARM", "TRIGGER:-PT5M", "END:VALARM")
    found = rendered(parsed, CalendarData(choice=CompChoice("VCALENDAR")))
    assert found.calendar == parsed.calendar


def test_chosen_and_expanded():
    inner = CompChoice("VEVENT", (PropChoice("UID"), PropChoice("DTSTART")), ())
    wanted = CalendarData(CompChoice("VCALENDAR", (PropChoice("VERSION"),), (inner,)), expand=MARCH)
    rendered_text = render(made(*WEEKLY), b"", wanted, UTC, Budget()).decode()
    assert rendered_text.count("BEGIN:VEVENT") == 2
    assert "RRULE" not in rendered_text
    assert "DTSTART:20260325T090000Z" in rendered_text
