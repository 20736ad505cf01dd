"""Trace fields: what we write in front of a message, and what we read of those who had it before us.

Spec: RFC 5321 §4.4 (Return-Path, Received), RFC 3848 and RFC 6531 §4.3 (words behind ``with``), RFC 9228
(Delivered-To).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Peer

MESSAGE_ID_CHARACTERS_MAX: Final = 300
_TRACE: Final = re.compile(
    rb"^(received|delivered-to|x-original-to|message-id)[ \t]*:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Hop:
    """What we know about the way from the client to us."""

    peer: Peer
    helo: str
    hostname: str
    """Our own name."""
    is_extended: bool
    is_authenticated: bool
    is_smtputf8: bool

    @property
    def protocol(self) -> str:
        """The word behind ``with``.

        Spec: RFC 3848 (ESMTP, then S for TLS, A for AUTH), RFC 6531 §4.3 (UTF8SMTP…).
        """
        if not self.is_extended:
            return "SMTP"
        word = "UTF8SMTP" if self.is_smtputf8 else "ESMTP"
        return word + ("S" if self.peer.is_encrypted else "") + ("A" if self.is_authenticated else "")


def received(hop: Hop, queue_id: str, rcpt_to: Address | None, at: datetime) -> str:
    """Write a Received field, folded, with its CRLF.

    A submission tells neither the address nor the name of the author's machine: that is the author's own affair
    (RFC 5321 §7.6 knows the concern), the log has it, and ``from`` stays in the grammar with a name that cannot exist.
    ``for`` names only the recipient of this copy, so that no blind copy shows; None: a copy for several.

    Spec: RFC 5321 §4.4 (Time-stamp-line).
    """
    if hop.is_authenticated:
        source = "submission.invalid"
    else:
        address = hop.peer.address
        source = f"{hop.helo} ([{'IPv6:' if ':' in address else ''}{address}])"
    tls = f" ({hop.peer.tls_version} {hop.peer.tls_cipher})" if hop.peer.is_encrypted else ""
    to = f"\r\n\tfor <{rcpt_to}>; " if rcpt_to else ";\r\n\t"
    return (
        f"Received: from {source}\r\n"
        f"\tby {hop.hostname} with {hop.protocol}{tls} id {queue_id}{to}{_date(at.replace(microsecond=0))}\r\n"
    )


@lru_cache(maxsize=4)
def _date(at: datetime) -> str:
    return format_datetime(at)


def return_path(mail_from: Address | None) -> str:
    """Write a Return-Path field. Spec: RFC 5321 §4.4 (Return-path-line)."""
    return f"Return-Path: <{mail_from or ''}>\r\n"


def delivered_to(address: Address) -> str:
    """Write a Delivered-To field. Spec: RFC 9228 §4."""
    return f"Delivered-To: {address}\r\n"


def original_to(address: Address) -> str:
    """Write an X-Original-To field: through which address of ours a forwarded copy went."""
    return f"X-Original-To: {address}\r\n"


@dataclass(frozen=True, slots=True)
class Trace:
    """What earlier hops have left in a header."""

    received_count: int
    delivered_to: frozenset[str]
    """In the form of `Address.key`, as far as they are addresses."""
    original_to: frozenset[str]
    """Addresses through which it was sent on, in the same form."""
    message_id: str = ""
    """Without its brackets; empty if there is none."""


def read(header: bytes) -> Trace:
    """Read the trace fields of a header, and the name of the message.

    Spec: RFC 5321 §6.3 (loop detection), RFC 9228 §5; attack row 18.
    """
    received_count = 0
    delivered: set[str] = set()
    original: set[str] = set()
    message_id = ""
    for name, value in _TRACE.findall(header):
        if len(name) == len("received"):
            received_count += 1
        elif len(name) == len("message-id"):
            message_id = message_id or value.decode("ascii", "replace").strip("<> \t")[:MESSAGE_ID_CHARACTERS_MAX]
        else:
            named = delivered if len(name) == len("delivered-to") else original
            named.add(value.decode("utf-8", "replace").strip().strip("<>").casefold())
    return Trace(received_count, frozenset(delivered), frozenset(original), message_id)
