"""The lines in which SMTP, IMAP and POP3 carry SASL: base64, ``*`` to cancel, ``=`` for empty.

Spec: RFC 4954 §4 (SMTP), RFC 9051 §6.2.2 (IMAP), RFC 5034 §4 (POP3).
"""

from __future__ import annotations

import binascii
from typing import Final

from mailstead.proto.connection import RemoteProtocolError

LINE_OCTETS_MAX: Final = 12288
"""Spec: RFC 4954 §4: base64 lines of up to 12288 octets, without CRLF, must be taken."""


class SaslError(RemoteProtocolError):
    """The client's exchange cannot go on; the conversation can."""


class SaslSyntaxError(SaslError):
    """A line is not base64, or a message is not what its mechanism says."""


class SaslCancelled(SaslError):
    """The client has sent ``*``. Spec: RFC 9051 §6.2.2, RFC 4954 §4."""

    def __init__(self) -> None:
        super().__init__("Authentication cancelled")


class UnknownMechanism(SaslError):
    """The mechanism is none of ours."""

    def __init__(self) -> None:
        super().__init__("Unknown authentication mechanism")


def decode_response(line: bytes) -> bytes:
    """Give the octets of one client line (without CRLF).

    Spec: RFC 4954 §4, RFC 9051 §6.2.2.
    Errors: SaslCancelled for ``*``; SaslSyntaxError for anything but strict base64, and for lines over 12288 octets.
    """
    if line == b"*":
        raise SaslCancelled
    if len(line) > LINE_OCTETS_MAX:
        raise SaslSyntaxError("Authentication line too long")
    try:
        # strict: no foreign characters, no data after the padding, no bits left over (attack row 63)
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        raise SaslSyntaxError("Authentication line is not base64") from None


def decode_initial_response(argument: bytes) -> bytes:
    """Give the octets of an initial response; ``=`` stands for an empty one.

    Spec: RFC 4954 §4, RFC 4959 §3 (SASL-IR), RFC 5034 §4.
    Errors: as `decode_response`.
    """
    return b"" if argument == b"=" else decode_response(argument)


def encode_challenge(octets: bytes) -> bytes:
    """Give a challenge as base64, without CRLF and without ``334`` or ``+``. Spec: RFC 4954 §4, RFC 9051 §6.2.2."""
    return binascii.b2a_base64(octets, newline=False)
