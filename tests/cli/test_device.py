"""`mailstead account device`: what a device is set up with, by the command line."""

import json
import plistlib

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app

PASSWORD = "pw-never-in-a-log 1"
ALICE = "alice@example.test"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mx.example.test")
    monkeypatch.setenv("MAILSTEAD_IMAP_LISTEN_TLS", ":993")
    monkeypatch.setenv("MAILSTEAD_SUBMISSION_LISTEN_TLS", ":465")
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, stdin=None):
        result = CliRunner().invoke(app, [str(word) for word in words], input=stdin)
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return json.loads(result.stdout) if "--json" in words and code == 0 else result

    call("init", "--domain", "example.test")
    call("account", "add", ALICE, "--password-stdin", stdin=PASSWORD + "\n")
    return call


def test_a_device_is_set_up(run):
    made = run("account", "device", "add", ALICE, "phone", "--name", "Alice", "--json")
    assert made["link"].startswith("https://mx.example.test")
    assert list(made["codes"]) == ["apple", "delta chat", "thunderbird", "imap", "mailto"]
    assert json.loads(made["codes"]["thunderbird"])[2][-1] == made["password"]
    (listed,) = run("account", "app-password", "list", ALICE, "--json")
    assert (listed["app_password"], listed["label"]) == (made["app_password"], "phone")
    assert listed["scopes"] == ["dav", "imap", "smtp"]
    told = run("account", "device", "add", ALICE, "tablet").stdout
    assert "not shown again" in told
    assert "works once, until" in told
    run("account", "device", "add", "nobody@example.test", "phone", code=67)
    run("account", "device", "add", ALICE, "", code=65)


def test_a_profile_is_written(run, tmp_path):
    made = run("account", "device", "profile", ALICE, "mail.mobileconfig", "--json")
    assert made == {"file": "mail.mobileconfig", "is_signed": False}
    found = plistlib.loads((tmp_path / "mail.mobileconfig").read_bytes())
    assert "mail" in found["PayloadContent"][0]["PayloadType"]
    assert "IncomingPassword" not in found["PayloadContent"][0]
    assert "not signed" in run("account", "device", "profile", ALICE, "again.mobileconfig").stdout
    run("account", "device", "profile", "nobody@example.test", "x", code=67)
