"""What we wrote in front of a message when it arrived: under which queue id, and for which address.

Whoever keeps a message by IMAP can write such a field, too; so it is good for telling its owner about his own mail, and
for finding what the trace says, which is then compared.

Spec: RFC 5321 §4.4 (Received).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from mailstead.mime.header import fields
from mailstead.model.address import Address
from mailstead.model.errors import BadAddress

_LOOKED_AT: Final = 6
"""Fields from the top: Return-Path, Delivered-To, X-Original-To, Received."""
# As `tracefields.received` folds it: what the client has chosen stands in the line before.
_BY: Final = re.compile(rb"\r?\n\tby ([^\s]+) with ([A-Z0-9]+)(?: \([^()\r\n]*\))? id ([A-Za-z0-9_.-]{1,64})")
_FOR: Final = re.compile(rb"\r?\n\tfor <([^<>\r\n]+)>;")


class ArrivalStamp(NamedTuple):
    """Our own Received field."""

    queue_id: str
    rcpt_to: Address | None
    """The address that was written to; None: a copy for several."""
    is_submission: bool
    """One of our own has sent it."""


def arrival_stamp(header: bytes, hostname: str) -> ArrivalStamp | None:
    """Read it; None: the message did not come by us."""
    for number, each in enumerate(fields(header)):
        if number >= _LOOKED_AT:
            return None
        if each.name != b"received":
            continue
        value = header[each.value_start : each.stop]
        by = _BY.search(value)
        if by is None or by[1].lower() != hostname.lower().encode():
            return None
        to = _FOR.search(value, by.end())
        return ArrivalStamp(by[3].decode("ascii"), _address(to[1]) if to else None, by[2].endswith(b"A"))
    return None


def _address(text: bytes) -> Address | None:
    try:
        return Address.parse(text.decode("utf-8"))
    except (BadAddress, UnicodeDecodeError):
        return None
