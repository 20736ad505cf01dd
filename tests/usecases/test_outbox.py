"""Undo send and scheduled send: sent once or not at all, and the draft is there as long as it was not."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import open_smtp_house

from mailauth.zones import Zones
from mailstead.mailauth.dkim import public_record, verify
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.errors import BadMessage, Conflict, NoSuchEmail, NoSuchMessage, NotAllowed, PolicyRefused
from mailstead.model.people import Listing
from mailstead.model.queue import Outcome, QueueQuery, RecipientState, RemoteReply
from mailstead.usecases.emails import ACCEPTING, Emails
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageChange, MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.outbox import BEHIND, DUTY, PENDING, Outbox
from mailstead.usecases.waking import Waking

PEER = Peer("192.0.2.7", 50000, 443, "TLSv1.3")
HOUR = timedelta(hours=1)
MAIL = (
    b"From: alice@example.test\r\nTo: x@far.test\r\nBcc: bob@example.test\r\nSubject: Hello\r\n"
    b"Message-ID: <one@example.test>\r\nDate: Thu, 01 Jan 1998 00:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n'
    b'Content-Disposition: attachment; filename="a.bin"\r\n\r\n12345\r\n--b--\r\n'
)


@pytest.fixture
async def house(tmp_path, clock):
    async with open_smtp_house(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
def mailboxes(house, clock):
    return Mailboxes(house.storage, house.bus, clock, house.staging)


@pytest.fixture
def messages(mailboxes):
    return Messages(mailboxes)


@pytest.fixture
def emails(house):
    return Emails(house.storage, house.submissions, recipients_max=10)


@pytest.fixture
def outbox(house, mailboxes, messages, emails):
    return Outbox(house.storage, mailboxes, messages, emails)


@pytest.fixture
def waking(house, clock, outbox):
    return Waking(house.storage, house.bus, clock, {DUTY: outbox.wake})


@pytest.fixture
async def alice(house):
    return Actor((await house.account("alice")).account_id, Address("alice", "example.test"))


@pytest.fixture
async def draft(messages, alice):
    return (await messages.append(alice, "Drafts", MAIL, ["\\Draft", "Label"])).place.object_id


async def raw(messages, actor, folder):
    page = await messages.find(actor, MessageQuery(folder=folder), Listing())
    return await messages.octets(actor, page.items)


async def going_out(house):
    """All that is in the queue and not cancelled, by recipient."""
    items = await house.storage.queue.items(QueueQuery())
    return sorted(
        str(each.recipient.address)
        for item in items
        for each in item.recipients
        if each.state is not RecipientState.CANCELLED
    )


async def leased(house, clock):
    return await house.storage.queue.lease(clock.now(), clock.now() + HOUR, 10, 10)


async def test_what_was_sent_can_be_undone_and_is_the_draft_that_it_was(house, outbox, messages, alice, draft, clock):
    before = await messages.show(alice, draft)
    entry = await outbox.send(alice, PEER, draft, undo_s=10)
    assert (entry.message_id, entry.due_at, entry.can_be_undone) == (
        "one@example.test", clock.now() + timedelta(seconds=10), True
    )  # fmt: skip
    assert await house.messages("bob") == []
    assert await leased(house, clock) == []
    assert [each.message_id for each in await outbox.find(alice)] == ["one@example.test"]
    clock.passed_s += 9
    view = await outbox.undo(alice, entry.message_id)
    assert view.record.flags == before.record.flags
    assert view.place == before.place
    assert await raw(messages, alice, "Drafts") == [MAIL]
    clock.passed_s += 3600
    assert await leased(house, clock) == []
    assert await going_out(house) == []
    assert await outbox.find(alice) == []


async def test_after_that_it_is_on_its_way_and_filed_among_the_sent(
    house, outbox, waking, messages, alice, draft, clock
):
    entry = await outbox.send(alice, PEER, draft, undo_s=10)
    clock.passed_s += 10
    with pytest.raises(PolicyRefused, match="on its way"):
        await outbox.undo(alice, entry.message_id)
    assert len(await leased(house, clock)) == 2
    clock.passed_s += BEHIND.total_seconds()
    assert await waking.once() == 1
    assert await raw(messages, alice, "Drafts") == []
    (sent,) = (await messages.find(alice, MessageQuery(folder="Sent"), Listing())).items
    assert sent.record.flags == {"\\Seen", "Label"}
    (octets,) = await messages.octets(alice, [sent])
    assert octets.startswith(b"Date: Thu, 01 Jan 2026 00:16:50 +0000\r\nFrom: alice")
    assert octets.count(b"Date:") == 1
    assert b"Bcc: bob@example.test\r\n" in octets
    assert octets.endswith(MAIL[-150:])
    assert await going_out(house) == ["bob@example.test", "x@far.test"]
    assert await outbox.find(alice) == []


async def test_without_a_delay_it_is_due_at_once(house, outbox, messages, alice, draft, clock):
    await outbox.send(alice, PEER, draft)
    assert len(await leased(house, clock)) == 2
    assert await raw(messages, alice, "Drafts") == []
    assert len(await raw(messages, alice, "Sent")) == 1


async def test_a_moment_can_be_changed_and_cancelled(house, outbox, waking, messages, alice, draft, clock):
    entry = await outbox.send(alice, PEER, draft, at=clock.now() + HOUR)
    later = await outbox.change(alice, PEER, entry.message_id, clock.now() + 3 * HOUR)
    assert later.due_at == clock.now() + 3 * HOUR
    clock.passed_s += 2 * 3600
    assert await leased(house, clock) == []
    await waking.once()
    (waits,) = await outbox.find(alice)
    assert waits.due_at == later.due_at
    clock.passed_s += 3600
    assert len(await leased(house, clock)) == 2
    with pytest.raises((NoSuchEmail, PolicyRefused)):
        await outbox.change(alice, PEER, entry.message_id, clock.now() + HOUR)
    assert await going_out(house) == ["bob@example.test", "x@far.test"]


async def test_of_two_clicks_one_sends(house, outbox, alice, draft):
    results = await asyncio.gather(
        *(outbox.send(alice, PEER, draft, undo_s=5) for _ in range(2)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in results) == ["Conflict", "OutboxEntry"]
    with pytest.raises(Conflict):
        await outbox.send(alice, PEER, draft)
    assert await going_out(house) == ["bob@example.test", "x@far.test"]


async def test_undo_and_a_worker_at_once_have_one_winner(house, outbox, alice, draft, clock):
    """What a worker has leased is not taken back, and what was taken back is leased by nobody."""
    for seconds in (4, 5):
        entry = await outbox.send(alice, PEER, draft, undo_s=5)
        clock.passed_s += seconds
        undone, found = await asyncio.gather(
            outbox.undo(alice, entry.message_id), leased(house, clock), return_exceptions=True
        )
        assert isinstance(undone, PolicyRefused) == bool(found)
        assert bool(found) == (seconds == 5)


async def test_what_was_tried_once_is_not_taken_back(house, outbox, alice, draft, clock):
    entry = await outbox.send(alice, PEER, draft, undo_s=1)
    clock.passed_s += 2
    for delivery in await leased(house, clock):
        again = [
            Outcome(each.recipient_id, RecipientState.WAITING, RemoteReply(451), clock.now() + HOUR)
            for each in delivery.item.recipients
        ]
        await house.storage.queue.settle(delivery, again)
    with pytest.raises(PolicyRefused):
        await outbox.undo(alice, entry.message_id)
    assert len(await going_out(house)) == 2


class Crash(BaseException):
    """A process that ends at once: nothing after it is done."""


STEPS = ["first wake-up", "keyword", "record", "queue", "second wake-up", "filing"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("undo_s", [0, 10])
async def test_a_crash_at_any_step_sends_once_or_leaves_the_draft(
    house, outbox, waking, messages, mailboxes, alice, draft, clock, monkeypatch, step, is_done, undo_s
):
    store = house.storage.accounts.of(alice.account_id)
    owner, name, which = {
        "first wake-up": (type(house.storage.wakeups), "note", 1),
        "keyword": (type(store), "store_flags", 1),
        "record": (type(house.storage.emails), "add", 1),
        "queue": (type(house.storage.queue), "put", 1),
        "second wake-up": (type(house.storage.wakeups), "note", 2),
        "filing": (type(store), "replace", 1),
    }[step]
    does, calls = getattr(owner, name), []

    async def crashing(*given, **named):
        calls.append(given)
        if len(calls) == which and not is_done:
            raise Crash
        result = await does(*given, **named)
        if len(calls) == which:
            raise Crash
        return result

    with monkeypatch.context() as broken:
        broken.setattr(owner, name, crashing)
        try:
            await outbox.send(alice, PEER, draft, undo_s=undo_s)
            clock.passed_s += undo_s + 1
            await waking.once()
        except Crash:
            pass
    assert len(calls) >= which
    clock.passed_s += 60 + undo_s + ACCEPTING.total_seconds()
    await Emails.look_after(outbox._emails, clock.now())
    for _ in range(3):
        await waking.once()
        clock.passed_s += 600
    out = set(await going_out(house))
    drafts, sent = await raw(messages, alice, "Drafts"), await raw(messages, alice, "Sent")
    assert (len(drafts), len(sent)) in {(1, 0), (0, 1)}
    assert out == ({"bob@example.test", "x@far.test"} if sent else set())
    for view in (await messages.find(alice, MessageQuery(folder="Drafts"), Listing())).items:
        assert PENDING not in view.record.flags
    assert await outbox.find(alice) == []


@pytest.mark.parametrize("before", ["the record", "the queue", "the look at the queue", "the second wake-up"])
async def test_after_a_crash_what_was_to_go_out_next_week_is_soon_known(
    house, outbox, waking, messages, alice, draft, clock, monkeypatch, before
):
    owner, name, which = {
        "the record": (type(house.storage.emails), "add", 1),
        "the queue": (type(house.storage.queue), "put", 1),
        "the look at the queue": (type(house.storage.emails), "settle", 1),
        "the second wake-up": (type(house.storage.wakeups), "note", 2),
    }[before]
    with monkeypatch.context() as broken:
        does, calls = getattr(owner, name), []

        async def crashing(*given, **named):
            calls.append(given)
            if len(calls) == which:
                raise Crash
            return await does(*given, **named)

        broken.setattr(owner, name, crashing)
        with pytest.raises(Crash):
            await outbox.send(alice, PEER, draft, at=clock.now() + timedelta(days=7))
    is_queued = before in {"the look at the queue", "the second wake-up"}
    for _ in range(5):
        clock.passed_s += ACCEPTING.total_seconds() / 2
        await waking.once()
    (view,) = (await messages.find(alice, MessageQuery(folder="Drafts"), Listing())).items
    assert (PENDING in view.record.flags) is is_queued
    assert len(await going_out(house)) == (2 if is_queued else 0)
    assert len(await outbox.find(alice)) == is_queued
    clock.passed_s += 7 * 86400
    for _ in range(3):
        await waking.once()
        clock.passed_s += 600
    assert len(await raw(messages, alice, "Sent")) == is_queued


async def test_a_submission_that_is_refused_leaves_a_draft(house, outbox, messages, alice, draft):
    await messages.change(alice, draft, MessageChange(octets=MAIL.replace(b"From: alice", b"From: bob")))
    page = await messages.find(alice, MessageQuery(folder="Drafts"), Listing())
    with pytest.raises(NotAllowed):
        await outbox.send(alice, PEER, page.items[0].place.object_id, undo_s=5)
    assert await raw(messages, alice, "Drafts") == [MAIL.replace(b"From: alice", b"From: bob")]
    (view,) = (await messages.find(alice, MessageQuery(folder="Drafts"), Listing())).items
    assert PENDING not in view.record.flags
    assert await going_out(house) == []


async def test_a_draft_that_was_deleted_goes_out_or_is_cancelled(house, outbox, messages, alice, draft, clock):
    entry = await outbox.send(alice, PEER, draft, at=clock.now() + HOUR)
    await messages.delete(alice, entry.draft.place.object_id)
    (waits,) = await outbox.find(alice)
    assert (waits.draft, waits.message_id) == (None, entry.message_id)
    with pytest.raises(NoSuchMessage):
        await outbox.change(alice, PEER, entry.message_id, clock.now() + 2 * HOUR)
    assert len(await going_out(house)) == 2
    assert await outbox.undo(alice, entry.message_id) is None
    assert await going_out(house) == []


async def test_a_draft_that_was_moved_away_goes_out_all_the_same(house, outbox, waking, messages, alice, draft, clock):
    entry = await outbox.send(alice, PEER, draft, at=clock.now() + HOUR)
    await messages.change(alice, entry.draft.place.object_id, MessageChange(folder="Archive"))
    (waits,) = await outbox.find(alice)
    assert (waits.draft, waits.message_id) == (None, entry.message_id)
    clock.passed_s += 3602
    await waking.once()
    assert len(await leased(house, clock)) == 2
    assert await outbox.find(alice) == []


async def test_what_an_administrator_cancels_is_a_draft_again(house, outbox, waking, messages, alice, draft, clock):
    await outbox.send(alice, PEER, draft, at=clock.now() + HOUR)
    items = await house.storage.queue.items(QueueQuery())
    await house.storage.queue.cancel([each.item_id for each in items], clock.now())
    clock.passed_s += 3602
    await waking.once()
    assert await raw(messages, alice, "Drafts") == [MAIL]


async def test_what_waits_for_weeks_has_a_signature_that_is_good_then(house, outbox, alice, draft, clock):
    await outbox.send(alice, PEER, draft, at=clock.now() + timedelta(days=29))
    (item,) = await house.storage.queue.items(QueueQuery())
    octets = await house.storage.queue.octets(item.item_id)
    keys = await house.storage.directory.dkim_keys("example.test")
    zones = Zones({f"{key.selector}._domainkey.example.test": {"TXT": [public_record(key)]} for key in keys})
    clock.passed_s += 34 * 86400
    assert {each.result for each in await verify(octets, zones, clock.now())} == {"pass"}
    clock.passed_s += 5 * 86400
    assert "pass" not in {each.result for each in await verify(octets, zones, clock.now())}


async def test_a_draft_without_a_message_id_gets_one(outbox, messages, alice):
    octets = MAIL.replace(b"Message-ID: <one@example.test>\r\n", b"")
    view = await messages.append(alice, "Drafts", octets, ["\\Draft"])
    entry = await outbox.send(alice, PEER, view.place.object_id, undo_s=5)
    assert entry.message_id.endswith("@example.test")
    await outbox.undo(alice, entry.message_id)
    assert await raw(messages, alice, "Drafts") == [f"Message-ID: <{entry.message_id}>\r\n".encode() + octets]


async def test_what_cannot_be_sent_is_said(outbox, messages, alice, draft, clock):
    other = await messages.append(alice, "INBOX", MAIL, [])
    with pytest.raises(BadMessage):
        await outbox.send(alice, PEER, other.place.object_id)
    for wrong in ({"undo_s": 31}, {"undo_s": -1}, {"at": clock.now() + timedelta(days=4000)}):
        with pytest.raises(PolicyRefused):
            await outbox.send(alice, PEER, draft, **wrong)
    with pytest.raises(NoSuchEmail):
        await outbox.undo(alice, "other@example.test")


async def test_attack_092_others_outboxes_are_not_there(house, outbox, alice, draft, clock):
    entry = await outbox.send(alice, PEER, draft, at=clock.now() + HOUR)
    bob = Actor((await house.account("bob")).account_id, Address("bob", "example.test"))
    assert await outbox.find(bob) == []
    for verb in (outbox.undo(bob, entry.message_id), outbox.change(bob, PEER, entry.message_id, clock.now() + HOUR)):
        with pytest.raises(NoSuchEmail):
            await verb
    with pytest.raises(NoSuchMessage):
        await outbox.send(bob, PEER, draft)
    with pytest.raises(NotAllowed):
        await outbox.find(Actor(None, None, is_admin=True))
