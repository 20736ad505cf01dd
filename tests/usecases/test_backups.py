"""Backups of a house that is open, and the way back; the place is a folder."""

import os
import stat

import msgspec
import pytest

from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import BackupFailed, BadBackup, BadSettings, NotAllowed, StoreDamaged
from mailstead.model.secret import Secret
from mailstead.policy.retention import Retention
from mailstead.storage.embedded.keys import FileAccountKeys
from mailstead.storage.embedded.snapshots import FileStores
from mailstead.storage.objects.folder import FolderObjects
from mailstead.usecases import backups as backups_module
from mailstead.usecases.backup_vault import StoredFile, Vault, key_of, key_text
from mailstead.usecases.backups import Backups
from mailstead.usecases.restores import Restores

KEY, MASTER = bytes(range(32)), bytes(32)


@pytest.fixture
def place(tmp_path):
    return FolderObjects(tmp_path / "place")


@pytest.fixture
def stores(storage, tmp_path, clock):
    data = tmp_path / "data"
    return FileStores(data, MASTER, FileAccountKeys(data, MASTER), clock, {"master.key": MASTER})


@pytest.fixture
def backups(stores, place, clock):
    return Backups(stores, Vault(place, KEY), clock, "1.0")


@pytest.fixture
def restores(place):
    return Restores(Vault(place, KEY))


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def objects(tmp_path, kind):
    return sorted(path for path in (tmp_path / "place" / kind).rglob("*") if path.is_file())


@pytest.fixture
async def snapshot(backups, restores, alice, admin):
    await backups.run(admin)
    return await restores.pick(admin)


async def test_what_is_restored_is_what_was_there(snapshot, restores, admin, tmp_path):
    shown = []
    count = await restores.run(admin, snapshot, tmp_path / "back", progress=lambda *seen: shown.append(seen))
    data, back = files(tmp_path / "data"), files(tmp_path / "back")
    assert {name: octets for name, octets in data.items() if octets} == {k: v for k, v in back.items() if v}
    assert shown[-1][0] == shown[-1][1] == snapshot.size_octets
    assert count == len(snapshot.files)
    assert snapshot.secrets == {"master.key": MASTER}


async def test_attack_105_nothing_of_it_can_be_read_by_others(snapshot, tmp_path):
    said = b"".join(path.read_bytes() for path in objects(tmp_path, "."))
    for clear in (b"alice", b"SQLite format", b"BEGIN", MASTER, b"mailstead wrapped key", b"directory"):
        assert clear not in said


async def test_what_has_not_changed_is_not_sent_again(backups, alice, accounts, admin, clock, stores, monkeypatch):
    monkeypatch.setattr("mailstead.storage.embedded.snapshots.UNSURE_S", -1e10)  # the test's clock is in the past
    first = await backups.run(admin)
    second = await backups.run(admin)
    assert (first.unchanged_count, second.unchanged_count, second.sent_octets) == (0, first.file_count, 0)
    await accounts.set_quota(admin, Address.parse("alice@example.test"), 12345678)
    third = await backups.run(admin)
    assert 0 < third.file_count - third.unchanged_count <= 2
    assert 0 < third.sent_octets < first.sent_octets


async def test_attack_105_a_chunk_that_an_intruder_has_removed_is_sent_again(
    backups, alice, admin, tmp_path, monkeypatch, restores
):
    monkeypatch.setattr("mailstead.storage.embedded.snapshots.UNSURE_S", -1e10)
    await backups.run(admin)
    objects(tmp_path, "chunks")[0].unlink()
    again = await backups.run(admin)
    assert again.sent_octets > 0
    await restores.run(admin, await restores.pick(admin), tmp_path / "back")


async def test_accounts_that_come_and_go_meanwhile(
    backups, restores, accounts, alice, admin, stores, tmp_path, monkeypatch
):
    pieces, done = stores.pieces, []

    def meanwhile(name, size):
        if name.startswith("accounts/") and not done:
            done.append(name)
            raise backups_module.NoSuchStore(name)
        return pieces(name, size)

    monkeypatch.setattr(stores, "pieces", meanwhile)
    await backups.run(admin)
    found = await restores.pick(admin)
    names = [file.name for file in found.files]
    assert done[0] in names
    assert names.index("directory.db") > names.index("queue.db")  # copied again, as it spoke of what had gone


