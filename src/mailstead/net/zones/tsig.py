"""DNS messages signed with a shared key. No sockets; the time is an argument.

Spec: RFC 8945 §4.2 (record), §4.3 (what is signed), §5.2 (errors), §5.3 (answers), §6 (hmac-sha256).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from typing import Final, NamedTuple

from mailstead.net.dns_wire import name_of

_ANY: Final = 255
_TSIG: Final = 250
_FUDGE_S: Final = 300
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_POINTER: Final = 0xC0

ERRORS: Final = {
    16: "the key does not fit (BADSIG): is dns_provider.rfc2136_key right?",
    17: "the name server does not know the key (BADKEY): see dns_provider.rfc2136_key_name; its algorithm is "
    "hmac-sha256",
    18: "the clocks differ (BADTIME): set the clock of this server",
    22: "the name server cuts signatures short (BADTRUNC)",
}


class BadSignature(Exception):  # a fact, in the manner of dns_wire.BadAnswer
    """An answer is not signed as it should be, or says that our message was not."""


class TsigKey(NamedTuple):
    """A key of the name server, for HMAC-SHA256."""

    name: bytes
    """As on the wire, in lower case."""
    octets: bytes


class Signed(NamedTuple):
    """A message ready to go, and what its answer is checked against."""

    octets: bytes
    mac: bytes


def sign(message: bytes, key: TsigKey, now_s: int) -> Signed:
    """Add the record that signs a message. Spec: RFC 8945 §4.2, §4.3."""
    mac = _mac(key, message, now_s, b"")
    data = (
        _algorithm()
        + now_s.to_bytes(6)
        + struct.pack("!HH", _FUDGE_S, len(mac))
        + mac
        + message[:2]
        + struct.pack("!HH", 0, 0)
    )
    record = key.name + _RECORD.pack(_TSIG, _ANY, 0, len(data)) + data
    added = int.from_bytes(message[10:12]) + 1
    return Signed(message[:10] + added.to_bytes(2) + message[12:] + record, mac)


def check(answer: bytes, asked: Signed, key: TsigKey, now_s: int) -> None:
    """Check that an answer comes from who has the key, and to this very message. Spec: RFC 8945 §5.3.

    Errors: BadSignature.
    """
    try:
        _check(answer, asked, key, now_s)
    except (IndexError, struct.error):
        raise BadSignature("its answer cannot be read") from None


def _check(answer: bytes, asked: Signed, key: TsigKey, now_s: int) -> None:
    _, _, *counts = _HEADER.unpack_from(answer)
    position = _HEADER.size
    for _ in range(counts[0]):
        position = skip_name(answer, position) + 4
    last = kind = 0
    for _ in range(sum(counts[1:])):
        last = position
        after = skip_name(answer, position)
        kind, _, _, length = _RECORD.unpack_from(answer, after)
        position = after + _RECORD.size + length
    if kind != _TSIG:
        raise BadSignature("its answer is not signed")
    at = skip_name(answer, skip_name(answer, last) + _RECORD.size)
    time_s = int.from_bytes(answer[at : at + 6])
    fudge_s, size = struct.unpack_from("!HH", answer, at + 6)
    mac = answer[at + 10 : at + 10 + size]
    original_id = answer[at + 10 + size : at + 12 + size]
    error, other_size = struct.unpack_from("!HH", answer, at + 12 + size)
    other = answer[at + 16 + size : at + 16 + size + other_size]
    if error:
        raise BadSignature(ERRORS.get(error, f"the signature is refused ({error})"))
    unsigned = original_id + answer[2:10] + (counts[3] - 1).to_bytes(2) + answer[12:last]
    before = struct.pack("!H", len(asked.mac)) + asked.mac
    expected = _mac(key, unsigned, time_s, before, fudge_s, struct.pack("!HH", error, other_size) + other)
    if not hmac.compare_digest(expected, mac) or original_id != asked.octets[:2]:
        raise BadSignature("its answer is signed by another key")
    if abs(time_s - now_s) > fudge_s:
        raise BadSignature(ERRORS[18])


def _mac(
    key: TsigKey,
    message: bytes,
    time_s: int,
    before: bytes,
    fudge_s: int = _FUDGE_S,
    end: bytes = b"\0\0\0\0",
) -> bytes:
    """Spec: RFC 8945 §4.3.3 (TSIG variables); `end` is error and other data."""
    variables = key.name + struct.pack("!HI", _ANY, 0) + _algorithm() + time_s.to_bytes(6) + struct.pack("!H", fudge_s)
    return hmac.digest(key.octets, before + message + variables + end, hashlib.sha256)


def _algorithm() -> bytes:
    name = name_of("hmac-sha256")
    assert name is not None
    return name


def skip_name(octets: bytes, position: int) -> int:
    """Give where a name ends. Errors: IndexError. Spec: RFC 1035 §4.1.4."""
    while length := octets[position]:
        if length >= _POINTER:
            return position + 2
        position += 1 + length
    return position + 1
