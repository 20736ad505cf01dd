"""What the directory holds of those who administer. Beside `Directory`, in the same file, in the same transactions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from mailstead.model.directory import Verifier
from mailstead.model.ids import AccountId
from mailstead.model.people import (
    AddressEntry,
    AddressProfile,
    ApiToken,
    AuditEntry,
    DomainEntry,
    DomainProfile,
    Factor,
    FactorKind,
    Group,
    Invite,
    Listing,
    Member,
    ObjectId,
    OidcLink,
    Page,
    User,
    UserId,
    WebSession,
)


class People(Protocol):
    """Users, members, invites, tokens; profiles of domains and addresses; the audit log.

    Errors of all verbs: StorageUnavailable; StorageFull (writing).
    """

    # users

    async def users(self, listing: Listing) -> Page[User]:
        """Users by address (sort: ``address``, ``created_at``)."""

    async def user(self, user_id: UserId) -> User | None:
        """One user by key."""

    async def user_of(self, address: str) -> User | None:
        """One user by address, lower case."""

    async def user_of_account(self, account_id: AccountId) -> User | None:
        """The user who is that account."""

    async def verifier(self, user_id: UserId) -> Verifier | None:
        """A user's own password; None where there is none, as of a user who is an account."""

    async def add_user(self, user: User, password: Verifier | None) -> None:
        """Insert if absent. Errors: UserExists (address or account), NoSuchAccount."""

    async def change_user(self, user: User) -> None:
        """Change all but key and `created_at`. Errors: NoSuchUser, UserExists."""

    async def set_user_password(self, user_id: UserId, password: Verifier) -> None:
        """Errors: NoSuchUser."""

    async def remove_user(self, user_id: UserId) -> None:
        """Errors: NoSuchUser; NotAllowed for the last enabled administrator of the server."""

    # members of domains

    async def members(self, domain: str) -> list[Member]:
        """By address of the user."""

    async def memberships(self, user_id: UserId) -> dict[str, Group]:
        """Domains of a user."""

    async def set_member(self, domain: str, user_id: UserId, group: Group) -> None:
        """Make or change a member. Errors: NoSuchDomain, NoSuchUser."""

    async def remove_member(self, domain: str, user_id: UserId) -> None:
        """His addresses in the domain become the domain's. Errors: NoSuchUser."""

    async def invites(self, domain: str) -> list[Invite]:
        """Those that have not run out, by address."""

    async def put_invite(self, invite: Invite) -> None:
        """Make an invite or replace it. Errors: NoSuchDomain, LimitReached."""

    async def remove_invite(self, domain: str, address: str) -> Invite:
        """Errors: NoSuchInvite."""

    async def take_invite(self, domain: str, user_id: UserId, address: str, now: datetime) -> Invite:
        """Turn an invite into membership, in one unit of work. Errors: NoSuchInvite, NoSuchUser."""

    # tokens

    async def tokens(self, user_id: UserId) -> list[ApiToken]:
        """By creation."""

    async def token(self, token_hash: bytes) -> tuple[User, ApiToken] | None:
        """Whose token has this SHA-256; None also for disabled users. Whether it has run out is the use case's."""

    async def add_token(self, token: ApiToken, token_hash: bytes) -> None:
        """Errors: NoSuchUser, LimitReached."""

    async def remove_token(self, user_id: UserId, token_id: ObjectId) -> None:
        """Errors: NoSuchToken."""

    async def note_token_use(self, token_ids: Sequence[ObjectId], day: str) -> None:
        """Write the day of the last use (ISO 8601); tokens that are gone are passed over."""

    # what the API names

    async def domain_entries(self, listing: Listing, names: Sequence[str] | None = None) -> Page[DomainEntry]:
        """All domains, or those of the names (sort: ``name``, ``created_at``, ``updated_at``); text: in the name."""

    async def domain_entry(self, name_or_id: str) -> DomainEntry | None:
        """By name (A-labels) or by object id."""

    async def set_domain_profile(self, name: str, profile: DomainProfile) -> None:
        """Set all but `object_id` and `created_at`. Errors: NoSuchDomain."""

    async def address_entries(
        self, domain: str, listing: Listing, *, user_id: UserId | None = None, target: str = "", local_part: str = ""
    ) -> Page[AddressEntry]:
        """Accounts and aliases of a domain; text: in name, description, labels.

        Sort: ``name``, ``created_at``, ``updated_at``.

        `user_id`: only that member's; `target`: only those that lead there; `local_part`: only that one.
        """

    async def address_entry(self, domain: str, name_or_id: str) -> AddressEntry | None:
        """By local part (any case) or by object id, within the domain."""

    async def address_entry_of_account(self, account_id: AccountId) -> AddressEntry | None:
        """By the account."""

    async def set_address_profile(self, domain: str, local_part: str, profile: AddressProfile) -> None:
        """Set all but `object_id` and `created_at`. Errors: NoSuchAddress."""

    # what was done

    async def note(self, entries: Sequence[AuditEntry]) -> None:
        """Add to the audit log; `entry_id` is given here."""

    async def audit(
        self, listing: Listing, *, domains: Sequence[str] | None = None, actor: str = "", verb: str = ""
    ) -> Page[AuditEntry]:
        """Newest first; of these domains only, of one actor, of verbs that begin so; text: in actor, verb or object."""

    async def forget_audit(self, before: datetime) -> int:
        """Remove what is older; how many there were."""

    # idempotency keys

    async def first_answer(self, caller: str, key: str, request_hash: bytes, now: datetime, until: datetime) -> bytes:
        """Claim a key for a request, or give the answer that was kept for it.

        Empty: it is claimed now, the caller goes on. Errors: TryAgainLater, when another is at it (for five minutes
        after its claim); IdempotencyMismatch, when the key was used for another request.
        """

    async def keep_answer(self, caller: str, key: str, answer: bytes) -> None:
        """Keep what a claimed request was answered; empty: give the claim up."""


