"""Conversations of some mailboxes, a page at a time, against a plain model."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.mime.facts import message_facts
from mailstead.model.flags import FLAGGED, SEEN, FlagOperation
from mailstead.model.ids import MailboxId
from mailstead.model.message import NewMessage
from mailstead.model.search import And, Contains, Everything, HasFlag, HasThreadId, Not, Or, SizeBetween, TextField
from mailstead.model.uidset import UidSet

DAY = datetime(2026, 11, 1, tzinfo=UTC)
ATTACHED = (
    'Content-Type: multipart/mixed; boundary="b"\r\n',
    "--b\r\n\r\ntext\r\n--b\r\nContent-Disposition: attachment; filename=a\r\n\r\nx\r\n--b--\r\n",
)


def new(number, answers=None, *, hour=None, flags=(), body="text\r\n", header=""):
    said = "" if answers is None else f"In-Reply-To: <{answers}@example.test>\r\n"
    octets = (
        f"From: Writer {number} <writer{number}@example.test>\r\nSubject: subject {number}\r\n"
        f"Message-ID: <{number}@example.test>\r\n{said}{header}\r\n{body}"
    ).encode()
    at = DAY + timedelta(hours=number if hour is None else hour)
    return NewMessage(octets, message_facts(octets), at, frozenset(flags))


async def ids(account, *names):
    return [(await account.mailbox(name)).mailbox_id for name in names]


def sizes(page):
    return [one.message_count for one in page.conversations]


@pytest.fixture
async def places(account):
    """Three conversations in INBOX: 1 with 4 and an answer in Sent, 2 with 5, and 3 alone."""
    await account.append(
        "INBOX",
        [
            new(1, flags=[SEEN]),
            new(2, flags=[SEEN, FLAGGED, "Work"]),
            new(3, flags=[SEEN], body="a needle\r\n"),
            new(4, 1),
            new(5, 2, flags=[SEEN], body=ATTACHED[1], header=ATTACHED[0]),
        ],
    )
    await account.append("Sent", [new(6, 4, flags=[SEEN])])
    return await ids(account, "INBOX", "Sent")


async def test_a_conversation_stands_where_its_newest_match_stands(account, places):
    page = await account.conversations(places[:1], places, Everything(), None, 10)
    assert [one.mark.uid for one in page.conversations] == [5, 4, 3]
    assert (page.has_more, page.unindexed_count, sizes(page)) == (False, 0, [2, 3, 1])
    second, first, third = page.conversations
    assert [(mailbox_id, record.uid) for mailbox_id, record in first.newest] == [
        (places[1], 1),
        (places[0], 4),
        (places[0], 1),
    ]
    assert (first.unread_count, first.oldest.uid, SEEN in first.flags, first.has_attachment) == (1, 1, False, False)
    assert (second.unread_count, second.has_attachment) == (0, True)
    assert second.flags == {SEEN, FLAGGED, "Work"}
    assert third.newest[0][1].preview == "a needle"
    assert b"Writer 3" in third.oldest.listed_header
    over_all = await account.conversations(places, [], Everything(), None, 10)
    assert [one.mark.uid for one in over_all.conversations] == [1, 5, 3]  # the answer in Sent is the newest
    assert sizes(await account.conversations(places[:1], [], Everything(), None, 10)) == [2, 2, 1]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Not(HasFlag(SEEN)), [4]),
        (HasFlag(FLAGGED), [2]),
        (HasFlag("work"), [2]),
        (Contains(TextField.BODY, "needle"), [3]),
        (Contains(TextField.TEXT, "subject"), [5, 4, 3]),
        (Contains(TextField.FROM, "writer 1"), [1]),
        (And((Contains(TextField.SUBJECT, "subject"), HasFlag(SEEN))), [5, 3, 1]),
        (And((Contains(TextField.SUBJECT, "subject"), Contains(TextField.BODY, "needle"))), [3]),
        (Or((Contains(TextField.SUBJECT, "subject 1"), Contains(TextField.BODY, "needle"))), [3, 1]),
        (And((Not(Contains(TextField.BODY, "needle")), HasFlag(SEEN))), [5, 1]),
        (Contains(TextField.BODY, "is nowhere"), []),
        (Or((Contains(TextField.BODY, "is nowhere"), Contains(TextField.BODY, "needle"))), [3]),
    ],
)
async def test_a_filter_chooses_conversations_and_shows_them_whole(account, places, key, expected):
    page = await account.conversations(places[:1], places, key, None, 10)
    assert [one.mark.uid for one in page.conversations] == expected
    assert sizes(page) == [{5: 2, 4: 3, 3: 1, 2: 2, 1: 3}[uid] for uid in expected]


async def test_copies_count_once_and_are_read_when_one_is(account, places):
    await account.copy(places[0], UidSet.of([4]), "Archive")
    (archive,) = await ids(account, "Archive")
    page = await account.conversations(places[:1], [*places, archive], Not(HasFlag(SEEN)), None, 10)
    assert [(one.message_count, one.unread_count) for one in page.conversations] == [(3, 1)]
    await account.store_flags(archive, UidSet.of([1]), FlagOperation.ADD, [SEEN])
    page = await account.conversations(places[:1], [*places, archive], Not(HasFlag(SEEN)), None, 10)
    assert [(one.message_count, one.unread_count) for one in page.conversations] == [(3, 0)]


async def test_what_arrives_between_two_pages_moves_nothing(account, places):
    first = await account.conversations(places[:1], [], Everything(), None, 1)
    assert first.has_more
    await account.append("INBOX", [new(7), new(8, 5)])  # an answer lifts the conversation that was shown
    rest = await account.conversations(places[:1], [], Everything(), first.conversations[-1].mark, 10)
    assert [one.mark.uid for one in rest.conversations] == [4, 3]
    await account.append("INBOX", [new(9, 4)])  # and one that was not shown yet goes to the front
    rest = await account.conversations(places[:1], [], Everything(), first.conversations[-1].mark, 10)
    assert [one.mark.uid for one in rest.conversations] == [3]


async def test_a_mailbox_that_is_gone_is_passed_over(account, places):
    page = await account.conversations([MailboxId(999), places[0]], [MailboxId(998)], Everything(), None, 10)
    assert sizes(page) == [2, 2, 1]
    assert (await account.conversations([], [], Everything(), None, 10)).conversations == []


async def test_a_conversation_is_found_by_its_thread(account, places):
    page = await account.conversations(places[:1], places, HasFlag(FLAGGED), None, 10)
    found = await account.newest(places, HasThreadId(page.conversations[0].thread_id), 0, 10, 0)
    assert [record.uid for _, record in found.messages] == [5, 2]


async def test_a_long_backlog_is_told_and_what_is_indexed_is_found(account, places):
    assert (await account.index_some(100)) == 0
    await account.append("INBOX", [new(100 + number, body="a needle\r\n") for number in range(300)])
    page = await account.conversations(places[:1], [], Contains(TextField.BODY, "needle"), None, 500)
    assert 0 < page.unindexed_count <= 300
    assert page.conversations[-1].mark.uid == 3
    while await account.index_some(100):
        pass
    page = await account.conversations(places[:1], [], Contains(TextField.BODY, "needle"), None, 500)
    assert (page.unindexed_count, len(page.conversations)) == (0, 301)


async def test_pages_fit_together_whatever_the_dates_and_the_filter(account):
    """A plain model in place of the store: 2,500 messages whose dates have nothing to do with their order."""
    chance = random.Random(8)
    model: list[tuple[int, int, int, int, bool, bool, bool]] = []  # date, mailbox, uid, thread, seen, flagged, needle
    names = ("INBOX", "Archive", "Sent")
    mailbox_ids = await ids(account, *names)
    number = 0
    for _ in range(25):
        at = chance.randrange(3)
        made = []
        first_uid = (await account.mailbox(names[at])).uidnext
        for position in range(100):
            number += 1
            thread = number if number < 5 or chance.random() < 0.4 else model[chance.randrange(len(model))][3]
            hour, is_seen, is_flagged = chance.randrange(900), chance.random() < 0.9, chance.random() < 0.05
            has_needle = chance.random() < 0.6
            flags = [SEEN] * is_seen + [FLAGGED] * is_flagged
            body = "a needle\r\n" if has_needle else "hay\r\n"
            answers = None if thread == number else thread
            made.append(new(number, answers, hour=hour, flags=flags, body=body))
            date = int((DAY + timedelta(hours=hour)).timestamp())
            model.append((date, mailbox_ids[at], first_uid + position, thread, is_seen, is_flagged, has_needle))
        await account.append(names[at], made)
    while await account.index_some(500):
        pass
    needle = Contains(TextField.BODY, "needle")
    for asked in (mailbox_ids, mailbox_ids[:1]):
        for key, matches in (
            (Everything(), lambda one: True),
            (Not(HasFlag(SEEN)), lambda one: not one[4]),
            (HasFlag(FLAGGED), lambda one: one[5]),
            (needle, lambda one: one[6]),
            (And((needle, HasFlag(FLAGGED), SizeBetween(10))), lambda one: one[5] and one[6]),
        ):
            expected: dict[int, tuple[int, int, int]] = {}
            for one in sorted(model, reverse=True):
                if one[1] in asked and matches(one):
                    expected.setdefault(one[3], one[:3])
            found, before = [], None
            while True:
                page = await account.conversations(asked, [], key, before, 37)
                found += [tuple(one.mark) for one in page.conversations]
                if not page.has_more:
                    break
                before = page.conversations[-1].mark
            assert found == list(expected.values()), key
            listed = sorted((one[:3] for one in model if one[1] in asked and matches(one)), reverse=True)
            newest = await account.newest(asked, key, 30, 400, 0)
            assert newest.message_count == len(listed)
            assert [(at, record.uid) for at, record in newest.messages] == [one[1:] for one in listed[30:430]], key
