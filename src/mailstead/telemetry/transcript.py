r"""Transcript of a conversation for debugging, with secrets removed. Off unless configured.

What is removed: everything behind AUTH, AUTHENTICATE, LOGIN, PASS, APOP and SETMETADATA (device tokens) in a line of
the client; all further lines of the client until the server has answered that command (SASL responses, literals with
user name and password); as a second net, any client line that is nothing but base64; and, in lines of the server, the
device tokens and credentials of the TURN server that METADATA tells. Lines are cut at `LINE_OCTETS_MAX`, so a
transcript is no copy of the mail.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LINE_OCTETS_MAX: Final = 512
REMOVED: Final = "[removed]"

# The verb may stand anywhere in the first words: an IMAP tag before it, stray blanks, a typing error.
# Better too much than too little.
_SECRET_VERB: Final = re.compile(rb"(?i)\b(?:AUTHENTICATE|AUTH|LOGIN|PASS|APOP|SETMETADATA)\b")
_IMAP_TAG: Final = re.compile(rb"\s*([^\s+*]+)\s")
_SECRET_DATA: Final = re.compile(rb"(?i)^\* METADATA .*?(?:/private/devicetoken|/vendor/deltachat/turn) ")
_BASE64_ONLY: Final = re.compile(rb"[A-Za-z0-9+/=]{8,}")
# A final answer of SMTP or POP3; 334 and "+ " ask for more.
_FINAL_REPLY: Final = re.compile(rb"[245]\d\d[ \r\n]|\+OK\b|-ERR\b")


class Transcript:
    """One conversation; `write` gets one line of text at a time, marked with ``C:`` or ``S:``."""

    __slots__ = ("_client_part", "_is_literal_secret", "_secret_tag", "_server_part", "_write")

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._client_part = b""
        self._server_part = b""
        self._is_literal_secret = False
        """The server's next line is the literal that a secret line has announced."""
        self._secret_tag: bytes | None = None
        """While a secret may come: the tag whose answer ends that, or the empty bytes where there are no tags."""

    def received(self, data: bytes) -> None:
        """Take octets of the client, in any cut."""
        *lines, self._client_part = (self._client_part + data).split(b"\n")
        for line in lines:
            self._write(f"C: {self._cleaned(line.rstrip(chr(13).encode()))}")
        if len(self._client_part) > LINE_OCTETS_MAX:
            # A line longer than any command: keep the beginning, which holds the verb, and forget the rest.
            self._client_part = self._client_part[:LINE_OCTETS_MAX]

    def sent(self, data: bytes) -> None:
        """Take octets of the server, in any cut."""
        *lines, self._server_part = (self._server_part + data).split(b"\n")
        for line in lines:
            self._look_for_answer(line)
            self._write(f"S: {self._cleaned_answer(line.rstrip(chr(13).encode()))}")
        self._server_part = self._server_part[:LINE_OCTETS_MAX]

    def _cleaned(self, line: bytes) -> str:
        if self._secret_tag is not None:
            return REMOVED
        verb = _SECRET_VERB.search(line, 0, LINE_OCTETS_MAX)
        if verb is not None:
            tag = _IMAP_TAG.match(line)
            self._secret_tag = tag.group(1) if tag is not None and tag.end() <= verb.start() else b""
            return f"{_printable(line[: verb.end()])} {REMOVED}"
        if _BASE64_ONLY.fullmatch(line):
            return REMOVED
        return _printable(line)

    def _cleaned_answer(self, line: bytes) -> str:
        secret = _SECRET_DATA.match(line)
        was_secret, self._is_literal_secret = self._is_literal_secret, secret is not None and line.endswith(b"}")
        if was_secret:
            return REMOVED
        return f"{_printable(line[: secret.end()])}{REMOVED}" if secret else _printable(line)

    def _look_for_answer(self, line: bytes) -> None:
        if self._secret_tag is None:
            return
        if self._secret_tag:
            is_answer = line.startswith(self._secret_tag + b" ")
        else:
            is_answer = _FINAL_REPLY.match(line) is not None
        if is_answer:
            self._secret_tag = None


def _printable(line: bytes) -> str:
    """Text without control characters (attack row 100), cut to a bounded length."""
    text = line[:LINE_OCTETS_MAX].decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return f"{text} [… {len(line)} octets]" if len(line) > LINE_OCTETS_MAX else text
