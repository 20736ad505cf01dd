"""Bounds of the driver: time by an injected clock, output, input, turns."""

import asyncio
import socket

import pytest

from mailstead.net.driver import UNREAD_OCTETS_MAX
from mailstead.telemetry import metrics


def refusals(*labels):
    return metrics.REFUSALS.labels(*labels)._value.get()


async def test_silence_is_ended_with_a_goodbye(home, tools):
    client = await tools.dial(await home.listen())
    home.pass_time(299)
    assert await client.ask(b"ECHO here") == b"250 here"
    home.pass_time(299)
    assert await client.ask(b"ECHO here") == b"250 here"
    home.pass_time(302)
    assert await client.line() == b"421 too slow"
    assert await client.rest() == b""
    await client.close()
    await tools.until(lambda: home.ended_count == 1)


async def test_a_limit_that_gets_shorter_counts_at_once(home, tools):
    client = await tools.dial(await home.listen())
    home.sessions[0].connection.limit_s = 10.0
    assert await client.ask(b"ECHO x") == b"250 x"
    home.pass_time(12)
    assert await client.line() == b"421 too slow"
    await client.close()


async def test_news_from_the_server_is_no_sign_of_life_of_the_peer(home, tools):
    client = await tools.dial(await home.listen())
    for _ in range(4):
        home.pass_time(90)
        home.sessions[0].connection.output += b"* news\r\n"
        home.sessions[0].line.flush()
    assert (await client.rest()).endswith(b"421 too slow\r\n")
    await client.close()


async def test_time_that_the_server_takes_does_not_count(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"GATE\r\n")
    await asyncio.wait_for(home.at_gate.wait(), 5)
    home.pass_time(5000)
    home.gate.set()
    assert await client.line() == b"250 passed "
    home.pass_time(200)
    assert await client.ask(b"ECHO x") == b"250 x"
    await client.close()


async def test_attack_010_one_octet_now_and_then_does_not_count_as_speaking(home, tools):
    before = refusals("echo", "time", "slow")
    client = await tools.dial(await home.listen())
    connection = home.sessions[0].connection
    client.send(b"DATA 100000\r\n")
    for count in range(40):
        client.send(b"x")
        left = 100_000 - count - 1
        await tools.until(lambda left=left: connection.counted_left == left or connection.is_closed)
        home.pass_time(10)
    assert await client.line() == b"421 too slow"
    assert refusals("echo", "time", "slow") == before + 1
    await client.close()


async def test_attack_010_a_slow_honest_line_may_take_its_time(home, tools):
    """1 KB/s for an hour is a message, not an attack."""
    client = await tools.dial(await home.listen())
    connection = home.sessions[0].connection
    client.send(b"DATA 360000\r\n")
    for count in range(1, 361):
        client.send(b"x" * 1000)
        await tools.until(lambda left=360_000 - count * 1000: connection.counted_left == left)
        home.pass_time(10)
    assert await client.line() == b"250 stored"
    await client.close()


async def test_attack_010_many_slow_clients_leave_others_unhurt(home, tools):
    port = await home.listen()
    slow = [await tools.dial(port) for _ in range(200)]
    for client in slow:
        client.send(b"E")
    good = await tools.dial(port)
    for second in range(31):
        home.pass_time(10)
        assert await good.ask(b"ECHO %d" % second) == b"250 %d" % second
    assert [await client.line() for client in slow] == [b"421 too slow"] * 200
    for client in [*slow, good]:
        await client.close()


async def test_clock_that_jumps_a_day_ends_the_silent_only_once(home, tools):
    client = await tools.dial(await home.listen())
    home.pass_time(86_400)
    assert await client.rest() == b"421 too slow\r\n"
    home.pass_time(86_400)
    await client.close()


