import os

import pytest

from mailstead.model.errors import BackupFailed, BadBackup
from mailstead.storage.objects.folder import FolderObjects


async def test_objects_are_put_listed_given_and_removed(tmp_path):
    objects = FolderObjects(tmp_path / "new" / "place")
    assert await objects.names("") == {}
    await objects.put("chunks/ab/abc", b"one")
    await objects.put("vault", b"two")
    await objects.put("vault", b"three")
    assert await objects.names("") == {"chunks/ab/abc": 3, "vault": 5}
    assert await objects.names("chunks/") == {"chunks/ab/abc": 3}
    assert await objects.names("va") == {"vault": 5}
    assert await objects.get("vault") == b"three"
    assert await objects.remove(["vault", "nothing"]) == 0
    with pytest.raises(BadBackup, match="vault is missing"):
        await objects.get("vault")


async def test_a_place_that_fails_is_named(tmp_path):
    (tmp_path / "file").touch()
    objects = FolderObjects(tmp_path / "file")
    with pytest.raises(BackupFailed, match="cannot be written"):
        await objects.put("x", b"")
    with pytest.raises(BackupFailed, match="cannot be read"):
        await objects.get("x")


async def test_nothing_half_written_stays(tmp_path, monkeypatch):
    objects = FolderObjects(tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupFailed, match="No space left"):
        await objects.put("x", b"abc")
    assert list(tmp_path.iterdir()) == []
