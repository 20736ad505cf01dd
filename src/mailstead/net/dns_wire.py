"""DNS messages as octets: questions written, answers read; only the types that the house asks for.

Ours, because a library's general reader costs some 500 us per question where this costs a few tens, and an incoming
message may ask a dozen. Signatures and other types that come along are stepped over by their lengths.

A name is kept in the form it has on the wire, without compression and in lower case (lengths are below the letters, so
lower-casing the whole is right). Nothing here calls itself, and a pointer in a name may only lead backwards, so reading
ends; a message has at most 64 KB.

Spec: RFC 1035 §4.1; RFC 3596 (AAAA); RFC 2782 (SRV); RFC 6698 §2.1 (TLSA); RFC 8659 §4.1 (CAA); RFC 6891 (EDNS).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Any, Final, NamedTuple

from mailstead.model.address import normal_domain
from mailstead.model.errors import BadAddress
from mailstead.ports.resolver import Caa, Mx, Srv, Tlsa

PAYLOAD_OCTETS: Final = 1232
"""Largest datagram asked for: goes everywhere unfragmented, and fragments could be forged."""
CHAIN_MAX: Final = 16
"""CNAMEs followed."""
RECORDS_MAX: Final = 1000
"""A message with more is not read (attack row 34)."""
POINTERS_MAX: Final = 32
"""Within one name."""

NAME_OCTETS_MAX: Final = 255
LABEL_OCTETS_MAX: Final = 63
NXDOMAIN: Final = 3

_QR: Final = 0x8000
_OPCODE: Final = 0x7800
_TC: Final = 0x0200
_RD: Final = 0x0100
_AD: Final = 0x0020
_DO: Final = 0x8000
_IN: Final = 1
_OPT: Final = 41
_SOA: Final = 6

_HEADER: Final = struct.Struct("!HHHHHH")
_QUESTION_END: Final = struct.Struct("!HH")
_RECORD: Final = struct.Struct("!HHIH")
"""Type, class, TTL, length of data."""
_OPT_RECORD: Final = struct.Struct("!BHHIH")


class Kind(IntEnum):
    """Types of records that we ask for, and the one that leads to others."""

    A = 1
    NS = 2
    CNAME = 5
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    TLSA = 52
    CAA = 257


class BadAnswer(Exception):
    """A server has said something that is no answer to the question."""


class Response(NamedTuple):
    """What an answer says about the question."""

    code: int
    is_authentic: bool
    """The AD bit is set."""
    records: tuple[Any, ...]
    """As those of `ports.resolver`."""
    canonical_name: str
    ttl_s: int | None
    """The shortest on the way, that of the SOA for what is not there; None: nobody has said."""


@lru_cache(maxsize=4096)
def name_of(text: str) -> bytes | None:
    """Give a name as the wire has it; None for what can be no name in the DNS, and so does not exist there.

    Not by the syntax of zone files: a backslash, as SPF macros may bring it, is only a letter.
    """
    text = text.removesuffix(".")
    try:
        labels = (text if text.isascii() else normal_domain(text)).encode("ascii").lower().split(b".")
    except BadAddress:
        return None
    if not all(0 < len(label) <= LABEL_OCTETS_MAX for label in labels):
        return None
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return name if len(name) <= NAME_OCTETS_MAX else None


def text_of(name: bytes) -> str:
    """Give a name without final dot; the root is empty. What could be mistaken is escaped. Spec: RFC 1035 §5.1."""
    labels = []
    position = 0
    while length := name[position]:
        label = name[position + 1 : position + 1 + length]
        position += 1 + length
        if label.isalnum() or label.replace(b"-", b"").replace(b"_", b"").isalnum():
            labels.append(label.decode("ascii"))
        else:
            labels.append("".join(_escaped(octet) for octet in label))
    return ".".join(labels)


def _escaped(octet: int) -> str:
    if octet in b'."\\;()@$':
        return "\\" + chr(octet)
    return chr(octet) if 0x21 <= octet <= 0x7E else f"\\{octet:03}"


def question(message_id: int, name: bytes, kind: Kind, *, wants_dnssec: bool) -> bytes:
    """Write a question to a resolver. Spec: RFC 1035 §4.1.1, §4.1.2; RFC 6891 §6.1.2; RFC 3225 (DO)."""
    return (
        _HEADER.pack(message_id, _RD, 1, 0, 0, 1)
        + name
        + _QUESTION_END.pack(kind, _IN)
        + _OPT_RECORD.pack(0, _OPT, PAYLOAD_OCTETS, _DO if wants_dnssec else 0, 0)
    )


def answers(octets: bytes, asked: bytes) -> bool:
    """Whether a message answers a question of ours. Spec: RFC 5452 §9.1; RFC 1035 §7.3."""
    if len(octets) < _HEADER.size or octets[:2] != asked[:2]:
        return False
    _, flags, question_count, *_ = _HEADER.unpack_from(octets)
    if not flags & _QR or flags & _OPCODE:
        return False
    if not question_count:
        return bool(flags & 0xF)  # who fails may have lost the question
    end = len(asked) - _OPT_RECORD.size
    return question_count == 1 and octets[12:end].lower() == asked[12:end].lower()


def is_cut(octets: bytes) -> bool:
    """Whether an answer is only the beginning of one. Spec: RFC 1035 §4.1.1 (TC)."""
    return bool(_HEADER.unpack_from(octets)[1] & _TC)


def read(octets: bytes, name: bytes, kind: Kind) -> Response:
    """Read an answer to a question about `name` and `kind`.

    Errors: BadAnswer.
    Spec: RFC 1034 §3.6.2, §4.3.2 (CNAME); RFC 2308 §5 (SOA); RFC 2181 §5.2, §8 (TTLs).
    """
    try:
        return _read(octets, name, kind)
    except (IndexError, struct.error, ValueError) as error:
        raise BadAnswer(f"cannot be read: {error}") from None


def _read(octets: bytes, name: bytes, kind: Kind) -> Response:
    _, flags, question_count, answer_count, authority_count, additional_count = _HEADER.unpack_from(octets)
    if answer_count + authority_count + additional_count > RECORDS_MAX:
        raise BadAnswer("too many records")
    code = flags & 0xF
    position = _HEADER.size
    for _ in range(question_count):
        position = _name_at(octets, position)[1] + _QUESTION_END.size
    aliases: dict[bytes, tuple[bytes, int]] = {}
    found: dict[bytes, list[tuple[Any, int]]] = {}
    read_data = _READERS[kind]
    for _ in range(answer_count):
        owner, record_kind, ttl_s, start, position = _record_at(octets, position)
        if record_kind == kind:
            found.setdefault(owner, []).append((read_data(octets, start, position), ttl_s))
        elif record_kind == Kind.CNAME:
            aliases.setdefault(owner, (_name_within(octets, start, position), ttl_s))
    ttls: list[int] = []
    for _ in range(CHAIN_MAX):
        if name in found or name not in aliases:
            break
        name, ttl_s = aliases[name]
        ttls.append(ttl_s)
    else:
        raise BadAnswer("aliases without end")
    is_ttl_known = name in found
    for _ in range(authority_count):
        owner, record_kind, ttl_s, _, position = _record_at(octets, position)
        if record_kind == _SOA and name not in found and name.endswith(owner):
            ttls += ttl_s, int.from_bytes(octets[position - 4 : position])
            is_ttl_known = True
    for _ in range(additional_count):
        _, record_kind, ttl_s, _, position = _record_at(octets, position)
        if record_kind == _OPT:
            code |= (ttl_s >> 24) << 4
    if code == NXDOMAIN and name in found:
        raise BadAnswer("records of a name that does not exist")
    records = found.get(name, ())
    ttls += [ttl_s for _, ttl_s in records]
    return Response(
        code,
        bool(flags & _AD),
        tuple(dict.fromkeys(record for record, _ in records)),
        text_of(name),
        min(map(_seconds, ttls)) if is_ttl_known else None,
    )


def _seconds(ttl_s: int) -> int:
    return ttl_s if ttl_s < 1 << 31 else 0


def _record_at(octets: bytes, position: int) -> tuple[bytes, int, int, int, int]:
    """Give owner, type, TTL, start and end of the data. Errors: IndexError, struct.error, ValueError."""
    owner, position = _name_at(octets, position)
    kind, record_class, ttl_s, length = _RECORD.unpack_from(octets, position)
    start = position + _RECORD.size
    if start + length > len(octets):
        raise ValueError("a record runs over the end")
    if record_class != _IN and kind != _OPT:
        kind = 0  # of another class, which says nothing to us
    return owner, kind, ttl_s, start, start + length


def _name_at(octets: bytes, position: int) -> tuple[bytes, int]:
    """Give a name and where it ends. Errors: IndexError, ValueError. Spec: RFC 1035 §4.1.4."""
    pieces: list[bytes] = []
    size = 1
    pointer_count = 0
    end = -1
    reach = position
    while length := octets[position]:
        if length > LABEL_OCTETS_MAX:
            if length < 0xC0:
                raise ValueError("a label of unknown form")
            target = (length & 0x3F) << 8 | octets[position + 1]
            pointer_count += 1
            if target >= reach or pointer_count > POINTERS_MAX:
                raise ValueError("a pointer that does not lead backwards, or too many")
            end = position + 2 if end < 0 else end
            position = reach = target
            continue
        size += 1 + length
        if size > NAME_OCTETS_MAX or position + 1 + length > len(octets):
            raise ValueError("a name that is too long")
        pieces.append(octets[position : position + 1 + length])
        position += 1 + length
    return b"".join(pieces).lower() + b"\0", position + 1 if end < 0 else end


def _name_within(octets: bytes, start: int, stop: int) -> bytes:
    name, end = _name_at(octets, start)
    if end != stop:
        raise ValueError("a name that is not as long as its record")
    return name


def _ipv4(octets: bytes, start: int, stop: int) -> str:
    one, two, three, four = octets[start:stop]
    return f"{one}.{two}.{three}.{four}"


def _ipv6(octets: bytes, start: int, stop: int) -> str:
    return str(IPv6Address(octets[start:stop]))


def _host(octets: bytes, start: int, stop: int) -> str:
    return text_of(_name_within(octets, start, stop))


def _mx(octets: bytes, start: int, stop: int) -> Mx:
    return Mx(int.from_bytes(octets[start : start + 2]), _host(octets, start + 2, stop))


def _txt(octets: bytes, start: int, stop: int) -> bytes:
    """Spec: RFC 7208 §3.3, RFC 6376 §3.6.2.2 (strings are joined without spaces)."""
    strings: list[bytes] = []
    while start < stop:
        end = start + 1 + octets[start]
        if end > stop:
            raise ValueError("a string runs over the end of its record")
        strings.append(octets[start + 1 : end])
        start = end
    return b"".join(strings)


def _srv(octets: bytes, start: int, stop: int) -> Srv:
    priority, weight, port = struct.unpack_from("!HHH", octets, start)
    return Srv(priority, weight, port, _host(octets, start + 6, stop))


def _tlsa(octets: bytes, start: int, stop: int) -> Tlsa:
    usage, selector, matching_type = octets[start:stop][:3]
    return Tlsa(usage, selector, matching_type, octets[start + 3 : stop])


def _caa(octets: bytes, start: int, stop: int) -> Caa:
    data = octets[start:stop]
    end = 2 + data[1]
    if end > len(data):
        raise ValueError("a tag runs over the end of its record")
    return Caa(data[0], data[2:end].decode("ascii", "replace"), data[end:].decode("utf-8", "replace"))


_READERS: Final[Mapping[Kind, Callable[[bytes, int, int], Any]]] = {
    Kind.A: _ipv4,
    Kind.AAAA: _ipv6,
    Kind.CNAME: _host,
    Kind.CAA: _caa,
    Kind.MX: _mx,
    Kind.NS: _host,
    Kind.PTR: _host,
    Kind.SRV: _srv,
    Kind.TLSA: _tlsa,
    Kind.TXT: _txt,
}
