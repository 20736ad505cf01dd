"""Conversations as pages list and show them, on the real store."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import NoSuchMessage, NotAllowed
from mailstead.model.flags import FLAGGED, SEEN
from mailstead.model.search import Contains, HasFlag, Not, Nothing, TextField
from mailstead.usecases.conversations import ConversationQuery, Conversations, Participant
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.messages import Messages
from mailstead.usecases.staging import Staging

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def mailboxes(storage, bus, clock):
    return Mailboxes(storage, bus, clock, Staging(2**30))


@pytest.fixture
def conversations(mailboxes):
    return Conversations(mailboxes)


@pytest.fixture
def actor(alice, actor_of):
    return actor_of(alice)


@pytest.fixture
def put(mailboxes, actor):
    """Append a message to a mailbox."""

    async def put(folder, number, answers=None, *, sender="Bob <bob@b.test>", subject="", flags=()):
        said = "" if answers is None else f"References: <{answers}@b.test>\r\n"
        octets = (
            f"From: {sender}\r\nSubject: {subject or f'about {number}'}\r\nMessage-ID: <{number}@b.test>\r\n{said}\r\n"
            f"Text of {number}\r\n"
        ).encode()
        draft = Draft(octets, frozenset(flags), DAY + timedelta(hours=number))
        (appended,) = await mailboxes.append(actor, folder, [draft])
        return appended

    return put


@pytest.fixture
async def three(put):
    """A talk of three people over INBOX, Sent and Junk; one thrown away; one alone."""
    await put("INBOX", 1, flags=[SEEN], subject="=?utf-8?q?caf=C3=A9?=")
    await put("Sent", 2, 1, sender="alice@example.test", flags=[SEEN])
    await put("INBOX", 3, 1, sender='"Bob B." <BOB@b.test>', flags=[FLAGGED])
    await put("Junk", 4, 1, sender="mallory@b.test")
    await put("Trash", 5, sender="trash@b.test")
    await put("Archive", 6, flags=[SEEN])


async def test_a_page_shows_what_a_list_needs(conversations, actor, three):
    page = await conversations.page(actor, ConversationQuery(folder="inbox"))
    (one,) = page.conversations
    assert (page.next, page.unindexed_count) == ("", 0)
    assert (one.subject, one.snippet, one.message_count, one.unread_count) == ("café", "Text of 3", 3, 1)
    assert one.participants == (
        Participant("Bob", "bob@b.test", has_unread=True),
        Participant("alice@example.test", "alice@example.test", has_unread=False),
    )
    assert (one.flags, one.has_attachment) == ({FLAGGED}, False)
    assert one.internaldate_s == int((DAY + timedelta(hours=3)).timestamp())


async def test_without_a_mailbox_junk_and_trash_are_left_out(conversations, actor, three):
    page = await conversations.page(actor, ConversationQuery())
    assert [(one.subject, one.message_count) for one in page.conversations] == [("about 6", 1), ("café", 3)]
    page = await conversations.page(actor, ConversationQuery(folder="Junk"))
    assert [(one.subject, one.message_count) for one in page.conversations] == [("café", 4)]
    assert (await conversations.page(actor, ConversationQuery(folder="Nowhere"))).conversations == ()
    assert (await conversations.page(actor, ConversationQuery(Nothing()))).conversations == ()


async def test_ids_of_a_page_are_those_of_messages_and_of_the_whole(conversations, mailboxes, actor, three):
    (one,) = (await conversations.page(actor, ConversationQuery(folder="INBOX"))).conversations
    shown = [await Messages(mailboxes).show(actor, each) for each in one.message_ids]
    assert [(each.mailbox.name, each.record.uid) for each in shown] == [("INBOX", 2), ("Sent", 1), ("INBOX", 1)]
    whole = await conversations.show(actor, one.conversation_id)
    assert (whole.conversation_id, whole.subject, whole.message_count) == (one.conversation_id, "café", 4)
    assert [each.mailbox.name for each in whole.messages] == ["INBOX", "Sent", "INBOX", "Junk"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Not(HasFlag(SEEN)), ["café"]),
        (HasFlag(FLAGGED), ["café"]),
        (Contains(TextField.BODY, "text of 6"), ["about 6"]),
        (Contains(TextField.SUBJECT, "about"), ["about 6", "café"]),
    ],
)
async def test_filters(conversations, actor, three, key, expected):
    page = await conversations.page(actor, ConversationQuery(key))
    assert [one.subject for one in page.conversations] == expected


async def test_pages_follow_each_other(conversations, put, actor):
    for number in range(1, 8):
        await put("INBOX" if number % 2 else "Archive", number)
    after, found = "", []
    while True:
        page = await conversations.page(actor, ConversationQuery(), after, 3)
        found.append([one.subject for one in page.conversations])
        after = page.next
        if not after:
            break
        await put("INBOX", 20 + len(found))  # newer ones move nothing
    assert found == [[f"about {number}" for number in numbers] for numbers in ((7, 6, 5), (4, 3, 2), (1,))]


@pytest.mark.parametrize(
    "after", ["x", "1.2", "1.2.3.4", "f" * 16 + ".1.1", "-1.0.-1", "1.1.1'--", "ffffffffffff.ffffffff.0"]
)
async def test_a_cursor_that_is_none_gives_the_first_page(conversations, actor, three, after):
    page = await conversations.page(actor, ConversationQuery(), after)
    assert len(page.conversations) == 2


async def test_attack_092_ids_reach_the_own_account_alone(conversations, actor, bob, actor_of, three):
    (one,) = (await conversations.page(actor, ConversationQuery(folder="INBOX"))).conversations
    with pytest.raises(NoSuchMessage):
        await conversations.show(actor_of(bob), one.conversation_id)
    assert (await conversations.page(actor_of(bob), ConversationQuery())).conversations == ()
    with pytest.raises(NotAllowed):
        await conversations.show(Actor(None, None, is_admin=True), one.conversation_id)
    with pytest.raises(NotAllowed):
        await conversations.page(Actor(None, None, is_admin=True), ConversationQuery())


@pytest.mark.parametrize("text", ["", "0" * 24, "f" * 24, "0" * 8 + "f" * 16, "0" * 23 + "g", "T1", "0" * 25])
async def test_what_is_no_conversation_is_not_there(conversations, actor, three, text):
    with pytest.raises(NoSuchMessage):
        await conversations.show(actor, text)


async def test_a_message_without_a_sender_and_a_subject_is_listed(conversations, mailboxes, actor):
    await mailboxes.append(actor, "INBOX", [Draft(b"\r\nwords\r\n"), Draft(b"From: <>\r\nSubject:\r\n\r\n")])
    page = await conversations.page(actor, ConversationQuery())
    assert [(one.subject, one.participants) for one in page.conversations] == [("", ()), ("", ())]
    assert {one.snippet for one in page.conversations} == {"words", ""}
