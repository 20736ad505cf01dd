"""Messages: what is known about them, what is asked of them, what changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntFlag
from typing import NamedTuple

from mailstead.model.flags import Flags
from mailstead.model.ids import BlobId, EmailId, MailboxId, ModSeq, ThreadId, Uid, UidValidity
from mailstead.model.uidset import NO_UIDS, UidSet

Octets = bytes | bytearray | memoryview


class PartFacts(NamedTuple):
    """One MIME part by octet offsets into the whole message, as `mime` found it at append.

    Spec: RFC 2045, RFC 9051 §7.5.2 (BODYSTRUCTURE), §6.4.5.1 (section numbers).
    """

    number: str
    """Section number in IMAP's sense (``1.2``); the empty string for the message itself."""
    header_start: int
    body_start: int
    """First octet behind the part's header and its empty line."""
    body_end: int
    media_type: str
    """Lower-case ``type/subtype``, as labelled or as its default."""
    params: tuple[tuple[str, str], ...]
    """Content-Type parameters, decoded (RFC 2231), names in lower case."""
    encoding: str
    """Content-Transfer-Encoding in lower case; ``7bit`` when absent."""
    disposition: str | None
    disposition_params: tuple[tuple[str, str], ...]
    content_id: str | None
    description: str | None
    md5: str | None
    languages: tuple[str, ...]
    location: str | None
    line_count: int
    """Lines of the body, for text and message/rfc822 parts."""
    parent: int
    """Index of the enclosing part in the list; -1 for the message itself."""
    is_message: bool
    """A message/rfc822 or message/global part whose content was parsed."""


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """All that is computed once, at append. Made by `mime.facts.message_facts`.

    Units: offsets and sizes in octets.
    """

    size_octets: int
    header_octets: int
    """Length of the header with its empty line."""
    header_summary: bytes
    """What IMAP calls ENVELOPE, in that very syntax. Spec: RFC 9051 §7.5.2."""
    body_structure: bytes
    """BODYSTRUCTURE in that very syntax. Spec: RFC 9051 §7.5.2."""
    parts: tuple[PartFacts, ...]
    """Depth first; ``parts[0]`` is the message itself."""
    listed_header: bytes
    """The raw header fields that clients ask for in lists, in their order, each ending in CRLF."""
    message_id: str | None
    references: tuple[str, ...]
    """References, else In-Reply-To, normalised message-ids. Spec: RFC 5256 §3."""
    sent_at: datetime | None
    """The Date field in UTC; None when absent or unreadable."""
    sent_on: int | None
    """Day ordinal of the Date field in its own time zone, for SENTON."""
    subject: str
    base_subject: str
    """Spec: RFC 5256 §2.1."""
    is_reply: bool
    """Whether base_subject extraction removed a reply or forward mark. Spec: RFC 5256 §2.1."""
    sort_from: str
    sort_to: str
    sort_cc: str
    """Mailbox local part of the first address, case-folded. Spec: RFC 5256 §3."""
    display_from: str
    display_to: str
    """Spec: RFC 5957 §3."""
    preview: str
    """At most 200 characters. Spec: RFC 8970 §3."""


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message to append."""

    octets: Octets
    facts: MessageFacts
    internaldate: datetime
    """Time-zone aware."""
    flags: Flags = frozenset()


class Appended(NamedTuple):
    """Where a message went. Spec: RFC 4315 §3 (APPENDUID)."""

    uidvalidity: UidValidity
    uid: Uid
    email_id: EmailId
    modseq: ModSeq


class Copied(NamedTuple):
    """Which UIDs went where, pairwise in order. Spec: RFC 4315 §3 (COPYUID)."""

    uidvalidity: UidValidity
    source_uids: list[Uid]
    target_uids: list[Uid]


class Wanted(IntFlag):
    """Which columns of a message a reader needs beyond the narrow ones; others come as None."""

    NARROW = 0
    SUMMARY = 1
    STRUCTURE = 2
    PARTS = 4
    LISTED_HEADER = 8
    PREVIEW = 16
    ORDER = 32


class OrderFacts(NamedTuple):
    """What SORT and THREAD compare. Spec: RFC 5256, RFC 5957."""

    sent_at_s: int | None
    """Seconds since 1970, UTC."""
    base_subject: str
    is_reply: bool
    sort_from: str
    sort_to: str
    sort_cc: str
    display_from: str
    display_to: str
    message_id: str | None
    references: tuple[str, ...]


class MessageRecord(NamedTuple):
    """One message of a mailbox, as lists need it. Wide columns are None unless wanted."""

    uid: Uid
    modseq: ModSeq
    flags: Flags
    internaldate_s: int
    """Seconds since 1970, UTC."""
    zone_minutes: int
    """The zone in which internaldate was given."""
    savedate_s: int
    size_octets: int
    header_octets: int
    email_id: EmailId
    thread_id: ThreadId
    blob_id: BlobId
    header_summary: bytes | None = None
    body_structure: bytes | None = None
    parts: tuple[PartFacts, ...] | None = None
    listed_header: bytes | None = None
    preview: str | None = None
    order: OrderFacts | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """Some messages, newest first, and how many there are in all."""

    message_count: int
    messages: list[tuple[MailboxId, MessageRecord]]


class Mark(NamedTuple):
    """A place in lists that are newest first: by internaldate, then by the higher mailbox and UID."""

    internaldate_s: int
    mailbox_id: MailboxId
    uid: Uid


@dataclass(frozen=True, slots=True)
class Conversation:
    """The messages of one thread, in some mailboxes, as a list shows them. Spec: RFC 8474 §5.2 (THREADID)."""

    thread_id: ThreadId
    mark: Mark
    """Its newest message that matched: where it stands in the list."""
    message_count: int
    """Copies of one message count once."""
    unread_count: int
    """Of them, those that no copy of was read."""
    flags: Flags
    r"""All that some message has, but ``\Seen`` only if all have it."""
    has_attachment: bool
    oldest: MessageRecord
    newest: list[tuple[MailboxId, MessageRecord]]
    """The newest ones, each once, newest first; further ones are only counted."""


@dataclass(frozen=True, slots=True)
class ConversationPage:
    """Some conversations, newest first."""

    conversations: list[Conversation]
    has_more: bool
    unindexed_count: int = 0
    """Messages that the text index has not seen yet, so that a search may have missed them."""


class OctetRange(NamedTuple):
    """A piece of a blob: ``start`` included, ``stop`` not; clipped to the blob."""

    blob_id: BlobId
    start: int
    stop: int


class FlagChange(NamedTuple):
    """The flags of one message after a change."""

    uid: Uid
    flags: Flags
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Changes:
    """All that happened in one mailbox after a modseq, read at one moment."""

    highestmodseq: ModSeq
    """Of the mailbox, at the moment of reading: ask again with this."""
    changed: list[FlagChange] = field(default_factory=list)
    """New messages and new flags alike, by ascending UID."""
    vanished: UidSet = NO_UIDS
    """Expunged since; may name UIDs that the asker never saw. Spec: RFC 7162 §3.2.10."""
    message_count: int = 0
    uidnext: Uid = Uid(1)
    is_gone: bool = False
    """The mailbox was deleted, or its uidvalidity changed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What STORE did. Spec: RFC 9051 §6.4.6, RFC 7162 §3.1.3."""

    changed: list[FlagChange]
    """Messages whose flags now are as asked, changed or not, by ascending UID."""
    refused: UidSet = NO_UIDS
    """Not touched, as their modseq is above UNCHANGEDSINCE (MODIFIED)."""
