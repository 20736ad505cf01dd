"""Stores written by every earlier version open, and are then like new ones."""

import re
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from mailstead.model.dav import CollectionKind, CollectionTraits, Errand, NewResource, ResourceFacts
from mailstead.model.errors import StoreDamaged
from mailstead.model.filtering import JunkCounts, JunkLesson, SieveScript
from mailstead.model.ids import BlobId, ModSeq
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.search import Contains, TextField
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import account_file, schema

SCRIPTS = sorted(Path(__file__).parent.joinpath("versions").glob("account_*.sql"))
NOW = datetime(2026, 11, 3, tzinfo=UTC)
ALL = UidSet([(1, 2**32 - 1)])


def tables(db: apsw.Connection) -> dict[str, str]:
    return {
        name: re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql or ""))
        for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")
    }


async def check_filters(account, version):
    """What version 2 brought is empty in a store of version 1, and as it was in later ones."""
    filtering = await account.filtering()
    (old_lesson,) = await account.junk_backlog(10) if version != "account_1" else (None,)
    if version == "account_1":
        assert (filtering.script_name, filtering.preferences) == ("", {})
        assert await account.junk_counts([-7]) == JunkCounts(0, 0, {})
        await account.put_script("new", b"keep;")
        assert await account.scripts() == [SieveScript("new", 5, is_active=False)]
    else:
        assert (filtering.script_name, filtering.script) == ("present", b"stop;")
        assert await account.script("old") == b"keep;"
        assert filtering.preferences == {"vacation.enabled": b"1"}
        assert await account.remembered("vacation", NOW) == {"bob@example.test"}
        assert old_lesson == JunkLesson(BlobId(1), 128, is_junk=True, learned_as=False)
        assert await account.junk_counts([-7, 8]) == JunkCounts(1, 0, {-7: (1, 0)})


async def check_snoozes(account, version):
    """Version 6 knows who waits, and for how long."""
    if version in {f"account_{earlier}" for earlier in range(1, 6)}:
        assert await account.snoozes.waiting() == []
        return
    (waiting,) = await account.snoozes.waiting()
    assert (waiting.uid, waiting.origin, waiting.until.timestamp()) == (2, "INBOX", 1793696400)


async def check_openpgp(account, version):
    """Version 8 keeps keys."""
    keys = await account.openpgp.keys()
    if version in {f"account_{earlier}" for earlier in range(1, 8)}:
        assert keys == []
        return
    (key,) = keys
    assert (key.fingerprint, key.address, key.user_ids) == ("0123", "bob@example.test", ("Bob <bob@example.test>",))
    assert (key.is_verified, key.is_own, key.added_at.timestamp()) == (True, False, 1793696400)


async def check_dav(account, version):
    """Calendars came with version 3."""
    dav = account.dav
    if version in {"account_1", "account_2"}:
        assert (await dav.collections(), await dav.had_defaults(), await dav.errands()) == ([], False, [])
        calendar = await dav.create_collection(CollectionKind.CALENDAR, "new", CollectionTraits())
        await dav.put(calendar.collection_id, [NewResource("a", b"x", ResourceFacts("a", "VEVENT"))])
        return
    (calendar,) = await dav.collections()
    assert (calendar.name, calendar.traits.components, calendar.resource_count) == ("default", ("VEVENT",), 1)
    assert calendar.traits.dead == {"{x:}y": "<y xmlns='x:'/>"}
    changes = await dav.changes_since(calendar.collection_id, ModSeq(10), with_octets=True)
    (one,) = changes.changed
    assert (one.octets, one.schedule_tag, changes.deleted) == (b"BEGIN:VCALENDAR ends", "tag", ("two.ics",))
    assert one.facts == ResourceFacts(
        "uid-1", "VEVENT", 1793696400, None, is_dated=True, is_recurring=True, summary="Lunch", text="lunch",
        organizer="mailto:alice@example.test",
    )  # fmt: skip
    assert await dav.errands() == [Errand(1, b"\1")]
    deleted = [] if version in {"account_3", "account_4"} else [(2, "uid-2")]
    assert [(each.resource_id, each.uid) for each in await dav.deleted_since(calendar.collection_id, 0)] == deleted


def test_there_is_a_script_of_every_version():
    assert [path.name for path in SCRIPTS] == [f"account_{n}.sql" for n in range(1, len(schema.MIGRATIONS) + 1)]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
async def test_a_store_of_an_earlier_version_opens(files, account_id, make, script):
    key = files.keys.new_account_key(account_id)
    path = files.path(account_id)
    path.parent.mkdir(parents=True)
    db = apsw.Connection(str(path))
    account_file._set_up(db, "chacha20", key, 512)
    db.execute(script.read_text(encoding="utf-8"))
    db.close()
    opened = files.open()
    account = opened.accounts.of(account_id)
    snapshot = await account.snapshot("INBOX")
    assert list(snapshot.uids) == [2]
    (record,) = await account.fetch(snapshot.mailbox.mailbox_id, ALL, Wanted.PARTS | Wanted.ORDER | Wanted.SUMMARY)
    assert record.flags == {"Todo"}
    assert record.order.base_subject == "from version 1"
    (octets,) = await account.read_octets([OctetRange(record.blob_id, 0, record.size_octets)])
    assert octets.endswith(b"Hello\r\n")
    (appended,) = await account.append("INBOX", [make()])
    assert appended.uid == 3
    found = await account.search(snapshot.mailbox.mailbox_id, Contains(TextField.SUBJECT, "version 1"))
    assert list(found) == [2]
    await check_filters(account, script.stem)
    await check_dav(account, script.stem)
    await check_snoozes(account, script.stem)
    await check_openpgp(account, script.stem)
    assert [finding async for finding in opened.check()] == []
    new, old = apsw.Connection(":memory:"), files.connect(account_id)
    schema.migrate(new)
    assert tables(old) == tables(new)
    new.close()
    old.close()


def test_steps_run_once_and_in_order():
    db = apsw.Connection(":memory:")
    schema.migrate(db, ("CREATE TABLE a (x)",))
    steps = ("CREATE TABLE a (x)", "CREATE TABLE b (x)", "INSERT INTO b VALUES (1)")
    schema.migrate(db, steps)
    schema.migrate(db, steps)
    assert schema.version_of(db) == 3
    assert db.execute("SELECT count(*) FROM b").fetchone() == (1,)
    db.close()


def test_a_step_that_fails_leaves_the_old_version():
    db = apsw.Connection(":memory:")
    schema.migrate(db, ("CREATE TABLE a (x)",))
    with pytest.raises(apsw.SQLError):
        schema.migrate(db, ("CREATE TABLE a (x)", "CREATE TABLE b (x)", "NOT SQL"))
    assert schema.version_of(db) == 1
    assert set(tables(db)) == {"a"}
    db.close()


def test_a_store_of_a_newer_release_is_refused():
    db = apsw.Connection(":memory:")
    db.pragma("user_version", 99)
    with pytest.raises(StoreDamaged):
        schema.migrate(db)
    db.close()
