"""Moments on the command line, and how moments are shown: in UTC, as in the log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mailstead.cli.errors import DATA

if TYPE_CHECKING:
    from datetime import datetime

    from mailstead.cli.terminal import Terminal

_SECONDS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def past_moment(terminal: Terminal, text: str, option: str) -> datetime:
    """Read ``2h`` (two hours ago), a day, or a day and time in UTC, or end with the text that helps."""
    from datetime import UTC, datetime, timedelta

    from mailstead.ports.clock import SystemClock

    try:
        if match := re.fullmatch(r"(\d{1,5})([mhdw])", text):
            return SystemClock().now() - timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        terminal.fail(DATA, f"{option} is 30m, 2h, 7d, 2030-12-31 or 2030-12-31T18:00; not {text!r}", kind="BadMoment")


def coming_moment(terminal: Terminal, text: str, option: str) -> datetime:
    """Read ``90d`` (in ninety days), a day, or a day and time in UTC, or end with the text that helps."""
    from datetime import UTC, datetime, timedelta

    from mailstead.ports.clock import SystemClock

    try:
        if match := re.fullmatch(r"(\d{1,5})([mhdw])", text):
            return SystemClock().now() + timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        terminal.fail(DATA, f"{option} is 12h, 90d, 2030-12-31 or 2030-12-31T18:00; not {text!r}", kind="BadMoment")


def shown(moment: datetime | None) -> str:
    """Give a moment for people."""
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else ""


def as_json(moment: datetime | None) -> str | None:
    """Give a moment for machines."""
    return moment.isoformat() if moment else None
