"""Every command of a client, as one frozen dataclass each.

Mailbox names are decoded text (from modified UTF-7 or UTF-8, by what is enabled), not yet normalised: that is for use
cases.
Where a command has a UID form, `by_uid` says which was used.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from mailstead.mime.ordering import SortCriterion
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import ModSeq, UidValidity
from mailstead.model.secret import Secret
from mailstead.proto.imap.types.fetch import FetchItem
from mailstead.proto.imap.types.search import PartialRange, ReturnOptions, ThreadAlgorithm, WireKey
from mailstead.proto.imap.types.sequence import SequenceSet

# any state


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY; answered by the connection. Spec: RFC 9051 §6.1.1."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP. Spec: RFC 9051 §6.1.2."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT; answered by the connection. Spec: RFC 9051 §6.1.3."""


@dataclass(frozen=True, slots=True)
class Id:
    """ID; None for ``ID NIL``. Spec: RFC 2971 §3.1."""

    fields: tuple[tuple[str, str | None], ...] | None = None


# not authenticated


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS. Spec: RFC 9051 §6.2.1."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE. Spec: RFC 9051 §6.2.2, RFC 4959 (SASL-IR)."""

    mechanism: str
    """In upper case."""
    initial_response: bytes | None = None
    """Decoded; the empty bytes for ``=``."""

    def __repr__(self) -> str:
        return f"Authenticate({self.mechanism!r}, ***)"


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN. Spec: RFC 9051 §6.2.3."""

    user: str
    password: Secret


# authenticated


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE; names in upper case. Spec: RFC 9051 §6.3.1, RFC 5161."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QresyncKnown:
    """The QRESYNC parameter of SELECT: what the client has. Spec: RFC 7162 §3.2.5."""

    uidvalidity: UidValidity
    modseq: ModSeq
    known_uids: SequenceSet | None = None
    """No ``*``, no ``$``."""
    matched_seqnums: SequenceSet | None = None
    matched_uids: SequenceSet | None = None
    """Pairs by position with `matched_seqnums`, equally long, both ascending. Spec: RFC 7162 §3.2.5.2."""


@dataclass(frozen=True, slots=True)
class Select:
    """SELECT, or with `is_examine` EXAMINE. Spec: RFC 9051 §6.3.2, §6.3.3; RFC 7162 §3.1.8."""

    mailbox: str
    is_examine: bool = False
    condstore: bool = False
    qresync: QresyncKnown | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """CREATE. Spec: RFC 9051 §6.3.4; RFC 6154 §3 (USE)."""

    mailbox: str
    """Without the delimiter that a client may put at its end."""
    special_uses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE. Spec: RFC 9051 §6.3.5."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Rename:
    """RENAME. Spec: RFC 9051 §6.3.6."""

    mailbox: str
    new_name: str


@dataclass(frozen=True, slots=True)
class Subscribe:
    """SUBSCRIBE, or UNSUBSCRIBE when not `is_subscribed`. Spec: RFC 9051 §6.3.7, §6.3.8."""

    mailbox: str
    is_subscribed: bool


class StatusItem(Enum):
    """What STATUS asks. Spec: RFC 9051 §6.3.11; RFC 7162 §3.1.7; RFC 7889 §5; RFC 8474 §4.3; RFC 9208 §4.1.4."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    DELETED_STORAGE = b"DELETED-STORAGE"
    SIZE = b"SIZE"
    HIGHESTMODSEQ = b"HIGHESTMODSEQ"
    APPENDLIMIT = b"APPENDLIMIT"
    MAILBOXID = b"MAILBOXID"


