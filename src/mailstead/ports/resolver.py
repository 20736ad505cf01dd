"""DNS as the house needs it.

Promises: names are given as text with or without the final dot, in Unicode or A-labels; answers are ready to use. A
name that does not exist (NXDOMAIN) and one without such records are answers (`Answer.exists`), not errors. What cannot
be answered now (SERVFAIL, time-out, bogus signatures) is `DnsUnavailable`, which is temporary: no check may turn it
into a permanent answer. Answers are cached for their TTL, negative ones too.

Spec: RFC 1035, RFC 2308 (negative caching), RFC 4035 §3.2.3 (AD).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

RecordT = TypeVar("RecordT")


@dataclass(frozen=True, slots=True)
class Answer(Generic[RecordT]):
    """All records of one type at one name, CNAMEs followed."""

    records: tuple[RecordT, ...]
    exists: bool = True
    """False: the name does not exist (NXDOMAIN). True with no records: it has none of this type."""
    is_authentic: bool = False
    """The resolver has validated it (AD), and it is one whose word counts (loopback or configured as trusted)."""
    canonical_name: str = ""
    """Where the CNAMEs led, without final dot, lower-case; the name itself if there were none."""


class Mx(NamedTuple):
    """Spec: RFC 1035 §3.3.9. `exchange` is lower-case, without final dot; empty is the null MX of RFC 7505."""

    preference: int
    exchange: str


class Tlsa(NamedTuple):
    """Spec: RFC 6698 §2.1."""

    usage: int
    selector: int
    matching_type: int
    data: bytes


class Srv(NamedTuple):
    """Spec: RFC 2782."""

    priority: int
    weight: int
    port: int
    target: str


class Caa(NamedTuple):
    """Spec: RFC 8659 §4.1."""

    flags: int
    tag: str
    value: str


class Resolver(Protocol):
    """Errors of all verbs: DnsUnavailable."""

    async def a(self, name: str) -> Answer[str]:
        """IPv4 addresses as text."""

    async def aaaa(self, name: str) -> Answer[str]:
        """IPv6 addresses as text."""

    async def mx(self, name: str) -> Answer[Mx]:
        """Mail exchangers, by preference."""

    async def txt(self, name: str) -> Answer[bytes]:
        """Texts, the strings of each record joined without spaces."""

    async def ptr(self, address: str) -> Answer[str]:
        """Names of an IP address."""

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """TLSA records of ``_25._tcp.host``."""

    async def srv(self, name: str) -> Answer[Srv]:
        """SRV records."""

    async def caa(self, name: str) -> Answer[Caa]:
        """CAA records at this very name."""
