"""Rows 73, 74 and 75: what lies in the data folder is unreadable, and what is put there by others runs nothing."""

import asyncio
import random
import resource
import shutil
import sqlite3
import subprocess
import sys

import pytest

from attacks.home import DOMAIN, PASSWORD, open_home
from mailstead.model.errors import StorageUnavailable, StoreDamaged

MARK = b"Xylophon-4711-marker"


def octets_on_disk(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}


async def test_attack_073_no_word_of_a_message_is_on_the_disk(tmp_path):
    """Database, WAL, temporary files and folder names, while the house runs, and after it has stopped."""
    folder = tmp_path / "data"
    async with open_home(folder) as home:
        client = await home.imap("alice", select=True)
        message = b"Subject: " + MARK + b"\r\n\r\n" + (MARK + b" body\r\n") * 500
        for _ in range(30):
            assert "OK" in await client.append(message)
        assert (await home.deliver(await home.mx(), "alice", message)).startswith("250")
        assert (await client.imap(f'SEARCH TEXT "{MARK.decode()}"'))[0].startswith("* SEARCH 1")
        assert "OK" in (await client.imap(f'SORT (SUBJECT) UTF-8 BODY "{MARK.decode()}"'))[-1]
        await client.imap(f'CREATE "{MARK.decode()}"')
        await client.imap("STORE 1:* +FLAGS.SILENT (\\Deleted)")
        await client.imap("EXPUNGE")
        running = octets_on_disk(folder)
    for found in (running, octets_on_disk(folder)):
        assert any(path.suffix == ".db" for path in found)
        for path, octets in found.items():
            for text in (MARK, b"ody\r\n", b"CREATE TABLE", f"alice@{DOMAIN}".encode(), PASSWORD.encode()):
                assert text not in octets, f"{text!r} is readable in {path.name}"
            assert not octets.startswith(b"SQLite format 3"), path


async def test_attack_073_files_are_the_owner_s_only(tmp_path):
    async with open_home(tmp_path / "data") as home:
        await home.imap("alice", select=True)
        for path in (tmp_path / "data").rglob("*"):
            if path.suffix in {".db", ".key"} or path.name.endswith(("-wal", "-shm")):
                assert path.stat().st_mode & 0o077 == 0, path
            if path.name.endswith("key.pem"):
                assert path.stat().st_mode & 0o077 == 0, path


def test_attack_073_a_serving_process_leaves_no_core():
    """Memory holds keys and mail: the limit is set before anything is opened."""
    code = "from mailstead.net.run import forbid_core_dumps; forbid_core_dumps(); import resource; print(resource.getrlimit(resource.RLIMIT_CORE))"
    before = resource.getrlimit(resource.RLIMIT_CORE)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "(0, 0)", done.stderr
    assert resource.getrlimit(resource.RLIMIT_CORE) == before


def _hostile(path):
    """A readable database with our tables' names, a trigger, a view and a function that a careless opener would run."""
    db = sqlite3.connect(path)
    db.executescript(
        "CREATE TABLE account (account_id, x); CREATE TABLE message (uid, x); CREATE TABLE mailbox (name);"
        "CREATE TRIGGER t AFTER INSERT ON message BEGIN SELECT load_extension('/tmp/evil'); END;"
        "CREATE VIEW chunk AS SELECT load_extension('/tmp/evil') AS octets; INSERT INTO mailbox VALUES ('INBOX');"
    )
    db.close()


async def test_attack_074_a_store_put_there_by_others_is_refused(tmp_path):
    """A clear-text database in place of an account's: nothing of it is read; others are served."""
    folder = tmp_path / "data"
    async with open_home(folder) as home:
        await home.imap("alice")
        await home.imap("bob")
    alice = await _account_id(folder, "alice")
    [path] = folder.rglob(f"{alice}.db")
    kept = path.read_bytes()
    path.unlink()
    _hostile(path)
    async with _reopened(folder) as house:
        with pytest.raises(StoreDamaged):
            await house.storage.accounts.of(alice).mailboxes()
        bob = await house.storage.directory.find(_address("bob"))
        assert await house.storage.accounts.of(bob.account_id).mailboxes()
        assert [finding async for finding in house.storage.check()], "check says nothing about it"
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(kept)
    async with _reopened(folder) as house:
        assert await house.storage.accounts.of(alice).mailboxes()


