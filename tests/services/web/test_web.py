"""The web service over real loopback, in clear text and with the house's certificate."""

import asyncio
import json
import ssl
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from mailstead.config.settings import Server, Settings, Store
from mailstead.config.settings import Web as WebSettings
from mailstead.mailauth.mta_sts import Mode, parse_policy
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.policy.client_setup import RESPONSE_SCHEMA, Offer
from mailstead.ports.clock import SystemClock
from mailstead.services.web.service import WebService
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.publications import HouseOffers, Publications
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service

LIMIT_S = 10
HOSTNAME = "mx.example.test"
OFFERS = (
    Offer("submission", 465, is_tls=True),
    Offer("submission", 587, is_tls=False),
    Offer("imap", 993, is_tls=True),
    Offer("pop3", 110, is_tls=False),
    Offer("sieve", 4190, is_tls=False),
)


class Answer:
    def __init__(self, octets):
        head, _, self.body = octets.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split()[1]) if status else 0
        self.lines = lines
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


class Web:
    """A running service; `ask` sends octets and reads until the connection is closed."""

    def __init__(self, folder):
        self.certificates = open_certificates("", "", folder, "localhost", 5.0)
        self.certificate_file = folder / "tls" / "certificate.pem"

    async def start(self, publications, challenge_answer=None):
        self.service = WebService(
            publications,
            ["127.0.0.1:0"],
            ["127.0.0.1:0"],
            self.certificates.context,
            challenge_answer=challenge_answer,
        )
        self.service.bind()
        self.port, self.tls_port = (endpoint.port for endpoint in self.service.bound)
        self.stop = asyncio.Event()
        self.running = asyncio.create_task(self.service.run(self.stop))

    def tls(self):
        return ssl.create_default_context(cafile=self.certificate_file)

    async def open(self, *, tls=None):
        port = self.tls_port if tls else self.port
        return await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None)

    async def ask(self, octets, *, tls=None):
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await self.open(tls=tls)
            writer.write(octets)
            answer = await reader.read()
            writer.close()
            return Answer(answer)

    async def get(self, host, path, *, method="GET", tls=None, more=""):
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
        return await self.ask(("\r\n".join(lines) + f"\r\n{more}\r\n").encode(), tls=tls)

    async def post(self, host, body, path="/autodiscover/autodiscover.xml"):
        head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        return await self.ask(head.encode() + body)


@pytest.fixture
async def storage(tmp_path):
    storage = await EmbeddedStorage.open(
        Store(master_key=Secret("00" * 32)), tmp_path / "data", LocalBus(), SystemClock()
    )
    await storage.directory.add_domain(Domain("example.test"))
    await storage.directory.add_domain(Domain("xn--bcher-kva.test", DomainTerms(mta_sts_mode="testing")))
    yield storage
    await storage.close()


@pytest.fixture
async def web(tmp_path, storage):
    web = Web(tmp_path / "data")
    await web.start(Publications(storage, HouseOffers(HOSTNAME, OFFERS)))
    yield web
    web.stop.set()
    await asyncio.wait_for(web.running, LIMIT_S)


async def test_attack_036_the_policy_is_served_as_senders_want_it(web):
    answer = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt", tls=web.tls())
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    policy = parse_policy(answer.body, "1")
    assert policy.mode is Mode.ENFORCE
    assert policy.mx == (HOSTNAME,)
    assert policy.max_age_s >= 86400
    assert "location" not in answer.headers


async def test_the_policy_is_that_of_the_domain(web, storage):
    answer = await web.get("mta-sts.xn--bcher-kva.test.:443", "/.well-known/mta-sts.txt")
    assert parse_policy(answer.body, "1").mode is Mode.TESTING
    domain = await storage.directory.domain("example.test")
    await storage.directory.set_terms("example.test", replace(domain.terms, mta_sts_mode="none"))
    answer = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt")
    assert parse_policy(answer.body, "1").mode is Mode.NONE


@pytest.mark.parametrize("host", ["example.test", HOSTNAME, "autoconfig.example.test"])
async def test_attack_036_the_policy_has_one_place_only(web, host):
    assert (await web.get(host, "/.well-known/mta-sts.txt")).status == 404


async def test_head_has_no_body(web):
    whole = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt")
    head = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt", method="HEAD")
    assert head.status == 200
    assert head.body == b""
    assert head.headers["content-length"] == str(len(whole.body))


