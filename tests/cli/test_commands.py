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
    made = house("domain", "catch-all", "example.test", "alice@example.test", "x.test", "--json")
    assert made["catch_all"] == ["alice@example.test", "*@x.test"]
    assert house("alias", "list", "--json")[0]["alias"] == "*@example.test"
    house("domain", "catch-all", "example.test", "none")
    assert house("alias", "list", "--json") == []
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
    assert [one["last_log_in"] for one in found] == [None, None]
    assert "Last log-in" in house("account", "list").stdout
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


def test_app_passwords_of_a_network_and_until_a_day(house):
    words = ("account", "app-password", "add", "alice@example.test", "phone")
    made = house(*words, "--network", "192.0.2.7/24", "--network", "2001:DB8::/32", "--expires", "2099-12-31", "--json")
    assert made["networks"] == ["192.0.2.0/24", "2001:db8::/32"]
    assert made["expires_at"].startswith("2099-12-31")
    house(*words, "--expires", "90d")
    listed = house("account", "app-password", "list", "alice@example.test", "--json")
    assert [one["last_used_on"] for one in listed] == [None, None]
    assert "2001:db8::/32" in house("account", "app-password", "list", "alice@example.test").stdout
    assert "run out" in house(*words, "--expires", "2020-01-01", code=65).stderr
    assert "90d" in house(*words, "--expires", "soon", code=65).stderr
    assert "192.0.2.0/24" in house(*words, "--network", "home", code=65).stderr


def test_accounts_are_switched_off_and_on(house):
    assert house("account", "disable", "alice@example.test", "--json")["is_enabled"] is False
    assert "disabled" in house("account", "list").stdout
    house("account", "enable", "alice@example.test")
    assert "disabled" not in house("account", "list").stdout
    house("account", "disable", "nobody@example.test", code=67)


def test_attack_095_second_factors_are_removed_by_who_has_the_machine(house):
    assert house("second-factor", "list", "alice@example.test", "--json") == {"factors": [], "recovery_codes_left": 0}
    assert "--yes" in house("second-factor", "remove", "alice@example.test", code=2).stderr
    assert house("second-factor", "remove", "alice@example.test", "--yes", "--json")["removed_count"] == 0
    house("second-factor", "list", "nobody@example.test", code=67)


def test_sessions_are_shown_and_ended(house):
    assert house("session", "list", "alice@example.test", "--json") == []
    assert house("session", "end", "alice@example.test", "--json")["ended_count"] == 0
    house("session", "list", "nobody@example.test", code=67)


def test_password_cost_is_measured_and_proposed(run, monkeypatch):
    monkeypatch.setattr("mailstead.usecases.passwords.hash_once", lambda cost: None)
    proposed = run("password-cost", "--memory-max-mib", "64", "--json")
    assert (proposed["password_hash_memory_mib"], proposed["password_hash_iterations"]) == (64, 10)
    assert proposed["is_set"] is False
    told = run("password-cost", "--target-ms", "50")
    assert "password_hash_memory_mib = 256" in told.stderr
    monkeypatch.setenv("MAILSTEAD_LIMITS_PASSWORD_HASH_MEMORY_MIB", "10")
    assert "at least 35" in run("domain", "list", code=78).stderr


def test_terms_of_a_domain(house):
    shown = house("domain", "show", "example.test", "--json")["terms"]
    assert (shown["keeps_trace"], shown["webhook_key"]) == (True, "(hidden)")
    assert len(house("domain", "show", "example.test", "--secrets", "--json")["terms"]["webhook_key"]) == 64
    changed = house(
        "domain", "set", "example.test", "keeps_trace=no", "denylist=x.test,192.0.2.0/24", "smarthost=r.test:587",
        "smarthost_username=us", "--smarthost-password-stdin", "--json", stdin=PASSWORD + "\n",
    )["terms"]  # fmt: skip
    assert (changed["keeps_trace"], changed["denylist"]) == (False, ["x.test", "192.0.2.0/24"])
    assert changed["smarthost_password"] == "(hidden)"
    text = house("domain", "show", "example.test").stdout
    assert "Refuse mail in clear text." in text
    assert PASSWORD not in text
    for words, code, said in (
        (("keeps_trac=no",), 78, "did you mean keeps_trace"),
        (("ip_version=5",), 78, "one of auto, 4, 6"),
        (("keeps_trace",), 2, "term=value"),
        ((), 2, "Nothing"),
        (("smarthost_password=x",), 78, "--smarthost-password-stdin"),
    ):
        assert said in house("domain", "set", "example.test", *words, code=code).stderr
    house("domain", "show", "nope.test", code=67)


