"""Domains that we serve: add, list, remove, catch-all."""

from __future__ import annotations

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadAddress, NoSuchAddress
from mailstead.ports.storage import Storage


class Domains:
    """All verbs are for administrators only (NotAllowed)."""

    def __init__(self, storage: Storage) -> None:
        self._directory = storage.directory

    async def add(self, actor: Actor, name: str) -> Domain:
        """Serve a further domain; the name may be given in Unicode. Errors: BadAddress, DomainExists."""
        actor.must_be_admin()
        domain = Domain(normal_domain(name))
        if domain.name.startswith("["):
            raise BadAddress("A domain is a name, not an IP address")
        await self._directory.add_domain(domain)
        return domain

    async def list(self, actor: Actor) -> list[Domain]:
        """All domains by name."""
        actor.must_be_admin()
        return await self._directory.domains()

    async def remove(self, actor: Actor, name: str) -> None:
        """Serve a domain no longer. Errors: BadAddress, NoSuchDomain; DomainInUse while it has accounts or aliases."""
        actor.must_be_admin()
        await self._directory.remove_domain(normal_domain(name))

    async def set_catch_all(self, actor: Actor, name: str, target: Address | None) -> None:
        """Say where mail for unknown addresses goes; None refuses it.

        Errors: BadAddress, NoSuchDomain; NoSuchAddress, when the target is in one of our domains but nobody there.
        """
        actor.must_be_admin()
        if target and await self._directory.domain(target.domain) and await self._directory.find(target) is None:
            raise NoSuchAddress(f"Nobody here has the address {target}", address=target.key)
        await self._directory.set_catch_all(normal_domain(name), target)
