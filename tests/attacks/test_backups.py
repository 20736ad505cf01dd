"""Rows 74 and 105 for backups: what an archive tells without its key, and what comes back from a hostile one."""

import os
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime

import apsw
import msgspec
import pytest

from attacks.home import DOMAIN, PASSWORD, open_home
from mailstead.model.address import Address
from mailstead.model.errors import StoreDamaged
from mailstead.storage.embedded.keys import FileAccountKeys, master_key
from mailstead.usecases.backup_vault import Part, StoredFile, key_text, snapshot_name
from mailstead.usecases.restores import Restores
from mailstead.wiring.backup import backup_key, make_backups, make_vault
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.restore import restore_account, restore_house

ALICE = Address("alice", DOMAIN)
MARK = b"Xylophon-4712-marker"


@pytest.fixture
async def home(tmp_path):
    async with open_home(tmp_path / "data", backup={"target": str(tmp_path / "place")}) as opened:
        for name in ("alice", "bob"):
            client = await opened.imap(name, select=True)
            for number in range(5):
                assert "OK" in await client.append(b"Subject: %d\r\n\r\n" % number + MARK * 500)
        yield opened


@pytest.fixture
async def snapshot(home):
    await make_backups(home.house.settings).run(ADMINISTRATOR)
    return await restores(home).pick(ADMINISTRATOR)


def vault(home):
    return make_vault(home.house.settings, backup_key(home.house.settings))


def restores(home):
    return Restores(vault(home))


def elsewhere(home, tmp_path):
    """Settings of another machine."""
    settings = home.house.settings
    return replace(settings, server=replace(settings.server, data_dir=tmp_path / "back"))


async def with_other(home, snapshot, name, octets):
    """A snapshot in which one file has other content: whoever has key and place can make it."""
    made = vault(home)
    chunk = made.chunk_name(octets)
    await made.put(chunk, made.sealed(chunk, octets, compresses=True))
    evil = StoredFile(name, "", (Part("", len(octets), (chunk,)),))
    files = tuple(evil if file.name == name else file for file in snapshot.files)
    found = msgspec.structs.replace(snapshot, name=snapshot_name(datetime.now(UTC)), files=files)
    await made.keep(found)
    return found


async def account_of(home, address):
    return (await home.house.storage.directory.find(address)).account_id


def clear_text(_path, _key):
    """Tables with our names, a trigger and a view that a careless opener would run."""
    db = sqlite3.connect(":memory:")
    db.executescript(
        "CREATE TABLE account (account_id, x); CREATE TABLE message (uid, x); CREATE TABLE mailbox (name);"
        "CREATE TRIGGER t AFTER INSERT ON message BEGIN SELECT load_extension('/tmp/evil'); END;"
        "CREATE VIEW chunk AS SELECT load_extension('/tmp/evil') AS octets; INSERT INTO mailbox VALUES ('INBOX');"
    )
    octets = db.serialize()
    db.close()
    return octets