def test_a_link_that_sets_the_password(house, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mail.example.test")
    made = house("account", "link", "alice@example.test", "--days", "2", "--json")
    assert made["url"].startswith("https://mail.example.test/log-in/")
    assert made["days"] == 2
    monkeypatch.setenv("MAILSTEAD_WEB_LISTEN_TLS", "127.0.0.1:8443")
    told = house("account", "link", "alice@example.test").stdout
    assert told.startswith("https://mail.example.test:8443/log-in/")
    assert "Good for 3 days" in told
    house("account", "link", "nobody@example.test", code=67)


def test_accounts_forward(house):
    house("account", "forward", "alice@example.test", "x@elsewhere.test", "https://h.test/", "--no-copy")
    [shown] = house("account", "list", "--json")
    assert (shown["forward_to"], shown["keeps_copy"]) == (["x@elsewhere.test", "https://h.test/"], False)
    assert "without a copy" in house("account", "list").stdout
    off = house("account", "forward", "alice@example.test", "--off", "--json")
    assert (off["forward_to"], off["keeps_copy"]) == ([], True)
    house("account", "sending-limit", "alice@example.test", "20")
    assert house("account", "list", "--json")[0]["sending_limit"] == 20
    house("account", "sending-limit", "alice@example.test", "default")
    for words, code, said in (
        (("forward", "alice@example.test"), 2, "--off"),
        (("forward", "alice@example.test", "x@y.test", "--off"), 2, "--off"),
        (("forward", "alice@example.test", "nonsense"), 65, "is no target"),
        (("forward", "alice@example.test", "nobody@example.test"), 67, "Nobody here"),
        (("sending-limit", "alice@example.test", "many"), 65, "number"),
        (("sending-limit", "nobody@example.test", "1"), 67, "No such account"),
    ):
        assert said in house("account", *words, code=code).stderr


def test_aliases(house):
    made = house("alias", "create", "sales@example.test", "alice@example.test", "--description", "shop", "--json")
    assert made == {
        "alias": "sales@example.test",
        "targets": ["alice@example.test"],
        "is_enabled": True,
        "disabled_code": 550,
        "expires_at": None,
        "description": "shop",
        "is_masked": False,
    }
    assert house("alias", "list", "--json") == [made]
    assert "sales@example.test" in house("alias", "list").stdout
    assert "taken" in house("alias", "add", "sales@example.test", "alice@example.test", code=73).stderr
    house("alias", "create", "x@example.test", "nobody@example.test", code=67)
    changed = house("alias", "set", "sales@example.test", "x.test", "--expires", "2030-12-30", "--json")
    assert (changed["targets"], changed["expires_at"], changed["description"]) == (
        ["*@x.test"],
        "2030-12-31T00:00:00+00:00",
        "shop",
    )
    assert "until 2030-12-31" in house("alias", "list").stdout
    assert house("alias", "set", "sales@example.test", "--expires", "never", "--json")["expires_at"] is None
    assert "answers 421" in house("alias", "disable", "sales@example.test", "--code", "421").stdout
    assert "off (421)" in house("alias", "list").stdout
    house("alias", "enable", "sales@example.test")
    house("alias", "remove", "sales@example.test")
    house("alias", "remove", "sales@example.test", code=67)
    off = house("alias", "create", "off@example.test", "--disabled", "250", "--expires", "30d", "--json")
    assert (off["is_enabled"], off["disabled_code"], off["targets"]) == (False, 250, [])


def test_patterns_catch_all_and_masks(house):
    house("alias", "create", "/^sales-(.+)$/i@example.test", "$1@x.test", "h.test:2525")
    house("alias", "create", "**@example.test", "alice@example.test")
    masked = house("alias", "mask", "example.test", "alice@example.test", "--description", "shop", "--json")
    assert masked["is_masked"]
    assert [one["alias"] for one in house("alias", "list", "--json")] == [
        "*@example.test",
        "/^sales-(.+)$/@example.test",
        masked["alias"],
    ]
    assert "masked" in house("alias", "list").stdout
    house("alias", "set", "/^sales-(.+)$/@example.test", "--description", "by place")
    house("alias", "remove", "/^sales-(.+)$/@example.test")
    house("alias", "remove", "*@example.test")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("create", "x@example.test"), 65, "at least one target"),
        (("create", "x@example.test", "nonsense"), 65, "is no target"),
        (("create", r"/(a)\1/@example.test", "alice@example.test"), 65, "back references"),
        (("create", "/(a)/@example.test", "$2@x.test"), 65, "asks for $2"),
        (("create", "x@example.test", "alice@example.test", "--disabled", "451"), 65, "250, 421, 550"),
        (("create", "x@example.test", "alice@example.test", "--expires", "soon"), 65, "30d"),
        (("create", "x@example.test", "alice@example.test", "--expires", "99999y"), 65, "30d"),
        (("create", "*@example.test", "alice@example.test", "--disabled", "550"), 65, "remove it"),
        (("create", "x@nope.test", "alice@example.test"), 67, "domain add"),
        (("set", "x@example.test", "alice@example.test"), 67, "alias list"),
        (("mask", "nope.test", "alice@example.test"), 67, "domain add"),
        (("import", "absent.csv"), 65, "cannot be read"),
    ],
)
def test_mistakes_with_aliases(house, words, code, said):
    assert said in house("alias", *words, code=code).stderr


