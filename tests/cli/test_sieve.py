"""`mailstead sieve` and `mailstead vacation`, through the door that people use."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app

PASSWORD = "pw-never-in-a-log 1"
ALICE = "alice@example.test"
SCRIPT = 'require "fileinto";\nif header :contains "Subject" "invoice" { fileinto "Archive"; }\n'


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


def test_the_life_of_a_script(run, tmp_path):
    (tmp_path / "mine.sieve").write_text(SCRIPT)
    assert "(none)" in run("sieve", "list", ALICE).stdout
    assert "is good" in run("sieve", "check", ALICE, "mine.sieve").stdout
    assert "active" in run("sieve", "put", ALICE, "mine", "mine.sieve", "--activate").stdout
    run("sieve", "put", ALICE, "other", "-", stdin="keep;")
    assert run("sieve", "list", ALICE, "--json") == [
        {"script": "mine", "octets": len(SCRIPT), "is_active": True},
        {"script": "other", "octets": 5, "is_active": False},
    ]
    assert run("sieve", "show", ALICE, "mine").stdout == SCRIPT
    assert "sieve deactivate" in run("sieve", "delete", ALICE, "mine", code=77).stderr
    run("sieve", "rename", ALICE, "mine", "first")
    run("sieve", "rename", ALICE, "first", "other", code=73)
    run("sieve", "activate", ALICE, "other")
    run("sieve", "deactivate", ALICE)
    run("sieve", "delete", ALICE, "other")
    assert [one["script"] for one in run("sieve", "list", ALICE, "--json")] == ["first"]
    assert "sieve list" in run("sieve", "show", ALICE, "mine", code=67).stderr


def test_what_is_wrong_is_said_with_its_place(run, tmp_path):
    (tmp_path / "bad.sieve").write_text("keep;\nnonsense;\n")
    for words in (("check", ALICE, "bad.sieve"), ("put", ALICE, "bad", "bad.sieve"), ("dry-run", ALICE, "bad.sieve")):
        assert "line 2" in run("sieve", *words, code=65).stderr
    assert "cannot be read" in run("sieve", "check", ALICE, "nowhere.sieve", code=65).stderr
    run("sieve", "list", "nobody@example.test", code=67)
    run("sieve", "put", ALICE, "a\nb", "-", stdin="keep;", code=65)


def test_a_dry_run_shows_what_would_move(run, tmp_path):
    folder = tmp_path / "eml"
    folder.mkdir()
    for number, subject in enumerate(("invoice 1", "hello", "an invoice")):
        (folder / f"{number}.eml").write_text(f"From: x@y.test\nSubject: {subject}\n\nx\n")
    run("import", ALICE, folder)
    (tmp_path / "mine.sieve").write_text(SCRIPT)
    shown = run("sieve", "dry-run", ALICE, "mine.sieve").stdout
    assert "an invoice" in shown
    assert "hello" not in shown
    assert "3 messages tried; 1 would stay" in shown
    found = run("sieve", "dry-run", ALICE, "mine.sieve", "--all", "--json")
    assert sorted(one["mailbox"] for one in found) == ["Archive", "Archive", "INBOX"]
    assert run("sieve", "list", ALICE, "--json") == []


def test_a_vacation_is_set_shown_and_switched_off(run, tmp_path):
    assert run("vacation", "show", ALICE, "--json") == {"is_enabled": False}
    run("vacation", "set", ALICE, "--message", "I am away", "--subject", "Gone", "--end", "2030-01-07")
    shown = run("vacation", "show", ALICE).stdout
    assert "I am away" in shown
    assert "2030-01-07 00:00 UTC" in shown
    (tmp_path / "message").write_text("Bin weg\nGrüße", encoding="utf-8")
    run("vacation", "set", ALICE, "--message-file", "message", "--start", "2030-01-01T12:00+02:00")
    assert run("vacation", "show", ALICE, "--json") == {
        "is_enabled": True,
        "start": "2030-01-01T10:00:00+00:00",
        "end": None,
        "subject": "",
        "message": "Bin weg\nGrüße",
    }
    assert "off" in run("vacation", "off", ALICE).stdout
    assert "Off" in run("vacation", "show", ALICE).stdout
    assert "empty" in run("vacation", "set", ALICE, code=65).stderr
    assert "--start" in run("vacation", "set", ALICE, "--message", "x", "--start", "soon", code=65).stderr
    assert "cannot be read" in run("vacation", "set", ALICE, "--message-file", "nowhere", code=65).stderr
