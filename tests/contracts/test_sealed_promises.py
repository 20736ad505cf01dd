"""Mail for locked accounts: kept in order, taken in exactly once, within the quota, whichever process does it."""

import asyncio
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from contracts.conftest import ACCOUNT, new_message
from mailstead.model.address import Address
from mailstead.model.directory import Account, Domain, Verifier
from mailstead.model.errors import AccountLocked, OverQuota
from mailstead.model.flags import KEYWORDS_PER_MAILBOX_MAX
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import Wanted
from mailstead.model.uidset import UidSet
from mailstead.ports.sealed import Filed, NewWrapping, WrapKind, Wrapping, sealed_topic

ALL = UidSet([(1, 2**32 - 1)])
NOW = datetime(2026, 11, 3, tzinfo=UTC)
MAIN = NewWrapping(Wrapping(WrapKind.PASSWORD, "main", b"s" * 16, NOW, 1, 8), b"k" * 32)
PASSWORD = Verifier("$argon2id$sealed", b"s" * 32, b"S" * 32)


async def make_alice(storage):
    await storage.directory.add_domain(Domain("example.test"))
    account = Account(ACCOUNT, Address.parse("alice@example.test"))
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    await storage.directory.add_account(account, b"salt" * 4, 4096, Verifier("$argon2id$", b"a" * 32, b"b" * 32))
    await storage.sealed.seal(ACCOUNT, PASSWORD, [MAIN])
    await storage.sealed.lock(ACCOUNT)


@pytest.fixture
async def sealed(storage):
    await make_alice(storage)
    return storage.sealed


async def opened(sealed):
    (wrapping,) = await sealed.wrappings(ACCOUNT)
    assert await sealed.open(ACCOUNT, wrapping, MAIN.key)


async def subjects(storage, name="INBOX"):
    store = storage.accounts.of(ACCOUNT)
    snapshot = await store.snapshot(name)
    records = await store.fetch(snapshot.mailbox.mailbox_id, ALL, Wanted.ORDER)
    return [record.order.base_subject.lower() for record in records]


async def take_all(sealed, name="INBOX"):
    for each in await sealed.waiting(ACCOUNT, 1 << 20):
        message = new_message(int(each.facts))
        assert message.octets == each.octets
        await sealed.take_in(ACCOUNT, each.record_id, [Filed(name, message)], NOW)
        await sealed.finished(ACCOUNT, [each.record_id])


async def put(sealed, number, quota_octets=None):
    await sealed.put(ACCOUNT, str(number).encode(), new_message(number).octets, quota_octets)


async def test_all_verbs_of_a_locked_account_say_so(storage, sealed):
    store = storage.accounts.of(ACCOUNT)
    assert await sealed.is_sealed(ACCOUNT)
    assert not sealed.is_open(ACCOUNT)
    for verb in (store.usage(), store.append("INBOX", [new_message()]), store.filtering(), store.dav.errands()):
        with pytest.raises(AccountLocked):
            await verb
    with pytest.raises(AccountLocked):
        await sealed.waiting(ACCOUNT, 1)


async def test_sealing_replaces_the_password_at_the_same_moment(storage, sealed):
    found = await storage.directory.credentials(Address.parse("alice@example.test"))
    assert found.password == PASSWORD
    assert (await storage.directory.credential_changes(0)).account_ids == {ACCOUNT}
    await opened(sealed)
    await sealed.unseal(ACCOUNT, replace(PASSWORD, argon2id="$argon2id$plain"))
    assert not await sealed.is_sealed(ACCOUNT)
    assert await sealed.wrappings(ACCOUNT) == ()
    await storage.accounts.of(ACCOUNT).usage()


async def test_waiting_mail_is_taken_in_in_order(storage, sealed):
    for number in range(1, 31):
        await put(sealed, number)
    assert (await sealed.waiting_counts())[ACCOUNT].message_count == 30
    await opened(sealed)
    await take_all(sealed)
    assert await subjects(storage) == [f"message {number}" for number in range(1, 31)]
    assert await sealed.waiting_counts() == {}


async def test_waiting_mail_comes_in_pieces_of_bounded_size(sealed):
    for number in range(1, 6):
        await put(sealed, number)
    await opened(sealed)
    size = len(new_message(1).octets)
    assert [each.facts for each in await sealed.waiting(ACCOUNT, 2 * size)] == [b"1", b"2"]
    assert [each.facts for each in await sealed.waiting(ACCOUNT, 1)] == [b"1"], "one at least"


