"""One question to one name server, and which servers there are.

Each question leaves from a socket of its own, whose port the kernel draws by chance, and carries a random id; the
socket is connected, so that the kernel drops what others send. What does not answer the question asked is overheard;
where much of that comes, somebody is guessing, and the question goes over TCP.

Spec: RFC 1035 §4.2; RFC 5452 §9 (what an answer must match); RFC 6891 (EDNS); RFC 7766 (TCP).
"""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from secrets import randbelow
from typing import Final, NamedTuple

from mailstead.model.errors import BadSettings
from mailstead.net.dns_wire import BadAnswer, Kind, answers, is_cut, question

RESOLV_CONF: Final = Path("/etc/resolv.conf")
SERVERS_MAX: Final = 3
"""Of more only the first are asked, as the C library does."""

STRAY_MAX: Final = 10
"""Datagrams that do not answer the question, before it goes over TCP."""


class NameServer(NamedTuple):
    """Where a resolver listens."""

    address: str
    port: int = 53

    @property
    def is_loopback(self) -> bool:
        """Whether nobody stands between it and us. Spec: RFC 7672 §2.1.1."""
        return ip_address(self.address.partition("%")[0]).is_loopback


def name_servers(configured: Sequence[str], resolv_conf: Path = RESOLV_CONF) -> tuple[NameServer, ...]:
    """Give the servers of the settings, or else those of the system; the local host if it names none.

    Errors: BadSettings.
    """
    if configured:
        return tuple(_server(text) for text in configured)
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    words = [line.split() for line in lines]
    found = [
        NameServer(each[1]) for each in words if len(each) > 1 and each[0] == "nameserver" and _is_address(each[1])
    ]
    return tuple(found[:SERVERS_MAX]) or (NameServer("127.0.0.1"),)


#   address / address ":" port / "[" IPv6 address "]" [":" port]
_BRACKETED: Final = re.compile(r"\[([^\]]+)\](?::(\d{1,5}))?")
_WITH_PORT: Final = re.compile(r"([0-9.]+):(\d{1,5})")


def _server(text: str) -> NameServer:
    if _is_address(text):
        return NameServer(text)
    match = _BRACKETED.fullmatch(text) or _WITH_PORT.fullmatch(text)
    if match is None or not _is_address(match[1]) or not 0 < int(match[2] or 53) < 65536:
        raise BadSettings(f"dns.servers: {text} is not an IP address, nor one with a port")
    return NameServer(match[1], int(match[2] or 53))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


async def exchange(server: NameServer, name: bytes, kind: Kind, *, wants_dnssec: bool) -> bytes:
    """Ask, and give the answer, whatever its code; over UDP, and again over TCP if it was cut. Has no limit of its own.

    Errors: BadAnswer; OSError, EOFError.
    """
    asked = question(randbelow(1 << 16), name, kind, wants_dnssec=wants_dnssec)
    answer = await _over_udp(server, asked)
    return answer if answer is not None else await _answered_over_tcp(server, asked)


async def _over_udp(server: NameServer, asked: bytes) -> bytes | None:
    """Give the answer; None if it must be had over TCP."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: _Datagrams(asked, loop.create_future()), remote_addr=(server.address, server.port)
    )
    try:
        transport.sendto(asked)
        return await protocol.answer
    finally:
        transport.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Waits for the one datagram that answers."""

    def __init__(self, asked: bytes, answer: asyncio.Future[bytes | None]) -> None:
        self._asked = asked
        self._stray_count = 0
        self.answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002  # the socket is connected
        if self.answer.done():
            return
        if answers(data, self._asked):
            self.answer.set_result(None if is_cut(data) else data)
            return
        self._stray_count += 1
        if self._stray_count >= STRAY_MAX:
            self.answer.set_result(None)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def over_tcp(server: NameServer, asked: bytes) -> bytes:
    """Send one message and give the one that comes back, whatever it is. Has no limit of its own.

    Errors: OSError, EOFError.
    """
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_connection(
        lambda: _Stream(loop.create_future()), server.address, server.port
    )
    try:
        transport.write(struct.pack("!H", len(asked)) + asked)
        return await protocol.answer
    finally:
        # At once, without waiting for what has not been sent: there is nothing more to say.
        transport.abort()


async def _answered_over_tcp(server: NameServer, asked: bytes) -> bytes:
    """Errors: BadAnswer; OSError, EOFError."""
    answer = await over_tcp(server, asked)
    if not answers(answer, asked):
        raise BadAnswer("answers another question")
    return answer


class _Stream(asyncio.Protocol):
    """Waits for one message with its length before it. Spec: RFC 1035 §4.2.2."""

    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._octets = bytearray()
        self.answer = answer

    def data_received(self, data: bytes) -> None:
        self._octets += data
        end = 2 + int.from_bytes(self._octets[:2])
        if len(self._octets) >= max(end, 2) and not self.answer.done():
            self.answer.set_result(bytes(self._octets[2:end]))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc or EOFError("the connection was closed"))
