"""Who gets mail for an address, and who may send with one."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from mailstead.model.address import Address
from mailstead.model.directory import CATCH_ALL, Account, Alias, Domain, DomainTerms, Target, WebhookTarget
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressDisabled,
    AddressPaused,
    AliasLoop,
    MailsteadError,
    NoSuchAddress,
    NotOurDomain,
)
from mailstead.policy.names import without_detail
from mailstead.policy.targets import target_key
from mailstead.ports.changebus import DIRECTORY, ChangeBus
from mailstead.ports.clock import Clock
from mailstead.ports.resolver import Resolver
from mailstead.ports.storage import Directory, Storage
from mailstead.usecases.owners import Owner, Owners
from mailstead.usecases.sealed_rules import SealedRules

DEPTH_MAX: Final = 10
"""Aliases of aliases of aliases … that are followed."""
RECIPIENTS_MAX: Final = 1000
"""Addresses that one may stand for."""
REMEMBERED_MAX: Final = 20_000
REMEMBERED_S: Final = 2.0
"""How long an answer holds if another process changes the directory and its wake-up is lost, or an alias runs out."""


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
    requires_tls: bool = False
    """The domain takes no mail in clear text."""
    domains: tuple[Domain, ...] = ()
    """Of the address and of the accounts, those that judge mail by rules of their own."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How an address is resolved, for administrators: it names the targets."""

    steps: tuple[str, ...]
    resolution: Resolution | None
    refusal: MailsteadError | None
    """What a sender would be told."""


class Addresses:
    """Resolves addresses.

    `postmaster` is who gets mail for a postmaster that a domain does not have. `resolver` is for domains with rules in
    the DNS; without one their mail waits. `sealed_rules` opens those that we have encrypted.
    """

    def __init__(
        self,
        storage: Storage,
        bus: ChangeBus,
        clock: Clock,
        postmaster: Address | None = None,
        *,
        resolver: Resolver | None = None,
        sealed_rules: SealedRules | None = None,
    ) -> None:
        self._directory: Directory = storage.directory
        self._owners = Owners(storage.directory, resolver, postmaster, sealed_rules)
        self._clock = clock
        self._remembered: dict[str, tuple[float, Resolution]] = {}
        self._everywhere: tuple[float, bool] = (0.0, False)
        """Until when we believe it, and whether all domains require TLS."""
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
        """Give all accounts that an address stands for, and all ways out of the house, each once.

        Aliases of aliases are followed; a target that leads back is dropped, but an account that hands on all its mail
        keeps what would come back to it. For who has an address see `Owners`. No error names a target.

        Spec: RFC 5321 §3.9.1 (aliases), §4.5.1 (postmaster).
        Errors: NotOurDomain; NoSuchAddress, also when all targets are gone; AddressPaused, AddressDisabled; AliasLoop,
        when there are only loops, or too many steps or targets; DnsUnavailable and Deferred, for rules in the DNS.
        """
        remembered = self.resolve_cached(address)
        if remembered:
            return remembered
        generation = self._generation
        resolution = await _Walk(self._owners, address, self._clock.now()).resolve()
        if generation == self._generation:
            if len(self._remembered) >= REMEMBERED_MAX:
                del self._remembered[next(iter(self._remembered))]
            self._remembered[address.key] = (self._clock.monotonic_s() + REMEMBERED_S, resolution)
        return resolution

    def requires_tls_everywhere_cached(self) -> bool | None:
        """Give the remembered answer without waiting; None: ask `requires_tls_everywhere`."""
        until_s, answer = self._everywhere
        return answer if self._clock.monotonic_s() <= until_s else None

    async def requires_tls_everywhere(self) -> bool:
        """Whether none of our domains takes mail in clear text, so that nobody needs to say for whom he has some."""
        remembered = self.requires_tls_everywhere_cached()
        if remembered is not None:
            return remembered
        generation = self._generation
        domains = await self._directory.domains()
        answer = bool(domains) and all(domain.terms.requires_tls_inbound for domain in domains)
        if generation == self._generation:
            self._everywhere = (self._clock.monotonic_s() + REMEMBERED_S, answer)
        return answer

    async def explain(self, address: Address) -> Explanation:
        """Resolve an address and tell each step. For administrators only: it names what `resolve` keeps to itself."""
        walk = _Walk(self._owners, address, self._clock.now())
        try:
            resolution = await walk.resolve()
        except MailsteadError as error:
            reasons = [f"{name}: {value}" for name, value in error.log_fields.items() if name in {"reason", "problems"}]
            return Explanation((*walk.steps, *reasons), None, error)
        return Explanation(tuple(walk.steps), resolution, None)

    async def may_send_as(self, actor: Actor, address: Address) -> bool:
        """Whether a log-in may use the address in MAIL FROM and From: it leads only to its account.

        ``user+detail@`` goes with ``user@``. Regular expressions and catch-alls give nobody a right to what they match,
        nor does an alias that is switched off. A password of a catch-all is good for every address of its domain, and
        so is a user for the domains of ours that he administers; the command line has no address at all.

        Spec: RFC 6409 §6.1; reference 6.1 (8).
        """
        is_administered = actor.user_id is not None and actor.administers(address.domain)
        if is_administered and await self._directory.domain(address.domain) is not None:
            return True
        if actor.account_id is None:
            return False
        if actor.address is not None and actor.address.local_part == CATCH_ALL:
            return address.domain == actor.address.domain
        own = {own.key for own in await self._directory.addresses_of(actor.account_id)}
        found = await self._directory.find(address)
        plain = without_detail(address)
        if address.key not in own and plain is not None and plain.key in own and found is None:
            # user+detail@ is mine if user@ is, unless it was given to somebody else
            address = plain
            found = await self._directory.find(plain)
        return address.key in own and (not isinstance(found, Alias) or found.is_working(self._clock.now()))

    def _forget(self) -> None:
        self._generation += 1
        self._remembered.clear()
        self._everywhere = (0.0, False)


