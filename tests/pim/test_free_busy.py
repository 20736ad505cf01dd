"""Busy times: what makes busy, merging, rounding, writing."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.pim.component import Property
from mailstead.pim.free_busy import BUSY, FREE, TENTATIVE, UNAVAILABLE, BusyPeriod, busy, coarse, merged, vfreebusy
from mailstead.pim.recurrence import UTC, Budget
from pim.objects import at, event, made, part

DAY = at(2026, 3, 2), at(2026, 3, 3)
ME = "mailto:alice@example.test"
NINE = ["DTSTART:20260302T090000Z", "DURATION:PT1H"]


def kinds(*lines, attendees=frozenset()):
    return [each.kind for each in busy(event(*NINE, *lines), *DAY, UTC, Budget(), attendees=attendees)]


def hours(*numbers, kind=BUSY):
    first, last = numbers
    return BusyPeriod(at(2026, 3, 2, first), at(2026, 3, 2, last), kind)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], [BUSY]),
        (["TRANSP:OPAQUE"], [BUSY]),
        (["TRANSP:TRANSPARENT"], []),
        (["STATUS:CONFIRMED"], [BUSY]),
        (["STATUS:TENTATIVE"], [TENTATIVE]),
        (["STATUS:CANCELLED"], []),
        (["STATUS:TENTATIVE", "TRANSP:TRANSPARENT"], []),
    ],
)
def test_what_makes_busy(lines, expected):
    assert kinds(*lines) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (";PARTSTAT=ACCEPTED", [BUSY]),
        (";PARTSTAT=DECLINED", []),
        (";PARTSTAT=DELEGATED", []),
        (";PARTSTAT=TENTATIVE", [TENTATIVE]),
        (";PARTSTAT=NEEDS-ACTION", [TENTATIVE]),
        ("", [TENTATIVE]),
    ],
)
def test_the_answer_of_its_owner_counts(answer, expected):
    lines = [f"ATTENDEE{answer}:mailto:Alice@example.test", "ATTENDEE;PARTSTAT=DECLINED:mailto:bob@example.test"]
    assert kinds(*lines, attendees=frozenset({ME})) == expected
    assert kinds(*lines) == [BUSY]


def test_only_events_and_free_busy_times_make_busy():
    assert busy(made(*part("VTODO", *NINE)), *DAY, UTC, Budget()) == []


def test_periods_are_cut_at_the_ends_of_the_span():
    assert busy(event("DTSTART:20260301T120000Z", "DURATION:P3D"), *DAY, UTC, Budget()) == [BusyPeriod(*DAY)]
    assert busy(event("DTSTART:20260302T120000Z"), *DAY, UTC, Budget()) == []  # no length


def test_changed_instances_have_their_own_status():
    off = part("VEVENT", "RECURRENCE-ID:20260302T090000Z", *NINE, "STATUS:CANCELLED")
    series = part("VEVENT", "DTSTART:20260301T090000Z", "DURATION:PT1H", "RRULE:FREQ=DAILY")
    assert busy(made(*series, *off), *DAY, UTC, Budget()) == []
    assert busy(made(*series), *DAY, UTC, Budget()) == [hours(9, 10)]


def test_written_free_busy_times():
    parsed = made(
        *part(
            "VFREEBUSY", "FREEBUSY:20260302T080000Z/PT1H,20260301T230000Z/20260302T010000Z", "FREEBUSY;FBTYPE=FREE:20260302T100000Z/PT1H",
            "FREEBUSY;FBTYPE=BUSY-UNAVAILABLE:20260302T120000Z/PT1H", "FREEBUSY;FBTYPE=X-SKIING:20260302T140000Z/PT1H", "FREEBUSY:nonsense",
        )
    )  # fmt: skip
    assert busy(parsed, *DAY, UTC, Budget()) == [
        hours(8, 9),
        hours(0, 1),
        hours(12, 13, kind=UNAVAILABLE),
        hours(14, 15),  # what one does not know is busy
    ]


# merging


def test_where_two_meet_the_busier_one_counts():
    assert merged([hours(8, 12, kind=TENTATIVE), hours(9, 10), hours(10, 11), hours(11, 13, kind=UNAVAILABLE)]) == [
        hours(8, 9, kind=TENTATIVE),
        hours(9, 11),
        hours(11, 13, kind=UNAVAILABLE),
    ]
    assert merged([]) == []
    assert merged([hours(8, 9, kind=FREE), hours(9, 9)]) == []


PERIODS = st.lists(
    st.builds(
        lambda first, length, kind: BusyPeriod(DAY[0] + timedelta(minutes=first), DAY[0] + timedelta(minutes=first + length), kind),
        st.integers(0, 300),
        st.integers(0, 100),
        st.sampled_from([BUSY, TENTATIVE, UNAVAILABLE, FREE]),
    ),
    max_size=12,
)  # fmt: skip
RANKS = [FREE, TENTATIVE, UNAVAILABLE, BUSY]


@given(PERIODS)
def test_each_moment_is_as_busy_as_its_busiest_period(periods):
    found = merged(periods)
    assert merged(found) == found
    for before, after in itertools.pairwise(found):
        assert before.end < after.start or (before.end == after.start and before.kind != after.kind)
    for minute in range(0, 400, 7):
        moment = DAY[0] + timedelta(minutes=minute)

        def kind_at(several, moment=moment):
            kinds = [each.kind for each in several if each.start <= moment < each.end]
            return max(kinds, key=RANKS.index, default=FREE)

        assert kind_at(found) == kind_at(periods)


def test_attack_079_thousands_that_overlap_are_merged_at_once():
    minute = timedelta(minutes=1)
    many = [BusyPeriod(DAY[0] + minute * each, DAY[0] + minute * (each + 20_000)) for each in range(20_000)]
    assert merged(many) == [BusyPeriod(DAY[0], DAY[0] + minute * 39_999)]


@given(PERIODS)
def test_rounded_times_cover_the_true_ones(periods):
    rounded = coarse(periods)
    for each in rounded:
        assert each.start.minute % 15 == each.end.minute % 15 == 0
    for each in merged(periods):
        assert any(one.start <= each.start for one in rounded)
        assert any(one.end >= each.end for one in rounded)


# writing


def test_free_busy_times_written_and_read_back():
    periods = [hours(9, 10), hours(9, 11, kind=TENTATIVE)]
    written = vfreebusy(periods, *DAY, at(2026, 3, 1), uid="u", properties=[Property("ATTENDEE", ME)])
    assert [(each.name, each.value) for each in written.properties] == [
        ("UID", "u"), ("DTSTAMP", "20260301T000000Z"), ("DTSTART", "20260302T000000Z"), ("DTEND", "20260303T000000Z"), ("ATTENDEE", ME),
        ("FREEBUSY", "20260302T090000Z/20260302T100000Z"), ("FREEBUSY", "20260302T100000Z/20260302T110000Z"),
    ]  # fmt: skip
    parsed = made(
        "BEGIN:VFREEBUSY",
        *(f"{each.name}{''.join(f';{name}={values[0]}' for name, values in each.parameters)}:{each.value}" for each in written.properties),
        "END:VFREEBUSY",
    )  # fmt: skip
    assert busy(parsed, *DAY, UTC, Budget()) == merged(periods)
