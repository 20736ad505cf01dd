"""Header fields written: addresses, texts, message ids; folded, and in encoded words where they are not ASCII.

Nothing that is written here can begin another field: control characters are refused.

Spec: RFC 5322 §2.2.3, §3.4, §3.6.4; RFC 2047 §5; RFC 6532 §3.2 (addresses in UTF-8).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.header import Header
from typing import Final

from mailstead.model.errors import BadMessage

VALUE_CHARACTERS_MAX: Final = 100_000
LINE_MAX: Final = 76

_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\u2028\u2029\ud800-\udfff]")
# RFC 5322 §3.2.3:  phrase of atoms; anything else is a quoted string
_PHRASE: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
# RFC 5322 §3.6.4:  msg-id = "<" id-left "@" id-right ">"
_MESSAGE_ID: Final = re.compile(r"<[!-;=?-~]{1,500}@[!-;=?-~]{1,400}>")


def checked_value(text: str) -> str:
    """Give a text that may stand in a header. Errors: BadMessage."""
    if len(text) > VALUE_CHARACTERS_MAX or _CONTROL.search(text):
        raise BadMessage("A header value has no line breaks or control characters, and is not endless")
    return text


def text_field(name: str, text: str) -> bytes:
    """Write an unstructured field. Spec: RFC 5322 §3.2.5, RFC 2047 §5 (1). Errors: BadMessage."""
    return f"{name}: {_encoded(checked_value(text), len(name) + 2)}\r\n".encode()


def _encoded(text: str, first: int) -> str:
    # What only looks like an encoded word is encoded too, or it would be decoded by others.
    charset = "us-ascii" if text.isascii() and "=?" not in text else "utf-8"
    return Header(text, charset, maxlinelen=LINE_MAX, header_name="x" * max(first - 2, 0)).encode(linesep="\r\n")


def address_field(name: str, people: Iterable[tuple[str, str]]) -> bytes:
    """Write a list of (display name, address); nothing for nobody. Spec: RFC 5322 §3.4. Errors: BadMessage."""
    lines = ",\r\n ".join(_mailbox(each, address) for each, address in people)
    return f"{name}: {lines}\r\n".encode() if lines else b""


def _mailbox(display_name: str, address: str) -> str:
    display_name = checked_value(display_name).strip()
    checked_value(address)
    if not display_name:
        return address
    if not display_name.isascii() or "=?" in display_name:
        return f"{_encoded(display_name, 10)} <{address}>"
    if not _PHRASE.fullmatch(display_name):
        escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
        display_name = f'"{escaped}"'
    return f"{display_name} <{address}>"


def id_field(name: str, message_ids: Iterable[str]) -> bytes:
    """Write message ids, each on a line; nothing for none. Spec: RFC 5322 §3.6.4. Errors: BadMessage."""
    written = list(message_ids)
    for each in written:
        if _MESSAGE_ID.fullmatch(each) is None:
            raise BadMessage(f"{name} is not a message id: <left@right>")
    lines = "\r\n ".join(written)
    return f"{name}: {lines}\r\n".encode() if lines else b""
