"""What is kept, sealed, of how a message came for a locked account: all that its filters will want to know.

Values only. A record that a later release cannot read any more is filed into INBOX as it is.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from mailstead.model.authentication import Authentication
from mailstead.model.envelope import Envelope
from mailstead.model.verdict import Judgement
from mailstead.usecases.filings import Filing
from mailstead.usecases.tracefields import Hop


class Way(msgspec.Struct, frozen=True, array_like=True):
    """How it came, and what our checks have found."""

    queue_id: str
    hop: Hop
    envelope: Envelope
    """With the one recipient through whom the account gets it: no blind copy shows."""
    message_id: str
    results: str
    results_text: str
    authentication: Authentication | None
    judgement: Judgement | None
    is_submission: bool
    domain: str
    impersonated: frozenset[str]


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """One message that waits; beside this are its octets, trace fields first."""

    at: datetime
    trace_octets: int
    """How many octets in front of the message are trace fields of ours."""
    filing: Filing
    """Where it goes, unless filters are still to be asked."""
    way: Way | None
    """What filters are told; None: they were asked when it came."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Arrival)


def write_arrival(arrival: Arrival) -> bytes:
    """Give the octets of what is kept."""
    return _ENCODER.encode(arrival)


def read_arrival(octets: bytes) -> Arrival | None:
    """Give what was kept; None, if it cannot be read."""
    try:
        return _DECODER.decode(octets)
    except (msgspec.DecodeError, ValueError):
        return None
