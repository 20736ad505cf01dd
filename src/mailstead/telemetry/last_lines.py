"""The last lines of the process's log, kept in its memory so that an administrator can read them without a shell.

Bounded in number and length; whatever keeps standard error (systemd, Docker) has all of them.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import MutableMapping
from typing import Any, Final, NamedTuple

KEPT_MAX: Final = 2000
"""Some 1 MB at most, as lines are short as a rule."""
TEXT_CHARACTERS_MAX: Final = 2000
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
"""From the least important on."""
_APART: Final = frozenset({"timestamp", "level", "room", "event"})


class Line(NamedTuple):
    """One line."""

    at: str
    """The moment in UTC, as RFC 3339 has it."""
    level: str
    room: str
    """Which part of the house says it."""
    event: str
    facts: str
    """What belongs to it, ``name=value``; a stack at the end."""

    @property
    def text(self) -> str:
        """All of it."""
        return f"{self.at} {self.level:<8} {self.room:<10} {self.event} {self.facts}".rstrip()


_lines: deque[Line] = deque(maxlen=KEPT_MAX)


def keep(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Keep a line, and hand it on: a step (processor) of structlog."""
    stack = str(event.get("exception", ""))
    facts = [f"{name}={_text(value)}" for name, value in event.items() if name not in _APART and name != "exception"]
    if stack:
        facts.append(f"\n{stack[-TEXT_CHARACTERS_MAX:]}")  # its end says what has happened
    _lines.append(
        Line(
            str(event.get("timestamp", "")),
            str(event.get("level", "info")),
            str(event.get("room", "")),
            str(event.get("event", ""))[:TEXT_CHARACTERS_MAX],
            " ".join(facts)[: 2 * TEXT_CHARACTERS_MAX],
        )
    )
    return event


def last_lines() -> list[Line]:
    """Give them, the oldest first."""
    return list(_lines.copy())


def _text(value: object) -> str:
    """Write a value on one line; what needs no quotes has none."""
    text = value if isinstance(value, str) else str(value)
    return text if text.isprintable() and " " not in text else json.dumps(text, ensure_ascii=False)
