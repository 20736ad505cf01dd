"""Addresses that stand for others: create, change, list, remove."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import CATCH_ALL, Alias, AliasKind, DomainTerms, Target
from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    AddressTaken,
    AliasLoop,
    BadTarget,
    LimitReached,
    MailsteadError,
    NoSuchAddress,
    NoSuchAlias,
    NoSuchDomain,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.verdict import Decision
from mailstead.policy.names import may_be_given, without_detail
from mailstead.policy.patterns import compiled, matched
from mailstead.policy.targets import SAME_LOCAL_PART, distinct
from mailstead.ports.storage import Storage
from mailstead.usecases.addresses import DEPTH_MAX
from mailstead.usecases.audit import Notes, Unnoted
from mailstead.usecases.rights import Rights

DISABLED_CODES: Final = (250, 421, 550)
DESCRIPTION_CHARACTERS_MAX: Final = 150
PATTERNS_MAX: Final = 100
"""Per domain: each is tried on every address that is nobody's."""

_CONSONANTS: Final = "bdfghjklmnprstvz"
_VOWELS: Final = "aeiou"
_SYLLABLES: Final = 6
_MASK_TRIES: Final = 5


class Aliases:
    """Administrators of a domain have all its aliases, members those that they have made or were given.

    Others' are not there: NoSuchDomain, NoSuchAlias (attack row 92). Catch-alls and expressions are for administrators
    only.
    """

    def __init__(self, storage: Storage, audit: Notes | None = None) -> None:
        self._directory = storage.directory
        self._rights = Rights(storage)
        self._audit: Final = audit or Unnoted()

    async def create(
        self,
        actor: Actor,
        address: Address,
        targets: Sequence[Target],
        *,
        disabled_code: int | None = None,
        expires_at: datetime | None = None,
        description: str = "",
    ) -> Alias:
        """Let an address stand for others; the store decides about duplicates (promise 8).

        With a `disabled_code` it is switched off from the start. Errors: as `add`.
        """
        alias = Alias(address, tuple(targets), expires_at=expires_at, description=description)
        if disabled_code is not None:
            alias = replace(alias, is_enabled=False, disabled_code=disabled_code)
        return await self.add(actor, alias)

    async def add(self, actor: Actor, alias: Alias) -> Alias:
        """Add an alias as it is.

        Errors: AddressTaken, NoSuchDomain; PolicyRefused for reserved names and attributes that cannot be; BadAddress
        for an expression that cannot be compiled; LimitReached; BadTarget for no target at all; NoSuchAddress for a
        target in our domains that nobody has; AliasLoop.
        """
        await self._rights.must_add(actor, alias.address)
        alias = await self._checked(alias)
        patterns = await self._directory.patterns(alias.address.domain)
        if alias.kind is AliasKind.PATTERN and len(patterns) >= PATTERNS_MAX:
            raise LimitReached(f"A domain has at most {PATTERNS_MAX} regular expressions")
        await self._directory.add_alias(alias)
        await self._rights.make_own(actor, alias.address)
        self._note(actor, "alias.add", alias)
        return alias

    async def check(self, actor: Actor, alias: Alias) -> Alias:
        """Give the alias in the form in which it would be kept, and keep nothing. Errors: as `add`."""
        await self._rights.must_add(actor, alias.address)
        return await self._checked(alias, needs_targets=alias.is_enabled)

    async def mask(
        self,
        actor: Actor,
        domain: str,
        targets: Sequence[Target],
        *,
        expires_at: datetime | None = None,
        description: str = "",
    ) -> Alias:
        """Make up an address to be given to one correspondent. Errors: as `add`."""
        for _ in range(_MASK_TRIES):
            address = Address(_made_up(), normal_domain(domain))
            alias = Alias(address, tuple(targets), expires_at=expires_at, description=description, is_masked=True)
            try:
                return await self.add(actor, alias)
            except AddressTaken:
                continue
        raise AddressTaken("No free address was found; please try again")

    async def get(self, actor: Actor, address: Address) -> Alias:
        """Give an alias of any kind. Errors: NoSuchAlias."""
        await self._rights.must_manage(actor, address, NoSuchAlias(address=address.key))
        found = await self._directory.find(address)
        if isinstance(found, Alias):
            return found
        for alias in await self._directory.patterns(address.domain):
            if alias.address.key == address.key:
                return alias
        raise NoSuchAlias(address=address.key)

    async def replace(self, actor: Actor, alias: Alias) -> Alias:
        """Change all of an alias but its address. Errors: NoSuchAlias, and as `add`."""
        await self._rights.must_manage(actor, alias.address, NoSuchAlias(address=alias.address.key))
        alias = await self._checked(alias)
        await self._directory.replace_alias(alias)
        self._note(actor, "alias.change", alias)
        return alias

    async def enable(self, actor: Actor, address: Address) -> Alias:
        """Switch an alias on again. Errors: NoSuchAlias; BadTarget, when it has no target."""
        alias = replace(await self.get(actor, address), is_enabled=True)
        if not alias.targets:
            raise BadTarget("An alias needs at least one target, unless it is switched off")
        await self._directory.replace_alias(alias)
        self._note(actor, "alias.change", alias)
        return alias

    async def disable(self, actor: Actor, address: Address, code: int = 550) -> Alias:
        """Switch an alias off: senders are told 250 (and the mail is dropped), 421 or 550.

        Errors: NoSuchAlias; PolicyRefused for another code, and for the catch-all.
        """
        alias = replace(await self.get(actor, address), is_enabled=False, disabled_code=code)
        _check_attributes(alias)
        await self._directory.replace_alias(alias)
        self._note(actor, "alias.change", alias)
        return alias

    async def set_catch_all(self, actor: Actor, domain: str, targets: Sequence[Target]) -> Alias | None:
        """Say where mail for unknown addresses of a domain goes; without targets it is refused.

        Errors: NotAllowed, and as `add`.
        """
        actor.must_administer(normal_domain(domain))
        alias = await self._checked(
            Alias(Address(CATCH_ALL, normal_domain(domain)), tuple(targets)), needs_targets=False
        )
        try:
            if alias.targets:
                await self._directory.replace_alias(alias)
            else:
                await self._directory.remove_alias(alias.address)
        except NoSuchAlias:
            if alias.targets:
                await self._directory.add_alias(alias)
        self._note(actor, "alias.catch-all", alias)
        return alias if alias.targets else None

    async def list(self, actor: Actor, domain: str | None = None) -> list[Alias]:
        """All aliases, or those of one domain, by address, as far as they are the actor's.

        Errors: NotAllowed, for who is no user; NoSuchDomain.
        """
        if actor.is_admin:
            return await self._directory.aliases(domain)
        if actor.user_id is None:
            raise NotAllowed
        if domain is not None:
            actor.must_be_member(domain)
        found: list[Alias] = []
        for name in sorted(actor.groups) if domain is None else [domain]:
            aliases = await self._directory.aliases(name)
            own = None if actor.administers(name) else await self._rights.own_keys(actor, name)
            found += [alias for alias in aliases if own is None or alias.address.key in own]
        return found

    async def remove(self, actor: Actor, address: Address) -> None:
        """Errors: NoSuchAlias."""
        await self._rights.must_manage(actor, address, NoSuchAlias(address=address.key))
        await self._directory.remove_alias(address)
        self._audit.note(actor, "alias.remove", address.key, address.domain)

    async def import_table(
        self, actor: Actor, aliases: Iterable[Alias], *, replaces: bool = False
    ) -> Sequence[tuple[Alias, MailsteadError | None]]:
        """Add many, each for itself; gives what went wrong with which. `replaces`: those that are there are changed.

        One may be the target of another one further down, so those with unknown targets are tried again at the end.
        """
        waiting = list(aliases)
        outcomes: dict[str, tuple[Alias, MailsteadError | None]] = {
            alias.address.key: (alias, None) for alias in waiting
        }
        while waiting:
            again: list[Alias] = []
            for alias in waiting:
                error = await self._import(actor, alias, replaces=replaces)
                outcomes[alias.address.key] = (alias, error)
                if isinstance(error, NoSuchAddress):
                    again.append(alias)
            if len(again) == len(waiting):
                break
            waiting = again
        return list(outcomes.values())

    async def _import(self, actor: Actor, alias: Alias, *, replaces: bool) -> MailsteadError | None:
        try:
            try:
                await self.add(actor, alias)
            except AddressTaken:
                if not replaces:
                    raise
                await self.replace(actor, alias)
        except MailsteadError as error:
            return error
        return None

    def _note(self, actor: Actor, verb: str, alias: Alias) -> None:
        address = alias.address
        details = {"targets": " ".join(map(str, alias.targets)), "is_enabled": "yes" if alias.is_enabled else "no"}
        self._audit.note(actor, verb, address.key, address.domain, **details)

    async def _checked(self, alias: Alias, *, needs_targets: bool = True) -> Alias:
        """Give the alias in its normal form. Errors: as `add`."""
        address = alias.address
        domain = await self._directory.domain(address.domain)
        if domain is None:
            raise NoSuchDomain(domain=address.domain)
        _check_attributes(alias)
        alias = replace(alias, targets=distinct(alias.targets))
        if alias.targets or needs_targets:
            _check_count(alias, domain.terms)
        if alias.kind is AliasKind.PATTERN:
            pattern = compiled(address.local_part)
            for target in alias.targets:
                pattern.must_allow(target)
        elif alias.kind is AliasKind.EXACT:
            verdict = may_be_given(address)
            if verdict.decision is not Decision.ALLOW:
                raise PolicyRefused(verdict.reasons[0], address=address.key)
        await self._check_targets(alias)
        return alias

    async def _check_targets(self, alias: Alias) -> None:
        """Follow every target to its end, as far as it can be known before there is mail.

        Two creations at the same moment could still close a circle; resolving notices it and mail is refused, not lost.
        """
        own_key = alias.address.key
        seen = {own_key}
        level = _fixed(alias)
        for depth in range(DEPTH_MAX + 1):
            next_level: dict[str, Address] = {}
            for target in level:
                if target.key == own_key:
                    raise AliasLoop(address=own_key)
                domain = await self._directory.domain(target.domain)
                if target.key in seen or domain is None:
                    continue
                seen.add(target.key)
                found = await self._directory.find(target)
                if found is None and (plain := without_detail(target)):
                    if plain.key == own_key:
                        raise AliasLoop(address=own_key)
                    found = await self._directory.find(plain)
                if found is None and depth == 0 and not await self._may_be_somebody(alias, target, domain.terms):
                    raise NoSuchAddress(f"Nobody here has the address {target}", address=target.key)
                if isinstance(found, Alias):
                    next_level |= {further.key: further for further in _fixed(found)}
            level = tuple(next_level.values())
            if not level:
                return
        raise AliasLoop("That alias would lead through too many others", address=own_key)

    async def _may_be_somebody(self, alias: Alias, target: Address, terms: DomainTerms) -> bool:
        """Whether an address that nobody has by name may get mail all the same."""
        wide = [one for one in await self._directory.patterns(target.domain) if one.address.key != alias.address.key]
        return terms.uses_dns_rules or any(
            one.kind is AliasKind.CATCH_ALL or matched(one.address.local_part, target.local_part) for one in wide
        )


