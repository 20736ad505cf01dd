"""Every command through the door that people use: success, clear errors, JSON."""

import json

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.cli.errors import EXITS, exit_for
from mailstead.model import errors
from mailstead.ports.storage import Finding

PASSWORD = "pw-never-in-a-log 1"


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
    run("account", "add", "alice@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    return run


def test_init_makes_folder_keys_and_certificate_and_may_run_again(run, tmp_path):
    first = run("--json", "init", "--domain", "example.test")
    assert first["domains"] == ["example.test"]
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "data" / "tls" / "certificate.pem").exists()
    assert run("init", "--json", "--domain", "example.test") == first
    told = run("init").stdout
    assert f"Master key: {first['master_key']}" in told
    assert "whoever loses it loses all mail" in told


def test_init_where_it_may_not(run, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "file" / "data"))
    assert "cannot be made" in run("init", code=78).stderr


@pytest.mark.parametrize("words", [("domain", "list"), ("account", "list"), ("check",)])
def test_without_a_data_folder_nothing_is_made(run, tmp_path, words):
    assert "mailstead init" in run(*words, code=78).stderr
    assert not (tmp_path / "data").exists()


def test_domains(house):
    assert house("domain", "add", "Bücher.example", "--json") == {"domain": "xn--bcher-kva.example"}
    assert [one["domain"] for one in house("domain", "list", "--json")] == ["example.test", "xn--bcher-kva.example"]
    house("domain", "catch-all", "example.test", "alice@example.test")
    assert house("domain", "list", "--json")[0]["catch_all"] == "alice@example.test"
    house("domain", "catch-all", "example.test", "none")
    house("domain", "remove", "xn--bcher-kva.example")
    assert "example.test" in house("domain", "list").stdout
    assert "exists already" in house("domain", "add", "example.test", code=73).stderr
    assert "domain list" in house("domain", "remove", "nope.test", code=67).stderr
    assert "account list" in house("domain", "remove", "example.test", code=77).stderr
    house("domain", "add", "not a domain", code=65)


def test_accounts(house):
    made = house("account", "add", "bob@example.test", "--quota", "5GiB", "--password-stdin", "--json", stdin=PASSWORD)
    assert made["quota_octets"] == 5 * 1024**3
    house("account", "quota", "bob@example.test", "none")
    found = house("account", "list", "--json")
    assert [(one["account"], one["quota_octets"]) for one in found] == [
        ("alice@example.test", None),
        ("bob@example.test", None),
    ]
    house("account", "password", "bob@example.test", "--password-stdin", stdin=PASSWORD + " new\n")
    assert "--yes" in house("account", "remove", "bob@example.test", code=2).stderr
    house("account", "remove", "bob@example.test", "--yes")
    assert [one["account"] for one in house("account", "list", "--domain", "example.test", "--json")] == [
        "alice@example.test"
    ]


@pytest.mark.parametrize(
    ("words", "stdin", "code", "said"),
    [
        (("add", "alice@example.test", "--password-stdin"), PASSWORD, 73, "taken"),
        (("add", "bob@nope.test", "--password-stdin"), PASSWORD, 67, "domain add"),
        (("add", "not-an-address", "--password-stdin"), PASSWORD, 65, "name@domain"),
        (("add", "bob@example.test", "--password-stdin"), "\n", 65, "empty"),
        (("add", "bob@example.test"), None, 65, "--password-stdin"),
        (("add", "bob@example.test", "--quota", "many", "--password-stdin"), PASSWORD, 65, "5GiB"),
        (("password", "nobody@example.test", "--password-stdin"), PASSWORD, 67, "account list"),
        (("remove", "nobody@example.test", "--yes"), None, 67, "No such account"),
        (("quota", "nobody@example.test", "none"), None, 67, "No such account"),
        (("app-password", "add", "nobody@example.test", "phone"), None, 67, "No such account"),
        (("app-password", "add", "alice@example.test", "phone", "--scope", "ftp"), None, 65, "Scopes"),
    ],
)
def test_mistakes_with_accounts(house, words, stdin, code, said):
    assert said in house("account", *words, stdin=stdin, code=code).stderr
    assert json.loads(house("account", "--json", *words, stdin=stdin, code=code).stderr)["error"]


def test_app_passwords(house):
    made = house("account", "app-password", "add", "alice@example.test", "phone", "--scope", "imap", "--json")
    assert made["scopes"] == ["imap"]
    assert len(made["password"]) >= 16
    listed = house("account", "app-password", "list", "alice@example.test", "--json")
    assert [one["label"] for one in listed] == ["phone"]
    assert made["password"] not in json.dumps(listed)
    assert "phone" in house("account", "app-password", "list", "alice@example.test").stdout
    house("account", "app-password", "remove", "alice@example.test", made["app_password"])
    assert house("account", "app-password", "list", "alice@example.test", "--json") == []


