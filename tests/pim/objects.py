"""Calendar objects for tests, made of their lines; and odd ones, made by chance."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from mailstead.pim.calendar_object import CalendarObject, calendar_object


def text_of(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", *lines, "END:VCALENDAR", ""])


def part(name: str, *lines: str) -> list[str]:
    return [f"BEGIN:{name}", "UID:1", *lines, f"END:{name}"]


def made(*lines: str) -> CalendarObject:
    return calendar_object(text_of(*lines).encode())


def event(*lines: str) -> CalendarObject:
    return made(*part("VEVENT", *lines))


def at(*numbers: int) -> datetime:
    return datetime(*numbers, tzinfo=UTC)


# Whatever comes: years 1 and 9999, lengths of centuries, dates where times should be, ends before starts.

_DAYS = st.sampled_from(["00010101", "00020102", "19700101", "20260329", "20260615", "99980102", "99991231"])
_TIMES = st.sampled_from(["T000000Z", "T235959Z", "T023000", "T120000"])
_VALUES = st.one_of(
    _DAYS.map(lambda day: f":{day}"),
    st.builds("".join, st.tuples(st.just(":"), _DAYS, _TIMES)),
    st.builds(
        lambda zone, day, time: f";TZID={zone}:{day}{time.rstrip('Z')}",
        st.sampled_from(["Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "W. Europe Standard Time", "None"]),
        _DAYS,
        _TIMES,
    ),
    st.just(":garbage"),
)
_PLAIN = st.builds("".join, st.tuples(_DAYS, st.just("T120000Z")))
_LENGTHS = st.sampled_from(
    ["P1D", "PT1H", "-PT15M", "P99999W", "-P99999W", "P999999D", "-PT9999999H", "PT0S", "PT9999999999S", "garbage"]
)
_RULE_PARTS = st.lists(
    st.sampled_from(
        ["INTERVAL=2", "INTERVAL=1000000", "COUNT=1", "COUNT=5", "COUNT=100000", "UNTIL=99991231", "UNTIL=00010101",
         "UNTIL=99991231T235959Z", "UNTIL=20270101T000000", "BYDAY=MO", "BYDAY=-1FR,53SU", "BYMONTHDAY=31,-31",
         "BYSETPOS=1", "BYSETPOS=-366", "BYWEEKNO=53", "BYWEEKNO=-53,1", "BYYEARDAY=366", "BYHOUR=0,23", "BYMONTH=2",
         "WKST=SU"]
    ),
    max_size=4,
    unique_by=lambda each: each.partition("=")[0],
)  # fmt: skip
_RULES = st.builds(
    lambda frequency, parts: ";".join([f"FREQ={frequency}", *parts]),
    st.sampled_from(["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"]),
    _RULE_PARTS,
)


def _lines(name: str, values: st.SearchStrategy[str], most: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(values.map(lambda value: f"{name}{value}"), max_size=most)


def _colon(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return values.map(lambda value: f":{value}")


def _periods() -> st.SearchStrategy[str]:
    return st.builds("{}/{}".format, _PLAIN, st.one_of(_LENGTHS, _PLAIN))


_ALARMS = st.builds(
    lambda trigger, repeat, pause: ["BEGIN:VALARM", f"TRIGGER{trigger}", repeat, f"DURATION:{pause}", "END:VALARM"],
    st.one_of(_colon(_LENGTHS), _LENGTHS.map(lambda length: f";RELATED=END:{length}"), _VALUES),
    st.sampled_from(["REPEAT:3", "REPEAT:99999999", "REPEAT:x"]),
    _LENGTHS,
)


@st.composite
def _parts(draw, name: str, *, is_override: bool) -> list[str]:
    lines = [f"BEGIN:{name}", "UID:1", *draw(_lines("DTSTART", _VALUES))]
    lines += draw(
        st.one_of(_lines("DUE" if name == "VTODO" else "DTEND", _VALUES), _lines("DURATION", _colon(_LENGTHS)))
    )
    if is_override:
        lines.append(f"RECURRENCE-ID{draw(st.sampled_from(['', ';RANGE=THISANDFUTURE']))}{draw(_VALUES)}")
    else:
        lines += draw(_lines("RRULE", _colon(_RULES), 2)) + draw(_lines("EXRULE", _colon(_RULES)))
        lines += draw(_lines("RDATE", _VALUES)) + draw(_lines("EXDATE", _VALUES))
        lines += draw(_lines("RDATE;VALUE=PERIOD", _colon(_periods())))
    lines += draw(_lines("COMPLETED", _VALUES)) + draw(_lines("CREATED", _VALUES))
    if name == "VFREEBUSY":
        lines += draw(_lines("FREEBUSY", _colon(_periods()), 2))
    elif name == "VAVAILABILITY":
        for _ in range(draw(st.integers(0, 2))):
            inner = draw(_parts("AVAILABLE", is_override=False))
            lines += inner
    else:
        lines += draw(st.one_of(st.just([]), _ALARMS))
    return [*lines, f"END:{name}"]


@st.composite
def odd_texts(draw) -> str:
    name = draw(st.sampled_from(["VEVENT", "VEVENT", "VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VAVAILABILITY"]))
    lines = draw(_parts(name, is_override=False))
    for _ in range(draw(st.integers(0, 2))):
        lines += draw(_parts(name, is_override=True))
    return text_of(*lines)
