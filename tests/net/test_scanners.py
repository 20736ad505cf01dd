"""Scanners that do not answer, or not as they should. Real daemons: tests/system/test_scanners.py."""

import asyncio
import contextlib

import pytest

from mailstead.config.settings import Clamav
from mailstead.config.settings import Rspamd as RspamdSettings
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.verdict import Decision
from mailstead.net.clamd import Clamd
from mailstead.net.rspamd import Rspamd
from mailstead.ports.scanner import Scanned

MESSAGE = Scanned(
    "q1",
    Peer("192.0.2.1", 1),
    "helo.example",
    Address.parse("a@b.example"),
    (Address.parse("x@y.example"),),
    b"From: a\r\n\r\nhi\r\n",
)


@contextlib.asynccontextmanager
async def answering(answer, *, reads_all=True):
    """A server that answers with these octets (None: never) and keeps what it heard."""
    heard = bytearray()
    done = asyncio.Event()

    async def talk(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if reads_all:
                heard.extend(
                    await reader.readuntil(b"\0\0\0\0")
                    if answer is None or b"HTTP" not in answer
                    else await reader.readuntil(b"\r\n\r\n")
                )
            if answer is None:
                await done.wait()
            writer.write(answer or b"")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], heard
    finally:
        done.set()
        server.close()


def clamd(port, **how):
    return Clamd(Clamav(address=f"127.0.0.1:{port}", limit_s=how.pop("limit_s", 5.0), **how))


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (b"stream: OK\0", Decision.ALLOW),
        (b"stream: Some.Virus FOUND\0", Decision.REFUSE),
        (b"INSTREAM size limit exceeded. ERROR\0", Decision.DEFER),
        (b"something else ERROR\0", Decision.DEFER),
        (b"", Decision.DEFER),
        (b"x" * 100_000, Decision.DEFER),
    ],
)
async def test_what_clamd_says_decides(answer, decision):
    async with answering(answer) as (port, heard):
        check = await clamd(port).scan(MESSAGE)
    assert check.decision is decision
    assert bytes(heard).startswith(b"zINSTREAM\0")


async def test_without_clamd_mail_waits_or_goes_on_as_the_setting_says():
    async with answering(None) as (port, _):
        assert (await clamd(port, limit_s=0.05).scan(MESSAGE)).decision is Decision.DEFER
        check = await clamd(port, limit_s=0.05, is_required=False).scan(MESSAGE)
    assert check.decision is Decision.ALLOW
    assert check.reason == "did not answer"
    assert (await clamd(port).scan(MESSAGE)).decision is Decision.DEFER  # nobody listens there any more


def http(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (http('{"action": "reject", "score": 20}'), Decision.REFUSE),
        (http('{"action": "soft reject", "score": 1}'), Decision.DEFER),
        (http('{"action": "add header", "score": 7}'), Decision.QUARANTINE),
        (http('{"action": "no action", "score": 2, "symbols": {"A": {"score": 2.0}}}'), Decision.ALLOW),
        (http("not json"), Decision.ALLOW),
        (http("[]"), Decision.ALLOW),
        (http("{}", "500 Oops"), Decision.ALLOW),
    ],
)
async def test_what_rspamd_says_decides(answer, decision):
    async with answering(answer) as (port, heard):
        check = await Rspamd(RspamdSettings(url=f"http://127.0.0.1:{port}", limit_s=5.0)).scan(MESSAGE)
    assert check.decision is decision
    assert b"x@y.example" in heard
    assert b"192.0.2.1" in heard


async def test_scores_of_rspamd_count_in_part():
    async with answering(http('{"action": "no action", "score": 3.0, "symbols": {"BAD_WORD": {"score": 3.0}}}')) as (
        port,
        _,
    ):
        check = await Rspamd(RspamdSettings(url=f"http://127.0.0.1:{port}", limit_s=5.0)).scan(MESSAGE)
    assert check.score == 1.5
    assert "BAD_WORD" in check.reason


async def test_attack_005_nothing_of_a_stranger_breaks_a_header_of_the_question():
    message = Scanned("q1", Peer("192.0.2.1", 1), "evil\r\nPassword: x", None, (), b"x")
    async with answering(http('{"action": "no action", "score": 0}')) as (port, heard):
        await Rspamd(RspamdSettings(url=f"http://127.0.0.1:{port}", limit_s=5.0)).scan(message)
    assert b"\r\nPassword:" not in heard
