"""Relays when something goes wrong: nothing is lost, nothing stays for ever, nothing is sent twice without need."""

import asyncio
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import HOSTNAME, open_smtp_house

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import StorageUnavailable, StoreDamaged
from mailstead.model.queue import (
    LOCAL,
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    QueueQuery,
    RecipientState,
    RemoteReply,
)
from mailstead.usecases import relays as relays_module
from mailstead.usecases import settling as settling_module
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.relays import Relays, RelaysTerms
from mailstead.usecases.webhooks import Webhooks

ALICE = Address("alice", "example.test")
OK = RemoteReply(250, "2.0.0", "taken", "mx.far.test", "192.0.2.1")
LATER = RemoteReply(451, "4.2.0", "not now", "mx.far.test", "192.0.2.1")
SLOWER = RemoteReply(421, "4.7.0", "too many messages, slow down", "mx.far.test", "192.0.2.1")
SILENT = RemoteReply(0, "4.4.2", "The server has not answered in time", "mx.far.test", "192.0.2.1")
LIMIT_S = 20.0
DAY_S = 86400.0


class FarAway:
    """The other side: implements `Relay` and its session; `answer` says what it says, and may wait or raise."""

    def __init__(self):
        self.sent = []
        self.opened = 0
        self.answer = lambda envelope: OK
        self.is_open = True
        self.offers_dsn = False

    async def open(self, destination, terms):
        self.opened += 1
        self.is_open = True
        return self

    async def send(self, envelope, octets):
        self.sent.append(str(envelope.recipients[0].address))
        answer = self.answer(envelope)
        if not isinstance(answer, RemoteReply):
            answer = await answer
        if not answer.code:
            self.is_open = False
        return [answer] * len(envelope.recipients)

    async def close(self):
        self.is_open = False


