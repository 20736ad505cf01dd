"""Deliveries: all or a temporary answer, never a loss, no second copy on a retry."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "services" / "smtp"))
from smtp_house import open_smtp_house

from mailstead.model.errors import OverQuota, StorageUnavailable, TryAgainLater
from mailstead.usecases.deliveries import Copy

SMALL = b"Subject: small\r\n\r\n" + b"x" * 500 + b"\r\n"
PARTS = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\npart %d\r\n" % number for number in range(3000))
LARGE = b'Subject: large\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + PARTS + b"--b--\r\n"


@pytest.fixture
async def house(tmp_path):
    async with open_smtp_house(tmp_path) as opened:
        yield opened


async def copies(house, *names):
    accounts = [await house.account(name) for name in names]
    return [
        Copy(
            account.account_id,
            f"Return-Path: <>\r\nDelivered-To: {account.address}\r\n".encode(),
            b"Received: x" + b"y" * len(account.address.local_part) * 3 + b"\r\n",
        )
        for account in accounts
    ]


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("names", [("alice",), ("bob",), ("alice", "bob"), ("bob", "alice")])
async def test_each_copy_has_its_trace_and_true_facts(house, message, names):
    wanted = await copies(house, *names)
    await house.deliveries.deliver(bytearray(message), wanted, None)
    for name, copy in zip(names, wanted, strict=True):
        # `messages` compares the stored facts with those of a fresh parse
        assert await house.messages(name) == [copy.trace + message]


class Broken:
    """The real store, but appending to one account fails as long as `error` is set."""

    def __init__(self, accounts, account_id, error):
        self.accounts, self.account_id, self.error = accounts, account_id, error

    def of(self, account_id):
        store = self.accounts.of(account_id)
        return self if account_id == self.account_id and self.error else store

    async def append(self, name, messages, *, is_delivery=False):
        raise self.error


@pytest.mark.parametrize("message", [SMALL, LARGE], ids=["small", "large"])
async def test_a_retry_after_a_partial_failure_gives_nobody_two_copies(house, message):
    wanted = await copies(house, "alice", "bob")
    broken = Broken(house.storage.accounts, wanted[1].account_id, StorageUnavailable())
    house.deliveries._accounts = broken
    for _ in range(2):
        with pytest.raises(TryAgainLater) as caught:
            await house.deliveries.deliver(bytearray(message), wanted, None)
        assert "all recipients" in caught.value.public_text
    broken.error = None
    await house.deliveries.deliver(bytearray(message), wanted, None)
    assert len(await house.messages("alice")) == len(await house.messages("bob")) == 1
    # the same message sent once more on purpose is a new message
    await house.deliveries.deliver(bytearray(message), wanted, None)
    assert len(await house.messages("alice")) == len(await house.messages("bob")) == 2


async def test_other_messages_are_not_taken_for_the_retry(house):
    wanted = await copies(house, "alice", "bob")
    broken = Broken(house.storage.accounts, wanted[1].account_id, OverQuota())
    house.deliveries._accounts = broken
    with pytest.raises(TryAgainLater):
        await house.deliveries.deliver(bytearray(SMALL), wanted, None)
    await house.deliveries.deliver(bytearray(SMALL + b"more\r\n"), wanted[:1], None)
    await house.deliveries.deliver(bytearray(SMALL), wanted[:1], None)  # bob was refused at RCPT this time
    assert len(await house.messages("alice")) == 2


@pytest.mark.parametrize(
    ("errors", "answer"),
    [
        ((OverQuota(), OverQuota()), OverQuota),
        ((OverQuota(), StorageUnavailable()), StorageUnavailable),
        ((KeyError(), OverQuota()), KeyError),
    ],
)
async def test_if_all_fail_the_error_is_the_answer(house, errors, answer):
    wanted = await copies(house, "alice", "bob")
    inner = Broken(house.storage.accounts, wanted[0].account_id, errors[0])
    house.deliveries._accounts = Broken(inner, wanted[1].account_id, errors[1])
    with pytest.raises(answer):
        await house.deliveries.deliver(bytearray(SMALL), wanted, None)
    assert house.deliveries._partly == {}


async def test_what_is_remembered_is_bounded(house, monkeypatch):
    monkeypatch.setattr("mailstead.usecases.deliveries.REMEMBERED_MAX", 5)
    wanted = await copies(house, "alice", "bob")
    house.deliveries._accounts = Broken(house.storage.accounts, wanted[1].account_id, OverQuota())
    for number in range(10):
        with pytest.raises(TryAgainLater):
            await house.deliveries.deliver(bytearray(SMALL + b"%d" % number), wanted, None)
    assert len(house.deliveries._partly) == 5


class BrokenMailbox(Broken):
    """Appending to one mailbox of the account fails."""

    async def append(self, name, messages, *, is_delivery=False):
        if name == "Archive":
            raise self.error
        return await self.accounts.of(self.account_id).append(name, messages, is_delivery=is_delivery)


async def test_a_retry_gives_no_mailbox_of_one_account_two_copies(house):
    [alice] = await copies(house, "alice")
    wanted = [alice, replace(alice, mailbox="Archive")]
    broken = BrokenMailbox(house.storage.accounts, alice.account_id, StorageUnavailable())
    house.deliveries._accounts = broken
    with pytest.raises(TryAgainLater):
        await house.deliveries.deliver(bytearray(SMALL), wanted, None)
    house.deliveries._accounts = house.storage.accounts
    await house.deliveries.deliver(bytearray(SMALL), wanted, None)
    store = house.storage.accounts.of(alice.account_id)
    assert [(await store.snapshot(name)).mailbox.message_count for name in ("INBOX", "Archive")] == [1, 1]
