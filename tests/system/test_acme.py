"""A started server orders its certificate from a real authority (Pebble), proves its names, and renews."""

import contextlib
import imaplib
import json
import socket
import ssl
import time
from pathlib import Path

import pytest

from net.zones.providers import Cloudflare, DigitalOcean
from system.authority import ROOT_HOST, Pebble, UpdatableDns
from system.dns import ask
from system.server import ALICE, PASSWORD, Server, free_ports

pytestmark = [pytest.mark.full, pytest.mark.timeout(240)]

HOSTNAME = "mail.example.test"
LIMIT_S = 60.0
ZONES = {
    "example.test": ["mail A 127.0.0.1", "autoconfig A 127.0.0.1", "elsewhere A 127.0.0.9"],
    "test": [f"{ROOT_HOST}. A 127.0.0.1"],
}


@pytest.fixture
def zones(tmp_path):
    with UpdatableDns(tmp_path, ZONES) as zones:
        yield zones


@contextlib.contextmanager
def house(folder, zones, challenge, provider=None, **acme):
    """A server that may order, and the authority that it orders from; not started."""
    http_port, tls_port = free_ports(2)
    with Pebble(folder, zones.resolver, http_port, tls_port) as pebble:
        settings = {
            "MAILSTEAD_SERVER_HOSTNAME": HOSTNAME,
            "MAILSTEAD_DNS_SERVERS": zones.resolver,
            "MAILSTEAD_WEB_LISTEN": f"127.0.0.1:{http_port}",
            "MAILSTEAD_WEB_LISTEN_SHARED": f"127.0.0.1:{tls_port}",
            "MAILSTEAD_TLS_WATCH_S": "0.1",
            "MAILSTEAD_ACME_DIRECTORY_URL": pebble.directory_url,
            "MAILSTEAD_ACME_EMAIL": "postmaster@example.test",
            "MAILSTEAD_ACME_CA_FILE": pebble.ca_file,
            "MAILSTEAD_ACME_CHALLENGE": challenge,
            **{f"MAILSTEAD_ACME_{name.upper()}": value for name, value in acme.items()},
            **{f"MAILSTEAD_DNS_PROVIDER_{name.upper()}": value for name, value in (provider or {}).items()},
        }
        server = Server(folder, settings)
        server.prepare(ALICE)
        try:
            yield server, pebble, tls_port
        finally:
            if server.process is not None:
                server.stop()


def verified(pebble, port, name, limit_s=LIMIT_S):
    """The certificate that a client sees which believes the authority only, as soon as it sees one that is good."""
    end = time.monotonic() + limit_s
    while True:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), 5) as plain,
                pebble.root_context().wrap_socket(plain, server_hostname=name) as tls,
            ):
                return tls.getpeercert()
        except ssl.SSLCertVerificationError:
            if time.monotonic() > end:
                raise AssertionError(pebble.log()) from None
            time.sleep(0.1)  # the order takes as long as the authority takes; what shows is the certificate alone


def names_of(certificate):
    return {value for kind, value in certificate["subjectAltName"] if kind == "DNS"}


def shown(server):
    return json.loads(server.run("--json", "certificate", "show"))


def test_http_01_and_a_renewal_that_disturbs_nobody(tmp_path, zones):
    with house(tmp_path, zones, "http-01") as (server, pebble, tls_port):
        before = shown(server)
        assert before["is_self_signed"]
        assert before["renewal"]["by"] == "acme"
        server.start()
        first = verified(pebble, server.port["imaps"], HOSTNAME)
        assert names_of(first) == {HOSTNAME, "autoconfig.example.test"}, "those that have an address"
        assert names_of(verified(pebble, tls_port, "autoconfig.example.test")) == names_of(first), "the web, too"
        after = shown(server)
        assert not after["is_self_signed"]
        assert set(after["names"]) == names_of(first)
        assert "failure" not in after["renewal"]
        folder = tmp_path / "data" / "tls" / "acme"
        assert not list((folder / "challenges").iterdir()), "proofs are taken away"
        for secret in ("key.pem", "account-key.pem"):
            assert (folder / secret).stat().st_mode & 0o777 == 0o600
        key = (folder / "key.pem").read_bytes()

        client = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=no_names(pebble), timeout=LIMIT_S)
        client.login(ALICE, PASSWORD)
        renewed = json.loads(server.run("--json", "certificate", "renew"))
        assert set(renewed["names"]) == names_of(first)
        end = time.monotonic() + LIMIT_S
        while verified(pebble, server.port["imaps"], HOSTNAME)["serialNumber"] == first["serialNumber"]:
            assert time.monotonic() < end, server.log()[-3000:]
            time.sleep(0.05)  # the server looks at its files every tenth of a second, and tells nobody
        assert client.noop()[0] == "OK", "the connection of before goes on"
        client.logout()
        assert (folder / "key.pem").read_bytes() == key, "DANE records name the key"


