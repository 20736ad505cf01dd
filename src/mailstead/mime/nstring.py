"""IMAP strings from octets, in the form that every client reads.

8-bit and control characters go into literals, which both revisions allow; a quoted string with UTF-8 would need
IMAP4rev2 or UTF8=ACCEPT, and these octets are stored once for all clients.

Spec: RFC 9051 §4.3, RFC 3501 §4.3.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

# RFC 9051 §9:  QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~]*")
_QUOTABLE: Final = re.compile(rb"[ -~]*")
_ATTRIBUTE_CHARS: Final = "!#$&+-.^_`{|}~"
"""Spec: RFC 2231 §7, attribute-char beside letters and digits."""


def nstring(value: bytes | None) -> bytes:
    """Write NIL, a quoted string or a literal; NUL, which no IMAP string can hold, becomes ``?``.

    Spec: RFC 9051 §4.3, §4.5.
    """
    if value is None:
        return b"NIL"
    if _PLAIN.fullmatch(value):
        return b'"%b"' % value
    if _QUOTABLE.fullmatch(value):
        return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    value = value.replace(b"\0", b"?")
    return b"{%d}\r\n%b" % (len(value), value)


def nstring_of(text: str | None) -> bytes:
    """The same from text, as UTF-8."""
    return nstring(None if text is None else text.encode())


def parameter_list(params: tuple[tuple[str, str], ...]) -> bytes:
    """Write body-fld-param; what is not ASCII is given as RFC 2231 wants it on the wire (``filename*``).

    Spec: RFC 9051 §9 (body-fld-param), RFC 2231 §4.
    """
    if not params:
        return b"NIL"
    words: list[bytes] = []
    for name, text in params:
        if text.isascii() and text.isprintable():
            words += (nstring_of(name), nstring_of(text))
        else:
            words += (nstring_of(name + "*"), nstring_of("utf-8''" + quote(text, safe=_ATTRIBUTE_CHARS)))
    return b"(%b)" % b" ".join(words)
