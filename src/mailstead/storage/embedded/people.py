"""`ports.people.People` in the directory's file: in the same transactions as the domains and accounts it speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from mailstead.model.directory import Verifier
from mailstead.model.ids import AccountId
from mailstead.model.people import ApiToken, Group, Invite, Listing, Member, ObjectId, Page, User, UserId
from mailstead.storage.embedded import people_members, people_users
from mailstead.storage.embedded.audit import EmbeddedAudit
from mailstead.storage.embedded.profiles import EmbeddedProfiles


class EmbeddedPeople(EmbeddedProfiles, EmbeddedAudit):
    """Who acts is asked at every request, so it is read through what the directory remembers."""

    async def users(self, listing: Listing) -> Page[User]:
        """See `People.users`."""
        return await self._directory.look_up(people_users.users, listing)

    async def user(self, user_id: UserId) -> User | None:
        """See `People.user`."""
        return await self._directory.recall(("user", user_id), people_users.user, "user_id", user_id)

    async def user_of(self, address: str) -> User | None:
        """See `People.user_of`."""
        return await self._directory.recall(("user of", address), people_users.user, "address", address)

    async def user_of_account(self, account_id: AccountId) -> User | None:
        """See `People.user_of_account`."""
        key = ("user of account", account_id)
        return await self._directory.recall(key, people_users.user, "account_id", account_id)

    async def verifier(self, user_id: UserId) -> Verifier | None:
        """See `People.verifier`."""
        return await self._directory.recall(("verifier", user_id), people_users.verifier, user_id)

    async def add_user(self, user: User, password: Verifier | None) -> None:
        """See `People.add_user`."""
        await self._directory.change(people_users.add_user, user, password, self._directory.now())

    async def change_user(self, user: User) -> None:
        """See `People.change_user`."""
        await self._directory.change(people_users.change_user, user, self._directory.now())

    async def set_user_password(self, user_id: UserId, password: Verifier) -> None:
        """See `People.set_user_password`."""
        await self._directory.change(people_users.set_user_password, user_id, password)

    async def remove_user(self, user_id: UserId) -> None:
        """See `People.remove_user`."""
        await self._directory.change(people_users.remove_user, user_id)

    async def members(self, domain: str) -> list[Member]:
        """See `People.members`."""
        return list(await self._directory.recall(("members", domain), people_members.members, domain))

    async def memberships(self, user_id: UserId) -> dict[str, Group]:
        """See `People.memberships`."""
        return dict(await self._directory.recall(("memberships", user_id), people_members.memberships, user_id))

    async def set_member(self, domain: str, user_id: UserId, group: Group) -> None:
        """See `People.set_member`."""
        await self._directory.change(people_members.set_member, domain, user_id, group)

    async def remove_member(self, domain: str, user_id: UserId) -> None:
        """See `People.remove_member`."""
        await self._directory.change(people_members.remove_member, domain, user_id)

    async def invites(self, domain: str) -> list[Invite]:
        """See `People.invites`."""
        return await self._directory.look_up(people_members.invites, domain, self._directory.now())

    async def put_invite(self, invite: Invite) -> None:
        """See `People.put_invite`."""
        await self._directory.change(people_members.put_invite, invite, self._directory.now())

    async def remove_invite(self, domain: str, address: str) -> Invite:
        """See `People.remove_invite`."""
        return await self._directory.change(people_members.remove_invite, domain, address)

    async def take_invite(self, domain: str, user_id: UserId, address: str, now: datetime) -> Invite:
        """See `People.take_invite`."""
        return await self._directory.change(people_members.take_invite, domain, user_id, address, now)

    async def tokens(self, user_id: UserId) -> list[ApiToken]:
        """See `People.tokens`."""
        return await self._directory.look_up(people_users.tokens, user_id)

    async def token(self, token_hash: bytes) -> tuple[User, ApiToken] | None:
        """See `People.token`."""
        return await self._directory.recall(("token", token_hash), people_users.token, token_hash)

    async def add_token(self, token: ApiToken, token_hash: bytes) -> None:
        """See `People.add_token`."""
        await self._directory.change(people_users.add_token, token, token_hash)

    async def remove_token(self, user_id: UserId, token_id: ObjectId) -> None:
        """See `People.remove_token`."""
        await self._directory.change(people_users.remove_token, user_id, token_id)

    async def note_token_use(self, token_ids: Sequence[ObjectId], day: str) -> None:
        """See `People.note_token_use`. A look first: nearly every use is not the first of its day."""
        if unnoted := await self._directory.look_up(people_users.unnoted_tokens, token_ids, day):
            await self._directory.change(people_users.note_token_use, unnoted, day)