async def test_a_message_is_taken_in_once_whoever_tries_and_how_often(storage, house, sealed):
    other = await house.open()
    await put(sealed, 1)
    await opened(sealed)
    await opened(other.sealed)
    (one,) = await sealed.waiting(ACCOUNT, 1)
    filed = [Filed("INBOX", new_message(1)), Filed("Archive", new_message(1))]
    tries = [each.take_in(ACCOUNT, one.record_id, filed, NOW) for each in (sealed, other.sealed) * 5]
    assert sorted(await asyncio.gather(*tries)) == [False] * 9 + [True]
    assert (await subjects(storage), await subjects(storage, "Archive")) == (["message 1"], ["message 1"])


async def test_a_crash_between_taking_in_and_removing_takes_nothing_in_twice(house, storage, sealed):
    await put(sealed, 1)
    await opened(sealed)
    (one,) = await sealed.waiting(ACCOUNT, 1)
    await sealed.take_in(ACCOUNT, one.record_id, [Filed("INBOX", new_message(1))], NOW)
    again = await house.open()  # as after a restart: the record is still there
    await opened(again.sealed)
    await take_all(again.sealed)
    assert await subjects(again) == ["message 1"]
    assert await again.sealed.waiting_counts() == {}


async def test_attack_072_quota_counts_what_waits_under_the_same_lock(sealed):
    size = len(new_message(1).octets)
    await sealed.note_usage(ACCOUNT, 10 * size)
    quota = 13 * size + 5
    await sealed.check_room(ACCOUNT, size, quota)
    done = await asyncio.gather(*(put(sealed, number, quota) for number in range(1, 9)), return_exceptions=True)
    assert [type(each) for each in done if each is not None] == [OverQuota] * 5
    assert (await sealed.waiting_counts())[ACCOUNT].message_count == 3
    with pytest.raises(OverQuota):
        await sealed.check_room(ACCOUNT, size, quota)


async def test_what_was_acknowledged_is_taken_in_over_quota_and_with_too_many_keywords(storage, sealed):
    await opened(sealed)
    store = storage.accounts.of(ACCOUNT)
    many = tuple(f"k{number}" for number in range(KEYWORDS_PER_MAILBOX_MAX))
    await store.append("INBOX", [new_message(1, flags=many)])
    await storage.accounts.set_quota(ACCOUNT, 1)
    message = new_message(2, flags=("\\Flagged", "one-more"))
    assert await sealed.take_in(ACCOUNT, "id", [Filed("INBOX", message)], NOW)
    snapshot = await store.snapshot("INBOX")
    records = await store.fetch(snapshot.mailbox.mailbox_id, ALL, Wanted.NARROW)
    assert records[-1].flags == {"\\Flagged"}
    assert (await store.usage()).quota_octets == 1
    with pytest.raises(OverQuota):
        await store.append("INBOX", [new_message(3)])


async def test_a_mailbox_is_made_if_asked_else_inbox_takes_it(storage, sealed):
    await opened(sealed)
    await sealed.take_in(ACCOUNT, "a", [Filed("Lists/One", new_message(1), creates=True)], NOW)
    await sealed.take_in(ACCOUNT, "b", [Filed("Gone", new_message(2))], NOW)
    await sealed.take_in(ACCOUNT, "c", [Filed("bad\x01name", new_message(3), creates=True)], NOW)
    assert await subjects(storage, "Lists/One") == ["message 1"]
    assert await subjects(storage) == ["message 2", "message 3"]


async def test_whoever_has_opened_it_is_woken_by_what_waits(house, sealed):
    woken = asyncio.Event()
    with house.bus.watch(sealed_topic(ACCOUNT), woken.set):
        await put(sealed, 1)
        async with asyncio.timeout(10):
            await woken.wait()


async def test_what_waits_survives_the_loss_of_unsynced_writes(house, lossy_vfs, tmp_path_factory):
    """Promise 4, for mail that is sealed: the folder is copied while the process lives, as a power cut leaves it."""
    lossy_vfs.register()
    storage = await house.open(vfs=lossy_vfs.NAME)
    await make_alice(storage)
    for number in (1, 2, 3):
        await put(storage.sealed, number)
    copy = tmp_path_factory.mktemp("after") / "data"
    shutil.copytree(house.folder, copy, ignore=shutil.ignore_patterns("*-shm"))
    after = await house.open(folder=copy)
    await opened(after.sealed)
    await take_all(after.sealed)
    assert await subjects(after) == ["message 1", "message 2", "message 3"]


async def test_nothing_waits_for_an_account_that_is_gone(sealed):
    await put(sealed, 1)
    await sealed.forget(ACCOUNT)
    assert await sealed.waiting_counts() == {}
