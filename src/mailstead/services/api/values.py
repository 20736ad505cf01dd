"""Types of fields that the API takes and shows, for the models of `services.api.routes`.

Pydantic's own ``bool`` takes what the reference wants (true, "yes", "on", 1 …), its ``int`` takes digits in a string,
as forms send them; what is here goes beyond that. Spec: reference forwardemail 4.1.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints

from mailstead.model.secret import Secret

_SEPARATORS: Final = re.compile(r"[,\s]+")
_SIZE: Final = re.compile(r"\s*(\d{1,15})(?:\.(\d{1,3}))?\s*([KMGT]?)(I?B|BYTES?)?\s*", re.IGNORECASE)
_STEPS: Final = "KMGT"


def _words(value: Any) -> Any:
    if isinstance(value, str):
        return [word for word in _SEPARATORS.split(value) if word]
    return value


def _lines(value: Any) -> Any:
    if isinstance(value, str):
        return [line for text in value.splitlines() if (line := text.strip())]
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("That moment is out of all time") from None


def _day(value: Any) -> Any:
    """A moment in text is taken for its day, as programs send what a date picker gives."""
    if isinstance(value, str) and "T" in value:
        return value.partition("T")[0]
    return value


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = _SIZE.fullmatch(value)
    if found is None:
        raise ValueError('A size is a number of octets, or written as "1 GB"')
    whole, part, step, _ = found.groups()
    factor = 1024 ** (_STEPS.index(step.upper()) + 1) if step else 1
    return int(whole) * factor + (int(part) * factor // 10 ** len(part) if part else 0)


def _secret(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("This is a text")  # noqa: TRY004  # pydantic tells ValueErrors to the caller
    return Secret(value)


def text_of_moment(moment: datetime) -> str:
    """Write it as all answers do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"  # without +00:00


Words = Annotated[list[str], BeforeValidator(_words, json_schema_input_type=list[str] | str)]
"""A list, or a string split at commas, blanks and line breaks."""
Lines = Annotated[list[str], BeforeValidator(_lines, json_schema_input_type=list[str] | str)]
"""A list, or a string split at line breaks: of what has blanks in it."""
Moment = Annotated[datetime, AfterValidator(_in_utc), PlainSerializer(text_of_moment, return_type=str)]
"""A moment; without a zone it is UTC. Shown as ``2026-01-01T00:00:00.000Z``."""
Day = Annotated[date, BeforeValidator(_day)]
Octets = Annotated[int, BeforeValidator(_size, json_schema_input_type=int | str), Field(ge=0, le=2**53)]
"""A size; ``1 GB`` is 1024³ octets."""
Password = Annotated[
    Any,
    BeforeValidator(_secret, json_schema_input_type=Annotated[str, StringConstraints(max_length=1024)]),
    Field(json_schema_extra={"format": "password", "type": "string"}),
]
"""A `Secret` as soon as it is read, so that no error and no log shows it."""
ObjectIdText = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{24}$")]
