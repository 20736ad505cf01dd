"""Mailbox names in modified UTF-7, both ways. Spec: RFC 3501 §5.1.3."""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Final

_SHIFTED: Final = re.compile(r"[^\x20-\x7e]+|&")
_UNSHIFTED: Final = re.compile(rb"&([^-]*)-")
_PLAIN: Final = re.compile(rb"[\x20-\x7e]*")


class BadName(ValueError):
    """Octets that are no mailbox name in the encoding that is in force (attack row 51)."""


def encode(name: str) -> bytes:
    """Write a name in modified UTF-7. Names come from the store, so they hold no lone surrogates."""
    return _SHIFTED.sub(_shift, name).encode("ascii")


def decode(octets: bytes) -> str:
    """Read a name in modified UTF-7; only the one canonical spelling of a name is taken.

    Spec: RFC 3501 §5.1.3 ("MUST NOT" superfluous shifts or printable ASCII in base64): one mailbox has one spelling.
    Errors: BadName.
    """
    if not _PLAIN.fullmatch(octets):
        raise BadName("A mailbox name has octets that modified UTF-7 does not have")
    if b"&" not in octets:
        return octets.decode("ascii")
    try:
        parts: list[str] = []
        end = 0
        for shift in _UNSHIFTED.finditer(octets):
            parts.extend((octets[end : shift.start()].decode("ascii"), _unshift(shift.group(1))))
            end = shift.end()
        name = "".join(parts) + octets[end:].decode("ascii")
        is_canonical = encode(name) == octets
    except (Base64Error, UnicodeError):
        is_canonical = False
    if not is_canonical:
        raise BadName("A mailbox name is no valid modified UTF-7")
    return name


def decode_utf8(octets: bytes) -> str:
    """Read a name in UTF-8, once UTF8=ACCEPT or IMAP4rev2 is enabled.

    Spec: RFC 6855 §3, RFC 9051 §5.1 (a server accepts no other encoding then).
    Errors: BadName, also for cut sequences (CVE-2020-7046).
    """
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadName("A mailbox name is no valid UTF-8") from None


def _shift(run: re.Match[str]) -> str:
    text = run.group()
    if text == "&":
        return "&-"
    base64 = b2a_base64(text.encode("utf-16-be"), newline=False).rstrip(b"=").replace(b"/", b",")
    return f"&{base64.decode('ascii')}-"


def _unshift(base64: bytes) -> str:
    if not base64:
        return "&"
    padding = b"=" * (-len(base64) % 4)
    return a2b_base64(base64.replace(b",", b"/") + padding, strict_mode=True).decode("utf-16-be")
