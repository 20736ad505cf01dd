import os
import stat
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from mailstead.model.errors import BadSettings, NoSuchAccount, StoreDamaged
from mailstead.model.ids import AccountId
from mailstead.model.secret import Secret
from mailstead.storage.embedded.keys import FileAccountKeys, default_master_key_file, derived_key, master_key

ALICE, BOB = AccountId("00" * 8), AccountId("0b" * 8)
MASTER = bytes(range(32))
NO_VALUE = Secret("")


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


def test_first_start_makes_the_master_key_outside_the_data_folder(data_dir):
    key = master_key(data_dir, NO_VALUE)
    path = default_master_key_file(data_dir)
    assert len(key) == 32
    assert not path.is_relative_to(data_dir)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert master_key(data_dir, NO_VALUE) == key
    assert list(path.parent.glob("*.new")) == []


@pytest.mark.parametrize("text", [MASTER.hex(), b64encode(MASTER).decode(), MASTER.hex().upper() + "\n"])
def test_master_key_by_value_and_by_file(data_dir, tmp_path, text):
    assert master_key(data_dir, Secret(text)) == MASTER
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(0o600)
    assert master_key(data_dir, NO_VALUE, str(file)) == MASTER


def test_bare_octets_in_a_file(data_dir, tmp_path):
    file = tmp_path / "secret"
    file.write_bytes(MASTER)
    file.chmod(0o400)
    assert master_key(data_dir, NO_VALUE, str(file)) == MASTER


@pytest.mark.parametrize("text", ["", "ab", MASTER.hex()[:-2], MASTER.hex() + "00", "z" * 64])
def test_wrong_length_or_letters(data_dir, tmp_path, text):
    file = tmp_path / "secret"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(BadSettings, match="32 octets"):
        master_key(data_dir, NO_VALUE, str(file))


def test_a_file_that_others_can_read_is_refused(data_dir, tmp_path):
    file = tmp_path / "secret"
    file.write_text(MASTER.hex())
    file.chmod(0o644)
    with pytest.raises(BadSettings, match="chmod 600"):
        master_key(data_dir, NO_VALUE, str(file))


def test_missing_key_while_stores_exist_makes_no_new_one(data_dir, tmp_path):
    FileAccountKeys(data_dir, MASTER)
    with pytest.raises(BadSettings, match="backup"):
        master_key(data_dir, NO_VALUE)
    assert not default_master_key_file(data_dir).exists()


def test_a_new_key_is_not_put_among_the_stores(data_dir):
    with pytest.raises(BadSettings, match="data folder"):
        master_key(data_dir, NO_VALUE, str(data_dir / "master.key"))


def test_another_master_key_is_noticed_at_once(data_dir):
    FileAccountKeys(data_dir, MASTER)
    FileAccountKeys(data_dir, MASTER)
    with pytest.raises(BadSettings, match="not the one"):
        FileAccountKeys(data_dir, bytes(32))


def test_two_first_starts_at_once_agree_on_one_key(data_dir):
    barrier = Barrier(8)

    def start(_):
        barrier.wait()
        key = master_key(data_dir, NO_VALUE)
        FileAccountKeys(data_dir, key)
        return key

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(start, range(8)))) == 1


def test_account_keys_survive_and_differ(data_dir):
    keys = FileAccountKeys(data_dir, MASTER)
    of_alice, of_bob = keys.new_account_key(ALICE), keys.new_account_key(BOB)
    assert of_alice != of_bob
    assert len(of_alice) == 32
    again = FileAccountKeys(data_dir, MASTER)
    assert (again.account_key(ALICE), again.account_key(BOB)) == (of_alice, of_bob)
    for file in data_dir.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file
        if file.is_file():
            assert of_alice not in file.read_bytes()


def test_a_key_that_is_there_is_never_overwritten(data_dir):
    keys = FileAccountKeys(data_dir, MASTER)
    first = keys.new_account_key(ALICE)
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda _: keys.new_account_key(ALICE), range(16))) == {first}
    assert [file.name for file in (data_dir / "keys" / ALICE[:2]).iterdir()] == [f"{ALICE}.key"]


def test_a_forgotten_key_is_gone(data_dir):
    keys = FileAccountKeys(data_dir, MASTER)
    keys.new_account_key(ALICE)
    keys.forget(ALICE)
    keys.forget(ALICE)
    with pytest.raises(NoSuchAccount):
        keys.account_key(ALICE)


def test_a_key_file_under_another_name_or_changed_is_refused(data_dir):
    keys = FileAccountKeys(data_dir, MASTER)
    keys.new_account_key(ALICE)
    path = data_dir / "keys" / ALICE[:2] / f"{ALICE}.key"
    other = data_dir / "keys" / BOB[:2] / f"{BOB}.key"
    other.parent.mkdir()
    os.link(path, other)
    with pytest.raises(StoreDamaged):
        keys.account_key(BOB)
    octets = bytearray(path.read_bytes())
    for index in (0, 30, len(octets) - 1):
        changed = octets.copy()
        changed[index] ^= 1
        path.write_bytes(changed)
        with pytest.raises(StoreDamaged):
            keys.account_key(ALICE)
    path.write_bytes(b"")
    with pytest.raises(StoreDamaged):
        keys.account_key(ALICE)


@pytest.mark.parametrize("account_id", ["../../etc/passwd", "", "ABCDEF0123456789", "0" * 15, "0" * 16 + "\n"])
def test_attack_071_only_ids_become_paths(data_dir, account_id):
    with pytest.raises(NoSuchAccount):
        FileAccountKeys(data_dir, MASTER).new_account_key(AccountId(account_id))


def test_derived_keys_are_independent():
    assert len({derived_key(MASTER, "a"), derived_key(MASTER, "b"), MASTER}) == 3
