"""Import from another provider: where from, what of it, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from mailstead.model.flags import Flags
from mailstead.model.ids import AccountId, Uid, UidValidity
from mailstead.model.people import ObjectId

IMAPS_PORT: Final = 993
IMAP_PORT: Final = 143


class RemoteSecurity(StrEnum):
    """How TLS comes to be; there is no third way. Spec: RFC 8314 §3.3, RFC 9051 §6.2.1."""

    TLS = "tls"
    STARTTLS = "starttls"


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """A mailbox elsewhere, without its password."""

    host: str
    username: str
    security: RemoteSecurity = RemoteSecurity.TLS
    port: int = 0
    """0: the usual one."""

    @property
    def real_port(self) -> int:
        """The port that is meant."""
        return self.port or (IMAPS_PORT if self.security is RemoteSecurity.TLS else IMAP_PORT)


@dataclass(frozen=True, slots=True)
class RemoteMailbox:
    """A mailbox as the other server lists it. Spec: RFC 9051 §7.3.1, RFC 6154 §2."""

    name: str
    """As it is called there, with the delimiter of that server."""
    levels: tuple[str, ...]
    special_use: str | None = None
    message_count: int = 0
    size_octets: int | None = None
    """None: nobody knows without asking for each message."""


class RemoteMessage(NamedTuple):
    """What is known of a message before its octets are fetched."""

    uid: Uid
    seqnum: int
    size_octets: int
    """As the other server says."""
    flags: Flags
    internaldate: datetime | None
    message_id: str | None
    """As `mime.facts` writes it."""
    labels: tuple[str, ...] = ()
    """Of servers that have labels and not folders (X-GM-LABELS)."""


class ImportStatus(StrEnum):
    """What becomes of an import."""

    WAITING = "waiting"
    """A worker takes it up when it is due."""
    RUNNING = "running"
    PAUSED = "paused"
    """It goes on when somebody says so."""
    DONE = "done"
    CANCELLED = "cancelled"


ENDED: Final = frozenset({ImportStatus.DONE, ImportStatus.CANCELLED})


class ImportReason(StrEnum):
    """Why an import does not run just now."""

    NONE = ""
    QUOTA = "quota"
    """The account is full."""
    REFUSED = "refused"
    """The other server refuses the log-in, or is not one that may be used."""
    UNREACHABLE = "unreachable"
    """The connection failed, or was lost."""
    LOCKED = "locked"
    """The account is sealed, and nobody has opened it."""
    HOUSE = "house"
    """Something here stands in the way, a full disk say."""


class NotTaken(NamedTuple):
    """A message (or, without UID, a mailbox) that was not imported, and why."""

    mailbox: str
    uid: Uid | None
    seqnum: int | None
    """Its number in the mailbox when it was looked at."""
    reason: str


@dataclass(frozen=True, slots=True)
class MailboxImport:
    """One mailbox of an import, and how far it is."""

    name: str
    """As it is called there."""
    target: str
    """What it is called here."""
    message_count: int = 0
    size_octets: int | None = None
    by_labels: bool = False
    """It holds everything there is, and labels say where each message goes; `target` means nothing then."""
    uidvalidity: UidValidity | None = None
    last_uid: Uid = Uid(0)
    """All up to here are settled."""
    imported_count: int = 0
    imported_octets: int = 0
    duplicate_count: int = 0
    """Were there already."""
    not_taken_count: int = 0
    is_done: bool = False

    @property
    def settled_count(self) -> int:
        """How many messages are done with, whichever way."""
        return self.imported_count + self.duplicate_count + self.not_taken_count


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import of one account; an account has one at most, the last one."""

    job_id: ObjectId
    account_id: AccountId
    server: RemoteServer
    created_at: datetime
    updated_at: datetime
    mailboxes: tuple[MailboxImport, ...]
    by_labels: bool = False
    """Mailboxes there are labels: a message that has several comes once."""
    status: ImportStatus = ImportStatus.WAITING
    reason: ImportReason = ImportReason.NONE
    text: str = ""
    """The reason, in words for people."""
    due_at: datetime | None = None
    """When it is tried next, of one that waits."""
    ended_at: datetime | None = None
    failure_count: int = 0
    """Attempts in a row that got nowhere."""
    sealed_password: bytes = field(default=b"", repr=False)
    """Encrypted; empty: there is none any more."""
    not_taken: tuple[NotTaken, ...] = ()
    """The first of them."""

    @property
    def message_count(self) -> int:
        """How many messages there are to look at."""
        return sum(each.message_count for each in self.mailboxes)

    @property
    def settled_count(self) -> int:
        """How many of them are done with."""
        return sum(each.settled_count for each in self.mailboxes)

    @property
    def imported_count(self) -> int:
        """How many came."""
        return sum(each.imported_count for each in self.mailboxes)

    @property
    def imported_octets(self) -> int:
        """What these are in octets."""
        return sum(each.imported_octets for each in self.mailboxes)

    @property
    def duplicate_count(self) -> int:
        """How many were there already."""
        return sum(each.duplicate_count for each in self.mailboxes)

    @property
    def not_taken_count(self) -> int:
        """How many could not be taken."""
        return sum(each.not_taken_count for each in self.mailboxes)

    @property
    def size_octets(self) -> int | None:
        """All there is to look at; None: unknown."""
        sizes = [each.size_octets for each in self.mailboxes]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def current(self) -> str:
        """The mailbox that is at its turn; empty: none."""
        return next((each.name for each in self.mailboxes if not each.is_done), "") if self.is_open else ""

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status not in ENDED
