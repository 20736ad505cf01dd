"""The PROXY header that a load balancer puts before a connection, versions 1 and 2.

Spec: the PROXY protocol specification by HAProxy (proxy-protocol.txt, 2020/03/05), §2.1 (version 1), §2.2 (version 2).
Whether the sender is believed is not decided here. Spec: attack row 13.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from mailstead.proto.connection import RemoteProtocolError

V1_OCTETS_MAX: Final = 107
"""§2.1: the longest possible line, with CRLF."""

V2_PAYLOAD_OCTETS_MAX: Final = 4096
"""§2.2 allows 65,535; addresses and the usual TLVs take a few hundred."""

V2_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"

# PROXY SP ("TCP4" / "TCP6") SP source SP destination SP source-port SP destination-port CRLF
# PROXY SP UNKNOWN *any CRLF
_V1_LINE: Final = re.compile(
    rb"PROXY (?:(TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (\d{1,5}) (\d{1,5})|UNKNOWN(?: [^\r\n]*)?)"
)


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What the header says; `source` and `destination` are None where it speaks for nobody (LOCAL, UNKNOWN)."""

    source: tuple[str, int] | None = None
    destination: tuple[str, int] | None = None


class ProxyHeaderReader:
    """Takes octets until the header is whole; what follows it is in `rest`."""

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = b""
        self.rest = b""

    def receive(self, data: bytes) -> ProxyHeader | None:
        """Take octets in any cut; give the header once it is whole.

        Errors: RemoteProtocolError when this is no PROXY header; a trusted proxy that sends none is misconfigured.
        """
        self._data += data
        if self._data.startswith(V2_SIGNATURE[: len(self._data)]):
            return self._version_2()
        if self._data.startswith(b"PROXY "[: len(self._data)]):
            return self._version_1()
        raise RemoteProtocolError("no PROXY header")

    def _version_1(self) -> ProxyHeader | None:
        """Read the line of text. Spec: PROXY protocol §2.1."""
        end = self._data.find(b"\r\n", 0, V1_OCTETS_MAX)
        if end < 0:
            if len(self._data) >= V1_OCTETS_MAX:
                raise RemoteProtocolError("PROXY line too long")
            return None
        match = _V1_LINE.fullmatch(self._data, 0, end)
        if match is None:
            raise RemoteProtocolError("PROXY line not understood")
        self.rest = self._data[end + 2 :]
        family, source, destination, source_port, destination_port = match.groups()
        if family is None:
            return ProxyHeader()
        try:
            kind = IPv4Address if family == b"TCP4" else IPv6Address
            return ProxyHeader(
                (str(kind(source.decode())), _port(source_port)),
                (str(kind(destination.decode())), _port(destination_port)),
            )
        except ValueError:
            raise RemoteProtocolError("PROXY line has a bad address or port") from None

    def _version_2(self) -> ProxyHeader | None:
        """Read the binary form. Spec: PROXY protocol §2.2."""
        if len(self._data) < 16:
            return None
        version_and_command, family, length = struct.unpack_from("!BBH", self._data, 12)
        if version_and_command >> 4 != 2 or version_and_command & 0xF > 1:
            raise RemoteProtocolError("PROXY version or command unknown")
        if length > V2_PAYLOAD_OCTETS_MAX:
            raise RemoteProtocolError("PROXY header too long")
        if len(self._data) < 16 + length:
            return None
        payload, self.rest = self._data[16 : 16 + length], self._data[16 + length :]
        if version_and_command & 0xF == 0:  # LOCAL: the proxy itself, for a health check
            return ProxyHeader()
        if family == 0x11:  # TCP over IPv4
            if length < 12:
                raise RemoteProtocolError("PROXY addresses cut short")
            source_4, destination_4, source_port, destination_port = struct.unpack_from("!4s4sHH", payload)
            return ProxyHeader(
                (str(IPv4Address(source_4)), source_port), (str(IPv4Address(destination_4)), destination_port)
            )
        if family == 0x21:  # TCP over IPv6
            if length < 36:
                raise RemoteProtocolError("PROXY addresses cut short")
            source_6, destination_6, source_port, destination_port = struct.unpack_from("!16s16sHH", payload)
            return ProxyHeader(
                (str(IPv6Address(source_6)), source_port), (str(IPv6Address(destination_6)), destination_port)
            )
        return ProxyHeader()  # UNSPEC, UDP, Unix sockets: §2.2 asks to keep the real addresses


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535:
        raise ValueError(text)
    return port
