"""Replies: strings, and the lines OK, NO and BYE. Spec: RFC 5804 §1.2, §4."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mailstead.proto.managesieve.types import Code

QUOTED_OCTETS_MAX: Final = 1024
"""Spec: RFC 5804 §4 (quoted)."""

_SPECIALS: Final = re.compile(rb'(["\\])')
_UNQUOTABLE: Final = re.compile(rb"[\x00\r\n]")


def string(octets: bytes) -> bytes:
    """Write a string: quoted where it can be, else as a literal, so that nothing in it ends it (attack row 5).

    Spec: RFC 5804 §4 (string; literal-s2c).
    """
    if len(octets) <= QUOTED_OCTETS_MAX and not _UNQUOTABLE.search(octets):
        return b'"' + _SPECIALS.sub(rb"\\\1", octets) + b'"'
    return b"{%d}\r\n%b" % (len(octets), octets)


def ok(text: str = "", code: bytes = b"") -> bytes:
    """Write a success. Spec: RFC 5804 §1.2."""
    return _line(b"OK", text, code)


def no(text: str, code: Code = Code.NONE) -> bytes:
    """Write a refusal, with its response code. Spec: RFC 5804 §1.2, §1.3."""
    return _line(b"NO", text, code.value)


def bye(text: str, code: Code = Code.NONE) -> bytes:
    """Write the end. Spec: RFC 5804 §1.2."""
    return _line(b"BYE", text, code.value)


def capabilities(items: Iterable[tuple[str, str | None]]) -> bytes:
    """Write capabilities, a line each. Spec: RFC 5804 §2.4."""
    return b"".join(
        string(name.encode()) + (b" " + string(value.encode()) if value is not None else b"") + b"\r\n"
        for name, value in items
    )


def script_list(scripts: Iterable[tuple[str, bool]]) -> bytes:
    """Write names, the active one marked. Spec: RFC 5804 §2.7."""
    return b"".join(string(name.encode()) + (b" ACTIVE" if is_active else b"") + b"\r\n" for name, is_active in scripts)


def script(octets: bytes) -> bytes:
    """Write a script, always as a literal. Spec: RFC 5804 §2.9."""
    return b"{%d}\r\n%b\r\n" % (len(octets), octets)


def _line(word: bytes, text: str, code: bytes) -> bytes:
    line = word
    if code:
        line += b" (" + code + b")"
    if text:
        line += b" " + string(text.encode("utf-8", "replace"))
    return line + b"\r\n"
