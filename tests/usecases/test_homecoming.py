"""Mail that comes home through the queue: notices, answers and redirects between our own people."""

import pytest

from mailstead.model.queue import ItemKind, NewItem, RecipientState
from usecases.flow import NOBODY, NOW, message, open_flow, rcpt


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


async def test_a_notice_comes_home(flow):
    flow.remote.say("elsewhere.test", NOBODY)
    await flow.submit("x@elsewhere.test")
    await flow.work()
    [notice] = await flow.stored("alice")
    assert notice.startswith(b"Return-Path: <>\r\nDelivered-To: alice@example.test\r\nReceived: from mx.example.test")


async def test_what_is_sent_to_ourselves_by_a_filter_comes_home(flow):
    await flow.script("alice", 'redirect "bob@example.test";')
    await flow.receive("alice")
    await flow.work()
    assert await flow.stored("alice") == []
    [kept] = await flow.stored("bob")
    assert b"Delivered-To: bob@example.test" in kept
    assert flow.remote.sent == []


async def put_home(flow, to, **changes):
    item = NewItem(
        "q1", ItemKind.REPORT, None, (await flow.house.routes.to_address(rcpt(to), "example.test"),),
        message("robot@example.test", **changes), flow.clock.now(), NOW.replace(year=2027),
    )  # fmt: skip
    await flow.storage.queue.put([item])
    await flow.work()
    [item] = await flow.smtp.queued(to)
    return item.recipients[0]


async def test_nobody_at_home_is_a_failure_for_good(flow):
    found = await put_home(flow, "nobody@example.test")
    assert (found.state, found.last_reply.code) == (RecipientState.FAILED, 550)


async def test_a_full_mailbox_at_home_is_a_failure(tmp_path):
    async with open_flow(tmp_path, quotas={"bob": 100}) as flow:
        found = await put_home(flow, "bob@example.test")
        assert (found.state, found.last_reply.text) == (RecipientState.FAILED, "The mailbox is full")


async def test_attack_018_what_was_here_before_does_not_come_home_again(flow):
    found = await put_home(flow, "bob@example.test", header="Delivered-To: bob@example.test\r\n")
    assert found.state is RecipientState.FAILED
    found = await put_home(flow, "alice@example.test", header="Received: x\r\n" * 51)
    assert found.state is RecipientState.FAILED
    assert await flow.stored("bob") == await flow.stored("alice") == []
