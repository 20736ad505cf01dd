"""Moments as the side files keep them: whole microseconds since 1970, so that they sort and come back exactly."""

from datetime import UTC, datetime, timedelta
from typing import Final

_BEGIN: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT: Final = timedelta(microseconds=1)


def us_of(moment: datetime) -> int:
    """Give a moment as microseconds."""
    return (moment - _BEGIN) // _UNIT


def moment_of(us: int) -> datetime:
    """Give microseconds as a moment."""
    return _BEGIN + timedelta(microseconds=us)


def us_or_none(moment: datetime | None) -> int | None:
    """Give a moment that may be missing."""
    return None if moment is None else us_of(moment)


def moment_or_none(us: int | None) -> datetime | None:
    """Give microseconds that may be missing."""
    return None if us is None else moment_of(us)
