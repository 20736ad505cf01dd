"""Users: who administers, how they come in, and the tokens with which programs act for them.

A user who is an account here has that account's password, and nothing of its own; others have one. What a user may do
is in the actor (`Actor.is_admin`, `groups`), made anew at each log-in and each use of a token.

A token acts for the user, never as the account: with it nobody reads the user's own mail, nor changes the password.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Final, Protocol

from mailstead.model.address import Address
from mailstead.model.directory import Account, Credentials, Verifier
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import (
    AuthenticationFailed,
    BadAddress,
    FactorNeeded,
    NoSuchUser,
    NotAllowed,
    PolicyRefused,
)
from mailstead.model.ids import AccountId
from mailstead.model.people import (
    OBJECT_ID_OCTETS,
    Listing,
    ObjectId,
    Page,
    User,
    UserId,
    owner_of,
)
from mailstead.model.secret import Secret
from mailstead.ports.clock import Clock
from mailstead.ports.storage import Storage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.audit import Audit
from mailstead.usecases.passwords import Passwords, fingerprint
from mailstead.usecases.tokens import Tokens

NAME_CHARACTERS_MAX: Final = 100
URL_CHARACTERS_MAX: Final = 1000
LOCALE_CHARACTERS_MAX: Final = 16
_SALT_OCTETS: Final = 16


class FactorsNeeded(Protocol):
    """Who is asked whether a password is enough (`usecases.factors`)."""

    async def needed(self, owner: str) -> bool:
        """Whether the owner (`model.people.owner_of`) has a second factor."""


class Users:
    """Users and their tokens. `close` waits for what is being written."""

    def __init__(
        self,
        storage: Storage,
        accounts: Accounts,
        passwords: Passwords,
        clock: Clock,
        audit: Audit,
        *,
        factors: FactorsNeeded | None = None,
    ) -> None:
        self._people = storage.people
        self._directory = storage.directory
        self._accounts = accounts
        self._passwords = passwords
        self._clock = clock
        self._audit = audit
        self._factors = factors
        self.tokens: Final = Tokens(storage, clock, audit)

    async def close(self) -> None:
        """Wait for what is being written."""
        await self.tokens.close()

    # coming in

    async def log_in(self, address: str, password: Secret, peer: Peer, service: str = "web") -> Actor:
        """Give the actor whose address and password these are; the owner of an account without further rights, too.

        Errors: as `check_password`; FactorNeeded, when the password is right and not enough.
        """
        actor = await self.check_password(address, password, peer, service)
        if self._factors is not None and await self._factors.needed(owner_of(actor.user_id, actor.account_id)):
            raise FactorNeeded
        self._audit.note(actor, "log-in.succeeded", actor.name, service=service)
        return actor

    async def check_password(self, address: str, password: Secret, peer: Peer, service: str) -> Actor:
        """Do the half of `log_in` that is about the password: whoever calls it asks for the second factor.

        Errors: AuthenticationFailed, one and the same for unknown and disabled users, after the same work (attack row
        62); also for app passwords, which are for mail programs; TooManyFailures; TryAgainLater; TlsTooOld.
        """
        user = await self._people.user_of(_key(address))
        if user is None or user.account_id is not None:
            actor = await self._accounts.log_in(address, password, peer, service)
            if actor.app_password_id is not None:
                await self._accounts.attempt_failed(address, peer, service)
                raise AuthenticationFailed(service=service)
            if user is None or not user.is_enabled or actor.account_id != user.account_id:
                return replace(actor, peer=peer.address)
            return await self._actor(user, peer.address, actor.account_id, actor.fingerprint)
        await self._accounts.begin_attempt(address, peer, service)
        verifier = await self._people.verifier(user.user_id) if user.is_enabled else None
        fitting = await self._passwords.matching(
            password,
            _credentials(user, verifier) if verifier is not None else None,
            before_check=lambda: self._accounts.check_attempt(address, peer, service),
        )
        if fitting is None:
            await self._accounts.attempt_failed(address, peer, service)
            raise AuthenticationFailed(service=service, peer=peer.address)
        self._accounts.attempt_succeeded(address, peer, service)
        return await self._actor(user, peer.address, None, fingerprint(fitting))

    async def act_with_token(self, token: Secret, peer: Peer) -> Actor:
        """Give the actor for whom a program acts.

        A token that is good is taken even from a network with failures, as 256 bits cannot be guessed; wrong ones are
        counted there (attack row 61).

        Errors: AuthenticationFailed, one and the same for unknown tokens, those that have run out, other networks and
        disabled users; TooManyFailures.
        """
        found = await self.tokens.find(token, peer)
        if found is None:
            # Not the token as a name: it may be a slip of a good one. Not one name for all: others would be slowed.
            name = f"token from {peer.address}"
            self._accounts.check_attempt(name, peer, "token")
            await self._accounts.attempt_failed(name, peer, "token")
            raise AuthenticationFailed(service="token", peer=peer.address)
        user, api_token = found
        return replace(await self._actor(user, peer.address, None, b""), token_id=api_token.token_id)

    async def actor_of(self, user: User, peer: str = "") -> Actor:
        """Give the actor for a user who is known otherwise (by a session, a passkey), with the rights of this moment.

        Errors: AuthenticationFailed for a disabled user.
        """
        if not user.is_enabled:
            raise AuthenticationFailed(user=user.address)
        mark = b""
        if user.account_id is not None:
            account = await self._directory.account(user.account_id)
            credentials = await self._directory.credentials(account.address) if account is not None else None
            if credentials is None:  # the account is gone, or switched off
                raise AuthenticationFailed(user=user.address)
            mark = fingerprint(credentials.password) if credentials.password is not None else b""
        elif (verifier := await self._people.verifier(user.user_id)) is not None:
            mark = fingerprint(verifier)
        return await self._actor(user, peer, user.account_id, mark)

    async def actor_of_owner(self, owner: str, peer: str = "") -> Actor:
        """Give the actor for an owner of sessions and factors (`model.people.owner_of`).

        Errors: AuthenticationFailed for one who is gone, or disabled.
        """
        kind, _, key = owner.partition(":")
        if kind == "u":
            user = await self._people.user(UserId(ObjectId(key)))
            if user is None:
                raise AuthenticationFailed(owner=owner)
            return await self.actor_of(user, peer)
        user = await self._people.user_of_account(AccountId(key))
        if user is not None and user.is_enabled:
            return await self.actor_of(user, peer)
        account = await self._directory.account(AccountId(key))
        credentials = await self._directory.credentials(account.address) if account is not None else None
        if account is None or credentials is None:
            raise AuthenticationFailed(owner=owner)
        mark = fingerprint(credentials.password) if credentials.password is not None else b""
        return Actor(account.account_id, account.address, fingerprint=mark, peer=peer)

    async def owner_at(self, address: Address) -> str:
        """Give who owns the sessions and factors of an address (`model.people.owner_of`). Errors: NoSuchUser."""
        found = await self._directory.find(address)
        if isinstance(found, Account):
            return owner_of(None, found.account_id)
        user = await self._people.user_of(address.key)
        if user is None:
            raise NoSuchUser
        return owner_of(user.user_id, user.account_id)

    async def _actor(self, user: User, peer: str, account_id: AccountId | None, mark: bytes) -> Actor:
        return Actor(
            account_id,
            Address.parse(user.address),
            is_admin=user.is_admin,
            fingerprint=mark,
            user_id=user.user_id,
            groups=await self._people.memberships(user.user_id),
            peer=peer,
        )

    # users

    async def create(
        self,
        actor: Actor,
        address: Address,
        password: Secret | None = None,
        *,
        is_admin: bool = False,
        given_name: str = "",
        family_name: str = "",
    ) -> User:
        """Make a user; one whose address is that of an account here is that account, and has its password.

        Errors: NotAllowed, UserExists; PolicyRefused for a password that cannot be, is missing, or is one too many.
        """
        actor.must_be_admin()
        found = await self._directory.find(address)
        account_id = found.account_id if isinstance(found, Account) else None
        if account_id is not None and password is not None:
            raise PolicyRefused("That address is an account here: its password is the user's, too")
        if account_id is None and password is None:
            raise PolicyRefused("That address is no account here: the user needs a password")
        user = User(_new_user_id(), address.key, is_admin=is_admin, account_id=account_id)
        user = _checked(replace(self._begun(user), given_name=given_name, family_name=family_name))
        await self._people.add_user(user, await self._verifier(password) if password is not None else None)
        self._audit.note(actor, "user.add", user.address, is_admin=_yes_no(is_admin))
        return user

    async def register(self, address: Address, password: Secret, peer: Peer) -> User:
        """Let somebody make a user of his own, without any right; only where registration is open (a setting).

        Of our own domains only who has an account can be a user, shown by its password: nobody learns who has one.
        Errors: UserExists, PolicyRefused; AuthenticationFailed, TooManyFailures (an address of ours).
        """
        verifier = None
        if await self._directory.domain(address.domain) is not None:
            owner = await self._accounts.log_in(str(address), password, peer, "web")
            if owner.app_password_id is not None or owner.account_id is None:
                raise AuthenticationFailed(service="web")
            user = User(_new_user_id(), address.key, account_id=owner.account_id)
        else:
            verifier = await self._verifier(password)
            user = User(_new_user_id(), address.key)
        user = self._begun(user)
        await self._people.add_user(user, verifier)
        actor = Actor(None, address, user_id=user.user_id, peer=peer.address)
        self._audit.note(actor, "user.register", user.address)
        return user

    async def add_invited(self, address: Address, password: Secret | None, peer: str) -> User:
        """Make the user for whom an invitation was; whoever calls has checked it. Errors: as `create`."""
        return await self.create(Actor(None, None, is_admin=True, label="invitation", peer=peer), address, password)

    async def get(self, actor: Actor, name: str) -> User:
        """Give a user by id or address: to administrators of the server, and to the user. Errors: NoSuchUser."""
        found = await self._people.user(UserId(ObjectId(name))) if "@" not in name else None
        if found is None:
            found = await self._people.user_of(_key(name))
        if found is None or not (actor.is_admin or found.user_id == actor.user_id):
            raise NoSuchUser
        return found

    async def list(self, actor: Actor, listing: Listing | None = None) -> Page[User]:
        """All users, by address. Errors: NotAllowed."""
        actor.must_be_admin()
        return await self._people.users(listing or Listing(limit=1000))

    async def change(self, actor: Actor, changed: User) -> User:
        """Change a user; what is the user's own to change are names, picture and locale.

        Errors: NoSuchUser; NotAllowed for other attributes, and for the last administrator of the server; UserExists
        (address); BadAddress, PolicyRefused.
        """
        before = await self.get(actor, changed.user_id)
        changed = _checked(replace(changed, account_id=before.account_id, created_at=before.created_at))
        is_theirs = (changed.address, changed.is_admin, changed.is_enabled) == (
            before.address,
            before.is_admin,
            before.is_enabled,
        )
        if not is_theirs:
            actor.must_be_admin()
        if changed.address != before.address:
            if before.account_id is not None:
                raise NotAllowed("A user who is an account has its address")
            changed = replace(changed, address=Address.parse(changed.address).key)
        changed = replace(changed, updated_at=self._clock.now().replace(microsecond=0))
        await self._people.change_user(changed)
        names = ("address", "is_admin", "is_enabled", "given_name", "family_name", "display_name", "avatar_url")
        differing = {
            name: str(getattr(changed, name)) for name in names if getattr(changed, name) != getattr(before, name)
        }
        self._audit.note(actor, "user.change", before.address, **differing)
        return changed

    async def enable(self, actor: Actor, name: str, *, is_enabled: bool) -> User:
        """Let a user in, or not any more. Errors: NoSuchUser, NotAllowed."""
        return await self.change(actor, replace(await self.get(actor, name), is_enabled=is_enabled))

    async def set_password(self, actor: Actor, name: str, password: Secret, old: Secret | None = None) -> None:
        """Set a user's password; who sets his own shows the old one.

        Errors: NoSuchUser; NotAllowed, also with a token; PolicyRefused; AuthenticationFailed, TooManyFailures (old).
        """
        user = await self.get(actor, name)
        if actor.token_id is not None and user.user_id == actor.user_id:
            raise NotAllowed("A token cannot change its user's password")
        if not actor.is_admin or user.user_id == actor.user_id:
            if old is None:
                raise NotAllowed("The old password is needed, too")
            await self.check_password(user.address, old, Peer(actor.peer, 0), "web")
        if user.account_id is not None:
            address = Address.parse(user.address)
            await self._accounts.set_password(actor, address, password, old)
            return
        await self._people.set_user_password(user.user_id, await self._verifier(password))
        self._audit.note(actor, "user.password", user.address)

    async def remove(self, actor: Actor, name: str) -> None:
        """Remove a user, with tokens and memberships; the account that the user may be stays.

        Errors: NoSuchUser; NotAllowed, also for the last administrator of the server.
        """
        user = await self.get(actor, name)
        actor.must_be_admin()
        await self._people.remove_user(user.user_id)
        self._audit.note(actor, "user.remove", user.address)

    def _begun(self, user: User) -> User:
        now = self._clock.now().replace(microsecond=0)
        return replace(user, created_at=now, updated_at=now)

    async def _verifier(self, password: Secret) -> Verifier:
        # The salt is not kept: no SCRAM here, and its keys then tell nothing but that the password is another.
        return await self._passwords.make_verifier(password, secrets.token_bytes(_SALT_OCTETS), 1)


def _checked(user: User) -> User:
    """Errors: PolicyRefused."""
    for text in (user.given_name, user.family_name, user.display_name):
        if len(text) > NAME_CHARACTERS_MAX or not (text + " ").isprintable():
            raise PolicyRefused(f"A name has at most {NAME_CHARACTERS_MAX} printable characters")
    if user.avatar_url and not (
        user.avatar_url.startswith("https://")
        and user.avatar_url.isprintable()
        and len(user.avatar_url) <= URL_CHARACTERS_MAX
    ):
        raise PolicyRefused("A picture's address begins with https://")
    if len(user.locale) > LOCALE_CHARACTERS_MAX or not user.locale.replace("-", "").isalnum():
        raise PolicyRefused("A locale is written en or pt-BR")
    return user


def _credentials(user: User, verifier: Verifier) -> Credentials:
    """Give a user's own password in the form in which passwords are checked."""
    return Credentials(Account(AccountId(user.user_id), Address.parse(user.address)), b"", 1, verifier)


def _key(address: str) -> str:
    try:
        return Address.parse(address.strip()).key
    except BadAddress:
        return ""


def _new_user_id() -> UserId:
    return UserId(ObjectId(secrets.token_hex(OBJECT_ID_OCTETS)))


def _yes_no(is_so: bool) -> str:
    return "yes" if is_so else "no"
