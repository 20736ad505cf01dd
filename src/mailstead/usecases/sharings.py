"""What accounts let each other, and the world, see of their calendars and address books.

A collection is shared with another account of the house, for reading or for writing as well; the sharee finds it in its
own home. A delegate acts for an account in all its calendars. A public link is a secret address under which anybody
reads a calendar; only the hash of its token is kept.

Only the owner shares: not a sharee, nor a delegate.

Spec: caldav-sharing and caldav-proxy (Apple); ADR 32.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Final

from mailstead.model.address import Address
from mailstead.model.dav import Access, CollectionKind, CollectionTraits, PublicLink, Share
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import CollectionExists, NoSuchAccount, NoSuchShare, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.collections import RESERVED, Collections, Opened

TOKEN_OCTETS: Final = 24
"""192 bits: nobody guesses it (attack row 84)."""
TOKEN_CHARACTERS_MAX: Final = 100
LINK_ID_CHARACTERS: Final = 12
ATTEMPTS: Final = 5
NAME_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Given:
    """A share as its owner sees it."""

    share: Share
    sharee: Account


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that was just made: the only time its token is known."""

    link: PublicLink
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Linked:
    """What a public link leads to."""

    link: PublicLink
    opened: Opened


class Sharings:
    """Gives, takes and tells."""

    def __init__(self, storage: Storage, collections: Collections, clock: Clock) -> None:
        self._directory = storage.directory
        self._sharing = storage.sharing
        self._collections = collections
        self._clock = clock

    # accounts of the house

    async def share(self, actor: Actor, opened: Opened, address: Address, access: Access) -> Share:
        """Let another account see a collection, or change what it may do there. It is in its home at once.

        Errors: NotAllowed (not the owner), NoSuchAccount (nobody here, the owner itself, switched off).
        """
        _must_own(actor, opened)
        if opened.collection.kind is CollectionKind.INBOX:
            raise NotAllowed("The inbox for invitations is not shared")
        sharee = await self._sharee(opened.owner, address)
        there = await self._share_of(opened, sharee.account_id)
        if there is not None:
            share = replace(there, access=access)
            await self._sharing.put_share(share)
            return share
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._add(opened, sharee, access)
            except CollectionExists:  # the name was taken meanwhile
                continue
        return await self._add(opened, sharee, access)

    async def unshare(self, actor: Actor, opened: Opened, address: Address) -> None:
        """Let an account see a collection no more; who does not own it takes itself off.

        Errors: NotAllowed, NoSuchShare.
        """
        found = await self._directory.find(address)
        if not isinstance(found, Account):
            raise NoSuchShare
        if opened.share is None or opened.share.sharee_id != found.account_id:
            _must_own(actor, opened)
        await self._sharing.remove_share(opened.owner.account_id, opened.collection.collection_id, found.account_id)

    async def given(self, actor: Actor, opened: Opened) -> list[Given]:
        """Tell whom a collection is shared with; whoever does not own it learns of itself only."""
        shares = await self._shares_of(opened)
        if not _owns(actor, opened):
            shares = [each for each in shares if each.sharee_id == actor.account_id]
        found = [(share, await self._directory.account(share.sharee_id)) for share in shares]
        return [Given(share, sharee) for share, sharee in found if sharee is not None]

    async def is_shared(self, opened: Opened) -> bool:
        """Whether somebody else sees a collection."""
        return bool(await self._shares_of(opened))

    async def answer(self, actor: Actor, share: Share, *, accepts: bool) -> None:
        """Take a share, or decline it: then it is gone. Errors: NotAllowed, NoSuchShare."""
        if actor.account_id != share.sharee_id:
            raise NotAllowed
        if accepts:
            await self._sharing.put_share(replace(share, is_accepted=True))
        else:
            await self._sharing.remove_share(share.owner_id, share.collection_id, share.sharee_id)

    async def received(self, actor: Actor) -> list[Share]:
        """Give all that others share with the actor, accepted or not."""
        return [] if actor.account_id is None else await self._sharing.shares_with(actor.account_id)

    # delegates

    async def delegates(self, actor: Actor, owner: Account) -> list[tuple[Account, Access]]:
        """Tell who acts for an account. Errors: NotAllowed."""
        _must_be(actor, owner)
        found = await self._sharing.delegates_of(owner.account_id)
        accounts = [(await self._directory.account(each.delegate_id), each.access) for each in found]
        return [(account, access) for account, access in accounts if account is not None]

    async def set_delegate(self, actor: Actor, owner: Account, address: Address, access: Access | None) -> Account:
        """Let an account act for another one; None: no more. Errors: NotAllowed, NoSuchAccount, NoSuchShare."""
        _must_be(actor, owner)
        if access is None:
            found = await self._directory.find(address)
            there = {each.delegate_id for each in await self._sharing.delegates_of(owner.account_id)}
            if not isinstance(found, Account) or found.account_id not in there:
                raise NoSuchShare(f"{address} does not act for {owner.address}")
            delegate = found
        else:
            delegate = await self._sharee(owner, address)
        await self._sharing.set_delegate(owner.account_id, delegate.account_id, access)
        return delegate

    # public links

    async def link(
        self, actor: Actor, opened: Opened, *, life: timedelta | None = None, hides_details: bool = False
    ) -> NewLink:
        """Make a link under which everybody who has it reads a calendar, for good or for a while.

        Errors: NotAllowed (not the owner, no calendar), LimitReached.
        """
        _must_own(actor, opened)
        if opened.collection.kind is not CollectionKind.CALENDAR:
            raise NotAllowed("Only calendars have public links")
        token, now = secrets.token_urlsafe(TOKEN_OCTETS), self._clock.now().replace(microsecond=0)
        link = PublicLink(
            _hash(token),
            opened.owner.account_id,
            opened.collection.collection_id,
            now,
            None if life is None else now + life,
            hides_details,
        )
        await self._sharing.put_link(link)
        return NewLink(link, token)

    async def links(self, actor: Actor, owner: Account) -> list[PublicLink]:
        """Tell an account's links, oldest first. Errors: NotAllowed."""
        _must_be(actor, owner)
        return await self._sharing.links_of(owner.account_id)

    async def unlink(self, actor: Actor, owner: Account, id_or_token: str) -> PublicLink:
        """End a link, named by its id (`link_id`) or its token. Errors: NotAllowed, NoSuchShare."""
        hashed = _hash(id_or_token)
        for link in await self.links(actor, owner):
            if link.token_hash == hashed or link_id(link) == id_or_token.lower():
                await self._sharing.remove_link(link.token_hash)
                return link
        raise NoSuchShare("There is no such link")

    async def linked(self, token: str) -> Linked:
        """Give the calendar behind a link. Errors: NoSuchShare, one and the same for all that is wrong."""
        if not token or len(token) > TOKEN_CHARACTERS_MAX:
            raise NoSuchShare
        # Found by its hash: the time that takes tells nothing of the tokens that there are (attack row 84).
        link = await self._sharing.link(_hash(token))
        if link is None or (link.expires_at is not None and self._clock.now() >= link.expires_at):
            raise NoSuchShare
        owner = await self._directory.account(link.owner_id)
        if owner is None or not owner.is_enabled:
            raise NoSuchShare
        actor = Actor(owner.account_id, owner.address)
        for opened in await self._collections.home(actor, owner, CollectionKind.CALENDAR):
            if opened.is_own and opened.share is None and opened.collection.collection_id == link.collection_id:
                return Linked(link, replace(opened, access=Access.READ, is_own=False))
        raise NoSuchShare

    async def forget_old_links(self, now: datetime) -> int:
        """Remove links that have run out; gives how many."""
        return await self._sharing.expire_links(now)

    # within

    async def _sharee(self, owner: Account, address: Address) -> Account:
        found = await self._directory.find(address)
        if not isinstance(found, Account) or not found.is_enabled:
            raise NoSuchAccount(f"There is no account {address} on this server")
        if found.account_id == owner.account_id:
            raise NoSuchAccount(f"{address} is the owner")
        return found

    async def _shares_of(self, opened: Opened) -> list[Share]:
        collection_id = opened.collection.collection_id
        return [
            each
            for each in await self._sharing.shares_of(opened.owner.account_id)
            if each.collection_id == collection_id
        ]

    async def _share_of(self, opened: Opened, sharee_id: AccountId) -> Share | None:
        return next((each for each in await self._shares_of(opened) if each.sharee_id == sharee_id), None)

    async def _add(self, opened: Opened, sharee: Account, access: Access) -> Share:
        kind = opened.collection.kind
        share = Share(
            opened.owner.account_id,
            opened.collection.collection_id,
            kind,
            sharee.account_id,
            access,
            await self._free_name(opened, sharee),
            CollectionTraits(),
        )
        await self._sharing.put_share(share)
        return share

    async def _free_name(self, opened: Opened, sharee: Account) -> str:
        """Give a name that nothing in the sharee's home has, such as ``work-alice`` or ``work-alice-2``."""
        actor = Actor(sharee.account_id, sharee.address)
        taken = {each.name for each in await self._collections.home(actor, sharee, opened.collection.kind)}
        taken |= {each.name for each in await self._sharing.shares_with(sharee.account_id)} | RESERVED
        wanted = f"{opened.collection.name}-{opened.owner.address.local_part}".replace("/", "-")[:NAME_CHARACTERS_MAX]
        return next(
            name for number in count(1) if (name := f"{wanted}-{number}" if number > 1 else wanted) not in taken
        )


def link_id(link: PublicLink) -> str:
    """Give what a link is called where its token must not be shown."""
    return link.token_hash.hex()[:LINK_ID_CHARACTERS]


def _hash(token: str) -> bytes:
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def _owns(actor: Actor, opened: Opened) -> bool:
    return (
        opened.share is None
        and not opened.is_people
        and (actor.account_id == opened.owner.account_id or actor.is_admin)
    )


def _must_own(actor: Actor, opened: Opened) -> None:
    if not _owns(actor, opened):
        raise NotAllowed("Calendars and address books are shared by their owner only")


def _must_be(actor: Actor, owner: Account) -> None:
    if actor.account_id != owner.account_id and not actor.is_admin:
        raise NotAllowed
