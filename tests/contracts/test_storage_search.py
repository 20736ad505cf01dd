"""SEARCH in a store: each kind of key against a plain model, and what must not be a query language."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mailstead.mime.text import fold
from mailstead.model.errors import NoSuchMailbox
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import EmailId, MailboxId, ThreadId
from mailstead.model.message import Wanted
from mailstead.model.search import (
    And,
    Contains,
    DateField,
    Everything,
    HasEmailId,
    HasFlag,
    HasThreadId,
    HeaderContains,
    ModSeqAtLeast,
    Not,
    Nothing,
    OnDays,
    Or,
    SaveDateSupported,
    SizeBetween,
    TextField,
    Uids,
    Within,
)
from mailstead.model.uidset import UidSet

ALL = UidSet([(1, 2**32 - 1)])
BODIES = (
    "The invoice is attached, 100% sure.\r\n",
    "Grüße aus Köln, STRASSE und Straße\r\n",
    "漢字のテスト本文です\r\n",
    'He said "hello" AND NEAR(x, y) OR *\r\n',
    "ab\r\n",
    "x" * 300 + "needle" + "y" * 300 + "\r\n",
)


@pytest.fixture
async def inbox(account, make):
    messages = [
        make(number, body, header=f"X-Number: number{number}\r\nContent-Type: text/plain; charset=utf-8\r\n")
        for number, body in enumerate(BODIES, start=1)
    ]
    await account.append("INBOX", messages)
    return (await account.snapshot("INBOX")).mailbox


def text(text: str, field: TextField = TextField.TEXT) -> Contains:
    return Contains(field, text)


@pytest.mark.parametrize(
    ("key", "uids"),
    [
        (text("invoice"), [1]),
        (text("VOIC"), [1]),
        (text("100% s"), [1]),
        (text("grüsse"), [2]),
        (text("strasse und strasse"), [2]),
        (text("漢字"), [3]),
        (text("本"), [3]),
        (text('"hello" AND NEAR(x, y) OR *'), [4]),
        (text('said "'), [4]),
        (text("ab", TextField.BODY), [5]),
        (text("b", TextField.BODY), [5]),
        (text("xneedley"), [6]),
        (text("x" * 100 + "needle"), [6]),
        (text("x" * 301 + "needle"), []),
        (text("message 4", TextField.SUBJECT), [4]),
        (text("alice", TextField.FROM), [1, 2, 3, 4, 5, 6]),
        (text("alice", TextField.TO), []),
        (text("hello", TextField.SUBJECT), []),
        (text(""), [1, 2, 3, 4, 5, 6]),
        (HeaderContains("x-number", "number3"), [3]),
        (HeaderContains("X-Number", ""), [1, 2, 3, 4, 5, 6]),
        (HeaderContains("X-Other", ""), []),
        (HeaderContains("X-Number", "alice"), []),
        (HeaderContains("Message-ID", "<5@"), [5]),
        (HeaderContains("subject", "message 2"), [2]),
        (Not(text("a")), []),
        (And((text("message"), Not(text("invoice")), Uids(UidSet([(1, 3)])))), [2, 3]),
        (Or((text("invoice"), text("漢字"), Uids(UidSet([(6, 6)])))), [1, 3, 6]),
    ],
)
async def test_texts(account, inbox, key, uids):
    assert list(await account.search(inbox.mailbox_id, key)) == uids


@pytest.mark.parametrize(
    "query",
    [
        "a*",
        '"',
        "NEAR(a b)",
        "a OR b",
        "^a",
        "subject:message",
        "{from} : x",
        "-a",
        "'; DROP TABLE message; --",
        "\\",
        "\0",
        "a\0b",
        "((((",
        "\U0010ffff",
        "\ud800",
    ],
)
async def test_attack_070_index_queries_are_only_text(account, inbox, query):
    """Every operator of the index's language is a text to be looked for, and found in no message but one that has it."""
    for field in (TextField.TEXT, TextField.BODY, TextField.SUBJECT):
        found = await account.search(inbox.mailbox_id, Contains(field, query))
        expected = [
            uid
            for uid, body in enumerate(BODIES, start=1)
            if field is not TextField.SUBJECT and fold(query) in fold(body) and query != "\0"
        ]
        assert [uid for uid in found if uid in expected] == expected
    assert await account.search(inbox.mailbox_id, Everything()) == UidSet([(1, len(BODIES))])


async def test_attack_045_a_hundred_words_in_one_search(account, inbox):
    key = Or((*tuple(text(f"word{number}") for number in range(99)), text("needle")))
    assert list(await account.search(inbox.mailbox_id, key)) == [6]
    assert list(await account.search(inbox.mailbox_id, Not(key))) == [1, 2, 3, 4, 5]


async def test_attack_075_wildcards_and_quotes_are_letters(account, inbox):
    for word in ("%", "_", "'", '"', "$ne"):
        assert await account.search(inbox.mailbox_id, HasFlag(word)) == UidSet()
    assert list(await account.search(inbox.mailbox_id, text("%", TextField.BODY))) == [1]
    assert list(await account.search(inbox.mailbox_id, text("_", TextField.BODY))) == []


