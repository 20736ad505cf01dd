"""The worker of the queue: results, waits, rests, expiry, and that no message stops the others."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from mailstead.config.settings import Queue, Settings
from mailstead.mime.dsn import Action, parse_dsn
from mailstead.model.address import Address
from mailstead.model.errors import NoSuchAddress, PolicyRefused, RateLimited, StorageUnavailable
from mailstead.model.queue import ItemKind, RecipientState, RemoteReply
from usecases.flow import ADMIN, ANN, DEAD, LATER, NOBODY, OK, message, open_flow, rcpt

X = "x@elsewhere.test"
FIRST_WAIT = timedelta(seconds=300)


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


async def recipients(flow, address=X):
    """All recipients of items to an address, oldest item first."""
    return [each for item in await flow.smtp.queued(address) for each in item.recipients]


async def told(flow, name="alice"):
    """The notices that an account of ours has got, as (address, action, status)."""
    await flow.work()
    reports = [parse_dsn(octets) for octets in await flow.stored(name)]
    return [(each.address, each.action, each.status) for report in reports if report for each in report.recipients]


async def test_what_is_taken_is_delivered_and_nobody_is_told(flow):
    await flow.submit(X, "y@elsewhere.test")
    await flow.work()
    [sent] = flow.remote.sent
    assert sent.recipients == [X, "y@elsewhere.test"]
    assert str(sent.envelope.mail_from) == "alice@example.test"
    assert [(each.state, each.last_reply, each.attempt_count) for each in await recipients(flow)] == [
        (RecipientState.DELIVERED, OK, 1)
    ] * 2
    assert await told(flow) == []


async def test_each_recipient_has_its_own_result(flow):
    flow.remote.say("elsewhere.test", [OK, NOBODY, LATER], OK)
    await flow.submit(X, "no@elsewhere.test", "later@elsewhere.test")
    await flow.work()
    states = {str(each.recipient.address): each.state for each in await recipients(flow)}
    assert states == {
        X: RecipientState.DELIVERED,
        "no@elsewhere.test": RecipientState.FAILED,
        "later@elsewhere.test": RecipientState.WAITING,
    }
    assert await told(flow) == [("no@elsewhere.test", Action.FAILED, "5.1.1")]
    flow.clock.advance(minutes=5)
    await flow.work()
    assert flow.remote.sent[-1].recipients == ["later@elsewhere.test"]


async def test_waits_double_up_to_the_longest(flow):
    flow.remote.say("elsewhere.test", LATER)
    await flow.submit(X)
    waits = []
    for _ in range(8):
        await flow.work()
        [each] = await recipients(flow)
        waits.append(round((each.next_attempt_at - flow.clock.now()).total_seconds()))
        flow.clock.advance(seconds=waits[-1])
    assert waits == [300, 600, 1200, 2400, 4800, 9600, 14400, 14400]
    assert len(flow.remote.sent) == 8


async def test_nothing_is_tried_before_its_time(flow):
    flow.remote.say("elsewhere.test", LATER, OK)
    await flow.submit(X)
    await flow.work()
    flow.clock.advance(seconds=299)
    await flow.work()
    assert len(flow.remote.sent) == 1
    flow.clock.advance(seconds=1)
    await flow.work()
    assert len(flow.remote.sent) == 2


async def test_attack_024_a_dead_destination_rests_while_others_go(flow):
    flow.remote.fail("dead.test", DEAD)
    for number in range(30):
        await flow.submit(f"x{number}@dead.test")
    await flow.submit(X)
    await flow.work()
    assert flow.remote.opened.count("dead.test") <= 5  # as many as may be open at once, not one for each message
    assert [sent.destination for sent in flow.remote.sent] == ["elsewhere.test"]
    before = flow.remote.opened.count("dead.test")
    await flow.submit("late@dead.test")
    await flow.submit(X)
    await flow.work()
    assert flow.remote.opened.count("dead.test") == before
    assert len(flow.remote.sent) == 2
    flow.remote.fail("dead.test", None)
    flow.clock.advance(hours=5)
    await flow.work()
    assert sorted(to for sent in flow.remote.sent[2:] for to in sent.recipients) == sorted(
        ["late@dead.test", *(f"x{number}@dead.test" for number in range(30))]
    )


async def test_attack_024_rests_of_a_dead_destination_double(flow):
    flow.remote.fail("dead.test", DEAD)
    await flow.submit("x@dead.test")
    tries = []
    for _ in range(60 * 8):
        before = len(flow.remote.opened)
        await flow.work()
        if len(flow.remote.opened) > before:
            tries.append(flow.clock.passed)
        flow.clock.advance(minutes=1)
    gaps = [(after - before).total_seconds() for before, after in pairwise(tries)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= 300
    assert len(tries) <= 9


async def test_a_server_that_asks_for_less_gets_less(flow):
    flow.remote.say("elsewhere.test", RemoteReply(421, "4.7.0", "Too many messages, slow down", "mx.out.test"), OK)
    flow.relays = flow.make_relays(per_destination_max=1)
    for number in range(5):
        await flow.submit(f"x{number}@elsewhere.test")
    await flow.work()
    assert len(flow.remote.sent) == 1  # the destination rests, though a server has answered
    flow.clock.advance(hours=1)
    await flow.work()
    assert len(flow.remote.sent) == 6


async def test_one_session_takes_what_is_due_there(flow):
    flow.relays = flow.make_relays(per_destination_max=1, messages_per_connection_max=4)
    for number in range(10):
        await flow.submit(f"x{number}@elsewhere.test")
    await flow.work()
    assert len(flow.remote.sent) == 10
    assert flow.remote.opened == ["elsewhere.test"] * 3


async def test_a_session_that_breaks_is_opened_anew(flow):
    flow.relays = flow.make_relays(per_destination_max=1)
    flow.remote.breaks_after_each = True
    for number in range(3):
        await flow.submit(f"x{number}@elsewhere.test")
    await flow.work()
    assert len(flow.remote.sent) == len(flow.remote.opened) == 3


async def test_a_destination_that_takes_no_mail_fails_at_once(flow):
    null_mx = RemoteReply(556, "5.1.10", "elsewhere.test takes no mail", is_permanent=True)
    flow.remote.fail("elsewhere.test", null_mx)
    await flow.submit(X)
    await flow.work()
    assert await told(flow) == [(X, Action.FAILED, "5.1.10")]
    assert flow.remote.opened == ["elsewhere.test"]


# what takes too long


async def test_the_author_is_told_once_of_a_delay_though_nothing_can_be_tried(flow):
    flow.remote.fail("dead.test", DEAD)
    await flow.submit("x@dead.test", rcpt("never@dead.test", "NEVER"), rcpt("f@dead.test", "FAILURE"))
    await flow.work()
    flow.clock.advance(hours=3, minutes=59)
    await flow.relays.sweep.once()
    assert await told(flow) == []
    flow.clock.advance(minutes=2)
    for _ in range(3):
        await flow.relays.sweep.once()
        flow.clock.advance(hours=1)
    assert await told(flow) == [("x@dead.test", Action.DELAYED, "4.4.1")]


async def test_what_has_expired_is_given_up_without_asking_the_destination(flow):
    flow.remote.fail("dead.test", DEAD)
    await flow.submit(rcpt("x@dead.test", "FAILURE"), rcpt("never@dead.test", "NEVER"))
    await flow.work()
    flow.clock.advance(hours=2)
    await flow.work()
    opened = len(flow.remote.opened)
    flow.clock.advance(days=5)
    await flow.relays.sweep.once()
    assert len(flow.remote.opened) == opened
    assert {each.state for each in await recipients(flow, "x@dead.test")} == {RecipientState.FAILED}
    assert await told(flow) == [("x@dead.test", Action.FAILED, "5.4.7")]
    assert await flow.relays.sweep.once() == 0


async def test_the_last_try_comes_before_the_end(flow):
    flow.remote.say("elsewhere.test", LATER)
    await flow.submit(rcpt(X, "FAILURE"))
    for _ in range(5 * 24):
        await flow.work()
        flow.clock.advance(hours=1)
    await flow.work()
    await flow.relays.sweep.once()
    [each] = await recipients(flow)
    assert each.state is RecipientState.FAILED
    [(address, action, status)] = await told(flow)
    assert (address, action, status) == (X, Action.FAILED, "5.4.7")
    assert "Come again" in each.last_reply.text


# success


async def test_relayed_is_told_where_the_next_server_will_not_tell(flow):
    await flow.submit(rcpt(X, "SUCCESS"))
    assert await told(flow) == [(X, Action.RELAYED, "2.0.0")]


async def test_a_server_that_knows_dsn_tells_itself(flow):
    flow.remote.offers_dsn = True
    await flow.submit(rcpt(X, "SUCCESS"))
    assert await told(flow) == []


# addresses that have failed for good


async def test_nobody_writes_unaware_to_an_address_that_does_not_exist(flow):
    flow.remote.say("elsewhere.test", NOBODY)
    await flow.submit(X)
    await flow.work()
    with pytest.raises(NoSuchAddress, match="failed for good"):
        await flow.submit(X)
    await flow.storage.queue.unsuppress(Address.parse(X))
    await flow.submit(X)


@pytest.mark.parametrize(
    "reply",
    [
        RemoteReply(552, "5.2.2", "Mailbox full", "mx.out.test", is_permanent=True),
        RemoteReply(550, "5.7.1", "Looks like spam", "mx.out.test", is_permanent=True),
        RemoteReply(0, "5.1.2", "No such domain", is_permanent=True),
    ],
    ids=lambda reply: reply.text,
)
async def test_other_failures_suppress_nothing_that_may_get_better(flow, reply):
    flow.remote.say("elsewhere.test", reply)
    await flow.submit(X)
    await flow.work()
    assert await flow.storage.queue.suppressions() == []


async def test_what_a_smarthost_refuses_suppresses_nothing(flow):
    await flow.terms(smarthost="relay.test:587")
    flow.remote.say("relay.test", NOBODY)
    await flow.submit(X)
    await flow.work()
    assert [sent.destination for sent in flow.remote.sent] == ["relay.test"]
    assert await flow.storage.queue.suppressions() == []


# limits and times of an author


async def test_a_day_has_a_limit_of_recipients(tmp_path):
    settings = replace(Settings(), queue=Queue(recipients_per_day_max=3))
    async with open_flow(tmp_path, settings=settings) as flow:
        await flow.submit(X, "y@elsewhere.test")
        with pytest.raises(RateLimited, match="3 recipients a day"):
            await flow.submit(X, "bob")
        flow.clock.advance(days=1)
        await flow.submit(X, "bob")
        await flow.house.accounts.set_sending_limit(ADMIN, Address("bob", "example.test"), 1)
        await flow.submit("alice", name="bob")
        with pytest.raises(RateLimited):
            await flow.submit("alice", name="bob")


async def test_a_message_is_held_until_its_time(flow):
    await flow.submit(X, hold_for_s=3600)
    await flow.submit("y@elsewhere.test", hold_until=flow.clock.now() + timedelta(hours=2))
    with pytest.raises(PolicyRefused):
        await flow.submit(X, hold_until=flow.clock.now() + timedelta(days=31))
    await flow.work()
    assert flow.remote.sent == []
    flow.clock.advance(hours=1)
    await flow.work()
    assert [sent.recipients for sent in flow.remote.sent] == [[X]]
    flow.clock.advance(hours=1)
    await flow.work()
    assert [sent.recipients for sent in flow.remote.sent] == [[X], ["y@elsewhere.test"]]


# the loop


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_a_bug_with_one_message_stops_no_other(flow, position):
    flow.relays = flow.make_relays(per_destination_max=1)
    answers = [OK, OK, OK]
    answers[position] = KeyError("a bug")
    flow.remote.say("elsewhere.test", *answers, OK)
    for number in range(3):
        await flow.submit(f"x{number}@elsewhere.test")
    await flow.work()
    states = [each.state for number in range(3) for each in await recipients(flow, f"x{number}@elsewhere.test")]
    assert states.count(RecipientState.DELIVERED) == 2
    assert states[position] is RecipientState.WAITING
    flow.clock.advance(hours=1)
    await flow.work()
    assert sorted(to for sent in flow.remote.sent for to in sent.recipients) == [
        f"x{number}@elsewhere.test" for number in range(3)
    ]


async def test_trouble_of_the_store_with_one_message_puts_it_off(flow, monkeypatch):
    octets = flow.storage.queue.octets
    failures = iter([StorageUnavailable()])

    async def sometimes(item_id):
        for failure in failures:
            raise failure
        return await octets(item_id)

    monkeypatch.setattr(flow.storage.queue, "octets", sometimes)
    await flow.submit(X)
    await flow.work()
    assert flow.remote.sent == []
    flow.clock.advance(hours=1)
    await flow.work()
    assert [sent.recipients for sent in flow.remote.sent] == [[X]]


async def test_a_message_wakes_the_worker_and_a_stop_ends_it(flow):
    stop = asyncio.Event()
    running = asyncio.create_task(flow.relays.run(stop))
    try:
        for number in range(1, 4):
            await flow.submit(X)
            async with asyncio.timeout(20):
                while len(flow.remote.sent) < number:
                    await asyncio.sleep(0)
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await running
    assert {each.state for each in await recipients(flow)} == {RecipientState.DELIVERED}


async def test_terms_of_the_domain_and_of_the_message_reach_the_relay(flow):
    await flow.terms(source_ipv4="192.0.2.99", ip_version="4")
    await flow.submit(X, require_tls=True)
    await flow.submit(X, octets=message("alice@example.test", header="TLS-Required: No\r\n"))
    await flow.work()
    first, second = flow.remote.terms
    assert (first.source_ipv4, first.ip_version) == ("192.0.2.99", "4")
    assert sorted([(first.require_tls, first.tls_optional), (second.require_tls, second.tls_optional)]) == [
        (False, True),
        (True, False),
    ]


# loops (row 18)


async def test_attack_018_a_forwarding_loop_ends_at_its_second_round(flow):
    await flow.receive("away")
    await flow.work()
    [sent] = flow.remote.sent
    with pytest.raises(PolicyRefused, match="sent on"):
        await flow.receive("away", octets=sent.octets, mail_from=sent.envelope.mail_from)
    assert len(await flow.smtp.queued("x@elsewhere.test")) == 1


async def test_attack_018_accounts_that_send_on_to_each_other_keep_the_mail(flow):
    alice, bob = Address("alice", "example.test"), Address("bob", "example.test")
    await flow.house.accounts.set_forwarding(ADMIN, alice, [bob], keeps_copy=False)
    await flow.house.accounts.set_forwarding(ADMIN, bob, [alice], keeps_copy=False)
    await flow.receive("alice")
    await flow.work()
    assert len(await flow.stored("alice")) + len(await flow.stored("bob")) == 1
    assert await flow.smtp.queued() == []


async def test_attack_018_scripts_that_redirect_to_each_other_end(flow):
    await flow.script("alice", 'redirect "bob@example.test";')
    await flow.script("bob", 'redirect "alice@example.test";')
    await flow.receive("alice")
    for _ in range(20):
        await flow.work()
        flow.clock.advance(hours=6)
    kinds = [item.kind for item in await flow.smtp.queued()]
    assert kinds.count(ItemKind.FORWARD) <= 3
    assert len(await flow.stored("alice")) + len(await flow.stored("bob")) <= 1
    assert len(await flow.notices(ANN)) <= 1
