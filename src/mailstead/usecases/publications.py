"""What anybody may ask of us over the web: the MTA-STS policy of a domain, and how mail programs are set up."""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import Domain
from mailstead.model.errors import BadAddress
from mailstead.policy.client_setup import Offer, autoconfig, autodiscover
from mailstead.policy.sts_policy import policy_text
from mailstead.ports.storage import Storage


@dataclass(frozen=True, slots=True)
class HouseOffers:
    """What the house offers to mail programs, and under which name."""

    hostname: str
    offers: tuple[Offer, ...]


class Publications:
    """Nothing here tells which addresses there are: domains are no secret, as their MX records name us."""

    def __init__(self, storage: Storage, house: HouseOffers) -> None:
        self._directory = storage.directory
        self._house = house

    @property
    def hostname(self) -> str:
        """The name under which the house itself is asked."""
        return self._house.hostname

    async def is_ours(self, name: str) -> bool:
        """Whether we serve a domain."""
        return await self._directory.domain(name) is not None

    async def relay(self, name: str) -> Domain | None:
        """The domain of a host's name, if it is a relay for Delta Chat; it may be an IP address."""
        domain = await self._directory.domain(name) or await self._directory.domain(f"[{name}]")
        return domain if domain is not None and domain.terms.is_chatmail else None

    async def takes_mxdeliv(self, name: str) -> bool:
        """Whether other servers may bring mail for a domain over HTTPS."""
        domain = await self._directory.domain(name)
        return domain is not None and domain.terms.uses_mxdeliv

    async def sts_policy(self, name: str) -> str | None:
        """Our MTA-STS policy for a domain; None if it is not ours. Spec: RFC 8461 §3.2."""
        domain = await self._directory.domain(name)
        return policy_text(domain.terms.mta_sts_mode, self._house.hostname) if domain else None

    async def autoconfig(self, name: str) -> str | None:
        """The set-up file for a domain; None if it is not ours."""
        try:
            name = normal_domain(name)
        except BadAddress:
            return None
        return autoconfig(name, self._house.hostname, self._house.offers) if await self.is_ours(name) else None

    async def autodiscover(self, text: str) -> str | None:
        """The answer for who says that this is his address; None if its domain is not ours."""
        try:
            address = Address.parse(text)
        except BadAddress:
            return None
        if not await self.is_ours(address.domain):
            return None
        return autodiscover(str(address), self._house.hostname, self._house.offers)