def has_rules(terms: DomainTerms) -> bool:
    """Whether a domain judges mail to it by rules of its own, beside those of the server."""
    return terms.requires_encryption or terms.requires_aligned_dkim or terms.message_octets_max > 0


class _Place(NamedTuple):
    """An address on the way, with whom it came from."""

    address: Address
    via: Address
    ancestors: frozenset[str]
    """Keys of the owners passed."""


class _Walk:
    """One address followed to all its ends, level by level."""

    def __init__(self, owners: Owners, asked: Address, now: datetime) -> None:
        self._owners = owners
        self._asked = asked
        self._now = now
        self._accounts: dict[str, Account] = {}
        self._forwards: dict[tuple[str, str], Forward] = {}
        self._visited: set[str] = set()
        self._domains: dict[str, Domain] = {}
        """Those that judge mail by rules of their own."""
        self._codes: set[int] = set()
        """What the aliases that are switched off answer."""
        self._has_looped = False
        self.steps: list[str] = []

    async def resolve(self) -> Resolution:
        """Errors: see `Addresses.resolve`."""
        domain = await self._owners.domain_of(self._asked.domain)
        if domain is None:
            self.steps.append(f"{self._asked.domain} is not served here")
            raise NotOurDomain(domain=self._asked.domain)
        self._note_rules(domain)
        await self._expand()
        requires_tls, domains = domain.terms.requires_tls_inbound, tuple(self._domains.values())
        if self._accounts or self._forwards:
            accounts, forwards = tuple(self._accounts.values()), tuple(self._forwards.values())
            return Resolution(accounts, forwards, requires_tls=requires_tls, domains=domains)
        # The log of a domain that hides metadata has no addresses (attack row 104).
        facts = {} if domain.terms.hides_metadata else {"address": self._asked.key}
        if 421 in self._codes:
            raise AddressPaused(**facts)
        if 550 in self._codes:
            raise AddressDisabled(**facts)
        if self._codes:
            return Resolution(is_silent=True, requires_tls=requires_tls, domains=domains)
        if self._has_looped:
            raise AliasLoop("That address leads back to itself", **facts)
        raise NoSuchAddress(**facts)

    def _note_rules(self, domain: Domain) -> None:
        if has_rules(domain.terms):
            self._domains[domain.name] = domain

    async def _expand(self) -> None:
        level = [_Place(self._asked, self._asked, frozenset())]
        for _ in range(DEPTH_MAX + 1):
            next_level: list[_Place] = []
            for place in level:
                next_level += await self._step(place)
                if len(self._accounts) + len(self._forwards) + len(next_level) > RECIPIENTS_MAX:
                    raise AliasLoop("That address stands for too many others", address=self._asked.key)
            level = next_level
            if not level:
                return
        raise AliasLoop("That address leads through too many aliases", address=self._asked.key)

    async def _step(self, place: _Place) -> list[_Place]:
        """Take one address to its owner; give the addresses to go on with."""
        address = place.address
        domain = await self._owners.domain_of(address.domain)
        if domain is None:
            self._leave(place.via, address, address)
            return []
        if domain.name != address.domain:
            self.steps.append(f"{address.domain} is served with {domain.name}")
        owner = await self._owners.owner(address, domain)
        if owner is None:
            self.steps.append(f"{address}: nobody has it")
            return []
        self.steps.append(f"{address}: {owner.how}{_where_to(owner)}")
        if owner.key in place.ancestors:
            self._close_loop(owner)
            return []
        if owner.key in self._visited:  # in another branch, which has all its targets
            return []
        self._visited.add(owner.key)
        if isinstance(owner.has, Account):
            self._note_rules(domain)
        return self._go_on(place, owner)

    def _go_on(self, place: _Place, owner: Owner) -> list[_Place]:
        has = owner.has
        if isinstance(has, Account):
            if not has.is_enabled and has.disabled_code is not None:
                self.steps.append(f"{has.address} is switched off: answers {has.disabled_code}")
                self._codes.add(has.disabled_code)
                return []
            if has.keeps_copy or not has.forward_to:
                self._accounts[has.account_id] = has
        elif not has.is_working(self._now):
            self.steps.append(f"{has.address} is {_why_not(has, self._now)}: answers {has.disabled_code}")
            self._codes.add(has.disabled_code)
            return []
        ancestors = place.ancestors | {owner.key}
        places: list[_Place] = []
        for target in owner.targets:
            if isinstance(target, Address):
                places.append(_Place(target, has.address, ancestors))
            else:
                self._leave(has.address, target, self._asked if isinstance(target, WebhookTarget) else place.address)
        return places

    def _close_loop(self, owner: Owner) -> None:
        if isinstance(owner.has, Account):  # mail that an account hands on, and gets back, stays there
            self.steps.append(f"it leads back to account {owner.has.address}, which keeps it")
            self._accounts[owner.has.account_id] = owner.has
        else:
            self.steps.append("it leads back to where it came from: dropped")
            self._has_looped = True

    def _leave(self, via: Address, target: Target, recipient: Address) -> None:
        self.steps.append(f"leaves through {via} to {target}")
        self._forwards.setdefault((target_key(target), recipient.key), Forward(via, target, recipient))


def _where_to(owner: Owner) -> str:
    targets = ", ".join(map(str, owner.targets))
    if isinstance(owner.has, Account):
        if not owner.targets:
            return ""
        return f" → {targets}{', with a copy' if owner.has.keeps_copy else ', without a copy'}"
    return f" → {targets or 'nowhere'}"


def _why_not(alias: Alias, now: datetime) -> str:
    return "switched off" if not alias.is_enabled else f"over since {alias.expires_at or now:%Y-%m-%d}"
