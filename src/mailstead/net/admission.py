"""Who may connect, and how many at once. Spec: attack rows 10, 13, 48."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from mailstead.model.errors import BadSettings

BRIDGED: Final = "seen as the bridge of our container"
"""The reason of `UnbridgedAdmission`."""
_SIXTY_FOUR: Final = ~((1 << 64) - 1)


class Admission:
    """Counts open connections of one process, over all its listeners."""

    def __init__(
        self,
        connections_max: int = 18000,
        connections_per_address_max: int = 200,
        proxy_from: Iterable[str] = (),
        *,
        is_loopback_exempt: bool = True,
    ) -> None:
        self._connections_max = connections_max
        self._per_address_max = connections_per_address_max
        self._is_loopback_exempt = is_loopback_exempt
        self._count = 0
        self._count_of: dict[IPv4Address | int, int] = {}
        try:
            self._proxies = tuple(ip_network(text, strict=False) for text in proxy_from)
        except ValueError as error:
            raise BadSettings(f"limits.proxy_from: {error}; write addresses or networks like 10.0.0.0/8") from None

    @property
    def open_count(self) -> int:
        """How many are in."""
        return self._count

    @property
    def has_room(self) -> bool:
        """Whether anybody may come in."""
        return self._count < self._connections_max

    def is_proxy(self, address: str) -> bool:
        """Whether the peer's PROXY header is believed, and required."""
        if not self._proxies:
            return False
        peer = _parse(address)
        return peer is not None and any(peer in network for network in self._proxies)

    def enter(self, address: str) -> str | None:
        """Let somebody in; or give the reason why not."""
        if self._count >= self._connections_max:
            return "too many connections"
        key = self._key(address)
        if key is not None:
            count = self._count_of.get(key, 0)
            if count >= self._per_address_max:
                return "too many from one address"
            self._count_of[key] = count + 1
        self._count += 1
        return None

    def leave(self, address: str) -> None:
        """One who had entered is gone."""
        self._count -= 1
        key = self._key(address)
        if key is not None:
            count = self._count_of.get(key, 0)
            if count > 1:
                self._count_of[key] = count - 1
            else:
                self._count_of.pop(key, None)

    def _key(self, address: str) -> IPv4Address | int | None:
        """An IPv4 address, or the /64 that one IPv6 customer has; None for who is not counted."""
        peer = _parse(address)
        if peer is None or (self._is_loopback_exempt and peer.is_loopback):
            return None
        return int(peer) & _SIXTY_FOUR if isinstance(peer, IPv6Address) else peer


class ServiceAdmission:
    """Counts the connections of one service, within what all services of the process have room for."""

    def __init__(self, whole: Admission | ServiceAdmission, connections_max: int) -> None:
        self._whole = whole
        self._connections_max = connections_max
        self._count = 0
        self.is_proxy: Callable[[str], bool] = whole.is_proxy

    @property
    def has_room(self) -> bool:
        """Whether anybody may come in."""
        return self._count < self._connections_max and self._whole.has_room

    def enter(self, address: str) -> str | None:
        """Let somebody in; or give the reason why not."""
        if self._count >= self._connections_max:
            return "too many connections of this service"
        reason = self._whole.enter(address)
        self._count += reason is None
        return reason

    def leave(self, address: str) -> None:
        """One who had entered is gone."""
        self._count -= 1
        self._whole.leave(address)


class UnbridgedAdmission(ServiceAdmission):
    """Turns away who comes from the gateway of our own container: whoever that is, we cannot see it."""

    def __init__(
        self, whole: Admission | ServiceAdmission, gateways: Iterable[str], tell: Callable[[str], None]
    ) -> None:
        """`tell` is called with the address of each who is turned away."""
        super().__init__(whole, sys.maxsize)
        self._gateways = frozenset(_parse(each) for each in gateways) - {None}
        self._tell = tell

    def enter(self, address: str) -> str | None:
        """Let somebody in; or give the reason why not."""
        if _parse(address) in self._gateways:
            self._tell(address)
            return BRIDGED
        return super().enter(address)


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    """Read an address; IPv4 mapped into IPv6 (a dual-stack listener) is IPv4."""
    try:
        peer = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        return peer.ipv4_mapped
    return peer