async def test_a_damaged_store_does_not_keep_the_others_from_being_copied(backups, restores, alice, admin, tmp_path):
    first = await backups.run(admin)
    whole = await restores.pick(admin)
    name = f"accounts/{alice.account_id[:2]}/{alice.account_id}.db"
    (tmp_path / "data" / name).write_bytes(b"x" * 50_000)
    kept = {each: (tmp_path / "data" / f"{name}{each}") for each in ("-wal", "-shm")}
    for path in kept.values():
        path.unlink(missing_ok=True)
    report = await backups.run(admin)
    assert (report.damaged, report.file_count) == ((name,), first.file_count)
    found = await restores.pick(admin)
    assert [each for each in found.files if each.name == name] == [each for each in whole.files if each.name == name]
    (tmp_path / "data" / name).unlink()  # the fixture looks all stores over in the end
    await restores.run(admin, found, tmp_path / "back", wants=lambda each: each == name)
    (tmp_path / "back" / name).rename(tmp_path / "data" / name)
    if (tmp_path / "back" / f"{name}-wal").exists():
        (tmp_path / "back" / f"{name}-wal").rename(tmp_path / "data" / f"{name}-wal")


async def test_what_is_looked_at_in_several_turns_is_told_once(backups, alice, admin, stores, monkeypatch):
    names, pieces = stores.names, stores.pieces

    def damaged(name, size):
        if name == "directory.db":
            raise StoreDamaged("The store cannot be decrypted")
        return pieces(name, size)

    monkeypatch.setattr(stores, "pieces", damaged)
    monkeypatch.setattr(stores, "names", lambda: [*names(), "accounts/ab/gone.db"])  # listed, and gone, each time
    assert (await backups.run(admin)).damaged == ("directory.db",)


async def test_another_key_is_refused_by_all_verbs(snapshot, stores, place, clock, admin):
    other = Vault(place, bytes(32))
    for verb in (Backups(stores, other, clock, "1").run(admin), Backups(stores, other, clock, "1").list(admin),
                 Backups(stores, other, clock, "1").prune(admin, Retention()), Restores(other).pick(admin)):  # fmt: skip
        with pytest.raises(BadBackup, match="backup key is not the one"):
            await verb


@pytest.mark.parametrize(
    "damage", [lambda octets: octets[:-1] + bytes([octets[-1] ^ 1]), lambda octets: octets[:20], lambda _: b""]
)
@pytest.mark.parametrize("kind", ["chunks", "snapshots"])
async def test_attack_105_what_was_changed_or_cut_short_is_named(snapshot, restores, admin, tmp_path, damage, kind):
    path = objects(tmp_path, kind)[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BadBackup, match=path.name):
        await restores.run(admin, await restores.pick(admin), tmp_path / "back")


async def test_attack_105_one_object_does_not_stand_for_another(snapshot, restores, admin, tmp_path):
    first, second = objects(tmp_path, "chunks")[:2]
    first.write_bytes(second.read_bytes())
    with pytest.raises(BadBackup, match=first.name):
        await restores.run(admin, snapshot, tmp_path / "back")


async def test_what_is_missing_is_named_and_the_restore_can_go_on_later(snapshot, restores, admin, tmp_path):
    path = objects(tmp_path, "chunks")[0]
    kept = path.read_bytes()
    path.unlink()
    with pytest.raises(BadBackup, match=f"{path.name} is missing"):
        await restores.run(admin, snapshot, tmp_path / "back")
    assert (tmp_path / "back" / "restore.unfinished").exists()
    path.write_bytes(kept)
    await restores.run(admin, snapshot, tmp_path / "back")
    assert not (tmp_path / "back" / "restore.unfinished").exists()


