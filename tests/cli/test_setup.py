"""`mailstead setup --stage configure` and `mailstead firewall`, by options and at a real terminal."""

import json
import os
import pty
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.config.env_file import read_env_file
from mailstead.config.load import load
from system.server import free_ports

MAILSTEAD = str(Path(sys.executable).with_name("mailstead"))
QUIET = ("--port-25-target", "none", "--blocklists", "none")
"""Nobody outside is asked."""
TOKEN = "pw-never-in-a-log-token"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAILSTEAD_DNS_SERVERS", "127.0.0.1:9")
    monkeypatch.setenv("MAILSTEAD_DNS_QUERY_LIMIT_S", "0.2")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "MAILSTEAD_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def call(*words, code=0):
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert TOKEN not in result.output
        return json.loads(result.stdout) if "--json" in words and code == 0 else result

    return call


@pytest.fixture
def configure(run, tmp_path):
    def call(*words, code=0, file=".env"):
        where = ("--env-file", tmp_path / file) if file.endswith("env") else ("--config", tmp_path / file)
        return run("setup", "--stage", "configure", *where, "--yes", *QUIET, *words, code=code)

    return call


def test_settings_for_containers(configure, tmp_path):
    told = configure("-d", "example.org", "--email", "me@elsewhere.org", "--address", "192.0.2.1", "--json")
    assert told["settings"]["server.hostname"] == "mail.example.org"
    assert told["written_to"] == str(tmp_path / ".env")
    assert {each["name"] for each in told["findings"]} >= {"cpu", "memory", "disk", "ports", "addresses", "block lists"}
    written = read_env_file(tmp_path / ".env")
    assert written["MAILSTEAD_ACME_CHALLENGE"] == "http-01"
    assert written["MAILSTEAD_SERVER_PUBLIC_ADDRESSES"] == "192.0.2.1"
    assert "MAILSTEAD_MX_LISTEN" not in written, "the image has the ports by itself"
    settings = load(None, written).settings
    assert (settings.setup.domain, settings.setup.kind) == ("example.org", "mail")


def test_running_it_again_changes_nothing(configure, tmp_path):
    first = (
        "-d",
        "example.org",
        "--hostname",
        "mx.example.org",
        "--address",
        "192.0.2.1",
        "--cert-method",
        "self-signed",
        "--bucket",
        "/srv/backups",
    )
    configure(*first)
    before = (tmp_path / ".env").read_bytes()
    configure()  # what was said before are the proposals
    assert (tmp_path / ".env").read_bytes() == before


def test_settings_for_a_machine_have_ports_and_places(configure, tmp_path):
    configure(
        "-d",
        "example.org",
        "--address",
        "192.0.2.1",
        "--bucket",
        "my-bucket",
        "--s3-endpoint",
        "https://s3.example.net",
        file="m.toml",
        code=2,
    )
    assert not (tmp_path / "m.toml").exists(), "keys of the bucket were not given"
    configure("-d", "example.org", "--address", "192.0.2.1", "--cert-method", "alpn", file="m.toml")
    settings = load(tmp_path / "m.toml", {}).settings
    assert settings.mx.listen == (":25",)
    assert settings.web.listen_shared == (":443",)
    assert settings.web.listen_tls == ()
    assert settings.store.master_key_file == "/var/lib/mailstead-keys/master.key"
    assert settings.acme.challenge == "tls-alpn-01"


