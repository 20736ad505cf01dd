"""Addresses that stand for others: create, list, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Alias
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AliasLoop,
    BadAddress,
    LimitReached,
    NoSuchAddress,
    NoSuchDomain,
    PolicyRefused,
)
from mailstead.model.verdict import Decision
from mailstead.policy.names import may_be_given, without_detail
from mailstead.ports.storage import Storage
from mailstead.usecases.addresses import DEPTH_MAX

TARGETS_MAX: Final = 500


class Aliases:
    """All verbs are for administrators only (NotAllowed)."""

    def __init__(self, storage: Storage) -> None:
        self._directory = storage.directory

    async def create(self, actor: Actor, address: Address, targets: Sequence[Address]) -> Alias:
        """Let an address stand for others; the store decides about duplicates (promise 8).

        Errors: AddressTaken, NoSuchDomain; PolicyRefused for reserved names; LimitReached; BadAddress for no target at
        all; NoSuchAddress for a target in our domains that nobody has; AliasLoop.
        """
        actor.must_be_admin()
        verdict = may_be_given(address)
        if verdict.decision is not Decision.ALLOW:
            raise PolicyRefused(verdict.reasons[0], address=address.key)
        if await self._directory.domain(address.domain) is None:
            raise NoSuchDomain(domain=address.domain)
        alias = Alias(address, tuple({target.key: target for target in targets}.values()))
        if not alias.targets:
            raise BadAddress("An alias needs at least one target")
        if len(alias.targets) > TARGETS_MAX:
            raise LimitReached(f"An alias has at most {TARGETS_MAX} targets")
        await self._check_targets(alias)
        await self._directory.add_alias(alias)
        return alias

    async def list(self, actor: Actor, domain: str | None = None) -> list[Alias]:
        """All aliases, or those of one domain, by address."""
        actor.must_be_admin()
        return await self._directory.aliases(domain)

    async def remove(self, actor: Actor, address: Address) -> None:
        """Errors: NoSuchAlias."""
        actor.must_be_admin()
        await self._directory.remove_alias(address)

    async def _check_targets(self, alias: Alias) -> None:
        """Follow every target to its end.

        Two creations at the same moment could still close a circle; resolving notices it and mail is refused, not lost.
        """
        seen = {alias.address.key}
        level = alias.targets
        for depth in range(DEPTH_MAX + 1):
            next_level: dict[str, Address] = {}
            for target in level:
                if target.key == alias.address.key:
                    raise AliasLoop(address=alias.address.key)
                if target.key in seen or await self._directory.domain(target.domain) is None:
                    continue
                seen.add(target.key)
                found = await self._directory.find(target)
                if found is None and (plain := without_detail(target)):
                    if plain.key == alias.address.key:
                        raise AliasLoop(address=alias.address.key)
                    found = await self._directory.find(plain)
                if found is None and depth == 0:
                    raise NoSuchAddress(f"Nobody here has the address {target}", address=target.key)
                if isinstance(found, Alias):
                    next_level |= {further.key: further for further in found.targets}
            level = tuple(next_level.values())
            if not level:
                return
        raise AliasLoop("That alias would lead through too many others", address=alias.address.key)
