"""Push: who is woken, when it is tried again, and that a restart forgets nothing."""

import asyncio
import contextlib

import pytest

from mailauth.zones import Zones
from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.directory import DomainTerms
from mailstead.model.errors import OverQuota, StorageUnavailable, WebFailed, WebRefused
from mailstead.model.secret import Secret
from mailstead.net.web import SafeWebClient
from mailstead.ports.web import WebResponse
from mailstead.usecases import push as push_module
from mailstead.usecases.deliveries import Copy, Deliveries
from mailstead.usecases.push import Push
from mailstead.usecases.push_tokens import PushTokens
from net.web_server import WebServer

ALICE, BOB = Address("alice", "example.test"), Address("bob", "example.test")
URL = "https://push.example.test/notify"
MAIL = b"From: <bob@example.test>\r\nSubject: [...]\r\n\r\nx\r\n"
HOUR_S = 3600
PATIENCE_S = 10.0
TURNS = 6
"""Of each of two at work, three at least."""
"""How long a test waits for what must come; it comes within milliseconds."""


class Web:
    """Notes what is posted and answers as told."""

    def __init__(self):
        self.posted = []
        self.answers = []
        self.gate = None
        self.running = self.running_max = 0

    async def post(self, url, octets, headers, *, octets_max, limit_s):
        assert (url, dict(headers), limit_s) == (URL, {}, 60.0)
        self.running += 1
        self.running_max = max(self.running_max, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            self.posted.append(octets)
            answer = self.answers.pop(0) if self.answers else 200
            if isinstance(answer, Exception):
                raise answer
            return WebResponse(answer)
        finally:
            self.running -= 1


class Bench:
    """Alice's and Bob's accounts with deliveries, and Push running or not."""

    def __init__(self, storage, clock, account_ids):
        self.storage, self.clock, self.account_ids = storage, clock, account_ids
        self.web = Web()
        self.tokens = PushTokens(storage, clock)
        self.push = self.new_push()

    def new_push(self, web=None, url=URL):
        # polling often, as nobody wakes Push when a test moves the clock
        return CountedPush(self.storage, self.clock, web or self.web, self.tokens, url=url, poll_s=0.01)

    async def deliver(self, octets=MAIL, to=ALICE):
        deliveries = Deliveries(self.storage, self.clock, stored=self.push.stored)
        await deliveries.deliver(bytearray(octets), [Copy(self.account_ids[to], b"", b"")], BOB)

    @contextlib.asynccontextmanager
    async def running(self, push=None):
        stop = asyncio.Event()
        task = asyncio.create_task((push or self.push).run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, PATIENCE_S)

    async def posts(self, count):
        """Wait for so many posts."""
        await until(lambda: len(self.web.posted) >= count)
        return self.web.posted

    async def kept(self):
        return await self.storage.memory.recall_all("push", self.clock.now())

    async def nothing_is_kept(self):
        while await self.kept():
            await asyncio.sleep(0.005)  # the store wakes no test


async def until(is_so):
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.002)  # conditions of several tasks; the time between is theirs


async def settled():
    """Let Push take some turns, in which nothing more should happen."""
    behind = CountedPush.turn_count + TURNS
    await until(lambda: CountedPush.turn_count >= behind)


class CountedPush(Push):
    """Counts the turns of all that are at work."""

    turn_count = 0

    async def _turn(self):
        await super()._turn()
        CountedPush.turn_count += 1


@pytest.fixture
async def bench(storage, accounts, admin, clock):
    await storage.directory.set_terms("example.test", DomainTerms(is_chatmail=True))
    made = [await accounts.create(admin, address, Secret("correct horse battery")) for address in (ALICE, BOB)]
    bench = Bench(storage, clock, {account.address: account.account_id for account in made})
    await bench.tokens.add(bench.account_ids[ALICE], b"one")
    await bench.tokens.add(bench.account_ids[ALICE], b"two")
    return bench


async def test_each_token_is_posted_once_and_forgotten(bench):
    async with bench.running():
        await bench.deliver()
        assert sorted(await bench.posts(2)) == [b"one", b"two"]
        await bench.nothing_is_kept()
        await settled()
        assert len(bench.web.posted) == 2


async def test_what_comes_before_it_runs_waits(bench):
    await bench.deliver()
    async with bench.running():
        await bench.posts(2)


@pytest.mark.parametrize(
    "author", [b"<Alice@Example.Test>", b'"Me, myself" <alice@example.test>', b"x@y.test, alice@example.test"]
)
async def test_what_one_sends_to_oneself_wakes_nobody(bench, author):
    async with bench.running():
        await bench.deliver(b"From: " + author + b"\r\n\r\nx\r\n")
        await settled()
        assert bench.web.posted == []


