"""A small name server on loopback, over UDP and TCP on one port, that says what a test tells it."""

import asyncio
import contextlib
import socket
import struct

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SOA = "example.test. 3600 IN SOA ns.example.test. host.example.test. 1 7200 3600 1209600 60"


def records(*lines):
    """`name TTL IN type data` per line; of one type at one name."""
    return [
        dns.rrset.from_text(*line.split(" ", 3)[:2], *line.split(" ", 4)[2:4], line.split(" ", 4)[4]) for line in lines
    ]


class NameServerDouble:
    """`answers` holds, per `name type`, records or a function from the query's message to the octets to send (None: silence)."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.over_tcp = []
        self.source_ports = []
        self.ids = []
        self.wants_dnssec = []
        self.is_authentic = False
        self.rcode = dns.rcode.NOERROR
        self.asked_now = asyncio.Event()

    async def start(self):
        loop = asyncio.get_running_loop()
        while True:
            self._tcp = await asyncio.start_server(self._converse, "127.0.0.1", 0)
            self.port = self._tcp.sockets[0].getsockname()[1]
            try:
                self._udp, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self), local_addr=("127.0.0.1", self.port)
                )
            except OSError:
                self._tcp.close()
                continue
            return self

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    async def stop(self):
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    def answer(self, octets, *, is_tcp):
        query = dns.message.from_wire(octets)
        (question,) = query.question
        key = f"{question.name.to_text(omit_final_dot=True).lower()} {question.rdtype.name}"
        (self.over_tcp if is_tcp else self.asked).append(key)
        self.ids.append(query.id)
        self.wants_dnssec.append(bool(query.ednsflags & dns.flags.DO))
        self.asked_now.set()
        told = self.answers.get(key)
        if callable(told):
            return told(query, is_tcp)
        return self.response(query, told).to_wire(max_size=65535)

    def response(self, query, rrsets):
        response = dns.message.make_response(query, recursion_available=True)
        if self.is_authentic:
            response.flags |= dns.flags.AD
        response.set_rcode(self.rcode)
        if rrsets is None:
            response.set_rcode(self.rcode or dns.rcode.NXDOMAIN)
        if not rrsets:
            response.authority += records(SOA)
        response.answer += rrsets or []
        return response

    async def _converse(self, reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            answer = self.answer(await reader.readexactly(length), is_tcp=True)
            if answer is not None:
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()
                await reader.read()
        writer.transport.abort()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server):
        self.server = server

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.server.source_ports.append(addr[1])
        answer = self.server.answer(data, is_tcp=False)
        for each in answer if isinstance(answer, list) else [answer]:
            if each is not None:
                self.transport.sendto(truncated(each) if len(each) > 1232 else each, addr)


def truncated(octets):
    """The same with nothing but its header and question."""
    response = dns.message.from_wire(octets)
    response.flags |= dns.flags.TC
    response.answer, response.authority = [], []
    return response.to_wire()


def unused_port():
    """A port where nobody listens (any more)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
