"""Key files of sealed accounts, the file of waiting mail, and what is open with which key."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidTag

from mailstead.model.errors import AccountLocked, StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.ports.sealed import NewWrapping, WrapKind, Wrapping
from mailstead.storage.embedded import sealed_keys, sealed_mail
from mailstead.storage.embedded.keys import FileAccountKeys

ALICE = AccountId("00112233aabbccdd")
BOB = AccountId("00112233aabbccee")
MASTER = b"m" * 32
NOW = datetime(2026, 11, 3, tzinfo=UTC)


def wrapping(mark="main", kind=WrapKind.PASSWORD, key=b"k" * 32):
    return NewWrapping(Wrapping(kind, mark, b"salt" * 4, NOW, 2, 19456), key)


@pytest.fixture
def keys(tmp_path):
    return FileAccountKeys(tmp_path, MASTER)


def key_file(folder, account_id=ALICE):
    return folder / "keys" / account_id[:2] / f"{account_id}.key"


def test_a_sealed_key_opens_by_its_wrappings_only_and_stays_the_same(keys, tmp_path):
    key = keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping(), wrapping("recovery", WrapKind.RECOVERY, b"r" * 32)])
    assert keys.account_key(ALICE) == key, "whoever seals goes on"
    again = FileAccountKeys(tmp_path, MASTER)
    with pytest.raises(AccountLocked):
        again.account_key(ALICE)
    main, recovery = (each.as_wrapping() for each in again.sealed_key(ALICE).wraps)
    assert (main, recovery.kind) == (wrapping().wrapping, WrapKind.RECOVERY)
    assert not again.open(ALICE, main, b"x" * 32)
    assert not again.open(ALICE, main, b"r" * 32), "the key of another wrapping"
    assert not again.is_open(ALICE)
    assert again.open(ALICE, recovery, b"r" * 32)
    assert again.account_key(ALICE) == key
    again.lock(ALICE)
    with pytest.raises(AccountLocked):
        again.account_key(ALICE)
    assert again.open(ALICE, main, b"k" * 32)


def test_sealing_leaves_nothing_that_the_master_key_opens(keys, tmp_path):
    key = keys.new_account_key(ALICE)
    before = key_file(tmp_path).read_bytes()
    keys.seal(ALICE, [wrapping()])
    after = key_file(tmp_path).read_bytes()
    assert before.split(b"\n", 1)[1] not in after
    assert key not in after
    left = [path.name for path in key_file(tmp_path).parent.iterdir()]
    assert sorted(left) == [f"{ALICE}.key", f"{ALICE}.key.lock"], "no copy of the old file stays"


def test_a_stolen_folder_cannot_be_guessed_at_without_the_master_key(keys, tmp_path):
    keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping()])
    octets = key_file(tmp_path).read_bytes()
    assert b"salt" not in octets
    assert b"main" not in octets
    thief = FileAccountKeys(tmp_path / "elsewhere", b"t" * 32)
    key_file(tmp_path / "elsewhere").parent.mkdir()
    key_file(tmp_path / "elsewhere").write_bytes(octets)
    with pytest.raises(StoreDamaged):
        thief.open(ALICE, wrapping().wrapping, b"k" * 32)


def test_a_key_file_of_another_account_or_changed_is_refused(keys, tmp_path):
    for account_id in (ALICE, BOB):
        keys.new_account_key(account_id)
        keys.seal(account_id, [wrapping()])
    keys = FileAccountKeys(tmp_path, MASTER)
    key_file(tmp_path, BOB).write_bytes(key_file(tmp_path).read_bytes())
    with pytest.raises(StoreDamaged):
        keys.open(BOB, wrapping().wrapping, b"k" * 32)
    octets = bytearray(key_file(tmp_path).read_bytes())
    octets[-1] ^= 1
    key_file(tmp_path).write_bytes(octets)
    with pytest.raises(StoreDamaged):
        keys.sealed_key(ALICE)


def test_who_has_the_master_key_cannot_put_in_a_public_key_unnoticed(keys, tmp_path):
    keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping()])
    outer = keys._sealing
    sealed = sealed_keys.read_key_file(key_file(tmp_path).read_bytes(), ALICE, outer)
    forged = sealed_keys.SealedKey(sealed_keys.public_mail_key(b"e" * 32), sealed.wraps)
    key_file(tmp_path).write_bytes(sealed_keys.write_key_file(forged, ALICE, outer))
    with pytest.raises(StoreDamaged):
        FileAccountKeys(tmp_path, MASTER).open(ALICE, wrapping().wrapping, b"k" * 32)


def test_wrappings_come_and_go_but_never_the_last(keys, tmp_path):
    key = keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping()])
    keys.add_wrappings(ALICE, [wrapping("new", key=b"n" * 32)])
    keys.add_wrappings(ALICE, [wrapping("new", key=b"N" * 32)])  # replaces the one of that mark
    locked = FileAccountKeys(tmp_path, MASTER)
    with pytest.raises(AccountLocked):
        locked.add_wrappings(ALICE, [wrapping("mine", key=b"m" * 32)])
    old, new = (each.as_wrapping() for each in locked.sealed_key(ALICE).wraps)
    assert not locked.open(ALICE, new, b"n" * 32)
    locked.remove_wrappings(ALICE, [old])  # needs no key
    locked.remove_wrappings(ALICE, [new])
    assert [each.mark for each in locked.sealed_key(ALICE).wraps] == ["new"]
    assert locked.open(ALICE, new, b"N" * 32)
    assert locked.account_key(ALICE) == key


def test_a_key_that_the_server_has_gets_no_further_wrappings(keys, tmp_path):
    """As when sealing was cut short: half a sealed file would lock everybody out."""
    key = keys.new_account_key(ALICE)
    keys.add_wrappings(ALICE, [wrapping()])
    keys.remove_wrappings(ALICE, [wrapping().wrapping])
    assert keys.sealed_key(ALICE) is None
    assert FileAccountKeys(tmp_path, MASTER).account_key(ALICE) == key


def test_changes_of_many_at_once_lose_none(keys, tmp_path):
    keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping()])
    processes = [FileAccountKeys(tmp_path, MASTER) for _ in range(4)]
    for process in processes:
        assert process.open(ALICE, wrapping().wrapping, b"k" * 32)
    with ThreadPoolExecutor(8) as threads:
        list(
            threads.map(
                lambda number: processes[number % 4].add_wrappings(ALICE, [wrapping(f"app{number}", WrapKind.APP)]),
                range(16),
            )
        )
    assert len(keys.sealed_key(ALICE).wraps) == 17


def test_unsealing_gives_the_key_back_to_the_server(keys, tmp_path):
    key = keys.new_account_key(ALICE)
    keys.seal(ALICE, [wrapping()])
    with pytest.raises(AccountLocked):
        FileAccountKeys(tmp_path, MASTER).unseal(ALICE)
    keys.unseal(ALICE)
    assert FileAccountKeys(tmp_path, MASTER).account_key(ALICE) == key
    assert not keys.is_open(ALICE)
    assert keys.open(ALICE, wrapping().wrapping, b"anything"), "there is nothing to unwrap"


def test_a_message_is_opened_by_its_account_only_and_only_as_it_was():
    key, other = b"1" * 32, b"2" * 32
    octets = sealed_mail.sealed(sealed_keys.public_mail_key(key), ALICE, "id", b"facts", b"Subject: x\r\n\r\n")
    assert b"Subject" not in octets
    assert sealed_mail.unsealed(sealed_keys.mail_key(key), ALICE, "id", octets) == (b"facts", b"Subject: x\r\n\r\n")
    changed = bytearray(octets)
    changed[40] ^= 1
    for private, account_id, record_id, given in (
        (other, ALICE, "id", octets),
        (key, BOB, "id", octets),
        (key, ALICE, "other", octets),
        (key, ALICE, "id", bytes(changed)),
        (key, ALICE, "id", octets[:20]),
        (key, ALICE, "id", bytes(32) + octets[32:]),
    ):
        with pytest.raises(InvalidTag):
            sealed_mail.unsealed(sealed_keys.mail_key(private), account_id, record_id, given)


async def test_what_is_open_belongs_to_one_edition_of_the_key(files, account, account_id, make):
    """Another process seals the account: this one, which has its file open, has no more part in it."""
    await account.append("INBOX", [make()])
    await account.snapshot("INBOX")
    FileAccountKeys(files.folder, b"m" * 32).seal(account_id, [wrapping()])
    with pytest.raises(AccountLocked):
        await account.snapshot("INBOX")
    with pytest.raises(AccountLocked):
        await account.append("INBOX", [make(subject="two")])
    assert files.keys.open(account_id, wrapping().wrapping, b"k" * 32)
    assert (await account.snapshot("INBOX")).mailbox.message_count == 1
    files.keys.lock(account_id)
    await asyncio.to_thread(files.opened[0].open_accounts.drop, account_id)
    with pytest.raises(AccountLocked):
        await account.snapshot("INBOX")


async def test_a_check_passes_over_a_locked_account(files, account, account_id):
    files.keys.seal(account_id, [wrapping()])
    files.keys.lock(account_id)
    await asyncio.to_thread(files.opened[0].open_accounts.drop, account_id)
    assert [finding async for finding in files.opened[0].check()] == []


async def test_a_locked_account_can_be_removed(files, account, account_id):
    files.keys.seal(account_id, [wrapping()])
    files.keys.lock(account_id)
    await files.opened[0].accounts.delete(account_id)
    assert [path for path in files.folder.rglob(f"{account_id}*") if path.is_file()] == []