def test_a_bucket_with_keys_from_the_environment(configure, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key-id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", TOKEN)
    configure("-d", "example.org", "--bucket", "my-bucket", "--s3-endpoint", "https://s3.example.net")
    backup = load(None, read_env_file(tmp_path / ".env")).settings.backup
    assert (backup.target, backup.s3_endpoint) == ("s3://my-bucket/mailstead", "https://s3.example.net")
    assert backup.s3_secret_access_key.reveal() == TOKEN


def test_certbots_file_of_cloudflare(configure, tmp_path):
    (tmp_path / "cf.ini").write_text(f"dns_cloudflare_api_token = {TOKEN}\n")
    configure("-d", "example.org", "--cloudflare-ini", tmp_path / "cf.ini")
    settings = load(None, read_env_file(tmp_path / ".env")).settings
    assert (settings.dns_provider.kind, settings.acme.challenge) == ("cloudflare", "dns-01")
    assert settings.dns_provider.api_token.reveal() == TOKEN
    configure()  # the token is kept
    assert load(None, read_env_file(tmp_path / ".env")).settings.dns_provider.api_token.reveal() == TOKEN


def test_chatmail_has_the_name_of_its_domain(configure, tmp_path):
    configure("-d", "chat.example.org", "--kind", "chatmail")
    assert read_env_file(tmp_path / ".env")["MAILSTEAD_SERVER_HOSTNAME"] == "chat.example.org"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--domain: there is nobody to ask, and a domain is needed"),
        (("-d", "localhost"), "is no name of a domain"),
        (("-d", "example.org", "--kind", "news"), "'news' is none of mail, chatmail"),
        (("-d", "example.org", "--cert-method", "manual"), "--cert-method: 'manual' is none of"),
        (("-d", "example.org", "--cert-method", "files"), "a path is needed"),
        (("-d", "example.org", "--cert-method", "route53"), "AWS_ACCESS_KEY_ID: it is needed"),
        (("-d", "example.org", "--bucket", "no bucket"), "is no bucket"),
        (("-d", "example.org", "--cloudflare-ini", "nowhere.ini"), "nowhere.ini cannot be read"),
        (("--action", "upgrade"), "'upgrade' is none of initial-setup"),
        (("--stage", "begin"), "'begin' is none of configure, start, finish"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(configure, tmp_path, words, told):
    code = 78 if "nowhere.ini" in words else 2
    assert told in configure(*words, code=code).stderr
    assert not (tmp_path / ".env").exists()


def test_without_yes_and_without_a_terminal_nothing_is_written(run, tmp_path):
    told = run("setup", "--stage", "configure", "--env-file", tmp_path / ".env", "-d", "example.org", *QUIET, code=1)
    assert "Nothing was changed" in told.stderr
    assert not (tmp_path / ".env").exists()


def test_ports_that_somebody_has_are_told(configure, monkeypatch):
    (port,) = free_ports(1)
    monkeypatch.setenv("MAILSTEAD_MX_LISTEN", f":{port}")
    told = {each["name"]: each for each in configure("-d", "example.org", "--json")["findings"]}
    assert told["ports"]["status"] == "ok"
    assert str(port) in told["ports"]["found"]


def test_the_firewall_knows_what_is_served(run, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_MX_LISTEN", ":25")
    monkeypatch.setenv("MAILSTEAD_IMAP_LISTEN_TLS", "[::]:993")
    monkeypatch.setenv("MAILSTEAD_POP3_LISTEN_TLS", "127.0.0.1:995")
    told = run("firewall", "--for", "ufw", "--ssh-port", "2222", "--json")
    assert told["ports"] == [25, 993]
    assert told["lines"][0].startswith("ufw allow 2222/tcp")
    assert "'iptables' is none of ufw, nftables" in run("firewall", "--for", "iptables", code=2).stderr


def converse(words, dialogue, environ):
    """Run a command at a terminal: whenever the text of a step appears, its answer is typed. Gives all that was shown."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [MAILSTEAD, *words],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env={**os.environ, **environ},
        close_fds=True,
    )
    os.close(follower)
    shown, seen = "", 0
    for wanted, answer in dialogue:
        while wanted not in shown[seen:]:
            try:
                octets = os.read(leader, 4096)
            except OSError:
                octets = b""
            assert octets, f"it ended before {wanted!r}: {shown}"
            shown += octets.decode()
        seen = shown.index(wanted, seen) + len(wanted)
        while answer == TOKEN and termios.tcgetattr(leader)[3] & termios.ECHO:
            time.sleep(0.01)  # what is typed before the terminal hides it is thrown away; it tells nobody when it does
        os.write(leader, answer.encode() + b"\n")
    try:
        while octets := os.read(leader, 4096):
            shown += octets.decode()
    except OSError:  # how Linux tells that nobody writes any more
        pass
    os.close(leader)
    return process.wait(30), shown


def test_a_conversation_at_a_terminal(tmp_path):
    dialogue = [
        ("Domain of the mail addresses", "example"),
        ("'example' is no name of a domain", "example.org"),
        ("What it is to be [mail]", ""),
        ("Name of this machine [mail.example.org]", ""),
        ("Public IP address", "192.0.2.1"),
        ("port 25 is open outward", "n"),
        ("bad name", "n"),
        ("Go on, although not all is well", "y"),
        ("Your address elsewhere", "me@elsewhere.org"),
        ("Backups: a bucket of S3, a folder, or none", "/srv/backups"),
        ("Certificate [http]", "cloudflare"),
        ("Token of its API", TOKEN),
        ("Write this to", "y"),
    ]  # fmt: skip
    environ = {"MAILSTEAD_DNS_SERVERS": "127.0.0.1:9", "MAILSTEAD_DNS_QUERY_LIMIT_S": "0.2", "TERM": "dumb"}
    code, shown = converse(["setup", "--stage", "configure", "--env-file", str(tmp_path / ".env")], dialogue, environ)
    assert code == 0, shown
    assert TOKEN not in shown
    assert "proven in the DNS at Cloudflare" in shown
    settings = load(None, read_env_file(tmp_path / ".env")).settings
    assert settings.server.hostname == "mail.example.org"
    assert settings.dns_provider.api_token.reveal() == TOKEN
    assert settings.backup.target == "/srv/backups"


def test_a_no_at_the_end_leaves_everything_as_it_was(tmp_path):
    dialogue = [
        ("port 25 is open outward", "n"),
        ("bad name", "n"),
        ("Go on, although not all is well", "y"),
        ("Your address elsewhere", ""),
        ("Write this to", "n"),
    ]
    words = ["-d", "example.org", "--kind", "mail", "--hostname", "mx.example.org", "--address", "192.0.2.1"]
    words += ["--cert-method", "self-signed", "--bucket", "none", "--env-file", str(tmp_path / ".env")]
    environ = {"MAILSTEAD_DNS_SERVERS": "127.0.0.1:9", "MAILSTEAD_DNS_QUERY_LIMIT_S": "0.2", "TERM": "dumb"}
    code, shown = converse(["setup", "--stage", "configure", *words], dialogue, environ)
    assert code == 1
    assert "Nothing was changed" in shown
    assert not (tmp_path / ".env").exists()
