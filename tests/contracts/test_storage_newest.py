"""The newest messages of some mailboxes, a page at a time, against a plain model."""

from datetime import UTC, datetime, timedelta

import pytest

from mailstead.mime.structure import has_attachment
from mailstead.model.flags import SEEN
from mailstead.model.ids import MailboxId
from mailstead.model.message import Wanted
from mailstead.model.search import And, Contains, Everything, HasAttachment, HasFlag, Not, TextField, Uids, Within
from mailstead.model.uidset import UidSet

DAY = datetime(2026, 11, 1, tzinfo=UTC)
ATTACHED = (
    'Content-Type: multipart/mixed; boundary="b"\r\n',
    "--b\r\n\r\ntext\r\n--b\r\nContent-Type: image/png\r\nContent-Disposition: ATTACHMENT; filename=a\r\n\r\nx\r\n--b--\r\n",
)
SAID = ('Content-Disposition: inline; attachment="no"; filename="(\\"attachment\\""\r\n', "text\r\n")


@pytest.fixture
async def places(account, make):
    """INBOX and Archive with dates that do not follow the UIDs."""
    for name, hours in (("INBOX", (5, 1, 9, 1)), ("Archive", (7, 2))):
        await account.append(
            name,
            [
                make(number, f"body {name} {hour}\r\n", at=DAY + timedelta(hours=hour), flags=flags)
                for number, (hour, flags) in enumerate(zip(hours, ((), (SEEN, "Work"), (), ()), strict=False))
            ],
        )
    return [(await account.mailbox(name)).mailbox_id for name in ("INBOX", "Archive")]


def seen(newest, places):
    return [(places.index(mailbox_id), record.uid) for mailbox_id, record in newest.messages]


async def test_pages_are_by_date_over_all_mailboxes(account, places):
    found = await account.newest(places, Everything(), 0, 100, Wanted.NARROW)
    assert found.message_count == 6
    assert seen(found, places) == [(0, 3), (1, 1), (0, 1), (1, 2), (0, 4), (0, 2)]
    for skipped in range(8):
        page = await account.newest(places, Everything(), skipped, 2, Wanted.SUMMARY)
        assert (page.message_count, page.messages == []) == (6, skipped > 5)
        assert seen(page, places) == seen(found, places)[skipped : skipped + 2]
        assert all(record.header_summary for _, record in page.messages)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (Not(HasFlag(SEEN)), [(0, 3), (1, 1), (0, 1), (0, 4)]),
        (HasFlag("work"), [(1, 2), (0, 2)]),
        (Contains(TextField.BODY, "archive 7"), [(1, 1)]),
        (And((Not(HasFlag(SEEN)), Within(at_or_after_s=int(DAY.timestamp()) + 6 * 3600))), [(0, 3), (1, 1)]),
        (Uids(UidSet.of(range(1, 200, 2))), [(0, 3), (1, 1), (0, 1)]),
        (HasAttachment(), []),
    ],
)
async def test_a_condition_holds_in_each_mailbox(account, places, key, expected):
    found = await account.newest(places, key, 0, 100, Wanted.NARROW)
    assert (found.message_count, seen(found, places)) == (len(expected), expected)
    assert (await account.newest(places, key, 0, 0, Wanted.NARROW)).message_count == len(expected)


async def test_a_mailbox_that_is_gone_is_passed_over(account, places):
    found = await account.newest([MailboxId(999), places[1]], Everything(), 0, 10, Wanted.NARROW)
    assert found.message_count == 2
    assert (await account.newest([], Everything(), 0, 10, Wanted.NARROW)).messages == []


async def test_an_attachment_is_what_says_so_and_no_text_that_looks_so(account, make):
    await account.append("INBOX", [make(1, ATTACHED[1], header=ATTACHED[0]), make(2, SAID[1], header=SAID[0])])
    inbox = (await account.mailbox("INBOX")).mailbox_id
    found = await account.newest([inbox], HasAttachment(), 0, 10, Wanted.STRUCTURE)
    assert [record.uid for _, record in found.messages] == [1]
    assert has_attachment(found.messages[0][1].body_structure)
    assert list(await account.search(inbox, Not(HasAttachment()))) == [2]