def test_aliases(house):
    made = house("alias", "add", "sales@example.test", "alice@example.test", "--json")
    assert made == {"alias": "sales@example.test", "targets": ["alice@example.test"]}
    assert house("alias", "list", "--json") == [made]
    assert "sales@example.test" in house("alias", "list").stdout
    assert "taken" in house("alias", "add", "sales@example.test", "alice@example.test", code=73).stderr
    house("alias", "add", "x@example.test", "nobody@example.test", code=67)
    house("alias", "remove", "sales@example.test")
    house("alias", "remove", "sales@example.test", code=67)


def test_config(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MAILSTEAD_STORE_MASTER_KEY", "pw-never-in-a-log")
    shown = run("config", "show", "--json")
    assert shown["store.master_key"] == {"value": "(hidden)", "origin": "environment MAILSTEAD_STORE_MASTER_KEY"}
    assert shown["smtp.message_octets_max"]["value"] == 52_428_800
    assert "pw-never" not in run("config", "show").stdout
    (tmp_path / "m.toml").write_text('[server]\nhostname = "mx.example"\n')
    for words in (("--config", "m.toml", "config", "show", "--json"), ("config", "show", "--json", "--config=m.toml")):
        assert run(*words)["server.hostname"] == {"value": "mx.example", "origin": "file m.toml"}
    assert "[server]" in run("config", "example").stdout
    assert "MAILSTEAD_SERVER_HOSTNAME" in run("config", "reference", "--json")["markdown"]
    (tmp_path / "m.toml").write_text("[server]\nhostnam = 1\n")
    assert "did you mean hostname?" in run("config", "show", "--config", "m.toml", code=78).stderr
    assert "cannot be read" in run("config", "show", "--config", "absent", code=78).stderr


def test_import_export_and_check(house, tmp_path):
    (tmp_path / "eml").mkdir()
    (tmp_path / "eml" / "a.eml").write_bytes(b"Subject: a\n\nHello\n")
    (tmp_path / "eml" / "b.eml").write_bytes(b"")
    report = json.loads(house("import", "alice@example.test", "eml", "--json", code=65).stdout)
    assert (report["imported_count"], report["skipped_count"], report["mailboxes"]) == (1, 1, {"INBOX": 1})
    (tmp_path / "eml" / "b.eml").unlink()
    text = house("import", "alice@example.test", "eml", "--mailbox", "Old", "--skip-duplicates")
    assert "1 messages imported" in text.stdout
    assert "Importing: 100 %" in text.stderr
    exported = house("export", "alice@example.test", "out", "--format", "mbox", "--json")
    assert exported["exported_count"] == 2
    assert (tmp_path / "out" / "Old.mbox").read_bytes().endswith(b"\nSubject: a\n\nHello\n\n")
    assert "not empty" in house("export", "alice@example.test", "out", code=77).stderr
    house("export", "alice@example.test", "maildir", "--mailbox", "Old")
    assert house("import", "alice@example.test", "maildir", "--skip-duplicates", "--json")["duplicate_count"] == 1
    assert house("check", "--json") == []
    assert "consistent" in house("check").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("import", "nobody@example.test", "."), 67, "account list"),
        (("import", "alice@example.test", "absent"), 65, "cannot be read"),
        (("import", "alice@example.test", "."), 65, "Maildir"),
        (("import", "alice@example.test", ".", "--format", "pst"), 65, "maildir, mbox, eml"),
        (("import", "alice@example.test", ".", "--mailbox", "a//b"), 65, "empty level"),
        (("export", "alice@example.test", "out", "--format", "pst"), 65, "maildir, mbox"),
        (("export", "alice@example.test", "out", "--mailbox", "Nope"), 67, "no mailbox Nope"),
        (("export", "nobody@example.test", "out"), 67, "account list"),
    ],
)
def test_mistakes_with_import_and_export(house, words, code, said):
    assert said in house(*words, code=code).stderr


def test_check_ends_with_1_when_something_is_wrong(house, monkeypatch):
    from mailstead.storage.embedded.storage import EmbeddedStorage

    async def findings(self):
        yield Finding(None, "uidnext is wrong")

    monkeypatch.setattr(EmbeddedStorage, "check", findings)
    assert "uidnext is wrong" in house("check", code=1).stdout
    assert json.loads(house("check", "--json", code=1).stdout) == [{"account_id": None, "text": "uidnext is wrong"}]


def test_version_help_and_unknown_commands(run):
    assert run("--version").stdout.startswith("mailstead ")
    for words in ((), ("account",), ("account", "app-password"), ("import",)):
        assert "Usage" in run(*words, "--help").stdout
    run("nonsense", code=2)
    run("account", "add", code=2)


def kinds(of=errors.MailsteadError):
    return [of, *(kind for child in of.__subclasses__() for kind in kinds(child))]


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.__module__ == errors.__name__])
def test_every_error_has_its_exit(kind):
    assert kind in EXITS
    assert exit_for(kind()).code not in {0, 1, 2}
