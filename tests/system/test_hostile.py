"""One hostile client, a hundred good ones, one started server: the good ones are served, and nothing is lost.

The good ones are measured alone first, then beside each kind of hostility; the bound is relative and generous, as machines
differ. After each kind: the process lives, its memory is bounded, and the refusals are in the metrics.
"""

import asyncio
import contextlib
import random
import re
import socket
import ssl
import time
import urllib.request
from pathlib import Path

import pytest

from system.server import DOMAIN, PASSWORD, Server, free_ports, tls_context
from system.wire import Wire, deliver, imap, mx

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

GOOD = 100
NAMES = [f"good{number}" for number in range(10)]
HOSTILE = f"hostile@{DOMAIN}"
TIMES_SLOWER = 8
LEAST_S = 10.0
"""On a busy machine a quick baseline says little."""
GROWTH_OCTETS_MAX = 150_000_000
PORTS = ("mx", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")


class Besieged(Server):
    """A server with a metrics page and accounts for all."""

    def metrics(self, name):
        """The sum of a counter over its labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=20) as page:
            text = page.read().decode()
        values = re.findall(rf"^{name}(?:{{([^}}]*)}})? ([0-9.e+]+)$", text, re.MULTILINE)
        return {labels: float(value) for labels, value in values}

    def refusals(self, service=""):
        found = self.metrics("mailstead_refusals_total")
        return sum(value for labels, value in found.items() if f'service="{service}' in labels)

    @property
    def rss_octets(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) * 1024


@pytest.fixture(scope="module")
def besieged(tmp_path_factory):
    [metrics_port] = free_ports(1)
    server = Besieged(
        tmp_path_factory.mktemp("besieged"),
        settings={
            "MAILSTEAD_SERVER_METRICS_LISTEN": f"127.0.0.1:{metrics_port}",
            "MAILSTEAD_SERVER_LOG_LEVEL": "warning",
            "MAILSTEAD_LIMITS_LOGIN_FAILURES_MAX": "1000",
        },
    )
    server.metrics_port = metrics_port
    server.prepare(HOSTILE, *(f"{name}@{DOMAIN}" for name in NAMES))
    server.start()
    client = imap(server, HOSTILE)
    for number in range(50):
        assert b" OK " in client.append(b"Subject: %d\r\n\r\n" % number + b"0123456789abcde\n" * 3000)
    client.close()
    server.kept = dict.fromkeys(NAMES, 0)
    asyncio.run(good_clients(server))  # what is made at the first time is there now
    server.rss_at_first = server.rss_octets
    yield server
    for name, count in server.kept.items():
        client = imap(server, f"{name}@{DOMAIN}", select=False)
        [status, _] = client.imap("STATUS INBOX (MESSAGES)")
        assert int(re.search(rb"MESSAGES (\d+)", status)[1]) == count, f"{name} has lost messages"
    assert server.stop() == 0, server.log()[-2000:]
    assert server.check() == []
    assert "Traceback" not in server.log(), server.log()[-3000:]


async def dial(server, name):
    context = tls_context() if name in {"imaps", "pop3s", "submissions"} else None
    return await asyncio.open_connection("127.0.0.1", server.port[name], ssl=context, limit=1 << 22)


async def until(reader, start):
    while line := await reader.readline():
        if line.startswith(start):
            return line
    raise EOFError


async def good_client(server, number):
    """Deliver one message, then log in, append, look and read; give how long that took."""
    begin = time.perf_counter()
    name = NAMES[number % len(NAMES)]
    reader, writer = await dial(server, "mx")
    await until(reader, b"220 ")
    writer.write(f"EHLO good.test\r\nMAIL FROM:<x@elsewhere.test>\r\nRCPT TO:<{name}@{DOMAIN}>\r\nDATA\r\n".encode())
    await until(reader, b"354 ")
    writer.write(b"From: x@elsewhere.test\r\nSubject: good\r\n\r\n" + b"good\r\n" * 100 + b".\r\nQUIT\r\n")
    assert (await until(reader, b"2")).startswith(b"250 2.0.0")
    await until(reader, b"221 ")
    writer.close()
    server.kept[name] += 1
    reader, writer = await dial(server, "imaps")
    writer.write(f'a LOGIN {name}@{DOMAIN} "{PASSWORD}"\r\nb SELECT INBOX\r\nc NOOP\r\n'.encode())
    assert b" OK " in await until(reader, b"a ")
    assert b" OK " in await until(reader, b"b ")
    own = b"Subject: own\r\n\r\nown\r\n"
    writer.write(b"d APPEND INBOX {%d+}\r\n%s\r\n" % (len(own), own))
    assert b" OK " in await until(reader, b"d ")
    server.kept[name] += 1
    writer.write(b"e FETCH 1:2 (FLAGS BODY.PEEK[])\r\nf SEARCH SUBJECT good\r\ng LOGOUT\r\n")
    for tag in (b"e ", b"f ", b"g "):
        assert b" OK " in await until(reader, tag)
    writer.close()
    return time.perf_counter() - begin


async def good_clients(server):
    """All good ones at once; the time of the last."""
    async with asyncio.timeout(120):
        return max(await asyncio.gather(*(good_client(server, number) for number in range(GOOD))))


@contextlib.asynccontextmanager
async def closing(opened):
    reader, writer = opened
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def logged_in(server):
    reader, writer = await dial(server, "imaps")
    writer.write(f'a LOGIN {HOSTILE} "{PASSWORD}"\r\nb SELECT INBOX\r\n'.encode())
    assert b" OK " in await until(reader, b"b ")
    return reader, writer


async def write_all(writer, pieces):
    """Write as fast as the server reads, until it closes."""
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()


async def read_all(reader):
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while await reader.read(1 << 20):
            pass


async def fetch_flood(server, begun):
    async with closing(await logged_in(server)) as (reader, writer):
        flood = b"".join(b"f%d FETCH 1:* BODY[]\r\n" % number for number in range(10_000))
        begun.set()
        await asyncio.gather(write_all(writer, [flood]), read_all(reader))


async def command_flood(server, begun):
    async with closing(await logged_in(server)) as (reader, writer):
        begun.set()
        await asyncio.gather(write_all(writer, (b"x NOOP\r\n" * 10_000 for _ in range(1000))), read_all(reader))


async def smtp_flood(server, begun):
    async with closing(await dial(server, "mx")) as (reader, writer):
        begun.set()
        await asyncio.gather(write_all(writer, (b"EHLO x\r\n" * 5000 for _ in range(1000))), read_all(reader))


async def endless_lines(server, begun):
    """100 MB without a line end, at each clear-text port."""

    async def one(port):
        async with closing(await dial(server, port)) as (reader, writer):
            begun.set()
            await asyncio.gather(write_all(writer, (b"x" * 1_000_000 for _ in range(100))), read_all(reader))

    await asyncio.gather(*(one(port) for port in ("mx", "submission", "imap", "pop3")))


async def half_open_handshakes(server, begun):
    """A ClientHello that never ends, three hundred times, renewed when it is closed."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100)

    async def one(port):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port[port])
        async with closing((reader, writer)):
            writer.write(hello)
            begun.set()
            await read_all(reader)

    await asyncio.gather(*(one(port) for port in ("imaps", "pop3s", "submissions") for _ in range(100)))


