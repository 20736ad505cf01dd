"""The PROXY header in any cut, and what is no header."""

import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.proto.connection import RemoteProtocolError
from mailstead.proto.proxy.header import V2_SIGNATURE, ProxyHeader, ProxyHeaderReader


def version_2(command, family, payload):
    return V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(payload)) + payload


IPV4 = IPv4Address("192.0.2.7").packed + IPv4Address("198.51.100.1").packed + struct.pack("!HH", 4711, 993)
IPV6 = IPv6Address("2001:db8::7").packed + IPv6Address("2001:db8::1").packed + struct.pack("!HH", 4711, 993)
FOUR = ProxyHeader(("192.0.2.7", 4711), ("198.51.100.1", 993))
SIX = ProxyHeader(("2001:db8::7", 4711), ("2001:db8::1", 993))

GOOD = [
    (b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 993\r\n", FOUR),
    (b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 993\r\n", SIX),
    (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ProxyHeader()),
    (version_2(1, 0x11, IPV4), FOUR),
    (version_2(1, 0x21, IPV6), SIX),
    (version_2(1, 0x21, IPV6 + b"\x04\x00\x03abc"), SIX),
    (version_2(0, 0x11, IPV4), ProxyHeader()),
    (version_2(0, 0x00, b""), ProxyHeader()),
    (version_2(1, 0x31, b"\0" * 216), ProxyHeader()),
]

BAD = [
    b"EHLO stranger\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 99999\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 993\r\n",
    b"PROXY TCP4 192.0.2.700 198.51.100.1 4711 993\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 4711 993\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 4711 993\r\n",
    b"PROXY UNKNOWN " + b"x" * 200,
    b"PROXYTCP4",
    V2_SIGNATURE + b"\x11\x11\x00\x0c" + IPV4,
    V2_SIGNATURE + b"\x22\x11\x00\x0c" + IPV4,
    V2_SIGNATURE + b"\x21\x11\xff\xff",
    version_2(1, 0x11, IPV4[:8]),
    version_2(1, 0x21, IPV4),
]


@pytest.mark.parametrize(("octets", "header"), GOOD)
def test_good_headers_whole_and_octet_by_octet(octets, header):
    reader = ProxyHeaderReader()
    assert reader.receive(octets + b"EHLO") == header
    assert reader.rest == b"EHLO"
    reader = ProxyHeaderReader()
    for octet in octets[:-1]:
        assert reader.receive(bytes([octet])) is None
    assert reader.receive(octets[-1:]) == header
    assert reader.rest == b""


@pytest.mark.parametrize("octets", BAD)
def test_attack_013_bad_headers_are_protocol_errors(octets):
    with pytest.raises(RemoteProtocolError):
        ProxyHeaderReader().receive(octets)
    reader = ProxyHeaderReader()
    with pytest.raises(RemoteProtocolError):
        for octet in octets:
            assert reader.receive(bytes([octet])) is None


@given(st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2_SIGNATURE, V2_SIGNATURE + b"\x21"]), st.binary(max_size=300))
def test_garbage_gives_a_header_or_a_protocol_error(prefix, garbage):
    try:
        result = ProxyHeaderReader().receive(prefix + garbage)
    except RemoteProtocolError:
        return
    assert result is None or isinstance(result, ProxyHeader)