TOKEN = "token-of-an-authority"


@pytest.fixture
async def proving(tmp_path, storage):
    """A service that proves names to an authority."""
    web = Web(tmp_path / "data")
    await web.start(Publications(storage, HouseOffers(HOSTNAME, OFFERS)), {TOKEN: f"{TOKEN}.thumbprint"}.get)
    yield web
    web.stop.set()
    await asyncio.wait_for(web.running, LIMIT_S)


@pytest.mark.parametrize("host", [HOSTNAME, "www.example.test", "mta-sts.example.test", "elsewhere.test"])
async def test_an_authority_finds_the_proof_under_any_name(proving, host):
    answer = await proving.get(host, f"/.well-known/acme-challenge/{TOKEN}")
    assert (answer.status, answer.body) == (200, f"{TOKEN}.thumbprint".encode())
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("host", ["autodiscover.example.test", "example.test", HOSTNAME])
async def test_programs_that_ask_in_json_are_led_to_the_xml(web, host):
    for path in (
        "/autodiscover/autodiscover.json?Email=a%40example.test&Protocol=AutodiscoverV1&RedirectCount=1",
        "/autodiscover/autodiscover.json/v1.0/a@example.test?Protocol=AutodiscoverV1",
        "/Autodiscover/Autodiscover.json?protocol=autodiscoverv1",
    ):
        answer = await web.get(host, path)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json"), path
        assert json.loads(answer.body) == {
            "Protocol": "AutodiscoverV1",
            "Url": f"https://{HOSTNAME}/autodiscover/autodiscover.xml",
        }


async def test_what_is_not_offered_is_told_so_in_json(web):
    answer = await web.get("example.test", "/autodiscover/autodiscover.json?Protocol=ActiveSync%22%3E")
    assert answer.status == 400
    assert json.loads(answer.body)["ErrorCode"] == "InvalidProtocol"
    assert b">" not in answer.body
    for label in ("mta-sts", "autoconfig", "openpgpkey"):
        path = "/autodiscover/autodiscover.json?Protocol=AutodiscoverV1"
        assert (await web.get(f"{label}.example.test", path)).status == 404


@pytest.mark.parametrize("path", ["", "other", f"{TOKEN}/", f"../acme-challenge/{TOKEN}", f"%2e%2e/{TOKEN}"])
async def test_there_is_nothing_but_proofs(proving, path):
    answer = await proving.get(HOSTNAME, f"/.well-known/acme-challenge/{path}")
    assert answer.status == 404
    answer = await proving.get(HOSTNAME, f"/.well-known/acme-challenge/{TOKEN}", method="DELETE")
    assert answer.status in {404, 405}


async def test_where_nothing_is_ordered_there_are_no_proofs(web):
    assert (await web.get(HOSTNAME, f"/.well-known/acme-challenge/{TOKEN}")).status == 404
    assert (await web.get("elsewhere.test", f"/.well-known/acme-challenge/{TOKEN}")).status == 421


