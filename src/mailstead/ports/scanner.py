"""Programs beside us that judge messages: junk filters, virus scanners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.message import Octets
from mailstead.model.verdict import Check


@dataclass(frozen=True, slots=True)
class Scanned:
    """A message as a scanner wants it."""

    queue_id: str
    peer: Peer
    helo: str
    mail_from: Address | None
    recipients: tuple[Address, ...]
    octets: Octets = field(repr=False)
    client_name: str = ""
    """The confirmed name of the client, empty if there is none."""


class Scanner(Protocol):
    """One scanner."""

    async def scan(self, message: Scanned) -> Check:
        """Judge a message. One that does not answer gives what its setting says: ALLOW with a reason, or DEFER."""
