"""How long connections to the HTTP server last: by what they are about, and whether they are at rest."""

import asyncio
import contextlib
import socket
import ssl

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from mailstead.net.certificates import open_certificates
from mailstead.net.http_server import HttpServer, HttpTerms

LIMIT_S = 10
SHORT_S = 0.2
"""The life of a connection here, and how often it is looked at."""


async def answer(scope, receive, send):
    """Read the body, and tell how long it was."""
    request = Request(scope, receive)
    await PlainTextResponse(str(len(await request.body())))(scope, receive, send)


class Served:
    def __init__(self, folder, terms):
        certificates = open_certificates("", "", folder, "localhost", 5.0)
        self.server = HttpServer(answer, terms, ["127.0.0.1:0"], [], certificates.context)

    async def open(self):
        (place,) = self.server.bound
        return await asyncio.open_connection("127.0.0.1", place.port)


@pytest.fixture
async def serve(tmp_path):
    async with contextlib.AsyncExitStack() as stack:

        async def begin(**terms):
            long = {"request_s": lambda path: 5.0 if path.startswith("/long") else 0.0, **terms}
            served = Served(tmp_path / "data", HttpTerms("test", SHORT_S, **long))
            served.server.bind()
            stop = asyncio.Event()
            running = asyncio.create_task(served.server.run(stop))

            async def end():
                stop.set()
                await asyncio.wait_for(running, LIMIT_S)

            stack.push_async_callback(end)
            return served

        yield begin


async def ask(streams, path, body=b""):
    reader, writer = streams
    writer.write(f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head.split()[1], await reader.readexactly(length)


async def ended(reader):
    """Wait until the other side has closed or dropped the connection."""
    with contextlib.suppress(ConnectionError):
        assert await reader.read() == b""


async def looked_at(times=3):
    """Let a connection be looked at so many times; nothing tells of it from outside."""
    await asyncio.sleep(SHORT_S * times)


async def test_at_rest_a_connection_waits_for_the_next_request(serve):
    served = await serve()
    async with asyncio.timeout(LIMIT_S):
        streams = await served.open()
        for body in (b"one", b"three", b""):
            assert await ask(streams, "/long/a", body) == (b"200", str(len(body)).encode())
            await looked_at()
        streams[1].close()


async def test_at_rest_it_has_an_end(serve):
    served = await serve(long_keep_alive_s=1)
    async with asyncio.timeout(LIMIT_S):
        streams = await served.open()
        assert (await ask(streams, "/long/a"))[0] == b"200"
        await ended(streams[0])
        streams[1].close()


async def test_pages_have_the_life_of_a_connection_only(serve):
    served = await serve()
    async with asyncio.timeout(LIMIT_S):
        streams = await served.open()
        assert (await ask(streams, "/page"))[0] == b"200"
        await ended(streams[0])
        streams[1].close()


async def test_attack_010_a_head_that_never_ends_behind_an_answer(serve):
    served = await serve()
    async with asyncio.timeout(LIMIT_S):
        reader, writer = streams = await served.open()
        assert (await ask(streams, "/long/a"))[0] == b"200"
        writer.write(b"PUT /long/b HTTP/1.1\r\nX-A: ")
        await ended(reader)
        writer.close()


async def test_attack_010_a_body_that_never_ends(serve):
    served = await serve(request_s=lambda _path: 3 * SHORT_S)
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await served.open()
        writer.write(b"PUT /long/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nbegun")
        await ended(reader)
        writer.close()


async def test_a_slow_body_within_its_time_is_read(serve):
    served = await serve()
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await served.open()
        writer.write(b"PUT /long/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nbegun")
        await looked_at()
        writer.write(b"ended")
        assert (await reader.readline()).split()[1] == b"200"
        writer.close()


async def test_a_head_goes_out_together_with_its_body(tmp_path):
    """As one TLS record, so that a client is not woken up for each."""
    certificates = open_certificates("", "", tmp_path / "data", "localhost", 5.0)
    server = HttpServer(answer, HttpTerms("test"), [], ["127.0.0.1:0"], certificates.context)
    server.bind()
    stop = asyncio.Event()
    running = asyncio.create_task(server.run(stop))
    try:
        got = await asyncio.wait_for(asyncio.to_thread(first_record, server.bound[0].port), LIMIT_S)
    finally:
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(b"\r\n\r\n5")


def first_record(port):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain) as encrypted:
        encrypted.settimeout(LIMIT_S)
        encrypted.sendall(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        return encrypted.recv(16_384)  # gives no more than one record
