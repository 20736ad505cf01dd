"""Domains that we serve: add, list, remove, terms."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from mailstead.model.address import normal_domain
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, BadSettings, NoSuchDomain
from mailstead.model.secret import Secret
from mailstead.policy.domain_terms import changed_terms
from mailstead.policy.profiles import PROFILES
from mailstead.ports.storage import Storage
from mailstead.usecases.keys import Keys

WEBHOOK_KEY_OCTETS: Final = 32


class Domains:
    """All verbs are for administrators only (NotAllowed). Without `keys` (in tests) a new domain signs nothing."""

    def __init__(self, storage: Storage, keys: Keys | None = None) -> None:
        self._directory = storage.directory
        self._keys = keys

    async def add(self, actor: Actor, name: str, profile: str = "mail") -> Domain:
        """Serve a further domain, with keys to sign its mail; the name may be given in Unicode.

        `profile`: one of `policy.profiles.PROFILES`. A chatmail domain may be an IPv4 address, ``[192.0.2.1]``, which
        signs nothing.
        Errors: BadAddress, DomainExists; BadSettings for a profile that there is not.
        """
        actor.must_be_admin()
        if profile not in PROFILES:
            raise BadSettings(f"There is no profile {profile}; profiles are {', '.join(PROFILES)}")
        terms = DomainTerms(webhook_key=secrets.token_hex(WEBHOOK_KEY_OCTETS), **PROFILES[profile])
        domain = Domain(normal_domain(name), terms)
        is_literal = domain.name.startswith("[")
        if is_literal and not (terms.is_chatmail and _is_ipv4_literal(domain.name)):
            raise BadAddress("A domain is a name, not an IP address; only a chatmail domain may be one, as [192.0.2.1]")
        await self._directory.add_domain(domain)
        if self._keys and not is_literal:
            await self._keys.create(actor, domain.name)
        return domain

    async def list(self, actor: Actor) -> list[Domain]:
        """All domains by name."""
        actor.must_be_admin()
        return await self._directory.domains()

    async def get(self, actor: Actor, name: str) -> Domain:
        """One domain. Errors: BadAddress, NoSuchDomain."""
        actor.must_be_admin()
        domain = await self._directory.domain(normal_domain(name))
        if domain is None:
            raise NoSuchDomain(domain=name)
        return domain

    async def remove(self, actor: Actor, name: str) -> None:
        """Serve a domain no longer. Errors: BadAddress, NoSuchDomain; DomainInUse while it has accounts or aliases."""
        actor.must_be_admin()
        await self._directory.remove_domain(normal_domain(name))

    async def set_terms(
        self, actor: Actor, name: str, values: Mapping[str, str], smarthost_password: Secret | None = None
    ) -> Domain:
        """Change terms of a domain, given as texts. Errors: BadAddress, NoSuchDomain; BadSettings, with the reason."""
        domain = await self.get(actor, name)
        terms = changed_terms(domain.terms, values)
        if smarthost_password:
            terms = replace(terms, smarthost_password=smarthost_password.reveal())
        await self._directory.set_terms(domain.name, terms)
        return replace(domain, terms=terms)


def _is_ipv4_literal(name: str) -> bool:
    try:
        IPv4Address(name[1:-1])
    except AddressValueError:
        return False
    return True
