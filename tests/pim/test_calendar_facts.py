"""Facts: where in time an object is, whatever zone it is looked at from, and its texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.model.dav import TEXT_MAX
from mailstead.pim.calendar_facts import COUNT_MAX, SUMMARY_MAX, facts
from mailstead.pim.recurrence import UTC, Budget, instances
from pim.objects import at, event, made, part


def bounds(parsed):
    found = facts(parsed)
    return found.first_s, found.last_s


def seconds(*numbers):
    return int(at(*numbers).timestamp())


def test_a_single_event_is_exact():
    found = facts(event("DTSTART;TZID=Europe/Berlin:20260302T100000", "DURATION:PT1H"))
    assert (found.first_s, found.last_s) == (seconds(2026, 3, 2, 9), seconds(2026, 3, 2, 10))
    assert found.is_exact
    assert found.is_dated
    assert not found.is_recurring


@pytest.mark.parametrize(
    ("lines", "first", "last"),
    [
        (["DTSTART:20260302T100000"], (2026, 3, 1, 20), (2026, 3, 2, 22)),
        (["DTSTART;VALUE=DATE:20260302"], (2026, 3, 1, 10), (2026, 3, 3, 12)),
    ],
)
def test_floating_times_are_taken_in_every_zone(lines, first, last):
    found = facts(event(*lines))
    assert (found.first_s, found.last_s) == (seconds(*first), seconds(*last))
    assert not found.is_exact


def test_alarms_do_not_count():
    with_alarm = event("DTSTART:20260302T100000Z", "BEGIN:VALARM", "TRIGGER:-P7D", "END:VALARM")
    assert bounds(with_alarm) == bounds(event("DTSTART:20260302T100000Z"))


def test_a_rule_without_end_has_none():
    found = facts(event("DTSTART:20260302T100000Z", "RRULE:FREQ=DAILY"))
    assert (found.first_s, found.last_s) == (seconds(2026, 3, 2, 10), None)
    assert found.is_recurring
    assert not found.is_exact


@pytest.mark.parametrize(
    ("rule", "ends"),
    [
        ("FREQ=DAILY;COUNT=10", (2026, 3, 11, 11)),
        ("FREQ=DAILY;UNTIL=20260311T100000Z", (2026, 3, 11, 11)),
        ("FREQ=YEARLY;COUNT=3", (2028, 3, 2, 11)),
        ("FREQ=NONSENSE", (2026, 3, 2, 11)),
    ],
)
def test_a_rule_with_an_end_is_bounded(rule, ends):
    _, last = bounds(event("DTSTART:20260302T100000Z", "DURATION:PT1H", f"RRULE:{rule}"))
    assert seconds(*ends) <= last <= seconds(*ends) + 2 * 86400


@pytest.mark.parametrize("rule", [f"FREQ=DAILY;COUNT={COUNT_MAX + 1}", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30;COUNT=2"])
def test_attack_080_what_is_too_much_work_has_no_end(rule):
    assert bounds(event("DTSTART:20260302T100000Z", f"RRULE:{rule}")) == (seconds(2026, 3, 2, 10), None)


def test_dates_of_a_list_count():
    first, last = bounds(
        event(
            "DTSTART:20260302T100000Z", "RDATE:20250101T000000Z", "RDATE;VALUE=PERIOD:20270101T000000Z/20270201T000000Z"
        )
    )
    assert first <= seconds(2025, 1, 1)
    assert last >= seconds(2027, 2, 1)


def test_changed_instances_count():
    moved = part("VEVENT", "RECURRENCE-ID:20260303T100000Z", "DTSTART:20260601T100000Z", "DURATION:PT1H")
    parsed = made(*part("VEVENT", "DTSTART:20260302T100000Z", "RRULE:FREQ=DAILY;COUNT=3"), *moved)
    assert bounds(parsed) == (seconds(2026, 3, 2, 10), seconds(2026, 6, 1, 11))
    following = [line.replace("RECURRENCE-ID", "RECURRENCE-ID;RANGE=THISANDFUTURE") for line in moved]
    assert bounds(made(*following)) == (seconds(2026, 6, 1, 10), None)


def test_tasks():
    assert not facts(made(*part("VTODO", "SUMMARY:Milk"))).is_dated
    due = facts(made(*part("VTODO", "DUE:20260302T100000Z")))
    assert due.is_dated
    assert due.first_s < seconds(2026, 3, 2, 10) < due.last_s  # both ends of a task count: RFC 4791 §9.9


def test_availability_without_start_is_at_all_times():
    found = facts(made(*part("VAVAILABILITY")))
    assert (found.first_s, found.last_s, found.is_dated) == (None, None, True)
    open_end = facts(made(*part("VAVAILABILITY", "DTSTART:20260302T100000Z")))
    assert (open_end.first_s, open_end.last_s) == (seconds(2026, 3, 2, 10) - 1, None)


def test_texts_for_lists_and_for_searching():
    found = facts(
        event(
            "DTSTART:20260302T100000Z", "SUMMARY:Straße\\, gesperrt", "LOCATION:KÖLN", "CATEGORIES:A,B",
            "ATTENDEE;CN=Bob Ross:mailto:bob@example.test", "ORGANIZER:MAILTO:Alice@example.test", "X-NOTE:hidden",
        )
    )  # fmt: skip
    assert found.summary == "Straße, gesperrt"
    assert found.text.split("\n") == [
        "strasse, gesperrt",
        "köln",
        "a,b",
        "mailto:bob@example.test",
        "bob ross",
        "mailto:alice@example.test",
    ]
    assert found.organizer == "mailto:alice@example.test"


def test_an_organizer_alone_makes_no_meeting():
    assert facts(event("DTSTART:20260302T100000Z", "ORGANIZER:mailto:alice@example.test")).organizer == ""


def test_texts_have_an_end():
    found = facts(event("DTSTART:20260302T100000Z", "SUMMARY:" + "ß" * 50_000))
    assert len(found.summary) == SUMMARY_MAX
    assert len(found.text) == TEXT_MAX


@given(
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]), st.integers(1, 40), st.sampled_from(["PT1H", "P3D", "PT0S"])
)  # fmt: skip
def test_counted_rules_end_after_their_last_instance(frequency, count, length):
    parsed = event(
        "DTSTART;TZID=America/New_York:20260131T230000",
        f"DURATION:{length}",
        f"RRULE:FREQ={frequency};COUNT={count}",
    )
    last = max(each.end for each in instances(parsed, None, None, UTC, Budget()))
    assert bounds(parsed)[1] >= last.timestamp()
