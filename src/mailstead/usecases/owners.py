"""Who has an address: an account or an alias, in the order exact, regular expression, catch-all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, AliasKind, Domain, HostTarget, Target
from mailstead.model.errors import Deferred, DnsUnavailable
from mailstead.policy.dns_rules import DnsRules, read_rules
from mailstead.policy.names import is_postmaster, without_detail
from mailstead.policy.patterns import matched, may_be_carried
from mailstead.policy.targets import SAME_LOCAL_PART
from mailstead.ports.resolver import Resolver
from mailstead.ports.storage import Directory
from mailstead.usecases.sealed_rules import SealedRules

SUBDOMAIN_LEVELS_MAX: Final = 5
"""How far above a name a domain of ours is looked for; a hundred labels should not cost a hundred questions."""

_NO_RULES: Final = DnsRules({}, (), (), ())


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has an address, and where mail for it goes on to."""

    has: Account | Alias
    key: str
    """The same for all addresses that come to this step: a way that meets it twice is a loop."""
    targets: tuple[Target, ...]
    """With what a regular expression matched put in, and the local part where it is to stay the same."""
    how: str
    """In plain words, for administrators."""


class Owners:
    """Asks the directory, and the DNS for domains that have rules there. `postmaster`: see `Addresses`."""

    def __init__(
        self,
        directory: Directory,
        resolver: Resolver | None,
        postmaster: Address | None,
        sealed_rules: SealedRules | None = None,
    ) -> None:
        self._directory = directory
        self._resolver = resolver
        self._postmaster = postmaster
        self._opened = sealed_rules.opened if sealed_rules is not None else lambda _value: None

    async def domain_of(self, name: str) -> Domain | None:
        """Give our domain of that name, or the one above it that serves its subdomains too."""
        found = await self._directory.domain(name)
        for _ in range(SUBDOMAIN_LEVELS_MAX):
            if found or "." not in name or name.startswith("["):
                break
            name = name.partition(".")[2]
            parent = await self._directory.domain(name)
            if parent:
                return parent if parent.terms.serves_subdomains else None
        return found

    async def owner(self, address: Address, domain: Domain) -> Owner | None:
        """Find the first that fits; within exact names the whole address before the one without its ``+detail``.

        A regular expression is tried on the whole local part first, too; of several the first made is taken. What the
        directory has goes before what the DNS has at each of the three steps.

        Spec: RFC 5321 §4.5.1 (postmaster).
        Errors: DnsUnavailable; Deferred, when the rules in the DNS are not such that a refusal could be final.
        """
        if domain.name != address.domain:
            address = Address(address.local_part, domain.name)
        names = [name for name in (address, without_detail(address)) if name]
        for name in names:
            found = await self._directory.find(name)
            if found:
                return _exact(found)
        rules = await self._rules(domain) if domain.terms.uses_dns_rules else _NO_RULES
        for name in names:
            if name.key in rules.exact:
                return _exact(rules.exact[name.key], " in the DNS")
        wide = [*await self._directory.patterns(domain.name), *rules.patterns]
        owner = (
            _first_match(wide, names)
            or next((_catch_all(alias, address) for alias in wide if alias.kind is AliasKind.CATCH_ALL), None)
            or (await self._postmaster_of(address) if is_postmaster(address) else None)
        )
        if owner is None and rules.problems:
            raise Deferred(
                "The forwarding rules of that domain have errors; please try again later",
                domain=domain.name,
                problems=rules.problems,
            )
        return owner

    async def _rules(self, domain: Domain) -> DnsRules:
        if self._resolver is None:
            raise DnsUnavailable(domain=domain.name)
        answer = await self._resolver.txt(domain.name)
        targets_max = domain.terms.targets_per_alias_max
        rules = read_rules(domain.name, tuple(sorted(answer.records)), targets_max, self._opened)
        if reason := rules.unverified_because(domain.terms.verification):
            raise Deferred("That domain is not verified; please try again later", domain=domain.name, reason=reason)
        return rules

    async def _postmaster_of(self, address: Address) -> Owner | None:
        """Give who reads the mail of a domain that has no postmaster: somebody must."""
        if self._postmaster:
            return Owner(Alias(address, ()), address.key, (self._postmaster,), "the administrator's address is used")
        accounts = await self._directory.accounts(address.domain)
        return _exact(accounts[0], ", the first of the domain, as it has no postmaster") if accounts else None


def _exact(found: Account | Alias, where: str = "") -> Owner:
    address = found.address
    if isinstance(found, Account):
        return Owner(found, address.key, found.forward_to, f"account {address}{where}")
    return Owner(found, address.key, _same_local_part(found.targets, address), f"alias {address}{where}")


def _first_match(wide: Iterable[Alias], names: Iterable[Address]) -> Owner | None:
    for name in names:
        for alias in wide:
            if alias.kind is not AliasKind.PATTERN:
                continue
            match = matched(alias.address.local_part, name.local_part)
            if match:
                targets = [match.substituted(one) if isinstance(one, Address) else one for one in alias.targets]
                return Owner(
                    alias,
                    name.key,
                    _carried((target for target in targets if target), name),
                    f"regular expression {alias.address.local_part}",
                )
    return None


def _catch_all(alias: Alias, address: Address) -> Owner:
    return Owner(alias, address.key, _carried(alias.targets, address), f"catch-all of {address.domain}")


def _carried(targets: Iterable[Target], address: Address) -> tuple[Target, ...]:
    """Leave out targets elsewhere that would be told a local part which could be read as a route (attack row 12)."""
    if not may_be_carried(address.local_part):
        targets = [one for one in targets if not isinstance(one, HostTarget) and not _keeps_local_part(one)]
    return _same_local_part(targets, address)


def _same_local_part(targets: Iterable[Target], address: Address) -> tuple[Target, ...]:
    return tuple(
        Address(address.local_part, one.domain) if isinstance(one, Address) and _keeps_local_part(one) else one
        for one in targets
    )


def _keeps_local_part(target: Target) -> bool:
    return isinstance(target, Address) and target.local_part == SAME_LOCAL_PART
