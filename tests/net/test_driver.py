"""The driver's loop: events in order, pauses, one write per batch, the end."""

import asyncio
import contextlib
import inspect

from mailstead.telemetry import metrics
from mailstead.telemetry.transcript import Transcript


def count_of(counter, *labels):
    return counter.labels(*labels)._value.get()


async def test_greets_echoes_and_closes(home, tools):
    client = await tools.dial(await home.listen())
    assert await client.ask(b"ECHO one") == b"250 one"
    assert await client.ask(b"QUIT") == b"221 bye"
    assert await client.rest() == b""
    await client.close()
    await tools.until(lambda: home.ended_count == 1)


async def test_pipelined_commands_are_answered_in_order(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"".join(b"%s %d\r\n" % (verb, n) for n, verb in enumerate([b"ECHO", b"WAIT", b"NOW"] * 100)))
    words = {0: b"250 %d", 1: b"250 waited %d", 2: b"250 now %d"}
    assert await client.lines(300) == [words[n % 3] % n for n in range(300)]
    await client.close()


async def test_input_in_single_octets(home, tools):
    client = await tools.dial(await home.listen())
    for octet in b"ECHO slow\r\nWAIT x\r\n":
        client.send(bytes([octet]))
        await asyncio.sleep(0)
    assert await client.lines(2) == [b"250 slow", b"250 waited x"]
    await client.close()


async def test_paused_until_answered_from_outside(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"LATER\r\nECHO after\r\n")
    await tools.until(lambda: home.handled.get("LATER"))
    session = home.sessions[0]
    assert "ECHO" not in home.handled
    session.reply(b"250 at last")
    session.line.pump()
    assert await client.lines(2) == [b"250 at last", b"250 after"]
    await client.close()


async def test_flush_from_outside(home, tools):
    client = await tools.dial(await home.listen())
    home.sessions[0].connection.output += b"* news\r\n"
    home.sessions[0].line.flush()
    assert await client.line() == b"* news"
    await client.close()


async def test_spawned_work_runs_beside_and_ends_with_the_conversation(home, tools):
    client = await tools.dial(await home.listen())
    session = home.sessions[0]

    async def news():
        session.connection.output += b"* news\r\n"

    ended = asyncio.Event()

    async def wait_for_ever():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    session.line.spawn(news())
    session.line.spawn(wait_for_ever())
    assert await client.line() == b"* news"
    await client.close()
    await asyncio.wait_for(ended.wait(), 5)


async def test_spawned_work_that_never_began_is_closed(home, tools):
    client = await tools.dial(await home.listen())
    line = home.sessions[0].line

    async def news():
        raise AssertionError("cancelled before its first step")

    work = news()
    line.spawn(work)
    line.abort()
    for task in line._side_tasks:
        task.cancel()
    await tools.until(lambda: home.ended_count == 1)
    assert inspect.getcoroutinestate(work) == inspect.CORO_CLOSED
    await client.close()


async def test_bug_is_answered_counted_and_survived(home, tools, capfd):
    before = count_of(metrics.BUGS, "echo")
    client = await tools.dial(await home.listen())
    assert await client.ask(b"BOOM") == b"451 internal error"
    assert await client.ask(b"ABOOM") == b"451 internal error"
    assert await client.ask(b"ECHO still here") == b"250 still here"
    assert count_of(metrics.BUGS, "echo") == before + 2
    await client.close()


async def test_remote_protocol_error_is_said_and_closes(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"ECHO a\r\nBROKEN\r\nECHO b\r\n")
    assert await client.lines(2) == [b"250 a", b"500 broken"]
    assert await client.rest() == b""
    await client.close()


async def test_eof_after_commands_is_answered_first(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"ECHO a\r\nWAIT b\r\nECHO c\r\n")
    client.writer.write_eof()
    assert await client.rest() == b"250 a\r\n250 waited b\r\n250 c\r\n"
    await client.close()


async def test_a_vanished_peer_cancels_the_work(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"GATE\r\n")
    await asyncio.wait_for(home.at_gate.wait(), 5)
    home.sessions[0].line.abort()
    await tools.until(lambda: home.cancelled == 1 and home.ended_count == 1)
    await client.close()


