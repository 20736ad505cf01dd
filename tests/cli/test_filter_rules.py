"""`mailstead filter`, through the door that people use."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app

PASSWORD = "pw-never-in-a-log 1"
ALICE = "alice@example.test"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in a house with one account."""
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


def texts(shown):
    return [one["text"] for one in shown]


def test_the_life_of_rules(run):
    assert "(none)" in run("filter", "list", ALICE).stdout
    run(
        "filter",
        "add",
        ALICE,
        "--name",
        "Bills",
        "--subject",
        "bill",
        "--subject",
        "invoice",
        "--into",
        "Bills",
        "--read",
    )
    words = "--from", "a@x.test", "--to", ALICE, "--larger-than", "1024", "--with-attachment", "--any", "--discard"
    run("filter", "add", ALICE, *words, "--header", "X-Mailer: robot", "--stop")
    run(
        "filter",
        "add",
        ALICE,
        "--list",
        "dev",
        "--body",
        "hi",
        "--copy-into",
        "Dev",
        "--label",
        "dev",
        "--flag",
        "--at",
        1,
    )
    shown = run("filter", "list", ALICE, "--json")
    assert texts(shown) == [
        (
            "If List-Id contains “dev” and the text contains “hi”:"
            " marks it as flagged and gives it the label dev, copies it into Dev, which is made if need be"
        ),
        "If Subject contains “bill” or “invoice”: marks it as read, files it into Bills, which is made if need be",
        (
            "If the address in From is “a@x.test” or the address in To or Cc is “alice@example.test” or x-mailer contains"
            " “robot” or it is larger than 1 KiB or it has an attachment: throws it away, goes no further"
        ),
    ]
    assert "off" in run("filter", "off", ALICE, 2).stdout
    run("filter", "move", ALICE, 3, 1)
    shown = run("filter", "list", ALICE, "--json")
    assert [(one["name"], one["is_on"]) for one in shown] == [("", True), ("", True), ("Bills", False)]
    run("filter", "on", ALICE, 3)
    run("filter", "delete", ALICE, 1)
    run("filter", "delete", ALICE, 1)
    assert texts(run("filter", "list", ALICE, "--json"))[0].startswith("If Subject")
    assert "# rule:[Bills]" in run("sieve", "show", ALICE, "filters").stdout


def test_what_is_wrong_is_said(run, tmp_path):
    assert "give it an action" in run("filter", "add", ALICE, "--subject", "x", code=65).stderr
    assert "cannot be an address" in run("filter", "add", ALICE, "--redirect", "x", code=65).stderr
    assert "cannot be the name" in run("filter", "add", ALICE, "--header", ": x", "--discard", code=65).stderr
    assert "no entry 1" in run("filter", "off", ALICE, 1, code=65).stderr
    run("sieve", "put", ALICE, "mine", "-", "--activate", stdin="keep;")
    assert "no simple rule" in run("filter", "off", ALICE, 1, code=65).stderr
    assert "sieve show" in run("filter", "list", ALICE).stdout
    run("filter", "list", "nobody@example.test", code=67)


def test_a_dry_run_says_why(run, tmp_path):
    folder = tmp_path / "eml"
    folder.mkdir()
    for number, subject in enumerate(("invoice 1", "hello")):
        (folder / f"{number}.eml").write_text(f"From: x@y.test\nSubject: {subject}\n\nx\n")
    run("import", ALICE, folder)
    run("filter", "add", ALICE, "--name", "Bills", "--subject", "invoice", "--reject", "No, thanks")
    found = {one["subject"]: one for one in run("filter", "dry-run", ALICE, "--json")}
    assert found["invoice 1"]["does"] == ["is rejected"]
    assert "because Subject contains “invoice”" in found["invoice 1"]["reasons"][0]
    assert found["hello"] == found["hello"] | {"does": ["stays in INBOX"], "reasons": [], "mailboxes": ["INBOX"]}
    assert "no rule holds" in run("filter", "dry-run", ALICE, "--limit", 5).stdout
