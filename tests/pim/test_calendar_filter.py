"""Filters: RFC 4791 §9.7 and the tables of §9.9, row by row."""

import pytest

from mailstead.model.dav import ResourceQuery
from mailstead.pim import calendar_filter
from mailstead.pim.filters import CompFilter, ParamFilter, PropFilter, TextMatch, TimeRange
from mailstead.pim.recurrence import UTC, Budget
from pim.objects import at, event, made, part

NOON = at(2026, 3, 2, 12)
SPAN = TimeRange(at(2026, 3, 2, 10), at(2026, 3, 2, 14))


def matches(parsed, comp, budget=None):
    return calendar_filter.matches(parsed, CompFilter("VCALENDAR", comps=(comp,)), UTC, budget or Budget())


def has(parsed, *props, name="VEVENT", **more):
    return matches(parsed, CompFilter(name, props=props, **more))


def in_span(name, *lines, span=SPAN):
    return matches(made(*part(name, *lines)), CompFilter(name, time_range=span))


# time ranges: VEVENT


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART:20260302T080000Z", "DTEND:20260302T100000Z"], False),  # ends where the span begins
        (["DTSTART:20260302T080000Z", "DTEND:20260302T100001Z"], True),
        (["DTSTART:20260302T135959Z", "DURATION:PT1H"], True),
        (["DTSTART:20260302T140000Z", "DURATION:PT1H"], False),
        (["DTSTART:20260301T000000Z", "DTEND:20260401T000000Z"], True),  # around it
        (["DTSTART:20260302T100000Z"], True),  # no length: at the first moment
        (["DTSTART:20260302T100000Z", "DURATION:PT0S"], True),
        (["DTSTART:20260302T140000Z"], False),
        (["DTSTART;VALUE=DATE:20260302"], True),
        (["DTSTART;VALUE=DATE:20260301"], False),
        (["DTSTART;VALUE=DATE:20260228", "DTEND;VALUE=DATE:20260303"], True),
        (["DTSTART;TZID=Europe/Berlin:20260302T143000", "DURATION:PT1H"], True),
        (["DTSTART;TZID=Europe/Berlin:20260302T150000", "DURATION:PT1H"], False),
        (["DTSTART:20250302T120000Z", "RRULE:FREQ=YEARLY"], True),
        (["DTSTART:20250302T120000Z", "RRULE:FREQ=YEARLY", "EXDATE:20260302T120000Z"], False),
        (["DTSTART:20250302T120000Z", "RRULE:FREQ=YEARLY;COUNT=1"], False),
        (["SUMMARY:Without any time"], False),
    ],
)
def test_events_in_a_span(lines, expected):
    assert in_span("VEVENT", *lines) is expected


def test_open_spans():
    parsed = event("DTSTART:20260302T120000Z", "DURATION:PT1H")
    for span, expected in [
        (TimeRange(NOON, None), True),
        (TimeRange(at(2026, 3, 2, 13), None), False),
        (TimeRange(None, at(2026, 3, 2, 12, 1)), True),
        (TimeRange(None, NOON), False),
    ]:
        assert matches(parsed, CompFilter("VEVENT", time_range=span)) is expected


def test_an_instance_that_was_moved_away_is_not_where_it_was():
    moved = part("VEVENT", "RECURRENCE-ID:20260302T120000Z", "DTSTART:20260302T160000Z")
    parsed = made(*part("VEVENT", "DTSTART:20260301T120000Z", "RRULE:FREQ=DAILY"), *moved)
    assert not matches(parsed, CompFilter("VEVENT", time_range=SPAN))