async def slow_readers(server, begun):
    """Everything is asked for, and nothing is taken."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(20):
            _, writer = await stack.enter_async_context(closing(await logged_in(server)))
            writer.transport.pause_reading()
            writer.write(b"f FETCH 1:* (BODY[] BODY[TEXT])\r\n" * 100)
        begun.set()
        await asyncio.Event().wait()


async def guesses(server, begun):
    """Log-ins with wrong passwords, many at once: each costs a hash, which must not hold up the loop."""

    async def one(number):
        async with closing(await dial(server, "imaps")) as (reader, writer):
            await write_all(writer, [f"a LOGIN guess{number}@{DOMAIN} wrong\r\n".encode()] * 20)
            begun.set()
            await read_all(reader)

    await asyncio.gather(*(one(number) for number in range(20)))


HOSTILITIES = {
    each.__name__: each
    for each in (fetch_flood, command_flood, smtp_flood, endless_lines, half_open_handshakes, slow_readers, guesses)
}


LASTING = {"fetch_flood", "command_flood", "half_open_handshakes", "slow_readers"}
"""The others end when the server has had enough of them."""


@pytest.mark.parametrize("kind", HOSTILITIES)
async def test_attack_044_the_good_are_served_beside(besieged, kind):
    alone_s = await good_clients(besieged)  # now, as other tests may be at work beside this one
    begun = asyncio.Event()
    hostile = asyncio.create_task(HOSTILITIES[kind](besieged, begun))
    try:
        async with asyncio.timeout(30):
            await begun.wait()
        beside_s = await good_clients(besieged)
        assert kind not in LASTING or not hostile.done(), "the hostility was over before the good ones were served"
    finally:
        hostile.cancel()
        with contextlib.suppress(asyncio.CancelledError, ConnectionError, ssl.SSLError):
            await hostile
    print(f"{kind}: alone {alone_s:.2f} s, beside {beside_s:.2f} s, RSS {besieged.rss_octets >> 20} MiB")
    assert beside_s < max(TIMES_SLOWER * alone_s, LEAST_S)
    assert besieged.process.poll() is None
    assert besieged.rss_octets - besieged.rss_at_first < GROWTH_OCTETS_MAX


def garbage(chance, port):
    """Octets that are nothing, almost something, or the right thing at the wrong time."""
    words = [
        b"EHLO x\r\n",
        b"STARTTLS\r\n",
        b"a STARTTLS\r\n",
        b"STLS\r\n",
        b"a LOGIN {5}\r\n",
        b"DATA\r\n",
        b"a IDLE\r\n",
    ]
    words += [
        b"AUTH PLAIN \r\n",
        b"BDAT 99\r\n",
        b"{4294967295}\r\n",
        b"\x00\r\n",
        b"a FETCH 1:* (((\r\n",
        b"QUIT\r\n",
        b"\r\n.\r\n",
    ]
    kind = chance.randrange(4)
    if kind == 0:
        return chance.randbytes(chance.randint(1, 20_000))
    if kind == 1:
        return b"".join(chance.choices(words, k=chance.randint(1, 30)))
    octets = bytearray(b"".join(chance.choices(words, k=10)))
    for _ in range(chance.randint(1, 20)):
        octets[chance.randrange(len(octets))] = chance.randrange(256)
    if kind == 3:
        octets += b"\x16\x03\x01" + chance.randbytes(500)
    return bytes(octets)


@pytest.mark.parametrize("port", PORTS)
async def test_garbage_ends_nothing(besieged, port):
    """Seeded garbage, behind TLS where the port has it; then the port answers as before, and no bug was met."""
    chance = random.Random(port)
    before = besieged.rss_octets

    async def one(octets, eof):
        async with closing(await dial(besieged, port)) as (reader, writer):
            await write_all(writer, [octets])
            if eof and writer.can_write_eof():
                writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await read_all(reader)

    for _ in range(10):
        await asyncio.gather(*(one(garbage(chance, port), chance.random() < 0.5) for _ in range(20)))
    assert besieged.process.poll() is None
    assert sum(besieged.metrics("mailstead_bugs_total").values()) == 0, besieged.log()[-3000:]
    assert besieged.rss_octets - before < GROWTH_OCTETS_MAX
    wire = await asyncio.to_thread(Wire, besieged, port)
    assert await asyncio.to_thread(wire.line)
    await asyncio.to_thread(wire.close)


def test_every_refusal_is_counted(besieged, until):
    """One refusal at each door, each seen in the metrics of its service."""

    def seen(service, act):
        before = besieged.refusals(service)
        act()
        until(lambda: besieged.refusals(service) > before, 5)

    def wrong_recipient():
        assert deliver(mx(besieged), f"nobody@{DOMAIN}", b"x").startswith("550")

    def long_line():
        wire = Wire(besieged, "mx")
        wire.reply()
        wire.send(b"x" * 10_000 + b"\r\n")
        assert wire.reply().startswith(b"500")

    def wrong_password(port, line):
        wire = Wire(besieged, port)
        wire.line()
        if port == "submissions":
            wire.smtp("EHLO x")
        for command in line:
            wire.send(command + b"\r\n")
            wire.line()

    def http():
        wire = Wire(besieged, "imap")
        wire.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((EOFError, ConnectionError)):
            while True:
                wire.line()

    def bad_command():
        wire = Wire(besieged, "imap")
        wire.line()
        assert wire.imap("NONSENSE")[-1].split()[1] == b"BAD"
        wire.close()

    def no_tls():
        with socket.create_connection(("127.0.0.1", besieged.port["imaps"]), 10) as raw:
            raw.sendall(b"this is no handshake\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                raw.recv(1000)

    seen("mx", wrong_recipient)
    seen("mx", long_line)
    seen("submission", lambda: wrong_password("submissions", [b"AUTH PLAIN AGFAYgBj"]))
    seen("imap", lambda: wrong_password("imaps", [b"a LOGIN nobody wrong"]))
    seen("pop3", lambda: wrong_password("pop3s", [b"USER nobody@example.test", b"PASS wrong"]))
    seen("imap", http)
    seen("imap", bad_command)
    seen("imap", no_tls)
