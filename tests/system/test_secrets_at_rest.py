"""Rows 109 and 110: what other users of the machine can read, and where keys and passwords show up.

The process has the worst umask there is, so every mode that is right was set by us.
"""

import os
import re
import stat

import pytest

from mailstead.config.schema import entries
from system.server import ALICE, DOMAIN, PASSWORD, Server, free_ports
from system.wire import deliver, imap, mx

pytestmark = pytest.mark.full

PUBLIC = {"certificate.pem", "log", "log.rotated"}
"""A certificate is shown to everybody; the log is what this test itself has opened for the process."""


@pytest.fixture
def careless():
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
def server(tmp_path, careless):
    [web] = free_ports(1)
    (tmp_path / "temporary").mkdir(mode=0o777)
    made = Server(
        tmp_path,
        {
            "TMPDIR": str(tmp_path / "temporary"),
            "MAILSTEAD_BACKUP_TARGET": str(tmp_path / "place"),
            "MAILSTEAD_WEB_LISTEN": f"127.0.0.1:{web}",
            "MAILSTEAD_SERVER_LOG_LEVEL": "debug",
        },
        ["--workers", "2"],
    )
    made.prepare(ALICE)
    made.start()
    yield made
    assert made.stop() == 0


def use(server):
    """Everything that writes: mail in, log-ins, backup, drill, export, restore of one account."""
    client = mx(server)
    for number in range(5):
        octets = b"From: x@elsewhere.test\r\nSubject: %d\r\n\r\n" % number + b"long " * 20_000
        assert deliver(client, ALICE, octets).startswith("250 ")
    client.close()
    reader = imap(server, ALICE)
    assert b" OK " in reader.append(b"Subject: own\r\n\r\n" + b"x" * 300_000)
    assert b" OK " in reader.imap("SEARCH TEXT long")[-1]
    for words in (["backup"], ["backup", "drill"], ["restore", "--account", ALICE], ["certificate", "show"],
                  ["dkim", "list", DOMAIN], ["check"]):  # fmt: skip
        server.run(*words)
    return reader


def readable(folder):
    """Give what others may read, write or enter, below `folder`: each by its own mode, though the folder is closed, too."""
    found = []
    for at, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(at, name)
            status = os.lstat(path)
            if not stat.S_ISLNK(status.st_mode) and status.st_mode & 0o077 and name not in PUBLIC:
                found.append(f"{stat.filemode(status.st_mode)} {os.path.relpath(path, folder)}")
    return found


def test_attack_109_other_users_of_the_machine_can_read_and_call_nothing(server, tmp_path):
    """While it runs, with everything that it has written: stores, sockets, keys, backups, temporary files."""
    reader = use(server)
    found = readable(tmp_path / "data")
    assert found == []
    beside = [path for path in tmp_path.iterdir() if path.name not in {"temporary", *PUBLIC}]
    assert {path.name for path in beside} >= {"data", "data.master.key", "data.backup.key", "place"}
    assert {path.name: stat.filemode(path.stat().st_mode) for path in beside if path.stat().st_mode & 0o077} == {}
    assert readable(tmp_path / "place") == []
    assert readable(tmp_path / "temporary") == []
    brought_back = Server(tmp_path / "temporary", {"MAILSTEAD_BACKUP_TARGET": str(tmp_path / "place")})
    brought_back.run("restore", "--key-stdin", stdin=(tmp_path / "data.backup.key").read_text())
    assert readable(tmp_path / "temporary") == []
    sockets = [path for path in tmp_path.rglob("*") if path.is_socket()]
    assert len(sockets) == 2, "each worker has one, for wake-ups"
    for path in sockets:
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0
    reader.close()


def test_attack_110_keys_and_passwords_are_in_no_log_and_no_answer(server, tmp_path):
    """Each key that is anywhere on the disk in clear is looked for in the log (debug) and in what commands print."""
    reader = use(server)
    reader.imap(f'LOGIN {ALICE} "wrong-{PASSWORD}"')
    reader.close()
    answers = [server.run("config", "show"), server.run("--json", "config", "show"), server.run("queue", "list")]
    answers += [server.run("--json", "certificate", "show"), server.run("--json", "dkim", "list", DOMAIN)]
    secrets = [PASSWORD, (tmp_path / "data.master.key").read_text().strip()]
    secrets.append((tmp_path / "data.backup.key").read_text().strip())
    for path in (tmp_path / "data" / "tls").rglob("*key*.pem"):
        secrets += path.read_text().splitlines()[1:-1]
    assert len(secrets) > 4
    for secret in secrets:
        for text in (server.log(), *answers):
            assert secret not in text
    assert "PRIVATE KEY" not in "".join([server.log(), *answers])
    assert "Traceback" not in server.log()


def test_attack_110_no_secret_setting_is_shown_by_any_command(tmp_path):
    """All there are, each with a value of its own, and by the environment of a process that may not even start."""
    secret = {entry.variable: f"never-shown-{number}" for number, entry in enumerate(entries()) if entry.is_secret}
    assert len(secret) > 5
    made = Server(tmp_path, secret)
    for words in (["config", "show"], ["--json", "config", "show"]):
        text = made.run(*words)
        assert "never-shown" not in text
        assert len(re.findall("hidden", text)) >= len(secret)
    for words in (["account", "list"], ["backup"], ["serve"]):
        done = made.complete(*words)
        assert done.returncode != 0
        assert "never-shown" not in done.stdout + done.stderr, words
