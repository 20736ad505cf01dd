"""Calendars and contacts on real ports: where the web answers, and on their own; passwords over TLS only."""

import asyncio
import base64
import contextlib
import ssl

import pytest

from mailstead.config.settings import Dav, Listeners, Server, Settings, Store, Web
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.net import http_requests
from mailstead.net.certificates import open_certificates
from mailstead.wiring.dav import make_dav_services
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service

LIMIT_S = 20
PASSWORD = "pw-never-in-a-log"
ALICE = "alice@example.test"
AT = ("127.0.0.1:0",)


class Served:
    """A running server; `ask` gives status, header and body."""

    def __init__(self, server, certificate):
        self.server = server
        self.ports = [each.port for each in server.bound]
        self.tls = ssl.create_default_context(cafile=certificate)

    async def ask(self, method, path, *, is_tls, **fields):
        log_in = base64.b64encode(f"{ALICE}:{PASSWORD}".encode()).decode()
        lines = {"Host": "localhost", "Authorization": f"Basic {log_in}", "Connection": "close", **fields}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        async with asyncio.timeout(LIMIT_S):
            tls = {"ssl": self.tls, "server_hostname": "localhost"} if is_tls else {}
            reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[is_tls], **tls)
            writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
            answer, _, body = (await reader.read()).partition(b"\r\n\r\n")
            writer.close()
        return int(answer.split()[1]), answer.decode().lower(), body


@contextlib.asynccontextmanager
async def served(folder, services, make=None, **sections):
    """`make` gives a server; None: those of calendars and contacts, or the web."""
    settings = Settings(
        server=Server(hostname="localhost", data_dir=folder / "data", services=services),
        store=Store(master_key=Secret("00" * 32)),
        **sections,
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        await house.accounts.create(ADMINISTRATOR, Address.parse(ALICE), Secret(PASSWORD))
        certificates = open_certificates("", "", folder / "data", "localhost", 5.0)
        if make is not None:
            servers = [make(house, certificates)]
        elif "web" in services:
            servers = [make_web_service(house, certificates)]
        else:
            servers = make_dav_services(house, certificates)
        stop = asyncio.Event()
        for each in servers:
            each.bind()
        running = [asyncio.create_task(each.run(stop)) for each in servers]
        yield [Served(each, folder / "data" / "tls" / "certificate.pem") for each in servers]
        stop.set()
        await asyncio.wait_for(asyncio.gather(*running), LIMIT_S)


@pytest.fixture
def from_afar(monkeypatch):
    """Loopback counts as any other address."""
    monkeypatch.setattr(http_requests, "is_loopback", lambda _address: False)


@pytest.mark.usefixtures("from_afar")
async def test_where_the_web_answers(tmp_path):
    services = ("web", "caldav", "carddav")
    async with served(tmp_path, services, web=Web(listen=AT, listen_tls=AT)) as (web,):
        status, head, _ = await web.ask("PROPFIND", "/.well-known/caldav", is_tls=True)
        assert (status, "location: /dav/\r\n" in head) == (301, True)
        status, head, body = await web.ask("PROPFIND", "/dav/", is_tls=True, Depth="0")
        assert (status, "calendar-access" in head) == (207, True)
        status, _, body = await web.ask("PROPFIND", "/dav/", is_tls=False, Depth="0")
        assert (status, b"https://" in body) == (403, True)
        assert (await web.ask("GET", "/nothing", is_tls=True))[0] in {404, 421}  # the pages are there, too


@pytest.mark.usefixtures("from_afar")
async def test_without_the_services_the_web_has_no_calendars(tmp_path):
    async with served(tmp_path, ("web",), web=Web(listen=AT, listen_tls=AT)) as (web,):
        assert (await web.ask("PROPFIND", "/dav/", is_tls=True, Depth="0"))[0] in {404, 405, 421}


@pytest.mark.usefixtures("from_afar")
async def test_on_ports_of_their_own(tmp_path):
    both = Listeners(listen=AT, listen_tls=AT)
    async with served(tmp_path, ("caldav", "carddav"), caldav=both, carddav=both) as found:
        assert [each.server.terms.service for each in found] == ["caldav", "carddav"]
        for each in found:
            assert (await each.ask("PROPFIND", "/", is_tls=True, Depth="0"))[0] == 207
            assert (await each.ask("PROPFIND", "/", is_tls=False, Depth="0"))[0] == 403
            status, head, _ = await each.ask("GET", "/.well-known/carddav", is_tls=False)
            assert (status, "location: /\r\n" in head) == (301, True)


@pytest.mark.usefixtures("from_afar")
async def test_behind_a_proxy_that_ends_tls(tmp_path):
    clear = Listeners(listen=AT)
    async with served(tmp_path, ("carddav",), carddav=clear, dav=Dav(allows_clear_text=True)) as (found,):
        assert (await found.ask("PROPFIND", "/", is_tls=False, Depth="0"))[0] == 207
