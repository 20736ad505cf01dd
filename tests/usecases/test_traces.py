"""Steps joined message by message."""

from datetime import timedelta

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed
from mailstead.model.ids import AccountId
from mailstead.model.trace import TraceEvent, TraceQuery
from mailstead.usecases.traces import Traces


@pytest.fixture
def record(storage, clock):
    def record(number, queue_id, step, **facts):
        storage.trace.record(TraceEvent(clock.now() + timedelta(seconds=number), queue_id, "in", step, **facts))

    return record


async def test_a_message_is_given_with_all_its_steps_though_one_fits(storage, admin, record):
    record(1, "q1", "received", mail_from="eve@x.test", recipient="bob@example.test", message_id="<1@x.test>")
    record(2, "q2", "received", mail_from="eve@x.test", recipient="carol@example.test")
    record(3, "q1", "spf", mail_from="eve@x.test")
    record(4, "", "refused", recipient="bob@example.test")
    record(5, "q1", "delivered", recipient="dave@example.test")
    found = await Traces(storage).messages(admin, TraceQuery(address="bob@example.test"), 10)
    assert [message.queue_id for message in found] == ["", "q1"]
    assert [step.step for step in found[1].steps] == ["received", "spf", "delivered"]
    assert found[1].recipients == ["bob@example.test", "dave@example.test"]
    assert found[1].first("message_id") == "<1@x.test>"
    assert found[1].first("reply") == ""
    assert [message.queue_id for message in await Traces(storage).messages(admin, TraceQuery(), 2)] == ["q1", ""]


async def test_only_administrators_may_look(storage):
    alice = Actor(AccountId("0" * 16), Address("alice", "example.test"))
    with pytest.raises(NotAllowed):
        await Traces(storage).messages(alice, TraceQuery(), 10)
