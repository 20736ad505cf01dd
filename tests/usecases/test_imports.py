"""Import and export: round trips equal in octets, flags and dates; hostile sources."""

import os
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import BadImport, DomainExists, NoSuchMailbox, NotAllowed, OverQuota
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.secret import Secret
from mailstead.usecases.exports import Exports
from mailstead.usecases.imports import Imports
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring.house import ADMINISTRATOR, open_house

MESSAGE = b"From: a@example.test\r\nSubject: Hello\r\n\r\nFrom here\r\n.\r\n>From there\r\n\r\n"
WHEN = datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


@asynccontextmanager
async def house(tmp_path):
    settings = Settings()
    (tmp_path / "data").mkdir(exist_ok=True)
    settings = replace(settings, server=replace(settings.server, data_dir=tmp_path / "data"))
    async with open_house(settings) as opened:
        yield opened
        assert [finding async for finding in opened.storage.check()] == []


async def account(opened, name="alice", quota=None):
    with suppress(DomainExists):
        await opened.domains.add(ADMINISTRATOR, "example.test")
    address = Address.parse(f"{name}@example.test")
    made = await opened.accounts.create(ADMINISTRATOR, address, Secret("pw-never-in-a-log " + name), quota)
    return Actor(made.account_id, made.address)


async def contents(opened, actor):
    """Mailbox → list of (octets, flags, internaldate)."""
    store = opened.mailboxes.of(actor)
    found = {}
    for mailbox in await store.mailboxes():
        snapshot = await store.snapshot(mailbox.name)
        records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
        octets = await store.read_octets([OctetRange(one.blob_id, 0, one.size_octets) for one in records])
        if records:
            found[mailbox.name] = [
                (text, one.flags, one.internaldate_s) for one, text in zip(records, octets, strict=True)
            ]
    return found


async def filled(opened, actor):
    store = opened.mailboxes.of(actor)
    await store.create_mailbox("Archive/Jahr 2021.ä & b")
    flags = [
        frozenset(),
        frozenset({"\\Seen"}),
        frozenset({"\\Answered", "\\Flagged", "$Label1", "$Forwarded"}),
        frozenset({"\\Deleted", "\\Draft", "\\Seen"}),
    ]
    drafts = [Draft(b"X-N: %d\r\n" % n + MESSAGE, flags[n % 4], WHEN.replace(minute=n % 60)) for n in range(120)]
    await opened.mailboxes.append(actor, "INBOX", drafts)
    await opened.mailboxes.append(actor, "Archive/Jahr 2021.ä & b", drafts[:3])
    return await contents(opened, actor)


async def test_maildir_round_trip(tmp_path):
    async with house(tmp_path) as opened:
        alice, bob = await account(opened), await account(opened, "bob")
        before = await filled(opened, alice)
        seen = []
        report = await Exports(opened.mailboxes).run(
            alice, tmp_path / "out", "maildir", progress=lambda *step: seen.append(step)
        )
        assert report.exported_count == 123
        assert seen[-1] == (123, 123)
        imported = await Imports(opened.mailboxes, message_octets_max=10**6).run(bob, tmp_path / "out")
        assert (imported.imported_count, imported.skipped_count) == (123, 0)
        assert await contents(opened, bob) == before


@pytest.mark.parametrize("mailbox", ["INBOX", "Archive/Jahr 2021.ä & b"])
async def test_mbox_round_trip(tmp_path, mailbox):
    async with house(tmp_path) as opened:
        alice, bob = await account(opened), await account(opened, "bob")
        before = await filled(opened, alice)
        await Exports(opened.mailboxes).run(alice, tmp_path / "out", "mbox", only=[mailbox])
        (file,) = (tmp_path / "out").iterdir()
        assert file.stat().st_mode & 0o777 == 0o600
        imported = await Imports(opened.mailboxes, message_octets_max=10**6).run(bob, file, mailbox)
        assert imported.skipped == []
        assert (await contents(opened, bob))[mailbox] == before[mailbox]


async def test_a_real_maildir(tmp_path):
    root = tmp_path / "Maildir"
    for folder in ("cur", "new", "tmp", ".Sent/cur", ".Sent/new", ".Work.&ZeVnLIqe-/cur", "Verbatim/cur"):
        (root / folder).mkdir(parents=True)
    (root / "dovecot-keywords").write_text("0 $Label1\n1 bad(keyword\n")
    (root / "cur" / "1.M1P1.host,S=5:2,FRSab").write_bytes(MESSAGE.replace(b"\r\n", b"\n"))
    (root / "new" / "2.M1P1.host").write_bytes(b"Subject: new\n\n")
    (root / ".Sent" / "cur" / "3.x:2,DPT").write_bytes(b"Subject: sent\r\n\r\nx")
    (root / ".Work.&ZeVnLIqe-" / "cur" / "4.x:2,").write_bytes(b"Subject: work\n\n")
    (root / "Verbatim" / "cur" / "5.x").write_bytes(b"Subject: v\n\n")
    os.utime(root / "cur" / "1.M1P1.host,S=5:2,FRSab", (WHEN.timestamp(), WHEN.timestamp()))
    async with house(tmp_path) as opened:
        alice = await account(opened)
        report = await Imports(opened.mailboxes, message_octets_max=10**6).run(alice, root)
        found = await contents(opened, alice)
        assert report.imported_count == 5
        assert set(found) == {"INBOX", "Sent", "Work/日本語", "Verbatim"}
        assert found["INBOX"][0] == (
            MESSAGE,
            frozenset({"\\Flagged", "\\Answered", "\\Seen", "$Label1"}),
            int(WHEN.timestamp()),
        )
        assert found["INBOX"][1][:2] == (b"Subject: new\r\n\r\n", frozenset())
        assert found["Sent"][0][1] == {"\\Draft", "$Forwarded", "\\Deleted"}