async def test_close_by_the_session_waits_for_the_reply(home, tools):
    client = await tools.dial(await home.listen())
    assert await client.ask(b"CLOSE") == b"221 closing"
    assert await client.rest() == b""
    await client.close()


async def test_goodbye_arrives_although_the_peer_goes_on_sending(home, tools):
    """Closing at once with unread input would send a TCP reset that destroys the goodbye."""
    client = await tools.dial(await home.listen())
    client.send(b"QUIT\r\n" + b"ECHO more\r\n" * 50_000)
    assert await client.line() == b"221 bye"
    assert await client.rest() == b""
    await client.close()


async def test_idle_conversation_has_no_task(home, tools):
    port = await home.listen()
    before = len(asyncio.all_tasks())
    clients = [await tools.dial(port) for _ in range(20)]
    assert await clients[0].ask(b"WAIT x") == b"250 waited x"
    await tools.until(lambda: len(asyncio.all_tasks()) == before)
    for client in clients:
        await client.close()


async def test_transcript_shows_plain_lines_under_tls_and_no_secret(home, tools, client_tls):
    lines = []
    port = await home.listen(is_tls_implicit=True, make_transcript=lambda peer: Transcript(lines.append))
    client = await tools.dial(port, tls=client_tls)
    assert await client.ask(b"ECHO a") == b"250 a"
    assert await client.ask(b"ECHO AUTH pw-never-in-a-log") == b"250 AUTH pw-never-in-a-log"
    assert lines[:4] == ["S: 220 TLSv1.3", "C: ECHO a", "S: 250 a", "C: ECHO AUTH [removed]"]
    await client.close()


async def test_errors_of_the_session_itself_do_not_leak_conversations(home, tools, monkeypatch):
    """Even a session whose every method fails ends in a closed socket and a released place."""

    def fail(self, *args):
        raise RuntimeError("broken session")

    for name in ("started", "handle", "failed", "ended", "stopping"):
        monkeypatch.setattr(tools.EchoSession, name, fail)
    port = await home.listen()
    client = await tools.dial(port, greeting=False)
    client.send(b"ECHO x\r\n")
    with contextlib.suppress(ConnectionError):
        await client.rest()
    await tools.until(lambda: home.listeners[0].open_count == 0)
    await client.close()


async def test_peer_that_hangs_up_while_nobody_answers_is_let_go(home, tools):
    client = await tools.dial(await home.listen())
    client.send(b"LATER\r\n")
    await tools.until(lambda: home.handled.get("LATER"))
    client.writer.write_eof()
    assert await client.rest() == b""
    await tools.until(lambda: home.ended_count == 1)
    await client.close()


async def test_work_that_is_cancelled_from_inside_does_not_hang_the_conversation(home, tools, monkeypatch):
    async def cancel_oneself(self, text):
        raise asyncio.CancelledError

    monkeypatch.setattr(tools.EchoSession, "do_wait", cancel_oneself)
    client = await tools.dial(await home.listen())
    client.send(b"WAIT\r\n")
    with contextlib.suppress(ConnectionError):
        assert await client.rest() == b""
    await tools.until(lambda: home.ended_count == 1)
    await client.close()


async def test_bug_in_a_connection_breaks_only_its_conversation_off(home, tools, monkeypatch):
    port = await home.listen()
    bad, good = await tools.dial(port), await tools.dial(port)
    before = count_of(metrics.BUGS, "echo")

    def fail(*args):
        raise RuntimeError("broken connection")

    home.sessions[0].connection.data_to_send = fail
    for line in (b"ECHO sync\r\n", b"WAIT async\r\n"):
        bad.send(line)
        with contextlib.suppress(ConnectionError):
            assert await bad.rest() == b""
        assert count_of(metrics.BUGS, "echo") > before
    assert await good.ask(b"ECHO fine") == b"250 fine"
    home.sessions[1].connection.time_limit_passed = fail
    later = await tools.dial(port)
    home.pass_time(400)
    assert await later.line() == b"421 too slow"
    await tools.until(lambda: home.ended_count == 3)
    for client in (bad, good, later):
        await client.close()