# time ranges: VTODO, the eight rows


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # DTSTART and DURATION: start <= DTSTART+DURATION, and end > DTSTART or end >= DTSTART+DURATION
        (["DTSTART:20260302T090000Z", "DURATION:PT1H"], True),
        (["DTSTART:20260302T085959Z", "DURATION:PT1H"], False),
        (["DTSTART:20260302T140000Z", "DURATION:PT1H"], False),
        (["DTSTART:20260302T140000Z", "DURATION:PT0S"], True),
        # DTSTART and DUE: start < DUE or start <= DTSTART, and end > DTSTART or end >= DUE
        (["DTSTART:20260302T090000Z", "DUE:20260302T100000Z"], False),
        (["DTSTART:20260302T090000Z", "DUE:20260302T100001Z"], True),
        (["DTSTART:20260302T100000Z", "DUE:20260302T100000Z"], True),
        (["DTSTART:20260302T140000Z", "DUE:20260302T140000Z"], True),
        # DTSTART alone: start <= DTSTART and end > DTSTART
        (["DTSTART:20260302T100000Z"], True),
        (["DTSTART:20260302T140000Z"], False),
        # DUE alone: start < DUE and end >= DUE
        (["DUE:20260302T100000Z"], False),
        (["DUE:20260302T100001Z"], True),
        (["DUE:20260302T140000Z"], True),
        (["DUE:20260302T140001Z"], False),
        # COMPLETED and CREATED: start <= either, and end >= either
        (["COMPLETED:20260303T000000Z", "CREATED:20260301T000000Z"], True),
        (["COMPLETED:20260302T090000Z", "CREATED:20260301T000000Z"], False),
        (["COMPLETED:20260304T000000Z", "CREATED:20260303T000000Z"], False),
        # COMPLETED alone: start <= COMPLETED and end >= COMPLETED
        (["COMPLETED:20260302T100000Z"], True),
        (["COMPLETED:20260302T140000Z"], True),
        (["COMPLETED:20260302T140001Z"], False),
        # CREATED alone: end > CREATED
        (["CREATED:20200101T000000Z"], True),
        (["CREATED:20260302T140000Z"], False),
        # nothing: always
        (["SUMMARY:Milk"], True),
        # and again and again
        (["DTSTART:20260223T120000Z", "RRULE:FREQ=WEEKLY"], True),
        (["DTSTART:20260224T120000Z", "RRULE:FREQ=WEEKLY"], False),
    ],
)
def test_tasks_in_a_span(lines, expected):
    assert in_span("VTODO", *lines) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART:20260302T100000Z"], True),
        (["DTSTART:20260302T140000Z"], False),
        (["DTSTART;VALUE=DATE:20260302"], True),
        (["SUMMARY:A note"], False),
    ],
)
def test_journals_in_a_span(lines, expected):
    assert in_span("VJOURNAL", *lines) is expected


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART:20260301T000000Z", "DTEND:20260302T100000Z"], True),
        (["DTSTART:20260301T000000Z", "DTEND:20260302T095959Z"], False),
        (["DTSTART:20260302T140000Z", "DTEND:20260303T000000Z"], False),
        (["FREEBUSY:20260302T120000Z/PT1H"], True),
        (["FREEBUSY:20260302T080000Z/PT1H,20260303T080000Z/PT1H"], False),
        (["COMMENT:Nothing"], False),
    ],
)
def test_free_busy_times_in_a_span(lines, expected):
    assert in_span("VFREEBUSY", *lines) is expected


def test_availability_in_a_span():
    assert in_span("VAVAILABILITY")
    assert in_span("VAVAILABILITY", "DTSTART:20260302T120000Z")
    assert not in_span("VAVAILABILITY", "DTSTART:20260302T140000Z")
    assert not in_span("VAVAILABILITY", "DTEND:20260302T100000Z")


# alarms


def alarm(*lines):
    return event("DTSTART:20260302T160000Z", "DURATION:PT1H", "BEGIN:VALARM", "ACTION:DISPLAY", *lines, "END:VALARM")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["TRIGGER:-PT2H"], False),  # at the very end of the span
        (["TRIGGER:-PT2H1S"], True),
        (["TRIGGER:-PT6H"], True),
        (["TRIGGER;RELATED=END:-PT3H1S"], True),
        (["TRIGGER;RELATED=END:-PT3H"], False),
        (["TRIGGER;VALUE=DATE-TIME:20260302T120000Z"], True),
        (["TRIGGER;VALUE=DATE-TIME:20260302T140000Z"], False),
        (["TRIGGER:-PT8H", "REPEAT:2", "DURATION:PT1H"], True),
        (["TRIGGER:-PT8H", "REPEAT:1", "DURATION:PT1H"], False),
        (["TRIGGER:nonsense"], False),
        (["DESCRIPTION:No trigger"], False),
    ],
)
def test_alarms_in_a_span(lines, expected):
    comp = CompFilter("VEVENT", comps=(CompFilter("VALARM", time_range=SPAN),))
    assert matches(alarm(*lines), comp) is expected


