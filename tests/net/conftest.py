"""A tiny wire and its session, and a started server of it on loopback, on both event loops."""

import asyncio
import contextlib
import ssl
from collections import deque

import pytest
import uvloop

from mailstead.net.admission import Admission
from mailstead.net.certificates import Certificates, make_self_signed
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.proto.connection import NEED_DATA, PAUSED, RemoteProtocolError

LIMIT_S = 10


class EchoConnection:
    """Lines in, lines out; one at a time."""

    def __init__(self, time_limit_s=300.0):
        self.limit_s = time_limit_s
        self.input = bytearray()
        self.output = bytearray()
        self.is_answering = False
        self.has_eof = False
        self.is_closed = False
        self.buffered_max = 0
        self.counted_left = 0

    def receive_data(self, data):
        assert isinstance(data, bytes)
        self.input += data
        self.buffered_max = max(self.buffered_max, len(self.input))

    def receive_eof(self):
        self.has_eof = True

    def next_event(self):
        if self.is_answering:
            return PAUSED
        if self.counted_left:
            if not self.input:
                return NEED_DATA
            piece = bytes(self.input[: self.counted_left])
            del self.input[: len(piece)]
            self.counted_left -= len(piece)
            return ("piece", len(piece), self.counted_left)
        end = self.input.find(b"\r\n")
        if end < 0:
            if len(self.input) > 300_000:
                raise RemoteProtocolError("long", b"500 too long")
            return NEED_DATA
        line = bytes(self.input[:end])
        del self.input[: end + 2]
        verb, _, rest = line.partition(b" ")
        if verb == b"BROKEN":
            raise RemoteProtocolError("broken", b"500 broken")
        if verb == b"DATA":
            self.counted_left = int(rest)
            return ("data", self.counted_left)
        self.is_answering = True
        return (verb.decode(), rest)

    def reply(self, line):
        self.output += line + b"\r\n"
        self.is_answering = False

    def data_to_send(self):
        data = bytes(self.output)
        self.output.clear()
        return data

    @property
    def time_limit_s(self):
        return None if self.is_answering else self.limit_s

    def time_limit_passed(self):
        self.output += b"421 too slow\r\n"
        self.is_closed = True

    @property
    def wants_close(self):
        return self.is_closed

    def drop_input(self):
        count = len(self.input)
        self.input.clear()
        return count


class EchoSession:
    def __init__(self, home):
        self.home = home
        self.connection = EchoConnection(home.time_limit_s)
        self.line = None
        self.has_ended = False
        self.wants_stop = False
        home.sessions.append(self)

    def started(self, line):
        self.line = line
        self.connection.output += b"220 " + (line.peer.tls_version or "clear").encode() + b"\r\n"

    def handle(self, event):
        verb = event[0]
        if verb == "piece":
            if event[2] == 0:
                self.reply(b"250 stored")
            return None
        if verb == "data":
            return None
        self.home.handled[verb] = self.home.handled.get(verb, 0) + 1
        return getattr(self, f"do_{verb.lower()}")(event[1])

    def reply(self, line):
        self.connection.reply(line)
        if self.wants_stop:
            self.goodbye()

    def do_echo(self, text):
        self.reply(b"250 " + text)

    def do_large(self, text):
        self.reply(b"x" * int(text))

    def do_peer(self, text):
        peer = self.line.peer
        self.reply(f"250 {peer.address} {peer.port} {peer.tls_version} {peer.tls_cipher}".encode())

    async def do_wait(self, text):
        await asyncio.sleep(0)
        self.reply(b"250 waited " + text)

    async def do_now(self, text):
        self.reply(b"250 now " + text)

    async def do_gate(self, text):
        self.home.at_gate.set()
        try:
            await self.home.gate.wait()
        except asyncio.CancelledError:
            self.home.cancelled += 1
            raise
        self.reply(b"250 passed " + text)

    def do_later(self, text):
        """The reply comes from outside."""

    async def do_big(self, text):
        count = int(text)
        for _ in range(count):
            self.connection.output += b"x" * 65536
            self.home.produced += 65536
            await self.line.drain()
        self.reply(b"\r\n250 big")

    def do_boom(self, text):
        raise RuntimeError("boom")

    async def do_aboom(self, text):
        await asyncio.sleep(0)
        raise RuntimeError("async boom")

    def do_starttls(self, text):
        self.reply(b"220 go")
        self.line.start_tls()

    async def do_astarttls(self, text):
        await asyncio.sleep(0)
        self.reply(b"220 go")
        self.line.start_tls()

    def do_compress(self, text):
        self.reply(b"250 compressing")
        self.line.start_deflate()

    def do_quit(self, text):
        self.reply(b"221 bye")
        self.connection.is_closed = True

    def do_close(self, text):
        self.reply(b"221 closing")
        self.line.close()

    def failed(self, error):
        self.reply(b"451 internal error")

    def goodbye(self):
        if not self.connection.is_closed:
            self.connection.output += b"421 stopping\r\n"
            self.connection.is_closed = True

    def stopping(self):
        self.wants_stop = True
        if not self.connection.is_answering:
            self.goodbye()

    def ended(self):
        assert not self.has_ended
        self.has_ended = True
        self.home.ended_count += 1