def _fixed(alias: Alias) -> tuple[Address, ...]:
    """Give the targets that are the same addresses whatever was written to."""
    return tuple(
        target
        for target in alias.targets
        if isinstance(target, Address)
        and target.local_part != SAME_LOCAL_PART
        and not (alias.kind is AliasKind.PATTERN and "$" in target.local_part)
    )


def _check_attributes(alias: Alias) -> None:
    """Errors: PolicyRefused."""
    if alias.disabled_code not in DISABLED_CODES:
        raise PolicyRefused(f"The code of a disabled alias is one of {', '.join(map(str, DISABLED_CODES))}")
    if alias.kind is AliasKind.CATCH_ALL and not alias.is_enabled:
        raise PolicyRefused("A catch-all cannot be switched off; remove it")
    if alias.kind is AliasKind.CATCH_ALL and alias.disabled_code == 250 and alias.expires_at is not None:
        raise PolicyRefused("A catch-all that has run out cannot answer 250: all mail for unknown names would vanish")
    if len(alias.description) > DESCRIPTION_CHARACTERS_MAX or not (alias.description + " ").isprintable():
        raise PolicyRefused(f"A description has at most {DESCRIPTION_CHARACTERS_MAX} printable characters")


def _check_count(alias: Alias, terms: DomainTerms) -> None:
    """Errors: BadTarget, LimitReached."""
    if not alias.targets and (alias.is_enabled or alias.kind is AliasKind.CATCH_ALL):
        raise BadTarget("An alias needs at least one target, unless it is switched off")
    if len(alias.targets) > terms.targets_per_alias_max:
        raise LimitReached(
            f"An alias of this domain has at most {terms.targets_per_alias_max} targets "
            "(its term targets_per_alias_max)"
        )


def _made_up() -> str:
    """Give a local part of 44 bits that can be read out on the telephone, such as ``bakolu-mefina42``."""
    syllables = [secrets.choice(_CONSONANTS) + secrets.choice(_VOWELS) for _ in range(_SYLLABLES)]
    half = _SYLLABLES // 2
    return f"{''.join(syllables[:half])}-{''.join(syllables[half:])}{10 + secrets.randbelow(90)}"
