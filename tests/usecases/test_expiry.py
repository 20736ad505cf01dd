"""Mails that run out, and mailboxes that clear themselves."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import NotAllowed, OverQuota
from mailstead.model.flags import SEEN
from mailstead.model.mailbox import INBOX
from mailstead.model.message import NewMessage
from mailstead.model.secret import Secret
from mailstead.storage.embedded.bus import LocalBus
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.expiry import LARGE_OCTETS, Expiry
from mailstead.usecases.folders import RETENTION, FolderChange, Folders
from mailstead.usecases.idle_accounts import IdleAccounts
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.staging import Staging

MIB = 1024 * 1024


@pytest.fixture
def expiry(storage):
    return Expiry(storage)


@pytest.fixture
async def chat(domains, accounts, admin, storage, clock):
    """An account of a chat domain: `chat.put(...)`, `chat.subjects()`."""
    await domains.add(admin, "chat.test", "chatmail")
    account = await accounts.create(admin, Address("somebody1", "chat.test"), Secret("a password"), 10 * MIB)
    return Box(storage, clock, account)


class Box:
    def __init__(self, storage, clock, account):
        self.store = storage.accounts.of(account.account_id)
        self.clock, self.account = clock, account

    async def put(self, subject, size=100, flags=(), mailbox=INBOX, days_old_claimed=0):
        octets = f"Subject: {subject}\r\n\r\n".encode() + b"x" * size
        came_at = self.clock.now() - timedelta(days=days_old_claimed)
        await self.store.append(mailbox, [NewMessage(octets, message_facts(octets), came_at, frozenset(flags))])

    async def subjects(self, mailbox=INBOX):
        snapshot = await self.store.snapshot(mailbox)
        records = await self.store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, 1)
        return [record.header_summary.split(b'"')[1].decode() for record in records]

    def pass_days(self, days):
        self.clock.passed_s += days * 86400


async def test_mails_run_out_in_every_mailbox_by_the_day_they_were_stored(expiry, chat):
    await chat.store.create_mailbox("Other")
    await chat.put("old")
    await chat.put("old too", mailbox="Other")
    chat.pass_days(19)
    await chat.put("new", days_old_claimed=400)
    await chat.put("newer", mailbox="Other")
    assert (await expiry.once(chat.clock.now())).mail_count == 0
    chat.pass_days(2)
    counted = await expiry.once(chat.clock.now(), removes=False)
    assert (counted.mail_count, counted.account_count) == (2, 1)
    assert await chat.subjects() == ["old", "new"]
    assert (await expiry.once(chat.clock.now())).octets == counted.octets > 200
    assert (await chat.subjects(), await chat.subjects("Other")) == (["new"], ["newer"])
    assert (await expiry.once(chat.clock.now())).mail_count == 0


async def test_large_mails_run_out_earlier_once_they_were_seen(expiry, chat):
    await chat.put("large seen", LARGE_OCTETS, [SEEN])
    await chat.put("large unseen", LARGE_OCTETS)
    await chat.put("small seen", 100, [SEEN])
    chat.pass_days(8)
    await expiry.once(chat.clock.now())
    assert await chat.subjects() == ["large unseen", "small seen"]


async def test_a_nearly_full_mailbox_loses_its_oldest_mails_and_keeps_those_of_a_day(expiry, chat):
    for number in range(5):
        await chat.put(f"old {number}", MIB)
    chat.pass_days(2)
    await chat.put("young 0", MIB)
    await chat.put("young 1", MIB)
    assert await expiry.clear(chat.account, chat.clock.now()) == 0, "70 percent are not full"
    await chat.put("young 2", MIB)
    assert await expiry.clear(chat.account, chat.clock.now()) == 2
    assert await chat.subjects() == ["old 2", "old 3", "old 4", "young 0", "young 1", "young 2"]


async def test_a_flood_of_a_day_clears_nothing_of_its_own(expiry, chat):
    await chat.put("old", MIB)
    chat.pass_days(2)
    for number in range(8):
        await chat.put(f"flood {number}", MIB)
    assert (await expiry.once(chat.clock.now())).mail_count == 1
    assert len(await chat.subjects()) == 8


async def test_ordinary_domains_keep_everything(expiry, storage, clock, accounts, domains, admin):
    await domains.add(admin, "ord.test")
    box = Box(storage, clock, await accounts.create(admin, Address("bob", "ord.test"), Secret("a password"), 10 * MIB))
    for number in range(9):
        await box.put(f"mail {number}", MIB, [SEEN])
    box.pass_days(4000)
    assert (await expiry.once(clock.now())).account_count == 0
    assert await expiry.clear(box.account, clock.now()) == 0
    assert len(await box.subjects()) == 9


async def test_it_goes_round_once_a_day(expiry, chat):
    await chat.put("old")
    chat.pass_days(30)
    assert (await expiry.daily(chat.clock.now())).mail_count == 1
    await chat.put("other")
    assert await expiry.daily(chat.clock.now()) is None
    chat.pass_days(1)
    assert (await expiry.daily(chat.clock.now())).account_count == 1


async def test_a_full_mailbox_makes_room_for_what_comes(expiry, chat, storage, clock):
    deliveries = Deliveries(storage, clock, clear=expiry.clear)
    for number in range(9):
        await chat.put(f"old {number}", MIB)
    with pytest.raises(OverQuota):
        await deliveries.check_room(chat.account, 2 * MIB)
    chat.pass_days(2)
    await deliveries.check_room(chat.account, 2 * MIB)
    assert await chat.subjects() == [f"old {number}" for number in range(3, 9)]


async def test_who_has_not_come_for_long_goes_with_his_mail(chat, storage, accounts, admin, clock, domains):
    log_ins = LastLogIns(storage, clock)
    idle = IdleAccounts(storage, accounts, log_ins)
    await domains.add(admin, "ord.test")
    ordinary = await accounts.create(admin, Address("bob", "ord.test"), Secret("a password"))
    other = await accounts.create(admin, Address("somebody2", "chat.test"), Secret("a password"))
    assert await idle.once(admin, clock.now()) == []
    for account in (chat.account, ordinary):
        await log_ins.set(account.account_id, clock.now().date())
    chat.pass_days(80)
    await log_ins.set(other.account_id, clock.now().date())
    chat.pass_days(11)
    assert await idle.once(admin, clock.now(), removes=False) == [chat.account.address]
    assert await idle.daily(admin, clock.now()) == [chat.account.address]
    assert [str(each.address) for each in await storage.directory.accounts()] == ["somebody2@chat.test", "bob@ord.test"]
    assert set(await storage.accounts.ids()) == {ordinary.account_id, other.account_id}
    assert await idle.daily(admin, clock.now()) == []
    with pytest.raises(NotAllowed):
        await idle.once(Actor(None, None), clock.now())


async def test_folders_and_accounts_with_a_retention_of_their_own(expiry, storage, alice, actor_of, clock):
    box = Box(storage, clock, alice)
    folders = Folders(Mailboxes(storage, LocalBus(), clock, Staging(2**20)))
    await folders.change(actor_of(alice), "Trash", FolderChange(retention_days=7))
    for mailbox in ("Trash", "Archive"):
        await box.put("old", mailbox=mailbox)
    box.pass_days(9)
    await box.put("new", mailbox="Trash")
    expired = await expiry.once(clock.now())
    assert (expired.account_count, expired.mail_count, expired.failed_count) == (1, 1, 0)
    assert (await box.subjects("Trash"), await box.subjects("Archive")) == (["new"], ["old"])
    entry = await storage.people.address_entry_of_account(alice.account_id)
    profile = replace(entry.profile, retention_days=5)
    await storage.people.set_address_profile("example.test", "alice", profile)
    assert (await expiry.once(clock.now())).mail_count == 1
    assert (await box.subjects("Trash"), await box.subjects("Archive")) == (["new"], [])


async def test_what_a_client_wrote_for_a_retention_keeps_everything(expiry, storage, alice, clock):
    box = Box(storage, clock, alice)
    await box.put("old", mailbox="Trash")
    box.pass_days(400)
    for value in (b"soon", b"-1", b"1e1", b"9" * 50, b"\xff", b""):
        await box.store.set_annotations("Trash", {RETENTION: value})
        assert (await expiry.once(clock.now())).mail_count == 0, value
    await box.store.set_annotations("Trash", {RETENTION: b"30"})
    assert (await expiry.once(clock.now())).mail_count == 1
