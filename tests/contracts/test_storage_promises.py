"""The eight promises of the storage port that concern accounts (8 is tested with the directory, 7 comes with the queue)."""

import asyncio
import shutil
import signal
import sys
from pathlib import Path

import pytest

from mailstead.model.errors import NoSuchAccount, NoSuchMailbox
from mailstead.model.flags import FlagOperation
from mailstead.model.ids import AccountId
from mailstead.model.mailbox import DEFAULT_MAILBOXES
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.uidset import UidSet

ACCOUNT = AccountId("0123456789abcdef")
ALL = UidSet([(1, 2**32 - 1)])


async def test_promise_1_two_processes_write_one_account_one_at_a_time(house, storage, account, make):
    neighbour = (await house.open()).accounts.of(ACCOUNT)

    async def append_some(store, first):
        return [(await store.append("INBOX", [make(first + number)]))[0] for number in range(25)]

    ours, theirs = await asyncio.gather(append_some(account, 0), append_some(neighbour, 100))
    assert sorted(one.uid for one in ours + theirs) == list(range(1, 51))
    modseqs = [one.modseq for one in ours + theirs]
    assert len(set(modseqs)) == 50
    assert (await account.usage()).message_count == 50


async def test_promise_2_uids_only_ascend_and_are_never_used_twice(account, make, house):
    inbox = (await account.snapshot("INBOX")).mailbox
    first = await account.append("INBOX", [make(1), make(2), make(3)])
    await account.expunge(inbox.mailbox_id, UidSet([(2, 3)]), only_deleted=False)
    second = await account.append("INBOX", [make(4)])
    assert [one.uid for one in first + second] == [1, 2, 3, 4]
    await house.close()
    reopened = (await house.open()).accounts.of(ACCOUNT)
    third = await reopened.append("INBOX", [make(5)])
    assert third[0].uid == 5
    assert third[0].uidvalidity == inbox.uidvalidity


async def test_promise_2_a_mailbox_made_again_has_a_higher_uidvalidity(account):
    validities = []
    for _ in range(3):  # within one second of the clock
        validities.append((await account.create_mailbox("Again")).uidvalidity)
        await account.delete_mailbox("Again")
    assert validities == sorted(set(validities))


async def test_promise_2_uidvalidity_ascends_though_the_clock_goes_back(account, house):
    before = (await account.create_mailbox("Before")).uidvalidity
    house.clock.move(-3600)
    assert (await account.create_mailbox("After")).uidvalidity > before


async def test_promise_3_who_has_seen_n_never_meets_a_change_below_it(house, storage, account, make):
    """Readers follow the change log by modseq alone while writers of two processes work; each must end up with the truth."""
    neighbour = (await house.open()).accounts.of(ACCOUNT)
    inbox = (await account.snapshot("INBOX")).mailbox
    is_over = asyncio.Event()

    async def write(store, first):
        for number in range(20):
            (appended,) = await store.append("INBOX", [make(first + number)])
            one = UidSet([(appended.uid, appended.uid)])
            await store.store_flags(inbox.mailbox_id, one, FlagOperation.ADD, ["\\Seen"])
            if number % 3 == 0:
                await store.expunge(inbox.mailbox_id, one, only_deleted=False)

    async def follow(store):
        known, modseq = {}, inbox.highestmodseq
        while True:
            is_last = is_over.is_set()
            changes = await store.changes_since(inbox.mailbox_id, modseq)
            assert changes.highestmodseq >= modseq
            for change in changes.changed:
                assert modseq < change.modseq <= changes.highestmodseq
                known[change.uid] = change.flags
            for uid in [uid for uid in known if uid in changes.vanished]:
                del known[uid]
            assert changes.message_count == len(known)
            modseq = changes.highestmodseq
            if is_last:
                return known

    followers = [asyncio.create_task(follow(store)) for store in (account, neighbour)]
    await asyncio.gather(write(account, 0), write(neighbour, 100))
    is_over.set()
    truth = {record.uid: record.flags for record in await account.fetch(inbox.mailbox_id, ALL, Wanted.NARROW)}
    assert await asyncio.gather(*followers) == [truth, truth]
    assert len(truth) == 26


