"""The queue port: durable, leased to one worker (promise 7), fair between destinations, outcomes and notices in one unit."""

import asyncio
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Recipient
from mailstead.model.errors import NoSuchQueueItem, StorageFull
from mailstead.model.ids import AccountId
from mailstead.model.queue import (
    LOCAL,
    Destination,
    DestinationKind,
    ItemKind,
    NewItem,
    NewRecipient,
    Outcome,
    QueueQuery,
    RecipientState,
    RemoteReply,
    Suppression,
)
from mailstead.ports.queue import QUEUE

ALICE = Address("Alice", "example.test")
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
OK = RemoteReply(250, "2.0.0", "taken", "mx.example.net", "192.0.2.1", "dane")
LATER = RemoteReply(451, "4.7.1", "greylisted", "mx.example.net", "192.0.2.1")
NO = RemoteReply(550, "5.1.1", "no such user", "mx.example.net", "192.0.2.1", is_permanent=True)


def to(domain):
    return Destination(DestinationKind.DOMAIN, domain)


@pytest.fixture
def queue(storage):
    return storage.queue


@pytest.fixture
def now(house):
    return house.clock.now


@pytest.fixture
def make_item(now):
    def make(*addresses, octets=b"Subject: hello\r\n\r\nHello\r\n", **facts):
        recipients = tuple(
            NewRecipient(Recipient(Address.parse(text)), to(text.rpartition("@")[2]))
            for text in addresses or ("bob@example.net",)
        )
        whole = {
            "queue_id": "q1",
            "kind": ItemKind.SUBMISSION,
            "mail_from": ALICE,
            "notify_to": ALICE,
            "recipients": recipients,
            "octets": octets,
            "accepted_at": now(),
            "expires_at": now() + 5 * 24 * HOUR,
        }
        return NewItem(**(whole | facts))

    return make


@pytest.fixture
def lease(queue, now):
    async def lease(limit=10, per_destination=5, minutes=10):
        return await queue.lease(now(), now() + minutes * MINUTE, limit, per_destination)

    return lease


def outcomes(delivery, state=RecipientState.DELIVERED, reply=OK, **more):
    return [Outcome(each.recipient_id, state, reply, **more) for each in delivery.item.recipients]


async def settle(queue, delivery, state=RecipientState.DELIVERED, reply=OK, **more):
    await queue.settle(delivery, outcomes(delivery, state, reply, **more))


async def only(queue, **query):
    (item,) = await queue.items(QueueQuery(**query))
    return item


async def states(queue):
    return [each.state for item in await queue.items(QueueQuery()) for each in item.recipients]


# putting


async def test_what_was_put_comes_back_as_it_was(queue, make_item, now, lease):
    bob = Recipient(Address("Böb o'", "example.net"), frozenset({"FAILURE", "DELAY"}), "rfc822;bob@old.test")
    hook = Destination(DestinationKind.WEBHOOK, "hook.example.org", 443)
    item = make_item(
        recipients=(
            NewRecipient(bob, to("example.net"), via=Address("team", "example.test")),
            NewRecipient(Recipient(ALICE), hook, url="https://hook.example.org/in?x=1"),
            NewRecipient(Recipient(ALICE), LOCAL),
        ),
        octets=bytes(range(256)) * 1000,
        domain="example.test",
        account_id=AccountId("0123456789abcdef"),
        body="8BITMIME",
        smtputf8=True,
        ret="HDRS",
        envid="e 1",
        require_tls=True,
        tls_optional=True,
        priority=3,
        message_id="<1@example.test>",
    )
    (item_id,) = await queue.put([item])
    found = await only(queue)
    assert found.item_id == item_id
    assert found.size_octets == 256_000
    for name in [
        "queue_id",
        "kind",
        "mail_from",
        "accepted_at",
        "expires_at",
        "domain",
        "account_id",
        "notify_to",
        "body",
        "smtputf8",
        "ret",
        "envid",
        "require_tls",
        "tls_optional",
        "priority",
        "message_id",
    ]:
        assert getattr(found, name) == getattr(item, name), name
    assert [(each.recipient, each.destination, each.url, each.via) for each in found.recipients] == [
        (each.recipient, each.destination, each.url, each.via) for each in item.recipients
    ]
    assert {each.next_attempt_at for each in found.recipients} == {now()}
    assert await queue.octets(item_id) == item.octets
    deliveries = await lease()
    assert sorted(each.destination.key for each in deliveries) == sorted([to("example.net").key, hook.key, LOCAL.key])
    assert await queue.octets(item_id) == item.octets