@pytest.mark.parametrize(
    "host",
    ["evil.test", "mta-sts.evil.test", "sub.example.test", "mta-sts.mta-sts.example.test", "127.0.0.1", "[::1]", "",
     "example.test:x", "example.test@evil.test", "example.test/evil.test", "ex\xe4mple.test"],
)  # fmt: skip
async def test_attack_091_unknown_hosts_get_421(web, host):
    answer = await web.ask(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert answer.status in {400, 421}
    assert b"example.test" not in answer.body


@pytest.mark.parametrize(
    "more",
    ["X-Forwarded-Host: mta-sts.example.test\r\n", "Forwarded: host=mta-sts.example.test\r\n",
     "X-Host: mta-sts.example.test\r\n"],
)  # fmt: skip
async def test_attack_091_what_proxies_claim_says_nothing(web, more):
    assert (await web.get("evil.test", "/.well-known/mta-sts.txt", more=more)).status == 421


async def test_attack_091_two_hosts_are_none(web):
    answer = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt", more="Host: evil.test\r\n")
    assert answer.status in {400, 421}


async def test_attack_091_a_host_in_the_target_does_not_count(web):
    answer = await web.get("evil.test", "http://mta-sts.example.test/.well-known/mta-sts.txt")
    assert answer.status == 421


@pytest.mark.parametrize(
    "path", ["/", "/.well-known", "/.well-known/", "/mail/", "/../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/mail"]
)
async def test_there_is_nothing_to_list(web, path):
    answer = await web.get("example.test", path)
    assert answer.status == 404
    assert answer.body == b"Not found\n" or len(answer.body) < 20


async def test_no_other_methods(web):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE"):
        answer = await web.get("mta-sts.example.test", "/.well-known/mta-sts.txt", method=method)
        assert answer.status == 405, method


async def test_what_browsers_are_told(web):
    answer = await web.get("evil.test", "/")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "server" not in answer.headers


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("autoconfig.example.test", "/mail/config-v1.1.xml?emailaddress=alice%40example.test"),
        ("example.test", "/.well-known/autoconfig/mail/config-v1.1.xml"),
        (HOSTNAME, "/mail/config-v1.1.xml?emailaddress=alice@example.test"),
    ],
)
async def test_thunderbird_finds_its_settings(web, host, path):
    answer = await web.get(host, path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/xml")
    [provider] = ET.fromstring(answer.body)
    assert provider.findtext("domain") == "example.test"
    incoming = [
        (each.get("type"), each.findtext("hostname"), each.findtext("port"), each.findtext("socketType"))
        for each in provider.findall("incomingServer")
    ]
    assert incoming == [("imap", HOSTNAME, "993", "SSL"), ("pop3", HOSTNAME, "110", "STARTTLS")]
    outgoing = [(each.findtext("port"), each.findtext("socketType")) for each in provider.findall("outgoingServer")]
    assert outgoing == [("465", "SSL"), ("587", "STARTTLS")]
    assert {each.text for each in provider.iter("username")} == {"%EMAILADDRESS%"}


async def test_settings_for_others_domains_are_not_given(web):
    assert (await web.get(HOSTNAME, "/mail/config-v1.1.xml?emailaddress=a@evil.test")).status == 404
    assert (await web.get(HOSTNAME, "/mail/config-v1.1.xml")).status == 404
    assert (await web.get("mta-sts.example.test", "/mail/config-v1.1.xml")).status == 404


def question(address, before=""):
    schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
    return (
        f'<?xml version="1.0" encoding="utf-8"?>{before}<Autodiscover xmlns="{schema}"><Request>'
        f"<EMailAddress>{address}</EMailAddress></Request></Autodiscover>"
    ).encode()


@pytest.mark.parametrize("host", ["autodiscover.example.test", "example.test", HOSTNAME])
@pytest.mark.parametrize("path", ["/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"])
async def test_outlook_finds_its_settings(web, host, path):
    answer = await web.post(host, question("O&apos;Hara&amp;co@example.test"), path)
    assert answer.status == 200
    names = {"o": RESPONSE_SCHEMA}
    protocols = ET.fromstring(answer.body).findall(".//o:Protocol", names)
    found = [[each.findtext(f"o:{name}", None, names) for name in ("Type", "Port", "SSL")] for each in protocols]
    assert found == [["IMAP", "993", "on"], ["POP3", "110", "off"], ["SMTP", "465", "on"]]
    assert {each.findtext("o:LoginName", None, names) for each in protocols} == {"O'Hara&co@example.test"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (question("alice@evil.test"), "500"),
        (question("no address"), "500"),
        (question(""), "500"),
        (b"", "600"),
        (b"<Autodiscover>", "600"),
        (b"\xff\xfe", "600"),
        (question("&a;@example.test", '<!DOCTYPE x [<!ENTITY a "alice">]>'), "600"),
        (question("&a;@example.test", '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'), "600"),
    ],
)
async def test_questions_of_outlook_that_have_no_answer(web, body, code):
    answer = await web.post("example.test", body)
    assert answer.status == 200
    assert f"<ErrorCode>{code}</ErrorCode>".encode() in answer.body
    assert b"alice" not in answer.body


async def test_a_question_is_bounded(web):
    answer = await web.post("example.test", question("x" * 20_000 + "@example.test"))
    assert answer.status == 413
    try:
        answer = await web.get("example.test", "/" + "x" * 2_000_000)
        assert answer.status == 400
    except ConnectionError:  # closed while we were still talking
        pass


