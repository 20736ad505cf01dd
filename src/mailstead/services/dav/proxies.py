"""Web proxies before us that end TLS: who has come is whom they name.

Only those that the settings name are believed; from anybody else the fields mean nothing. Without this, all who come
through a proxy would share its address, and one of them who guesses passwords would lock out the others.

Spec: X-Forwarded-For and X-Forwarded-Proto have no RFC; as proxies write them, each adds the address it has seen at the
end of the list.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from starlette.types import Scope

from mailstead.model.errors import BadSettings

TLS: Final = "TLS"
"""For a version that only the proxy knows."""


class Proxies:
    """Those that are believed."""

    def __init__(self, networks: Sequence[str] = ()) -> None:
        """Errors: BadSettings."""
        self._networks: tuple[IPv4Network | IPv6Network, ...]
        try:
            self._networks = tuple(ip_network(text, strict=False) for text in networks)
        except ValueError as error:
            raise BadSettings(f"dav.proxy_from: {error}; write addresses or networks like 10.0.0.0/8") from None

    def seen_through(self, scope: Scope) -> Scope:
        """Give the request as it came to the proxy; as it is, where no proxy of ours brings it."""
        if not self._networks or not scope.get("client") or not self._has(_address(scope["client"][0])):
            return scope
        fields: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            fields.setdefault(name, []).append(value.decode("latin-1"))
        named = ",".join(fields.get(b"x-forwarded-for", [])).split(",")
        address = next((found for each in reversed(named) if not self._has(found := _address(each))), None)
        if address is None:
            return scope
        is_encrypted = fields.get(b"x-forwarded-proto") == ["https"]
        state = {**scope.get("state", {}), "tls_version": TLS if is_encrypted else None}
        return {**scope, "client": (str(address), 0), "state": state}

    def _has(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address, or one with brackets; with a port it is None, as is whatever else."""
    try:
        found = ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
