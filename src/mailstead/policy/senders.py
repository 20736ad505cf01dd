"""Lists of senders: addresses, domains and networks, for allowing and for denying.

An entry is ``user@example.org``, a domain with all its subdomains (``example.org``, also written ``@example.org`` or
``*.example.org``), a top-level domain (``*.zip``), an IP address, or a network (``192.0.2.0/24``, ``2001:db8::/32``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from mailstead.model.address import Address, normal_domain
from mailstead.model.errors import BadAddress, BadSettings

_LISTED_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """All names under which a sender may be listed."""

    client_address: str
    mail_from: Address | None = None
    author: Address | None = None
    """In From."""
    names: tuple[str, ...] = ()
    """Further domains: confirmed name of the client, signing domains."""


class SenderList:
    """Entries, found in time that does not grow with their number (networks aside)."""

    def __init__(self, entries: Iterable[str]) -> None:
        """Errors: BadSettings for an entry that is none of the forms."""
        self._addresses: dict[str, str] = {}
        self._domains: dict[str, str] = {}
        self._networks: list[tuple[IPv4Network | IPv6Network, str]] = []
        for entry in list(entries)[:_LISTED_MAX]:
            self._add(entry.strip())

    def __bool__(self) -> bool:
        return bool(self._addresses or self._domains or self._networks)

    def _add(self, entry: str) -> None:
        try:
            self._networks.append((ip_network(entry, strict=False), entry))
        except ValueError:
            pass
        else:
            return
        try:
            local_part, at, domain = entry.rpartition("@")
            if at and local_part:
                self._addresses[Address.parse(entry).key] = entry
            else:
                self._domains[normal_domain(domain.removeprefix("*.").removeprefix("."))] = entry
        except BadAddress:
            raise BadSettings(
                f"{entry!r} is no entry of a list of senders; write an address, a domain, an IP address or a network"
            ) from None

    def match(self, facts: SenderFacts) -> str | None:
        """Give the entry that one of the sender's names is under; None: it is not listed."""
        for address in (facts.mail_from, facts.author):
            if address is not None and address.key in self._addresses:
                return self._addresses[address.key]
        domains = [address.domain for address in (facts.mail_from, facts.author) if address is not None]
        for name in (*domains, *facts.names):
            labels = name.lower().rstrip(".").split(".")
            for start in range(len(labels)):
                found = self._domains.get(".".join(labels[start:]))
                if found is not None:
                    return found
        client = _ip(facts.client_address)
        if client is not None:
            for network, entry in self._networks:
                if client.version == network.version and client in network:
                    return entry
        return None


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, IPv6Address) else parsed
