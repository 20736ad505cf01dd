"""Snooze: what waits, comes back at its moment without all accounts being opened, and is no error when it has gone."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.errors import AccountLocked, NoSuchMessage, NotAllowed, PolicyRefused
from mailstead.model.ids import AccountId
from mailstead.model.people import Listing
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageChange, MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.snoozing import DUTY, Snoozing
from mailstead.usecases.staging import Staging
from mailstead.usecases.waking import LOCKED_AGAIN, TOPIC, Waking

HOUR = timedelta(hours=1)


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def messages(mailboxes):
    return Messages(mailboxes)


@pytest.fixture
def snoozing(storage, mailboxes):
    return Snoozing(storage, mailboxes)


@pytest.fixture
def waking(storage, bus, clock, snoozing):
    return Waking(storage, bus, clock, {DUTY: snoozing.wake})


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def mail(number, *fields):
    named = "".join(f"{each}\r\n" for each in fields)
    return f"From: a@b.test\r\nSubject: hello\r\nMessage-ID: <{number}@b.test>\r\n{named}\r\nHello\r\n".encode()


@pytest.fixture
async def ids(messages, actor):
    """A conversation of two and another message, all read, oldest first."""
    reply = mail(2, "In-Reply-To: <1@b.test>", "References: <1@b.test>")
    other = mail(3).replace(b"hello", b"other")
    return [
        (await messages.append(actor, "INBOX", octets, ["\\Seen"])).place.object_id
        for octets in (mail(1), reply, other)
    ]


async def in_folder(messages, actor, folder):
    return (await messages.find(actor, MessageQuery(folder=folder), Listing())).items


async def test_a_message_waits_and_comes_back_unread_and_first(snoozing, waking, messages, actor, ids, clock):
    (waits,) = await snoozing.snooze(actor, ids[:1], clock.now() + HOUR)
    (view,) = await snoozing.find(actor)
    assert (view.message.place.object_id, view.until, view.origin) == (waits, clock.now() + HOUR, "INBOX")
    assert len(await in_folder(messages, actor, "INBOX")) == 2
    assert await waking.once() == 0
    clock.passed_s += 3600
    assert await waking.once() == 1
    first = (await in_folder(messages, actor, "INBOX"))[0]
    assert first.flags == []
    assert first.record.internaldate_s == int(clock.now().timestamp())
    assert await snoozing.find(actor) == []
    assert await waking.once() == 0


async def test_a_conversation_waits_as_a_whole(snoozing, messages, actor, ids, clock):
    assert len(await snoozing.snooze_conversations(actor, [ids[1]], clock.now() + HOUR)) == 2
    assert [each.place.object_id for each in await in_folder(messages, actor, "INBOX")] == [ids[2]]
    back = await snoozing.unsnooze(actor, [each.message.place.object_id for each in await snoozing.find(actor)])
    assert {each.place.object_id for each in await in_folder(messages, actor, "INBOX")} == {ids[2], *back}


async def test_several_conversations_wait_at_once(snoozing, messages, actor, ids, clock):
    assert len(await snoozing.snooze_conversations(actor, [ids[0], ids[2]], clock.now() + HOUR)) == 3
    assert await in_folder(messages, actor, "INBOX") == ()


async def test_only_accounts_with_something_due_are_opened(snoozing, storage, waking, actor, ids, clock, monkeypatch):
    await snoozing.snooze(actor, ids[:1], clock.now() + HOUR)
    opened = []
    of = type(storage.accounts).of
    monkeypatch.setattr(type(storage.accounts), "of", lambda self, key: opened.append(key) or of(self, key))
    await waking.once()
    assert opened == []
    clock.passed_s += 3600
    await waking.once()
    assert opened == [actor.account_id]


async def test_of_two_workers_one_brings_it_back(snoozing, storage, bus, messages, actor, ids, clock):
    await snoozing.snooze(actor, ids, clock.now() + HOUR)
    clock.passed_s += 3600
    done = []

    async def counted(wakeup):
        done.append(wakeup)
        return await snoozing.wake(wakeup)

    workers = [Waking(storage, bus, clock, {DUTY: counted}) for _ in range(2)]
    await asyncio.gather(*(worker.once() for worker in workers))
    assert len(done) == 1
    assert len(await in_folder(messages, actor, "INBOX")) == 3


async def test_what_was_moved_or_deleted_meanwhile_is_no_error(snoozing, waking, messages, actor, ids, clock):
    first, second, third = await snoozing.snooze(actor, ids, clock.now() + HOUR)
    await messages.change(actor, first, MessageChange(folder="Archive"))
    await messages.delete(actor, second)
    assert [each.message.place.object_id for each in await snoozing.find(actor)] == [third]
    with pytest.raises(NoSuchMessage):
        await snoozing.unsnooze(actor, [second])
    clock.passed_s += 3600
    await waking.once()
    assert len(await in_folder(messages, actor, "INBOX")) == 1
    with pytest.raises(NoSuchMessage):
        await snoozing.snooze(actor, [first, "nonsense"], clock.now() + HOUR)
    with pytest.raises(NoSuchMessage):
        await snoozing.snooze_conversations(actor, [first], clock.now() + HOUR)


async def test_a_crash_before_the_move_leaves_nothing_and_behind_it_the_moment(
    snoozing, storage, waking, actor, ids, clock, monkeypatch
):
    """The index is written first and once more behind: in between, the worker may have forgotten the first."""

    async def crash(*_):
        raise KeyboardInterrupt

    store = storage.accounts.of(actor.account_id)
    with monkeypatch.context() as broken:
        broken.setattr(type(store.snoozes), "snooze", crash)
        with pytest.raises(KeyboardInterrupt):
            await snoozing.snooze(actor, ids, clock.now() + HOUR)
    assert await snoozing.find(actor) == []
    clock.passed_s += 3600
    assert (await waking.once(), await waking.once()) == (1, 0)
    notes = []
    note = type(storage.wakeups).note

    async def only_once(self, *given):
        notes.append(given)
        if len(notes) == 2:
            raise KeyboardInterrupt
        await note(self, *given)

    monkeypatch.setattr(type(storage.wakeups), "note", only_once)
    with pytest.raises(KeyboardInterrupt):
        await snoozing.snooze(actor, ids, clock.now() + HOUR)
    clock.passed_s += 3600
    await waking.once()
    assert await store.snoozes.waiting() == []


async def test_a_locked_account_comes_round_again_and_a_deleted_one_does_not(storage, bus, clock):
    locked, gone = AccountId("1" * 16), AccountId("2" * 16)

    async def duty(wakeup):
        if wakeup.account_id == locked:
            raise AccountLocked
        await storage.accounts.of(wakeup.account_id).snoozes.wake(clock.now())

    for account_id in (locked, gone):
        await storage.wakeups.note(account_id, f"{DUTY} 1", clock.now())
    waking = Waking(storage, bus, clock, {DUTY: duty})
    assert (await waking.once(), await waking.once()) == (2, 0)
    clock.passed_s += LOCKED_AGAIN.total_seconds()
    (left,) = await storage.wakeups.due(clock.now(), 10)
    assert left.account_id == locked


async def test_what_fails_once_is_tried_again_and_a_bug_keeps_nobody_else(storage, bus, clock):
    tried = []

    async def duty(wakeup):
        tried.append(wakeup.account_id)
        if len(tried) == 1:
            raise ValueError

    for number in "12":
        await storage.wakeups.note(AccountId(number * 16), f"{DUTY} 1", clock.now())
    waking = Waking(storage, bus, clock, {DUTY: duty})
    assert await waking.once() == 2
    clock.passed_s += 3600
    assert await waking.once() == 1
    assert tried == ["1" * 16, "2" * 16, "1" * 16]


async def test_the_worker_is_woken_by_what_is_noted_and_stops_when_told(storage, bus, clock):
    stop, done = asyncio.Event(), asyncio.Event()

    async def duty(_):
        done.set()

    assert TOPIC == "wakeups"
    running = asyncio.create_task(Waking(storage, bus, clock, {DUTY: duty}).run(stop))
    await storage.wakeups.note(AccountId("1" * 16), f"{DUTY} 1", clock.now())
    async with asyncio.timeout(20):
        await done.wait()
        stop.set()
        await running


async def test_find_brings_back_what_is_due_and_notes_what_a_backup_has_brought(
    snoozing, storage, messages, actor, ids, clock
):
    await snoozing.snooze(actor, ids[:1], clock.now() + HOUR)
    await snoozing.snooze(actor, ids[1:2], clock.now() + 2 * HOUR)
    await storage.wakeups.forget(actor.account_id)
    clock.passed_s += 3600
    assert len(await snoozing.find(actor)) == 1
    assert len(await in_folder(messages, actor, "INBOX")) == 2
    assert await storage.wakeups.next_due_at() == clock.now() + HOUR


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(seconds=59), timedelta(days=366 * 5 + 1), -HOUR])
async def test_moments_too_near_or_too_far_are_refused(snoozing, actor, ids, clock, ahead):
    with pytest.raises(PolicyRefused, match="one minute"):
        await snoozing.snooze(actor, ids, clock.now() + ahead)


async def test_attack_092_others_messages_are_not_there(snoozing, actor, ids, clock, bob, actor_of, admin):
    with pytest.raises(NoSuchMessage):
        await snoozing.snooze(actor_of(bob), ids, clock.now() + HOUR)
    assert await snoozing.find(actor_of(bob)) == []
    with pytest.raises(NotAllowed):
        await snoozing.snooze(admin, ids, clock.now() + HOUR)