async def test_a_folder_in_use_is_left_alone(snapshot, restores, admin, tmp_path):
    before = files(tmp_path / "data")
    with pytest.raises(BadBackup, match="not empty"):
        await restores.run(admin, snapshot, tmp_path / "data")
    assert files(tmp_path / "data") == before


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("../../evil", ""),
        ("accounts/../../evil", ""),
        ("/etc/cron.d/evil", ""),
        ("accounts//evil", ""),
        ("accounts/./evil", ""),
        ("..", ""),
        ("", ""),
        ("queue.db", "/../../evil"),
        ("queue.db", "-shm"),
        ("queue.db\0", ""),
    ],
)
async def test_attack_106_a_name_that_no_backup_of_ours_gives_is_refused(
    snapshot, restores, admin, tmp_path, name, suffix
):
    before = sorted(tmp_path.rglob("*"))
    [part, *_] = next(file.parts for file in snapshot.files if file.parts)
    evil = msgspec.structs.replace(
        snapshot, files=(StoredFile(name, "", (msgspec.structs.replace(part, suffix=suffix),)),)
    )
    with pytest.raises(BadBackup, match="none of ours"):
        await restores.run(admin, evil, tmp_path / "back")
    assert sorted(set(tmp_path.rglob("*")) - set(before)) == [
        tmp_path / "back",
        tmp_path / "back" / "restore.unfinished",
    ]


@pytest.mark.parametrize("kind", ["symlink", "hard link", "fifo"])
async def test_attack_106_what_lies_in_the_way_is_replaced_and_not_written_through(
    snapshot, restores, admin, tmp_path, kind
):
    """Somebody has put it into the folder of a restore that did not come to its end."""
    back, outside = tmp_path / "back", tmp_path / "outside"
    back.mkdir()
    (back / "restore.unfinished").touch()
    outside.write_text("mine")
    if kind == "symlink":
        (back / "queue.db").symlink_to(outside)
    elif kind == "hard link":
        (back / "queue.db").hardlink_to(outside)
    else:
        os.mkfifo(back / "queue.db")
    await restores.run(admin, snapshot, back)
    assert outside.read_text() == "mine"
    assert stat.S_ISREG((back / "queue.db").lstat().st_mode)
    assert (back / "queue.db").stat().st_nlink == 1
    assert (back / "queue.db").read_bytes() == (tmp_path / "data" / "queue.db").read_bytes()


async def test_attack_106_a_folder_that_is_a_link_is_refused(snapshot, restores, admin, tmp_path):
    back, outside = tmp_path / "back", tmp_path / "outside"
    back.mkdir()
    outside.mkdir()
    (back / "restore.unfinished").touch()
    (back / "accounts").symlink_to(outside)
    with pytest.raises(BadBackup, match="leads outside"):
        await restores.run(admin, snapshot, back)
    assert list(outside.iterdir()) == []


async def test_attack_105_an_intruder_with_the_machine_s_rights_removes_nothing_that_is_locked(
    backups, restores, alice, admin, clock, place, monkeypatch, tmp_path
):
    """The place refuses (object lock); backups go on, and the old ones are whole."""
    first = (await backups.run(admin)).snapshot
    remove, refused = place.remove, []

    async def locked(names):
        refused.extend(names)
        return len(names)

    monkeypatch.setattr(place, "remove", locked)
    kept = files(tmp_path / "place")
    vault = Vault(place, KEY)
    assert await vault.remove([*await vault.chunk_names(), f"snapshots/{first}", "vault"]) == len(refused) > 2
    assert files(tmp_path / "place") == kept
    clock.passed_s += 86400
    second = (await backups.run(admin)).snapshot
    for name in (first, second):
        await restores.run(admin, await restores.pick(admin, name), tmp_path / name)
    monkeypatch.setattr(place, "remove", remove)
    assert (await backups.prune(admin, Retention(1, 0, 0))).removed == (first,), "once the lock has run out"


async def test_snapshots_are_picked_by_name_and_time(backups, restores, alice, admin, clock):
    names = []
    for _ in range(3):
        names.append((await backups.run(admin)).snapshot)
        clock.passed_s += 86400
    assert await backups.list(admin) == names
    assert (await restores.pick(admin)).name == names[2]
    assert (await restores.pick(admin, names[0])).name == names[0]
    middle = (await restores.pick(admin, names[1])).made_at
    assert (await restores.pick(admin, at=middle)).name == names[1]
    for arguments in ({"name": "nothing"}, {"at": middle.replace(year=2000)}):
        with pytest.raises(BadBackup, match=f"the oldest is {names[0]}"):
            await restores.pick(admin, **arguments)


