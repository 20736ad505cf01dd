"""From words to octets: replies of the server, lines and message data of the client.

Spec: RFC 5321 §4.2 (replies), §4.5.2 (transparency); RFC 2034 §4; RFC 3461 §4 (xtext).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from functools import lru_cache
from typing import Final

from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.proto.connection import LocalProtocolError
from mailstead.proto.smtp.types import Reply

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]+")
_BARE_CR_OR_LF: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
# RFC 3461 §4:  xchar = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
_NOT_XCHAR: Final = re.compile(rb"[^!-*,-<>-~]")


@lru_cache(maxsize=512)
def reply_octets(reply: Reply) -> bytes:
    """Write a reply; texts never break the line, whatever is in them.

    Spec: RFC 5321 §4.2.1 (``250-`` on all lines but the last), RFC 2034 §4 (the enhanced code on each line).
    """
    lines = reply.lines or ("",)
    before = f"{reply.enhanced} " if reply.enhanced else ""
    written = [
        f"{reply.code}{' ' if index == len(lines) - 1 else '-'}{before}{_CONTROL.sub(' ', line)}"
        for index, line in enumerate(lines)
    ]
    return "\r\n".join([*written, ""]).encode("utf-8", "replace")


def command_octets(*words: str) -> bytes:
    """Write a command line. Errors: LocalProtocolError for a control character (attack row 5)."""
    line = " ".join(words)
    if _CONTROL.search(line):
        raise LocalProtocolError("A command has a control character")
    return line.encode() + b"\r\n"


def xtext(text: str) -> str:
    """Encode as xtext. Spec: RFC 3461 §4."""
    return _NOT_XCHAR.sub(lambda match: b"+%02X" % match.group()[0], text.encode()).decode("ascii")


def path(address: Address | None) -> str:
    """Write a reverse-path or forward-path. Spec: RFC 5321 §4.1.2."""
    return f"<{address}>" if address else "<>"


def mail_from(envelope: Envelope, extensions: Container[str]) -> bytes:
    """Write MAIL with those parameters that the server knows. Spec: RFC 5321 §4.1.1.2."""
    words = ["MAIL", f"FROM:{path(envelope.mail_from)}"]
    if envelope.size_octets is not None and "SIZE" in extensions:
        words.append(f"SIZE={envelope.size_octets}")
    if envelope.body != "7BIT" and ("8BITMIME" in extensions or "BINARYMIME" in extensions):
        words.append(f"BODY={envelope.body}")
    if envelope.smtputf8:
        words.append("SMTPUTF8")
    if envelope.require_tls and "REQUIRETLS" in extensions:
        words.append("REQUIRETLS")
    if "DSN" in extensions:
        if envelope.ret:
            words.append(f"RET={envelope.ret}")
        if envelope.envid:
            words.append(f"ENVID={xtext(envelope.envid)}")
    return command_octets(*words)


def rcpt_to(recipient: Recipient, extensions: Container[str]) -> bytes:
    """Write RCPT with its DSN parameters if the server knows them. Spec: RFC 5321 §4.1.1.3, RFC 3461 §4."""
    words = ["RCPT", f"TO:{path(recipient.address)}"]
    if "DSN" in extensions:
        if recipient.notify:
            words.append(f"NOTIFY={','.join(sorted(recipient.notify))}")
        if recipient.orcpt:
            kind, _, text = recipient.orcpt.partition(";")
            words.append(f"ORCPT={kind};{xtext(text)}")
    return command_octets(*words)


def only_crlf(octets: bytes) -> bytes:
    """Make every bare CR and bare LF a CRLF, so that nothing bare is ever sent on.

    Spec: RFC 5321 §2.3.8; attack rows 1 and 2.
    """
    if octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n"):
        return octets
    return _BARE_CR_OR_LF.sub(b"\r\n", octets)


def data_octets(octets: bytes) -> bytes:
    """Write a whole message for DATA: line ends made CRLF, dots stuffed, the final dot.

    Spec: RFC 5321 §4.5.2.
    """
    octets = only_crlf(octets).replace(b"\r\n.", b"\r\n..")
    if octets.startswith(b"."):
        octets = b"." + octets
    return octets + (b".\r\n" if octets.endswith(b"\r\n") or not octets else b"\r\n.\r\n")


def data_slices(octets: bytes, slice_octets: int) -> Iterator[bytes]:
    """Write a large message for DATA in pieces, together the same as `data_octets`.

    Spec: RFC 5321 §4.5.2.
    """
    octets = only_crlf(octets)
    start, is_line_start = 0, True
    while start < len(octets):
        stop = start + slice_octets
        if octets[stop - 1 : stop] == b"\r":
            stop += 1  # CR and its LF stay together, so that each piece can be stuffed by itself
        piece = octets[start:stop].replace(b"\r\n.", b"\r\n..")
        yield b"." + piece if is_line_start and piece.startswith(b".") else piece
        is_line_start = piece.endswith(b"\r\n")
        start = stop
    yield b".\r\n" if is_line_start else b"\r\n.\r\n"