@dataclass(frozen=True, slots=True)
class List:
    """LIST, basic or extended. Spec: RFC 9051 §6.3.9, RFC 5258, RFC 5819 (STATUS), RFC 6154 (SPECIAL-USE)."""

    reference: str
    patterns: tuple[str, ...]
    is_extended: bool = False
    """Selection options, return options or a list of patterns were used."""
    select_subscribed: bool = False
    select_remote: bool = False
    select_recursive_match: bool = False
    select_special_use: bool = False
    return_subscribed: bool = False
    return_children: bool = False
    return_special_use: bool = False
    return_status: tuple[StatusItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Lsub:
    """LSUB. Spec: RFC 3501 §6.3.9."""

    reference: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE. Spec: RFC 9051 §6.3.10."""


@dataclass(frozen=True, slots=True)
class Status:
    """STATUS. Spec: RFC 9051 §6.3.11."""

    mailbox: str
    items: tuple[StatusItem, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """APPEND up to its first message; only ever inside `AppendBegin`. Spec: RFC 9051 §6.3.12, RFC 3502."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class Replace:
    """REPLACE up to its message; only ever inside `AppendBegin`. Spec: RFC 8508 §3."""

    number: int
    """Sequence number or UID; `STAR` for ``*``."""
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message of APPEND or REPLACE, before its literal. Spec: RFC 9051 §6.3.12."""

    size_octets: int
    flags: tuple[str, ...] = ()
    internaldate: datetime | None = None
    """Zone-aware."""
    is_synchronising: bool = True
    is_binary: bool = False
    """literal8: may hold NUL. Spec: RFC 3516 §4.4."""
    is_utf8: bool = False
    """``UTF8 (…)``. Spec: RFC 6855 §4."""


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE; answer with `begin_idle`, later `IdleDone` comes. Spec: RFC 9051 §6.3.13."""


@dataclass(frozen=True, slots=True)
class GetQuota:
    """GETQUOTA. Spec: RFC 9208 §4.1.1."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """GETQUOTAROOT. Spec: RFC 9208 §4.1.2."""

    mailbox: str


@dataclass(frozen=True, slots=True)
class SetQuota:
    """SETQUOTA. Spec: RFC 9208 §4.1.3."""

    root: str
    limits: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """GETMETADATA. Spec: RFC 5464 §4.2."""

    mailbox: str | None
    """None: the server's own annotations (``""``)."""
    entries: tuple[str, ...]
    max_size_octets: int | None = None
    depth: int | None = 0
    """0, 1, or None for infinity."""


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """SETMETADATA; None removes. Spec: RFC 5464 §4.3."""

    mailbox: str | None
    entries: tuple[tuple[str, bytes | None], ...]


class NotifyMailboxes(Enum):
    """Which mailboxes an event group is about. Spec: RFC 5465 §6."""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    MAILBOXES = "MAILBOXES"


class NotifyEvent(Enum):
    """Spec: RFC 5465 §5."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    ANNOTATION_CHANGE = "AnnotationChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


@dataclass(frozen=True, slots=True)
class NotifyGroup:
    """One event group. Spec: RFC 5465 §3.1."""

    scope: NotifyMailboxes
    names: tuple[str, ...] = ()
    """For SUBTREE and MAILBOXES."""
    events: frozenset[NotifyEvent] = frozenset()
    """Empty: NONE."""
    new_message_items: tuple[FetchItem, ...] = ()
    """What to FETCH of each new message (SELECTED only)."""


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY; no groups: NONE. Unknown events were refused already (BADEVENT). Spec: RFC 5465 §3."""

    groups: tuple[NotifyGroup, ...] = ()
    with_status: bool = False


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS DEFLATE. Spec: RFC 4978 §3."""


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """UNAUTHENTICATE. Spec: RFC 8437 §2."""


# selected


@dataclass(frozen=True, slots=True)
class Check:
    """CHECK. Spec: RFC 3501 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Close:
    """CLOSE. Spec: RFC 9051 §6.4.1."""


@dataclass(frozen=True, slots=True)
class Unselect:
    """UNSELECT. Spec: RFC 9051 §6.4.2."""


@dataclass(frozen=True, slots=True)
class Expunge:
    """EXPUNGE, or UID EXPUNGE with its set. Spec: RFC 9051 §6.4.3, §6.4.9."""

    uids: SequenceSet | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH. Spec: RFC 9051 §6.4.4."""

    key: WireKey
    by_uid: bool = False
    returns: ReturnOptions | None = None
    """None: the plain form, answered by ``* SEARCH`` (unless IMAP4rev2 is enabled)."""
    has_modseq: bool = False
    """A MODSEQ key stands in it: the answer carries MODSEQ. Spec: RFC 7162 §3.1.5."""
    has_charset: bool = False
    """It names its charset, which is refused after ENABLE UTF8=ACCEPT. Spec: RFC 6855 §3."""


@dataclass(frozen=True, slots=True)
class Sort:
    """SORT. Spec: RFC 5256 §3, RFC 5267 §3 (RETURN)."""

    criteria: tuple[SortCriterion, ...]
    key: WireKey
    by_uid: bool = False
    returns: ReturnOptions | None = None
    has_modseq: bool = False


@dataclass(frozen=True, slots=True)
class Thread:
    """THREAD. Spec: RFC 5256 §3."""

    algorithm: ThreadAlgorithm
    key: WireKey
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Fetch:
    """FETCH. Spec: RFC 9051 §6.4.5."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    """In the client's order, each once; macros resolved; UID is among them if `by_uid`, MODSEQ if `changed_since`."""
    by_uid: bool = False
    changed_since: ModSeq | None = None
    vanished: bool = False
    """Spec: RFC 7162 §3.2.6; only with `by_uid` and `changed_since`."""
    partial: PartialRange | None = None
    """Spec: RFC 9394 §3.4; only with `by_uid`."""


@dataclass(frozen=True, slots=True)
class Store:
    """STORE. Spec: RFC 9051 §6.4.6, RFC 7162 §3.1.3."""

    messages: SequenceSet
    operation: FlagOperation
    flags: tuple[str, ...]
    is_silent: bool = False
    by_uid: bool = False
    unchanged_since: ModSeq | None = None


@dataclass(frozen=True, slots=True)
class Copy:
    """COPY. Spec: RFC 9051 §6.4.7."""

    messages: SequenceSet
    mailbox: str
    by_uid: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """MOVE. Spec: RFC 9051 §6.4.8."""

    messages: SequenceSet
    mailbox: str
    by_uid: bool = False


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTls
    | Authenticate
    | Login
    | Enable
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | List
    | Lsub
    | Namespace
    | Status
    | Idle
    | GetQuota
    | GetQuotaRoot
    | SetQuota
    | GetMetadata
    | SetMetadata
    | Notify
    | Compress
    | Unauthenticate
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Sort
    | Thread
    | Fetch
    | Store
    | Copy
    | Move
)
"""What a `Request` carries. APPEND and REPLACE come as `AppendBegin` instead, as their messages are streamed."""