class Factors(Protocol):
    """Second factors, sessions of browsers; by `model.people.owner_of`. Errors of all verbs: as `People`."""

    async def factors(self, owner: str) -> list[Factor]:
        """All factors of an owner, by creation."""

    async def passkey(self, credential_id: bytes) -> Factor | None:
        """Whose passkey that is."""

    async def add_factors(self, factors: Sequence[Factor]) -> None:
        """Add all or none. Errors: LimitReached; FactorExists for a credential id that is somebody's."""

    async def use_factor(self, factor_id: ObjectId, counter_before: int, counter: int, now: datetime) -> bool:
        """Note a use, if the counter still is what it was; whether it was (of two at once, one wins). Confirms it."""

    async def remove_factors(self, owner: str, factor_ids: Sequence[ObjectId] | None, kind: FactorKind | None) -> int:
        """Remove some, or all (of a kind); how many there were. A recovery code is used by removing it."""

    async def sessions(self, owner: str) -> list[WebSession]:
        """Those that have not run out, newest first."""

    async def session(self, token_hash: bytes) -> WebSession | None:
        """By SHA-256 of its token."""

    async def put_session(self, session: WebSession, token_hash: bytes) -> None:
        """Make a session, or give a new token to one that is there (a new id at every change of right, row 90)."""

    async def note_session_use(self, session_id: ObjectId, token_hash: bytes, seen_at: datetime, peer: str) -> None:
        """Write when and from where a session was used last; one that is gone or has another token is passed over."""

    async def remove_sessions(self, owner: str, session_ids: Sequence[ObjectId] | None = None) -> None:
        """End some, or all."""

    async def expire_sessions(self, now: datetime) -> int:
        """Remove what has run out."""

    async def oidc_owner(self, issuer: str, subject: str) -> str | None:
        """Who here is somebody of that provider."""

    async def link_oidc(self, issuer: str, subject: str, owner: str, now: datetime) -> None:
        """Errors: Conflict, when it is somebody else's, or the owner has another one of that provider."""

    async def unlink_oidc(self, owner: str, issuer: str) -> None:
        """Let go of the link, if there is one."""

    async def oidc_links(self, owner: str) -> list[OidcLink]:
        """Links of an owner, by provider."""
