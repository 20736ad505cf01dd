"""Sections of a message as ranges of its octets, and choosing header fields.

Spec: RFC 9051 §6.4.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal

from mailstead.model.message import PartFacts

What = Literal["", "HEADER", "TEXT", "MIME"]

_OF_THE_SUMMARY: Final = "from to cc bcc reply-to sender subject date message-id in-reply-to references"
_OF_THE_CONTENT: Final = "content-type content-transfer-encoding content-description content-language mime-version"
_OF_LISTS: Final = "list-id list-post list-unsubscribe list-unsubscribe-post list-subscribe list-help list-archive"
# Thunderbird, Apple Mail, mutt, K-9 and webmailers ask for these in lists.
_ASKED_FOR: Final = """
    x-priority priority importance x-msmail-priority precedence auto-submitted return-path delivered-to x-original-to
    user-agent x-mailer newsgroups organization lines disposition-notification-to return-receipt-to
    x-label x-keywords keywords x-status status resent-from resent-to resent-date resent-message-id
    mail-followup-to mail-reply-to x-spam x-spam-flag x-spam-status x-spam-score x-spam-level x-spamd-result x-bogosity
"""
# By which clients know their own again: K-9, Apple Mail, offlineimap, mbsync, Thunderbird.
_OF_CLIENTS: Final = """
    x-k9mail-identity x-uniform-type-identifier x-universally-unique-identifier x-offlineimap x-tuid
    x-mozilla-draft-info x-identity-key x-account-key fcc
"""
# Delta Chat looks at these before it downloads.
_OF_CHATS: Final = "chat-version chat-group-id chat-is-post-message autocrypt-setup-message secure-join"

LISTED_FIELDS: Final[frozenset[str]] = frozenset(
    f"{_OF_THE_SUMMARY} {_OF_THE_CONTENT} {_OF_LISTS} {_ASKED_FOR} {_OF_CLIENTS} {_OF_CHATS}".split()
)
"""Fields (lower case) that `MessageFacts.listed_header` holds: a request for these alone needs no blob."""

PickFields = Callable[[bytes], bytes]


def section_range(parts: Sequence[PartFacts], number: str, what: What) -> tuple[int, int] | None:
    """Give the octets [start, stop) of a section; None for a section that this message does not have.

    Spec: RFC 9051 §6.4.5.1.
    Shapes: `number` is ``""`` or dotted (``1.2``); `what` is ``""`` (the whole), or HEADER and TEXT of the message or
    of a message part, or MIME (of a part). For HEADER.FIELDS take HEADER and pick.
    """
    root = parts[0]
    if not number:
        if what == "HEADER":
            return root.header_start, root.body_start
        if what == "TEXT":
            return root.body_start, root.body_end
        return (root.header_start, root.body_end) if what == "" else None
    index = index_of(parts, number)
    if index is None:
        return None
    part = parts[index]
    if what == "":
        return part.body_start, part.body_end
    if what == "MIME":
        return part.header_start, part.body_start
    if not part.is_message:
        return None
    nested = parts[index + 1]
    return (nested.header_start, nested.body_start) if what == "HEADER" else (nested.body_start, nested.body_end)


def index_of(parts: Sequence[PartFacts], number: str) -> int | None:
    """Give the index of the part with this section number.

    ``1`` is the message itself when it is not a multipart; a number that names no part is None.
    """
    if number == "1" and not parts[0].media_type.startswith("multipart/"):
        return 0
    return next((index for index, part in enumerate(parts) if part.number == number), None) if number else None


def header_fields(header: bytes, names: Iterable[str], *, negate: bool = False) -> bytes:
    """Give the named fields of a header (or all others), in their order, with the empty line.

    Spec: RFC 9051 §6.4.5.1 (HEADER.FIELDS, HEADER.FIELDS.NOT).
    """
    return fields_picker(frozenset(name.lower() for name in names), negate=negate)(header)


@lru_cache(maxsize=256)
def fields_picker(names: frozenset[str], *, negate: bool = False) -> PickFields:
    """Make the function that picks these fields out of header octets, each ending in its own line end.

    Spec: RFC 9051 §6.4.5.1.
    Shapes: names in any case. The function is cheap (about 2 µs for a listed header) and kept for later calls.
    """
    alternatives = b"|".join(sorted(re.escape(name.lower().encode("utf-8", "replace")) for name in names))
    if negate:
        chosen = rb"(?!(?i:%b)[ \t]*:)[!-9;-~]+" % alternatives if names else rb"[!-9;-~]+"
    else:
        chosen = rb"(?i:%b)" % alternatives if names else rb"(?!)"
    # The line feed is searched for by memchr; the name is tried only behind one.
    find = re.compile(rb"\n(" + chosen + rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*)").findall

    def picked(header: bytes) -> bytes:
        found = find(b"\n" + header)
        return b"\n".join(found) + b"\n\r\n" if found else b"\r\n"

    return picked