def test_an_address_is_explained(house):
    house("alias", "create", "info@example.test", "alice@example.test", "x@elsewhere.test")
    told = house("alias", "explain", "info+tag@example.test").stdout
    assert "alias info@example.test → alice@example.test, x@elsewhere.test" in told
    assert "goes to mailbox alice@example.test, x@elsewhere.test" in told
    found = house("alias", "explain", "info@example.test", "--json")
    assert found["accounts"] == ["alice@example.test"]
    assert found["forwards"] == [
        {"via": "info@example.test", "target": "x@elsewhere.test", "recipient": "x@elsewhere.test"}
    ]
    assert "nobody has it" in house("alias", "explain", "nobody@example.test", code=67).stdout
    house("alias", "create", "off@example.test", "--disabled", "421")
    assert "is deferred" in house("alias", "explain", "off@example.test", code=75).stdout
    house("alias", "disable", "off@example.test", "--code", "250")
    assert "goes to nobody, and the sender is not told" in house("alias", "explain", "off@example.test").stdout


def test_aliases_go_out_and_come_in_as_a_table(house, tmp_path):
    house("alias", "create", "info@example.test", "alice@example.test", "x.test")
    house("alias", "create", "/^a,b/@example.test", "alice@example.test", "--description", 'say "so"')
    table = house("alias", "export").stdout
    before = house("alias", "list", "--json")
    assert house("alias", "export", "--json") == before
    (tmp_path / "aliases.csv").write_text(table)
    failed = json.loads(house("alias", "import", "aliases.csv", "--json", code=1).stdout)
    assert (failed["imported_count"], len(failed["failed"])) == (0, 2)
    assert house("alias", "import", "aliases.csv", "--replace", "--json") == {"imported_count": 2, "failed": []}
    for one in before:
        house("alias", "remove", one["alias"])
    assert "2 aliases are in" in house("alias", "import", "aliases.csv").stdout
    assert house("alias", "list", "--json") == before
    (tmp_path / "bad.csv").write_text("alias,targets\nx,y\n")
    assert "Line 2" in house("alias", "import", "bad.csv", code=65).stderr


def test_signing_keys(house, tmp_path):
    first = house("dkim", "list", "example.test", "--json")
    assert {one["algorithm"]: one["state"] for one in first} == {"rsa-sha256": "active", "ed25519-sha256": "active"}
    assert all(one["record"].startswith("v=DKIM1; ") for one in first)
    assert "keys already" in house("dkim", "create", "example.test", code=73).stderr
    rotated = house("dkim", "rotate", "example.test", "--json")
    assert {one["state"] for one in rotated} == {"pending"}
    assert "activate" in house("dkim", "rotate", "example.test", code=77).stderr
    text = house("dkim", "activate", "example.test").stdout
    assert f"{first[0]['name']}. TXT {first[0]['record']}" in text  # stays published
    house("dkim", "remove", "example.test", rotated[0]["selector"], code=77)
    house("dkim", "retire", "example.test", rotated[0]["selector"])
    house("dkim", "remove", "example.test", rotated[0]["selector"])
    house("dkim", "remove", "example.test", first[0]["selector"])
    assert len(house("dkim", "list", "example.test", "--json")) == 2
    house("dkim", "retire", "example.test", "nope", code=67)
    (tmp_path / "key.pem").write_text("nonsense")
    assert "not a private key" in house("dkim", "import", "example.test", "old", "key.pem", code=65).stderr
    assert "cannot be read" in house("dkim", "import", "example.test", "old", "absent.pem", code=65).stderr


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


