"""Who has a part in a domain: its administrators and members, and those who are invited.

An invitation goes by mail to the address that is invited, with a link that is good until the invitation is taken,
withdrawn, replaced or runs out. Who has the link has shown that the address is his. Administrators of a domain never
see it: with it they could become users in others' names.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from hmac import compare_digest, digest
from typing import Final

from mailstead.model.address import Address, normal_domain
from mailstead.model.directory import Account
from mailstead.model.envelope import Actor
from mailstead.model.errors import AuthenticationFailed, Conflict, NoSuchInvite, NoSuchUser, NotAllowed, RateLimited
from mailstead.model.people import Group, Invite, Listing, Member, User
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.audit import Audit
from mailstead.usecases.member_mail import MemberMail
from mailstead.usecases.people import Users

LIFE: Final = timedelta(days=7)
INVITES_PER_DAY_MAX: Final = 50
"""Of one domain, withdrawn ones too: each is a mail to somebody who has not asked for it."""
TOKEN_CHARACTERS_MAX: Final = 1000
_MAC_OCTETS: Final = 32
_USERS_AT_ONCE: Final = 1000


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation, and what became of it."""

    invite: Invite
    is_mailed: bool
    token: Secret | None = None
    """With which it is taken; only for administrators of the server."""


class Members:
    """Members and invitations. `key` is the house's own, for nothing else.

    `trusts_addresses`: users' addresses are known to be theirs, as nobody registers by himself; then who is logged in
    takes an invitation without its link.
    """

    def __init__(
        self,
        storage: Storage,
        users: Users,
        clock: Clock,
        audit: Audit,
        mail: MemberMail,
        key: bytes,
        *,
        trusts_addresses: bool = True,
    ) -> None:
        self._memory = storage.memory
        self._people = storage.people
        self._directory = storage.directory
        self._users = users
        self._clock = clock
        self._audit = audit
        self._mail = mail
        self._key = key
        self._trusts_addresses: Final = trusts_addresses

    async def list(self, actor: Actor, domain: str) -> Sequence[Member]:
        """Members by address. Errors: BadAddress, NoSuchDomain."""
        name = normal_domain(domain)
        actor.must_be_member(name)
        return await self._people.members(name)

    async def invites(self, actor: Actor, domain: str) -> Sequence[Invite]:
        """Invitations that wait. Errors: BadAddress, NoSuchDomain, NotAllowed."""
        name = normal_domain(domain)
        actor.must_administer(name)
        return await self._people.invites(name)

    async def invite(self, actor: Actor, domain: str, address: Address, group: Group) -> Invited:
        """Invite somebody, by mail; administrators of the server are given the link's token, too.

        Errors: BadAddress, NoSuchDomain, NotAllowed, LimitReached; Conflict for who is a member already; RateLimited
        for an administrator of the domain who would write to too many strangers in a day.
        """
        name = normal_domain(domain)
        actor.must_administer(name)
        if any(member.user.address == address.key for member in await self._people.members(name)):
            raise Conflict(f"{address} is a member already", domain=name)
        now = self._clock.now().replace(microsecond=0)
        if not actor.is_admin:
            midnight = now.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            counted = await self._memory.count("invitations", {f"{name} {now.date()}": 1}, now, midnight)
            if max(counted.values()) > INVITES_PER_DAY_MAX:
                raise RateLimited(f"At most {INVITES_PER_DAY_MAX} invitations a day; go on tomorrow", domain=name)
        invite = Invite(name, address.key, group, now, now + LIFE)
        await self._people.put_invite(invite)
        self._audit.note(actor, "invite.add", address.key, name, group=group.value)
        token = self._token(invite)
        is_mailed = await self._mail.send(invite, address, token, actor)
        return Invited(invite, is_mailed, token if actor.is_admin else None)

    def link(self, invited: Invited) -> str:
        """Give the address at which an invitation is taken, for who may see it; empty where there are no pages."""
        return "" if invited.token is None else self._mail.link(invited.token)

    async def withdraw(self, actor: Actor, domain: str, address: Address) -> Invite:
        """Take an invitation back. Errors: BadAddress, NoSuchDomain, NotAllowed, NoSuchInvite."""
        name = normal_domain(domain)
        actor.must_administer(name)
        invite = await self._people.remove_invite(name, address.key)
        self._audit.note(actor, "invite.remove", address.key, name)
        return invite

    async def look(self, token: str) -> Invite:
        """Give the invitation of a link. Errors: NoSuchInvite, one and the same for all that is wrong with it."""
        if len(token) > TOKEN_CHARACTERS_MAX:
            raise NoSuchInvite
        try:
            octets = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
            domain, _, address = octets[_MAC_OCTETS:].decode().partition("\0")
        except (binascii.Error, ValueError):
            raise NoSuchInvite from None
        for invite in await self._people.invites(domain):
            if invite.address == address and compare_digest(octets[:_MAC_OCTETS], self._mac(invite)):
                if invite.expires_at <= self._clock.now():
                    break
                return invite
        raise NoSuchInvite

    async def accept(self, actor: Actor, domain: str, token: str = "") -> Member:
        """Take an invitation to the actor's own address.

        Errors: NoSuchInvite, one and the same for others' and for none; NotAllowed, where the link is needed.
        """
        if actor.user_id is None or actor.address is None:
            raise NoSuchInvite
        name = normal_domain(domain)
        user = await self._users.get(actor, actor.user_id)
        if token:
            invite = await self.look(token)
            if (invite.domain, invite.address) != (name, user.address):
                raise NoSuchInvite
        elif not self._trusts_addresses and user.account_id is None:
            raise NotAllowed("Take the invitation with the link that came by mail")
        return await self._take(actor, name, user)

    async def accept_anew(self, token: str, password: Secret | None, peer: str) -> Member:
        """Take an invitation with its link, and become a user: with a password, unless the address is an account here.

        Errors: NoSuchInvite; Conflict for who is a user already, and logs in instead; PolicyRefused (password).
        """
        invite = await self.look(token)
        if await self._people.user_of(invite.address) is not None:
            raise Conflict("There is a user of that address already: log in, then take the invitation")
        address = Address.parse(invite.address)
        is_account = isinstance(await self._directory.find(address), Account)
        user = await self._users.add_invited(address, None if is_account else password, peer)
        return await self._take(await self._users.actor_of(user, peer), invite.domain, user)

    async def needs_password(self, invite: Invite) -> bool:
        """Whether who takes an invitation with its link becomes a user by it, with a password of his own."""
        if await self._people.user_of(invite.address) is not None:
            return False
        return not isinstance(await self._directory.find(Address.parse(invite.address)), Account)

    async def accept_by_link(self, token: str, password: Secret | None, peer: str) -> Member:
        """Take an invitation with its link alone: it only gives rights to whom it was sent, not to who has the link.

        Errors: as `accept_anew`; NoSuchInvite also for a user who is disabled; Conflict where users' addresses may be
        anybody's, so that the user logs in first.
        """
        invite = await self.look(token)
        user = await self._people.user_of(invite.address)
        if user is None:
            return await self.accept_anew(token, password, peer)
        if not self._trusts_addresses and user.account_id is None:
            raise Conflict("There is a user of that address already: log in, then take the invitation")
        try:
            actor = await self._users.actor_of(user, peer)
        except AuthenticationFailed:
            raise NoSuchInvite from None
        return await self._take(actor, invite.domain, user)

    async def change(self, actor: Actor, domain: str, user_id: str, group: Group) -> Member:
        """Make a member an administrator of the domain, or the reverse.

        Errors: BadAddress, NoSuchDomain, NotAllowed (also for the last one, where nobody looks after the server),
        NoSuchUser.
        """
        actor.must_administer(normal_domain(domain))
        name, member = await self._member(actor, domain, user_id)
        if group is not Group.ADMIN:
            await self._must_be_dispensable(member)
        await self._people.set_member(name, member.user.user_id, group)
        self._audit.note(actor, "member.change", member.user.address, name, group=group.value)
        return replace(member, group=group)

    async def add(self, actor: Actor, domain: str, user: User, group: Group) -> Member:
        """Make a user a member without asking; only for administrators of the server.

        Errors: BadAddress, NoSuchDomain, NotAllowed, NoSuchUser.
        """
        actor.must_be_admin()
        name = normal_domain(domain)
        await self._people.set_member(name, user.user_id, group)
        self._audit.note(actor, "member.add", user.address, name, group=group.value)
        return Member(name, user, group)

    async def remove(self, actor: Actor, domain: str, user_id: str) -> Member:
        """End a membership; members may go by themselves. His addresses become the domain's. Errors: as `change`."""
        name, member = await self._member(actor, domain, user_id)
        await self._must_be_dispensable(member)
        await self._people.remove_member(name, member.user.user_id)
        self._audit.note(actor, "member.remove", member.user.address, name)
        return member

    async def _take(self, actor: Actor, domain: str, user: User) -> Member:
        before = (await self._people.memberships(user.user_id)).get(domain)
        invite = await self._people.take_invite(domain, user.user_id, user.address, self._clock.now())
        group = invite.group
        if before is Group.ADMIN and group is not Group.ADMIN:  # an invitation takes nothing away
            group = before
            await self._people.set_member(domain, user.user_id, group)
        self._audit.note(actor, "invite.accept", user.address, domain, group=group.value)
        return Member(domain, user, group)

    async def _member(self, actor: Actor, domain: str, user_id: str) -> tuple[str, Member]:
        name = normal_domain(domain)
        actor.must_be_member(name)
        if user_id != actor.user_id:
            actor.must_administer(name)
        for member in await self._people.members(name):
            if member.user.user_id == user_id:
                return name, member
        raise NoSuchUser

    async def _must_be_dispensable(self, member: Member) -> None:
        """Errors: NotAllowed, for the last who looks after a domain, unless somebody looks after the server."""
        if member.group is not Group.ADMIN:
            return
        others = (each for each in await self._people.members(member.domain) if each.user != member.user)
        if any(each.group is Group.ADMIN and each.user.is_enabled for each in others):
            return
        number = 0
        while True:
            number += 1
            page = await self._people.users(Listing(page=number, limit=_USERS_AT_ONCE))
            if any(user.is_admin and user.is_enabled for user in page.items):
                return
            if number * _USERS_AT_ONCE >= page.item_count:
                raise NotAllowed("That is the last administrator of the domain; name another one first")

    def _token(self, invite: Invite) -> Secret:
        octets = self._mac(invite) + f"{invite.domain}\0{invite.address}".encode()
        return Secret(base64.urlsafe_b64encode(octets).decode().rstrip("="))

    def _mac(self, invite: Invite) -> bytes:
        moments = f"{invite.created_at.timestamp():.0f}\0{invite.expires_at.timestamp():.0f}"
        text = f"{invite.domain}\0{invite.address}\0{invite.group.value}\0{moments}"
        return digest(self._key, text.encode(), "sha256")
