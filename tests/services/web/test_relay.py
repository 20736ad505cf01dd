"""What a relay answers over HTTP: pages, invitation, `/new`; and one port for mail and web."""

import asyncio
import json
import ssl
from base64 import b64decode
from dataclasses import replace

import pytest

from mailstead.config.settings import Imap, MailListeners, Server, Settings, Store, Web
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.errors import BadSettings
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.net.run import Servers
from mailstead.policy.profiles import PROFILES
from mailstead.ports.clock import SystemClock
from mailstead.services.web.service import WebService
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.invitations import Invitations
from mailstead.usecases.publications import HouseOffers, Publications
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.listeners import make_listeners
from mailstead.wiring.offers import house_offers
from mailstead.wiring.web import make_web_service
from services.web.test_web import OFFERS, Answer

CHAT = DomainTerms(**PROFILES["chatmail"], languages=("en", "ru"))
LIMIT_S = 10


class Site:
    """The web service of a store with relays and an ordinary domain."""

    def __init__(self, storage, port):
        self.storage, self.port = storage, port

    async def ask(self, host, path, method="GET", more=""):
        async with asyncio.timeout(LIMIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode())
            answer = Answer(await reader.read())
            writer.close()
            return answer

    async def set_terms(self, **terms):
        await self.storage.directory.set_terms("chat.test", replace(CHAT, **terms))


@pytest.fixture
async def site(tmp_path):
    storage = await EmbeddedStorage.open(
        Store(master_key=Secret("11" * 32)), tmp_path / "data", LocalBus(), SystemClock()
    )
    for name, terms in (
        ("example.test", DomainTerms()),
        ("chat.test", CHAT),
        ("_chat.test", CHAT),
        ("[192.0.2.1]", CHAT),
    ):
        await storage.directory.add_domain(Domain(name, terms))
    certificates = open_certificates("", "", tmp_path, "localhost", 5.0)
    publications = Publications(storage, HouseOffers("mx.chat.test", OFFERS))
    service = WebService(publications, ["127.0.0.1:0"], [], certificates.context, invitations=Invitations(storage))
    service.bind()
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    yield Site(storage, service.bound[0].port)
    stop.set()
    await running
    await storage.close()


async def test_the_landing_page_comes_in_the_language_that_is_liked(site):
    answer = await site.ask("chat.test", "/")
    assert answer.status == 200
    assert b"Welcome to chat.test" in answer.body
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Добро".encode() in (await site.ask("chat.test", "/", more="Accept-Language: ru\r\n")).body
    assert "Добро".encode() in (await site.ask("chat.test", "/ru/index.html")).body
    assert b"How chat.test works" in (await site.ask("chat.test", "/info.html")).body


async def test_files_and_the_code_of_the_invitation(site):
    code = await site.ask("chat.test", "/qr-chatmail-invite-chat.test.png")
    assert (code.status, code.headers["content-type"]) == (200, "image/png")
    assert code.body.startswith(b"\x89PNG")
    assert (await site.ask("chat.test", "/relay.css")).status == 200
    assert (await site.ask("chat.test", "/robots.txt")).body == b"User-agent: *\nDisallow: /\n"


@pytest.mark.parametrize(
    "path", ["/none.html", "/ko/index.html", "/none", "/a/b/c", "/..%2f..%2fetc%2fpasswd", "/none.png"]
)
async def test_what_is_not_there_is_told(site, path):
    assert (await site.ask("chat.test", path)).status == 404


@pytest.mark.parametrize("path", ["/", "/index.html", "/new", "/cgi-bin/newemail.py", "/relay.css", "/robots.txt"])
@pytest.mark.parametrize("host", ["example.test", "mta-sts.chat.test", "mx.chat.test"])
async def test_ordinary_domains_and_other_names_have_no_pages(site, host, path):
    assert (await site.ask(host, path, "POST" if "new" in path else "GET")).status in {404, 405}


async def test_www_leads_to_the_bare_domain(site):
    answer = await site.ask("www.chat.test", "/info.html?x=1")
    assert (answer.status, answer.headers["location"]) == (301, "https://chat.test/info.html")
    assert (await site.ask("www.example.test", "/")).status == 421


async def test_the_policy_is_there_under_the_own_name_too(site):
    assert b"mx: mx.chat.test" in (await site.ask("chat.test", "/.well-known/mta-sts.txt")).body
    assert (await site.ask("example.test", "/.well-known/mta-sts.txt")).status == 404
    assert (
        b"<hostname>"
        in (await site.ask("chat.test", "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=x")).body
    )


