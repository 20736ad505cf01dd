"""Commands about the log-in and the account: LOGIN, AUTHENTICATE, ID, ENABLE, COMPRESS, quota, annotations, NOTIFY."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from typing import Final

from mailstead.model.secret import Secret
from mailstead.proto.imap.parse.cursor import Cursor, Refusal
from mailstead.proto.imap.parse.fetch import fetch_items
from mailstead.proto.imap.types.commands import (
    Authenticate,
    Compress,
    Enable,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Id,
    Login,
    Notify,
    NotifyEvent,
    NotifyGroup,
    NotifyMailboxes,
    SetMetadata,
    SetQuota,
)
from mailstead.proto.imap.types.events import Result
from mailstead.proto.imap.types.fetch import FetchItem
from mailstead.proto.imap.write import code

ID_FIELDS_MAX: Final = 30
"""Spec: RFC 2971 §3.3."""
NOTIFY_MAILBOXES_MAX: Final = 1000
ENTRIES_MAX: Final = 1000

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=]+")
_ENTRY: Final = re.compile(r"/(?:private|shared)(?:/[\x1a-$&-)+-.0-\x7f]+)+")


def decode_base64(octets: bytes) -> bytes:
    """Decode what a client sends in a SASL exchange. Spec: RFC 9051 §6.2.2, RFC 4648 §4 (strict)."""
    try:
        return a2b_base64(octets, strict_mode=True) if octets else b""
    except Base64Error:
        raise Refusal("That is not base64") from None


def login(cursor: Cursor) -> Login:
    """LOGIN. Spec: RFC 9051 §6.2.3."""
    user = cursor.text(cursor.astring())
    cursor.space()
    return Login(user, Secret(cursor.text(cursor.astring())))


def authenticate(cursor: Cursor) -> Authenticate:
    """AUTHENTICATE. Spec: RFC 9051 §6.2.2, RFC 4959 §4 (SASL-IR)."""
    mechanism = cursor.word("a mechanism").decode("ascii")
    if not cursor.skip(b" "):
        return Authenticate(mechanism)
    # initial-resp = (base64 / "=")
    response = cursor.match(_BASE64, "base64").group()
    return Authenticate(mechanism, b"" if response == b"=" else decode_base64(response))


def id_(cursor: Cursor) -> Id:
    """ID. Spec: RFC 2971 §3.1, §4."""
    # id_params_list = "(" *(string SP nstring) ")" / nil
    if cursor.data[cursor.position : cursor.position + 3].upper() == b"NIL":
        cursor.position += 3
        return Id()
    cursor.expect(b"(")
    fields: list[tuple[str, str | None]] = []
    while not cursor.skip(b")"):
        if fields:
            cursor.space()
        name = cursor.text(cursor.string())
        cursor.space()
        value = cursor.nstring()
        fields.append((name, None if value is None else cursor.text(value)))
        if len(fields) > ID_FIELDS_MAX:
            raise Refusal(f"At most {ID_FIELDS_MAX} fields")
    return Id(tuple(fields))


def enable(cursor: Cursor) -> Enable:
    """ENABLE. Spec: RFC 9051 §6.3.1."""
    names = [cursor.word().decode("ascii")]
    while cursor.skip(b" "):
        names.append(cursor.word().decode("ascii"))
    return Enable(tuple(names))


def compress(cursor: Cursor) -> Compress:
    """COMPRESS. Spec: RFC 4978 §3, §5."""
    if cursor.word("DEFLATE") != b"DEFLATE":
        raise Refusal("Only DEFLATE is known")
    return Compress()


def get_quota(cursor: Cursor) -> GetQuota:
    """GETQUOTA. Spec: RFC 9208 §4.1.1."""
    return GetQuota(cursor.text(cursor.astring()))


def get_quota_root(cursor: Cursor) -> GetQuotaRoot:
    """GETQUOTAROOT. Spec: RFC 9208 §4.1.2."""
    return GetQuotaRoot(cursor.mailbox())


def set_quota(cursor: Cursor) -> SetQuota:
    """SETQUOTA. Spec: RFC 9208 §4.1.3."""
    root = cursor.text(cursor.astring())
    cursor.expect(b" (")
    limits: list[tuple[str, int]] = []
    # setquota-list = "(" [setquota-resource *(SP setquota-resource)] ")"
    while not cursor.skip(b")"):
        if limits:
            cursor.space()
        name = cursor.word("a quota resource").decode("ascii")
        cursor.space()
        limits.append((name, cursor.number64()))
    return SetQuota(root, tuple(limits))


def get_metadata(cursor: Cursor) -> GetMetadata:
    """GETMETADATA. Spec: RFC 5464 §4.2, §5."""
    max_size, depth = None, 0
    # getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")" ; before the mailbox, as in the grammar
    if cursor.skip(b"("):
        max_size, depth = _metadata_options(cursor)
        cursor.space()
    mailbox = cursor.mailbox() or None
    cursor.space()
    # the examples of RFC 5464 §4.2.1 put the options behind the mailbox: both are taken
    entries: list[str] = []
    is_list = cursor.skip(b"(")
    if is_list and cursor.data[cursor.position : cursor.position + 1] not in {b"/", b'"', b"{"}:
        max_size, depth = _metadata_options(cursor)
        cursor.space()
        is_list = cursor.skip(b"(")
    entries.append(_entry(cursor))
    while is_list and not _closes(cursor):
        cursor.space()
        entries.append(_entry(cursor))
        if len(entries) > ENTRIES_MAX:
            raise Refusal(f"At most {ENTRIES_MAX} entries")
    return GetMetadata(mailbox, tuple(entries), max_size, None if depth < 0 else depth)


def _metadata_options(cursor: Cursor) -> tuple[int | None, int]:
    """Take the options behind their opening parenthesis; depth -1 is infinity."""
    max_size, depth = None, 0
    while True:
        match cursor.word("MAXSIZE or DEPTH"):
            case b"MAXSIZE":
                cursor.space()
                max_size = cursor.number()
            case b"DEPTH":
                cursor.space()
                word = cursor.word("0, 1 or infinity")
                if word not in {b"0", b"1", b"INFINITY"}:
                    raise Refusal("DEPTH is 0, 1 or infinity")
                depth = -1 if word == b"INFINITY" else int(word)
            case _:
                raise Refusal("Expected MAXSIZE or DEPTH")
        if cursor.skip(b")"):
            return max_size, depth
        cursor.space()


def set_metadata(cursor: Cursor) -> SetMetadata:
    """SETMETADATA. Spec: RFC 5464 §4.3, §5."""
    mailbox = cursor.mailbox() or None
    # entry-values = "(" entry-value *(SP entry-value) ")" ; value = nstring / literal8
    cursor.expect(b" (")
    entries: list[tuple[str, bytes | None]] = []
    while True:
        name = _entry(cursor)
        cursor.space()
        value = cursor.literal(is_literal8_allowed=True) if cursor.peek() in {b"~", b"{"} else cursor.nstring()
        entries.append((name, value))
        if len(entries) > ENTRIES_MAX:
            raise Refusal(f"At most {ENTRIES_MAX} entries")
        if _closes(cursor):
            return SetMetadata(mailbox, tuple(entries))
        cursor.space()


def _closes(cursor: Cursor) -> bool:
    """Go over the closing parenthesis; some clients put a space before it."""
    return cursor.skip(b")") or cursor.skip(b" )")


def _entry(cursor: Cursor) -> str:
    # entry = astring ; slash-separated path, MUST NOT contain "*" or "%", nor 8-bit or %x00-19, nor end with "/"
    name = cursor.astring().lower().decode("utf-8", "replace")
    if not _ENTRY.fullmatch(name):
        raise Refusal("An entry name is like /private/comment or /shared/comment")
    return name


_SCOPES: Final = {scope.value: scope for scope in NotifyMailboxes}
_EVENTS: Final = {event.value.upper(): event for event in NotifyEvent}


def notify(cursor: Cursor) -> Notify:
    """NOTIFY. Spec: RFC 5465 §3, §8."""
    # notify = "NOTIFY" SP (notify-set / notify-none) ; notify-set = "SET" [status-indicator] SP event-groups
    word = cursor.word("SET or NONE")
    if word == b"NONE":
        return Notify()
    if word != b"SET":
        raise Refusal("Expected SET or NONE")
    cursor.space()
    with_status = cursor.peek() != b"("
    if with_status:
        if cursor.word("STATUS") != b"STATUS":
            raise Refusal("Expected STATUS or an event group")
        cursor.space()
    groups = [_event_group(cursor)]
    while cursor.skip(b" "):
        groups.append(_event_group(cursor))
    scopes = [group.scope for group in groups]
    if sum(scope in {NotifyMailboxes.SELECTED, NotifyMailboxes.SELECTED_DELAYED} for scope in scopes) > 1:
        raise Refusal("SELECTED and SELECTED-DELAYED may be given once")
    return Notify(tuple(groups), with_status)


def _event_group(cursor: Cursor) -> NotifyGroup:
    # event-group = "(" filter-mailboxes SP events ")"
    cursor.expect(b"(")
    scope = _SCOPES.get(cursor.word("which mailboxes").decode("ascii"))
    if scope is None:
        raise Refusal("Unknown kind of mailboxes")
    cursor.space()
    names: list[str] = []
    if scope in {NotifyMailboxes.SUBTREE, NotifyMailboxes.MAILBOXES}:
        # one-or-more-mailbox = mailbox / many-mailboxes ; many-mailboxes = "(" mailbox *(SP mailbox) ")"
        is_list = cursor.skip(b"(")
        names.append(cursor.mailbox())
        while is_list and not cursor.skip(b")"):
            cursor.space()
            names.append(cursor.mailbox())
            if len(names) > NOTIFY_MAILBOXES_MAX:
                raise Refusal(f"At most {NOTIFY_MAILBOXES_MAX} mailboxes", Result.NO, b"NOTIFICATIONOVERFLOW")
        cursor.space()
    events, items = _events(cursor)
    cursor.expect(b")")
    # RFC 5465 §5: MessageNew and MessageExpunge go together; FlagChange needs both
    new, gone = NotifyEvent.MESSAGE_NEW in events, NotifyEvent.MESSAGE_EXPUNGE in events
    if new != gone or (NotifyEvent.FLAG_CHANGE in events and not new):
        raise Refusal("MessageNew and MessageExpunge go together, and FlagChange with both")
    if items and scope not in {NotifyMailboxes.SELECTED, NotifyMailboxes.SELECTED_DELAYED}:
        raise Refusal("FETCH items are for the selected mailbox only")
    return NotifyGroup(scope, tuple(names), events, items)


def _events(cursor: Cursor) -> tuple[frozenset[NotifyEvent], tuple[FetchItem, ...]]:
    # events = ("(" event *(SP event) ")") / "NONE"
    if not cursor.skip(b"("):
        if cursor.word("events or NONE") != b"NONE":
            raise Refusal("Expected events or NONE")
        return frozenset(), ()
    events: set[NotifyEvent] = set()
    items: tuple[FetchItem, ...] = ()
    while True:
        event = _EVENTS.get(cursor.word("an event").decode("ascii"))
        if event is None or event is NotifyEvent.ANNOTATION_CHANGE:
            known = [known.value for known in NotifyEvent if known is not NotifyEvent.ANNOTATION_CHANGE]
            raise Refusal("That event is not known here", Result.NO, code.badevent(known))
        events.add(event)
        # message-event = "MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"] / …
        if event is NotifyEvent.MESSAGE_NEW and cursor.skip(b" ("):
            cursor.position -= 1
            items = fetch_items(cursor)
        if cursor.skip(b")"):
            return frozenset(events), items
        cursor.space()
