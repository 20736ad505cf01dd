"""The first flight of TLS, read without answering it: which application protocols a client asks for.

Spec: RFC 8446 §4.1.2 (ClientHello), §5.1 (records); RFC 7301 §3.1 (ALPN).
"""

from __future__ import annotations

from typing import Final

HELLO_OCTETS_MAX: Final = 16 * 1024 + 5
"""One full record; no client needs more."""

_RECORD_HEADER: Final = 5
_HANDSHAKE: Final = 22
_CLIENT_HELLO: Final = 1
_ALPN: Final = 16


class NoHello(ValueError):
    """The octets do not begin with a ClientHello."""


def protocols_asked(octets: bytes) -> tuple[bytes, ...] | None:
    """Give the names that a ClientHello offers, in its order; None: it is not whole yet.

    Errors: NoHello.
    """
    handshake = _handshake(octets)
    if len(handshake) < 4:
        return None
    if handshake[0] != _CLIENT_HELLO:
        raise NoHello("another message comes first")
    size = int.from_bytes(handshake[1:4], "big")
    if size > HELLO_OCTETS_MAX:
        raise NoHello("too long")
    if len(handshake) < 4 + size:
        return None
    return _alpn(_Reader(handshake[4 : 4 + size]))


def _handshake(octets: bytes) -> bytes:
    """Join what the records carry; a message may be cut into several. Errors: NoHello."""
    joined, at = bytearray(), 0
    while at + _RECORD_HEADER <= len(octets):
        if octets[at] != _HANDSHAKE or octets[at + 1] != 3:
            raise NoHello("no TLS")
        size = int.from_bytes(octets[at + 3 : at + 5], "big")
        if not 0 < size <= HELLO_OCTETS_MAX - _RECORD_HEADER:
            raise NoHello("a record of a size that is none")
        at += _RECORD_HEADER
        joined += octets[at : at + size]
        at += size
    if octets and octets[0] != _HANDSHAKE:
        raise NoHello("no TLS")
    return bytes(joined)


class _Reader:
    """Vectors of the TLS presentation language. Spec: RFC 8446 §3.4."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        return self._at >= len(self._octets)

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._octets):
            raise NoHello("a field is cut short")
        self._at += count
        return self._octets[self._at - count : self._at]

    def number(self, octet_count: int) -> int:
        return int.from_bytes(self.take(octet_count), "big")

    def vector(self, size_octets: int) -> bytes:
        return self.take(self.number(size_octets))


def _alpn(hello: _Reader) -> tuple[bytes, ...]:
    hello.take(2 + 32)  # version, random
    hello.vector(1)  # session id
    hello.vector(2)  # cipher suites
    hello.vector(1)  # compression methods
    if hello.is_at_end:
        return ()
    extensions = _Reader(hello.vector(2))
    while not extensions.is_at_end:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind != _ALPN:
            continue
        names, found = _Reader(_Reader(content).vector(2)), []
        while not names.is_at_end:
            found.append(names.vector(1))
        return tuple(found)
    return ()