async def test_import_again_skips_duplicates_and_goes_on(tmp_path):
    async with house(tmp_path) as opened:
        alice = await account(opened)
        folder = tmp_path / "eml"
        folder.mkdir()
        for n in range(3):
            (folder / f"{n}.eml").write_bytes(b"Subject: %d\r\n\r\n" % n)
        imports = Imports(opened.mailboxes, message_octets_max=10**6)
        assert (await imports.run(alice, folder, "Old/Mail")).imported_count == 3
        (folder / "3.EML").write_bytes(b"Subject: 3\r\n\r\n")
        again = await imports.run(alice, folder, "Old/Mail", skips_duplicates=True)
        assert (again.imported_count, again.duplicate_count) == (1, 3)


async def test_attack_106_links_and_devices_are_not_followed(tmp_path):
    root = tmp_path / "Maildir"
    (root / "cur").mkdir(parents=True)
    (root / "new").mkdir()
    (tmp_path / "secret").write_text("hush")
    (root / "cur" / "a").symlink_to(tmp_path / "secret")
    os.mkfifo(root / "cur" / "b")
    (root / ".Linked").symlink_to(tmp_path)
    eml = tmp_path / "eml"
    eml.mkdir()
    (eml / "x.eml").symlink_to(tmp_path / "secret")
    os.mkfifo(eml / "y.eml")
    async with house(tmp_path) as opened:
        alice = await account(opened)
        imports = Imports(opened.mailboxes, message_octets_max=10**6)
        assert (await imports.run(alice, root)).imported_count == 0
        report = await imports.run(alice, eml)
        assert (report.imported_count, report.skipped_count) == (0, 2)
        assert await contents(opened, alice) == {}


async def test_huge_empty_and_unreadable_messages_are_reported_and_the_rest_goes_on(tmp_path):
    folder = tmp_path / "eml"
    folder.mkdir()
    (folder / "a.eml").write_bytes(b"x" * 2001)
    (folder / "b.eml").write_bytes(b"")
    (folder / "c.eml").mkdir()
    (folder / "d.eml").write_bytes(b"Subject: ok\n\n")
    async with house(tmp_path) as opened:
        alice = await account(opened)
        report = await Imports(opened.mailboxes, message_octets_max=2000).run(alice, folder)
        assert (report.imported_count, report.skipped_count) == (1, 3)
        assert [item.reason.split()[0:3] for item in report.skipped] == [
            ["It", "is", "larger"],
            ["It", "is", "empty"],
            ["It", "is", "not"],
        ]


@pytest.mark.parametrize("make", ["absent", "empty_folder", "binary", "maildir_as_mbox"])
async def test_what_is_no_source_is_said_so(tmp_path, make):
    source, wanted = tmp_path / "source", None
    if make == "empty_folder":
        source.mkdir()
    elif make == "binary":
        source.write_bytes(os.urandom(100).replace(b"From", b"from"))
        wanted = "mbox"
    elif make == "maildir_as_mbox":
        source.mkdir()
        wanted = "maildir"
    async with house(tmp_path) as opened:
        alice = await account(opened)
        with pytest.raises(BadImport):
            await Imports(opened.mailboxes, message_octets_max=1000).run(alice, source, foreign_format=wanted)


async def test_quota_stops_an_import_with_whole_batches(tmp_path):
    folder = tmp_path / "eml"
    folder.mkdir()
    for n in range(120):
        (folder / f"{n:03}.eml").write_bytes(b"Subject: %03d\r\n\r\n" % n + b"x" * 1000)
    async with house(tmp_path) as opened:
        alice = await account(opened, quota=60_000)
        with pytest.raises(OverQuota):
            await Imports(opened.mailboxes, message_octets_max=2000).run(alice, folder)
        assert len((await contents(opened, alice))["INBOX"]) == 50


async def test_export_overwrites_nothing_and_knows_its_mailboxes(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    async with house(tmp_path) as opened:
        alice = await account(opened)
        with pytest.raises(NotAllowed, match="not empty"):
            await Exports(opened.mailboxes).run(alice, tmp_path / "full", "mbox")
        with pytest.raises(NoSuchMailbox):
            await Exports(opened.mailboxes).run(alice, tmp_path / "new", "mbox", only=["Nope"])
        with pytest.raises(NotAllowed):
            await Exports(opened.mailboxes).run(alice, tmp_path / "full" / "x" / "y", "mbox")
