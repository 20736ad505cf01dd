"""500 rules, made by chance with a fixed seed, with a start that fits: shared by the comparisons with other libraries."""

import random
from datetime import datetime

from mailstead.model.errors import TooManyMatches
from mailstead.pim.rule import FREQUENCIES, WEEKDAYS, Budget, occurrences, parse_rule

COUNT = 25
"""Occurrences that are compared."""


def _made(chance: random.Random, frequencies: tuple[str, ...]) -> str:
    frequency = chance.choice(frequencies)
    parts = [f"FREQ={frequency}"]

    def some(name: str, pool: list[int], share: float, most: int = 3) -> None:
        if chance.random() < share:
            parts.append(f"{name}=" + ",".join(map(str, sorted(chance.sample(pool, chance.randint(1, most))))))

    if chance.random() < 0.5:
        parts.append(f"INTERVAL={chance.choice([1, 2, 3, 5, 7])}")
    if frequency == "YEARLY" and chance.random() < 0.25:
        some("BYWEEKNO", [*range(1, 53), *range(-52, 0)], 1.0)
        if chance.random() < 0.8:
            parts.append("BYDAY=" + ",".join(chance.sample(WEEKDAYS, 2)))
    else:
        some("BYMONTH", list(range(1, 13)), 0.3)
        if frequency != "WEEKLY":
            some("BYMONTHDAY", [*range(1, 32), *range(-31, 0)], 0.25)
        if frequency in {"YEARLY", "HOURLY", "MINUTELY", "SECONDLY"}:
            some("BYYEARDAY", [*range(1, 367), *range(-366, 0)], 0.15, 6)
        if chance.random() < 0.4:
            chosen = chance.sample(WEEKDAYS, chance.randint(1, 3))
            if frequency in {"YEARLY", "MONTHLY"} and chance.random() < 0.6:
                chosen = [f"{chance.choice([1, 2, 3, 4, -1, -2])}{day}" for day in chosen]
            parts.append("BYDAY=" + ",".join(chosen))
    some("BYHOUR", list(range(24)), 0.2)
    some("BYMINUTE", list(range(60)), 0.2)
    some("BYSECOND", list(range(60)), 0.1)
    if any(part.startswith("BY") for part in parts) and chance.random() < 0.2:
        parts.append("BYSETPOS=" + chance.choice(["1", "-1", "2", "1,-1"]))
    if chance.random() < 0.25:
        parts.append("WKST=" + chance.choice(WEEKDAYS))
    end = chance.random()
    if end < 0.2:
        parts.append(f"COUNT={chance.randint(1, 40)}")
    elif end < 0.4:
        parts.append(f"UNTIL={chance.randint(2026, 2040)}{chance.randint(1, 12):02}15T120000Z")
    return ";".join(parts)


def _made_by_people(chance: random.Random) -> str:
    """In the forms that calendar programs offer."""
    day, nth = chance.choice(WEEKDAYS), chance.choice([1, 2, 3, 4, -1])
    month, month_day = chance.randint(1, 12), chance.choice([*range(1, 32), -1])
    weekdays = ",".join(each for each in WEEKDAYS if chance.random() < 0.4) or day
    text = chance.choice(
        [
            "FREQ=DAILY", f"FREQ=WEEKLY;BYDAY={weekdays}", "FREQ=WEEKLY", f"FREQ=MONTHLY;BYMONTHDAY={month_day}",
            f"FREQ=MONTHLY;BYDAY={nth}{day}", f"FREQ=MONTHLY;BYDAY={weekdays};BYSETPOS={chance.choice([1, 2, -1])}",
            f"FREQ=YEARLY;BYMONTH={month};BYDAY={nth}{day}", f"FREQ=YEARLY;BYMONTH={month};BYMONTHDAY={min(abs(month_day), 28)}", "FREQ=YEARLY",
        ]
    )  # fmt: skip
    if chance.random() < 0.5:
        text += f";INTERVAL={chance.randint(2, 6)}"
    if "WEEKLY" in text and chance.random() < 0.4:
        text += f";WKST={chance.choice(['SU', 'MO'])}"
    return text + chance.choice(
        ["", "", f";COUNT={chance.randint(3, 40)}", f";UNTIL={chance.randint(2027, 2040)}0615T120000"]
    )


def made(make=lambda chance: _made(chance, FREQUENCIES)) -> list[tuple[str, datetime]]:
    """Those that give at least three occurrences, with the first of them as their start: a set begins with DTSTART."""
    chance, found = random.Random(20261128), []
    while len(found) < 500:
        text = make(chance)
        near = datetime(
            chance.randint(2000, 2025),
            chance.randint(1, 12),
            chance.randint(1, 28),
            chance.randint(0, 23),
            chance.choice([0, 15, 30]),
        )
        rule = parse_rule(text)
        try:
            until = rule.until.local if rule.until is not None else None
            first = list(zip(range(3), occurrences(rule, near, Budget(20_000), until=until), strict=False))
        except TooManyMatches:
            continue
        if len(first) == 3:
            found.append((text, first[0][1]))
    return found


RULES = made()
RULES_BY_PEOPLE = made(_made_by_people)
