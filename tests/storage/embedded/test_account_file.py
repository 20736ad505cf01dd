"""The encrypted file: nothing in clear, wrong keys refused, changed pages noticed, half-made files invisible."""

import stat

import apsw
import pytest

from mailstead.model.errors import NoSuchAccount, StorageFull, StorageUnavailable, StoreDamaged, TryAgainLater
from mailstead.model.flags import FlagOperation
from mailstead.model.search import Contains, TextField
from mailstead.model.uidset import UidSet
from mailstead.storage.embedded import account_file

ALL = UidSet([(1, 2**32 - 1)])
MARKER = "findable-marker-42"


@pytest.mark.parametrize("cipher", account_file.CIPHERS)
async def test_attack_073_no_clear_text_in_any_file(files, account_id, make, cipher):
    """Neither octets nor header, keyword, annotation, mailbox name or index term, in database, WAL or shared memory."""
    opened = files.open(cipher=cipher)
    await opened.accounts.create(account_id, [("INBOX", None), (MARKER, None)])
    account = opened.accounts.of(account_id)
    await account.append("INBOX", [make(f"{MARKER}\r\n" * 20, subject=MARKER), make(MARKER)])
    inbox = (await account.snapshot("INBOX")).mailbox.mailbox_id
    await account.store_flags(inbox, ALL, FlagOperation.ADD, [MARKER])
    await account.set_annotations(None, {f"/private/{MARKER}": MARKER.encode()})
    assert len(await account.search(inbox, Contains(TextField.TEXT, MARKER))) == 2
    beside = sorted(files.path(account_id).parent.glob(f"{account_id}.db*"))
    assert [path.suffix for path in beside] == [".db", ".db-shm", ".db-wal"]
    for state in ("open", "closed"):
        for path in files.folder.rglob("*"):
            octets = path.read_bytes() if path.is_file() else b""
            assert MARKER.encode() not in octets, (state, path.name)
            assert b"SQLite format" not in octets, (state, path.name)
            assert b"marker" not in octets, (state, path.name)
        await files.close()


async def test_a_wrong_key_is_refused(files, account, account_id):
    with pytest.raises(StoreDamaged):
        account_file.connect(files.path(account_id), b"w" * 32)
    with pytest.raises(NoSuchAccount):
        account_file.connect(files.folder / "none.db", b"w" * 32)


@pytest.mark.parametrize("cipher", account_file.CIPHERS)
async def test_a_changed_page_is_noticed(files, account_id, make, cipher):
    opened = files.open(cipher=cipher)
    await opened.accounts.create(account_id, [("INBOX", None)])
    await opened.accounts.of(account_id).append("INBOX", [make("x" * 3000) for _ in range(50)])
    await files.close()
    path = files.path(account_id)
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)
    findings = [finding async for finding in files.open().check()]
    assert findings
    assert findings[0].account_id == account_id


async def test_files_are_for_their_owner_alone(files, account, account_id, make):
    await account.append("INBOX", [make()])
    for path in files.path(account_id).parent.glob(f"{account_id}.db*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_a_half_made_file_is_never_seen(files, account_id, monkeypatch):
    opened = files.open()
    with monkeypatch.context() as patch:
        patch.setattr(account_file, "sync_file", lambda path: (_ for _ in ()).throw(OSError(5, "broken")))
        with pytest.raises(StorageUnavailable):
            await opened.accounts.create(account_id, [("INBOX", None)])
    assert not files.path(account_id).exists()
    await opened.accounts.create(account_id, [("INBOX", None)])
    assert len(await opened.accounts.of(account_id).mailboxes()) == 1


async def test_attack_074_nothing_in_a_file_runs_code(files, account, account_id):
    """A trigger or view that somebody put in cannot call what reaches outside, and the schema cannot be patched."""
    db = files.connect(account_id)
    db.create_scalar_function("outside", lambda *_: 1, 1)
    db.execute("CREATE VIEW trap AS SELECT outside(1)")
    db.execute("CREATE TRIGGER snare AFTER UPDATE ON account BEGIN DELETE FROM mailbox; END")
    with pytest.raises(apsw.SQLError, match="unsafe use"):
        db.execute("SELECT * FROM trap").fetchall()
    db.execute("CREATE VIEW mask AS SELECT * FROM mailbox")
    with pytest.raises(apsw.SQLError, match="prohibited"):
        db.execute("SELECT * FROM mask").fetchall()
    before = db.execute("SELECT count(*) FROM mailbox").get
    db.execute("UPDATE account SET modseq = modseq")
    assert db.execute("SELECT count(*) FROM mailbox").get == before > 0
    found = [finding.text async for finding in files.opened[0].check()]
    assert [text.partition(",")[0] for text in found] == [
        "there is a view 'trap'",
        "there is a trigger 'snare'",
        "there is a view 'mask'",
    ]
    db.execute("DROP VIEW trap; DROP VIEW mask; DROP TRIGGER snare")
    with pytest.raises(apsw.SQLError):
        db.execute("PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = ''")
    with pytest.raises(apsw.SQLError):
        db.execute("SELECT load_extension('x')")
    db.close()


async def test_the_pragmas_are_as_decided(files, account, account_id):
    db = files.connect(account_id)
    settings = {name: db.pragma(name) for name in ("journal_mode", "synchronous", "temp_store", "secure_delete")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "temp_store": 2, "secure_delete": 1}
    assert db.pragma("cell_size_check") == 1
    assert db.pragma("page_size") == account_file.PAGE_OCTETS
    db.close()


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (apsw.FullError(), StorageFull),
        (OSError(28, "no space"), StorageFull),
        (apsw.IOError(), StorageUnavailable),
        (apsw.BusyError(), StorageUnavailable),
        (apsw.CorruptError(), StoreDamaged),
        (apsw.NotADBError(), StoreDamaged),
        (apsw.InterruptError(), TryAgainLater),
    ],
)
def test_errors_get_the_words_of_the_house(error, word):
    assert type(account_file.translated(error)) is word