def test_an_alarm_of_one_instance_among_many():
    parsed = event("DTSTART:20260101T160000Z", "RRULE:FREQ=DAILY", "BEGIN:VALARM", "TRIGGER:-P1DT4H", "END:VALARM")
    ringing = CompFilter("VALARM", time_range=SPAN)
    assert matches(parsed, CompFilter("VEVENT", comps=(ringing,)))
    next_day = TimeRange(at(2026, 3, 3), at(2026, 3, 4))
    assert matches(parsed, CompFilter("VEVENT", time_range=next_day, comps=(ringing,)))
    assert not matches(parsed, CompFilter("VEVENT", time_range=TimeRange(NOON, at(2026, 3, 2, 20)), comps=(ringing,)))


def test_without_an_alarm():
    comp = CompFilter("VEVENT", comps=(CompFilter("VALARM", is_not_defined=True),))
    assert matches(event("DTSTART:20260302T160000Z"), comp)
    assert not matches(alarm("TRIGGER:-PT2H"), comp)


# properties and texts


PARTY = ["SUMMARY;LANGUAGE=de:Fête in KÖLN\\, spät", "CATEGORIES:A", "CATEGORIES:B",
         "ATTENDEE;PARTSTAT=NEEDS-ACTION:mailto:alice@example.test", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:bob@example.test"]  # fmt: skip


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        (TextMatch("IN KÖLN"), True),
        (TextMatch("in köln"), False),  # ASCII only
        (TextMatch("in köln", "i;unicode-casemap"), True),
        (TextMatch("in KÖLN", "i;octet"), True),
        (TextMatch("IN KÖLN", "i;octet"), False),
        (TextMatch("KÖLN, spät"), True),  # unescaped
        (TextMatch("Paris"), False),
        (TextMatch("Paris", negates=True), True),
        (TextMatch("in KÖLN", negates=True), False),
        (TextMatch("fête", match_type="starts-with", collation="i;unicode-casemap"), True),
        (TextMatch("spät", match_type="ends-with"), True),
        (TextMatch("spät", match_type="equals"), False),
    ],
)
def test_texts(match, expected):
    assert has(event(*PARTY), PropFilter("SUMMARY", text_matches=(match,))) is expected


def test_one_of_several_properties_is_enough():
    parsed = event(*PARTY)
    assert has(parsed, PropFilter("CATEGORIES", text_matches=(TextMatch("B"),)))
    waiting = ParamFilter("PARTSTAT", text_match=TextMatch("NEEDS-ACTION"))
    for name, expected in (("alice", True), ("bob", False)):
        assert has(parsed, PropFilter("ATTENDEE", text_matches=(TextMatch(name),), params=(waiting,))) is expected


def test_what_is_there_and_what_is_not():
    parsed = event(*PARTY)
    assert has(parsed, PropFilter("SUMMARY"))
    assert not has(parsed, PropFilter("LOCATION"))
    assert has(parsed, PropFilter("LOCATION", is_not_defined=True))
    assert not has(parsed, PropFilter("SUMMARY", is_not_defined=True))
    assert has(parsed, PropFilter("SUMMARY", params=(ParamFilter("LANGUAGE"),)))
    assert has(parsed, PropFilter("SUMMARY", params=(ParamFilter("ALTREP", is_not_defined=True),)))
    assert not has(parsed, PropFilter("SUMMARY", params=(ParamFilter("ALTREP"),)))
    assert not has(parsed, name="VTODO")
    assert matches(parsed, CompFilter("VTODO", is_not_defined=True))
    assert not matches(parsed, CompFilter("VEVENT", is_not_defined=True))


def test_all_conditions_or_any():
    yes, no = PropFilter("SUMMARY"), PropFilter("LOCATION")
    assert not has(event(*PARTY), yes, no)
    assert has(event(*PARTY), yes, no, is_any=True)
    assert not has(event(*PARTY), no, is_any=True)


def test_a_property_in_a_span():
    parsed = made(*part("VTODO", "COMPLETED:20260302T120000Z"))
    assert has(parsed, PropFilter("COMPLETED", time_range=SPAN), name="VTODO")
    later = TimeRange(at(2026, 3, 3), at(2026, 3, 4))
    assert not has(parsed, PropFilter("COMPLETED", time_range=later), name="VTODO")


