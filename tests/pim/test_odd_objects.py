"""Whatever object comes, by mail or by PUT: what is asked of it gives an answer, or says that it takes too much work."""

from contextlib import suppress
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.model.errors import TooManyMatches
from mailstead.pim import calendar_data, calendar_filter
from mailstead.pim.availability import unavailable
from mailstead.pim.calendar_facts import facts
from mailstead.pim.calendar_object import calendar_object
from mailstead.pim.filters import CalendarData, CompFilter, PropFilter, TimeRange
from mailstead.pim.free_busy import busy, merged
from mailstead.pim.recurrence import Budget, instances
from pim.objects import at, odd_texts

SPANS = st.sampled_from(
    [
        TimeRange(at(2026, 3, 1), at(2026, 4, 1)),
        TimeRange(at(1, 1, 1), at(1, 2, 1)),
        TimeRange(at(9999, 12, 1), at(9999, 12, 31, 23, 59, 59)),
        TimeRange(None, at(2026, 3, 1)),
        TimeRange(at(2026, 3, 1), None),
    ]
)
ZONES = st.sampled_from([ZoneInfo(name) for name in ("UTC", "America/New_York", "Pacific/Kiritimati")])


def budget():
    return Budget(2_000, 300)


@settings(max_examples=100)
@given(odd_texts(), SPANS, ZONES)
def test_questions_are_answered(text, span, zone):
    parsed = calendar_object(text.encode())
    kind, dated = parsed.component, [PropFilter(name, time_range=span) for name in ("DTSTART", "RDATE", "COMPLETED")]
    alarm = CompFilter("VALARM", time_range=span)
    for comp in (
        CompFilter(kind, time_range=span),
        CompFilter(kind, comps=(alarm,)),
        CompFilter(kind, time_range=span, comps=(alarm,)),
        CompFilter(kind, props=tuple(dated), is_any=True),
    ):
        # Too much work is no error of filters: the object matches.
        calendar_filter.matches(parsed, CompFilter("VCALENDAR", comps=(comp,)), zone, budget())
    for wanted in (
        CalendarData(expand=span),
        CalendarData(limit_recurrence_set=span),
        CalendarData(limit_freebusy_set=span),
    ):
        with suppress(TooManyMatches):
            assert calendar_data.render(parsed, b"", wanted, zone, budget()).startswith(b"BEGIN:VCALENDAR")
    if span.start is not None and span.end is not None:
        with suppress(TooManyMatches):
            merged(busy(parsed, span.start, span.end, zone, budget()))
            unavailable(text, span.start, span.end, zone, budget())


@settings(max_examples=100)
@given(odd_texts(), SPANS, ZONES)
def test_the_index_finds_all_that_matches(text, span, zone):
    parsed = calendar_object(text.encode())
    found = facts(parsed)
    condition = CompFilter("VCALENDAR", comps=(CompFilter(parsed.component, time_range=span),))
    query, spent = calendar_filter.query_of(condition), budget()
    if found.is_dated and calendar_filter.matches(parsed, condition, zone, spent):
        with suppress(TooManyMatches):
            spent.step(0)  # what takes too much work matches everywhere
            spent.instance()
            assert query.ends_s is None or found.first_s is None or found.first_s < query.ends_s
            assert query.starts_s is None or found.last_s is None or found.last_s >= query.starts_s


@settings(max_examples=100)
@given(odd_texts(), ZONES)
def test_facts_bound_all_instances(text, zone):
    parsed = calendar_object(text.encode())
    found = facts(parsed)
    with suppress(TooManyMatches):
        if parsed.component in {"VFREEBUSY", "VAVAILABILITY"}:
            return  # no recurrence of theirs counts
        for each in instances(parsed, at(1900, 1, 1), at(2200, 1, 1), zone, budget()):
            assert found.first_s is None or found.first_s <= each.start.timestamp()
            assert found.last_s is None or each.end.timestamp() <= found.last_s
