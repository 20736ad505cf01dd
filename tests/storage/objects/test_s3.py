"""Backups in a bucket: moto's S3 server over HTTP, and our own client of it."""

import subprocess
import time
from pathlib import Path

import httpx2
import pytest

from mailstead.model.errors import BackupFailed, BadBackup
from mailstead.model.secret import Secret
from mailstead.storage.objects.s3 import S3Objects
from system.server import Server, free_ports

pytestmark = pytest.mark.full

MOTO = Path(__file__).resolve().parents[3] / ".test-tools" / "moto" / "bin" / "moto_server"


@pytest.fixture(scope="module")
def endpoint():
    if not MOTO.exists():
        pytest.skip("needs moto: make setup-tools")
    [port] = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [MOTO, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while True:
            try:
                assert httpx2.put(f"{url}/bucket").status_code == 200
                break
            except httpx2.TransportError:
                assert time.monotonic() < end
                time.sleep(0.05)  # it says nowhere that it is ready: the port is asked
        yield url
    finally:
        process.terminate()
        process.wait()


def bucket(endpoint, name="bucket", prefix="a/b"):
    return S3Objects(
        name, prefix, endpoint=endpoint, region="", access_key_id="testing", secret_access_key=Secret("testing")
    )


async def test_objects_are_put_listed_given_and_removed(endpoint):
    objects = bucket(endpoint)
    assert await objects.names("") == {}
    for number in range(3):
        await objects.put(f"chunks/ab/{number}", bytes(600_000))
    await objects.put("vault", b"two")
    await objects.put("vault", b"three")
    assert await objects.names("chunks/") == {f"chunks/ab/{number}": 600_000 for number in range(3)}
    assert await objects.names("va") == {"vault": 5}
    assert await objects.get("vault") == b"three"
    assert await bucket(endpoint, prefix="elsewhere").names("") == {}
    assert await objects.remove(["vault", "nothing", "chunks/ab/1"]) == 0
    assert set(await objects.names("")) == {"chunks/ab/0", "chunks/ab/2"}
    with pytest.raises(BadBackup, match="vault is missing in s3://bucket/a/b"):
        await objects.get("vault")


async def test_a_bucket_that_is_not_there_is_named(endpoint):
    with pytest.raises(BackupFailed, match="s3://nobody"):
        await bucket(endpoint, "nobody").put("x", b"")


def test_a_house_goes_into_a_bucket_and_comes_back(endpoint, tmp_path):
    server = Server(tmp_path)
    server.settings |= {
        "MAILSTEAD_BACKUP_TARGET": "s3://bucket/house",
        "MAILSTEAD_BACKUP_S3_ENDPOINT": endpoint,
        "MAILSTEAD_BACKUP_S3_ACCESS_KEY_ID": "testing",
        "MAILSTEAD_BACKUP_S3_SECRET_ACCESS_KEY": "testing",
    }
    server.prepare("alice@example.test")
    server.run("backup")
    key = server.run("backup", "key")
    (tmp_path / "data").rename(tmp_path / "lost")
    (tmp_path / "data.backup.key").unlink()
    (tmp_path / "data.master.key").unlink()
    assert "1 accounts" in server.run("restore", "--key-stdin", stdin=key)
    assert server.check() == []
    assert "alice@example.test" in server.run("account", "list")
