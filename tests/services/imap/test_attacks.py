"""Attack rows of IMAP that need a session: each named after its row."""

import asyncio
import time

import pytest

from mailstead.model import search as keys
from mailstead.model.errors import TryAgainLater
from mailstead.model.flags import FlagOperation
from mailstead.model.uidset import UidSet
from mailstead.usecases.mailboxes import SEARCHES_PER_ACCOUNT

LIMIT_S = 20


async def _selected(house, actor=None):
    client = house.session(actor or house.alice)
    await client.greeting()
    assert (await client("SELECT INBOX"))[-1].split()[1] == "OK"
    return client


async def test_attack_044_items_asked_twice_are_answered_once(house):
    await house.fill(3)
    client = await _selected(house)
    lines = await client("FETCH 1:* (BODY.PEEK[] BODY.PEEK[] BODY.PEEK[] UID UID RFC822.SIZE)")
    assert sum(line.count("BODY[]") for line in lines) == 3
    assert sum(line.count("UID ") for line in lines) == 3
    await client.close()


async def test_attack_044_bodies_are_read_in_bounded_batches(house, monkeypatch):
    """However much is asked, the store hands out about 2 MiB at a time, and waits for the client between."""
    from mailstead.usecases import octets

    monkeypatch.setattr(octets, "BATCH_OCTETS", 64 * 1024)
    monkeypatch.setattr(octets.octet_batches, "__defaults__", (64 * 1024,))
    await house.mailboxes.append(house.alice, "INBOX", [_draft(50_000) for _ in range(20)])
    client = await _selected(house)
    read, sizes = type(client.session.store).read_octets, []

    async def counted(self, ranges):
        sizes.append(sum(one.stop - one.start for one in ranges))
        return await read(self, ranges)

    monkeypatch.setattr(type(client.session.store), "read_octets", counted)
    lines = await client("FETCH 1:* BODY.PEEK[]")
    assert sum(len(line) + 2 for line in lines) > 1_000_000
    assert len(sizes) >= 10
    assert max(sizes) <= 2 * 64 * 1024
    await client.close()


async def test_attack_044_odd_partials(house):
    await house.fill(1)
    client = await _selected(house)
    for partial in ("<4294967295.4294967295>", "<0.4294967295>", "<1.1>"):
        assert (await client(f"FETCH 1 BODY.PEEK[]{partial}"))[-1].split()[1] == "OK"
    assert (await client("FETCH 1 BODY.PEEK[]<0.0>"))[-1].split()[1] in {"OK", "BAD"}
    await client.close()


async def test_attack_045_searches_of_one_account_take_turns(house, monkeypatch):
    await house.fill(2)
    clients = [await _selected(house) for _ in range(8)]
    store_type = type(clients[0].session.store)
    read, running, most = store_type.search, 0, 0

    async def counted(self, *arguments):
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0)
            return await read(self, *arguments)
        finally:
            running -= 1

    monkeypatch.setattr(store_type, "search", counted)
    words = " ".join(f"BODY word{number}" for number in range(30))
    await asyncio.gather(*[client(f"SEARCH OR {words.replace(' BODY', ' OR BODY', 28)}") for client in clients])
    assert 1 <= most <= SEARCHES_PER_ACCOUNT
    for client in clients:
        await client.close()


async def test_attack_045_a_search_ends_with_its_conversation(house, monkeypatch):
    client = await _selected(house)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def endless(*_):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(type(client.session.store), "search", endless)
    await client.send(b"s SEARCH BODY x\r\n")
    await asyncio.wait_for(begun.wait(), LIMIT_S)
    await client.close()
    assert ended.is_set()


async def test_attack_045_a_search_that_takes_too_long_is_given_up(house, monkeypatch):
    house.mailboxes._search_limit_s = 0.05
    store = house.mailboxes.of(house.alice)

    async def endless(*_):
        await asyncio.Event().wait()

    monkeypatch.setattr(type(store), "search", endless)
    with pytest.raises(TryAgainLater):
        await house.mailboxes.search(house.alice, (await store.mailbox("INBOX")).mailbox_id, keys.HasFlag("\\Seen"))