def no_names(pebble):
    context = pebble.root_context()
    context.check_hostname = False
    return context


def test_tls_alpn_01_on_the_shared_port_of_two_workers(tmp_path, zones):
    with house(tmp_path, zones, "tls-alpn-01", names=HOSTNAME) as (server, pebble, tls_port):
        server.arguments = ["--workers", "2"]
        server.start()
        assert names_of(verified(pebble, server.port["imaps"], HOSTNAME)) == {HOSTNAME}
        assert names_of(verified(pebble, tls_port, HOSTNAME)) == {HOSTNAME}
        context = pebble.root_context()
        context.set_alpn_protocols(["acme-tls/1"])
        with socket.create_connection(("127.0.0.1", tls_port), 5) as plain, pytest.raises(ssl.SSLError):
            context.wrap_socket(plain, server_hostname=HOSTNAME)  # nothing is proven any more


def by_updates(zones):
    return {
        "kind": "rfc2136",
        "rfc2136_server": zones.authoritative,
        "rfc2136_key_name": zones.key_name,
        "rfc2136_key": zones.key,
    }


def test_dns_01_by_signed_updates(tmp_path, zones):
    names = f"{HOSTNAME},*.example.test,example.test"
    with house(tmp_path, zones, "dns-01", by_updates(zones), names=names) as (server, pebble, _):
        server.start()
        found = verified(pebble, server.port["imaps"], "anything.example.test")
        assert names_of(found) == {HOSTNAME, "*.example.test", "example.test"}
        for owner in ("_acme-challenge.example.test", f"_acme-challenge.{HOSTNAME}"):
            assert not texts(zones, owner), "proofs are taken away"


@pytest.mark.parametrize("kind", [Cloudflare, DigitalOcean], ids=["cloudflare", "digitalocean"])
def test_dns_01_through_the_api_of_a_provider(tmp_path, zones, kind):
    """The double of the provider publishes what it holds through the real name server that the authority asks."""

    def publish(zone):
        lines = [f"{owner_of(each, zone)} TXT {text_of(each)}" for each in provider.zones[zone]]
        counts.append(len(lines))
        zones.replace(zone, [*ZONES[zone], *lines])

    counts = []
    with kind({"example.test": []}, publish) as provider:
        settings = {"kind": kind.__name__.lower(), "api_token": provider.token, "endpoint": provider.endpoint}
        names = f"{HOSTNAME},*.example.test,example.test"
        with house(tmp_path, zones, "dns-01", settings, names=names) as (server, pebble, _):
            server.start()
            found = verified(pebble, server.port["imaps"], "anything.example.test")
            assert names_of(found) == {HOSTNAME, "*.example.test", "example.test"}
            assert max(counts) == 3, "the proofs of a name and its wildcard stood side by side"
            assert provider.zones["example.test"] == [], "proofs are taken away"


def owner_of(record, zone):
    name = record["name"]
    return f"{name}." if name.endswith(zone) else f"{name}.{zone}."


def text_of(record):
    return record["content"] if "content" in record else f'"{record["data"]}"'


def texts(zones, owner):
    response = ask("127.0.0.1", zones.authoritative_port, owner, "TXT")
    return [rrset for rrset in response.answer if str(rrset.name) == f"{owner}."]


def test_dns_01_with_a_wrong_key_says_so(tmp_path, zones):
    provider = by_updates(zones) | {"rfc2136_key": "d3Jvbmc="}
    with house(tmp_path, zones, "dns-01", provider, names=HOSTNAME) as (server, _, _):
        server.run("certificate", "renew", expect=75)
        assert "dns_provider.rfc2136_key right" in shown(server)["renewal"]["failure"]


def test_a_failed_order_leaves_the_pair_and_says_why(tmp_path, zones):
    with house(tmp_path, zones, "http-01", names=f"{HOSTNAME},elsewhere.example.test") as (server, _, _):
        folder = Path(tmp_path, "data", "tls", "acme")
        pair = [(folder / name).read_bytes() for name in ("certificate.pem", "key.pem")]
        server.start()
        end = time.monotonic() + LIMIT_S
        while "failure" not in (found := shown(server)["renewal"]):
            assert time.monotonic() < end, server.log()[-3000:]
            time.sleep(0.1)  # the authority tries to connect as long as it likes; a failure shows in a file alone
        assert "elsewhere.example.test" in found["failure"]
        assert "What to do" in found["failure"]
        assert [(folder / name).read_bytes() for name in ("certificate.pem", "key.pem")] == pair
        assert "no certificate could be ordered" in server.log()
