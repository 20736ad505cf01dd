"""Messages over the API, on the real store; with what IMAP sees of it."""

import asyncio
from datetime import UTC, datetime

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import (
    BadMailboxName,
    BadMessage,
    LimitReached,
    NoSuchMessage,
    NotAllowed,
    OverQuota,
    TooManyMatches,
    TryAgainLater,
)
from mailstead.model.flags import FlagOperation
from mailstead.model.people import Listing
from mailstead.model.place import Place
from mailstead.model.search import Contains, HasFlag, Not, TextField
from mailstead.model.uidset import UidSet
from mailstead.usecases import mailboxes as mailboxes_module
from mailstead.usecases import messages as module
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.message_views import MessageChange, MessageQuery
from mailstead.usecases.messages import Messages
from mailstead.usecases.staging import Staging


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def messages(mailboxes):
    return Messages(mailboxes)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


def mail(number, subject="hello", body="Hello\r\n"):
    return f"From: a@b.test\r\nSubject: {subject} {number}\r\nMessage-ID: <{number}@b.test>\r\n\r\n{body}".encode()


@pytest.fixture
async def three(messages, actor):
    """Two in INBOX, a newer one in Archive."""
    return [
        await messages.append(actor, folder, mail(number), flags, datetime(2026, 1, day, tzinfo=UTC))
        for number, (folder, flags, day) in enumerate(
            [("INBOX", ["\\Seen", "Work"], 2), ("INBOX", [], 1), ("Archive", [], 3)]
        )
    ]


def ids(page):
    return [view.place.object_id for view in page.items]


async def test_the_newest_come_first_over_all_mailboxes(messages, actor, three):
    first, second, third = (view.place.object_id for view in three)
    page = await messages.find(actor, MessageQuery(), Listing())
    assert (ids(page), page.item_count) == ([third, first, second], 3)
    assert ids(await messages.find(actor, MessageQuery(), Listing(2, 2))) == [second]
    assert ids(await messages.find(actor, MessageQuery(folder="inbox"), Listing())) == [first, second]
    archive = Place(three[2].mailbox.mailbox_id, three[2].mailbox.uidvalidity).object_id
    assert ids(await messages.find(actor, MessageQuery(folder=archive), Listing())) == [third]
    assert (await messages.find(actor, MessageQuery(folder="Nowhere"), Listing())).item_count == 0


async def test_conditions_and_other_orders(messages, actor, three):
    first, second, third = (view.place.object_id for view in three)
    assert ids(await messages.find(actor, MessageQuery(Not(HasFlag("\\Seen"))), Listing())) == [third, second]
    assert ids(await messages.find(actor, MessageQuery(Contains(TextField.SUBJECT, "lo 1")), Listing())) == [second]
    for sort, expected in (("internal_date", [second, first, third]), ("-subject", [third, second, first])):
        assert ids(await messages.find(actor, MessageQuery(), Listing(sort=sort))) == expected
    assert ids(await messages.find(actor, MessageQuery(), Listing(2, 1, "subject"))) == [second]


async def test_another_order_of_very_many_is_refused(messages, actor, three, monkeypatch):
    monkeypatch.setattr(module, "SORTED_MAX", 2)
    with pytest.raises(TooManyMatches):
        await messages.find(actor, MessageQuery(), Listing(sort="size"))


async def test_junk_and_trash_are_not_searchable(messages, actor, three):
    junk = await messages.append(actor, "Junk", mail(7), [])
    trash = await messages.append(actor, "Trash", mail(8), [])
    assert (junk.is_junk, junk.is_searchable, trash.is_junk, trash.is_searchable) == (True, False, False, False)
    assert ids(await messages.find(actor, MessageQuery(is_junk=True), Listing())) == [junk.place.object_id]
    assert (await messages.find(actor, MessageQuery(is_searchable=True), Listing())).item_count == 3
    assert (await messages.find(actor, MessageQuery(is_searchable=False), Listing())).item_count == 2


