"""Row 76 on real file systems that are full: the place of backups, the folder of a restore, the folder of certificates.

Each is a small file system in memory, which only root can make. Stores on full disks: `tests/attacks/test_disk_full.py`.
"""

import json
import subprocess

import pytest

from mailstead.net.certificates import make_self_signed, write_whole
from system.neighbours import must_be_root
from system.server import ALICE, Server
from system.wire import deliver, mx

pytestmark = [pytest.mark.full, pytest.mark.timeout(300)]

TEMPORARY, REFUSED = 75, 78


class SmallDisk:
    """A file system of a given size; `fill` leaves so much room, `widen` is what an administrator does."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        self._mount("-t", "tmpfs", "-o", "size=16m,mode=0700", "tmpfs")

    def _mount(self, *words):
        subprocess.run(["mount", *words, str(self.folder)], check=True)

    def fill(self, left_octets):
        """Everything but so much is taken by others."""
        (self.folder / "others").unlink(missing_ok=True)
        with (self.folder / "others").open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space left"):
                while file.write(bytes(4096)):
                    pass
            file.truncate(max(0, file.tell() - left_octets))

    def empty(self):
        (self.folder / "others").unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "-l", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    must_be_root()
    made = SmallDisk(tmp_path / "disk")
    yield made
    made.unmount()


@pytest.fixture
def server(tmp_path, disk):
    folder = tmp_path / "house"
    folder.mkdir()
    made = Server(folder, {"MAILSTEAD_BACKUP_TARGET": str(disk.folder / "place")})
    made.prepare(ALICE)
    made.start()
    client = mx(made)
    for number in range(20):
        assert deliver(client, ALICE, b"From: x@elsewhere.test\r\nSubject: %d\r\n\r\n" % number + b"x" * 9000)[0] == "2"
    client.close()
    yield made
    assert made.stop() == 0
    assert made.check() == []


def test_attack_076_a_full_place_of_backups_keeps_what_it_has_and_recovers(server, disk):
    """Whatever room there is: a backup is there whole, or is not listed, and the one before is whole."""
    first = json.loads(server.run("--json", "backup"))["snapshot"]
    failures = 0
    client = mx(server)
    for number, left_octets in enumerate((0, 8192, 65536, 200_000)):
        assert deliver(client, ALICE, b"From: x@elsewhere.test\r\nSubject: m%d\r\n\r\n" % number + b"y" * 99)[0] == "2"
        disk.fill(left_octets)
        before = json.loads(server.run("--json", "backup", "list"))
        done = server.complete("backup")
        after = json.loads(server.run("--json", "backup", "list"))
        if done.returncode:
            failures += 1
            assert done.returncode == TEMPORARY, done.stderr
            assert "No space left" in done.stderr
            assert after == before
        assert first in after
        assert not [path for path in disk.folder.rglob(".*") if path.is_file()], "half an object is left"
    client.close()
    assert failures, "the disk was never full"
    disk.empty()
    server.run("backup", "drill", first)
    assert json.loads(server.run("--json", "backup"))["file_count"]
    assert json.loads(server.run("--json", "backup", "drill"))["findings"] == []


def test_attack_076_a_restore_into_a_full_folder_is_unfinished_and_goes_on_later(server, disk, tmp_path):
    server.settings["MAILSTEAD_BACKUP_TARGET"] = str(tmp_path / "place")
    server.run("backup")
    key = server.run("backup", "key")
    other = Server(disk.folder, server.settings)
    for left_octets in (0, 16384, 150_000):
        disk.fill(left_octets)
        done = other.complete("restore", "--key-stdin", stdin=key)
        assert done.returncode == TEMPORARY, done.stderr
        assert "No space left" in done.stderr
        if (disk.folder / "data" / "restore.unfinished").exists():
            other.run("account", "list", expect=REFUSED)
    disk.empty()
    restored = json.loads(other.run("--json", "restore", "--key-stdin", stdin=key))
    assert (restored["message_count"], restored["findings"]) == (20, [])
    assert other.check() == []


def test_attack_076_on_a_full_disk_a_certificate_and_its_key_stay_as_they_are(disk):
    certificate, key = disk.folder / "certificate.pem", disk.folder / "key.pem"
    make_self_signed(certificate, key, "localhost")
    before = certificate.read_bytes(), key.read_bytes()
    disk.fill(0)
    for path in (certificate, key):
        with pytest.raises(OSError, match="No space left"):
            write_whole(path, b"x" * 5000, 0o600)
    with pytest.raises(OSError, match="No space left"):
        make_self_signed(certificate, key, "localhost")
    assert (certificate.read_bytes(), key.read_bytes()) == before
    assert sorted(path.name for path in disk.folder.iterdir()) == ["certificate.pem", "key.pem", "others"]
    disk.empty()
    make_self_signed(certificate, key, "localhost")
    assert certificate.read_bytes() != before[0]
