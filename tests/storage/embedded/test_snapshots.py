"""Copies of files that others write to at the same time: each is a state that was committed."""

import os
import threading
import time
from datetime import UTC, datetime

import apsw
import pytest

from mailstead.model.errors import NoSuchAccount
from mailstead.ports.backup import NoSuchStore
from mailstead.storage.embedded import snapshots
from mailstead.storage.embedded.encrypted_file import connect
from mailstead.storage.embedded.keys import derived_key
from mailstead.storage.embedded.snapshots import FileStores

MASTER = bytes(32)
MIGRATIONS = ("CREATE TABLE pair (number INTEGER PRIMARY KEY, balance INTEGER, filling BLOB);",)


class NoKeys:
    def account_key(self, account_id):
        raise NoSuchAccount(account_id=account_id)


class Clock:
    def now(self):
        return datetime.fromtimestamp(time.time() + 10, UTC)


@pytest.fixture
def stores(tmp_path):
    (tmp_path / "data").mkdir()
    return FileStores(tmp_path / "data", MASTER, NoKeys(), Clock(), {"master.key": MASTER})


def opened(folder):
    return connect(folder / "queue.db", derived_key(MASTER, "queue"), MIGRATIONS)


def copy(stores, folder, size=16384, between=lambda: None):
    """Write a copy into a folder, as a restore does."""
    folder.mkdir(parents=True)
    for piece in stores.pieces("queue.db", size):
        with (folder / f"queue.db{piece.part}").open("ab") as file:
            file.write(piece.octets)
        if not piece.part:
            between()


def write(db, number):
    """Add a row, and move one from one row to another that lies elsewhere: the sum stays."""
    with db:
        db.execute("INSERT INTO pair VALUES (?, 0, randomblob(400))", (number,))
        for other, moved in ((number * 7 % (number + 1), 1), (number * 13 % (number + 1), -1)):
            db.execute("UPDATE pair SET balance = balance + ? WHERE number = ?", (moved, other))


def state(folder):
    """Give how many rows a copy has, if it is whole."""
    db = opened(folder)
    assert [text for (text,) in db.execute("PRAGMA integrity_check")] == ["ok"]
    assert list(db.execute("SELECT sum(balance) FROM pair")) == [(0,)]
    [(count, highest)] = db.execute("SELECT count(*), ifnull(max(number), -1) FROM pair")
    db.close()
    assert highest == count - 1
    return count


@pytest.mark.parametrize("pages", [0, 5, 1000], ids=["no checkpoints", "checkpoints all the time", "as it is"])
def test_a_copy_under_writers_is_a_state_that_was_committed(stores, tmp_path, pages):
    db = opened(tmp_path / "data")
    db.wal_autocheckpoint(pages)
    for number in range(200):
        write(db, number)
    written, stop, progress = [200], threading.Event(), threading.Condition()

    def hammer():
        while not stop.is_set():
            write(db, written[0])
            with progress:
                written[0] += 1
                progress.notify_all()
            if written[0] % 3 == 0 and pages == 5:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def more():
        with progress:
            seen = written[0]
            assert progress.wait_for(lambda: written[0] > seen, 30)

    db.set_busy_timeout(0)
    thread = threading.Thread(target=hammer)
    thread.start()
    try:
        counts = []
        for number in range(5):
            before = written[0]
            copy(stores, tmp_path / str(number), between=more)
            counts.append((before, state(tmp_path / str(number)), written[0] + 1))
    finally:
        stop.set()
        thread.join()
        db.close()
    assert all(before <= count <= after for before, count, after in counts)
    assert counts[-1][1] > counts[0][1]


def test_a_log_that_was_begun_anew_within_the_copy_is_read_again(stores, tmp_path, monkeypatch):
    db = opened(tmp_path / "data")
    for number in range(50):
        write(db, number)
    db.execute(
        "PRAGMA wal_checkpoint(FULL)"
    ).fetchall()  # all of the log is in the database: the next writer begins it anew
    reading = snapshots._log
    read = []

    def begun_anew(path):
        fstat = os.fstat

        def meanwhile(handle):
            if not read:
                read.append(1)
                write(db, 50)
            return fstat(handle)

        monkeypatch.setattr(snapshots.os, "fstat", meanwhile)
        return reading(path)

    monkeypatch.setattr(snapshots, "_log", begun_anew)
    copy(stores, tmp_path / "copy")
    db.close()
    assert read == [1]
    assert state(tmp_path / "copy") in {50, 51}


def test_the_directory_comes_first_and_accounts_last(stores, tmp_path):
    for name in ("accounts/ab/abcdef0123456789.db", "directory.db", "queue.db", "queue.db-wal", "keys/ab/abcdef0123456789.key",
                 "tls/.lock", "tls/key.pem", "backup.lock", "x.new", "scratch/x/directory.db"):  # fmt: skip
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "data" / "link").symlink_to("/etc/passwd")
    assert list(stores.names()) == [
        "directory.db", "queue.db", "keys/ab/abcdef0123456789.key", "tls/key.pem", "accounts/ab/abcdef0123456789.db",
    ]  # fmt: skip


def test_a_signature_changes_with_the_file_and_with_its_log(stores, tmp_path):
    db = opened(tmp_path / "data")
    first = stores.signature("queue.db")
    assert first == stores.signature("queue.db") != ""
    write(db, 0)
    second = stores.signature("queue.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    assert len({first, second, stores.signature("queue.db")}) == 3
    db.close()


def test_what_was_just_written_has_no_signature(stores, tmp_path, monkeypatch):
    opened(tmp_path / "data").close()
    monkeypatch.setattr(Clock, "now", lambda _: datetime.now(UTC))
    assert stores.signature("queue.db") == ""


def test_what_has_gone_is_said(stores):
    for ask in (stores.signature, lambda name: list(stores.pieces(name, 10))):
        for name in ("queue.db", "accounts/ab/abcdef0123456789.db", "tls/key.pem"):
            with pytest.raises(NoSuchStore):
                ask(name)


def test_a_copy_changes_nothing(stores, tmp_path):
    db = opened(tmp_path / "data")
    write(db, 0)
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir() if not path.name.endswith("-shm")}
    assert before["queue.db-wal"]
    copy(stores, tmp_path / "copy")
    assert before == {
        path.name: path.read_bytes() for path in (tmp_path / "data").iterdir() if not path.name.endswith("-shm")
    }
