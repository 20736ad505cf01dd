"""A relay's people move in with their passwords and mail, once, however often it is run."""

import gzip
import json
import os

import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, NotAllowed
from mailstead.model.secret import Secret
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.imports import Imports
from mailstead.usecases.last_log_ins import LastLogIns
from mailstead.usecases.mailboxes import Mailboxes
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.push_tokens import PushTokens
from mailstead.usecases.staging import Staging
from mailstead.usecases.vmail_imports import VmailImports
from usecases.test_openings import RELAY_HASH

DAY = 1_760_000_000 // 86400 * 86400
"""Of the last log-in, as the relay keeps it."""


def letter(number, size=0):
    return f"From: a@chat.test\r\nSubject: {number}\r\n\r\n".encode() + b"x" * size + b"\r\n"


@pytest.fixture
def tree(tmp_path):
    """A function that makes the folder of one address."""
    root = tmp_path / "vmail" / "chat.test"

    def make(name="somebody1@chat.test", *, password=RELAY_HASH, enforces=True, tokens=None, mails=3):
        folder = root / name
        for sub in ("cur", "new", "tmp", ".Other/cur", ".Other/new", ".Other/tmp"):
            (folder / sub).mkdir(parents=True)
        if password is not None:
            (folder / "password").write_text(password)
            os.utime(folder / "password", (DAY, DAY))
        if enforces:
            (folder / "enforceE2EEincoming").touch()
        if tokens is not None:
            (folder / "metadata.json").write_text(json.dumps({"devicetoken": tokens}))
        for number in range(mails):
            octets = letter(number) if number % 2 else gzip.compress(letter(number, 5000))
            (folder / ("cur" if number else "new") / f"{DAY + number}.M1P1.host,S=1:2,S").write_bytes(octets)
        (folder / ".Other" / "cur" / f"{DAY}.M2P1.host:2,").write_bytes(letter("other"))
        (folder / "dovecot.index").write_bytes(b"x")
        return folder

    make.root = root
    return make


@pytest.fixture
async def vmail(storage, bus, clock, domains, admin):
    await domains.add(admin, "chat.test", "chatmail")
    passwords = Passwords(clock, HashCost(1, 8))
    log_ins = LastLogIns(storage, clock)
    accounts = Accounts(storage, bus, clock, passwords=passwords, scram_iteration_count=4096)
    mailboxes = Mailboxes(storage, bus, clock, Staging(10_000_000), sessions_per_account_max=9)
    imports = Imports(mailboxes, message_octets_max=100_000)
    yield VmailImports(storage, domains, accounts, imports, PushTokens(storage, clock), log_ins)
    passwords.close()


@pytest.fixture
async def domain(storage, vmail):
    return await storage.directory.domain("chat.test")


async def mails(storage, name="somebody1@chat.test"):
    account = await storage.directory.find(Address.parse(name))
    found = await storage.accounts.of(account.account_id).mailboxes()
    return {each.name: each.message_count for each in found if each.message_count}


async def test_an_address_moves_in_with_all_that_is_its_own(vmail, domain, tree, admin, storage, clock, peer):
    tree(tokens={"one": DAY, "two": DAY})
    told = []
    report = await vmail.run(admin, tree.root, domain, progress=lambda *done: told.append(done))
    assert (report.account_count, report.imported_count, report.token_count, report.skipped) == (1, 4, 2, [])
    assert (await mails(storage), told) == ({"INBOX": 3, "Other": 1}, [(1, 1)])
    actor = await vmail._accounts.log_in("somebody1@chat.test", Secret("pw"), peer, "imap")
    [account] = await storage.directory.accounts()
    assert (account.account_id, account.quota_octets) == (actor.account_id, 500 * 1024**2)
    assert [day.toordinal() for day in (await vmail._last_log_ins.days(clock.now())).values()] == [
        DAY // 86400 + 719163
    ]
    assert set(await vmail._push_tokens.valid(account.account_id)) == {b"one", b"two"}


