"""Data of records as octets, and what answers hold as values of a zone file.

Spec: RFC 1035 §3.3, §3.4.1; RFC 3596 §2.2 (AAAA); RFC 2782 (SRV); RFC 6698 §2.1 (TLSA); RFC 8659 §4.1 (CAA).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

from mailstead.net.dns_wire import Kind, name_of
from mailstead.policy.dns_records import STRING_OCTETS_MAX
from mailstead.policy.zone_values import unquoted

KINDS: Final = {
    kind.name: kind for kind in (Kind.A, Kind.AAAA, Kind.CAA, Kind.CNAME, Kind.MX, Kind.SRV, Kind.TLSA, Kind.TXT)
}


def octets_of(kind: str, value: str) -> bytes:
    """Write a value. Errors: ValueError."""
    try:
        return _WRITERS[kind](value)
    except (KeyError, struct.error):
        raise ValueError(value) from None


def value_of(kind: str, record: Any) -> str:
    """Give a record of `dns_wire.read` as a value; of TXT and CAA what is not UTF-8 is shown as such."""
    return _READERS[kind](record)


def _name(text: str) -> bytes:
    if text == ".":
        return b"\0"
    name = name_of(text)
    if name is None:
        raise ValueError(text)
    return name


def _text(value: str) -> bytes:
    octets = value.encode()
    pieces = [octets[at : at + STRING_OCTETS_MAX] for at in range(0, len(octets), STRING_OCTETS_MAX)] or [b""]
    return b"".join(bytes((len(piece),)) + piece for piece in pieces)


def _mx(value: str) -> bytes:
    preference, host = value.split()
    return struct.pack("!H", int(preference)) + _name(host)


def _srv(value: str) -> bytes:
    priority, weight, port, host = value.split()
    return struct.pack("!HHH", int(priority), int(weight), int(port)) + _name(host)


def _tlsa(value: str) -> bytes:
    usage, selector, matching_type, digits = value.split()
    return struct.pack("!BBB", int(usage), int(selector), int(matching_type)) + bytes.fromhex(digits)


def _caa(value: str) -> bytes:
    flags, tag, text = value.split(None, 2)
    return struct.pack("!BB", int(flags), len(tag)) + tag.encode() + unquoted(text).encode()


def _host(name: str) -> str:
    return f"{name}."


_WRITERS: Final[Mapping[str, Callable[[str], bytes]]] = {
    "A": lambda value: IPv4Address(value).packed,
    "AAAA": lambda value: IPv6Address(value).packed,
    "CAA": _caa,
    "CNAME": _name,
    "MX": _mx,
    "SRV": _srv,
    "TLSA": _tlsa,
    "TXT": _text,
}

_READERS: Final[Mapping[str, Callable[[Any], str]]] = {
    "A": str,
    "AAAA": str,
    "CAA": lambda caa: f'{caa.flags} {caa.tag} "{caa.value}"',
    "CNAME": _host,
    "MX": lambda mx: f"{mx.preference} {_host(mx.exchange)}",
    "SRV": lambda srv: f"{srv.priority} {srv.weight} {srv.port} {_host(srv.target)}",
    "TLSA": lambda tlsa: f"{tlsa.usage} {tlsa.selector} {tlsa.matching_type} {tlsa.data.hex()}",
    "TXT": lambda octets: octets.decode("utf-8", "backslashreplace"),
}
