"""Replies: single lines, and multi-line ones in pieces with their dots stuffed.

Spec: RFC 1939 §3 (replies have at most 512 octets; a multi-line reply ends with a line of one dot).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mailstead.proto.pop3.types import Code

REPLY_OCTETS_MAX: Final = 512
END: Final = b".\r\n"

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f]+")
_BARE_LF: Final = re.compile(rb"(?<!\r)\n")


def ok(text: str = "") -> bytes:
    """Write a success. Spec: RFC 1939 §3."""
    return _line(b"+OK ", text)


def err(text: str, code: Code = Code.NONE) -> bytes:
    """Write a refusal, with its response code. Spec: RFC 1939 §3, RFC 2449 §8."""
    return _line(b"-ERR " + code.value, text)


def lines(items: Iterable[str]) -> bytes:
    """Write lines that begin with a letter or digit of our own, so that no dot needs stuffing."""
    return "".join(f"{item}\r\n" for item in items).encode("ascii")


def _line(head: bytes, text: str) -> bytes:
    # Texts of errors may quote what the client said: it must not become a line of ours (attack row 5).
    room = REPLY_OCTETS_MAX - len(head) - 2
    body = _UNSAFE.sub(" ", text).encode("utf-8", "replace")[:room].decode("utf-8", "ignore").encode("utf-8")
    return (head + body).rstrip(b" ") + b"\r\n"


class DotStuffer:
    """Turns the octets of one message, piece by piece, into the lines of a multi-line reply.

    Spec: RFC 1939 §3. Whole pieces are searched by C code; a bare LF (an IMAP client may have appended it) becomes
    CRLF, as a line of a reply ends so.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"
        """The CRLF, or CR, at the end of the output so far: a dot or LF that begins the next piece belongs to it."""

    def stuff(self, piece: bytes) -> bytes:
        """Give a piece as it goes over the wire."""
        known = len(self._tail)
        out = self._tail + piece
        if out.count(b"\n") != out.count(b"\r\n"):
            out = _BARE_LF.sub(b"\r\n", out)
        out = out.replace(b"\r\n.", b"\r\n..")
        self._tail = b"\r\n" if out.endswith(b"\r\n") else b"\r" if out.endswith(b"\r") else b""
        return out[known:]

    def end(self) -> bytes:
        """Give the end of the reply."""
        return END if self._tail == b"\r\n" else b"\r\n" + END
