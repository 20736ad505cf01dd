"""What is noted of each message on its way, and that it is not where nobody wants it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.config.settings import Policy, Settings, Trace
from mailstead.model.errors import MailsteadError
from mailstead.model.trace import TraceQuery
from mailstead.usecases.sender_lists import DENIED
from usecases.flow import ANN, EVE, LATER, NOBODY, OK, PEER, message, open_flow, rcpt


@pytest.fixture
async def flow(tmp_path):
    async with open_flow(tmp_path) as opened:
        yield opened


def steps(noted):
    return [(step, decision) for step, decision, _, _ in noted]


async def test_a_message_from_outside_is_told_step_by_step(flow):
    queue_id = await flow.receive("alice")
    noted = await flow.trace(queue_id=queue_id)
    assert steps(noted) == [
        ("received", ""), ("spf", "pass"), ("dmarc", "pass"), ("iprev", "permerror"), ("delivered", "delivered"),
    ]  # fmt: skip
    assert noted[0][2:] == (f"{len(message(ANN))} octets by ESMTP", "alice@example.test")
    assert noted[-1][2:] == ("into INBOX", "alice@example.test")
    events = await flow.storage.trace.search(TraceQuery(queue_id=queue_id))
    assert {(each.direction, each.mail_from, each.message_id, each.domain) for each in events} == {
        ("in", str(ANN), "hello@x.test", "example.test")
    }
    assert events[-1].peer == "mx.friend.test [192.0.2.1]"


async def test_a_message_is_found_by_its_addresses_its_name_and_its_time(flow):
    first = await flow.receive("alice", octets=message(ANN, "one"))
    flow.clock.advance(hours=1)
    second = await flow.receive("bob", octets=message(EVE, "two"), mail_from=EVE)

    async def found(**query):
        return {each.queue_id for each in await flow.storage.trace.search(TraceQuery(**query))}

    assert await found(address=str(ANN)) == await found(address="alice@example.test") == {first}
    assert await found(message_id="two@x.test") == await found(address="@stranger.test") == {second}
    assert await found(since=flow.clock.now()) == {second}
    assert await found(until=flow.clock.now() - timedelta(minutes=1)) == {first}


async def test_a_forward_and_what_became_of_it(flow):
    flow.remote.say("elsewhere.test", LATER, OK)
    queue_id = await flow.receive("away")
    await flow.work()
    flow.clock.advance(minutes=5)
    await flow.work()
    noted = await flow.trace(queue_id=queue_id)
    assert steps(noted)[-3:] == [("queued", ""), ("attempt", "deferred"), ("attempt", "delivered")]
    assert noted[-3][2] == "forward to x@elsewhere.test through away@example.test"
    assert noted[-2][2] == "to elsewhere.test; again at 2026-11-27 12:05:00Z"
    events = await flow.storage.trace.search(TraceQuery(queue_id=queue_id))
    assert (events[0].direction, events[0].peer, events[0].reply) == (
        "out", "mx.out.test [198.51.100.1]", "250 2.0.0 Taken",
    )  # fmt: skip


async def test_a_submission_its_failure_and_the_notice(flow):
    flow.remote.say("elsewhere.test", NOBODY)
    queue_id = await flow.submit("x@elsewhere.test", "bob")
    await flow.work()
    noted = await flow.trace(queue_id=queue_id)
    assert steps(noted) == [
        ("received", ""), ("received", ""), ("delivered", "delivered"), ("queued", ""), ("attempt", "failed"),
        ("delivered", "delivered"), ("attempt", "delivered"),
    ]  # fmt: skip
    assert noted[-2][3] == "alice@example.test"


@pytest.mark.parametrize(
    ("policy", "sender", "step", "answer"),
    [
        ({"denylist": ("stranger.test",)}, EVE, ("denylist", "refuse"), "refuse"),
        ({"greylists": True}, EVE, ("greylist", "defer"), "defer"),
        ({"dns_blocklists": ("block.test",)}, ANN, ("dns-blocklist", "refuse"), "refuse"),
    ],
)
async def test_a_refusal_is_told_with_its_reason(tmp_path, policy, sender, step, answer):
    zones = {"1.2.0.192.block.test": {"A": ["127.0.0.2"]}}
    async with open_flow(tmp_path, zones=zones, settings=Settings(policy=Policy(**policy))) as flow:
        with pytest.raises(MailsteadError):
            await flow.receive("alice", mail_from=sender)
        noted = await flow.trace(address=str(sender))
        assert step in steps(noted)
        assert steps(noted)[-1] == ("answered", answer)
        [reason] = [reason for name, _, reason, _ in noted if name == step[0]]
        assert reason


async def test_why_something_is_in_junk_is_told(flow):
    await flow.house.sender_lists.add(await flow.actor("bob"), DENIED, ["stranger.test"])
    queue_id = await flow.receive("alice", "bob", mail_from=EVE)
    noted = await flow.trace(queue_id=queue_id)
    assert ("denylist", "refuse", "stranger.test is on the deny list of bob@example.test", "bob@example.test") in noted
    assert ("delivered", "delivered", "into Junk", "bob@example.test") in noted
    [score] = [reason for step, _, reason, _ in noted if step == "authentication"]
    assert score == "nothing shows that stranger.test stands behind the message (+1.0)"


async def test_what_a_filter_did_is_told(flow):
    await flow.script("alice", 'require "fileinto"; fileinto "Archive";')
    queue_id = await flow.receive("alice")
    assert any(
        step == "delivered" and "Archive" in reason for step, _, reason, _ in await flow.trace(queue_id=queue_id)
    )


async def test_a_loop_is_told(flow):
    with pytest.raises(MailsteadError):
        await flow.receive("alice", octets=message(ANN, header="Delivered-To: alice@example.test\r\n"))
    assert steps(await flow.trace(address=str(ANN)))[-1] == ("answered", "refuse")


async def test_a_domain_that_wants_no_trace_has_none(flow):
    await flow.terms(keeps_trace=False)
    await flow.receive("alice")
    await flow.receive("away")
    await flow.submit("x@elsewhere.test")
    with pytest.raises(MailsteadError):
        await flow.receive("alice", octets=b"no author\r\n")
    await flow.work()
    assert await flow.trace() == []


async def test_a_house_that_keeps_no_trace_has_none(tmp_path):
    async with open_flow(tmp_path, settings=Settings(trace=Trace(kept_days=0))) as flow:
        await flow.receive("alice")
        await flow.submit("x@elsewhere.test")
        await flow.work()
        assert await flow.trace() == []


async def test_a_trace_tells_of_no_author_s_machine(flow):
    await flow.submit("bob")
    events = await flow.storage.trace.search(TraceQuery())
    assert "laptop" not in str(events)


async def test_tls_is_told(flow):
    peer = replace(PEER, tls_version="TLSv1.3", tls_cipher="x")
    queue_id = await flow.receive(rcpt("alice"), peer=peer)
    assert (await flow.trace(queue_id=queue_id))[0][2].endswith("octets by ESMTPS TLSv1.3")
