"""OpenPGP by its outside: armor and the headers of packets, read as a stream; no packet is looked into.

Spec: RFC 9580 §4.2 (packet headers, old and new), §6.2 (armor); RFC 4880 §4.2.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from typing import Final

from mailstead.model.message import Octets

PUBLIC_KEY_SESSION_KEY: Final = 1
SYMMETRIC_KEY_SESSION_KEY: Final = 3
INTEGRITY_PROTECTED_DATA: Final = 18
"""Packet types. Spec: RFC 9580 §5."""

PACKETS_MAX: Final = 10_000
"""More than ten for each recipient that a message can have; without a bound, tiny packets would cost minutes."""
ARMOR_HEADERS_MAX: Final = 20

_BEGIN: Final = b"-----BEGIN PGP MESSAGE-----\r\n"
_END: Final = b"-----END PGP MESSAGE-----"
_CHUNK_OCTETS: Final = 1 << 18
_ARMOR_HEADER: Final = re.compile(rb"[A-Za-z0-9-]{1,64}: [^\r\n]{0,1000}\r\n")
_CHECKSUM: Final = re.compile(rb"\r\n=[A-Za-z0-9+/]{4}\Z")


class Flaw(ValueError):
    """What is wrong, in words that may be shown."""


def check_encrypted(armored: Octets, *, takes_armor_headers: bool) -> None:
    """Check that an armored message is nothing but session keys and integrity protected data behind them.

    The checksum may be missing (RFC 9580 §6.1 lets it), padded data or not. Cost: linear, and some hundred kilobytes
    of memory, whatever the size.
    Errors: Flaw.
    """
    packets = _Packets()
    for octets in _dearmored(armored, takes_headers=takes_armor_headers):
        packets.feed(octets)
    packets.finish()


def _dearmored(armored: Octets, *, takes_headers: bool) -> Iterator[bytes]:
    """Give what is in an armor. Errors: Flaw."""
    with memoryview(armored) as whole:
        stop = _without_line_ends(whole, 0, len(whole))
        if whole[: len(_BEGIN)].tobytes() != _BEGIN:
            raise Flaw("the armor does not begin with BEGIN PGP MESSAGE")
        start = len(_BEGIN)
        if stop - len(_END) < start or whole[stop - len(_END) : stop].tobytes() != _END:
            raise Flaw("the armor does not end with END PGP MESSAGE")
        stop -= len(_END)
        start = _behind_headers(bytes(whole[start : min(stop, start + 32 * 1024)]), start, takes_headers=takes_headers)
        stop = _without_line_ends(whole, start, stop)
        tail = bytes(whole[max(start, stop - 7) : stop])
        if _CHECKSUM.search(tail):
            stop -= 7
        yield from _from_base64(whole[start:stop])


def _without_line_ends(whole: memoryview, start: int, stop: int) -> int:
    while stop >= start + 2 and whole[stop - 2 : stop].tobytes() == b"\r\n":
        stop -= 2
    return stop


def _behind_headers(head: bytes, start: int, *, takes_headers: bool) -> int:
    """Give where the data begins: behind armor headers, if they are taken, and empty lines. Errors: Flaw."""
    at = 0
    for _ in range(ARMOR_HEADERS_MAX):
        found = _ARMOR_HEADER.match(head, at)
        if found is None:
            break
        if not takes_headers:
            raise Flaw("the armor has headers")
        at = found.end()
    while head.startswith(b"\r\n", at):
        at += 2
    return start + at


def _from_base64(view: memoryview) -> Iterator[bytes]:
    """Decode strictly: nothing but the alphabet and line ends, padding at the very end. Errors: Flaw."""
    rest, has_ended = b"", False
    for start in range(0, len(view), _CHUNK_OCTETS):
        characters = rest + view[start : start + _CHUNK_OCTETS].tobytes().translate(None, b"\r\n")
        whole = len(characters) & ~3
        rest = characters[whole:]
        if not characters:
            continue
        if has_ended:
            raise Flaw("the base64 goes on behind its end")
        has_ended = b"=" in characters[:whole]
        yield _decoded(characters[:whole])
    if rest:
        raise Flaw("the base64 is cut short")


def _decoded(characters: bytes) -> bytes:
    try:
        return binascii.a2b_base64(characters, strict_mode=True) if characters else b""
    except binascii.Error:
        raise Flaw("the armor holds no base64") from None


class _Packets:
    """Follows packet headers through a stream."""

    def __init__(self) -> None:
        self._count = 0
        self._header = b""
        """Octets of a header that is not whole yet."""
        self._left = 0
        """Octets of the body that are to come."""
        self._is_partial = False
        """Behind this piece of the body comes another length."""
        self._is_last = False
        """The packet is the protected data: nothing may come behind."""

    def feed(self, octets: bytes) -> None:
        """Go on. Errors: Flaw."""
        at = 0
        while at < len(octets):
            if self._left:
                taken = min(self._left, len(octets) - at)
                self._left -= taken
                at += taken
                continue
            if self._is_last and not self._is_partial:
                raise Flaw("something follows the encrypted data")
            header = self._header + octets[at : at + 6 - len(self._header)]
            size = self._length_only(header) if self._is_partial else self._whole(header)
            if not size:
                self._header = header
                return
            at += size - len(self._header)
            self._header = b""

    def finish(self) -> None:
        """Errors: Flaw, unless the protected data was the last thing and was whole."""
        if not self._count:
            raise Flaw("there is nothing in the armor")
        if self._header or self._left or self._is_partial:
            raise Flaw("a packet is cut short")
        if not self._is_last:
            raise Flaw("there is no encrypted data behind the session keys")

    def _whole(self, header: bytes) -> int:
        """Read a packet's header; give its size, 0 if more octets are needed. Errors: Flaw. Spec: RFC 9580 §4.2."""
        first = header[0]
        if not first & 0x80:
            raise Flaw("what is in the armor are no OpenPGP packets")
        if first & 0x40:
            tag, size = first & 0x3F, self._new_length(header, 1)
        else:
            tag, size = first >> 2 & 0x0F, self._old_length(header)
        if not size:
            return 0
        self._count += 1
        if self._count > PACKETS_MAX:
            raise Flaw("there are too many packets")
        if tag == INTEGRITY_PROTECTED_DATA:
            self._is_last = True
        elif tag not in {PUBLIC_KEY_SESSION_KEY, SYMMETRIC_KEY_SESSION_KEY}:
            raise Flaw(f"a packet of type {tag} is no part of an encrypted message")
        return size

    def _length_only(self, header: bytes) -> int:
        """Read the next length of a packet that comes in pieces. Spec: RFC 9580 §4.2.1.4."""
        self._count += 1
        if self._count > PACKETS_MAX:
            raise Flaw("there are too many packets")
        return self._new_length(header, 0)

    def _new_length(self, header: bytes, at: int) -> int:
        """Spec: RFC 9580 §4.2.1."""
        if len(header) <= at:
            return 0
        first = header[at]
        self_is_partial = 224 <= first < 255
        octet_count = 1 if first < 192 or self_is_partial else 2 if first < 224 else 5
        if len(header) < at + octet_count:
            return 0
        self._is_partial = self_is_partial
        if self_is_partial:
            self._left = 1 << (first & 0x1F)
        elif octet_count == 1:
            self._left = first
        elif octet_count == 2:
            self._left = (first - 192 << 8) + header[at + 1] + 192
        else:
            self._left = int.from_bytes(header[at + 1 : at + 5], "big")
        return at + octet_count

    def _old_length(self, header: bytes) -> int:
        """Spec: RFC 9580 §4.2.2. Errors: Flaw for the form without an end."""
        kind = header[0] & 3
        if kind == 3:
            raise Flaw("a packet does not say how long it is")
        octet_count = 1 << kind
        if len(header) < 1 + octet_count:
            return 0
        self._is_partial = False
        self._left = int.from_bytes(header[1 : 1 + octet_count], "big")
        return 1 + octet_count