async def test_attack_046_list_with_many_wildcards_is_linear(house):
    client = await _selected(house)
    name = "/".join(["a" * 18] * 40)
    assert (await client(f'CREATE "{name}"'))[-1].split()[1] == "OK"
    started = time.monotonic()
    assert (await client('LIST "" "%s"' % ("*a%" * 10 + "b")))[-1].split()[1] == "OK"
    assert time.monotonic() - started < 2
    assert "NO [LIMIT]" in (await client('LIST "" "%s"' % ("*x" * 40)))[-1]
    await client.close()


async def test_attack_047_huge_sets_cost_nothing(house):
    await house.fill(2)
    client = await _selected(house)
    started = time.monotonic()
    for command in (
        "UID FETCH 1:4294967295 UID",
        "UID SEARCH UID 1:4294967295",
        "UID STORE 1:4294967295 +FLAGS (\\Seen)",
    ):
        assert (await client(command))[-1].split()[1] == "OK"
    assert time.monotonic() - started < 2
    await client.close()


async def test_attack_050_the_memory_of_an_append_is_given_back(house):
    staging = house.mailboxes.staging
    client = house.session(house.alice)
    await client.greeting()
    await client.send(b"a APPEND INBOX {1000000}\r\n")
    assert (await client.line()).startswith("+")
    await client.send(b"x" * 400_000)
    assert staging.octets == 1_000_000
    await client.close()
    assert staging.octets == 0


async def test_attack_050_all_appends_together_are_bounded(house):
    staging = house.mailboxes.staging
    staging.take(staging.octets_max - 1000)
    client = house.session(house.alice)
    await client.greeting()
    assert "NO [UNAVAILABLE]" in (await client("APPEND INBOX {2000}"))[-1]
    staging.give_back(staging.octets_max)
    await client.send(b"b APPEND INBOX {4+}\r\na: b\r\n")
    assert "OK [APPENDUID" in (await client.lines_until("b"))[-1]
    assert staging.octets == 0
    await client.close()


async def test_attack_050_multiappend_without_end_is_refused(house, monkeypatch):
    from mailstead.services.imap.commands import append

    monkeypatch.setattr(append, "MESSAGES_MAX", 5)
    client = await _selected(house)
    await client.send(b"a APPEND INBOX" + b" {4+}\r\na: b" * 7 + b"\r\n")
    assert "NO [LIMIT]" in (await client.lines_until("a"))[-1]
    assert house.mailboxes.staging.octets == 0
    assert (await client("STATUS INBOX (MESSAGES)"))[0] == "* STATUS INBOX (MESSAGES 0)"
    await client.close()


async def test_attack_052_keywords_are_limited(house):
    await house.fill(1)
    client = await _selected(house)
    store, mailbox_id = client.session.store, client.session.selected.mailbox_id
    await store.store_flags(mailbox_id, UidSet(((1, 1),)), FlagOperation.ADD, [f"k{number}" for number in range(100)])
    assert "NO [LIMIT]" in (await client("STORE 1 +FLAGS (onemore)"))[-1]
    await client.close()


async def test_attack_072_parallel_appends_cannot_pass_the_quota(house):
    await house.storage.accounts.set_quota(house.alice.account_id, 100_000)
    clients = [await _selected(house) for _ in range(20)]
    octets = b"a: b\r\n\r\n" + b"x" * 89_992

    async def append(client):
        await client.send(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
        return (await client.lines_until("a"))[-1]

    replies = await asyncio.gather(*map(append, clients))
    assert sum("OK [APPENDUID" in reply for reply in replies) == 1
    assert sum("NO [OVERQUOTA]" in reply for reply in replies) == 19
    for client in clients:
        await client.close()


def _draft(octets):
    from mailstead.usecases.mailboxes import Draft

    return Draft(b"Subject: big\r\n\r\n" + (b"0123456789" * 7 + b"\r\n") * (octets // 72))