async def test_run_again_it_goes_on_and_doubles_nothing(vmail, domain, tree, admin, storage):
    folder = tree()
    await vmail.run(admin, tree.root, domain)
    (folder / "new" / f"{DAY + 9}.M3P1.host").write_bytes(letter("late"))
    tree("somebody2@chat.test")
    report = await vmail.run(admin, tree.root, domain)
    assert (report.account_count, report.known_count) == (1, 1)
    assert (report.imported_count, report.duplicate_count) == (5, 4)
    assert await mails(storage) == {"INBOX": 4, "Other": 1}


async def test_a_dry_run_only_counts(vmail, domain, tree, admin, storage):
    tree(enforces=False)
    report = await vmail.run(admin, tree.root, domain, changes=False)
    assert (report.account_count, report.clear_text_count, report.imported_count) == (1, 1, 0)
    assert await storage.directory.accounts() == []


async def test_who_took_clear_text_goes_on_taking_it(vmail, domain, domains, tree, admin, storage, monkeypatch):
    await domains.set_terms(admin, "chat.test", {"cleartext_accounts": "old@chat.test"})
    tree(enforces=False)
    tree("somebody2@chat.test")
    domain = await storage.directory.domain("chat.test")
    assert (await vmail.run(admin, tree.root, domain)).clear_text_count == 1
    terms = (await storage.directory.domain("chat.test")).terms
    assert terms.cleartext_accounts == ("old@chat.test", "somebody1@chat.test")
    monkeypatch.setattr("mailstead.usecases.vmail_imports.LIST_ENTRIES_MAX", 1)
    report = await vmail.run(admin, tree.root, domain)
    assert [(each.name, "at most 1" in each.reason) for each in report.skipped] == [("somebody1@chat.test", True)]


async def test_who_was_switched_off_stays_so(vmail, domain, tree, admin, storage):
    (tree() / "DISABLED").touch()
    assert (await vmail.run(admin, tree.root, domain)).account_count == 1
    assert not (await storage.directory.find(Address.parse("somebody1@chat.test"))).is_enabled
    assert await storage.directory.credentials(Address.parse("somebody1@chat.test")) is None


async def test_what_cannot_move_in_is_named_and_stops_nothing(vmail, domain, tree, admin, storage):
    tree("nopass123@chat.test", password=None)
    tree("empty1234@chat.test", password="")
    tree("plain1234@chat.test", password="{PLAIN}pw")
    tree("foreign12@other.test")
    tree("no address@chat.test")
    good = tree("good12345@chat.test", tokens=["one", "bad token", 3])
    (good / "cur" / "1.large:2,").write_bytes(gzip.compress(b"x" * 200_000))
    (good / "cur" / "2.damaged:2,").write_bytes(gzip.compress(letter(1, 3000))[:-20])
    (good / "cur" / "3.link:2,").symlink_to("/etc/passwd")
    report = await vmail.run(admin, tree.root, domain)
    assert report.account_count == 1
    reasons = {name.rpartition("/")[2]: reason for name, reason in report.skipped}
    for name in ("nopass123@chat.test", "empty1234@chat.test", "plain1234@chat.test", "foreign12@other.test",
                 "no address@chat.test", "good12345@chat.test", "1.large:2,", "2.damaged:2,"):  # fmt: skip
        assert reasons.pop(name), name
    assert reasons == {}
    assert await mails(storage, "good12345@chat.test") == {"INBOX": 3, "Other": 1}


async def test_a_folder_that_is_none_of_a_relay_is_told(vmail, domain, tmp_path, admin):
    with pytest.raises(BadImport, match="home/vmail"):
        await vmail.run(admin, tmp_path, domain)
    with pytest.raises(BadImport, match="cannot be read"):
        await vmail.run(admin, tmp_path / "nowhere", domain)
    with pytest.raises(NotAllowed):
        await vmail.run(Actor(None, None), tmp_path, domain)