async def test_neither_accounts_without_tokens_nor_ordinary_domains_are_pushed(bench, storage):
    async with bench.running():
        await bench.deliver(to=BOB)
        await storage.directory.set_terms("example.test", DomainTerms())
        await bench.deliver()
        await settled()
        assert bench.web.posted == []
        assert await bench.kept() == {}


async def test_a_message_without_author_wakes_too(bench):
    async with bench.running():
        await bench.deliver(b"Subject: x\r\n\r\nx\r\n")
        await bench.posts(2)


async def test_no_address_no_push(bench):
    bench.push = bench.new_push(url="")
    await bench.deliver()
    await asyncio.wait_for(bench.push.run(asyncio.Event()), PATIENCE_S)
    assert bench.web.posted == []


async def test_a_delivery_that_fails_wakes_nobody(bench, storage):
    await storage.accounts.set_quota(bench.account_ids[ALICE], 1)
    async with bench.running():
        with pytest.raises(OverQuota):
            await bench.deliver()
        await settled()
        assert bench.web.posted == []


async def test_a_bug_in_who_is_told_fails_no_delivery(bench, storage, clock):
    def fail(*_):
        raise RuntimeError

    deliveries = Deliveries(storage, clock, stored=fail)
    await deliveries.deliver(bytearray(MAIL), [Copy(bench.account_ids[ALICE], b"", b"")], BOB)
    assert (await storage.accounts.of(bench.account_ids[ALICE]).usage()).message_count == 1


async def test_a_token_that_is_gone_is_removed(bench):
    bench.web.answers = [410]
    async with bench.running():
        await bench.deliver()
        posted = list(await bench.posts(2))
        await bench.nothing_is_kept()
    assert await bench.tokens.valid(bench.account_ids[ALICE]) == posted[1:]


async def test_tries_come_after_8_64_512_and_4096_seconds_and_then_end(bench, clock):
    await bench.tokens.remove(bench.account_ids[ALICE], b"two")
    bench.web.answers = [500, WebFailed("no route"), WebRefused("private"), RuntimeError(), 429, 200]
    async with bench.running():
        await bench.deliver()
        await bench.posts(1)
        for count, wait_s in enumerate((8, 64, 512, 4096), 1):
            await until(lambda count=count: bench.web.running == 0 and bench.push._further.waiting)
            clock.passed_s += wait_s - 1
            await settled()
            assert len(bench.web.posted) == count
            clock.passed_s += 1
            await bench.posts(count + 1)
        await bench.nothing_is_kept()
        clock.passed_s += 4 * HOUR_S
        await settled()
        assert len(bench.web.posted) == 5
    assert await bench.tokens.valid(bench.account_ids[ALICE]) == [b"one"]


async def test_a_try_later_than_five_hours_after_the_first_is_dropped(bench, clock):
    await bench.tokens.remove(bench.account_ids[ALICE], b"two")
    bench.web.answers = [500, 500, 500, 500]
    async with bench.running():
        await bench.deliver()
        await bench.posts(1)
        for count in (2, 3):
            await until(lambda: bench.web.running == 0 and bench.push._further.waiting)
            clock.passed_s += 2 * HOUR_S
            await bench.posts(count)
        await until(lambda: bench.web.running == 0 and bench.push._further.waiting)
        clock.passed_s += 55 * 60
        # 4:55 h after the start a fourth try of 4096 seconds hence would come too late
        await bench.posts(4)
        await bench.nothing_is_kept()


async def test_a_restart_forgets_nothing(bench, clock):
    bench.web.answers = [500, 500]
    async with bench.running():
        await bench.deliver()
        await bench.posts(2)
        await until(lambda: len(bench.push._further.waiting) == 2)
    assert len(await bench.kept()) == 2
    bench.push = bench.new_push()
    async with bench.running():
        await settled()
        assert len(bench.web.posted) == 2
        clock.passed_s += 8
        assert sorted((await bench.posts(4))[2:]) == [b"one", b"two"]
        await bench.nothing_is_kept()


async def test_a_stop_in_the_middle_of_a_post_leaves_it_to_the_next(bench, monkeypatch):
    monkeypatch.setattr(push_module, "STOPPED_S", 0.01)
    bench.web.gate = asyncio.Event()
    async with bench.running():
        await bench.deliver()
        await until(lambda: bench.web.running == 2)
    assert bench.web.posted == []
    bench.web.gate.set()
    async with bench.running(bench.new_push()):
        await bench.posts(2)