def test_a_relay_s_configuration_is_taken_over(house, tmp_path):
    file = tmp_path / "chatmail.ini"
    file.write_text("[params]\nmail_domain = chat.example\ndelete_mails_after = 40\nfiltermail_smtp_port = 10080\n")
    told = house("--json", "chatmail", "import-ini", file, "--dry-run")
    assert [row["key"] for row in told] == ["mail_domain", "delete_mails_after", "filtermail_smtp_port"]
    assert told[1]["follows"] == "mails_kept_days = 40"
    assert house("--json", "domain", "list") == [{"domain": "example.test"}]
    assert "inner hop" in house("chatmail", "import-ini", file).stdout.replace("\n", " ")
    shown = house("domain", "show", "chat.example").stdout
    assert "requires_encryption" in shown
    file.write_text("[params]\nmail_domain = chat.example\ndelete_mails_after = 30\n")
    house("chatmail", "import-ini", file)
    assert "30" in house("domain", "show", "chat.example").stdout


def test_what_a_relay_has_for_its_whole_server_goes_into_the_settings_file(house, tmp_path, monkeypatch):
    file, settings = tmp_path / "chatmail.ini", tmp_path / "mailstead.toml"
    file.write_text("[params]\nmail_domain = chat.example\ndisable_ipv6 = True\nmax_imap_connections = 20\n")
    told = house("chatmail", "import-ini", file)
    assert "[imap]\nconnections_max = 20" in told.stderr
    settings.write_text("# mine\n[imap]\nconnections_max = 5  # few\n")
    settings.chmod(0o600)
    monkeypatch.setenv("MAILSTEAD_CONFIG", str(settings))
    house("chatmail", "import-ini", file, "--dry-run")
    assert settings.read_text() == "# mine\n[imap]\nconnections_max = 5  # few\n"
    assert f"Written to {settings}" in house("chatmail", "import-ini", file).stderr.replace("\n", "")
    assert settings.read_text().startswith("# mine\n[imap]\nconnections_max = 20  # few\n")
    assert settings.stat().st_mode & 0o777 == 0o600
    shown = house("--json", "config", "show")
    assert (shown["relay.ip_version"]["value"], shown["server.ip_version"]["value"]) == ("4", "4")
    file.write_text("[params]\nmail_domain = chat.example\nmax_imap_connections = many\n")
    assert "a number" in house("chatmail", "import-ini", file, code=78).stderr