def test_conditions_on_the_calendar():
    parsed = event("DTSTART:20260302T120000Z")
    prodid = PropFilter("PRODID", text_matches=(TextMatch("test"),))
    assert calendar_filter.matches(parsed, CompFilter("VCALENDAR", props=(prodid,)), UTC, Budget())
    assert calendar_filter.matches(parsed, CompFilter("VCALENDAR"), UTC, Budget())
    assert not calendar_filter.matches(parsed, CompFilter("VCALENDAR", is_not_defined=True), UTC, Budget())
    assert not calendar_filter.matches(parsed, CompFilter("VCARD"), UTC, Budget())


def test_a_text_and_a_span_have_to_be_of_one_instance():
    moved = part("VEVENT", "RECURRENCE-ID:20260303T120000Z", "DTSTART:20260303T120000Z", "SUMMARY:Special")
    parsed = made(*part("VEVENT", "DTSTART:20260301T120000Z", "RRULE:FREQ=DAILY", "SUMMARY:Usual"), *moved)
    special = PropFilter("SUMMARY", text_matches=(TextMatch("Special"),))
    assert not has(parsed, special, time_range=SPAN)
    assert has(parsed, special, time_range=TimeRange(at(2026, 3, 3), at(2026, 3, 4)))


@pytest.mark.parametrize(
    "comp",
    [CompFilter("VEVENT", time_range=SPAN), CompFilter("VEVENT", comps=(CompFilter("VALARM", time_range=SPAN),))],
)
def test_attack_080_what_costs_too_much_is_shown(comp):
    bomb = event(
        "DTSTART:20250101T000000Z",
        "RRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "BEGIN:VALARM",
        "TRIGGER:PT0S",
        "END:VALARM",
    )
    assert matches(bomb, comp, Budget(1_000))


# what the index can do


def query(*comps, **more):
    return calendar_filter.query_of(CompFilter("VCALENDAR", comps=comps, **more))


def test_questions_for_the_index():
    starts, ends = int(SPAN.start.timestamp()), int(SPAN.end.timestamp())
    assert query(CompFilter("VEVENT", time_range=SPAN)) == ResourceQuery(frozenset({"VEVENT"}), starts, ends)
    uid = PropFilter("UID", text_matches=(TextMatch("1", "i;octet", "equals"),))
    summary = PropFilter("SUMMARY", text_matches=(TextMatch("Köln", "i;unicode-casemap"),))
    plain = PropFilter("SUMMARY", text_matches=(TextMatch("PARTY"),))
    assert query(CompFilter("VTODO", props=(uid, plain))) == ResourceQuery(frozenset({"VTODO"}), uid="1", text="party")
    assert query(CompFilter("VEVENT", props=(summary,))).text == ""


@pytest.mark.parametrize(
    "comps",
    [
        (),
        (CompFilter("VEVENT", is_not_defined=True),),
        (CompFilter("VEVENT"), CompFilter("VTODO", is_not_defined=True)),
        (CompFilter("X-THING"),),
    ],
)
def test_what_the_index_cannot_say_it_does_not_say(comps):
    assert query(*comps) == ResourceQuery()


def test_the_index_does_not_leave_out_what_is_negated_or_one_of_several():
    no_text = PropFilter("SUMMARY", text_matches=(TextMatch("x", negates=True),))
    assert query(CompFilter("VEVENT", props=(no_text,))) == ResourceQuery(frozenset({"VEVENT"}))
    either = CompFilter("VEVENT", time_range=SPAN, props=(PropFilter("SUMMARY"),), is_any=True)
    assert query(either) == ResourceQuery(frozenset({"VEVENT"}))


def test_when_the_index_alone_decides():
    def decides(*comps, **more):
        return calendar_filter.is_exact(CompFilter("VCALENDAR", comps=comps, **more))

    assert decides()
    assert decides(CompFilter("VEVENT"))
    assert decides(CompFilter("VEVENT", time_range=SPAN))
    assert decides(CompFilter("VTODO"))
    assert not decides(CompFilter("VTODO", time_range=SPAN))
    assert not decides(CompFilter("VEVENT", props=(PropFilter("SUMMARY"),)))
    assert not decides(CompFilter("VEVENT", comps=(CompFilter("VALARM"),)))
    assert not decides(props=(PropFilter("VERSION"),))
