"""APPEND and REPLACE, piece by piece: their messages are streamed, never part of the command's octets.

Spec: RFC 9051 §6.3.12; RFC 3502 (MULTIAPPEND); RFC 8508 (REPLACE); RFC 3516 §4.4 (literal8); RFC 6855 §4 (UTF8)
"""

from __future__ import annotations

import re
from typing import Final

from mailstead.proto.imap.parse.cursor import Cursor, Refusal
from mailstead.proto.imap.types.commands import Append, AppendMessage, Replace
from mailstead.proto.imap.types.sequence import STAR

IS_APPEND: Final = re.compile(rb"[^ ]+ (?:APPEND|REPLACE|UID REPLACE) ", re.IGNORECASE)
"""Whether a line, tag included, begins a command whose literals may be messages."""

# The head of a message literal, at the end of its line
_MESSAGE: Final = re.compile(rb"(~?)\{(\d{1,20})(\+?)\}\r\n$")


def append_head(cursor: Cursor, verb: bytes) -> tuple[Append | Replace, AppendMessage]:
    """Take all that stands before the octets of the first message, its literal's head included.

    Errors: Incomplete, when the literal at the end belongs to the mailbox name.
    """
    command: Append | Replace
    if verb == b"APPEND":
        command = Append(cursor.mailbox())
    else:
        # replace = "REPLACE" SP seq-number SP mailbox append-message
        number = STAR if cursor.skip(b"*") else cursor.nz_number()
        cursor.space()
        command = Replace(number, cursor.mailbox(), by_uid=verb == b"UID REPLACE")
    return command, _message(cursor)


def append_next(cursor: Cursor, message: AppendMessage, *, is_multiple: bool) -> AppendMessage | None:
    """Take what follows the octets of a message: the head of the next one, or None at the end of the command."""
    if message.is_utf8:
        cursor.expect(b")")
    if cursor.at_end():
        return None
    if not is_multiple:
        raise cursor.fail("the end of the command")
    return _message(cursor)


def _message(cursor: Cursor) -> AppendMessage:
    # append-message = append-opts SP append-data ; append-opts = [SP flag-list] [SP date-time]
    cursor.space()
    flags: tuple[str, ...] = ()
    if cursor.peek() == b"(":
        flags = cursor.flag_list()
        cursor.space()
    internaldate = None
    if cursor.peek() == b'"':
        internaldate = cursor.date_time()
        cursor.space()
    # append-data =/ "UTF8" SP "(" literal8 ")"
    is_utf8 = cursor.data[cursor.position : cursor.position + 6].upper() == b"UTF8 ("
    if is_utf8:
        cursor.position += 6
    elif cursor.data[cursor.position : cursor.position + 9].upper() == b"CATENATE ":
        raise Refusal("CATENATE is not supported")
    match = cursor.match(_MESSAGE, "a message literal")
    if is_utf8 and not match.group(1):
        raise Refusal("UTF8 takes a literal8")
    return AppendMessage(
        size_octets=int(match.group(2)),
        flags=flags,
        internaldate=internaldate,
        is_synchronising=not match.group(3),
        is_binary=bool(match.group(1)),
        is_utf8=is_utf8,
    )