async def test_pruning_leaves_what_stays_whole(backups, restores, accounts, alice, admin, clock, tmp_path):
    for number in range(4):
        await accounts.set_quota(admin, Address.parse("alice@example.test"), 1000 + number)
        await backups.run(admin)
        clock.passed_s += 2 * 86400
    before = len(objects(tmp_path, "chunks"))
    report = await backups.prune(admin, Retention(2, 0, 0))
    assert (len(report.removed), report.locked_count) == (2, 0)
    assert len(objects(tmp_path, "chunks")) == before - report.chunk_count < before
    for name in await backups.list(admin):
        await restores.run(admin, await restores.pick(admin, name), tmp_path / name)


async def test_attack_105_objects_that_are_locked_stay_with_all_they_need(
    backups, restores, alice, admin, clock, place, monkeypatch, tmp_path
):
    for _ in range(2):
        await backups.run(admin)
        clock.passed_s += 2 * 86400

    async def locked(names):
        return len(names)

    monkeypatch.setattr(place, "remove", locked)
    report = await backups.prune(admin, Retention(1, 0, 0))
    assert (report.locked_count, report.chunk_count) == (1, 0)
    await restores.run(admin, await restores.pick(admin, report.removed[0]), tmp_path / "back")


async def test_a_place_that_fails_leaves_no_snapshot(backups, restores, alice, admin, place, monkeypatch):
    await backups.run(admin)
    put = place.put

    async def failing(name, octets):
        if name.startswith("chunks/"):
            raise BackupFailed("the disk is full")
        await put(name, octets)

    before = await backups.list(admin)
    monkeypatch.setattr(place, "put", failing)
    monkeypatch.setattr(place, "names", lambda prefix: _none(prefix, place))
    with pytest.raises(BackupFailed, match="disk is full"):
        await backups.run(admin)
    monkeypatch.undo()
    assert await backups.list(admin) == before


async def _none(prefix, place):
    """The place says that no chunk is there, so all are sent."""
    return {} if prefix.startswith("chunks") else await FolderObjects.names(place, prefix)


async def test_a_vault_that_lost_its_mark_is_not_begun_anew(snapshot, backups, admin, tmp_path):
    (tmp_path / "place" / "vault").unlink()
    with pytest.raises(BadBackup, match="vault is missing"):
        await backups.run(admin)
    (tmp_path / "place" / "vault").write_text('{"format": 2}')
    with pytest.raises(BadBackup, match="newer release"):
        await backups.run(admin)
    (tmp_path / "place" / "vault").write_text("x")
    with pytest.raises(BadBackup, match="damaged"):
        await backups.run(admin)


async def test_only_administrators(backups, restores, snapshot, tmp_path):
    nobody = Actor(None, None)
    for verb in (backups.run(nobody), backups.list(nobody), backups.prune(nobody, Retention()), restores.pick(nobody),
                 restores.run(nobody, snapshot, tmp_path / "back")):  # fmt: skip
        with pytest.raises(NotAllowed):
            await verb


def test_a_key_is_read_as_people_type_it():
    text = key_text(KEY)
    assert key_of(text) == key_of(text.lower().replace("-", " ")) == KEY
    assert key_of(text.replace("I", "1").replace("O", "0").replace("B", "8")) == KEY
    for wrong in ("", "x", text[:-2], text.replace("A", "C", 1), text + "AAAA"):
        with pytest.raises(BadSettings, match="group by group"):
            key_of(wrong)


async def test_an_account_is_brought_back_with_its_password(accounts, alice, storage, admin, peer):
    address = Address.parse("alice@example.test")
    credentials = await storage.directory.credentials(address)
    await accounts.remove(admin, address)
    await accounts.bring_back(admin, credentials)
    actor = await accounts.log_in("alice@example.test", Secret("pw-never-in-a-log-alice"), peer, "imap")
    assert actor.account_id != alice.account_id
