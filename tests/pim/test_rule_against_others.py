"""500 made-up rules, compared with dateutil here and with ical.js in tests/system: two libraries that know nothing of each other.

Where they differ from the RFC, the class of rules is left out, by name:
- dateutil reckons BYSETPOS of a weekly rule within the first, cut week only; the RFC's sets are whole intervals.
- dateutil takes all days of a week for BYWEEKNO without BYDAY; the RFC takes the weekday of DTSTART.
"""

from datetime import datetime
from itertools import islice

import pytest
from dateutil.rrule import rrulestr

from mailstead.model.errors import TooManyMatches
from mailstead.pim.rule import Budget, occurrences, parse_rule
from pim.rules import COUNT, RULES


def left_out(rule: str) -> bool:
    return ("FREQ=WEEKLY" in rule and "BYSETPOS" in rule) or ("BYWEEKNO" in rule and "BYDAY" not in rule)


def test_there_are_500_rules_of_all_kinds():
    assert len(RULES) == 500
    for part in (
        "YEARLY",
        "MONTHLY",
        "WEEKLY",
        "DAILY",
        "HOURLY",
        "MINUTELY",
        "SECONDLY",
        "BYSETPOS",
        "BYDAY=",
        "BYMONTHDAY",
        "BYYEARDAY",
        "BYWEEKNO",
        "INTERVAL",
        "COUNT",
        "UNTIL",
        "WKST",
    ):
        assert sum(part in rule for rule, _ in RULES) >= 15, part
    assert sum(left_out(rule) for rule, _ in RULES) < 40


@pytest.mark.parametrize("part", range(10))
def test_rules_give_what_dateutil_gives(part):
    compared = 0
    for text, start in RULES[part * 50 : part * 50 + 50]:
        rule = parse_rule(text)
        try:
            until = rule.until.local if rule.until is not None else None
            ours = list(islice(occurrences(rule, start, Budget(2_000_000), until=until), COUNT))
        except TooManyMatches:
            continue  # it comes so seldom that dateutil would not end either
        if left_out(text):
            continue
        assert ours == list(islice(rrulestr(f"RRULE:{text}", dtstart=start, ignoretz=True), COUNT)), (text, start)
        compared += 1
    assert compared >= 40


def test_the_first_week_of_a_weekly_set_is_whole():
    """What dateutil does not do: of the week of Wednesday, the first of Monday and Friday is Monday, which is over."""
    found = occurrences(parse_rule("FREQ=WEEKLY;BYDAY=MO,FR;BYSETPOS=1"), datetime(2026, 3, 4, 9), Budget())
    assert next(found) == datetime(2026, 3, 9, 9)


def test_a_numbered_week_has_the_weekday_of_the_start():
    found = occurrences(parse_rule("FREQ=YEARLY;BYWEEKNO=20"), datetime(2026, 5, 13, 9), Budget())
    assert list(islice(found, 2)) == [datetime(2026, 5, 13, 9), datetime(2027, 5, 19, 9)]