async def test_flags_numbers_and_sets(account, inbox):
    mailbox = inbox.mailbox_id
    await account.store_flags(mailbox, UidSet([(2, 3)]), FlagOperation.ADD, ["\\Seen", "Todo", "Tod"])
    await account.store_flags(mailbox, UidSet([(3, 3)]), FlagOperation.REMOVE, ["Tod"])
    records = {record.uid: record for record in await account.fetch(mailbox, ALL, Wanted.NARROW)}
    for key, uids in (
        (HasFlag("\\seen"), [2, 3]),
        (HasFlag("TODO"), [2, 3]),
        (HasFlag("tod"), [2]),
        (HasFlag("Unknown"), []),
        (Not(HasFlag("\\Seen")), [1, 4, 5, 6]),
        (Everything(), [1, 2, 3, 4, 5, 6]),
        (Nothing(), []),
        (And(()), [1, 2, 3, 4, 5, 6]),
        (Or(()), []),
        (SaveDateSupported(), [1, 2, 3, 4, 5, 6]),
        (Uids(UidSet([(5, 2**32 - 1)])), [5, 6]),
        (Uids(UidSet()), []),
        (Uids(UidSet.of(range(2, 400, 2))), [2, 4, 6]),
        (SizeBetween(above=records[6].size_octets - 1), [6]),
        (SizeBetween(above=records[6].size_octets), []),
        (SizeBetween(below=records[5].size_octets + 1), [5]),
        (ModSeqAtLeast(records[2].modseq), [2, 3]),
        (HasEmailId(records[4].email_id), [4]),
        (HasEmailId(EmailId("M4 OR 1=1")), []),
        (HasEmailId(EmailId("")), []),
        (HasThreadId(records[5].thread_id), [5]),
        (HasThreadId(ThreadId("T999999999999999999999")), []),
    ):
        assert list(await account.search(mailbox, key)) == uids, key


async def test_days_disregard_time_and_zone(account, make, house):
    west = timezone(timedelta(hours=-5))
    await account.append(
        "INBOX",
        [
            make(1, at=datetime(2026, 11, 3, 23, 30, tzinfo=west)),  # the 4th in UTC
            make(2, at=datetime(2026, 11, 4, 0, 0, tzinfo=UTC)),
            make(3, at=datetime(1969, 12, 31, 0, 0, tzinfo=UTC)),
        ],
    )
    mailbox = (await account.mailbox("INBOX")).mailbox_id
    third, fourth = date(2026, 11, 3).toordinal(), date(2026, 11, 4).toordinal()
    old = date(1969, 12, 31).toordinal()
    moment = int(datetime(2026, 11, 4, 0, 0, tzinfo=UTC).timestamp())
    for key, uids in (
        (OnDays(DateField.INTERNAL, third, fourth), [1]),
        (OnDays(DateField.INTERNAL, fourth, fourth + 1), [2]),
        (OnDays(DateField.INTERNAL, old, old + 1), [3]),
        (OnDays(DateField.INTERNAL, None, third), [3]),
        (OnDays(DateField.SENT, third, fourth), [1, 2, 3]),
        (OnDays(DateField.SENT, fourth, None), []),
        (OnDays(DateField.SAVED, third, fourth), [1, 2, 3]),
        (Within(at_or_after_s=moment), [1, 2]),
        (Within(at_or_before_s=moment), [2, 3]),
    ):
        assert list(await account.search(mailbox, key)) == uids, key


async def test_only_text_keys_touch_the_index(account, inbox):
    backlog = await account.index_backlog()
    assert backlog == len(BODIES)
    await account.search(inbox.mailbox_id, And((HasFlag("\\Seen"), SizeBetween(above=1))))
    assert await account.index_backlog() == backlog
    await account.search(inbox.mailbox_id, Or((HasFlag("\\Seen"), Not(text("x")))))
    assert await account.index_backlog() == 0


async def test_the_index_is_filled_in_portions(account, inbox):
    assert await account.index_some(4) == 2
    assert await account.index_backlog() == 2
    assert await account.index_some(4) == 0
    assert await account.index_some(4) == 0
    assert list(await account.search(inbox.mailbox_id, text("needle"))) == [6]


async def test_the_index_follows_moves_and_forgets_what_is_gone(account, inbox, make):
    await account.search(inbox.mailbox_id, text("x"))
    await account.move(inbox.mailbox_id, UidSet([(1, 2)]), "Archive")
    archive = (await account.mailbox("Archive")).mailbox_id
    assert list(await account.search(archive, text("invoice"))) == [1]
    assert list(await account.search(inbox.mailbox_id, text("invoice"))) == []
    await account.expunge(archive, None, only_deleted=False)
    await account.append("Archive", [make(9, "other\r\n")])
    assert list(await account.search(archive, text("invoice"))) == []


async def test_what_was_deleted_before_it_was_indexed_is_no_trouble(account, inbox):
    await account.index_some(2)
    await account.expunge(inbox.mailbox_id, UidSet([(2, 4)]), only_deleted=False)
    assert await account.index_backlog() == 2
    assert list(await account.search(inbox.mailbox_id, text("message"))) == [1, 5, 6]


async def test_search_in_no_mailbox(account):
    with pytest.raises(NoSuchMailbox):
        await account.search(MailboxId(99), Everything())
