"""Aliases that get a mailbox and lose it, and passwords of catch-alls, through the command line."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app

PASSWORD = "pw-never-in-a-log 1"
SALES = "sales@example.test"


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
    return call


def test_an_alias_gets_a_mailbox_and_loses_it(run):
    run("alias", "create", SALES, "a@example.org")
    assert run("alias", "into-account", SALES, "--json") == {"account": SALES}
    [account] = run("account", "list", "--json")
    assert (account["account"], account["forward_to"]) == (SALES, ["a@example.org"])
    assert run("alias", "list", "--json") == []
    run("account", "password", SALES, "--password-stdin", stdin=PASSWORD + "\n")
    run("account", "into-alias", SALES, "b@example.org")
    [alias] = run("alias", "list", "--json")
    assert (alias["alias"], alias["targets"]) == (SALES, ["b@example.org"])
    run("alias", "into-account", "nobody@example.test", code=67)


def test_passwords_of_catch_alls(run):
    made = run("domain", "catch-all-password", "add", "example.test", "--description", "shop", "--json")
    assert (made["username"], made["description"]) == ("*@example.test", "shop")
    chosen = run("domain", "catch-all-password", "add", "example.test", "--password-stdin", stdin=PASSWORD + "\n")
    assert "not shown again" in chosen.stdout
    listed = run("domain", "catch-all-password", "list", "example.test", "--json")
    assert {one["description"] for one in listed} == {"shop", ""}  # both made within one second: in any order
    assert all("password" not in one for one in listed)
    run("domain", "catch-all-password", "remove", "example.test", made["id"])
    assert len(run("domain", "catch-all-password", "list", "example.test", "--json")) == 1
    run("domain", "catch-all-password", "remove", "example.test", made["id"], code=67)
    run("domain", "catch-all-password", "add", "nowhere.test", code=67)
