"""What the doctor asks of this machine and its network; nobody else is asked unless the settings name him."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says."""

    names: tuple[str, ...]
    """DNS names, lower-case, maybe with an asterisk for the first label."""
    not_before: datetime
    not_after: datetime
    issuer: str
    """Organization that has issued it, or its common name."""
    is_self_signed: bool
    key_digest: str
    """SHA-256 of its public key, in hex. Spec: RFC 6698 §2.1.2 (selector 1)."""

    def has_name(self, name: str) -> bool:
        """Whether it may speak for a host. Spec: RFC 9525 §6.3 (an asterisk is one whole label)."""
        return name in self.names or f"*.{name.partition('.')[2]}" in self.names


@dataclass(frozen=True, slots=True)
class Greeted:
    """How a service has answered."""

    line: str
    """Its first line; of a web server the status line."""
    key_digest: str = ""
    """Of the certificate that was shown; empty in clear text."""


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """Where the master key is."""

    place: str
    """For people."""
    is_with_data: bool
    """It lies in the data folder, so that a copy of the data can be read."""
    is_open: bool
    """Others than its owner may read it."""


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """The disk of the data folder."""

    folder: str
    free_octets: int
    total_octets: int


class ProbeFailed(Exception):
    """Something could not be reached or read; the text says why."""


class Probes(Protocol):
    """Errors of all verbs: ProbeFailed. Each ends within a time of its own."""

    async def own_addresses(self) -> tuple[str, ...]:
        """IP addresses from which packets to the Internet leave; nothing is sent to find out."""

    async def certificate(self) -> CertificateFacts:
        """The certificate that the settings name."""

    async def greeting(self, where: str, *, speaks: str, is_tls: bool) -> Greeted:
        """Connect to a listening address of ours (``host:port``) and read how it greets.

        `speaks`: ``smtp``, ``imap``, ``pop3``, ``sieve`` or ``http``. The certificate is not judged, only read.
        """

    async def port_25(self, host: str, port: int) -> str:
        """Connect to the port of a mail exchanger elsewhere; give its greeting."""

    async def accepted_recipients(self, where: str, recipients: Sequence[str]) -> list[str]:
        """Offer mail to recipients, from a sender elsewhere, and give those that were taken; no mail is sent."""

    async def disk(self) -> DiskFacts:
        """Room on the disk of the data folder."""

    async def master_key(self) -> KeyFacts:
        """The place of the master key."""
