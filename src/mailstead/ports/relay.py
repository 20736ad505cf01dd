"""Mail to others, as the queue needs it.

`open` finds the servers of a destination (MX records, null MX, address literals; DANE, MTA-STS), connects to the first
that will talk, and gives a session; several messages may go through it, one after the other. What is learned about
TLS is noted for TLS-RPT by the adapter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from mailstead.model.envelope import Envelope
from mailstead.model.queue import Destination, RemoteReply
from mailstead.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Smarthost:
    """The relay through which a domain sends. Spec: RFC 6409."""

    host: str
    port: int = 587
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    security: str = "starttls"
    """``starttls`` (required, verified), ``tls`` (from the first octet, verified) or ``none``."""


@dataclass(frozen=True, slots=True)
class RelayTerms:
    """How a domain of ours wants to be seen."""

    source_ipv4: str = ""
    """Address to connect from; empty: the system's choice."""
    source_ipv6: str = ""
    ip_version: str = "auto"
    """``auto`` (IPv6 first where the remote has it), ``4`` or ``6``."""
    smarthost: Smarthost | None = None
    require_tls: bool = False
    """The messages that will follow are REQUIRETLS: only verified servers that offer it. Spec: RFC 8689 §4.2.1."""
    tls_optional: bool = False
    """The messages have ``TLS-Required: No``: policies of the destination may be disregarded. Spec: RFC 8689 §5."""
    requires_verified_tls: bool = False
    """Only servers with a valid certificate, whatever their domain promises; those excepted that can have none."""
    uses_mxdeliv: bool = False
    """Over HTTPS (``/mxdeliv``) where the destination takes it so, else by SMTP. Spec: reference chatmail 5.8."""


class RelayFailed(Exception):  # named for the fact, as in model.errors
    """No server of the destination could be used; nothing was sent."""

    def __init__(self, reply: RemoteReply) -> None:
        self.reply = reply
        super().__init__(str(reply))


class RelaySession(Protocol):
    """One conversation with one server of one destination."""

    @property
    def is_open(self) -> bool:
        """Whether another message may go through it."""

    @property
    def offers_dsn(self) -> bool:
        """Whether the server takes over the duty to notify. Spec: RFC 3461 §5.2.2."""

    async def send(self, envelope: Envelope, octets: bytes) -> Sequence[RemoteReply]:
        """Send one message; one reply per recipient of the envelope, in order. Never raises for what the peer does.

        A conversation that breaks gives temporary replies (code 0) for what had no answer, and `is_open` is False then.
        """

    async def close(self) -> None:
        """Say QUIT and close; quick, and may be called again."""


class Relay(Protocol):
    """Gives sessions."""

    async def open(self, destination: Destination, terms: RelayTerms) -> RelaySession:
        """Connect to a DOMAIN, HOST or SMARTHOST destination. Errors: RelayFailed, permanent or not."""