async def test_what_imap_does_is_seen_and_the_reverse(messages, mailboxes, actor, three):
    inbox = await mailboxes.of(actor).snapshot("INBOX")
    await mailboxes.of(actor).store_flags(
        inbox.mailbox.mailbox_id, UidSet.of([three[1].record.uid]), FlagOperation.ADD, ["\\Flagged"]
    )
    assert (await messages.show(actor, three[1].place.object_id)).flags == ["\\Flagged"]
    changed = asyncio.Event()
    with mailboxes.watch(actor, changed.set):
        await messages.change(actor, three[1].place.object_id, MessageChange(flags=["\\Seen"]))
        await asyncio.wait_for(changed.wait(), 5)
        changes = await mailboxes.of(actor).changes_since(inbox.mailbox.mailbox_id, inbox.mailbox.highestmodseq)
        assert [(each.uid, each.flags) for each in changes.changed] == [(three[1].record.uid, {"\\Seen"})]
        changed.clear()
        await messages.delete(actor, three[1].place.object_id)
        await asyncio.wait_for(changed.wait(), 5)
    changes = await mailboxes.of(actor).changes_since(inbox.mailbox.mailbox_id, changes.highestmodseq)
    assert list(changes.vanished) == [three[1].record.uid]
    assert (await mailboxes.of(actor).mailbox("Trash")).message_count == 0


async def test_the_same_octets_are_not_appended_twice(messages, mailboxes, actor):
    views = await asyncio.gather(*(messages.append(actor, "New/Below", mail(1), []) for _ in range(5)))
    assert len({view.place for view in views}) == 1
    other = await messages.append(actor, "New/Below", mail(2), [])
    assert other.place != views[0].place
    assert (await messages.append(actor, "INBOX", mail(1), [])).mailbox.name == "INBOX"
    found = await mailboxes.of(actor).mailbox("New/Below")
    assert (found.message_count, found.is_subscribed) == (2, True)


async def test_flags_and_labels_are_changed_apart(messages, actor, three):
    object_id = three[0].place.object_id
    assert (three[0].flags, three[0].labels) == (["\\Seen"], ["Work"])
    view = await messages.change(actor, object_id, MessageChange(labels=["home", "$label1"]))
    assert (view.flags, view.labels) == (["\\Seen"], ["$label1", "home"])
    view = await messages.change(actor, object_id, MessageChange(flags=["\\flagged", "$Forwarded"]))
    assert (view.flags, view.labels) == (["$Forwarded", "\\Flagged"], ["$label1", "home"])
    view = await messages.change(actor, object_id, MessageChange(flags=[], labels=[]))
    assert (view.flags, view.labels) == ([], [])
    assert view.place.object_id == object_id


async def test_a_change_beside_another_keeps_both(messages, mailboxes, actor, three):
    store = mailboxes.of(actor)
    view = await messages.show(actor, three[1].place.object_id)
    await store.store_flags(view.mailbox.mailbox_id, UidSet.of([view.record.uid]), FlagOperation.ADD, ["\\Answered"])
    await messages._store_flags(store, view, MessageChange(labels=["late"]))  # `view` is from before
    assert (await messages.show(actor, three[1].place.object_id)).record.flags == {"\\Answered", "late"}


@pytest.mark.parametrize(
    "label", ["two words", "a(b", 'q"', "é", "*", "\\Odd", "x" * 101, "", "a\r\nb", "]", "%", "{3}"]
)
async def test_attack_052_a_label_that_imap_could_not_say_is_refused(messages, actor, three, label):
    for verb in (
        messages.change(actor, three[0].place.object_id, MessageChange(labels=[label])),
        messages.append(actor, "INBOX", mail(9), [label]),
    ):
        with pytest.raises(BadMessage):
            await verb


async def test_eleven_labels_are_one_too_many(messages, actor, three):
    labels = [f"l{number}" for number in range(11)]
    with pytest.raises(LimitReached):
        await messages.change(actor, three[0].place.object_id, MessageChange(labels=labels))
    view = await messages.change(actor, three[0].place.object_id, MessageChange(labels=labels[:10]))
    assert len(view.labels) == 10


