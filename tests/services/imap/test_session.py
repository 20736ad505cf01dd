"""What one and two sessions do beyond the dialogues: pushes, limits, revocation, bugs, stops."""

import asyncio
import contextlib
import gc
import sys

import pytest

from mailstead.model.errors import StorageUnavailable, TooManyConnections
from mailstead.model.secret import Secret
from mailstead.model.uidset import UidSet
from mailstead.usecases.mailboxes import Draft

LIMIT_S = 10


async def _select(client, name="INBOX"):
    assert (await client(f"SELECT {name}"))[-1].split()[1] == "OK"


async def _until(condition):
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0)


async def _open(house, actor=None, name="INBOX"):
    client = house.session(actor or house.alice)
    await client.greeting()
    if name:
        await _select(client, name)
    return client


async def test_idle_wakes_are_merged(house):
    idler = await _open(house)
    await idler.send(b"i IDLE\r\n")
    assert await idler.line() == "+ idling"
    await asyncio.gather(*[house.fill(1) for _ in range(20)])
    count, lines = 0, 0
    while count < 20:
        count = int((await idler.line()).split()[1])
        lines += 1
    assert lines < 20
    await idler.send(b"DONE\r\n")
    assert (await idler.lines_until("i"))[-1].startswith("i OK")
    await idler.close()


async def test_a_poll_makes_up_for_a_lost_wake(house, monkeypatch):
    object.__setattr__(house.service, "poll_s", 0.05)
    monkeypatch.setattr(type(house.mailboxes), "watch", lambda *_: contextlib.nullcontext())
    idler = await _open(house)
    await idler.send(b"i IDLE\r\n")
    assert await idler.line() == "+ idling"
    await house.fill(1)
    assert await idler.line() == "* 1 EXISTS"
    await idler.close()


async def test_idle_survives_a_store_that_is_away(house, monkeypatch):
    object.__setattr__(house.service, "poll_s", 0.05)
    idler = await _open(house)
    await idler.send(b"i IDLE\r\n")
    await idler.line()
    store_type = type(idler.session.store)
    read, calls = store_type.changes_since, []

    async def away_once(self, *arguments):
        calls.append(1)
        if len(calls) == 1:
            raise StorageUnavailable
        return await read(self, *arguments)

    monkeypatch.setattr(store_type, "changes_since", away_once)
    await house.fill(1)
    assert await idler.line() == "* 1 EXISTS"
    assert len(calls) >= 2
    await idler.close()


async def test_a_bug_is_answered_and_the_session_goes_on(client, monkeypatch):
    await _select(client)

    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(type(client.session.store), "usage", broken)
    assert (await client('GETQUOTA ""'))[-1].endswith("it has been noted")
    assert "[SERVERBUG]" in (await client('GETQUOTA ""'))[-1]
    client.conversation.memory_line.bugs.clear()
    monkeypatch.undo()
    assert (await client("NOOP"))[-1].split()[1] == "OK"


async def test_a_bug_while_a_literal_waits_is_answered_too(client, monkeypatch):
    async def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(type(client.session.store), "usage", broken)
    assert "NO [SERVERBUG]" in (await client("APPEND INBOX {14}"))[-1]
    await client.send(b"a APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\n")
    assert "NO [SERVERBUG]" in (await client.lines_until("a"))[-1]
    monkeypatch.undo()
    client.conversation.memory_line.bugs.clear()
    await client.send(b"b APPEND INBOX {14+}\r\nSubject: x\r\n\r\n\r\n")
    assert "b OK" in (await client.lines_until("b"))[-1]


async def test_stopping_says_bye(client):
    client.session.stopping()
    client.session.line.flush()
    assert (await client.line()).startswith("* BYE [UNAVAILABLE]")


async def test_stopping_does_not_fall_into_an_answer(house, monkeypatch):
    await house.fill(1)
    client = await _open(house)
    begun, go_on = asyncio.Event(), asyncio.Event()
    read = type(client.session.store).fetch

    async def held(self, *arguments):
        begun.set()
        await go_on.wait()
        return await read(self, *arguments)

    monkeypatch.setattr(type(client.session.store), "fetch", held)
    await client.send(b"f FETCH 1 UID\r\n")
    await asyncio.wait_for(begun.wait(), LIMIT_S)
    client.session.stopping()
    go_on.set()
    assert await client.lines_until("f") == ["* 1 FETCH (UID 1)", "f OK FETCH completed"]
    client.session.stopping()
    client.session.line.flush()
    assert (await client.line()).startswith("* BYE")
    await client.close()