def test_the_variables_of_a_relay_s_container_are_settings_too(house, tmp_path, monkeypatch):
    for name, value in {"MAIL_DOMAIN": "chat.example", "MAX_SMTP_CONNECTIONS": "7", "MAX_IMAP_CONNECTIONS": "8",
                        "MTAIL_ADDRESS": "127.0.0.1", "MAILSTEAD_IMAP_CONNECTIONS_MAX": "9"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    (tmp_path / "chatmail.ini").write_text("[params]\nmail_domain = x.example\nturn_socket_path = /run/turn\n")
    monkeypatch.setenv("INI_FILE", str(tmp_path / "chatmail.ini"))
    shown = house("--json", "config", "show")
    assert shown["submission.connections_max"] == {"value": 7, "origin": "environment MAX_SMTP_CONNECTIONS"}
    assert shown["imap.connections_max"] == {"value": 9, "origin": "environment MAILSTEAD_IMAP_CONNECTIONS_MAX"}
    assert shown["server.metrics_listen"]["value"] == "127.0.0.1:3903"
    assert shown["chatmail.turn_socket"] == {"value": "/run/turn", "origin": f"file {tmp_path / 'chatmail.ini'}"}
    monkeypatch.setenv("INI_FILE", str(tmp_path / "nowhere"))
    assert "chatmail.turn_socket" in house("--json", "config", "show")
    monkeypatch.delenv("MAIL_DOMAIN")
    assert "cannot be read" in house("config", "show", code=78).stderr


def test_the_settings_of_forward_email(run, tmp_path, monkeypatch):
    file, settings = tmp_path / ".env", tmp_path / "mailstead.toml"
    file.write_text("DOMAIN=example.org\nMX_HOST=mx.{{DOMAIN}}\nAWS_SECRET_ACCESS_KEY=hush\nREDIS_HOST=x\n")
    told = run("--json", "import-env", file)
    assert [row["name"] for row in told] == ["DOMAIN", "MX_HOST", "AWS_SECRET_ACCESS_KEY", "REDIS_HOST"]
    shown = run("import-env", file)
    assert 'hostname = "mx.example.org"' in shown.stderr
    assert "hush" not in shown.output
    monkeypatch.setenv("MAILSTEAD_CONFIG", str(settings))
    run("import-env", file, "--dry-run")
    assert not settings.exists()
    run("import-env", file)
    assert settings.stat().st_mode & 0o777 == 0o640
    shown = run("--json", "config", "show")
    assert shown["server.hostname"] == {"value": "mx.example.org", "origin": f"file {settings}"}
    file.write_text("MAX_RECIPIENTS=many\n")
    assert "a number" in run("import-env", file, code=78).stderr


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 78, "no section"),
        ("[params]\nmail_domain = example.test\n", 78, "ordinary mail domain"),
        ("[params]\nmail_domain = chat.example\nlanguages = tlh\n", 78, "en, ru, fr, es, ko"),
    ],
)
def test_a_configuration_that_cannot_be_taken_over_changes_nothing(house, tmp_path, text, code, said):
    file = tmp_path / "chatmail.ini"
    file.write_text(text)
    assert said in house("chatmail", "import-ini", file, code=code).stderr.replace("\n", " ")
    assert "cannot be read" in house("chatmail", "import-ini", tmp_path / "nowhere", code=78).stderr
    assert house("--json", "domain", "list") == [{"domain": "example.test"}]


def test_a_relay_s_people_move_in(house, tmp_path):
    house("domain", "add", "chat.example", "--profile", "chatmail")
    folder = tmp_path / "chat.example" / "somebody1@chat.example"
    (folder / "cur").mkdir(parents=True)
    (folder / "new").mkdir()
    (folder / "password").write_text("{SHA512-CRYPT}$6$abc$" + "a" * 86)
    (folder / "cur" / "1.a:2,S").write_bytes(b"Subject: x\r\n\r\nx\r\n")
    assert house("--json", "chatmail", "import", tmp_path / "chat.example", "--dry-run")["account_count"] == 1
    told = house("--json", "chatmail", "import", tmp_path / "chat.example")
    assert (told["account_count"], told["imported_count"], told["skipped"]) == (1, 1, [])
    assert "1 were there" in house("chatmail", "import", tmp_path / "chat.example").stdout
    assert "No such domain" in house("chatmail", "import", tmp_path, code=67).stderr


def test_a_relay_s_numbers_and_its_round(house, tmp_path):
    house("domain", "add", "chat.example", "--profile", "chatmail")
    house("account", "add", "somebody1@chat.example", "--password-stdin", stdin=PASSWORD + "\n")
    [numbers] = house("--json", "chatmail", "report", "--textfile", tmp_path)
    assert numbers["chatmail_accounts"] == {"all": 1, "ci": 0, "user": 1}
    assert 'chatmail_accounts{kind="user"} 1\n' in (tmp_path / "chatmail.prom").read_text()
    assert house("--json", "chatmail", "expire", "--dry-run")["account_count"] == 1
    assert "0 idle accounts removed" in house("chatmail", "expire").stdout


def test_an_invitation_is_a_link_and_a_code(house, tmp_path):
    house("domain", "add", "chat.example", "--profile", "chatmail")
    assert house("--json", "chatmail", "invite", "chat.example") == {"uri": "DCACCOUNT:https://chat.example/new"}
    house("chatmail", "invite", "chat.example", "--png", tmp_path / "code.png")
    assert (tmp_path / "code.png").read_bytes().startswith(b"\x89PNG")
    house("domain", "set", "chat.example", "invite_tokens=friends")
    assert "invite_tokens" in house("chatmail", "invite", "chat.example", code=2).stderr
    told = house("--json", "chatmail", "invite", "chat.example", "--token", "friends")
    assert told == {"uri": "DCACCOUNT:https://chat.example/new?friends"}
    assert "opens no accounts" in house("chatmail", "invite", "example.test", code=2).stderr
