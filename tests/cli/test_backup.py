"""`mailstead backup` and `restore`, on a folder: a machine that is lost comes back from key and place alone."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from cli.test_commands import PASSWORD, run  # noqa: F401  # the fixture
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.dav import Attachment, CollectionKind, CollectionTraits, NewResource, ResourceFacts
from mailstead.model.envelope import Recipient
from mailstead.model.queue import Destination, DestinationKind, ItemKind, NewItem, NewRecipient
from mailstead.wiring.backup import is_key_shown
from mailstead.wiring.house import open_house

MAIL = b"Subject: %d\r\nMessage-ID: <%d@x.test>\r\n\r\nnumber %d\r\n"


@pytest.fixture
def house(run, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setenv("MAILSTEAD_BACKUP_TARGET", str(tmp_path / "place"))
    run("init", "--domain", "example.test")
    for name in ("alice", "bob"):
        run("account", "add", f"{name}@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    fill(run, tmp_path, range(3))
    return run


def fill(run, tmp_path, numbers):  # noqa: F811
    folder = tmp_path / f"mail{numbers.start}"
    for sub in ("cur", "new", "tmp"):
        (folder / sub).mkdir(parents=True)
    for number in numbers:
        (folder / "cur" / f"{number}:2,S").write_bytes(MAIL % (number, number, number))
    run("import", "alice@example.test", folder)


def lose(tmp_path):
    """The machine is gone; what is left is the place of backups, and the key on paper."""
    (tmp_path / "data").rename(tmp_path / "lost")
    for name in ("data.master.key", "data.backup.key"):
        (tmp_path / name).rename(tmp_path / f"lost.{name}")


def test_a_lost_machine_comes_back_from_key_and_place(house, tmp_path):
    told = house("backup").stdout
    assert "A backup key was made" in told
    key = house("backup", "key").stdout
    second = house("--json", "backup")
    assert second["file_count"] > 10
    assert house("--json", "backup", "list")[-1] == second["snapshot"]
    drilled = house("--json", "backup", "drill")
    assert (drilled["account_count"], drilled["message_count"], drilled["findings"]) == (2, 3, [])
    assert list((tmp_path / "data" / "scratch").iterdir()) == []
    lose(tmp_path)
    assert "by --key-stdin" in house("restore", code=78).stderr
    assert "group by group" in house("restore", "--key-stdin", stdin="AAAA-BBBB\n", code=78).stderr
    restored = house("--json", "restore", "--key-stdin", stdin=key)
    assert (restored["account_count"], restored["message_count"], restored["findings"]) == (2, 3, [])
    assert house("backup", "key").stdout == key
    assert "consistent" in house("check").stdout
    assert (tmp_path / "data.master.key").read_text() == (tmp_path / "lost.data.master.key").read_text()
    assert (tmp_path / "data.master.key").stat().st_mode & 0o777 == 0o600
    assert house("--json", "backup")["file_count"] == second["file_count"]


def test_the_key_of_another_is_refused(house, tmp_path):
    house("backup")
    (tmp_path / "data.backup.key").unlink()
    assert "not the one" in house("backup", code=65).stderr
    assert "not the one" in house("backup", "drill", code=65).stderr


def test_nothing_is_restored_over_what_is_there(house, tmp_path):
    house("backup")
    assert "not empty" in house("restore", code=65).stderr
    assert "consistent" in house("check").stdout
    (tmp_path / "data").rename(tmp_path / "lost")
    (tmp_path / "data.master.key").write_text("11" * 32)
    assert "another master key" in house("restore", code=78).stderr


def test_mail_that_somebody_has_lost_comes_back_and_new_mail_stays(house, tmp_path):
    house("backup")
    house("account", "remove", "alice@example.test", "--yes")
    told = house("--json", "restore", "--account", "alice@example.test")
    assert (told["imported_count"], told["duplicate_count"]) == (3, 0)
    fill(house, tmp_path, range(10, 12))
    told = house("--json", "restore", "--account", "alice@example.test", "--at", str(datetime.now(UTC).date()))
    assert (told["imported_count"], told["duplicate_count"]) == (0, 3)
    assert "no account carl" in house("restore", "--account", "carl@example.test", code=65).stderr


def with_calendars_of_alice(work):
    """Do something with the calendars of alice as they are now."""

    async def opened():
        async with open_house(load(None, os.environ).settings) as house:
            found = await house.storage.directory.find(Address.parse("alice@example.test"))
            return await work(house.storage.accounts.of(found.account_id).dav)

    return asyncio.run(opened())


async def objects_of(dav):
    return {
        (collection.kind, collection.name, each.name): each.octets
        for collection in await dav.collections()
        for each in await dav.resources(collection.collection_id, with_octets=True)
    }


@pytest.mark.parametrize("is_gone", [True, False])
def test_calendars_and_contacts_that_somebody_has_lost_come_back(house, is_gone):
    async def make(dav):
        for kind, octets in ((CollectionKind.CALENDAR, b"event %d"), (CollectionKind.ADDRESSBOOK, b"card %d")):
            made = await dav.create_collection(kind, "work", CollectionTraits(display_name="Work"))
            new = [NewResource(f"{n}", octets % n, ResourceFacts(f"uid{n}", "VEVENT")) for n in range(250)]
            first, *_ = await dav.put(made.collection_id, new)
            attachment = Attachment(kind.value, first.resource.resource_id, "a.txt", "text/plain", b"attached")
            await dav.put_attachment(attachment)
        return await objects_of(dav)

    async def lose_some(dav):
        calendar = await dav.collection(CollectionKind.CALENDAR, "work")
        for name in ("1", "2"):
            await dav.delete(calendar.collection_id, name)
        await dav.put(calendar.collection_id, [NewResource("3", b"newer", ResourceFacts("uid3", "VEVENT"))])
        await dav.put(calendar.collection_id, [NewResource("elsewhere", b"event 2", ResourceFacts("uid2", "VEVENT"))])
        await dav.delete_collection((await dav.collection(CollectionKind.ADDRESSBOOK, "work")).collection_id)

    made = with_calendars_of_alice(make)
    house("backup")
    if is_gone:
        house("account", "remove", "alice@example.test", "--yes")
    else:
        with_calendars_of_alice(lose_some)
    told = house("--json", "restore", "--account", "alice@example.test")
    there = with_calendars_of_alice(objects_of)
    if is_gone:
        assert there == made
        assert told["object_count"] == 500
    else:
        calendar = CollectionKind.CALENDAR
        there[calendar, "work", "2"] = there.pop((calendar, "work", "elsewhere"))
        assert there == made | {(calendar, "work", "3"): b"newer"}
        assert told["object_count"] == 251
    for kind in ("addressbook", "calendar"):
        assert with_calendars_of_alice(lambda dav, kind=kind: dav.attachment(kind)).octets == b"attached"
    assert house("--json", "restore", "--account", "alice@example.test")["object_count"] == 0
    assert "consistent" in house("check").stdout


def test_what_is_wrong_is_told(house, tmp_path, monkeypatch):
    assert "There are no backups" in house("backup", "list", code=65).stderr
    assert "is no time" in house("restore", "--at", "yesterday", code=65).stderr
    house("backup")
    assert "the oldest is" in house("restore", "--account", "alice@example.test", "--at", "2020-01-01", code=65).stderr
    for target, said in {"": "No place for backups", "x/y": "whole path", "s3://": "s3://bucket",
                         str(tmp_path / "data" / "x"): "outside of it"}.items():  # fmt: skip
        monkeypatch.setenv("MAILSTEAD_BACKUP_TARGET", target)
        assert said in house("backup", code=78).stderr.replace("\n", " ")
    monkeypatch.setenv("MAILSTEAD_BACKUP_HOUR", "24")
    assert "0 to 23" in house("backup", code=78).stderr


def test_the_settings_file_goes_along(house, tmp_path, monkeypatch):
    settings = tmp_path / "mailstead.toml"
    settings.write_text("[smtp]\nrecipients_max = 7\n")
    monkeypatch.setenv("MAILSTEAD_CONFIG", str(settings))
    house("backup")
    (tmp_path / "data").rename(tmp_path / "lost")
    house("restore")
    assert (tmp_path / "data.settings.toml").read_text() == settings.read_text()


def test_settings_of_the_environment_go_along(house, tmp_path, monkeypatch):
    """A container has its settings nowhere else."""
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mail.example.test")
    monkeypatch.setenv("MAILSTEAD_BACKUP_S3_SECRET_ACCESS_KEY", "pw-never-in-a-log $x")
    monkeypatch.setenv("MAILSTEAD_OF_ANOTHER_PROGRAM", "1")
    house("backup")
    for name in ("MAILSTEAD_SERVER_HOSTNAME", "MAILSTEAD_BACKUP_S3_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    (tmp_path / "data").rename(tmp_path / "lost")
    house("restore")
    copy = tmp_path / "data.settings.env"
    lines = copy.read_text().splitlines()
    assert "MAILSTEAD_SERVER_HOSTNAME=mail.example.test" in lines
    assert "MAILSTEAD_BACKUP_S3_SECRET_ACCESS_KEY=pw-never-in-a-log $x" in lines
    assert not [line for line in lines if "ANOTHER" in line]
    assert copy.stat().st_mode & 0o777 == 0o600


async def put_into_the_queue():
    now, author = datetime.now(UTC), Address("alice", "example.test")
    recipients = [
        NewRecipient(Recipient(Address(name, "there.test")), Destination(DestinationKind.DOMAIN, "there.test"))
        for name in ("one", "two")
    ]
    item = NewItem(
        queue_id="waiting", kind=ItemKind.SUBMISSION, mail_from=author, recipients=tuple(recipients),
        octets=b"From: alice@example.test\r\n\r\nx\r\n", accepted_at=now, expires_at=now + timedelta(days=5),
    )  # fmt: skip
    async with open_house(load(None, dict(os.environ)).settings) as opened:
        await opened.storage.queue.put([item])


def test_mail_that_was_waiting_is_held_after_a_restore(house, tmp_path):
    """It may have gone out since the snapshot; who restores knows it, the snapshot does not."""
    asyncio.run(put_into_the_queue())
    house("backup")
    (tmp_path / "data").rename(tmp_path / "lost")
    told = house("restore").stdout
    assert "Mail to 2 recipients was waiting" in told
    assert "mailstead queue release --all" in told
    [item] = house("--json", "queue", "list")
    assert {recipient["state"] for recipient in item["recipients"]} == {"held"}
    house("queue", "release", "--all")
    [item] = house("--json", "queue", "list")
    assert {recipient["state"] for recipient in item["recipients"]} == {"waiting"}


def test_who_knows_that_nothing_was_sent_lets_it_go_out(house, tmp_path):
    asyncio.run(put_into_the_queue())
    house("backup")
    assert house("--json", "backup", "drill")["held_count"] == 0
    (tmp_path / "data").rename(tmp_path / "lost")
    assert house("--json", "restore", "--send-queue")["held_count"] == 0
    [item] = house("--json", "queue", "list")
    assert {recipient["state"] for recipient in item["recipients"]} == {"waiting"}


def test_it_is_remembered_that_the_key_was_shown_and_another_one_is_asked_for_again(house, tmp_path):
    def is_shown():
        return is_key_shown(load(None, dict(os.environ)).settings)

    house("backup")
    assert not is_shown()
    key = house("backup", "key").stdout
    assert is_shown()
    note = tmp_path / "data.backup.key.shown"
    assert note.stat().st_mode & 0o077 == 0
    assert key.strip() not in note.read_text()
    (tmp_path / "data.backup.key").unlink()
    (tmp_path / "place").rename(tmp_path / "former")
    house("backup")
    assert not is_shown(), "this is another key"
    key = house("backup", "key").stdout
    lose(tmp_path)
    note.unlink()
    house("restore", "--key-stdin", stdin=key)
    assert is_shown(), "who has typed it has it"


def test_an_unfinished_restore_is_not_served(house, tmp_path):
    (tmp_path / "data" / "restore.unfinished").touch()
    assert "run `mailstead restore` again" in house("account", "list", code=78).stderr


def test_machines_get_json(house):
    assert json.loads(house("backup", "--json", "list", code=65).stderr)["error"] == "BadBackup"
