"""Mailboxes: names, attributes and counters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Final

from mailstead.model.errors import BadMailboxName
from mailstead.model.ids import MailboxId, ModSeq, Uid, UidValidity
from mailstead.model.uidset import UidSet

DELIMITER: Final = "/"
INBOX: Final = "INBOX"
NAME_OCTETS_MAX: Final = 1000
DEPTH_MAX: Final = 50

SPECIAL_USES: Final = (
    "\\All",
    "\\Archive",
    "\\Drafts",
    "\\Flagged",
    "\\Junk",
    "\\Sent",
    "\\Trash",
    "\\Important",
)
"""Spec: RFC 6154 §2, RFC 8457 §3."""

DEFAULT_MAILBOXES: Final = (
    (INBOX, None),
    ("Archive", "\\Archive"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Sent", "\\Sent"),
    ("Trash", "\\Trash"),
)
"""Name and special_use of what a new account has."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """One mailbox and its counters at one moment. Spec: RFC 9051 §6.3.11, RFC 7162 §3.1.2, RFC 8438."""

    mailbox_id: MailboxId
    name: str
    """UTF-8 (NFC) with `DELIMITER`; INBOX in upper case."""
    uidvalidity: UidValidity
    uidnext: Uid
    highestmodseq: ModSeq
    message_count: int
    unseen_count: int
    deleted_count: int
    size_octets: int
    special_use: str | None = None
    is_subscribed: bool = False
    is_selectable: bool = True
    """False for a name that exists only because others lie below it (``\\NonExistent`` / ``\\NoSelect``)."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A mailbox and exactly the UIDs that were in it at the same moment, for SELECT."""

    mailbox: Mailbox
    uids: UidSet
    keywords: tuple[str, ...] = ()
    """Keywords in use or used before in this mailbox."""
    first_unseen_uid: Uid | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, and may hold (None: no limit). Counted in the same transaction as every change."""

    size_octets: int
    message_count: int
    mailbox_count: int
    quota_octets: int | None = None
    quota_messages: int | None = None


def normal_name(name: str) -> str:
    """Give the one form of a mailbox name: NFC, INBOX in upper case (also as first level).

    Only the ASCII letters of INBOX have a case here (RFC 9051 §5.1): ``ınbox`` is another name.
    Errors: BadMailboxName, for control characters, empty levels, too long or too deep names (attack row 51).
    """
    name = unicodedata.normalize("NFC", name)
    if not name or len(name.encode("utf-8", "surrogatepass")) > NAME_OCTETS_MAX:
        raise BadMailboxName(f"A mailbox name has 1 to {NAME_OCTETS_MAX} octets")
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in name):
        raise BadMailboxName("A mailbox name has no control characters")
    levels = name.split(DELIMITER)
    if not all(levels):
        raise BadMailboxName("A mailbox name has no empty level")
    if len(levels) > DEPTH_MAX:
        raise BadMailboxName(f"A mailbox name has at most {DEPTH_MAX} levels")
    if any(wildcard in name for wildcard in "*%"):
        raise BadMailboxName("A mailbox name has no * or %")
    if levels[0].isascii() and levels[0].upper() == INBOX:
        levels[0] = INBOX
    return DELIMITER.join(levels)
