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
from mailstead.model.errors import BadAddress, BadSettings, NoSuchDomain, NotAllowed
from mailstead.model.secret import Secret
from mailstead.policy.domain_terms import TERMS, changed_terms, servers_own
from mailstead.policy.profiles import PROFILES
from mailstead.ports.storage import Storage
from mailstead.usecases.audit import Notes, Unnoted
from mailstead.usecases.keys import Keys

WEBHOOK_KEY_OCTETS: Final = 32


class Domains:
    """Members see their domains, administrators of a domain change it, those of the server add domains.

    Others' domains are not there (NoSuchDomain, attack row 92). Without `keys` (in tests) a new domain signs nothing.
    """

    def __init__(self, storage: Storage, keys: Keys | None = None, audit: Notes | None = None) -> None:
        self._directory = storage.directory
        self._keys = keys
        self._audit: Final = audit or Unnoted()

    async def add(self, actor: Actor, name: str, profile: str = "mail") -> Domain:
        """Serve a further domain, with keys to sign its mail; the name may be given in Unicode.

        `profile`: one of `policy.profiles.PROFILES`. A chatmail domain may be an IPv4 address, ``[192.0.2.1]``, which
        signs nothing.
        Errors: NotAllowed; BadAddress, DomainExists; BadSettings for a profile that there is not.
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
        self._audit.note(actor, "domain.add", domain.name, domain.name, profile=profile)
        return domain

    async def list(self, actor: Actor) -> list[Domain]:
        """The actor's domains by name. Errors: NotAllowed, for who is no user."""
        found = await self._directory.domains()
        if actor.is_admin:
            return found
        if actor.user_id is None:
            raise NotAllowed
        return [_as_seen(actor, domain) for domain in found if domain.name in actor.groups]

    async def get(self, actor: Actor, name: str) -> Domain:
        """One domain. Errors: BadAddress, NoSuchDomain."""
        actor.must_be_member(normal_domain(name))
        domain = await self._directory.domain(normal_domain(name))
        if domain is None:
            raise NoSuchDomain(domain=name)
        return _as_seen(actor, domain)

    async def remove(self, actor: Actor, name: str) -> None:
        """Serve a domain no longer.

        Errors: BadAddress, NoSuchDomain, NotAllowed; DomainInUse while it has accounts or aliases.
        """
        name = normal_domain(name)
        actor.must_administer(name)
        await self._directory.remove_domain(name)
        self._audit.note(actor, "domain.remove", name, name)

    async def set_terms(
        self, actor: Actor, name: str, values: Mapping[str, str], smarthost_password: Secret | None = None
    ) -> Domain:
        """Change terms of a domain, given as texts.

        Errors: BadAddress, NoSuchDomain; NotAllowed, also for terms that only administrators of the server change;
        BadSettings, with the reason.
        """
        actor.must_administer(normal_domain(name))
        beyond = servers_own([*values, *(["smarthost_password"] if smarthost_password else [])])
        if beyond and not actor.is_admin:
            raise NotAllowed(f"Only administrators of the server change {', '.join(beyond)}")
        domain = await self._directory.domain(normal_domain(name))
        if domain is None:
            raise NoSuchDomain(domain=name)
        terms = changed_terms(domain.terms, values)
        if smarthost_password:
            terms = replace(terms, smarthost_password=smarthost_password.reveal())
        await self._directory.set_terms(domain.name, terms)
        self._audit.note(actor, "domain.terms", domain.name, domain.name, **_told(values))
        return _as_seen(actor, replace(domain, terms=terms))


def _as_seen(actor: Actor, domain: Domain) -> Domain:
    """Give the domain without the secrets that are not the actor's to know."""
    if actor.is_admin:
        return domain
    terms = replace(domain.terms, smarthost_password="")
    if not actor.administers(domain.name):
        terms = replace(terms, webhook_key="", invite_tokens=())
    return replace(domain, terms=terms)


def _told(values: Mapping[str, str]) -> dict[str, str]:
    """Give what the audit log may know of changed terms."""
    return {name: "changed" if TERMS[name].is_secret else text for name, text in values.items()}


def _is_ipv4_literal(name: str) -> bool:
    try:
        IPv4Address(name[1:-1])
    except AddressValueError:
        return False
    return True