@pytest.fixture
async def house(tmp_path, clock):
    async with open_smtp_house(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def far():
    return FarAway()


@pytest.fixture
def make(house, clock, far):
    inner = house.house

    def make(**terms):
        return Relays(
            house.storage,
            house.bus,
            clock,
            far,
            Webhooks(inner.web, inner.routes, clock, hostname=HOSTNAME),
            Homecoming(inner.addresses, inner.dispatch, inner.tracing, hostname=HOSTNAME, received_max=50),
            inner.routes,
            inner.notices,
            inner.bounces,
            inner.tracing,
            RelaysTerms(**terms),
            lambda: 0.5,
        )

    return make


@pytest.fixture
def queue(house):
    return house.storage.queue


@pytest.fixture
def put(queue, clock):
    async def put(*addresses, **facts):
        recipients = tuple(
            NewRecipient(Recipient(Address.parse(text)), Destination(DestinationKind.DOMAIN, text.rpartition("@")[2]))
            for text in addresses
        )
        item = NewItem(
            queue_id="q1",
            kind=ItemKind.SUBMISSION,
            mail_from=ALICE,
            notify_to=ALICE,
            recipients=recipients,
            octets=b"Subject: hello\r\n\r\nHello\r\n",
            accepted_at=clock.now(),
            expires_at=clock.now() + timedelta(days=5),
            domain="example.test",
        )
        return await queue.put([replace(item, **facts)])

    return put


@asynccontextmanager
async def at_work(relays):
    stop = asyncio.Event()
    task = asyncio.create_task(relays.run(stop))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(LIMIT_S):
            await asyncio.gather(task, return_exceptions=True)


async def until(condition):
    """Wait until it holds."""
    async with asyncio.timeout(LIMIT_S):
        while not await condition():
            await asyncio.sleep(0.01)  # conditions of the store, which wakes no test


async def states(queue, kind=ItemKind.SUBMISSION):
    items = await queue.items(QueueQuery(limit=1000))
    return {str(each.recipient.address): each.state for item in items if item.kind is kind for each in item.recipients}


async def notices(queue):
    return [item for item in await queue.items(QueueQuery(limit=1000)) if item.kind is ItemKind.NOTICE]


def settled(queue, *wanted):
    async def condition():
        return sorted((await states(queue)).values()) == sorted(wanted)

    return condition


class Failing:
    """A verb of the queue that fails as long as it is told to."""

    def __init__(self, queue, verb, error, *, fails=lambda *_: True):
        self._real, self._error, self.fails, self.count = getattr(queue, verb), error, fails, 0
        setattr(queue, verb, self)

    async def __call__(self, *arguments):
        if self.fails(*arguments):
            self.count += 1
            raise self._error
        return await self._real(*arguments)


@pytest.mark.parametrize("error", [StoreDamaged(), KeyError("a bug")])
async def test_a_message_that_cannot_be_read_is_put_off_and_holds_up_nobody(make, queue, put, far, error):
    _, damaged, _ = [(await put(f"{name}@far.test"))[0] for name in ("first", "damaged", "last")]
    relays = make(per_destination_max=1)
    failing = Failing(queue, "octets", error, fails=lambda item_id: item_id == damaged)
    wanted = (RecipientState.DELIVERED, RecipientState.DELIVERED, RecipientState.WAITING)
    async with at_work(relays):
        await until(settled(queue, *wanted))
        await until(lambda: none_left(relays))
        # it waits as after a temporary failure, and is not tried again and again
        [item] = await queue.items(QueueQuery(address="damaged@far.test"))
        assert item.recipients[0].attempt_count == 1
        assert item.recipients[0].next_attempt_at > item.accepted_at
        assert failing.count == 1


async def none_left(relays):
    return len(relays._under_way) == 0


async def test_what_the_server_has_taken_is_not_sent_again_while_the_store_fails(make, queue, put, far, monkeypatch):
    monkeypatch.setattr(settling_module, "SETTLE_AGAIN_S", 0.01)
    for name in ("one", "two", "three"):
        await put(f"{name}@far.test")
    relays = make(lease_s=0.3)
    failing = Failing(queue, "settle", StorageUnavailable())
    Failing(queue, "extend", StorageUnavailable())
    async with at_work(relays):
        await until(lambda: reached(failing, 20))
        failing.fails = lambda *_: False
        await until(settled(queue, *[RecipientState.DELIVERED] * 3))
    assert sorted(far.sent) == ["one@far.test", "three@far.test", "two@far.test"]


async def reached(failing, count):
    return failing.count >= count


async def test_a_lease_that_ends_during_a_slow_delivery_does_not_send_twice(make, queue, put, far, clock):
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slowly():
        began.set()
        await go_on.wait()
        return OK

    far.answer = lambda _: slowly()
    await put("bob@far.test")
    relays = make()
    async with at_work(relays):
        await began.wait()
        clock.passed_s += 1000.0  # the lease is over, and nobody has kept it
        await put("eve@other.test")  # wakes the loop
        await until(lambda: sent(far, 2))
        await relays.sweep.once()
        go_on.set()
        await until(settled(queue, RecipientState.DELIVERED, RecipientState.DELIVERED))
    assert far.sent == ["bob@far.test", "eve@other.test"]


async def sent(far, count):
    return len(far.sent) >= count


async def test_a_bug_in_notices_does_not_send_the_message_again(make, queue, put, far, house, monkeypatch):
    async def about_item(*_):
        raise KeyError("a bug")

    monkeypatch.setattr(house.house.notices, "about_item", about_item)
    success = NewRecipient(
        Recipient(Address.parse("bob@far.test"), frozenset({"SUCCESS"})),
        Destination(DestinationKind.DOMAIN, "far.test"),
    )
    await put(recipients=(success,))
    async with at_work(make()):
        await until(settled(queue, RecipientState.DELIVERED))
    assert far.sent == ["bob@far.test"]


async def test_a_chore_that_dies_ends_the_whole(make, monkeypatch):
    relays = make(lease_s=0.03)
    monkeypatch.setattr(type(relays._under_way), "deliveries", property(lambda _: 1 / 0))
    monkeypatch.setattr(type(relays._under_way), "__len__", lambda _: 1)
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(LIMIT_S):
            await relays.run(asyncio.Event())


async def test_what_hangs_at_the_stop_is_cut_off_and_given_back(make, queue, put, far, clock):
    began = asyncio.Event()

    async def never():
        began.set()
        await asyncio.Event().wait()

    far.answer = lambda _: never()
    await put("bob@far.test")
    relays = make(stop_limit_s=0.05)
    before = asyncio.all_tasks()
    async with at_work(relays) as task:
        await began.wait()
    assert task.exception() is None
    assert asyncio.all_tasks() <= before
    [delivery] = await queue.lease(clock.now(), clock.now() + timedelta(minutes=1), 10, 5)
    assert delivery.item.recipients[0].attempt_count == 0


async def test_what_the_other_side_has_taken_is_recorded_though_we_are_cut_off(make, queue, put, far, monkeypatch):
    """The second is sent while the first one's result is still being recorded: then the limit comes."""
    for number in range(3):
        await put(f"{number}@far.test")
    settle, may_record = queue.settle, asyncio.Event()

    async def settle_late(*what):
        await may_record.wait()
        await settle(*what)

    monkeypatch.setattr(queue, "settle", settle_late)
    far.answer = lambda _: OK
    relays = make(stop_limit_s=0.05, per_destination_max=1)
    async with at_work(relays) as task:
        await until(lambda: sent(far, 2))
        asyncio.get_running_loop().call_later(0.2, may_record.set)  # behind the stop limit
    assert task.exception() is None
    assert sorted((await states(queue)).values()) == ["delivered", "delivered", "waiting"]


async def test_what_is_home_is_recorded_though_we_are_cut_off(make, queue, put, monkeypatch):
    home = NewRecipient(Recipient(ALICE), Destination(DestinationKind.LOCAL, ""))
    await put("alice@example.test", recipients=(home,))
    settle, may_record, asked = queue.settle, asyncio.Event(), asyncio.Event()

    async def settle_late(*what):
        asked.set()
        await may_record.wait()
        await settle(*what)

    monkeypatch.setattr(queue, "settle", settle_late)
    relays = make(stop_limit_s=0.05)
    async with at_work(relays):
        await asked.wait()
        asyncio.get_running_loop().call_later(0.2, may_record.set)  # behind the stop limit
    assert list((await states(queue)).values()) == ["delivered"]


async def test_a_session_takes_nothing_more_once_we_stop(make, queue, put, far):
    stop = asyncio.Event()

    def answer(_):
        stop.set()
        return OK

    far.answer = answer
    for number in range(50):
        await put(f"{number}@far.test")
    async with asyncio.timeout(LIMIT_S):
        await make(per_destination_max=1).run(stop)
    assert len(far.sent) <= 3
    assert sorted((await states(queue)).values()).count("delivered") == len(far.sent)


async def test_attack_077_a_clock_that_jumps_ahead_bounces_nothing(make, queue, put, far, clock):
    far.answer = lambda _: LATER
    await put("bob@far.test", "eve@other.test")
    relays = make()
    async with at_work(relays):
        await until(lambda: sent(far, 2))
        await until(lambda: none_left(relays))
        real = clock.now
        clock.now = lambda: real() + timedelta(days=365)
        await queue.retry_now([item.item_id for item in await queue.items(QueueQuery())], clock.now())
        await until(lambda: sent(far, 4))
        await until(lambda: none_left(relays))
        assert await relays.sweep.once() == 0
        assert set((await states(queue)).values()) == {RecipientState.WAITING}
        assert await notices(queue) == []
        [item] = await queue.items(QueueQuery())
        assert all(each.next_attempt_at > clock.now() for each in item.recipients)
        # if the clock is right after all, a day later what has expired is given up, with one notice for the item
        clock.passed_s += DAY_S + 1
        assert await relays.sweep.once() == 2
    assert set((await states(queue)).values()) == {RecipientState.FAILED}
    assert len(await notices(queue)) == 1


async def test_attack_077_a_clock_that_is_set_back_lets_nothing_wait_for_ever(make, queue, put, far, clock):
    real = clock.now
    clock.now = lambda: real() + timedelta(days=365)
    far.answer = lambda _: LATER
    await put("bob@far.test")
    relays = make()
    async with at_work(relays):
        await until(lambda: sent(far, 1))
        await until(lambda: none_left(relays))
        clock.now = real
        far.answer = lambda _: OK
        await relays.sweep.bring_forward()
        await until(settled(queue, RecipientState.DELIVERED))


async def test_what_has_expired_meanwhile_is_tried_once_more(make, queue, put, far, clock):
    await put("bob@far.test", "eve@later.test")
    clock.passed_s += 6 * DAY_S
    far.answer = lambda envelope: OK if str(envelope.recipients[0].address) == "bob@far.test" else LATER
    async with at_work(make()):
        await until(settled(queue, RecipientState.DELIVERED, RecipientState.FAILED))
    assert sorted(far.sent) == ["bob@far.test", "eve@later.test"]


async def test_a_busy_destination_is_not_asked_for_all_the_time(make, queue, put, far):
    go_on = asyncio.Event()

    async def slowly():
        await go_on.wait()
        return OK

    far.answer = lambda _: slowly()
    for number in range(20):
        await put(f"{number}@far.test")
    relays = make(per_destination_max=2)
    async with at_work(relays):
        await until(lambda: sent(far, 2))
        assert await relays.begin_what_is_due() == relays_module.CROWDED_S
        go_on.set()
        await until(settled(queue, *[RecipientState.DELIVERED] * 20))


async def test_a_server_that_greets_and_is_silent_rests(make, queue, put, far):
    far.answer = lambda _: SILENT
    await put("bob@far.test")
    relays = make()
    async with at_work(relays):
        await until(lambda: sent(far, 1))
        await until(lambda: none_left(relays))
    assert await queue.failure_count(Destination(DestinationKind.DOMAIN, "far.test")) == 1


async def test_a_server_that_asks_for_less_gets_nothing_more_through_the_session(make, queue, put, far):
    far.answer = lambda _: SLOWER
    for number in range(10):
        await put(f"{number}@far.test")
    relays = make(per_destination_max=1)
    async with at_work(relays):
        await until(lambda: sent(far, 1))
        await until(lambda: none_left(relays))
    assert len(far.sent) <= 2


async def test_a_bug_with_one_of_our_people_does_not_give_the_others_their_mail_again(house, queue, clock, monkeypatch):
    inner = house.house
    resolve = inner.addresses.resolve

    async def resolving(address):
        if address.local_part == "bob":
            raise KeyError("a bug")
        return await resolve(address)

    monkeypatch.setattr(inner.addresses, "resolve", resolving)
    homecoming = Homecoming(inner.addresses, inner.dispatch, inner.tracing, hostname=HOSTNAME, received_max=50)
    recipients = tuple(NewRecipient(Recipient(Address(name, "example.test")), LOCAL) for name in ("alice", "bob"))
    octets = b"Subject: hello\r\n\r\nHello\r\n"
    until_at = clock.now() + timedelta(days=1)
    await queue.put([NewItem("q2", ItemKind.NOTICE, None, recipients, octets, clock.now(), until_at)])
    [delivery] = await queue.lease(clock.now(), until_at, 10, 5)
    replies = await homecoming.deliver(delivery.item, octets)
    assert [(reply.code, reply.is_permanent) for reply in replies] == [(250, False), (451, False)]
    assert len(await house.messages("alice")) == 1


async def test_what_fails_behind_the_delivery_does_not_bring_the_message_again(house, monkeypatch):
    async def stored(*_):
        raise KeyError("a bug")

    monkeypatch.setattr(house.house.filters, "stored", stored)
    reception = house.receptions.begin(Peer("127.0.0.1", 1), "far.test", Envelope(Address("bob", "far.test")))
    more = reception.add_recipient(Recipient(ALICE))
    if more is not None:
        await more
    reception.write(b"From: bob@far.test\r\nSubject: hello\r\n\r\nHello\r\n")
    await reception.accept()
    assert len(await house.messages("alice")) == 1


async def test_a_hold_until_a_moment_that_is_over_is_no_hold(house, clock, queue):
    past = clock.now() - timedelta(days=30)
    envelope = Envelope(ALICE, hold_until=past)
    account = await house.account("alice")
    submission = await house.submissions.begin(
        Actor(account.account_id, ALICE), Peer("127.0.0.1", 1, tls_version="TLSv1.3"), "client.test", envelope
    )
    more = submission.add_recipient(Recipient(Address("bob", "far.test")))
    if more is not None:
        await more
    submission.write(b"From: alice@example.test\r\nSubject: hello\r\n\r\nHello\r\n")
    await submission.accept()
    [item] = await queue.items(QueueQuery())
    assert (item.accepted_at, item.expires_at) == (clock.now(), clock.now() + timedelta(days=5))


async def test_what_waits_for_a_smarthost_that_is_given_up_goes_the_new_way(make, queue, put, far):
    waiting = NewRecipient(
        Recipient(Address("bob", "far.test"), frozenset({"NEVER"}), "rfc822;bob@far.test"),
        Destination(DestinationKind.SMARTHOST, "relay.old.test", 587),
    )
    await put(recipients=(waiting,))
    async with at_work(make()):
        await until(settled(queue, RecipientState.DELIVERED))
    before, after = await queue.items(QueueQuery())
    assert [each.state for each in before.recipients] == [RecipientState.CANCELLED]
    [recipient] = after.recipients
    assert recipient.destination == Destination(DestinationKind.DOMAIN, "far.test")
    assert recipient.recipient == waiting.recipient
    assert (after.queue_id, after.expires_at, after.notify_to) == (before.queue_id, before.expires_at, before.notify_to)
    assert far.sent == ["bob@far.test"]