@pytest.mark.parametrize("before_size", [0, 1, 700, 65_535, 65_536, 65_537, 200_000])
@pytest.mark.parametrize("size", [0, 1, 65_536, 150_000])
async def test_what_goes_in_front_is_a_part_of_the_message(queue, make_item, size, before_size):
    octets, before = bytes(range(250)) * 600, b"".join(b"X-%d: y\r\n" % number for number in range(20_000))
    item = make_item(octets=octets[:size], before=before[:before_size])
    [item_id] = await queue.put([item])
    assert await queue.octets(item_id) == before[:before_size] + octets[:size]
    assert [each.size_octets for each in await queue.items(QueueQuery())] == [before_size + size]


async def test_all_items_are_taken_or_none(queue, make_item):
    bad = replace(make_item(), queue_id=None)
    results = await asyncio.gather(
        queue.put([make_item("a@one.test")]),
        queue.put([make_item("b@two.test"), bad]),
        queue.put([make_item("c@three.test")]),
        return_exceptions=True,
    )
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    there = [str(item.recipients[0].recipient.address) for item in await queue.items(QueueQuery())]
    assert there == ["a@one.test", "c@three.test"]
    assert {state.destination.name for state in await queue.destinations()} == {"one.test", "three.test"}


async def test_ids_ascend_and_are_never_used_again(queue, make_item, lease, house, now):
    ids = await queue.put([make_item(), make_item()])
    for delivery in await lease():
        await settle(queue, delivery)
    assert await queue.forget_finished(now() + MINUTE) == 2
    await house.close()
    ids += await (await house.open()).queue.put([make_item()])
    assert ids == sorted(set(ids))


async def test_put_is_refused_when_the_disk_is_full_and_the_rest_works(house, make_item):
    storage = await house.open(disk_reserve_octets=2**62)
    with pytest.raises(StorageFull):
        await storage.queue.put([make_item()])
    assert await storage.queue.lease(house.clock.now(), house.clock.now() + HOUR, 1, 1) == []


