"""Postfix's smtp-sink as a server that others wrote, in several states of education."""

import asyncio
import contextlib
import os
import shutil
import socket

import pytest

from mailstead.model.queue import DestinationKind

SINK = shutil.which("smtp-sink", path="/usr/sbin:/usr/local/sbin:/usr/bin")

pytestmark = [pytest.mark.full, pytest.mark.skipif(not SINK, reason="smtp-sink (Debian package postfix) is missing")]


@contextlib.asynccontextmanager
async def sink(tmp_path, *options):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    user = ("-u", "root") if os.geteuid() == 0 else ()  # it insists on being told
    command = [SINK, *user, "-d", f"{tmp_path}/mail.", *options, f"127.0.0.1:{port}", "10"]
    process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path)
    try:
        yield port
    finally:
        process.terminate()
        await process.wait()


async def opened(world, port):
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            await asyncio.sleep(0.01)  # smtp-sink says nowhere that it listens
    return await world.open("127.0.0.1", DestinationKind.HOST, port)


@pytest.mark.parametrize("options", [(), ("-e",), ("-p",), ("-8",), ("-e", "-8", "-p")])
async def test_messages_arrive_at_a_sink_of_any_education(world, tmp_path, options):
    octets = b"Subject: x\r\n\r\n.dot\r\n..\r\n" + b"line\r\n" * 50_000
    async with sink(tmp_path, *options) as port:
        session = await opened(world, port)
        for _ in range(3):
            replies = await world.send(octets, to=("a@x.test", "b@x.test"), session=session)
            assert [reply.code for reply in replies] == [250, 250]
        await session.close()
    files = sorted(tmp_path.glob("mail.*"))
    assert len(files) == 3
    for file in files:
        assert file.read_bytes().replace(b"\r\n", b"\n").endswith(b"\n\n.dot\n..\n" + b"line\n" * 50_000 + b"\n")


@pytest.mark.parametrize("command", ["mail", "rcpt", "data", "."])
@pytest.mark.parametrize(("option", "code"), [("-r", 450), ("-f", 500)])
async def test_refusals_of_a_sink_are_heard_and_the_session_goes_on(world, tmp_path, command, option, code):
    async with sink(tmp_path, option, command) as port:
        session = await opened(world, port)
        for _ in range(2):
            [reply] = await world.send(session=session)
            assert (reply.code // 100, reply.is_permanent) == (code // 100, code == 500)
            assert session.is_open


@pytest.mark.parametrize("command", ["mail", "rcpt", "data", "."])
async def test_a_sink_that_hangs_up_leaves_the_mail_waiting(world, tmp_path, command):
    async with sink(tmp_path, "-q", command) as port:
        session = await opened(world, port)
        [reply] = await world.send(session=session)
        assert (reply.code, reply.is_permanent) == (0, False)
        assert not session.is_open
