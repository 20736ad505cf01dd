"""Memory per idle connection and CPU per request of TLS: our byte layer against the event loops' own.

Run: python bench/tls_layer.py [connections] [requests]. The server is a process of its own; the numbers of ADR 0008 come from
here. One request is a 4 KB message in one line-ended command and a short reply, one at a time on each of 10 connections.
"""

import asyncio
import gc
import json
import resource
import ssl
import sys
import tempfile
from pathlib import Path

import uvloop

from mailstead.net.admission import Admission
from mailstead.net.certificates import Certificates, make_self_signed
from mailstead.net.driver import Driver
from mailstead.net.pulse import Pulse
from mailstead.net.run import raise_file_limit
from mailstead.net.terms import Terms
from mailstead.proto.connection import NEED_DATA

WAYS = ("clear", "ours", "loop")


class Wire:
    __slots__ = ("buffer", "output")
    time_limit_s = 1800.0
    wants_close = False

    def __init__(self):
        self.buffer = bytearray()
        self.output = b""

    def receive_data(self, data):
        self.buffer += data

    def receive_eof(self):
        pass

    def next_event(self):
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return NEED_DATA
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def data_to_send(self):
        data, self.output = self.output, b""
        return data

    def drop_input(self):
        return 0


class Session:
    __slots__ = ("connection",)

    def __init__(self):
        self.connection = Wire()

    def started(self, line):
        self.connection.output += b"220 ready\r\n"

    def handle(self, event):
        self.connection.output += b"x" * 1_000_000 + b"\r\n" if event == b"b FETCH" else b"250 ok\r\n"

    def stopping(self):
        pass

    def ended(self):
        pass


def rss_octets():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def serve(way, folder):
    certificates = Certificates(folder / "certificate.pem", folder / "key.pem")
    pulse, drivers = Pulse(), set()
    terms = Terms("bench", Session, Admission(), certificates.context, is_tls_implicit=way == "ours")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Driver(terms, pulse, drivers), "127.0.0.1", 0, ssl=certificates.context() if way == "loop" else None
    )
    pulse.start(loop)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        gc.collect()
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps({"rss": rss_octets(), "cpu_s": usage.ru_utime + usage.ru_stime}), flush=True)


async def measure(loop_name, way, folder, connection_count, request_count):
    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "serve", loop_name, way, str(folder), stdin=-1, stdout=-1
    )
    port = int(await server.stdout.readline())

    async def ask():
        server.stdin.write(b"\n")
        return json.loads(await server.stdout.readline())

    tls = None if way == "clear" else ssl.create_default_context(cafile=folder / "certificate.pem")

    async def connect():
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
        )
        await reader.readline()
        writer.write(b"a SELECT INBOX\r\n")
        await reader.readline()
        return reader, writer

    busy = [await connect() for _ in range(10)]
    start = await ask()
    idle = [await connect() for _ in range(connection_count)]
    full = await ask()
    for reader, writer in idle:
        writer.write(b"b FETCH\r\n")
        await reader.readexactly(1_000_002)
    used = await ask()
    message = b"x" * 4094 + b"\r\n"

    async def talk(reader, writer):
        for _ in range(request_count // 10):
            writer.write(message)
            await reader.readline()

    before = await ask()
    await asyncio.gather(*(talk(*pair) for pair in busy))
    after = await ask()
    server.kill()
    await server.wait()
    for _, writer in (*busy, *idle):
        writer.transport.abort()
    return {
        "loop": loop_name,
        "tls": way,
        "idle_octets": round((full["rss"] - start["rss"]) / connection_count),
        "idle_octets_after_1_mb": round((used["rss"] - start["rss"]) / connection_count),
        "connect_cpu_us": round((full["cpu_s"] - start["cpu_s"]) / connection_count * 1e6),
        "request_cpu_us": round((after["cpu_s"] - before["cpu_s"]) / request_count * 1e6, 1),
    }


async def compare(connection_count, request_count):
    with tempfile.TemporaryDirectory() as folder:
        make_self_signed(Path(folder) / "certificate.pem", Path(folder) / "key.pem", "localhost")
        for loop_name in ("uvloop", "asyncio"):
            for way in WAYS:
                print(
                    json.dumps(await measure(loop_name, way, Path(folder), connection_count, request_count)), flush=True
                )


if __name__ == "__main__":
    raise_file_limit(20_000)
    if sys.argv[1:2] == ["serve"]:
        run = uvloop.run if sys.argv[2] == "uvloop" else asyncio.run
        run(serve(sys.argv[3], Path(sys.argv[4])))
    else:
        numbers = [int(text) for text in sys.argv[1:]] or [2000, 20_000]
        uvloop.run(compare(*numbers))