class ManualClock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        return self.now_s


class Home:
    """A started server of the echo wire."""

    def __init__(self, certificates):
        self.certificates = certificates
        self.clock = ManualClock()
        self.pulse = Pulse(self.clock)
        self.sessions = []
        self.handled = {}
        self.at_gate = asyncio.Event()
        self.gate = asyncio.Event()
        self.cancelled = self.produced = self.ended_count = 0
        self.time_limit_s = 300.0
        self.listeners = []

    async def listen(self, *, admission=None, **terms):
        listener = Listener(
            "127.0.0.1:0",
            Terms(
                "echo",
                lambda: EchoSession(self),
                admission or Admission(),
                context=self.certificates.context,
                **terms,
            ),
        )
        listener.bind()
        await listener.start(self.pulse)
        self.listeners.append(listener)
        return listener.bound[0].port

    def pass_time(self, seconds):
        self.clock.now_s += seconds
        self.pulse.tick()

    async def close(self):
        for listener in self.listeners:
            listener.stop_accepting()
            listener.abort_all()
        await until(lambda: not any(listener.open_count for listener in self.listeners))


class Client:
    """A plain client; the tests' own side may use streams."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def send(self, data):
        self.writer.write(data)

    async def line(self):
        return (await asyncio.wait_for(self.reader.readline(), LIMIT_S)).rstrip(b"\r\n")

    async def lines(self, count):
        return [await self.line() for _ in range(count)]

    async def ask(self, line):
        self.send(line + b"\r\n")
        return await self.line()

    async def rest(self):
        return await asyncio.wait_for(self.reader.read(), LIMIT_S)

    async def start_tls(self, context):
        await asyncio.wait_for(self.writer.start_tls(context, server_hostname="localhost"), LIMIT_S)

    async def close(self):
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


async def until(condition, limit_s=LIMIT_S):
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.001)  # looks again at what the kernel does between two sockets


async def dial(port, *, greeting=True, tls=None):
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    client = Client(reader, writer)
    if greeting:
        assert (await client.line()).startswith(b"220 ")
    return client


def pytest_asyncio_loop_factories(config, item):
    """Run every test of this room on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_self_signed(folder / "certificate.pem", folder / "key.pem", "localhost")
    return folder / "certificate.pem", folder / "key.pem"


@pytest.fixture(scope="session")
def client_tls(pair):
    return ssl.create_default_context(cafile=pair[0])


@pytest.fixture
async def home(pair):
    home = Home(Certificates(*pair))
    yield home
    await home.close()


@pytest.fixture
def tools():
    """What tests need of this file, without importing it."""

    class Tools:
        pass

    Tools.dial, Tools.until = staticmethod(dial), staticmethod(until)
    Tools.Home, Tools.EchoSession, Tools.EchoConnection, Tools.deque = Home, EchoSession, EchoConnection, deque
    return Tools
