"""Who gets mail for an address, and who may send with one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Target
from mailstead.model.envelope import Actor
from mailstead.model.errors import AliasLoop, NoSuchAddress, NotOurDomain
from mailstead.policy.names import is_postmaster, without_detail
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Directory, Storage

DEPTH_MAX: Final = 10
"""Aliases of aliases of aliases … that are followed."""
RECIPIENTS_MAX: Final = 1000
"""Addresses that one may stand for."""
REMEMBERED_MAX: Final = 20_000
REMEMBERED_S: Final = 2.0
"""How long an answer holds if another process changes the directory and its wake-up is lost."""


@dataclass(frozen=True, slots=True)
class Forward:
    """A copy that leaves the house."""

    via: Address
    """The alias or account through which it leaves: whose domain rewrites the sender, where bounces are shown."""
    target: Target
    recipient: Address
    """Whom to name in RCPT at the target; for a webhook, the address that was written to."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """Where mail for one address goes."""

    accounts: tuple[Account, ...] = ()
    forwards: tuple[Forward, ...] = ()
    is_silent: bool = False
    """Nobody gets it, and the sender is told that all is well: a disabled alias that answers 250."""


class Addresses:
    """Resolves addresses. `postmaster` is who gets mail for a postmaster that a domain does not have."""

    def __init__(self, storage: Storage, bus: ChangeBus, clock: Clock, postmaster: Address | None = None) -> None:
        self._directory: Directory = storage.directory
        self._clock = clock
        self._postmaster = postmaster
        self._remembered: dict[str, tuple[float, Resolution]] = {}
        self._generation = 0
        self._watch: AbstractContextManager[None] = bus.watch(DIRECTORY, self._forget)
        self._watch.__enter__()

    def close(self) -> None:
        """Watch the directory no longer."""
        self._watch.__exit__(None, None, None)

    def resolve_cached(self, address: Address) -> Resolution | None:
        """Give the remembered answer without waiting; None: ask `resolve`. Refusals are never remembered here."""
        remembered = self._remembered.get(address.key)
        if remembered is None or remembered[0] < self._clock.monotonic_s():
            return None
        return remembered[1]

    async def resolve(self, address: Address) -> Resolution:
        """Give all accounts and foreign addresses that an address stands for, each once.

        The order at each step: the exact address; without its ``+detail``; the domain's catch-all; for a postmaster
        that is still nobody, the administrator's `postmaster` address, else the domain's first account, as somebody
        must read it.

        Spec: RFC 5321 §3.9.1 (aliases), §4.5.1 (postmaster).
        Errors: NotOurDomain; NoSuchAddress, also when all targets are gone; AliasLoop, when there are only loops, or
        too many steps or targets.
        """
        remembered = self.resolve_cached(address)
        if remembered:
            return remembered
        generation = self._generation
        if await self._directory.domain(address.domain) is None:
            raise NotOurDomain(domain=address.domain)
        resolution = await self._expand(address)
        if generation == self._generation:
            if len(self._remembered) >= REMEMBERED_MAX:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[address.key] = (self._clock.monotonic_s() + REMEMBERED_S, resolution)
        return resolution

    async def may_send_as(self, actor: Actor, address: Address) -> bool:
        """Whether a log-in may use the address in MAIL FROM and From: it leads only to its account.

        ``user+detail@`` goes with ``user@``. An administrator without account has no address at all.

        Spec: RFC 6409 §6.1.
        """
        if actor.account_id is None:
            return False
        own = {own.key for own in await self._directory.addresses_of(actor.account_id)}
        if address.key in own:
            return True
        plain = without_detail(address)
        # user+detail@ is mine if user@ is, unless it was given to somebody else
        return plain is not None and plain.key in own and await self._directory.find(address) is None

    async def _expand(self, address: Address) -> Resolution:
        accounts: dict[str, Account] = {}
        foreign: dict[str, Address] = {}
        seen = {address.key}
        has_looped = False
        level = [address]
        for _ in range(DEPTH_MAX + 1):
            next_level: list[Address] = []
            for one in level:
                owner = await self._owner(one)
                if isinstance(owner, Account):
                    accounts[owner.account_id] = owner
                elif isinstance(owner, Address):
                    foreign[owner.key] = owner
                elif isinstance(owner, tuple):
                    new = [target for target in owner if target.key not in seen]
                    has_looped = has_looped or len(new) < len(owner)
                    seen.update(target.key for target in new)
                    next_level += new
            if len(accounts) + len(foreign) + len(next_level) > RECIPIENTS_MAX:
                raise AliasLoop("That address stands for too many others", address=address.key)
            level = next_level
            if not level:
                break
        else:
            raise AliasLoop("That address leads through too many aliases", address=address.key)
        if accounts or foreign:
            return Resolution(tuple(accounts.values()), tuple(Forward(address, to, to) for to in foreign.values()))
        if has_looped:
            raise AliasLoop("That address leads back to itself", address=address.key)
        raise NoSuchAddress(address=address.key)

    async def _owner(self, address: Address) -> Account | Address | tuple[Address, ...] | None:
        """Give an account, a foreign address, the addresses to go on with, or nobody."""
        domain = await self._directory.domain(address.domain)
        if domain is None:
            return address
        found = await self._directory.find(address)
        if found is None and (plain := without_detail(address)):
            found = await self._directory.find(plain)
        if isinstance(found, Alias):
            return found.targets
        if found is not None:
            return found
        if domain.catch_all:
            return (domain.catch_all,)
        if is_postmaster(address):
            if self._postmaster:
                return (self._postmaster,)
            return next(iter(await self._directory.accounts(domain.name)), None)
        return None

    def _forget(self) -> None:
        self._generation += 1
        self._remembered.clear()
