"""OpenPGP by its outside: armor and the headers of packets, read as a stream; no packet is looked into.

Spec: RFC 9580 §4.2 (packet headers, old and new), §6.2 (armor); RFC 4880 §4.2.
"""

from __future__ import annotations

import binascii
import re
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
_CHUNK_OCTETS: Final = 1 << 14
_TAIL_OCTETS: Final = 16
_HEADER_OCTETS_MAX: Final = 6
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_ARMOR_HEADER: Final = re.compile(rb"[A-Za-z0-9-]{1,64}: [^\r\n]{0,1000}\r\n")
_CHECKSUM: Final = re.compile(rb"\r\n=[A-Za-z0-9+/]{4}\Z")


class Flaw(ValueError):
    """What is wrong, in words that may be shown."""


def check_encrypted(armored: Octets, *, takes_armor_headers: bool) -> None:
    """Check that an armored message is nothing but session keys and integrity protected data behind them.

    The checksum may be missing (RFC 9580 §6.1 lets it), padded data or not. Cost: linear, and some ten kilobytes
    of memory, whatever the size; of the base64 only the alphabet is looked at, but for the headers of packets.
    Errors: Flaw.
    """
    with memoryview(armored) as whole:
        start, stop = _inside(whole, takes_headers=takes_armor_headers)
        _check_packets(whole[start:stop])


def _inside(whole: memoryview, *, takes_headers: bool) -> tuple[int, int]:
    """Give where the base64 of an armor begins and ends. Errors: Flaw."""
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
    return start, stop - 7 if _CHECKSUM.search(tail) else stop


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


def _check_packets(view: memoryview) -> None:
    """Follow the packets through the base64; stretches without a header are only looked at, not taken apart.

    Errors: Flaw.
    """
    packets, window = _Packets(), _Window()
    start = 0
    while start < len(view):
        stop = start + _CHUNK_OCTETS
        is_last = len(view) - stop < _TAIL_OCTETS  # padding stands in one piece
        chunk = view[start : len(view) if is_last else stop].tobytes()
        start += len(chunk)
        others = chunk.translate(None, _ALPHABET)
        count = len(chunk) - len(others)
        if not is_last and not others.strip(b"\r\n") and window.is_passed(packets.next_at, count):
            window.pass_over(count)
            continue
        characters = chunk.translate(None, b"\r\n") if others else chunk
        if is_last:
            bare = characters.rstrip(b"=")
            padding_count = len(characters) - len(bare)
            if padding_count > 2 or (window.count + len(characters)) % 4:
                raise Flaw("the base64 is cut short, or padded as it must not be")
            characters = bare
        if len(characters) != count:
            raise Flaw("the armor holds no base64")
        window.add(characters)
        packets.follow(window, is_last=is_last)
        window.let_go(packets.next_at)
    packets.finish()


class _Window:
    """The stretch of base64 that has come last, of which single octets can be asked; all before it was let go."""

    def __init__(self) -> None:
        self._characters = b""
        self._first = 0
        """How many characters were let go."""

    @property
    def count(self) -> int:
        """How many characters have come by now."""
        return self._first + len(self._characters)

    @property
    def stop(self) -> int:
        """How many octets they are."""
        return self.count * 3 // 4

    def add(self, characters: bytes) -> None:
        """Take the next ones."""
        self._characters += characters

    def is_passed(self, at: int, count: int) -> bool:
        """Whether no octet from a position on begins in the next `count` characters, or before."""
        return at // 3 * 4 >= self.count + count

    def pass_over(self, count: int) -> None:
        """Leave out the next ones, and all that are there."""
        self._first, self._characters = self.count + count, b""

    def let_go(self, at: int) -> None:
        """Forget what no octet from a position on needs."""
        gone = min(at // 3 * 4 - self._first, len(self._characters))
        self._first, self._characters = self._first + gone, self._characters[gone:]

    def octets(self, at: int, count: int) -> bytes:
        """Give `count` octets from a position, fewer at the end."""
        first = at // 3 * 4 - self._first
        group = self._characters[first : first + (count + 5) // 3 * 4]
        if len(group) % 4 == 1:
            group = group[:-1]  # the window ends within a group, and one character holds no octet
        decoded = binascii.a2b_base64(group + b"=" * (-len(group) % 4))
        return decoded[at % 3 : at % 3 + count]


class _Packets:
    """Follows packet headers from one to the next; bodies are passed over."""

    def __init__(self) -> None:
        self._count = 0
        self.next_at = 0
        """Where the next header is, or the next length of a packet that comes in pieces."""
        self._stop = 0
        """Where everything ends, once that is known."""
        self._is_partial = False
        """Behind this piece of the body comes another length."""
        self._is_last = False
        """The packet is the protected data: nothing may come behind."""
        self._left = 0

    def follow(self, window: _Window, *, is_last: bool) -> None:
        """Go on as far as the window allows. Errors: Flaw."""
        while self.next_at < window.stop:
            if self._is_last and not self._is_partial:
                raise Flaw("something follows the encrypted data")
            if self.next_at + _HEADER_OCTETS_MAX > window.stop and not is_last:
                break
            header = window.octets(self.next_at, _HEADER_OCTETS_MAX)
            size = self._length_only(header) if self._is_partial else self._whole(header)
            if not size:
                raise Flaw("a packet is cut short" if self._count else "there is nothing in the armor")
            self.next_at += size + self._left
        self._stop = window.stop

    def finish(self) -> None:
        """Errors: Flaw, unless the protected data was the last thing and was whole."""
        if not self._count:
            raise Flaw("there is nothing in the armor")
        if self.next_at > self._stop or self._is_partial:
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
