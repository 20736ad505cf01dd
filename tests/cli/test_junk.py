"""The commands `junk` and `alias bounces`."""

import asyncio
import json
import os

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.wiring.house import open_house

PASSWORD = "pw-never-in-a-log 1"
ALICE = "alice@example.test"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
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


def message(word, number):
    return (
        f"From: {word}@{word}.example\nSubject: {word} {number}\nMessage-ID: <{word}{number}@x>\n"
        f"Date: Thu, 01 Jan 2026 10:00:00 +0100\n\n{word} {word}thing {word}ness\n"
    )


def test_the_filter_learns_from_what_is_put_into_junk_and_explains(run, tmp_path):
    assert run("--json", "junk", "status", ALICE) == {"good": 0, "junk": 0}
    assert "no longer there" in run("junk", "explain", ALICE, "--uid", 1, "--mailbox", "INBOX", code=67).output
    folder = tmp_path / "mails"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.eml").write_text(message("casino", number))
    run("import", ALICE, folder, "--mailbox", "Junk")
    assert run("--json", "junk", "status", ALICE) == {"good": 0, "junk": 6}
    assert run("--json", "junk", "explain", ALICE, "--uid", 1)["probability"] is None


def test_lists_of_senders(run):
    assert run("--json", "junk", "allow", ALICE) == []
    assert run("--json", "junk", "allow", ALICE, "friends.example", "192.0.2.0/24") == [
        "192.0.2.0/24",
        "friends.example",
    ]
    assert run("--json", "junk", "deny", ALICE, "casino.example") == ["casino.example"]
    assert run("--json", "junk", "allow", ALICE, "192.0.2.0/24", "--remove") == ["friends.example"]
    assert "no entry of a list" in run("junk", "deny", ALICE, "not an entry", code=78).output
    assert run("--json", "junk", "deny", ALICE) == ["casino.example"]
    run("junk", "allow", "nobody@example.test", "x.example", code=67)


def test_bounces_of_an_alias_are_shown(run):
    run("alias", "create", "sales@example.test", "x@elsewhere.test")
    assert run("--json", "alias", "bounces", "sales@example.test") == []

    async def fail():
        async with open_house(load(None, os.environ).settings) as house:
            await house.bounces.failed(Address.parse("sales@example.test"), "x@elsewhere.test", "5.1.1", "No such user")

    asyncio.run(fail())
    (bounce,) = run("--json", "alias", "bounces", "sales@example.test")
    assert bounce["target"] == "x@elsewhere.test"
    assert bounce["status"] == "5.1.1"
    assert "No such user" in run("alias", "bounces", "sales@example.test").output
