"""TLS as a byte layer: implicit, by STARTTLS, its failures and its attacks."""

import asyncio
import contextlib
import ssl

import pytest

from mailstead.net.admission import Admission
from mailstead.net.pulse import Pulse
from mailstead.net.tls import TlsFailed, TlsLayer, server_context
from mailstead.telemetry import metrics


def refusals(*labels):
    return metrics.REFUSALS.labels(*labels)._value.get()


async def test_implicit_tls(home, tools, client_tls):
    client = await tools.dial(await home.listen(is_tls_implicit=True), tls=client_tls)
    words = (await client.ask(b"PEER")).split()
    assert words[3] == b"TLSv1.3"
    assert words[4].startswith(b"TLS_")
    client.send(b"ECHO a\r\nWAIT b\r\n")
    assert await client.lines(2) == [b"250 a", b"250 waited b"]
    assert await client.ask(b"QUIT") == b"221 bye"
    assert await client.rest() == b""
    await client.close()
    await tools.until(lambda: home.ended_count == 1)


@pytest.mark.parametrize("verb", [b"STARTTLS", b"ASTARTTLS"])
async def test_starttls(home, tools, client_tls, verb):
    client = await tools.dial(await home.listen())
    assert (await client.ask(b"PEER")).endswith(b"None None")
    assert await client.ask(verb) == b"220 go"
    await client.start_tls(client_tls)
    assert b"TLSv1.3" in await client.ask(b"PEER")
    assert await client.ask(b"WAIT x") == b"250 waited x"
    await client.close()


async def test_attack_003_commands_behind_starttls_are_dropped_and_the_connection_closed(home, tools):
    before = refusals("echo", "starttls", "pipelined input")
    client = await tools.dial(await home.listen())
    client.send(b"STARTTLS\r\nECHO injected\r\n")
    assert await client.line() == b"220 go"
    assert await client.rest() == b""
    assert "ECHO" not in home.handled
    assert refusals("echo", "starttls", "pipelined input") == before + 1
    await client.close()


async def test_attack_003_plain_text_instead_of_a_handshake_never_reaches_the_session(home, tools):
    client = await tools.dial(await home.listen())
    assert await client.ask(b"STARTTLS") == b"220 go"
    client.send(b"ECHO injected\r\n")
    await client.rest()  # at most an alert, then the end
    assert "ECHO" not in home.handled
    await client.close()


async def test_attack_003_half_a_command_behind_starttls_does_not_survive_either(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"STARTTLS\r\nECHO inj")
    assert await client.line() == b"220 go"
    assert await client.rest() == b""
    await client.close()


async def test_large_both_ways_through_tls(home, tools, client_tls):
    client = await tools.dial(await home.listen(is_tls_implicit=True), tls=client_tls)
    client.send(b"DATA 1000000\r\n" + b"x" * 1_000_000)
    assert await client.line() == b"250 stored"
    client.send(b"BIG 40\r\n")
    received = await asyncio.wait_for(client.reader.readexactly(40 * 65536 + 11), 20)
    assert received == b"x" * (40 * 65536) + b"\r\n250 big\r\n"
    await client.close()


async def test_plain_http_on_a_tls_port_is_closed(home, tools):
    before = refusals("echo", "tls", "handshake")
    client = await tools.dial(await home.listen(is_tls_implicit=True), greeting=False)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    await client.rest()
    assert refusals("echo", "tls", "handshake") == before + 1
    assert not home.sessions
    await client.close()


async def test_handshake_that_stalls_is_cut_off(home, tools):
    client = await tools.dial(await home.listen(is_tls_implicit=True), greeting=False)
    await tools.until(lambda: home.listeners[0].open_count == 1)
    home.pass_time(29)
    client.send(b"\x16\x03")
    await asyncio.sleep(0)
    assert home.listeners[0].open_count == 1
    home.pass_time(3)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(client.reader.readexactly(1), 5)
    await client.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_tls_is_refused(home, tools, pair):
    context = ssl.create_default_context(cafile=pair[0])
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    port = await home.listen(is_tls_implicit=True)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await tools.dial(port, tls=context)


async def test_tls_12_works_with_forward_secrecy(home, tools, pair):
    context = ssl.create_default_context(cafile=pair[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    client = await tools.dial(await home.listen(is_tls_implicit=True), tls=context)
    words = (await client.ask(b"PEER")).split()
    assert words[3] == b"TLSv1.2"
    assert words[4].startswith(b"ECDHE-")
    await client.close()


async def test_proxy_header_tls_hello_and_command_in_one_packet(home, tools, client_tls):
    """The header, then TLS, by one mechanism, however the octets are cut."""
    port = await home.listen(is_tls_implicit=True, admission=Admission(proxy_from=["127.0.0.1"]))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    writer.write(b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 993\r\n" + outgoing.read())
    while True:
        incoming.write(await asyncio.wait_for(reader.read(65536), 5))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            continue
    tls.write(b"PEER\r\n")
    writer.write(outgoing.read())
    received = b""
    while received.count(b"\r\n") < 2:
        incoming.write(await asyncio.wait_for(reader.read(65536), 5))
        try:
            while True:
                received += tls.read(65536)
        except ssl.SSLWantReadError:
            continue
    assert received.split(b"\r\n")[1].startswith(b"250 192.0.2.7 4711 TLSv1.3")
    writer.close()


async def test_session_tickets_are_given_and_taken(home, tools, client_tls):
    """A second handshake with the ticket of the first is a resumption."""
    port = await home.listen(is_tls_implicit=True)

    def connect(session):
        import socket

        with socket.create_connection(("127.0.0.1", port), 5) as raw:
            with client_tls.wrap_socket(raw, server_hostname="localhost", session=session) as tls:
                tls.recv(100)
                return tls.session, tls.session_reused

    session, _ = await asyncio.to_thread(connect, None)
    assert (await asyncio.to_thread(connect, session))[1]


def test_layer_alone_in_any_cut(pair, client_tls):
    """The layer needs no socket: octets cut anywhere give the same plain text."""
    layer = TlsLayer(server_context(*pair), Pulse().plain_buffer)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")

    def give(octets):
        plain = b""
        for octet in octets:
            plain += layer.receive(memoryview(bytes([octet])))
        incoming.write(layer.take_output())
        return plain

    for _ in range(4):
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        give(outgoing.read())
    assert layer.is_ready
    tls.write(b"hello " * 5000)
    assert give(outgoing.read()) == b"hello " * 5000
    incoming.write(layer.send(b"answer" * 10_000))
    received = b""
    while len(received) < 60_000:
        received += tls.read(65536)
    assert received == b"answer" * 10_000
    incoming.write(layer.close())
    assert tls.read(10) == b""
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()
        raise ssl.SSLWantReadError
    give(outgoing.read())
    assert layer.is_eof


def test_layer_refuses_garbage(pair):
    layer = TlsLayer(server_context(*pair), Pulse().plain_buffer)
    with pytest.raises(TlsFailed):
        layer.receive(memoryview(b"EHLO not.tls\r\n" * 10))
