"""STORE, COPY, MOVE and UID EXPUNGE. Spec: RFC 9051 §6.4."""

from __future__ import annotations

import re
from typing import Final

from mailstead.model.flags import FlagOperation, canonical
from mailstead.proto.imap.parse.cursor import Cursor, Refusal
from mailstead.proto.imap.types.commands import Copy, Expunge, Move, Store

# store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
_STORE_ITEM: Final = re.compile(rb"([+-]?FLAGS)(\.SILENT)? ", re.IGNORECASE)


def store(cursor: Cursor, *, by_uid: bool) -> Store:
    """STORE or UID STORE. Spec: RFC 9051 §6.4.6; RFC 7162 §3.1.3 (UNCHANGEDSINCE)."""
    messages = cursor.sequence_set()
    cursor.space()
    unchanged_since = None
    # store-modifier =/ "UNCHANGEDSINCE" SP mod-sequence-valzer
    if cursor.skip(b"("):
        if cursor.word("UNCHANGEDSINCE") != b"UNCHANGEDSINCE":
            raise Refusal("STORE knows the modifier UNCHANGEDSINCE only")
        cursor.space()
        unchanged_since = cursor.modseq()
        cursor.expect(b") ")
    item = cursor.match(_STORE_ITEM, "FLAGS, +FLAGS or -FLAGS")
    if cursor.peek() == b"(":
        flags = cursor.flag_list()
    else:
        several = [cursor.flag()]
        while cursor.skip(b" "):
            several.append(cursor.flag())
        flags = tuple(several)
    return Store(
        messages,
        FlagOperation(item.group(1).upper().decode("ascii")),
        tuple([canonical(flag) for flag in flags]),
        item.group(2) is not None,
        by_uid,
        unchanged_since,
    )


def copy(cursor: Cursor, *, by_uid: bool) -> Copy:
    """COPY or UID COPY. Spec: RFC 9051 §6.4.7."""
    messages = cursor.sequence_set()
    cursor.space()
    return Copy(messages, cursor.mailbox(), by_uid)


def move(cursor: Cursor, *, by_uid: bool) -> Move:
    """MOVE or UID MOVE. Spec: RFC 9051 §6.4.8."""
    messages = cursor.sequence_set()
    cursor.space()
    return Move(messages, cursor.mailbox(), by_uid)


def uid_expunge(cursor: Cursor) -> Expunge:
    """UID EXPUNGE. Spec: RFC 9051 §6.4.9, RFC 4315 §2.1."""
    return Expunge(cursor.sequence_set())
