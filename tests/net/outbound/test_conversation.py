"""The conversation by itself, against a server of a few lines."""

import asyncio
import contextlib

import pytest

from mailstead.net.outbound.conversation import Buffers, Conversation
from net.outbound.remote import until


@contextlib.asynccontextmanager
async def talking(serve):
    """Connect to a server that runs `serve(reader, writer)`."""
    over = asyncio.Event()

    async def run(reader, writer):
        with contextlib.suppress(ConnectionError):
            await serve(reader, writer)
            await writer.drain()
            await reader.read()
        writer.close()
        over.set()

    server = await asyncio.start_server(run, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    _, talk = await asyncio.get_running_loop().create_connection(lambda: Conversation(Buffers()), "127.0.0.1", port)
    try:
        async with asyncio.timeout(10):
            yield talk
    finally:
        talk.abort()
        async with asyncio.timeout(10):
            await over.wait()
        server.close()


def saying(*pieces):
    async def serve(reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that they come one by one, mostly

    return serve


async def test_replies_are_counted_however_they_are_cut():
    async with talking(saying(b"22", b"0 hello\r", b"\n")) as talk:
        assert (await talk.answer(5)).code == 220
    async with talking(saying(b"220 hello\r\n", b"250-a\r\n250 b\r\n25", b"0 c\r\n")) as talk:
        await talk.answers(1, 5)
        talk.client.extensions["PIPELINING"] = ""
        talk.client.send_noop()
        talk.client.send_noop()
        talk.flush()
        assert [answer.text for answer in await talk.answers(2, 5)] == ["a\nb", "c"]
        assert talk.ending is None


async def test_the_limit_is_for_each_reply_not_for_the_group():
    async def slow(reader, writer):
        writer.write(b"220 hello\r\n")
        await reader.readline()
        for _ in range(6):
            await asyncio.sleep(0.1)  # the slowness is what is tested
            writer.write(b"250 fine\r\n")

    async with talking(slow) as talk:
        await talk.answers(1, 5)
        talk.client.extensions["PIPELINING"] = ""
        for _ in range(6):
            talk.client.send_noop()
        talk.flush()
        assert len(await talk.answers(6, 0.4)) == 6


async def test_a_shorter_limit_counts_though_a_longer_one_was_set_before():
    async with talking(saying(b"220 hello\r\n")) as talk:
        await talk.answers(1, 3600)
        talk.client.send_noop()
        talk.flush()
        assert await talk.answers(1, 0.1) == []
        assert talk.ending.code == 0


@pytest.mark.parametrize("said", [b"421 4.4.2 bye\r\n", b"250 what?\r\n", b"garbage\r\n", b""])
async def test_whatever_is_said_unasked_is_the_end(said):
    async def serve(reader, writer):
        writer.write(b"220 hello\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)  # so that it comes unasked, behind the greeting
        if said:
            writer.write(said)
        else:
            writer.write_eof()

    async with talking(serve) as talk:
        await talk.answers(1, 5)
        await until(lambda: talk.ending is not None)
        assert talk.ending.code == (421 if said.startswith(b"421") else 0)
        assert await talk.answers(5, 5) in ([], [talk.ending])


async def test_after_the_end_nothing_is_waited_for_and_nothing_is_said():
    async with talking(saying(b"220 hello\r\n")) as talk:
        await talk.answers(1, 5)
        talk.abort()
        assert await talk.answers(1, 3600) == []
        assert await talk.answer(3600) == talk.ending
        await talk.stream([b"x"], 3600)
        talk.quit()


async def test_attack_025_a_flood_of_replies_is_never_kept():
    async def flood(reader, writer):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"250 x\r\n" * 1000)
                await writer.drain()

    async with talking(flood) as talk:
        await until(lambda: talk.ending is not None)
        assert len(talk._replies) <= 1
