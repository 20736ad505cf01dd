"""What was sent over the API is kept: found by whose it is, by id and Message-ID, in pages, until it is old."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mailstead.model.emails import Email, EmailOutcome, EmailQuery, EmailStatus
from mailstead.model.ids import AccountId
from mailstead.model.people import Listing, ObjectId, UserId
from mailstead.model.queue import RecipientState, RemoteReply

NOW = datetime(2026, 11, 28, 10, tzinfo=UTC)
ALL = EmailQuery(domains=None)
REPLY = RemoteReply(550, "5.1.1", "No such \udcff user", "mx.far.test", "192.0.2.9", "encrypted", is_permanent=True)


def email(number, **changes):
    at = NOW + timedelta(minutes=number)
    made = Email(
        email_id=ObjectId(f"{number:024x}"),
        queue_id=f"q{number}",
        account_id=AccountId("a" * 16) if number % 2 else None,
        user_id=None if number % 2 else UserId(ObjectId("b" * 24)),
        domain=f"d{number % 3}.test",
        mail_from=f"me{number}@d{number % 3}.test",
        recipients=("x@far.test", "Ÿ@far.test"),
        message_id=f"{number}@d.test",
        subject=f"Subject {number} 100%_Größe",
        header=b"Subject: \xff\r\n",
        sent_at=at,
        created_at=at,
        updated_at=at,
        status=EmailStatus.QUEUED,
        outcomes=(EmailOutcome("x@far.test", RecipientState.WAITING, at, 1, replace(REPLY, text="No")),),
        not_before=NOW + timedelta(hours=1) if number == 4 else None,
        require_tls=number == 1,
        dsn={"id": "x"},
    )
    return replace(made, **changes)


@pytest.fixture
async def five(storage):
    emails = [email(number) for number in range(1, 6)]
    for each in emails:
        await storage.emails.add(each)
    return emails


def numbers(page):
    return [int(each.email_id, 16) for each in page.items]


async def test_an_email_comes_back_as_it_was(storage, five):
    for each in five:
        assert await storage.emails.email(ALL, each.email_id) == each
        assert await storage.emails.email(ALL, each.message_id) == each
    assert await storage.emails.email(ALL, "nothing") is None
    page = await storage.emails.emails(ALL, Listing())
    assert page.items == tuple(replace(each, header=b"") for each in reversed(five))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (EmailQuery(), []),
        (EmailQuery(account_id=AccountId("a" * 16)), [5, 3, 1]),
        (EmailQuery(account_id=AccountId("' OR 1")), []),
        (EmailQuery(user_id=UserId(ObjectId("b" * 24))), [4, 2]),
        (EmailQuery(domains=("d1.test", "d2.test")), [5, 4, 2, 1]),
        (EmailQuery(user_id=UserId(ObjectId("b" * 24)), domains=("d1.test",)), [4, 2, 1]),
        (EmailQuery(domains=None, domain="d0.test"), [3]),
        (EmailQuery(domains=("d1.test",), domain="d0.test"), []),
        (EmailQuery(domains=None, text="GRÖSSE"), [5, 4, 3, 2, 1]),
        (EmailQuery(domains=None, text="me3@"), [3]),
        (EmailQuery(domains=None, text="2@d.test"), [2]),
        (EmailQuery(domains=None, text="0%_"), [5, 4, 3, 2, 1]),
        (EmailQuery(domains=None, text="1%"), []),
        (EmailQuery(domains=None, is_scheduled=True, now=NOW), [4]),
        (EmailQuery(domains=None, is_scheduled=True, now=NOW + timedelta(hours=2)), []),
        (EmailQuery(domains=None, is_scheduled=False, now=NOW), [5, 3, 2, 1]),
    ],
)
async def test_attack_075_only_those_that_are_asked_for_are_found(storage, five, query, expected):
    page = await storage.emails.emails(query, Listing())
    assert (numbers(page), page.item_count) == (expected, len(expected))
    for each in five:
        is_found = await storage.emails.email(replace(query, text="", is_scheduled=None), each.email_id) is not None
        if not query.text and query.is_scheduled is None:
            assert is_found == (int(each.email_id, 16) in expected)


async def test_lists_come_in_pages_and_orders(storage, five):
    assert numbers(await storage.emails.emails(ALL, Listing(2, 2))) == [3, 2]
    assert numbers(await storage.emails.emails(ALL, Listing(sort="created_at"))) == [1, 2, 3, 4, 5]
    assert numbers(await storage.emails.emails(ALL, Listing(sort="-subject", limit=1))) == [5]
    assert numbers(await storage.emails.emails(ALL, Listing(sort="no; such"))) == [1, 2, 3, 4, 5]


async def test_what_is_settled_is_not_looked_at_again(storage, five):
    assert [each.email_id for each in await storage.emails.unsettled(five[1].email_id, 2)] == [
        five[2].email_id, five[3].email_id,
    ]  # fmt: skip
    outcomes = (EmailOutcome("x@far.test", RecipientState.FAILED, NOW, 2, replace(REPLY, text="No")),)
    await storage.emails.settle(five[2].email_id, EmailStatus.BOUNCED, outcomes, NOW)
    found = await storage.emails.email(ALL, five[2].email_id)
    assert (found.status, found.outcomes, found.updated_at, found.is_settled) == ("bounced", outcomes, NOW, True)
    assert five[2].email_id not in [each.email_id for each in await storage.emails.unsettled(ObjectId(""), 10)]
    await storage.emails.settle(ObjectId("f" * 24), EmailStatus.SENT, (), NOW)


async def test_what_is_old_and_settled_goes(storage, five):
    outcomes = (EmailOutcome("x@far.test", RecipientState.DELIVERED, NOW),)
    for each in five[:2]:
        await storage.emails.settle(each.email_id, EmailStatus.SENT, outcomes, each.updated_at)
    assert await storage.emails.expire(five[1].updated_at) == 1
    assert await storage.emails.expire(NOW + timedelta(days=99)) == 1
    assert numbers(await storage.emails.emails(ALL, Listing())) == [5, 4, 3]


async def test_one_is_taken_back(storage, five):
    await storage.emails.remove(five[1].email_id)
    await storage.emails.remove(ObjectId("f" * 24))
    assert numbers(await storage.emails.emails(ALL, Listing())) == [5, 4, 3, 1]


async def test_an_email_survives_the_process(house, five, storage):
    other = await house.open()
    assert await other.emails.email(ALL, five[0].email_id) == five[0]