async def test_a_new_certificate_serves_the_next_handshake(web):
    """And a connection that is open goes on."""
    before = web.tls()
    reader, writer = await web.open(tls=before)
    old = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    await asyncio.to_thread(
        lambda: [(web.certificate_file.parent / name).unlink() for name in ("certificate.pem", "key.pem")]
    )
    open_certificates("", "", web.certificate_file.parent.parent, "localhost", 5.0)
    assert web.certificates.look()
    _, second = await web.open(tls=web.tls())
    new = second.get_extra_info("ssl_object").getpeercert(binary_form=True)
    assert new != old
    assert new == ssl.PEM_cert_to_DER_cert(web.certificate_file.read_text())
    second.close()
    writer.write(b"GET / HTTP/1.1\r\nHost: example.test\r\nConnection: close\r\n\r\n")
    assert Answer(await asyncio.wait_for(reader.read(), LIMIT_S)).status == 404
    writer.close()


async def test_only_tls_of_today(web):
    old = web.tls()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await web.open(tls=old)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        only = web.tls()
        only.minimum_version = only.maximum_version = version
        assert (await web.get("example.test", "/", tls=only)).status == 404
    weak = web.tls()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE+AES128+SHA:ECDHE+AES256+SHA:!AEAD")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await web.open(tls=weak)


async def test_a_client_without_sni_is_served(web):
    context = web.tls()
    context.check_hostname = False
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", web.tls_port, ssl=context, server_hostname="")
        writer.write(b"GET / HTTP/1.0\r\nHost: example.test\r\n\r\n")
        assert Answer(await reader.read()).status == 404
        writer.close()


async def test_attack_010_a_silent_client_is_closed(web, monkeypatch):
    monkeypatch.setattr(web.service, "terms", replace(web.service.terms, connection_s=0.05))
    async with asyncio.timeout(LIMIT_S):
        reader, writer = await web.open()
        writer.write(b"GET / HTTP/1.1\r\nHost: exam")
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()


async def test_attack_010_too_many_connections_are_closed_at_once(web, monkeypatch):
    monkeypatch.setattr(web.service, "terms", replace(web.service.terms, connections_max=2))
    async with asyncio.timeout(LIMIT_S):
        kept = [await web.open() for _ in range(2)]
        reader, writer = await web.open()
        with pytest.raises(ConnectionError):
            if await reader.read() == b"":
                raise ConnectionResetError
        for _, each in [*kept, (reader, writer)]:
            each.close()


async def test_ports_that_are_taken_are_told(web, storage):
    publications = Publications(storage, HouseOffers(HOSTNAME, OFFERS))
    second = WebService(publications, ["127.0.0.1:0", f"127.0.0.1:{web.port}"], [], web.certificates.context)
    with pytest.raises(BadSettings, match="web cannot listen"):
        second.bind()
    assert second.bound == []


async def test_stopping_ends_open_connections(tmp_path, storage):
    web = Web(tmp_path / "data")
    await web.start(Publications(storage, HouseOffers(HOSTNAME, OFFERS)))
    reader, writer = await web.open()
    web.stop.set()
    await asyncio.wait_for(web.running, LIMIT_S)
    assert await asyncio.wait_for(reader.read(), LIMIT_S) == b""
    writer.close()


def test_daemons_without_web_never_load_it():
    code = (
        "import sys, mailstead.wiring.serve, mailstead.cli.app;"
        "assert not {'starlette', 'uvicorn', 'h11'} & set(sys.modules), sorted(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


async def test_the_house_gives_the_service_what_its_settings_say(tmp_path):
    at = WebSettings(listen=("127.0.0.1:0",), listen_tls=("127.0.0.1:0",))
    settings = Settings(
        server=Server(hostname=HOSTNAME, data_dir=tmp_path / "data"), store=Store(master_key=Secret("00" * 32)), web=at
    )
    settings = replace(settings, imap=replace(settings.imap, listen_tls=("127.0.0.1:993",)))
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        web = Web(tmp_path / "data")
        web.service = make_web_service(house, web.certificates)
        web.service.bind()
        web.port, web.tls_port = (endpoint.port for endpoint in web.service.bound)
        stop = asyncio.Event()
        running = asyncio.create_task(web.service.run(stop))
        answer = await web.get("autoconfig.example.test", "/mail/config-v1.1.xml", tls=web.tls())
        assert [each.text for each in ET.fromstring(answer.body).iter("port")] == ["993"]
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)
