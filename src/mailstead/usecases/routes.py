"""Which way mail leaves: from a recipient to a destination, and the terms of the domain on whose behalf it goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from mailstead.model.address import Address
from mailstead.model.directory import DomainTerms, HostTarget, Target, WebhookTarget
from mailstead.model.envelope import Recipient
from mailstead.model.errors import BadSettings
from mailstead.model.queue import LOCAL, Destination, DestinationKind, NewRecipient
from mailstead.model.secret import Secret
from mailstead.ports.relay import RelayTerms, Smarthost
from mailstead.ports.storage import Storage


@dataclass(frozen=True, slots=True)
class HouseRelayTerms:
    """How the whole house sends, where a domain has not chosen otherwise."""

    smarthost: str = ""
    smarthost_username: str = ""
    smarthost_password: Secret = field(default_factory=lambda: Secret(""))
    smarthost_security: str = "starttls"
    source_ipv4: str = ""
    source_ipv6: str = ""
    ip_version: str = "auto"


class Routes:
    """Finds destinations and terms. Answers of the directory are remembered there, so asking costs little."""

    def __init__(self, storage: Storage, house: HouseRelayTerms) -> None:
        self._directory = storage.directory
        self._house: Final = house

    async def is_ours(self, domain: str) -> bool:
        """Whether we serve the domain."""
        return await self._directory.domain(domain) is not None

    async def to_address(self, recipient: Recipient, on_behalf_of: str, via: Address | None = None) -> NewRecipient:
        """Route to an address: into the house, through a smarthost, or by the MX of its domain."""
        domain = recipient.address.domain
        if await self.is_ours(domain):
            return NewRecipient(recipient, LOCAL, via=via)
        smarthost = (await self.terms(on_behalf_of)).smarthost
        if smarthost is not None:
            destination = Destination(DestinationKind.SMARTHOST, smarthost.host, smarthost.port)
        else:
            destination = Destination(DestinationKind.DOMAIN, domain)
        return NewRecipient(recipient, destination, via=via)

    async def to_target(self, target: Target, recipient: Recipient, via: Address) -> NewRecipient:
        """Route to where an alias leads; `recipient` is whom to name there."""
        if isinstance(target, HostTarget):
            return NewRecipient(recipient, Destination(DestinationKind.HOST, target.host, target.port), via=via)
        if isinstance(target, WebhookTarget):
            url = urlsplit(target.url)
            port = url.port or (443 if url.scheme == "https" else 80)
            destination = Destination(DestinationKind.WEBHOOK, (url.hostname or "").lower(), port)
            return NewRecipient(recipient, destination, url=target.url, via=via)
        return await self.to_address(recipient, via.domain, via)

    async def domain_terms(self, domain: str) -> DomainTerms:
        """What was chosen for a domain of ours; the defaults for none of ours."""
        found = await self._directory.domain(domain)
        return found.terms if found else DomainTerms()

    async def terms(self, domain: str) -> RelayTerms:
        """How mail on behalf of a domain leaves."""
        own = await self.domain_terms(domain)
        house = self._house
        if own.smarthost:
            password = Secret(own.smarthost_password)
            smarthost = read_smarthost(own.smarthost, own.smarthost_username, password, own.smarthost_security)
        else:
            smarthost = read_smarthost(
                house.smarthost, house.smarthost_username, house.smarthost_password, house.smarthost_security
            )
        return RelayTerms(
            source_ipv4=own.source_ipv4 or house.source_ipv4,
            source_ipv6=own.source_ipv6 or house.source_ipv6,
            ip_version=own.ip_version if own.ip_version != "auto" else house.ip_version,
            smarthost=smarthost,
            requires_verified_tls=own.requires_tls_outbound,
            uses_mxdeliv=own.uses_mxdeliv,
        )


def read_smarthost(text: str, username: str, password: Secret, security: str) -> Smarthost | None:
    """Read ``host:port`` (``[v6]:port``); empty text is None. Errors: BadSettings."""
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise BadSettings(f"A smarthost is written host:port, such as relay.example.org:587; not {text!r}")
    return Smarthost(host.strip("[]").lower(), int(port), username, password, security)
