"""What mail does not tell on its way out, and what is not kept with it: the top header only, never that of a part.

Spec: reference chatmail, sections 5.6 and 7.4; attack row 104.
"""

from __future__ import annotations

from typing import Final

from mailstead.mime.header import fields

SUBJECT: Final = b"Subject: [...]\r\n"
"""The real one is inside the encryption."""

_NOT_SENT: Final = frozenset({b"received", b"x-originating-ip", b"x-mailer", b"user-agent"})
_NOT_STORED: Final = frozenset({b"received", b"dkim-signature", b"authentication-results"})


def outgoing(header: bytes) -> bytes:
    """Give the header without traces of the author's machine, and with the subject that all mail has."""
    return _changed(header, {**dict.fromkeys(_NOT_SENT, b""), b"subject": SUBJECT})


def stored(header: bytes) -> bytes:
    """Give the header without the traces of servers."""
    return _changed(header, dict.fromkeys(_NOT_STORED, b""))


def _changed(header: bytes, replacements: dict[bytes, bytes]) -> bytes:
    """Replace fields by others, or by nothing."""
    pieces: list[bytes] = []
    end = 0
    for field in fields(header):
        replacement = replacements.get(field.name)
        if replacement is not None:
            pieces += [header[end : field.start], replacement]
            line_end = 2 if header.startswith(b"\r\n", field.stop) else 1
            end = min(field.stop + line_end, len(header))
    pieces.append(header[end:])
    return b"".join(pieces)
