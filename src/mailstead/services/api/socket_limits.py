"""How many WebSockets there may be, counted in this process: by network, by account, in all.

A network is an IPv4 address or an IPv6 /64, as one customer has one; where it matters that somebody may have many of
these, a /48 is counted, too.

Spec: reference forwardemail 4.5 (limits); attack rows 10, 61.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from mailstead.policy.failures import network_of
from mailstead.ports.clock import Clock

NETWORKS_MAX: Final = 20_000
"""Counted at a time; the one that came first is forgotten first."""


@dataclass(frozen=True, slots=True)
class SocketTerms:
    """What is allowed."""

    opened_per_minute: int = 30
    """Of a network."""
    of_account: int = 10
    anonymous: int = 3
    """Of a network, that hear broadcasts only."""
    waiting: int = 5
    """Of a network, that have not yet said who they are."""
    waiting_wide: int = 20
    """… of an IPv6 /48."""
    in_all: int = 10_000
    failures: int = 10
    """Wrong log-ins of a network, after which it is refused …"""
    refused_s: float = 600.0
    """… for so long."""
    log_in_s: float = 5.0
    """How long one may wait with the first frame."""
    queued_octets: int = 1024 * 1024
    """That wait for a client which reads slowly; with more, it is cut off."""
    queued_frames: int = 2000
    cut_s: float = 5.0
    """How long a client that is cut off may take to hear why."""


class TooMany(Exception):
    """A limit is passed; the caller says so in its own words."""


class SocketLimits:
    """Counts what is open, and what was opened or failed lately."""

    def __init__(self, terms: SocketTerms, clock: Clock) -> None:
        self.terms: Final = terms
        self._clock = clock
        self._open: Counter[Hashable] = Counter()
        self._opened = _Windows(60.0)
        self._failed = _Windows(terms.refused_s)

    @contextmanager
    def opened(self, address: str) -> Iterator[None]:
        """Count a connection from an IP address while the context is open. Errors: TooMany."""
        network, now_s = network_of(address), self._clock.monotonic_s()
        if self._failed.count(network, now_s) >= self.terms.failures:
            raise TooMany
        if self._opened.add(network, now_s) > self.terms.opened_per_minute:
            raise TooMany
        with self._held({"all": self.terms.in_all}):
            yield

    @contextmanager
    def waiting(self, address: str) -> Iterator[None]:
        """Count one that has yet to say who it is. Errors: TooMany."""
        limits: dict[Hashable, int] = {("waiting", network_of(address)): self.terms.waiting}
        wide = _wide(address)
        if wide:
            limits["waiting", wide] = self.terms.waiting_wide
        with self._held(limits):
            yield

    @contextmanager
    def anonymous(self, address: str) -> Iterator[None]:
        """Count one that will not say. Errors: TooMany."""
        with self._held({("anonymous", network_of(address)): self.terms.anonymous}):
            yield

    @contextmanager
    def of_account(self, account_id: str) -> Iterator[None]:
        """Count one that listens to an account. Errors: TooMany."""
        with self._held({("account", account_id): self.terms.of_account}):
            yield

    def failed(self, address: str) -> None:
        """Count a wrong log-in."""
        self._failed.add(network_of(address), self._clock.monotonic_s())

    @contextmanager
    def _held(self, limits: dict[Hashable, int]) -> Iterator[None]:
        if any(self._open[key] >= limit for key, limit in limits.items()):
            raise TooMany
        for key in limits:
            self._open[key] += 1
        try:
            yield
        finally:
            for key in limits:
                self._open[key] -= 1
                if not self._open[key]:
                    del self._open[key]


class _Windows:
    """Counts by network, each in a span of time that begins with its first."""

    def __init__(self, span_s: float) -> None:
        self._span_s = span_s
        self._begun: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, network: str, now_s: float) -> int:
        """Give how many there were."""
        begun_s, times = self._begun.get(network, (now_s, 0))
        return times if now_s - begun_s < self._span_s else 0

    def add(self, network: str, now_s: float) -> int:
        """Count one more; gives how many there are."""
        times = self.count(network, now_s)
        begun_s = self._begun[network][0] if times else now_s
        if not times:
            self._begun.pop(network, None)
            if len(self._begun) >= NETWORKS_MAX:
                self._begun.popitem(last=False)
        self._begun[network] = (begun_s, times + 1)
        return times + 1


def _wide(address: str) -> str:
    """Give the /48 of an IPv6 address; empty: it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(found, IPv6Address) or found.ipv4_mapped is not None:
        return ""
    return str(ip_network((found, 48), strict=False))
