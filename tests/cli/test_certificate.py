"""`mailstead certificate`, and what the settings of orders must have; orders themselves are in tests/system."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from mailstead.cli.app import app
from mailstead.config.settings import Acme, Server, Settings, Web
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.errors import DnsUnavailable
from mailstead.net.certificates import make_self_signed
from mailstead.ports.resolver import Answer
from mailstead.wiring.acme import _names_served

URL = "https://authority.test/directory"
# Nobody listens there: an order that gets so far has settings that fit together.
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("MAILSTEAD_SERVER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MAILSTEAD_SERVER_HOSTNAME", "mail.example.test")
    monkeypatch.setenv("MAILSTEAD_DNS_SERVERS", NOWHERE)
    monkeypatch.setenv("MAILSTEAD_DNS_QUERY_LIMIT_S", "1")
    monkeypatch.delenv("MAILSTEAD_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)

    def call(*words, code=0, **acme):
        for name, value in acme.items():
            monkeypatch.setenv(f"MAILSTEAD_{name.upper()}", value)
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, (result.exit_code, result.output, result.exception)
        assert "Traceback" not in result.output
        return json.loads(result.stdout) if "--json" in words and code == 0 else result.output

    return call


def test_the_self_signed_one_is_shown(run, tmp_path):
    run("init")
    shown = run("--json", "certificate", "show")
    assert shown["file"] == str(tmp_path / "data" / "tls" / "certificate.pem")
    assert shown["names"] == ["localhost", "mail.example.test"]
    assert shown["issuer"] == "CN=mail.example.test"
    assert shown["is_self_signed"]
    assert shown["renewal"] == {"by": "self-signed"}
    assert datetime.fromisoformat(shown["not_before"]) < datetime.fromisoformat(shown["not_after"])
    text = run("certificate", "show")
    assert "CN=mail.example.test (self-signed)" in text
    assert "acme.directory_url" in text


def test_one_from_elsewhere_is_shown(run, tmp_path):
    make_self_signed(tmp_path / "own.pem", tmp_path / "own.key", "own.test", datetime.now(UTC) - timedelta(days=5000))
    files = {"tls_certificate_file": str(tmp_path / "own.pem"), "tls_key_file": str(tmp_path / "own.key")}
    shown = run("--json", "certificate", "show", **files, acme_directory_url=URL)
    assert shown["file"] == str(tmp_path / "own.pem")
    assert shown["renewal"] == {"by": "file"}
    assert "No certificate is ordered" in run("init") + run("certificate", "renew", code=78)


def test_where_there_is_none_it_is_told(run):
    assert "no certificate in" in run("certificate", "show", code=78)


def test_one_that_is_ordered_is_shown_with_how_the_last_order_has_failed(run, tmp_path):
    run("init", acme_directory_url=URL, web_listen="127.0.0.1:0")
    shown = run("--json", "certificate", "show")
    assert shown["file"] == str(tmp_path / "data" / "tls" / "acme" / "certificate.pem")
    assert shown["renewal"]["by"] == "acme"
    assert shown["renewal"]["challenge"] == "http-01"
    assert "failure" not in shown["renewal"]
    assert "authority.test cannot be looked up" in run("certificate", "renew", code=75)
    failure = run("--json", "certificate", "show")["renewal"]
    assert "authority.test cannot be looked up" in failure["failure"]
    assert datetime.fromisoformat(failure["again_at"]) > datetime.now(UTC)
    assert "Last order" in run("certificate", "show")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({}, "web.listen"),
        ({"acme_challenge": "tls-alpn-01"}, "web.listen_shared"),
        ({"acme_challenge": "dns-01"}, "set dns_provider.kind"),
        ({"acme_challenge": "dns-01", "dns_provider_kind": "cloudflare"}, "needs dns_provider.api_token, too"),
        (
            {"acme_challenge": "dns-01", "dns_provider_kind": "route53", "dns_provider_aws_access_key_id": "A"},
            "needs dns_provider.aws_secret_access_key, too",
        ),
        (
            {
                "acme_challenge": "dns-01",
                "dns_provider_kind": "digitalocean",
                "dns_provider_api_token": "t",
                "dns_provider_endpoint": "http://198.51.100.1",
            },
            "dns_provider.endpoint does not begin with https://",
        ),
        (
            {
                "acme_challenge": "dns-01",
                "dns_provider_kind": "rfc2136",
                "dns_provider_rfc2136_server": "ns.test",
                "dns_provider_rfc2136_key_name": "k",
                "dns_provider_rfc2136_key": "a2V5",
            },
            "dns_provider.rfc2136_server is not an IP address",
        ),
        ({"acme_directory_url": "http://authority.test/"}, "https://"),
        ({"acme_ca_file": "/nowhere.pem"}, "there is no file /nowhere.pem"),
        ({"acme_names": "*.example.test", "web_listen": NOWHERE}, "only acme.challenge"),
        ({"acme_names": "not a name", "web_listen": NOWHERE}, "is no host name"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(run, settings, text):
    run("init")
    assert text in run("certificate", "renew", code=78, **{"acme_directory_url": URL, **settings})


WITH_ADDRESS = {"mta-sts.one.test", "openpgpkey.one.test", "chat.test", "www.chat.test"}


class Names:
    """Who has an address, of whom nobody can say."""

    async def a(self, name):
        if name == "autoconfig.two.test":
            raise DnsUnavailable
        return Answer(("192.0.2.1",) if name in WITH_ADDRESS else ())

    async def aaaa(self, name):
        return Answer(("2001:db8::1",) if name == "mta-sts.two.test" else ())


class House:
    resolver = Names()

    def __init__(self, web):
        self.settings = Settings(server=Server(hostname="mail.test"), acme=Acme(directory_url=URL), web=web)
        self.domains = self

    async def list(self, actor):
        relay = DomainTerms(is_chatmail=True)
        return [Domain("one.test"), Domain("two.test"), Domain("chat.test", relay), Domain("[192.0.2.7]", relay)]


async def test_the_names_wanted_are_those_that_have_an_address():
    house = House(Web(listen_tls=(":443",)))
    always = ("mail.test", "mta-sts.one.test", "openpgpkey.one.test", "mta-sts.two.test")
    assert await _names_served(house, frozenset()) == (*always, "chat.test", "www.chat.test")
    present = frozenset({"autoconfig.two.test", "gone.test"})
    with_present = (*always, "autoconfig.two.test", "chat.test", "www.chat.test")
    assert await _names_served(house, present) == with_present, "what cannot be looked up now is not dropped"
    assert await _names_served(House(Web()), frozenset()) == ("mail.test",), "without HTTPS none is served"


async def test_there_are_no_more_names_than_a_certificate_has_room_for(monkeypatch):
    monkeypatch.setattr("mailstead.wiring.acme.NAMES_MAX", 3)
    names = await _names_served(House(Web(listen_tls=(":443",))), frozenset())
    assert names == ("mail.test", "mta-sts.one.test", "openpgpkey.one.test")