async def test_promise_4_what_was_put_survives_the_loss_of_all_unsynced_writes(
    house, make_item, lossy_vfs, tmp_path_factory
):
    lossy_vfs.register()
    storage = await house.open(vfs=lossy_vfs.NAME)
    ids = []
    for _ in range(3):
        puts = [storage.queue.put([make_item(octets=b"x" * 100_000)]) for _ in range(5)]
        ids += [item_id for (item_id,) in await asyncio.gather(*puts)]
        copy = tmp_path_factory.mktemp("power-cut")
        shutil.copytree(house.folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
        survivor = (await house.open(folder=copy)).queue
        assert [item.item_id for item in await survivor.items(QueueQuery())] == sorted(ids)
        assert await survivor.octets(ids[-1]) == b"x" * 100_000


# leasing (promise 7)


async def test_promise_7_an_item_is_leased_to_one_worker_of_all_processes(house, queue, make_item, now):
    await queue.put([make_item(f"bob@d{number}.test") for number in range(60)])
    other = (await house.open()).queue

    async def work(each):
        taken = []
        while some := await each.lease(now(), now() + HOUR, 7, 5):
            taken += [delivery.item.item_id for delivery in some]
        return taken

    ours, theirs = await asyncio.gather(work(queue), work(other))
    assert len(ours + theirs) == 60
    assert len({*ours, *theirs}) == 60


async def test_promise_7_an_expired_lease_returns_the_item(house, queue, make_item, lease, now):
    await queue.put([make_item()])
    (first,) = await lease(minutes=10)
    assert await lease() == []
    assert await queue.next_due_at() == now() + 10 * MINUTE
    house.clock.move(601)
    (second,) = await lease()
    assert second.item.item_id == first.item.item_id
    assert second.lease_id != first.lease_id


async def test_promise_7_a_lease_survives_the_death_of_its_process(house, make_item, now):
    dying = await house.open()
    await dying.queue.put([make_item()])
    assert len(await dying.queue.lease(now(), now() + HOUR, 10, 5)) == 1
    await house.close()
    queue = (await house.open()).queue
    assert await queue.lease(now(), now() + HOUR, 10, 5) == []
    house.clock.move(3601)
    assert len(await queue.lease(now(), now() + HOUR, 10, 5)) == 1


async def test_an_extended_lease_lasts_longer(house, queue, make_item, lease, now):
    await queue.put([make_item()])
    leased = await lease(minutes=10)
    await queue.extend(leased, now() + 30 * MINUTE)
    house.clock.move(601)
    assert await lease() == []
    house.clock.move(1200)
    assert len(await lease()) == 1


async def test_extending_a_lease_that_went_to_others_changes_nothing(house, queue, make_item, lease, now):
    await queue.put([make_item()])
    expired = await lease(minutes=1)
    house.clock.move(61)
    assert len(await lease(minutes=1)) == 1
    await queue.extend(expired, now() + HOUR)
    house.clock.move(61)
    assert len(await lease()) == 1


async def test_what_is_given_back_is_due_as_before(queue, make_item, lease):
    await queue.put([make_item()])
    (delivery,) = await lease()
    await queue.give_back(delivery)
    (again,) = await lease()
    assert again.item == delivery.item
    assert again.item.recipients[0].attempt_count == 0


async def test_a_delivery_has_all_recipients_of_an_item_at_one_destination(queue, make_item, lease):
    await queue.put([make_item("a@one.test", "b@two.test", "c@one.test")])
    found = {each.destination.name: [str(r.recipient.address) for r in each.item.recipients] for each in await lease()}
    assert found == {"one.test": ["a@one.test", "c@one.test"], "two.test": ["b@two.test"]}


async def test_a_destination_has_at_most_so_many_leases_in_all_processes(house, queue, make_item, lease, now):
    await queue.put([make_item("a@one.test", "b@one.test") for _ in range(6)])
    other = (await house.open()).queue
    first = await lease(per_destination=3)
    assert len(first) == 3  # deliveries are counted, not recipients
    assert await other.lease(now(), now() + HOUR, 10, 3) == []
    await settle(queue, first[0])
    assert len(await other.lease(now(), now() + HOUR, 10, 3)) == 1
    house.clock.move(601)
    assert len(await lease(per_destination=3)) == 2  # two of ours have expired, the other's has not


async def test_deliveries_go_to_different_destinations_where_possible(queue, make_item, lease):
    for domain in ("one", "two", "three"):
        await queue.put([make_item(f"a@{domain}.test") for _ in range(10)])
    assert sorted(each.destination.name for each in await lease(limit=3)) == ["one.test", "three.test", "two.test"]
    names = [each.destination.name for each in await lease(limit=8, per_destination=4)]
    assert sorted(names.count(name) for name in set(names)) == [2, 3, 3]


async def test_higher_priority_goes_first_then_what_is_due_longest(queue, make_item, lease, now):
    for number, (priority, age) in enumerate([(0, 3), (5, 1), (0, 9), (5, 2), (-1, 20)]):
        await queue.put([make_item(f"a{number}@one.test", priority=priority, accepted_at=now() - age * MINUTE)])
    order = [str((await lease(limit=1))[0].item.recipients[0].recipient.address)[:2] for _ in range(5)]
    assert order == ["a3", "a1", "a2", "a0", "a4"]


async def test_priority_counts_between_destinations_too(queue, make_item, lease, now):
    await queue.put([make_item("a@low.test", accepted_at=now() - HOUR), make_item("a@high.test", priority=1)])
    assert [each.destination.name for each in await lease(limit=1)] == ["high.test"]


async def test_low_priority_is_reached_though_high_priority_of_the_destination_is_not_due(queue, make_item, lease, now):
    await queue.put([make_item("a@one.test", priority=9, not_before=now() + HOUR) for _ in range(3)])
    await queue.put([make_item("b@one.test")])
    assert [str(each.item.recipients[0].recipient.address) for each in await lease()] == ["b@one.test"]


async def test_what_is_for_later_is_not_leased_before(house, queue, make_item, lease, now):
    await queue.put([make_item(not_before=now() + HOUR)])
    assert await queue.next_due_at() == now() + HOUR
    assert await lease() == []
    house.clock.move(3600)
    assert len(await lease()) == 1


async def test_a_worker_can_lease_more_for_an_open_connection(queue, make_item, lease, now):
    await queue.put([make_item("a@one.test") for _ in range(8)] + [make_item("a@two.test")])
    first = await lease(limit=10, per_destination=1)
    assert len(first) == 2
    more = await queue.lease_more(to("one.test"), now(), now() + HOUR, 5)
    assert [each.destination.name for each in more] == ["one.test"] * 5
    assert not {each.item.item_id for each in first} & {each.item.item_id for each in more}
    assert await lease(per_destination=5) == []  # those count
    assert len(await queue.lease_more(to("one.test"), now(), now() + HOUR, 5)) == 2
    assert await queue.lease_more(to("nowhere.test"), now(), now() + HOUR, 5) == []


# outcomes


async def test_what_is_delivered_is_finished_and_its_octets_are_removed(queue, make_item, lease, now):
    (item_id,) = await queue.put([make_item()])
    (delivery,) = await lease()
    await settle(queue, delivery)
    (recipient,) = (await only(queue)).recipients
    assert (recipient.state, recipient.attempt_count) == (RecipientState.DELIVERED, 1)
    assert (recipient.last_attempt_at, recipient.last_reply) == (now(), OK)
    assert recipient.next_attempt_at is None
    with pytest.raises(NoSuchQueueItem):
        await queue.octets(item_id)
    assert await queue.next_due_at() is None
    assert await lease() == []
    assert await queue.destinations() == []


async def test_an_item_lives_until_its_last_recipient_waits_no_more(queue, make_item, lease, now):
    (item_id,) = await queue.put([make_item("a@one.test", "b@one.test", "c@two.test")])
    one, two = sorted(await lease(), key=lambda each: each.destination.name)
    first, second = one.item.recipients
    await queue.settle(
        one,
        [
            Outcome(first.recipient_id, RecipientState.DELIVERED, OK),
            Outcome(second.recipient_id, RecipientState.WAITING, LATER, now() + MINUTE, tells_delay=True),
        ],
    )
    await settle(queue, two, RecipientState.FAILED, NO)
    assert await states(queue) == [RecipientState.DELIVERED, RecipientState.WAITING, RecipientState.FAILED]
    waiting = (await only(queue)).recipients[1]
    assert (waiting.next_attempt_at, waiting.last_reply, waiting.is_delay_told) == (now() + MINUTE, LATER, True)
    assert len(await queue.octets(item_id)) > 0
    assert await queue.forget_finished(now() + 24 * HOUR) == 0
    assert await queue.next_due_at() == now() + MINUTE
    assert await queue.count() == {
        RecipientState.WAITING: 1,
        RecipientState.HELD: 0,
        RecipientState.DELIVERED: 1,
        RecipientState.FAILED: 1,
        RecipientState.CANCELLED: 0,
    }


async def test_notices_and_outcomes_come_together_or_not_at_all(queue, make_item, lease):
    await queue.put([make_item(), make_item("x@other.test")])
    delivery, other = sorted(await lease(), key=lambda each: each.destination.name)
    good = make_item("alice@example.test", mail_from=None, kind=ItemKind.NOTICE)
    results = await asyncio.gather(
        queue.settle(delivery, outcomes(delivery, RecipientState.FAILED, NO), [good, replace(good, queue_id=None)]),
        queue.settle(other, outcomes(other)),
        return_exceptions=True,
    )
    assert [isinstance(result, Exception) for result in results] == [True, False]
    assert sorted(await states(queue)) == [RecipientState.DELIVERED, RecipientState.WAITING]
    await queue.settle(delivery, outcomes(delivery, RecipientState.FAILED, NO), [good])
    assert (await states(queue))[0] == RecipientState.FAILED
    (notice,) = await lease()
    assert (notice.item.kind, notice.item.mail_from) == (ItemKind.NOTICE, None)


async def test_recipients_without_an_outcome_are_due_as_before(queue, make_item, lease):
    await queue.put([make_item("a@one.test", "b@one.test")])
    (delivery,) = await lease()
    await queue.settle(delivery, outcomes(delivery)[:1])
    (again,) = await lease()
    assert [str(each.recipient.address) for each in again.item.recipients] == ["b@one.test"]


async def test_an_expired_lease_is_settled_all_the_same(house, queue, make_item, lease):
    await queue.put([make_item()])
    (delivery,) = await lease()
    house.clock.move(700)
    await settle(queue, delivery)
    assert await states(queue) == [RecipientState.DELIVERED]
    assert await lease() == []


async def test_what_another_has_leased_meanwhile_is_delivered_if_the_first_says_so(house, queue, make_item, lease):
    await queue.put([make_item()])
    (first,) = await lease()
    house.clock.move(700)
    (second,) = await lease()
    await settle(queue, first)
    notice = make_item("alice@example.test")
    await queue.settle(second, outcomes(second, RecipientState.FAILED, NO), [notice])
    assert await states(queue) == [RecipientState.DELIVERED]  # the late failure is no news, nor is its notice


async def test_a_late_retry_does_not_take_the_lease_of_another(house, queue, make_item, lease, now):
    await queue.put([make_item()])
    (first,) = await lease()
    house.clock.move(700)
    (second,) = await lease()
    await settle(queue, first, RecipientState.WAITING, LATER, next_attempt_at=now())
    assert await lease() == []
    (recipient,) = (await only(queue)).recipients
    assert (recipient.attempt_count, recipient.last_reply) == (1, LATER)
    await settle(queue, second, RecipientState.FAILED, NO)
    assert await states(queue) == [RecipientState.FAILED]


async def test_settling_a_forgotten_item_does_nothing(house, queue, make_item, lease, now):
    (item_id,) = await queue.put([make_item()])
    (delivery,) = await lease()
    await queue.cancel([item_id], now())
    await queue.forget_finished(now() + MINUTE)
    await settle(queue, delivery)
    assert await queue.items(QueueQuery()) == []


async def test_a_reply_that_is_no_utf8_is_kept_readable(queue, make_item, lease):
    await queue.put([make_item()])
    (delivery,) = await lease()
    await settle(queue, delivery, RecipientState.FAILED, replace(NO, text="caf\udce9 closed"))
    assert (await only(queue)).recipients[0].last_reply.text == "caf? closed"


# destinations


async def test_a_destination_that_failed_rests_and_others_do_not(house, queue, make_item, lease, now):
    await queue.put([make_item("a@one.test"), make_item("a@two.test")])
    silence = RemoteReply(text="Connection timed out")
    await queue.destination_failed(to("one.test"), now() + HOUR, silence)
    house.clock.move(3600)
    await queue.destination_failed(to("one.test"), now() + HOUR, silence)
    await queue.put([make_item("b@one.test")])
    assert [each.destination.name for each in await lease()] == ["two.test"]
    assert await queue.failure_count(to("one.test")) == 2
    states_of = {each.destination.name: each for each in await queue.destinations()}
    resting = states_of["one.test"]
    assert (resting.waiting_count, resting.failure_count, resting.not_before) == (2, 2, now() + HOUR)
    assert resting.last_reply == "Connection timed out"
    assert states_of["two.test"].leased_count == 1
    house.clock.move(3600)
    assert [each.destination.name for each in await lease()].count("one.test") == 2


async def test_those_who_fail_at_a_destination_at_the_same_time_are_one_failure(queue, make_item, now):
    await queue.put([make_item("a@one.test")])
    for minutes in (1, 2, 4, 8, 16):
        await queue.destination_failed(to("one.test"), now() + minutes * MINUTE, LATER)
    assert await queue.failure_count(to("one.test")) == 1
    assert await queue.next_due_at() == now() + MINUTE


async def test_a_destination_that_is_reached_is_as_new(queue, make_item, lease, now):
    await queue.put([make_item("a@one.test")])
    await queue.destination_failed(to("one.test"), now() + HOUR, LATER)
    assert await queue.next_due_at() == now() + HOUR
    await queue.destination_reached(to("one.test"))
    assert await queue.failure_count(to("one.test")) == 0
    assert await queue.next_due_at() == now()
    assert len(await lease()) == 1


async def test_destinations_are_listed_most_waiting_first(queue, make_item):
    await queue.put([make_item("a@one.test"), make_item("a@two.test"), make_item("b@two.test", priority=1)])
    assert [(each.destination.name, each.waiting_count) for each in await queue.destinations()] == [
        ("two.test", 2),
        ("one.test", 1),
    ]


async def test_attack_024_a_flood_to_a_dead_destination_costs_the_others_no_scan(queue, make_item, lease, now):
    """Counted in steps of SQLite, which do not depend on the machine's mood."""
    await queue.put([make_item("a@alive.test")])
    before = await _steps(queue, lease)
    for _ in range(4):
        await queue.put([make_item(f"x{number}@dead.test", octets=b"x") for number in range(500)])
    await queue.destination_failed(to("dead.test"), now() + HOUR, LATER)
    await queue.put([make_item("b@alive.test")])
    after = await _steps(queue, lease)
    assert after < 2 * before + 200


async def _steps(queue, lease):
    steps = 0

    def count():
        nonlocal steps
        steps += 1
        return False

    db = queue._file._writing
    db.set_progress_handler(count, 1)
    try:
        (delivery,) = await lease()
        await settle(queue, delivery)
    finally:
        db.set_progress_handler(None)
    return steps


# what waits too long


async def test_expired_items_are_leased_though_their_destination_rests(house, queue, make_item, lease, now):
    await queue.put([make_item("a@one.test", "b@two.test", expires_at=now() + HOUR), make_item("c@one.test")])
    await queue.destination_failed(to("one.test"), now() + 9 * HOUR, LATER)
    assert await queue.lease_overdue(now(), now() - HOUR, now() + HOUR, 10) == []
    house.clock.move(3600)
    (two,) = [each for each in await lease(minutes=600) if each.destination.name == "two.test"]
    (overdue,) = await queue.lease_overdue(now(), now() - 9 * HOUR, now() + MINUTE, 10)  # two.test's is leased
    assert [str(each.recipient.address) for each in overdue.item.recipients] == ["a@one.test"]
    await settle(queue, overdue, RecipientState.FAILED, NO)
    await settle(queue, two)
    assert await queue.lease_overdue(now(), now() - 9 * HOUR, now() + MINUTE, 10) == []
    assert await queue.forget_finished(now() + MINUTE) == 1


async def test_items_whose_delay_is_to_be_told_are_leased_once(house, queue, make_item, now):
    await queue.put([make_item("a@one.test", "b@two.test", not_before=now() + 9 * HOUR), make_item(notify_to=None)])
    await queue.put([make_item("young@one.test", accepted_at=now() + 3 * HOUR)])
    house.clock.move(4 * 3600)
    told_before = now() - 3 * HOUR
    (first,) = await queue.lease_overdue(now(), told_before, now() + MINUTE, 1)
    (second,) = await queue.lease_overdue(now(), told_before, now() + MINUTE, 10)
    assert {first.destination.name, second.destination.name} == {"one.test", "two.test"}
    again_at = first.item.recipients[0].next_attempt_at
    for delivery in (first, second):
        await settle(queue, delivery, RecipientState.WAITING, LATER, next_attempt_at=again_at, tells_delay=True)
    house.clock.move(120)
    assert await queue.lease_overdue(now(), told_before, now() + MINUTE, 10) == []
    item = (await queue.items(QueueQuery()))[0]
    assert [(each.is_delay_told, each.next_attempt_at) for each in item.recipients] == [(True, again_at)] * 2


# administrators


async def test_held_items_are_not_leased_until_released(queue, make_item, lease, now):
    held_id, other_id = await queue.put(
        [make_item("a@one.test", "b@two.test", is_held=True), make_item("c@three.test")]
    )
    assert await queue.hold([other_id]) == 1
    assert await queue.count() == dict.fromkeys(RecipientState, 0) | {RecipientState.HELD: 3}
    assert await lease() == []
    assert await queue.next_due_at() is None
    assert await queue.release([held_id]) == 2
    assert {each.destination.name for each in await lease()} == {"one.test", "two.test"}
    assert len(await queue.octets(other_id)) > 0


async def test_what_is_held_during_an_attempt_is_not_attempted_twice(house, queue, make_item, lease, now):
    (item_id,) = await queue.put([make_item()])
    (delivery,) = await lease()
    assert await queue.hold([item_id]) == 1
    assert await queue.release([item_id]) == 1
    assert await lease() == []
    await queue.hold([item_id])
    await settle(queue, delivery, RecipientState.WAITING, LATER, next_attempt_at=now())
    assert await states(queue) == [RecipientState.HELD]
    assert await lease() == []
    await queue.release([item_id])
    assert len(await lease()) == 1


async def test_cancelled_items_are_finished_without_a_notice(queue, make_item, lease, now):
    ids = await queue.put([make_item(), make_item("x@two.test", is_held=True), make_item("y@three.test")])
    under_way = [each for each in await lease() if each.destination.name == "three.test"]
    assert await queue.cancel(ids, now()) == 3
    assert await lease() == []
    (delivery,) = under_way
    await queue.settle(delivery, outcomes(delivery, RecipientState.FAILED, NO), [make_item("alice@example.test")])
    assert await states(queue) == [RecipientState.CANCELLED] * 3
    with pytest.raises(NoSuchQueueItem):
        await queue.octets(ids[0])


async def test_what_was_cancelled_but_delivered_is_shown_as_delivered(queue, make_item, lease, now):
    ids = await queue.put([make_item()])
    (delivery,) = await lease()
    await queue.cancel(ids, now())
    await settle(queue, delivery)
    assert await states(queue) == [RecipientState.DELIVERED]


async def test_what_waits_for_its_moment_is_taken_back_whole_or_not_at_all(queue, make_item, lease, now):
    later = now() + HOUR
    ids = await queue.put([make_item("a@one.test", "b@two.test", not_before=later), make_item(not_before=later)])
    due = await queue.put([make_item("c@three.test")])
    assert not await queue.take_back([ids[0], due[0]], now())
    assert not await queue.take_back(due, now())
    assert not await queue.take_back([ids[0]], later)
    (delivery,) = await lease()
    assert not await queue.take_back(due, now() - HOUR)  # it is under way
    await settle(queue, delivery, RecipientState.WAITING, LATER, next_attempt_at=later)
    assert not await queue.take_back(due, now())  # it was tried
    assert await queue.take_back(ids, now())
    assert not await queue.take_back(ids, now())
    assert await states(queue) == [RecipientState.CANCELLED] * 3 + [RecipientState.WAITING]
    with pytest.raises(NoSuchQueueItem):
        await queue.octets(ids[0])


async def test_retry_now_makes_due_and_ends_the_rest_of_the_destination(queue, make_item, lease, now):
    ids = await queue.put([make_item(), make_item()])
    for delivery in await lease():
        await settle(queue, delivery, RecipientState.WAITING, LATER, next_attempt_at=now() + HOUR)
    await queue.destination_failed(to("example.net"), now() + HOUR, LATER)
    assert await queue.retry_now(ids[:1], now()) == 1
    (delivery,) = await lease()
    assert delivery.item.item_id == ids[0]
    assert await queue.retry_now(ids, now()) == 2
    assert [each.item.item_id for each in await lease()] == ids[1:]  # the first is under way


async def test_items_are_found_by_each_condition(queue, make_item, lease, now):
    await queue.put(
        [
            make_item("bob@one.test", queue_id="q1"),
            make_item("bob@two.test", queue_id="q2", mail_from=Address("Carol", "other.test")),
            make_item("eve@one.test", "bob@two.test", queue_id="q3", mail_from=None),
        ]
    )
    (delivery,) = [each for each in await lease() if each.item.queue_id == "q2"]
    await settle(queue, delivery)

    async def found(**query):
        return [item.queue_id for item in await queue.items(QueueQuery(**query))]

    assert await found() == ["q1", "q2", "q3"]
    assert await found(queue_id="q2") == ["q2"]
    assert await found(address="BOB@one.test") == ["q1"]
    assert await found(address="alice@example.test") == ["q1"]
    assert await found(address="carol@other.test") == ["q2"]
    assert await found(address="@two.test") == ["q2", "q3"]
    assert await found(address="@est") == []
    assert await found(address="@wo.test") == []
    assert await found(destination="one.test") == ["q1", "q3"]
    assert await found(destination="one") == []
    assert await found(state=RecipientState.DELIVERED) == ["q2"]
    assert await found(state=RecipientState.WAITING, address="@two.test") == ["q3"]
    assert await found(limit=2) == ["q1", "q2"]
    second = (await queue.items(QueueQuery(limit=2)))[1].item_id
    assert await found(after=second) == ["q3"]
    assert await found(after=second, state=RecipientState.DELIVERED) == []
    assert len((await only(queue, queue_id="q3")).recipients) == 2


async def test_finished_items_are_kept_until_they_are_forgotten(house, queue, make_item, lease, now):
    await queue.put([make_item(), make_item("a@two.test", not_before=now() + HOUR)])
    (delivery,) = await lease()
    await settle(queue, delivery)
    house.clock.move(60)
    assert await queue.forget_finished(now() - MINUTE) == 0
    assert await queue.forget_finished(now()) == 1
    assert await states(queue) == [RecipientState.WAITING]


# wake-ups


async def test_promise_5_workers_are_woken_when_something_is_due(house, queue, make_item, lease, now):
    woken = asyncio.Event()

    async def must_wake(work):
        woken.clear()
        await work
        async with asyncio.timeout(10):
            await woken.wait()

    with house.bus.watch(QUEUE, woken.set):
        await must_wake(queue.put([make_item()]))
        (delivery,) = await lease()
        await must_wake(queue.give_back(delivery))
        item_ids = [delivery.item.item_id]
        await queue.hold(item_ids)
        await must_wake(queue.release(item_ids))
        await must_wake(queue.retry_now(item_ids, now()))
        await queue.put([make_item()])
        (delivery,) = await lease(limit=1, per_destination=1)
        await must_wake(queue.settle(delivery, outcomes(delivery)))  # room for the second one


# suppressions


async def test_addresses_are_suppressed_until_taken_off_the_list(queue, now):
    bob = Address("Bob", "example.net")
    assert await queue.suppressed([bob]) == {}
    await queue.suppress(Suppression(bob, "550 5.1.1 no such user", now()))
    await queue.suppress(Suppression(Address("eve", "example.net"), "first", now()))
    await queue.suppress(Suppression(Address("Eve", "example.net"), "renewed", now() + MINUTE))
    found = await queue.suppressed([Address("BOB", "example.net"), ALICE])
    assert found == {bob.key: Suppression(bob, "550 5.1.1 no such user", now())}
    assert [each.reason for each in await queue.suppressions()] == ["renewed", "550 5.1.1 no such user"]
    assert await queue.unsuppress(Address("bob", "example.net")) is True
    assert await queue.unsuppress(bob) is False
    assert await queue.suppressed([bob]) == {}


async def test_attack_077_what_a_clock_that_ran_ahead_has_put_off_is_due_again(house, queue, make_item, lease, now):
    right, year = now(), timedelta(days=365)
    bounds = (right + 10 * HOUR, right + 30 * 24 * HOUR)
    await queue.put([make_item("bob@retried.test"), make_item("bob@leased.test")])
    await queue.put([make_item("bob@released.test", not_before=right + 20 * 24 * HOUR)])
    assert await queue.bring_forward(right, *bounds) == 0
    house.clock.move(year.total_seconds())
    await queue.put([make_item("bob@new.test")])
    for delivery in await lease():
        if delivery.destination == to("retried.test"):
            await queue.settle(
                delivery, outcomes(delivery, RecipientState.WAITING, LATER, next_attempt_at=now() + HOUR)
            )
            await queue.destination_failed(delivery.destination, now() + HOUR, LATER)
        elif delivery.destination != to("leased.test"):
            await queue.give_back(delivery)
    house.clock.move(-year.total_seconds())
    assert await lease() == []
    assert await queue.bring_forward(now(), *bounds) == 3
    assert await queue.bring_forward(now(), *bounds) == 0
    names = {delivery.destination.name: delivery.item.expires_at for delivery in await lease()}
    assert names.keys() == {"retried.test", "leased.test", "new.test"}
    assert names["new.test"] == right + 5 * 24 * HOUR
    # what its author has put off stays so
    assert await queue.next_due_at() < right + 20 * 24 * HOUR
    house.clock.move(20 * 86400)
    assert "released.test" in {delivery.destination.name for delivery in await lease()}
