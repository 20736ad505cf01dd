"""Sealing an account from the command line, and everything after that in processes that have nothing open."""

import asyncio
import json
import os

import pytest
from typer.testing import CliRunner

from mailstead.cli import sealed
from mailstead.cli.app import app
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.secret import Secret
from mailstead.usecases.deliveries import Copy
from mailstead.wiring.house import open_house

PASSWORD, NEW = "pw-never-in-a-log 1", "pw-never-in-a-log 2"
ALICE = "alice@example.test"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, lines=()):
        stdin = "".join(f"{line}\n" for line in lines)
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        return json.loads(result.stdout) if "--json" in words and code == 0 else result

    call("init", "--domain", "example.test")
    call("account", "add", ALICE, "--password-stdin", lines=[PASSWORD])
    return call


def test_seal_recover_change_unseal(run):
    key = run("--json", "account", "seal", ALICE, "--yes", "--password-stdin", lines=[PASSWORD])["recovery_key"]
    told = run("--json", "account", "sealed", ALICE)
    assert (told["is_sealed"], told["has_recovery_key"], told["waiting_count"]) == (True, True, 0)
    assert "sealed" in run("account", "list").stdout
    assert "recovery key" in run("account", "password", ALICE, "--password-stdin", code=77, lines=[NEW]).stderr
    run("account", "password", ALICE, "--with-old", "--password-stdin", lines=[PASSWORD, NEW])
    run("account", "recover", ALICE, "--stdin", lines=[key, PASSWORD])
    assert "sealed" in run("account", "app-password", "add", ALICE, "phone", code=77).stderr
    run("account", "app-password", "add", ALICE, "phone", "--password-stdin", lines=[PASSWORD])
    assert run("--json", "account", "sealed", ALICE)["app_password_count"] == 1
    run("account", "unseal", ALICE, "--password-stdin", code=77, lines=[NEW])
    run("account", "unseal", ALICE, "--password-stdin", lines=[PASSWORD])
    assert run("--json", "account", "sealed", ALICE)["is_sealed"] is False
    assert run("check").exit_code == 0


def test_a_new_recovery_key_ends_the_first(run):
    first = run("--json", "account", "seal", ALICE, "--yes", "--password-stdin", lines=[PASSWORD])["recovery_key"]
    shown = run("account", "recovery-key", ALICE, "--yes", "--password-stdin", lines=[PASSWORD]).stdout
    second = shown.partition("Recovery key: ")[2].partition("\n")[0]
    assert "all mail is lost" in shown
    run("account", "recover", ALICE, "--stdin", code=77, lines=[first, NEW])
    run("account", "recover", ALICE, "--stdin", lines=[second, NEW])


def test_nothing_is_sealed_before_the_recovery_key_is_written_down(run):
    assert "--yes" in run("account", "seal", ALICE, "--password-stdin", code=2, lines=[PASSWORD]).stderr
    assert run("--json", "account", "sealed", ALICE)["is_sealed"] is False


def test_what_sealing_means_is_said():
    for word in ("lost the mail", "SCRAM", "App passwords", "waits"):
        assert word in sealed._MEANS


def test_one_sealed_account_is_restored_with_its_password_of_then(run, tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_BACKUP_TARGET", str(tmp_path / "backups"))
    run("account", "seal", ALICE, "--yes", "--password-stdin", lines=[PASSWORD])
    asyncio.run(deliver())
    assert run("--json", "account", "sealed", ALICE)["waiting_count"] == 1
    run("backup")
    asyncio.run(empty())
    run("account", "password", ALICE, "--with-old", "--password-stdin", lines=[PASSWORD, NEW])
    assert "--password-stdin" in run("restore", "--account", ALICE, code=75).stderr
    restored = run("--json", "restore", "--account", ALICE, "--password-stdin", lines=[PASSWORD, NEW])
    assert restored["imported_count"] == 1
    assert (
        run("--json", "restore", "--account", ALICE, "--password-stdin", lines=[PASSWORD, NEW])["imported_count"] == 0
    )


async def deliver():
    async with open_house(load(None, os.environ).settings) as house:
        account = await house.storage.directory.find(Address.parse(ALICE))
        octets = bytearray(b"From: ann@friend.test\r\nMessage-ID: <a@friend.test>\r\nSubject: lost\r\n\r\nx\r\n")
        await house.receptions.deliveries.deliver(octets, [Copy(account.account_id, b"", b"")], None)


async def empty():
    """Take in what waits, and lose it."""
    async with open_house(load(None, os.environ).settings) as house:
        actor = await house.accounts.log_in(ALICE, Secret(PASSWORD), Peer("127.0.0.1", 0), "imap")
        store = house.storage.accounts.of(actor.account_id)
        mailbox = (await store.snapshot("INBOX")).mailbox
        assert mailbox.message_count == 1
        await store.expunge(mailbox.mailbox_id, None, only_deleted=False)
