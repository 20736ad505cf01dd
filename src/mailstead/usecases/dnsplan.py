"""What to publish in the DNS for a domain of ours: gathered from directory, keys, settings and certificate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.mailauth.dkim import public_record
from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.policy.dns_records import MailHost, PublishedSelector, Record, records_of_domain, records_of_host
from mailstead.ports.probes import ProbeFailed, Probes
from mailstead.ports.storage import Storage
from mailstead.usecases.domains import Domains
from mailstead.usecases.publications import HouseOffers
from mailstead.usecases.routes import Routes


class DnsPlan:
    """What is published is no secret, but only members ask for it here. `sources`: addresses that mail is sent from."""

    def __init__(
        self, storage: Storage, routes: Routes, probes: Probes, offers: HouseOffers, sources: Sequence[str]
    ) -> None:
        self._directory = storage.directory
        self._domains = Domains(storage)
        self._routes = routes
        self._probes = probes
        self._offers: Final = offers
        self._sources = tuple(source for source in sources if source)

    async def host(self) -> MailHost:
        """What is known of our mail host."""
        try:
            certificate = await self._probes.certificate()
        except ProbeFailed:
            certificate = None
        addresses = dict.fromkeys((*self._sources, *await self._probes.own_addresses()))
        return MailHost(
            self._offers.hostname,
            tuple(addresses),
            self._offers.offers,
            certificate.key_digest if certificate else "",
            certificate.issuer if certificate and not certificate.is_self_signed else "",
        )

    async def of_host(self, actor: Actor) -> list[Record]:
        """The records of the mail host, the same for all domains. Errors: NotAllowed, for who is no member anywhere."""
        if not actor.is_admin and not actor.groups:
            raise NotAllowed
        return list(records_of_host(await self.host()))

    async def of_domain(self, actor: Actor, name: str) -> list[Record]:
        """The records of one domain. Errors: BadAddress, NoSuchDomain."""
        domain = await self._domains.get(actor, name)
        return await self._of(domain, await self.host())

    async def _of(self, domain: Domain, host: MailHost) -> list[Record]:
        selectors = [
            PublishedSelector(f"{key.selector}._domainkey.{key.domain}", public_record(key), key.algorithm, key.state)
            for key in await self._directory.dkim_keys(domain.name)
        ]
        smarthost = (await self._routes.terms(domain.name)).smarthost
        return list(records_of_domain(domain.name, domain.terms, host, selectors, smarthost.host if smarthost else ""))