async def test_what_a_dead_process_has_left_is_taken_over_after_a_while_and_once(bench, clock):
    bench.web.gate = asyncio.Event()
    task = asyncio.create_task(bench.push.run(asyncio.Event()))
    await bench.deliver()
    await until(lambda: bench.web.running == 2)
    kept = await bench.kept()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    # as if it had died without a word
    await bench.storage.memory.remember("push", kept, clock.now() + push_module.LIFE)
    bench.web.gate.set()
    others = bench.new_push(), bench.new_push()
    async with bench.running(others[0]), bench.running(others[1]):
        await settled()
        assert bench.web.posted == []
        clock.passed_s += 121
        await bench.posts(2)
        await settled()
        assert sorted(bench.web.posted) == [b"one", b"two"]
        await bench.nothing_is_kept()


async def test_only_so_many_are_posted_at_once(bench):
    bench.web.gate = asyncio.Event()
    async with bench.running():
        for _ in range(push_module.FIRST_TRIES_MAX):
            await bench.deliver()
        await until(lambda: bench.web.running == push_module.FIRST_TRIES_MAX)
        await settled()
        bench.web.gate.set()
        await bench.posts(2 * push_module.FIRST_TRIES_MAX)
        assert bench.web.running_max == push_module.FIRST_TRIES_MAX


async def test_what_waits_for_another_try_holds_up_nothing_new(bench, clock):
    await bench.tokens.remove(bench.account_ids[ALICE], b"two")
    count = push_module.FURTHER_TRIES_MAX
    bench.web.answers = [500] * (2 * count)
    async with bench.running():
        for _ in range(2 * count):
            await bench.deliver()
        await until(lambda: len(bench.push._further.waiting) == 2 * count)
        bench.web.gate = asyncio.Event()
        clock.passed_s += 8
        await until(lambda: bench.web.running == count)
        await bench.deliver()
        await until(lambda: bench.web.running == count + 1)
        bench.web.gate.set()
        await bench.posts(4 * count + 1)


async def test_too_many_are_dropped(bench, monkeypatch):
    monkeypatch.setattr(push_module, "PENDING_MAX", 1)
    async with bench.running():
        await bench.deliver()
        await bench.posts(1)
        await settled()
        assert len(bench.web.posted) == 1


async def test_without_the_store_it_is_posted_all_the_same(bench, storage, monkeypatch):
    async def away(*_):
        raise StorageUnavailable

    for name in ("remember", "recall_all", "forget"):
        monkeypatch.setattr(type(storage.memory), name, away)
    async with bench.running():
        await bench.deliver()
        await bench.posts(2)


async def test_whose_tokens_cannot_be_read_is_not_woken_and_others_are(bench, monkeypatch):
    valid = PushTokens.valid
    errors = [StorageUnavailable(), RuntimeError()]

    async def fail_twice(self, account_id):
        if errors:
            raise errors.pop()
        return await valid(self, account_id)

    monkeypatch.setattr(PushTokens, "valid", fail_twice)
    for _ in range(3):
        await bench.deliver()
    async with bench.running():
        await bench.posts(2)


async def test_an_account_that_is_gone_is_nobody_to_wake(bench, accounts, admin):
    await bench.deliver()
    await accounts.remove(admin, ALICE)
    async with bench.running():
        await settled()
        assert bench.web.posted == []


async def test_no_token_is_logged(bench, capfd):
    token = b"a-secret-token"
    await bench.tokens.add(bench.account_ids[BOB], token)
    bench.web.answers = [500, 410]
    async with bench.running():
        for octets in (b"From: x@y.test\r\n\r\n1\r\n", b"From: x@y.test\r\n\r\n2\r\n"):
            await bench.deliver(octets, to=BOB)
        await bench.posts(2)
    told = capfd.readouterr()
    assert token.decode() not in told.out + told.err
    assert token.decode() not in repr(push_module.Notification(bench.account_ids[BOB], token, *[bench.clock.now()] * 2))


async def test_a_real_service_on_loopback_gets_the_token_and_nothing_else(bench):
    server = await WebServer().start()
    web = SafeWebClient(
        Zones({"push.test": {"A": ["127.0.0.1"]}}), allows_private=True, ca_file="", hostname="mail.example.test"
    )
    bench.push = bench.new_push(web, f"http://push.test:{server.port}/notify")
    async with bench.running():
        await bench.deliver()
        await until(lambda: len(server.requests) == 2)
        await bench.nothing_is_kept()
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert head.startswith(b"POST /notify HTTP/1.1\r\n")
        assert body in {b"one", b"two"}
        assert b"alice" not in head
    await server.stop()


async def test_what_is_noted_without_a_run_is_bounded(bench):
    facts = message_facts(MAIL)
    for _ in range(push_module.NOTED_MAX + 10):
        bench.push.stored(bench.account_ids[BOB], facts)
    assert len(bench.push._noted) == push_module.NOTED_MAX