def cut(path, _key):
    octets = path.read_bytes()
    return octets[: len(octets) // 2]


def changed_pages(path, _key):
    octets = bytearray(path.read_bytes())
    for at in range(5000, len(octets), 4096):
        octets[at] ^= 1
    return bytes(octets)


def trapped(path, key):
    """The account's own store, under its own key, with a trigger and a view put in."""
    copy = path.with_name("trapped.tmp")
    copy.write_bytes(path.read_bytes())
    log = path.with_name(path.name + "-wal")
    if log.exists():
        copy.with_name("trapped.tmp-wal").write_bytes(log.read_bytes())
    db = apsw.Connection(str(copy))
    db.pragma("cipher", "chacha20")
    db.execute(f"PRAGMA key = 'raw:{key.hex()}'")
    db.execute("CREATE TRIGGER snare AFTER UPDATE ON account BEGIN DELETE FROM message; DELETE FROM mailbox; END")
    db.execute("CREATE VIEW trap AS SELECT * FROM message")
    db.pragma("wal_checkpoint(TRUNCATE)")
    db.close()
    octets = copy.read_bytes()
    for left in path.parent.glob("trapped.tmp*"):
        left.unlink()
    return octets


@pytest.mark.parametrize("craft", [clear_text, cut, changed_pages, trapped])
async def test_attack_074_a_hostile_store_in_a_backup_is_named_and_the_others_come_back(
    home, snapshot, tmp_path, craft
):
    settings = elsewhere(home, tmp_path)
    alice, bob = await account_of(home, ALICE), await account_of(home, Address("bob", DOMAIN))
    name = f"accounts/{alice[:2]}/{alice}.db"
    master = master_key(tmp_path / "data", home.house.settings.store.master_key, "")
    key = FileAccountKeys(tmp_path / "data", master).account_key(alice)
    evil = await with_other(home, snapshot, name, craft(tmp_path / "data" / name, key))
    restored = await restore_house(settings, restores(home), evil)
    assert restored.account_count == 2
    assert restored.findings
    assert all(alice in finding for finding in restored.findings), restored.findings
    async with open_house(settings) as house:
        assert sum(each.message_count for each in await house.storage.accounts.of(bob).mailboxes()) == 5
        store = house.storage.accounts.of(alice)
        if craft is trapped:
            assert {"snare", "trap"} <= set("".join(restored.findings).replace("'", " ").split())
            await store.create_mailbox("New")  # this changes the account's row
            assert sum(each.message_count for each in await store.mailboxes()) == 5, "the trigger was not run"
        elif craft is not changed_pages:
            with pytest.raises(StoreDamaged):
                await store.mailboxes()


async def test_attack_074_a_hostile_directory_is_refused_by_name(home, snapshot, tmp_path):
    evil = await with_other(home, snapshot, "directory.db", clear_text(None, None))
    with pytest.raises(StoreDamaged, match=r"directory\.db"):
        await restore_house(elsewhere(home, tmp_path), restores(home), evil)


async def test_attack_074_a_hostile_account_in_a_backup_leaves_the_living_house_as_it_is(home, snapshot, tmp_path):
    alice = await account_of(home, ALICE)
    evil = await with_other(home, snapshot, f"accounts/{alice[:2]}/{alice}.db", clear_text(None, None))
    with pytest.raises(StoreDamaged):
        await restore_account(home.house.settings, restores(home), evil, ALICE, home.house)
    assert await home.findings() == []
    assert sum(each.message_count for each in await home.house.storage.accounts.of(alice).mailboxes()) == 5
    assert list((tmp_path / "data" / "scratch").iterdir()) == []


async def test_attack_105_no_object_and_no_name_tells_anything_without_the_key(home, tmp_path):
    """Keys, tokens, addresses, passwords, mail: searched for in all objects and their names, as octets and as text."""
    settings_file = tmp_path / "mailstead.toml"
    settings_file.write_text('[backup]\ns3_secret_access_key = "token-of-the-bucket-4712"\n')
    await make_backups(home.house.settings, settings_file).run(ADMINISTRATOR)
    settings = home.house.settings
    key, master = backup_key(settings), master_key(tmp_path / "data", settings.store.master_key, "")
    account_keys = FileAccountKeys(tmp_path / "data", master)
    accounts = [await account_of(home, Address(name, DOMAIN)) for name in ("alice", "bob")]
    secrets = [key, master, *(account_keys.account_key(account) for account in accounts)]
    texts = [each.hex().encode() for each in secrets]
    texts += [key_text(key).encode(), PASSWORD.encode(), b"token-of-the-bucket-4712", MARK]
    texts += [name.encode() for name in (DOMAIN, "alice", *accounts, "PRIVATE KEY", "directory", "accounts")]
    texts += [b"SQLite format", b"secret_access_key", b"CREATE TABLE"]
    [tls_key] = (tmp_path / "data" / "tls").rglob("key.pem")
    texts += tls_key.read_bytes().split(b"\n")[1:3]
    objects = [path for path in (tmp_path / "place").rglob("*") if path.is_file()]
    assert len(objects) > 10
    assert sum(path.stat().st_size for path in objects) > 100_000
    for path in objects:
        octets, name = path.read_bytes(), path.relative_to(tmp_path / "place").as_posix()
        for text in (*secrets, *texts):
            assert text not in octets, f"{text!r} in {name}"
            assert os.fsdecode(text) not in name
    chunk_names = {path.name for path in objects if path.parent.parent.name == "chunks"}
    assert all(len(name) == 64 and set(name) <= set("0123456789abcdef") for name in chunk_names)