def slow_reader(port):
    """A client whose receive buffer is small, so that what it does not read piles up at the server."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    raw.setblocking(False)
    raw.connect_ex(("127.0.0.1", port))
    return raw


async def test_slow_reader_holds_the_work_back_and_memory_is_bounded(home, tools):
    port = await home.listen()
    raw = slow_reader(port)
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    writer.write(b"BIG 1000\r\n")  # 64 MB
    await tools.until(lambda: home.produced > 0)
    for _ in range(200):
        await asyncio.sleep(0)
    produced, last = home.produced, -1
    while produced != last:  # until the kernel's buffers are full and nothing moves any more
        last = produced
        await asyncio.sleep(0.05)  # that nothing moves has no event
        produced = home.produced
    assert produced < 16 * 1024 * 1024
    transport = home.sessions[0].line._transport
    assert transport.get_write_buffer_size() < 512 * 1024
    total = 0
    while total < 1000 * 65536:
        piece = await asyncio.wait_for(reader.read(65536), 10)
        assert piece
        total += len(piece)
    assert home.produced == 1000 * 65536
    writer.close()
    del loop


async def test_pipelining_without_reading_stops_the_server_from_reading(home, tools):
    """Each command asks for 1 MB; the driver stops handling while output waits, and stops reading too."""
    raw = slow_reader(await home.listen())
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    writer.write(b"LARGE 1000000\r\n" * 50_000)
    await tools.until(lambda: home.handled.get("LARGE"))
    for _ in range(500):
        await asyncio.sleep(0)
    assert home.handled["LARGE"] < 20
    assert home.sessions[0].connection.buffered_max <= UNREAD_OCTETS_MAX + 65536
    assert home.sessions[0].line._is_reading_paused
    writer.transport.abort()
    await tools.until(lambda: home.ended_count == 1)
    del reader


async def test_peer_that_takes_nothing_is_cut_off(home, tools):
    raw = slow_reader(await home.listen())
    reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
    writer.write(b"BIG 1000\r\n")
    await tools.until(lambda: home.sessions and home.sessions[0].line._is_write_paused)
    await asyncio.sleep(0.1)  # that nothing more is read has no event
    home.pass_time(122)
    assert home.ended_count == 0  # the first look only notes how far it came
    home.pass_time(122)
    await tools.until(lambda: home.ended_count == 1)
    writer.transport.abort()
    del reader


async def test_unread_input_is_bounded_while_a_reply_is_under_way(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"GATE\r\n")
    await asyncio.wait_for(home.at_gate.wait(), 5)
    client.send(b"ECHO x\r\n" * 100_000)  # 800 KB
    connection = home.sessions[0].connection
    await tools.until(lambda: home.sessions[0].line._is_reading_paused)
    assert len(connection.input) <= UNREAD_OCTETS_MAX + 65536
    home.gate.set()
    assert await client.line() == b"250 passed "
    assert await asyncio.wait_for(client.reader.readexactly(700_000), 10) == b"250 x\r\n" * 100_000
    assert connection.buffered_max <= UNREAD_OCTETS_MAX + 65536
    await client.close()


@pytest.mark.parametrize("verb", [b"ECHO", b"NOW"])
async def test_attack_044_one_pipelining_client_cannot_starve_a_hundred_others(home, tools, verb):
    """While one client pipelines without end, each of the others is served in every round of the loop."""
    port = await home.listen()
    hostile = await tools.dial(port)
    good = [await tools.dial(port) for _ in range(100)]
    flood = (verb + b" x\r\n") * 200_000
    hostile.send(flood)
    name = verb.decode()
    await tools.until(lambda: home.handled.get(name, 0) > 0)
    for _ in range(3):
        before = home.handled.get(name, 0)
        answers = await asyncio.gather(*(client.ask(b"WAIT good") for client in good))
        assert answers == [b"250 waited good"] * 100
        # A hundred good answers cost a few rounds of the loop, and each round lets the flood have a bounded share.
        assert home.handled[name] - before < 2000  # measured: 320; without the bound: about 60,000
    hostile.writer.transport.abort()
    for client in good:
        await client.close()
