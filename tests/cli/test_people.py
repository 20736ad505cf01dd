"""Users, tokens, members, invitations and the audit log through the command line: success, clear errors, JSON."""

import csv
import io
import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.cli.setup.finish import _make
from mailstead.cli.terminal import Terminal
from mailstead.policy.tokens import is_token

PASSWORD = "pw-never-in-a-log 1"
ALICE, CAROL = "alice@example.test", "carol@elsewhere.test"


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

    return call


@pytest.fixture
def house(run):
    run("init", "--domain", "example.test")
    run("account", "add", ALICE, "--password-stdin", stdin=PASSWORD + "\n")
    run("user", "add", CAROL, "--password-stdin", "--given-name", "Carol", stdin=PASSWORD + "\n")
    return run


def test_users(house):
    made = house("user", "add", ALICE, "--admin", "--json")
    assert (made["user"], made["is_admin"], made["is_account"]) == (ALICE, True, True)
    found = house("user", "list", "--json")
    assert [(one["user"], one["is_account"], one["given_name"]) for one in found] == [
        (ALICE, True, ""),
        (CAROL, False, "Carol"),
    ]
    assert "with a password of his own" in house("user", "list", "--text", "carol").stdout
    assert house("user", "set", CAROL, "--disabled", "--family-name", "C", "--json")["is_enabled"] is False
    assert "disabled" in house("user", "show", CAROL).stdout
    house("user", "password", CAROL, "--password-stdin", stdin=PASSWORD + " new\n")
    assert "--yes" in house("user", "remove", CAROL, code=2).stderr
    house("user", "remove", CAROL, "--yes")
    assert "user list" in house("user", "show", CAROL, code=67).stderr
    assert [one["user"] for one in house("user", "list", "--json")] == [ALICE]


def test_what_users_cannot_be(house):
    house("user", "add", CAROL, "--password-stdin", code=73, stdin=PASSWORD + "\n")
    house("user", "add", "x@elsewhere.test", "--password-stdin", code=65, stdin="short\n")
    house("user", "set", CAROL, code=2)
    house("user", "set", "nobody@elsewhere.test", "--admin", code=67)
    house("user", "set", CAROL, "--admin")
    house("user", "set", CAROL, "--no-admin", code=77)  # the last one


def test_tokens(house):
    made = house("token", "add", CAROL, "script", "--network", "192.0.2.0/24", "--expires", "90d", "--json")
    assert is_token(made["secret"])
    shown = house("token", "list", CAROL)
    assert "192.0.2.0/24" in shown.stdout
    assert made["secret"] not in shown.stdout
    assert [one["token"] for one in house("token", "list", CAROL, "--json")] == [made["token"]]
    assert "not shown again" in house("token", "add", CAROL, "other").stdout
    house("token", "remove", CAROL, made["token"])
    house("token", "remove", CAROL, made["token"], code=67)
    house("token", "remove", CAROL, code=2)
    assert house("token", "remove", CAROL, "--all", "--json")["count"] == 1
    house("token", "add", CAROL, "x", "--network", "here", code=65)
    house("token", "add", "nobody@elsewhere.test", "x", code=67)


def test_members_and_invitations(house):
    assert house("member", "add", "example.test", CAROL, "--admin", "--json")["group"] == "admin"
    assert house("user", "show", CAROL, "--json")["domains"] == {"example.test": "admin"}
    assert [one["user"] for one in house("member", "list", "example.test", "--json")] == [CAROL]
    house("member", "set", "example.test", CAROL, "--no-admin", code=77)  # nobody would look after the domain
    house("user", "add", ALICE, "--admin")
    assert house("member", "set", "example.test", CAROL, "--no-admin", "--json")["group"] == "user"
    house("member", "remove", "example.test", CAROL)
    house("member", "remove", "example.test", CAROL, code=67)
    house("member", "list", "nope.test", code=67)

    invited = house("invite", "add", "example.test", CAROL, "--admin", "--json")
    assert (invited["address"], invited["group"]) == (CAROL, "admin")
    assert invited["is_mailed"] == bool(invited["link"])
    assert CAROL in house("invite", "list", "example.test").stdout
    house("invite", "remove", "example.test", CAROL)
    house("invite", "remove", "example.test", CAROL, code=67)
    assert house("invite", "list", "example.test", "--json") == []


def test_the_audit_log(house):
    house("alias", "add", "info@example.test", ALICE)
    house("token", "add", CAROL, "=1+1")
    found = house("audit", "list", "--json")
    verbs = [(entry["actor"], entry["verb"], entry["object"]) for entry in found["entries"]]
    assert verbs[:2] == [
        ("command line", "token.add", CAROL),
        ("command line", "alias.add", "info@example.test"),
    ]
    assert ("command line", "domain.add", "example.test") in verbs
    assert found["count"] == len(verbs)
    assert house("audit", "list", "--domain", "example.test", "--verb", "alias", "--json")["count"] == 1
    assert house("audit", "list", "--text", "carol", "--limit", "1", "--page", "2", "--json")["count"] >= 2
    house("audit", "list", "--domain", "nope.test", code=67)
    rows = list(csv.reader(io.StringIO(house("audit", "export").stdout)))
    assert rows[0][:4] == ["id", "at", "actor", "peer"]
    assert len(rows) == found["count"] + 1
    assert PASSWORD not in house("audit", "export").stdout


def test_the_first_account_of_a_set_up_looks_after_the_server(run):
    run("init")
    for domain, account in (("example.test", ALICE), ("example.test", ALICE), ("second.test", "bob@second.test")):
        made = Terminal().run(lambda house, of=(domain, account): _make(house, of[0], "mail", of[1]))
        assert str(made.address) == account
    assert [(one["user"], one["is_admin"]) for one in run("user", "list", "--json")] == [(ALICE, True)]
