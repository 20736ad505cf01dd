"""The queue as administrators see it."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Recipient
from mailstead.model.errors import NoSuchAddress, NoSuchQueueItem, NotAllowed
from mailstead.model.ids import AccountId
from mailstead.model.queue import (
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    QueueQuery,
    RecipientState,
    RemoteReply,
)
from mailstead.usecases import outgoing as outgoing_module
from mailstead.usecases.outgoing import Outgoing

BOB = Address("bob", "example.net")


@pytest.fixture
def outgoing(storage, clock):
    return Outgoing(storage, clock)


@pytest.fixture
def put(storage, clock):
    async def put(queue_id, *domains, **facts):
        recipients = tuple(
            NewRecipient(Recipient(Address("bob", domain)), Destination(DestinationKind.DOMAIN, domain))
            for domain in domains
        )
        item = NewItem(
            queue_id,
            ItemKind.SUBMISSION,
            Address("alice", "example.test"),
            recipients,
            b"Subject: x\r\n\r\n",
            clock.now(),
            clock.now() + timedelta(days=5),
            **facts,
        )
        (item_id,) = await storage.queue.put([item])
        return item_id

    return put


@pytest.fixture
def lease(storage, clock):
    async def lease():
        return await storage.queue.lease(clock.now(), clock.now() + timedelta(minutes=1), 100, 100)

    return lease


async def test_what_has_not_ended_is_listed_oldest_first(outgoing, storage, admin, put, lease, monkeypatch):
    await put("q1", "one.test", is_held=True)
    await put("q2", "two.test")
    await put("q3", "three.test")
    (delivery,) = [each for each in await lease() if each.item.queue_id == "q2"]
    delivered = [
        Outcome(each.recipient_id, RecipientState.DELIVERED, RemoteReply(250)) for each in delivery.item.recipients
    ]
    await storage.queue.settle(delivery, delivered)

    async def listed(*states, **query):
        pages = [page async for page in outgoing.pages(admin, QueueQuery(**query), *states)]
        return [item.queue_id for page in pages for item in page]

    for page_items in (1, 2, 1000):
        monkeypatch.setattr(outgoing_module, "PAGE_ITEMS", page_items)
        assert await listed() == ["q1", "q3"]
    assert await listed(limit=1) == ["q1"]
    assert await listed([RecipientState.DELIVERED]) == ["q2"]
    assert await listed([]) == ["q1", "q2", "q3"]
    assert (await outgoing.count(admin))[RecipientState.DELIVERED] == 1
    assert [each.destination.name for each in await outgoing.destinations(admin)] == ["three.test"]


async def test_one_message_is_shown_with_its_octets(outgoing, admin, put):
    await put("q1", "one.test")
    (item,) = await outgoing.show(admin, "q1")
    assert await outgoing.octets(admin, item.item_id) == b"Subject: x\r\n\r\n"
    with pytest.raises(NoSuchQueueItem):
        await outgoing.show(admin, "q2")


async def test_items_are_held_released_retried_and_cancelled_by_queue_id_or_condition(
    outgoing, admin, put, lease, monkeypatch
):
    monkeypatch.setattr(outgoing_module, "PAGE_ITEMS", 2)
    for number in range(5):
        await put(f"q{number}", "one.test", "two.test" if number else "three.test")
    everything = [QueueQuery()]
    assert await outgoing.hold(admin, everything) == 10
    assert await lease() == []
    assert await outgoing.release(admin, [QueueQuery(queue_id="q0"), QueueQuery(queue_id="q1")]) == 4
    assert await outgoing.retry(admin, [QueueQuery(destination="three.test")]) == 2
    assert len(await lease()) == 4
    assert await outgoing.cancel(admin, [QueueQuery(address="@two.test")]) == 8
    assert await outgoing.cancel(admin, everything) == 2
    assert await outgoing.forget_finished(admin, outgoing._clock.now() + timedelta(seconds=1)) == 5
    with pytest.raises(NoSuchQueueItem, match="q9"):
        await outgoing.hold(admin, [QueueQuery(queue_id="q9")])


async def test_addresses_are_suppressed_and_taken_off_the_list(outgoing, admin, clock):
    made = await outgoing.suppress(admin, BOB, "asked for")
    assert await outgoing.suppressions(admin) == [made]
    assert made.at == clock.now()
    await outgoing.unsuppress(admin, BOB)
    with pytest.raises(NoSuchAddress):
        await outgoing.unsuppress(admin, BOB)


async def test_only_administrators_may(outgoing):
    alice = Actor(AccountId("0" * 16), Address("alice", "example.test"))
    for call in (
        anext(outgoing.pages(alice, QueueQuery())),
        outgoing.show(alice, "q1"),
        outgoing.octets(alice, 1),
        outgoing.count(alice),
        outgoing.destinations(alice),
        outgoing.hold(alice, [QueueQuery()]),
        outgoing.release(alice, [QueueQuery()]),
        outgoing.retry(alice, [QueueQuery()]),
        outgoing.cancel(alice, [QueueQuery()]),
        outgoing.forget_finished(alice, outgoing._clock.now()),
        outgoing.suppressions(alice),
        outgoing.suppress(alice, BOB, ""),
        outgoing.unsuppress(alice, BOB),
    ):
        with pytest.raises(NotAllowed):
            await call
