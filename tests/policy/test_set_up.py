"""From answers to settings."""

import pytest

from mailstead.config.schema import entries
from mailstead.policy import set_up
from mailstead.policy.set_up import Answers

BASE = {"domain": "example.org", "kind": "mail", "hostname": "mail.example.org"}


@pytest.mark.parametrize("name", ["example.org", "mail.example.org", "xn--bcher-kva.example", "a.b.c.d.museum"])
def test_names_that_can_be(name):
    assert set_up.is_host(name)


@pytest.mark.parametrize(
    "name",
    ["", "localhost", "example", "-a.org", "a_b.org", "a..org", "192.0.2.1", "a b.org", "é.org", "a." * 130 + "org"],
)
def test_names_that_cannot_be(name):
    assert not set_up.is_host(name)


@pytest.mark.parametrize("method", set_up.CERTIFICATES)
def test_all_that_follows_is_a_setting(method):
    answers = Answers(
        **BASE,
        certificate=method,
        email="me@elsewhere.org",
        public_addresses=("192.0.2.1", "2001:db8::1"),
        certificate_file="/c.pem",
        key_file="/k.pem",
        provider=dict.fromkeys(set_up.PROVIDERS.get(method, ()), "x"),
        backup={"backup.target": "/backups"},
        port_25_target="mx.elsewhere.org",
    )
    settings = set_up.settings_of(answers)
    assert set(settings) <= {entry.key for entry in entries()}
    assert settings["server.public_addresses"] == "192.0.2.1,2001:db8::1"
    is_ordered = method not in {"files", "self-signed"}
    assert bool(settings["acme.directory_url"]) == is_ordered
    assert bool(settings["tls.certificate_file"]) == (method == "files")


@pytest.mark.parametrize(
    ("method", "challenge"),
    [("http", "http-01"), ("alpn", "tls-alpn-01"), ("cloudflare", "dns-01"), ("rfc2136", "dns-01")],
)
def test_the_challenge_of_a_method(method, challenge):
    assert set_up.settings_of(Answers(**BASE, certificate=method))["acme.challenge"] == challenge


def test_a_change_of_mind_takes_away_what_was_there():
    settings = set_up.settings_of(Answers(**BASE, certificate="self-signed"))
    assert (settings["acme.directory_url"], settings["tls.certificate_file"], settings["tls.key_file"]) == ("", "", "")


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("my-bucket", "s3://my-bucket/mailstead"),
        ("s3://b/p", "s3://b/p"),
        ("/srv/backups", "/srv/backups"),
        ("My Bucket", None),
        ("../x", None),
        ("", None),
    ],
)
def test_places_of_backups(text, target):
    assert set_up.backup_target(text) == target


def test_secrets_are_not_shown():
    shown = repr(Answers(**BASE, certificate="http", provider={"dns_provider.api_token": "pw-never-in-a-log-token"}))
    assert "pw-never" not in shown
