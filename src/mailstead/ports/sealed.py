"""Sealed accounts: data keys that only their owners can unwrap, and the mail that waits until they do.

A sealed account is *open* in a process while that process holds its data key, and *locked* otherwise; then all verbs
of its store fail with AccountLocked. Mail for a locked account is sealed to its public key and waits, in the order in
which it came. `take_in` puts it into the store exactly once, whatever moment the process dies.

Errors of all verbs, beside those named: StorageUnavailable, StorageFull (writing verbs), NoSuchAccount, StoreDamaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from mailstead.model.directory import Verifier
from mailstead.model.ids import AccountId
from mailstead.model.message import NewMessage, Octets


class WrapKind(StrEnum):
    """From what the key comes that wraps a data key."""

    PASSWORD = "password"  # noqa: S105  # a word, not a password
    """A main password, by argon2id."""
    APP = "app"
    """The text of an app password."""
    APP_SCRAM = "app-scram"
    """The ClientKey of an app password, which SCRAM shows to the server. Spec: RFC 5802 §3."""
    RECOVERY = "recovery"
    """The recovery key."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """One way to unwrap a data key: what must be known to derive the wrapping key from a secret."""

    kind: WrapKind
    mark: str
    """Of the verifier whose password it is; of a recovery key its kind."""
    salt: bytes
    made_at: datetime
    iterations: int = 0
    memory_kib: int = 0
    """Of argon2id; nothing else is slow."""


@dataclass(frozen=True, slots=True)
class NewWrapping:
    """A wrapping, and the key (32 octets) that it is made with."""

    wrapping: Wrapping
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WaitingMail:
    """A message that waits, unsealed."""

    record_id: str
    facts: bytes = field(repr=False)
    """As they were given to `put`."""
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Filed:
    """Into which mailbox a message goes."""

    mailbox: str
    message: NewMessage = field(repr=False)
    creates: bool = False
    """A mailbox that is not there is made; otherwise INBOX takes the message."""
    special_use: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How much waits for an account."""

    message_count: int
    size_octets: int


class Sealed(Protocol):
    """Keys of sealed accounts, and what waits for them."""

    async def is_sealed(self, account_id: AccountId) -> bool:
        """Whether the directory says so; costs nothing, as a rule.

        While it is being sealed or unsealed the store may differ, which tells it by AccountLocked.
        """

    async def wrappings(self, account_id: AccountId) -> tuple[Wrapping, ...]:
        """All ways to unwrap its key; none for one that is not sealed."""

    def is_open(self, account_id: AccountId) -> bool:
        """Whether this process holds the key of a sealed account."""

    async def seal(self, account_id: AccountId, password: Verifier, wrappings: Sequence[NewWrapping]) -> None:
        """Wrap the key in these ways and forget the server's; `password` becomes the main one. It is open after it.

        One that is sealed already must be open; it keeps these wrappings only. Errors: AccountLocked.
        """

    async def unseal(self, account_id: AccountId, password: Verifier) -> None:
        """Let the server wrap the key again, and nobody else. Errors: AccountLocked."""

    async def open(self, account_id: AccountId, wrapping: Wrapping, key: bytes) -> bool:
        """Unwrap the key and hold it; False: that is not the key."""

    async def lock(self, account_id: AccountId) -> None:
        """Forget the key, and close what is open with it."""

    async def add_wrappings(self, account_id: AccountId, wrappings: Sequence[NewWrapping]) -> None:
        """Add ways; those of the same kind and mark are replaced. Nothing happens for one that is not sealed.

        Errors: AccountLocked.
        """

    async def remove_wrappings(self, account_id: AccountId, wrappings: Sequence[Wrapping]) -> None:
        """Remove ways, but never the last one that is left; nothing happens for those that are gone."""

    # mail that waits

    async def put(self, account_id: AccountId, facts: bytes, octets: Octets, quota_octets: int | None) -> None:
        """Seal a message for a locked account; when this returns, it survives a power cut.

        Watchers of `sealed_topic` are woken. Errors: OverQuota, by what `note_usage` said last and what waits.
        """

    async def check_room(self, account_id: AccountId, size_octets: int, quota_octets: int | None) -> None:
        """Errors: OverQuota, if a message of that size has no room."""

    async def note_usage(self, account_id: AccountId, size_octets: int) -> None:
        """Say how much the account's store holds, for while it is locked."""

    async def waiting(self, account_id: AccountId, octets_max: int) -> list[WaitingMail]:
        """Some of what waits, oldest first, one at least; no more when their size is above that. Errors: AccountLocked.

        What cannot be unsealed is left out and logged.
        """

    async def waiting_counts(self) -> dict[AccountId, Waiting]:
        """How much waits, by account."""

    async def take_in(self, account_id: AccountId, record_id: str, filed: Sequence[Filed], now: datetime) -> bool:
        """Append a message to its mailboxes in one unit of work, over quota too; False: that was done before.

        Errors: AccountLocked.
        """

    async def finished(self, account_id: AccountId, record_ids: Sequence[str]) -> None:
        """Remove what was taken in."""

    async def forget(self, account_id: AccountId) -> None:
        """Remove all that waits for an account that is gone."""


def sealed_topic(account_id: AccountId) -> AccountId:
    """Give the topic of mail that waits for a locked account."""
    return AccountId(f"sealed-{account_id}")
