"""Aliases that an account's owner has: which there are, and those that he makes for himself and looks after.

What he made leads to his account alone, is marked with it (`AddressProfile.made_by`), and is his to switch off,
describe and remove. What others made for him is shown and stays theirs. How many: the domain's term
`owner_aliases_max`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account, Alias, Domain
from mailstead.model.envelope import Actor
from mailstead.model.errors import AddressTaken, LimitReached, NoSuchAccount, NoSuchAlias, NotAllowed
from mailstead.model.people import AddressProfile, ObjectId
from mailstead.model.trace import TraceQuery
from mailstead.policy import address_rules
from mailstead.ports.storage import Storage
from mailstead.usecases.aliases import DESCRIPTION_CHARACTERS_MAX, Aliases
from mailstead.usecases.rights import as_house

SHOWN_MAX: Final = 200
_STEPS: Final = 30
"""Of a trace that are looked through for the last message to an address; others are by it as a sender."""
_UNNAMED: Final = ObjectId("")
"""The store gives ids."""


@dataclass(frozen=True, slots=True)
class LastReceived:
    """The last message to an address that the trace still knows."""

    at: datetime
    mail_from: str
    """Envelope sender; empty: the null sender."""


@dataclass(frozen=True, slots=True)
class OwnAlias:
    """An alias that leads to an account, and to nobody else."""

    alias: Alias
    is_own: bool
    """Made by the owner, who changes it."""
    last: LastReceived | None


@dataclass(frozen=True, slots=True)
class OwnAliasList:
    """All of an account, and what may still be made."""

    main: Address
    aliases: tuple[OwnAlias, ...]
    """By address."""
    left_count: int
    """How many more its owner may make."""
    is_allowed: bool
    """Whether the domain lets owners make any."""
    has_trace: bool
    """Whether it is known what came last."""


class OwnAliases:
    """Every verb begins with an actor, whose own account alone is reached. Errors of all: NotAllowed, NoSuchAccount."""

    def __init__(self, storage: Storage, aliases: Aliases) -> None:
        self._directory = storage.directory
        self._people = storage.people
        self._trace = storage.trace
        self._aliases = aliases

    async def list(self, actor: Actor) -> OwnAliasList:
        """All, by address, with what each received last."""
        account, domain = await self._account(actor)
        found = await self._found(account)
        own_count = sum(is_own for _, is_own in found)
        keeps_trace = domain.terms.keeps_trace and not domain.terms.hides_metadata
        shown = [
            OwnAlias(alias, is_own, await self._last(alias.address) if keeps_trace else None)
            for alias, is_own in found[:SHOWN_MAX]
        ]
        most = domain.terms.owner_aliases_max
        return OwnAliasList(account.address, tuple(shown), max(0, most - own_count), most > 0, keeps_trace)

    async def make(self, actor: Actor, *, name: str = "", description: str = "") -> Alias:
        """Make one in the account's domain; without a name one is made up that tells nothing of its owner.

        Errors: NotAllowed, where the domain lets owners make none; LimitReached; AddressTaken; PolicyRefused,
        BadAddress, for names that cannot be or are not for everybody.
        """
        account, domain = await self._account(actor)
        if not domain.terms.owner_aliases_max:
            raise NotAllowed("The owners of this domain's accounts make no addresses; ask its administrator")
        if sum(is_own for _, is_own in await self._found(account)) >= domain.terms.owner_aliases_max:
            raise LimitReached(f"You may have {domain.terms.owner_aliases_max} addresses of your own making")
        house, told = as_house(actor), _told(description)
        if not name.strip():
            alias = await self._aliases.mask(house, domain.name, [account.address], description=told)
        else:
            local_part = address_rules.normal_name(name, domain.name)
            entry = await self._people.domain_entry(domain.name)
            address_rules.check_for_members(local_part, entry.profile.restricted_names if entry is not None else ())
            if await self._directory.find(Address(local_part, domain.name)) is not None:
                raise AddressTaken
            alias = await self._aliases.create(
                house, Address(local_part, domain.name), [account.address], description=told
            )
        await self._mark(actor, account, alias)
        return alias

    async def describe(self, actor: Actor, address: Address, description: str) -> None:
        """Say what one's own is for. Errors: NoSuchAlias."""
        alias = await self._own(actor, address)
        await self._aliases.replace(as_house(actor), replace(alias, description=_told(description)))

    async def switch(self, actor: Actor, address: Address, *, is_enabled: bool) -> None:
        """Switch one's own on, or off: mail to it is refused then. Errors: NoSuchAlias."""
        alias = await self._own(actor, address)
        if is_enabled:
            await self._aliases.enable(as_house(actor), alias.address)
        else:
            await self._aliases.disable(as_house(actor), alias.address)

    async def remove(self, actor: Actor, address: Address) -> None:
        """Remove one's own; somebody else may get it then. Errors: NoSuchAlias."""
        alias = await self._own(actor, address)
        await self._aliases.remove(as_house(actor), alias.address)

    # inside

    async def _account(self, actor: Actor) -> tuple[Account, Domain]:
        """Errors: NotAllowed, also with an app password or a token; NoSuchAccount."""
        if actor.account_id is None or actor.app_password_id is not None or actor.token_id is not None:
            raise NotAllowed
        account = await self._directory.account(actor.account_id)
        domain = await self._directory.domain(account.address.domain) if account is not None else None
        if account is None or domain is None:
            raise NoSuchAccount
        return account, domain

    async def _found(self, account: Account) -> Sequence[tuple[Alias, bool]]:
        """Give all that lead to the account alone, and whether its owner made it."""
        found = []
        for address in await self._directory.addresses_of(account.account_id):
            entry = await self._people.address_entry(address.domain, address.local_part)
            if entry is not None and isinstance(entry.owner, Alias) and entry.owner.address.key == address.key:
                is_direct = [str(target).casefold() for target in entry.owner.targets] == [account.address.key]
                found.append((entry.owner, is_direct and entry.profile.made_by == account.account_id))
        return sorted(found, key=lambda each: each[0].address.key)

    async def _own(self, actor: Actor, address: Address) -> Alias:
        """Errors: NoSuchAlias, one and the same for others' and for none (attack row 92)."""
        account, _ = await self._account(actor)
        for alias, is_own in await self._found(account):
            if is_own and alias.address.key == address.key:
                return alias
        raise NoSuchAlias

    async def _mark(self, actor: Actor, account: Account, alias: Alias) -> None:
        address = alias.address
        entry = await self._people.address_entry(address.domain, address.local_part)
        if entry is None:
            raise NoSuchAlias  # removed at the same moment
        user_id = actor.user_id if address.domain in actor.groups else None
        profile = entry.profile if entry.profile.object_id else AddressProfile(_UNNAMED)
        marked = replace(profile, user_id=profile.user_id or user_id, made_by=account.account_id)
        await self._people.set_address_profile(address.domain, address.local_part, marked)

    async def _last(self, address: Address) -> LastReceived | None:
        steps = await self._trace.search(TraceQuery(address=address.key, limit=_STEPS))
        for step in steps:
            if step.step == "received" and step.recipient.casefold() == address.key:
                return LastReceived(step.at, step.mail_from)
        return None


def _told(description: str) -> str:
    one_line = " ".join("".join(letter if letter.isprintable() else " " for letter in description).split())
    return one_line[:DESCRIPTION_CHARACTERS_MAX]