async def test_promise_4_what_is_acknowledged_is_in_a_copy_of_the_files(
    house, storage, account, make, tmp_path_factory
):
    acknowledged = [(await account.append("INBOX", [make(number)]))[0] for number in range(5)]
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(house.folder, copy, dirs_exist_ok=True)
    other = (await house.open(folder=copy)).accounts.of(ACCOUNT)
    assert list((await other.snapshot("INBOX")).uids) == [one.uid for one in acknowledged]


async def test_promise_4_survives_the_loss_of_all_unsynced_writes(house, make, lossy_vfs, tmp_path_factory):
    """The copy holds only what had been synced when each append returned: what a disk keeps in a power cut."""
    lossy_vfs.register()
    storage = await house.open(vfs=lossy_vfs.NAME)
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    account = storage.accounts.of(ACCOUNT)
    acknowledged = []
    for round_number in range(6):
        # Some at once, so that group commit is in it; long ones, so that WAL and database grow over a checkpoint.
        batch = [account.append("INBOX", [make(round_number * 10 + n, f"x{n}\r\n" * 20_000)]) for n in range(5)]
        acknowledged += [appended for (appended,) in await asyncio.gather(*batch)]
        copy = tmp_path_factory.mktemp("power-cut")
        shutil.copytree(house.folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
        survivor = await house.open(folder=copy)
        assert [finding async for finding in survivor.check()] == []
        store = survivor.accounts.of(ACCOUNT)
        snapshot = await store.snapshot("INBOX")
        assert list(snapshot.uids) == sorted(one.uid for one in acknowledged)
        (record, *_) = await store.fetch(snapshot.mailbox.mailbox_id, ALL, Wanted.NARROW)
        (octets,) = await store.read_octets([OctetRange(record.blob_id, 0, record.size_octets)])
        assert len(octets) == record.size_octets


async def test_the_lossy_file_system_does_lose_what_is_not_synced(house, make, lossy_vfs, tmp_path_factory):
    """The test above can fail: without a sync at commit the same copy lacks the messages."""
    lossy_vfs.register()
    storage = await house.open(vfs=lossy_vfs.NAME, writer_thread_count=1)
    await storage.accounts.create(ACCOUNT, DEFAULT_MAILBOXES)
    with storage._files.open_accounts.writer(ACCOUNT) as db:
        db.pragma("synchronous", "OFF")
    await storage.accounts.of(ACCOUNT).append("INBOX", [make(1)])
    copy = tmp_path_factory.mktemp("power-cut")
    shutil.copytree(house.folder, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*-shm"))
    try:
        survivor = (await house.open(folder=copy)).accounts.of(ACCOUNT)
        assert list((await survivor.snapshot("INBOX")).uids) == []
    except NoSuchMailbox:
        pass  # lost as well


@pytest.mark.parametrize(
    "change",
    [
        lambda store, inbox, make: store.append("INBOX", [make(9)]),
        lambda store, inbox, make: store.store_flags(inbox, UidSet([(1, 1)]), FlagOperation.ADD, ["\\Seen"]),
        lambda store, inbox, make: store.expunge(inbox, UidSet([(1, 1)]), only_deleted=False),
        lambda store, inbox, make: store.copy(inbox, UidSet([(1, 1)]), "Sent"),
        lambda store, inbox, make: store.move(inbox, UidSet([(1, 1)]), "Sent"),
        lambda store, inbox, make: store.create_mailbox("New"),
        lambda store, inbox, make: store.delete_mailbox("Junk"),
        lambda store, inbox, make: store.rename_mailbox("Junk", "Spam"),
        lambda store, inbox, make: store.subscribe("Elsewhere", is_subscribed=True),
        lambda store, inbox, make: store.set_annotations(None, {"/private/comment": b"x"}),
    ],
    ids=["append", "flags", "expunge", "copy", "move", "create", "delete", "rename", "subscribe", "annotate"],
)
async def test_promise_5_a_wake_up_follows_each_commit(account, fill, make, wake, change):
    inbox = await fill(2)
    async with asyncio.timeout(10):
        await wake.wait()
        wake.clear()
        await change(account, inbox.mailbox_id, make)
        await wake.wait()


async def test_promise_5_no_wake_up_without_a_change(account, fill, wake):
    inbox = await fill(1, flags=("\\Seen",))
    async with asyncio.timeout(10):
        await wake.wait()
        wake.clear()
        await account.store_flags(inbox.mailbox_id, UidSet([(1, 1)]), FlagOperation.ADD, ["\\Seen"])
        await account.index_some(10)
        await account.snapshot("INBOX")
    assert not wake.is_set()


async def test_promise_6_a_read_sees_one_moment(account, make):
    """Counters, UIDs and flags of one reading agree, while each write changes all of them."""
    is_over = False

    async def write():
        for number in range(30):
            await account.append("INBOX", [make(number), make(number)])

    async def read():
        while not is_over:
            snapshot = await account.snapshot("INBOX")
            assert len(snapshot.uids) == snapshot.mailbox.message_count
            assert len(snapshot.uids) % 2 == 0
            changes = await account.changes_since(snapshot.mailbox.mailbox_id, 0)
            assert len(changes.changed) == changes.message_count == changes.uidnext - 1

    reader = asyncio.create_task(read())
    await write()
    is_over = True
    await reader


async def test_an_account_that_is_not_there_is_named(storage):
    with pytest.raises(NoSuchAccount):
        await storage.accounts.of(AccountId("f" * 16)).mailboxes()
    with pytest.raises(NoSuchAccount):
        await storage.accounts.of(AccountId("f" * 16)).create_mailbox("x")
    await storage.accounts.delete(AccountId("f" * 16))


async def test_a_deleted_account_is_gone_for_other_processes_too(house, storage, account, make):
    neighbour = (await house.open()).accounts.of(ACCOUNT)
    await neighbour.append("INBOX", [make(1)])
    await storage.accounts.delete(ACCOUNT)
    with pytest.raises(NoSuchAccount):
        await neighbour.append("INBOX", [make(2)])
    with pytest.raises(NoSuchAccount):
        await account.snapshot("INBOX")


CHILD = """
import asyncio, importlib.util, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path

spec = importlib.util.spec_from_file_location("lossy_vfs", sys.argv[2])
lossy_vfs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lossy_vfs)
lossy_vfs.install()

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.ids import AccountId
from mailstead.model.message import NewMessage
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage


async def main():
    storage = await EmbeddedStorage.open(
        Store(master_key=Secret("42" * 32), disk_reserve_octets=0), Path(sys.argv[1]), LocalBus(), SystemClock()
    )
    account_id = AccountId("0123456789abcdef")
    await storage.accounts.create(account_id, [("INBOX", None)])
    acknowledged = 0

    async def deliver(number):
        nonlocal acknowledged
        octets = b"Message-ID: <%d@x>\\r\\n\\r\\n" % number + os.urandom(9000)
        message = NewMessage(octets, message_facts(octets), datetime.now(UTC))
        ((_, uid, *_),) = await storage.accounts.of(account_id).append("INBOX", [message])
        print(uid, flush=True)
        acknowledged += 1
        if acknowledged == 150:
            os.kill(os.getpid(), signal.SIGKILL)

    await asyncio.gather(*(deliver(number) for number in range(400)))


asyncio.run(main())
"""


async def test_promise_4_survives_sigkill_with_the_loss_of_unsynced_writes(house, tmp_path_factory):
    """A whole process on the lossy file system is killed while others of its appends are under way."""
    folder = tmp_path_factory.mktemp("killed")
    shim = Path(__file__).with_name("lossy_vfs.py")
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(folder), str(shim), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    acknowledged = {int(line) for line in out.split()}
    assert child.returncode == -signal.SIGKILL
    assert len(acknowledged) == 150
    storage = await house.open(folder=folder)
    assert [finding async for finding in storage.check()] == []
    assert acknowledged <= set((await storage.accounts.of(ACCOUNT).snapshot("INBOX")).uids)
