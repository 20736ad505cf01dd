"""What SEARCH asks, in model words. Built by faces, run by storage.

Spec: RFC 9051 §6.4.4, RFC 5032 (WITHIN), RFC 8514 (SAVEDATE), RFC 7162 §3.1.5 (MODSEQ), RFC 8474 §6.
Sequence numbers never get here: a session turns them into UIDs first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailstead.model.ids import EmailId, ModSeq, ThreadId
from mailstead.model.uidset import UidSet


class TextField(Enum):
    """Where a text is looked for."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    BCC = "bcc"
    SUBJECT = "subject"
    BODY = "body"
    """Decoded text of the text parts."""
    TEXT = "text"
    """Header (decoded) or body."""


class DateField(Enum):
    """Which date of a message is meant."""

    INTERNAL = "internaldate"
    SENT = "sent"
    SAVED = "savedate"


@dataclass(frozen=True, slots=True)
class Everything:
    """ALL."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Matches no message (an empty `SearchRes`, ``$`` before any search)."""


@dataclass(frozen=True, slots=True)
class Not:
    """NOT key."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """All keys match."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Some key matches (a chain of ORs is flattened)."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Uids:
    """The message is one of these."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class HasFlag:
    """A system flag or keyword is set."""

    flag: str


@dataclass(frozen=True, slots=True)
class Contains:
    """A substring, compared without case and accents' composition (i;unicode-casemap). Spec: RFC 9051 §6.4.4."""

    field: TextField
    text: str


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """A header field contains the text; the empty text means the field is there."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class HasAttachment:
    """Some part says that it is one (``Content-Disposition: attachment``); no key of IMAP, the API asks it."""


@dataclass(frozen=True, slots=True)
class OnDays:
    """The date's day, disregarding time and zone, lies in [first, last) of day ordinals; None is open."""

    field: DateField
    first: int | None
    stop: int | None


@dataclass(frozen=True, slots=True)
class Within:
    """Internal date at or after (YOUNGER), or at or before (OLDER), a moment in seconds since 1970."""

    at_or_after_s: int | None = None
    at_or_before_s: int | None = None


@dataclass(frozen=True, slots=True)
class SizeBetween:
    """LARGER n: above; SMALLER n: below; both exclusive."""

    above: int | None = None
    below: int | None = None


@dataclass(frozen=True, slots=True)
class ModSeqAtLeast:
    """MODSEQ n."""

    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class HasEmailId:
    """EMAILID x."""

    email_id: EmailId


@dataclass(frozen=True, slots=True)
class HasThreadId:
    """THREADID x."""

    thread_id: ThreadId


@dataclass(frozen=True, slots=True)
class SaveDateSupported:
    """SAVEDATESUPPORTED: true for every message here."""


SearchKey = (
    Everything
    | Nothing
    | Not
    | And
    | Or
    | Uids
    | HasFlag
    | Contains
    | HeaderContains
    | HasAttachment
    | OnDays
    | Within
    | SizeBetween
    | ModSeqAtLeast
    | HasEmailId
    | HasThreadId
    | SaveDateSupported
)