@pytest.mark.parametrize("path", ["/new", "/cgi-bin/newemail.py"])
async def test_new_gives_an_account_and_stores_none(site, path):
    answer = await site.ask("chat.test", path, "POST", "Content-Length: 0\r\n")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    found = json.loads(answer.body)
    assert set(found) == {"email", "password"}
    local_part, _, domain = found["email"].partition("@")
    assert (len(local_part), domain, len(found["password"])) == (9, "chat.test", 12)
    assert local_part.isalnum()
    assert await site.storage.directory.accounts() == []


async def test_new_by_get_leads_into_the_app(site):
    answer = await site.ask("chat.test", "/new")
    assert (answer.status, answer.headers["location"]) == (301, "dcaccount:https://chat.test/new")


@pytest.mark.parametrize(("host", "start"), [("_chat.test", "@_chat.test?p="), ("192.0.2.1", "@[192.0.2.1]?p=")])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_relay_of_its_own_certificate_gives_the_whole_log_in(site, host, start, method):
    found = json.loads((await site.ask(host, "/new", method)).body)
    assert start in found["dclogin_url"]
    assert ("&ih=192.0.2.1&sh=192.0.2.1" in found["dclogin_url"]) == (host == "192.0.2.1")
    assert found["dclogin_url"].endswith("&ic=3")
    assert b64decode(found["dclogin_qr"].removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")


async def test_a_refusal_has_its_reason(site):
    await site.set_terms(opens_accounts=False)
    answer = await site.ask("chat.test", "/new", "POST")
    assert (answer.status, json.loads(answer.body)) == (403, {"reason": "This server takes no new accounts"})


async def test_an_invitation_is_asked_for_where_there_are_tokens(site):
    await site.set_terms(invite_tokens=("friends2026",))
    for token in ("", "?other", "?friends"):
        answer = await site.ask("chat.test", f"/new{token}", "POST")
        assert (answer.status, "invitation" in json.loads(answer.body)["reason"]) == (403, True)
    found = json.loads((await site.ask("chat.test", "/new?friends2026", "POST")).body)
    assert found["password"].startswith("friends2026")
    assert len(found["password"]) == len("friends2026") + 12
    await site.set_terms(invite_tokens=("a&b/c",))
    found = json.loads((await site.ask("chat.test", "/new?a%26b%2Fc", "POST")).body)
    assert found["password"].startswith("a&b/c")
    assert (await site.ask("chat.test", "/new?friends2026")).headers["location"].endswith("/new?friends2026")


async def test_attack_101_accounts_are_not_invented_without_end(site):
    answers = [await site.ask("chat.test", "/new", "POST") for _ in range(8)]
    statuses = [answer.status for answer in answers]
    assert statuses[:5] == [200] * 5
    assert statuses[-1] == 503
    assert "network" in json.loads(answers[-1].body)["reason"]


async def test_mail_and_web_share_a_port(tmp_path):
    settings = Settings(
        server=Server(hostname="localhost", data_dir=tmp_path, services=("imap", "submission", "web")),
        store=Store(master_key=Secret("22" * 32)),
        imap=Imap(listen_tls=("127.0.0.1:0",)),
        submission=MailListeners(listen_tls=("127.0.0.1:0",)),
        web=Web(listen_shared=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "chat.test", "chatmail")
        certificates = open_certificates("", "", tmp_path, "localhost", 5.0)
        web = make_web_service(house, certificates)
        listeners = make_listeners(house, certificates, web)
        servers, stop = Servers(listeners, stop_limit_s=1, certificates=certificates), asyncio.Event()
        servers.bind()
        port = listeners[-1].bound[0].port
        running = [asyncio.create_task(servers.run(stop)), asyncio.create_task(web.run(stop))]

        async def first_line(*protocols, say=b""):
            context = ssl.create_default_context(cafile=tmp_path / "tls" / "certificate.pem")
            context.set_alpn_protocols(list(protocols))
            async with asyncio.timeout(LIMIT_S):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=context, server_hostname="localhost"
                )
                writer.write(say)
                line = await reader.readline()
                writer.close()
                return line

        assert (await first_line("imap")).startswith(b"* OK ")
        assert (await first_line("smtp")).startswith(b"220 ")
        asked = b"GET / HTTP/1.1\r\nHost: chat.test\r\nConnection: close\r\n\r\n"
        assert await first_line("http/1.1", say=asked) == b"HTTP/1.1 200 OK\r\n"
        offered = await Publications(house.storage, house_offers(settings)).autoconfig("chat.test")
        assert "<port>0</port>" in offered
        stop.set()
        await asyncio.gather(*running)


async def test_a_shared_port_without_mail_is_refused(tmp_path):
    settings = Settings(
        server=Server(data_dir=tmp_path, services=("web",)),
        store=Store(master_key=Secret("22" * 32)),
        web=Web(listen_shared=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        with pytest.raises(BadSettings, match=r"web\.listen_tls"):
            make_listeners(house, open_certificates("", "", tmp_path, "localhost", 5.0))
