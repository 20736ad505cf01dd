"""Public keys of OpenPGP as people hand them in, and what of them is published.

A key is taken apart into its packets, no packet is verified: who uses it does that. What is published has the user ids
of one address only, so that it tells nothing of the owner's other addresses, and never a packet of a secret key.

Spec: RFC 9580 §4.2 (packet headers), §6.2 (armor), §10.1 (order of packets).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from mailstead.mime.openpgp import Flaw

KEY_OCTETS_MAX: Final = 256 * 1024
PACKETS_MAX: Final = 2000

SIGNATURE: Final = 2
SECRET_KEY: Final = 5
PUBLIC_KEY: Final = 6
SECRET_SUBKEY: Final = 7
USER_ID: Final = 13
PUBLIC_SUBKEY: Final = 14
USER_ATTRIBUTE: Final = 17
"""Packet types. Spec: RFC 9580 §5."""

_LEFT_OUT: Final = frozenset({12, 21})
"""Trust, padding: nobody else's business. Spec: RFC 9580 §5.10, §5.14."""
_BEGIN: Final = "-----BEGIN PGP {} KEY BLOCK-----"
_END: Final = "-----END PGP PUBLIC KEY BLOCK-----"
_CHECKSUM: Final = re.compile(r"=[A-Za-z0-9+/]{4}")
"""It is neither needed nor looked at. Spec: RFC 9580 §6.1."""
_NOT_THAT: Final = "that is a secret key; hand in the public one, and take the secret one for known to others"
_ADDRESS: Final = re.compile(r"<([^<>]*)>\s*$")


class Packet(NamedTuple):
    """One packet."""

    tag: int
    body: bytes

    @property
    def octets(self) -> bytes:
        """With a header in the new form. Spec: RFC 9580 §4.2.1."""
        count = len(self.body)
        if count < 192:
            length = bytes([count])
        elif count < 8384:
            length = bytes([(count - 192 >> 8) + 192, count - 192 & 0xFF])
        else:
            length = b"\xff" + count.to_bytes(4, "big")
        return bytes([0xC0 | self.tag]) + length + self.body


def published(text: str, address: str) -> bytes:
    """Give what of armored keys is published for an address: binary, with the user ids of that address alone.

    Errors: Flaw, in words for the owner: no key, a secret one, none of that address, too large.
    """
    kept = b"".join(each.octets for key in _keys(packets(text)) for each in _of_address(key, address))
    if not kept:
        raise Flaw(f"no user id of the key has the address {address}")
    return kept


def packets(text: str) -> list[Packet]:
    """Take armored public keys apart. Errors: Flaw."""
    if len(text) > KEY_OCTETS_MAX * 2:
        raise Flaw("the key is too large")
    if _BEGIN.format("PRIVATE") in text:
        raise Flaw(_NOT_THAT)
    found: list[Packet] = []
    for block in text.split(_BEGIN.format("PUBLIC"))[1:]:
        found += binary_packets(_unarmored(block))
        if len(found) > PACKETS_MAX:
            raise Flaw("the key is too large")
    if not found:
        raise Flaw("there is no armored public key (BEGIN PGP PUBLIC KEY BLOCK)")
    if any(each.tag in {SECRET_KEY, SECRET_SUBKEY} for each in found):
        raise Flaw(_NOT_THAT)
    known = {SIGNATURE, PUBLIC_KEY, USER_ID, PUBLIC_SUBKEY, USER_ATTRIBUTE, *_LEFT_OUT}
    if found[0].tag != PUBLIC_KEY or any(each.tag not in known for each in found):
        raise Flaw("that is no public key")
    return [each for each in found if each.tag not in _LEFT_OUT]


def _unarmored(block: str) -> bytes:
    """Decode what stands behind the first line of an armor. Errors: Flaw. Spec: RFC 9580 §6.2."""
    inside, end, _ = block.partition(_END)
    lines = [line.strip() for line in inside.splitlines()][1:]
    if not end or "" not in lines:
        raise Flaw("the armor is cut short")
    base64_lines = [line for line in lines[lines.index("") + 1 :] if not _CHECKSUM.fullmatch(line)]
    try:
        return base64.b64decode("".join(base64_lines), validate=True)
    except ValueError:  # no base64, or letters beyond ASCII
        raise Flaw("the armor holds no base64") from None


def binary_packets(octets: bytes) -> Iterator[Packet]:
    """Take packets of keys apart, in either form. Errors: Flaw. Spec: RFC 9580 §4.2."""
    at = 0
    while at < len(octets):
        first = octets[at]
        if not first & 0x80:
            raise Flaw("what is in the armor are no OpenPGP packets")
        if first & 0x40:
            tag, (count, begin) = first & 0x3F, _new_length(octets, at + 1)
        else:
            tag, (count, begin) = first >> 2 & 0x0F, _old_length(octets, at)
        if begin + count > len(octets):
            raise Flaw("the key is cut short")
        yield Packet(tag, octets[begin : begin + count])
        at = begin + count


def _new_length(octets: bytes, at: int) -> tuple[int, int]:
    """Give a body's length and where it begins. Spec: RFC 9580 §4.2.1; pieces are for data only (§4.2.1.4)."""
    first = octets[at] if at < len(octets) else 0
    if first < 192:
        return first, at + 1
    if first < 224:
        return (first - 192 << 8) + int.from_bytes(octets[at + 1 : at + 2]) + 192, at + 2
    if first == 255:
        return int.from_bytes(octets[at + 1 : at + 5]), at + 5
    raise Flaw("a packet of a key comes in pieces")


def _old_length(octets: bytes, at: int) -> tuple[int, int]:
    """Spec: RFC 9580 §4.2.2."""
    kind = octets[at] & 3
    if kind == 3:
        raise Flaw("a packet does not say how long it is")
    begin = at + 1 + (1 << kind)
    return int.from_bytes(octets[at + 1 : begin]), begin


def _keys(found: list[Packet]) -> Iterator[list[Packet]]:
    """Give the packets of one key after another: an old one may follow, to tell that it is revoked."""
    begins = [number for number, each in enumerate(found) if each.tag == PUBLIC_KEY]
    for begin, end in zip(begins, [*begins[1:], len(found)], strict=True):
        yield found[begin:end]


def _of_address(key: list[Packet], address: str) -> list[Packet]:
    """Give a key without the user ids, pictures and their signatures that are not of an address; empty: none is."""
    kept: list[Packet] = []
    is_kept, is_of_address = True, False
    for each in key:
        if each.tag == USER_ID:
            is_kept = _address_of(each.body) == address.lower()
            is_of_address = is_of_address or is_kept
        elif each.tag == USER_ATTRIBUTE:
            is_kept = False
        elif each.tag in {PUBLIC_KEY, PUBLIC_SUBKEY}:
            is_kept = True
        if is_kept:
            kept.append(each)
    return kept if is_of_address else []


def _address_of(user_id: bytes) -> str:
    """Give the address of a user id: between angle brackets at its end, or all of it. Spec: RFC 9580 §5.11."""
    text = user_id.decode("utf-8", "replace").strip()
    found = _ADDRESS.search(text)
    return (found[1] if found else text).strip().lower()