async def test_a_move_makes_the_mailbox_and_gives_another_id(messages, actor, three):
    old = three[0].place.object_id
    view = await messages.change(actor, old, MessageChange(folder="Projects/One", flags=["\\Flagged"]))
    assert (view.mailbox.name, view.flags, view.labels) == ("Projects/One", ["\\Flagged"], ["Work"])
    assert view.record.thread_id == three[0].record.thread_id
    with pytest.raises(NoSuchMessage):
        await messages.show(actor, old)
    with pytest.raises(BadMailboxName):
        await messages.change(actor, view.place.object_id, MessageChange(folder="a\0b"))


async def test_only_a_draft_gets_another_content(messages, actor, three):
    draft = await messages.append(actor, "Drafts", mail(5), ["\\Draft", "\\Seen"])
    view = await messages.change(actor, draft.place.object_id, MessageChange(octets=mail(6), labels=["later"]))
    assert await messages.octets(actor, [view]) == [mail(6)]
    assert (view.mailbox.name, view.mailbox.message_count) == ("Drafts", 1)
    assert (view.flags, view.labels) == (["\\Draft", "\\Seen"], ["later"])
    with pytest.raises(BadMessage):
        await messages.change(actor, three[0].place.object_id, MessageChange(octets=mail(6)))


async def test_a_message_comes_in_pieces(messages, actor, monkeypatch):
    monkeypatch.setattr(module, "PIECE_OCTETS", 100)
    octets = mail(1, body="x" * 1000)
    view = await messages.append(actor, "INBOX", octets, [])
    pieces = [piece async for piece in messages.pieces(actor, view)]
    assert len(pieces) > 10
    assert b"".join(pieces) == octets


@pytest.mark.parametrize("text", ["", "x", "0" * 24, "f" * 24])
async def test_there_is_no_message_of_another_id(messages, actor, three, text):
    for verb in (messages.show, messages.delete):
        with pytest.raises(NoSuchMessage):
            await verb(actor, text)
    with pytest.raises(NoSuchMessage):
        await messages.change(actor, text, MessageChange())


async def test_attack_092_an_id_of_another_account_names_nothing_of_it(messages, actor, three, bob, actor_of):
    other = actor_of(bob)
    for view in three:
        with pytest.raises(NoSuchMessage):
            await messages.show(other, view.place.object_id)
    with pytest.raises(NotAllowed):
        await messages.find(Actor(None, None, is_admin=True), MessageQuery(), Listing())


async def test_attack_072_a_hundred_at_once_overshoot_the_quota_by_one_at_most(messages, mailboxes, storage, actor):
    await storage.accounts.set_quota(actor.account_id, 100_000)
    filling = "x" * 90_000
    results = await asyncio.gather(
        *(messages.append(actor, "INBOX", mail(number, body=filling), []) for number in range(100)),
        return_exceptions=True,
    )
    stored = [each for each in results if not isinstance(each, BaseException)]
    assert len(stored) == 1
    assert all(isinstance(each, OverQuota) for each in results if each not in stored)
    usage = await mailboxes.of(actor).usage()
    assert usage.size_octets <= 100_000 + 90_200
    assert usage.message_count == 1


async def test_a_search_that_takes_too_long_ends_and_the_index_is_caught_up_first(
    messages, actor, mailboxes, three, monkeypatch
):
    monkeypatch.setattr(mailboxes_module, "INDEX_STEP", 1)
    monkeypatch.setattr(module, "SEARCH_LIMIT_S", 0)
    with pytest.raises(TryAgainLater):
        await messages.find(actor, MessageQuery(Contains(TextField.BODY, "hello")), Listing())
    assert await mailboxes.of(actor).index_backlog() <= 1  # one step is left to the search itself
    monkeypatch.undo()
    assert (await messages.find(actor, MessageQuery(Contains(TextField.BODY, "hello")), Listing())).item_count == 3
