"""Who may do what with addresses: what of it takes a look into the store. The rest is asked of the actor himself.

An administrator of a domain has all its addresses, another member those that are his own (`AddressProfile.user_id`).
What an actor has no part in is not there (attack row 92). And nobody gets at rights above his own: an account that is
a user with a part in other domains, or with the whole server, is left alone by administrators of its domain, or its
password would be theirs to set.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mailstead.model.address import Address
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import LimitReached, MailsteadError, NotAllowed
from mailstead.model.people import AddressProfile, Listing, ObjectId
from mailstead.policy.address_rules import check_for_members
from mailstead.ports.storage import Storage

ADDRESSES_PER_MEMBER_MAX: Final = 1000
"""Accounts, aliases and masked addresses of one member in one domain."""
_PAGE: Final = 1000
_UNNAMED: Final = ObjectId("")
"""The store gives ids."""


class Rights:
    """Asked by use cases before they do anything. `quota_octets`: of new accounts where nobody says another."""

    def __init__(self, storage: Storage, *, quota_octets: int | None = None) -> None:
        self._people = storage.people
        self._quota_octets = quota_octets

    async def may_manage(self, actor: Actor, address: Address) -> bool:
        """Whether an address, there or not, is the actor's to look after."""
        if actor.administers(address.domain):
            return True
        if actor.user_id is None or address.domain not in actor.groups:
            return False
        entry = await self._people.address_entry(address.domain, address.local_part)
        # The store also finds by object id, and a name may look like one.
        return entry is not None and entry.owner.address.key == address.key and entry.profile.user_id == actor.user_id

    async def must_manage(self, actor: Actor, address: Address, missing: MailsteadError) -> None:
        """Errors: `missing`, when it is not."""
        if not await self.may_manage(actor, address):
            raise missing

    async def must_outrank(self, actor: Actor, account: Account) -> None:
        """Errors: NotAllowed, when the account is a user who has rights that the actor has not."""
        if actor.is_admin:
            return
        user = await self._people.user_of_account(account.account_id)
        if user is None or user.user_id == actor.user_id:
            return
        domains = await self._people.memberships(user.user_id)
        if user.is_admin or not all(actor.administers(name) for name in domains):
            raise NotAllowed("That account administers more than you do; ask an administrator of the server")

    async def must_add(self, actor: Actor, address: Address) -> None:
        """Errors: NoSuchDomain, for who is no member; LimitReached; PolicyRefused, for names not for members."""
        actor.must_be_member(address.domain)
        if actor.administers(address.domain):
            return
        entry = await self._people.domain_entry(address.domain)
        check_for_members(address.local_part, entry.profile.restricted_names if entry is not None else ())
        await self.must_have_room(actor, address.domain)

    async def must_have_room(self, actor: Actor, domain: str) -> None:
        """Errors: LimitReached, for a member who has as many addresses as members may have.

        Of two that are made at once by one member both may come through: it keeps scripts that run wild from filling
        the server, and nothing hangs on the last one.
        """
        if actor.administers(domain):
            return
        page = await self._people.address_entries(domain, Listing(limit=0), user_id=actor.user_id)
        if page.item_count >= ADDRESSES_PER_MEMBER_MAX:
            raise LimitReached(f"A member has at most {ADDRESSES_PER_MEMBER_MAX} addresses in a domain", domain=domain)

    async def make_own(self, actor: Actor, address: Address) -> None:
        """Let an address that a member has just made be his."""
        if not actor.administers(address.domain):
            profile = AddressProfile(_UNNAMED, actor.user_id)
            await self._people.set_address_profile(address.domain, address.local_part, profile)

    async def own_keys(self, actor: Actor, domain: str) -> frozenset[str]:
        """Give the keys of a member's own addresses in a domain."""
        keys: set[str] = set()
        number = 0
        while actor.user_id is not None:
            number += 1
            listing = Listing(page=number, limit=_PAGE)
            page = await self._people.address_entries(domain, listing, user_id=actor.user_id)
            keys |= {entry.owner.address.key for entry in page.items}
            if number * _PAGE >= page.item_count:
                break
        return frozenset(keys)

    async def bounded_quota(self, actor: Actor, domain: str, quota_octets: int | None) -> int | None:
        """Give the quota that an account gets when an actor asks for one (None: none asked for).

        Only administrators of the server lift it, by the domain's terms or for an account. Those of the domain say its
        largest (`DomainProfile.account_quota_octets_max`), which takes them no further. Errors: LimitReached.
        """
        if actor.is_admin:
            return quota_octets
        entry = await self._people.domain_entry(domain)
        own = entry.profile.account_quota_octets_max if entry is not None else 0
        servers = (entry.domain.terms.account_quota_octets if entry is not None else 0) or self._quota_octets or 0
        most = min([bound for bound in (own, servers) if bound], default=None)
        if most is None:
            return quota_octets
        if quota_octets is not None and quota_octets > most:
            raise LimitReached(f"An account of this domain has a quota of at most {most} octets", domain=domain)
        return quota_octets if quota_octets is not None else most


def as_house(actor: Actor) -> Actor:
    """Give the actor with all rights, for what was checked already. The audit log still knows who it was."""
    return actor if actor.is_admin else replace(actor, is_admin=True)