async def test_attack_064_a_revoked_session_ends_even_while_it_answers(house, monkeypatch):
    client = await _open(house)

    async def endless(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(type(client.session.store), "search", endless)
    await client.send(b"s SEARCH BODY x\r\n")
    await asyncio.sleep(0)
    client.session._revoked()
    assert client.conversation.memory_line.is_closed
    await client.close()


async def test_long_commands_tell_that_they_are_at_work(house, monkeypatch):
    """Spec: RFC 9585."""
    from mailstead.services.imap import session

    monkeypatch.setattr(session, "PROGRESS_AFTER_S", 0.01)
    client = await _open(house)
    told = asyncio.Event()
    tell = session.ImapSession._tell_progress
    monkeypatch.setattr(session.ImapSession, "_tell_progress", lambda self: (tell(self), told.set()))

    async def slow(self, *_):
        client.session.progress(3, 7)
        await told.wait()
        return UidSet()

    monkeypatch.setattr(type(client.session.store), "search", slow)
    lines = await client("SEARCH BODY x", "s")
    assert lines[0] == '* OK [INPROGRESS ("s" 3 7)] Still at work'
    assert lines[-2:] == ["* SEARCH", "s OK SEARCH completed"]
    assert client.session._progress_timer is None
    await client.close()


async def test_attack_048_sessions_of_one_account_are_limited(house):
    mailboxes = house.mailboxes
    mailboxes._sessions_max = 3
    clients = [house.session(house.alice) for _ in range(3)]
    with pytest.raises(TooManyConnections):
        house.session(house.alice)
    other = house.session(house.bob)
    await clients[0].close()
    again = house.session(house.alice)
    for client in (*clients[1:], other, again):
        await client.close()
    assert not mailboxes._sessions


async def test_attack_048_notify_on_too_many_mailboxes_is_refused(house, monkeypatch):
    from mailstead.services.imap.commands import notify

    monkeypatch.setattr(notify, "MAILBOXES_MAX", 3)
    client = await _open(house)
    refused = await client("NOTIFY SET (PERSONAL (MessageNew MessageExpunge))")
    assert "NO [NOTIFICATIONOVERFLOW]" in refused[-1]
    allowed = await client("NOTIFY SET (SELECTED (MessageNew MessageExpunge))")
    assert allowed[-1].split()[1] == "OK"
    await client.close()


async def test_attack_048_notify_ends_when_there_are_too_many_mailboxes(house, monkeypatch):
    from mailstead.services.imap import watching

    client = await _open(house)
    assert (await client("NOTIFY SET (PERSONAL (MailboxName))"))[-1].split()[1] == "OK"
    monkeypatch.setattr(watching, "MAILBOXES_MAX", 6)
    other = await _open(house)
    assert (await other("CREATE Seventh"))[-1].split()[1] == "OK"
    assert (await client.line()).startswith("* OK [NOTIFICATIONOVERFLOW]")
    assert client.session.watching.notifying is None
    await client.close()
    await other.close()


async def test_what_is_told_unasked_and_answers_do_not_mix(house):
    """NOTIFY sends whole new messages while the client asks for bodies: every literal is whole."""
    client = await _open(house)
    body = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 1000
    await client("NOTIFY SET (SELECTED (MessageNew (UID BODY.PEEK[]) MessageExpunge FlagChange))")

    async def bring():
        for _ in range(20):
            await house.mailboxes.append(house.alice, "INBOX", [Draft(body)])

    bringing = asyncio.ensure_future(bring())
    for number in range(20):
        lines = await client("UID FETCH 1:* BODY.PEEK[]", f"f{number}")
        assert lines[-1].split()[1] == "OK"
        _check_literals(lines, len(body))
    await bringing
    await client.close()


async def test_a_command_waits_for_what_is_being_told_unasked(house, monkeypatch):
    await house.fill(1)
    client = await _open(house)
    await client("NOTIFY SET (SELECTED (MessageNew (UID) MessageExpunge FlagChange))")
    begun, go_on = asyncio.Event(), asyncio.Event()
    read = type(client.session.store).fetch

    async def held_once(self, *arguments):
        if not begun.is_set():
            begun.set()
            await go_on.wait()
        return await read(self, *arguments)

    monkeypatch.setattr(type(client.session.store), "fetch", held_once)
    await house.fill(1)
    await asyncio.wait_for(begun.wait(), LIMIT_S)
    await client.send(b"c FETCH 1 BODY.PEEK[TEXT]\r\n")
    for _ in range(20):
        await asyncio.sleep(0)
    go_on.set()
    lines = await client.lines_until("c")
    assert lines[:3] == ["* 2 EXISTS", "* 2 FETCH (UID 2)", "* 1 FETCH (BODY[TEXT] {16}"]
    await client.close()


def _check_literals(lines, octets):
    waiting = list(lines)
    while waiting:
        line = waiting.pop(0)
        if line.endswith(f"{{{octets}}}"):
            taken = 0
            while taken < octets:
                taken += len(waiting.pop(0)) + 2
            assert taken == octets
            assert waiting.pop(0) == ")"
        else:
            assert line.startswith(("* ", "f")), line


async def test_attack_048_idle_done_loops_leave_nothing_behind(house):
    client = await _open(house)
    for number in range(200):
        await client.send(f"i{number} IDLE\r\nDONE\r\n".encode())
        assert (await client.lines_until(f"i{number}"))[-1].split()[1] == "OK"
    assert client.session.watching._timer is None
    await client.close()


async def test_attack_064_a_changed_password_ends_the_session(house):
    client = await _open(house)
    await client.send(b"i IDLE\r\n")
    assert await client.line() == "+ idling"
    other = await _open(house, house.bob)
    await house.accounts.set_password(house.alice, house.alice.address, Secret("pw-never-in-a-log new one"))
    async with asyncio.timeout(LIMIT_S):
        assert (await client.line()).startswith("* BYE [EXPIRED]")
    assert client.conversation.memory_line.is_closed
    assert (await other("NOOP"))[-1].split()[1] == "OK"
    await client.close()
    await other.close()


async def test_attack_055_many_sessions_never_see_each_others_account(house):
    """Two accounts, 50 sessions each, 1,000 commands in turn: nobody meets the other's messages."""
    house.mailboxes._sessions_max = 100
    await house.fill(1, actor=house.alice)
    await house.fill(2, actor=house.bob)
    clients = [
        (await _open(house, actor), count) for _ in range(50) for actor, count in ((house.alice, 1), (house.bob, 2))
    ]

    async def ask(client, count):
        for _ in range(10):
            lines = await client("UID SEARCH ALL")
            assert lines[0] == "* SEARCH " + " ".join(map(str, range(1, count + 1)))

    await asyncio.gather(*[ask(client, count) for client, count in clients])
    for client, _ in clients:
        await client.close()


async def test_attack_053_absent_and_foreign_look_the_same(house):
    bob = await _open(house, house.bob, name=None)
    assert (await bob("CREATE Secret"))[-1].split()[1] == "OK"
    alice = await _open(house, house.alice, name=None)
    for command in (
        "SELECT {}",
        "STATUS {} (MESSAGES)",
        "GETMETADATA {} /private/comment",
        "DELETE {}",
        "APPEND {} {{3}}",
    ):
        foreign = (await alice(command.format("Secret"), "x"))[-1]
        absent = (await alice(command.format("Absent"), "x"))[-1]
        assert foreign == absent
        assert foreign.startswith("x NO")
    assert (await alice('LIST "" Secret'))[0].split()[1] == "OK"
    await alice.close()
    await bob.close()


async def test_unauthenticate_forgets_the_account(house):
    await house.fill(2)
    client = await _open(house)
    assert (await client("ENABLE QRESYNC"))[-1].split()[1] == "OK"
    assert (await client("UNAUTHENTICATE"))[-1].split()[1] == "OK"
    assert not hasattr(client.session, "store")
    assert not client.session.connection.enabled
    client.session.log_in(house.bob)
    assert "* 0 EXISTS" in await client("SELECT INBOX")
    await client.close()


async def test_an_idle_session_is_small(house):
    """What the session and its wire hold, without the driver: within a part of the 40 KB budget. Spec: issue 2."""
    house.mailboxes._sessions_max = 1000
    await house.fill(3)

    async def idle():
        client = await _open(house)
        await client.send(b"i IDLE\r\n")
        assert await client.line() == "+ idling"
        return client

    for _ in range(5):
        await (await idle()).close()
    clients = [await idle() for _ in range(20)]
    gc.collect()
    octets = max(_octets(client.session) for client in clients)
    assert octets < 12_000, octets
    for client in clients:
        await client.close()


_PLAIN = {bytes, bytearray, dict, list, set, str, int, tuple, frozenset}
_NAMED = {"array", "deque", "TimerHandle", "method"}


def _octets(session):
    """Count what only this session holds: its own objects, not what is shared by all."""
    own = ("mailstead.services.imap", "mailstead.proto.imap", "mailstead.model")
    seen, waiting, total = set(), [session], 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen or item is session.service or isinstance(item, type):
            continue
        is_own = type(item).__module__.startswith(own) or type(item) in _PLAIN or type(item).__name__ in _NAMED
        if not is_own:
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        if type(item).__name__ != "TimerHandle":
            waiting += gc.get_referents(item)
    return total