async def test_attack_074_another_account_s_file_does_not_open(tmp_path):
    """Every account has a key of its own, so a copied file shows nobody else's mail."""
    folder = tmp_path / "data"
    async with open_home(folder) as home:
        client = await home.imap("bob", select=True)
        assert "OK" in await client.append(b"Subject: bob's\r\n\r\nx\r\n")
    alice, bob = await _account_id(folder, "alice"), await _account_id(folder, "bob")
    [of_alice], [of_bob] = folder.rglob(f"{alice}.db"), folder.rglob(f"{bob}.db")
    shutil.copy(of_bob, of_alice)
    async with _reopened(folder) as house:
        with pytest.raises(StoreDamaged):
            await house.storage.accounts.of(alice).mailboxes()


async def test_attack_074_changed_pages_are_told_and_end_nothing(tmp_path):
    """Seeded damage anywhere in a file: an error of the house or the old content; never another answer, never an end."""
    folder = tmp_path / "data"
    async with open_home(folder) as home:
        client = await home.imap("alice", select=True)
        for number in range(20):
            assert "OK" in await client.append(b"Subject: %d\r\n\r\n" % number + b"text " * 3000)
    alice = await _account_id(folder, "alice")
    [path] = folder.rglob(f"{alice}.db")
    whole = path.read_bytes()
    chance = random.Random(74)
    told = 0
    for _ in range(25):
        octets = bytearray(whole)
        for _ in range(chance.randint(1, 5)):
            octets[chance.randrange(len(octets))] ^= chance.randint(1, 255)
        path.write_bytes(octets)
        async with _reopened(folder) as house:
            try:
                findings = [finding async for finding in house.storage.check()]
            except StorageUnavailable:
                findings = ["refused"]
            told += bool(findings)
            bob = await house.storage.directory.find(_address("bob"))
            assert await house.storage.accounts.of(bob.account_id).mailboxes()
        await asyncio.sleep(0)
    assert told == 25, "a cipher with a tag notices every changed octet"
    path.write_bytes(whole)


async def test_attack_075_operators_are_letters_at_every_door(tmp_path):
    async with open_home(tmp_path / "data", limits={"login_failures_max": 100}) as home:
        await _try_operators(home)


async def _try_operators(home):
    words = [
        "' OR 1=1 --",
        '"; DROP TABLE account; --',
        "%",
        "_lice",
        '{"$ne": null}',
        "$where",
        "alice\\",
        "*",
        "\u0130",
    ]
    for word in words:
        imap = await home.dial("imaps")
        await imap.line()
        quoted = word.replace("\\", "\\\\").replace('"', '\\"')
        assert " OK " not in (await imap.imap(f'LOGIN "{quoted}" "{PASSWORD}"'))[-1]
        pop = await home.dial("pop3s")
        await pop.line()
        await pop.pop3(f"USER {word}")
        assert not (await pop.pop3(f"PASS {PASSWORD}")).startswith("+OK")
        mx = await home.mx()
        local = word.replace("\\", "\\\\").replace('"', '\\"')
        assert (await mx.smtp("MAIL FROM:<>", f'RCPT TO:<"{local}"@{DOMAIN}>'))[1][:3] in {"550", "553", "501"}
    client = await home.imap("alice", select=True)
    assert "OK" in await client.append(b"Subject: 100%\r\n\r\nsome_text\r\n")
    for word, found in (
        ("100%", "* SEARCH 1"),
        ("1%0", "* SEARCH"),
        ("some_text", "* SEARCH 1"),
        ("someXtext", "* SEARCH"),
    ):
        assert (await client.imap(f'SEARCH TEXT "{word}"'))[0].strip() == found, word
    assert "OK" in (await client.imap('CREATE "x\'); DROP TABLE message; --"'))[-1]
    assert "OK" in (await client.imap('STATUS "x\'); DROP TABLE message; --" (MESSAGES)'))[-1]


def _address(name):
    from mailstead.model.address import Address

    return Address(name, DOMAIN)


def _reopened(folder):
    import dataclasses

    from mailstead.config.settings import Settings
    from mailstead.wiring.house import open_house

    settings = Settings()
    return open_house(dataclasses.replace(settings, server=dataclasses.replace(settings.server, data_dir=folder)))


async def _account_id(folder, name):
    async with _reopened(folder) as house:
        return (await house.storage.directory.find(_address(name))).account_id
