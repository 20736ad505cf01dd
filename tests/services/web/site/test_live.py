"""The stream of events on a real port: who may listen, how many, how it ends; with sockets as simple as can be."""

import asyncio
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from mailstead.config.settings import Limits, Server, Settings, Store, Web
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Peer
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.services.web.site import live
from mailstead.services.web.site.pages import SESSION
from mailstead.usecases.live_news import LiveTerms
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring import site as wiring_site
from mailstead.wiring.house import ADMINISTRATOR, open_house
from mailstead.wiring.web import make_web_service

HOST = "localhost"
ALICE, BOB = Address.parse("alice@example.test"), Address.parse("bob@example.test")
PASSWORD = "pw-never-in-a-log-of-live"
PEER = Peer("127.0.0.1", 4711, tls_version="TLSv1.3")
LIMIT_S = 20
HERE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Line:
    """A connection whose answer has begun."""

    status: int
    head: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, wanted):
        """Read until a text came; give all that was read."""
        async with asyncio.timeout(LIMIT_S):
            return (await self.reader.readuntil(wanted)).decode()

    async def rest(self):
        """Read the answer to its end. Spec: RFC 9112 §7.1 (the last chunk)."""
        return await self.until(b"\r\n0\r\n\r\n")


class Home:
    def __init__(self, house, service, tls, stop):
        self.house = house
        self.service = service
        self.stop = stop
        self._tls = tls
        self._writers = []

    async def begin(self, address=ALICE):
        return (await self.house.web_sessions.start(str(address), Secret(PASSWORD), PEER, "test")).token.reveal()

    async def listen(self, token="", fields=HERE, path=live.PATH):
        port = self.service.bound[0].port
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=self._tls, server_hostname=HOST)
        self._writers.append(writer)
        named = {"Host": HOST, **fields, **({"Cookie": f"{SESSION}={token}"} if token else {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        writer.write(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode())
        async with asyncio.timeout(LIMIT_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        return Line(int(head.split()[1]), head.lower(), reader, writer)

    async def append(self, subject="Lunch", folder="INBOX"):
        account = await self.house.storage.directory.find(ALICE)
        octets = f"From: Bob <bob@else.test>\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
        await self.house.mailboxes.append(Actor(account.account_id, ALICE), folder, [Draft(octets)])

    def leave(self):
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def at_home(folder):
    settings = Settings(
        limits=Limits(password_hash_iterations=1, password_hash_memory_mib=1),
        server=Server(hostname=HOST, data_dir=folder / "data"),
        store=Store(master_key=Secret("00" * 32)),
        web=Web(listen_tls=("127.0.0.1:0",)),
    )
    async with open_house(settings) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        for address in (ALICE, BOB):
            await house.accounts.create(ADMINISTRATOR, address, Secret(PASSWORD))
        certificates = open_certificates("", "", folder / "data", HOST, 5.0)
        service = make_web_service(house, certificates)
        service.bind()
        stop = asyncio.Event()
        running = asyncio.create_task(service.run(stop))
        tls = ssl.create_default_context(cafile=folder / "data" / "tls" / "certificate.pem")
        home = Home(house, service, tls, stop)
        yield home
        home.leave()
        stop.set()
        await asyncio.wait_for(running, LIMIT_S)


@pytest.fixture
async def home(tmp_path):
    async with at_home(tmp_path) as made:
        yield made


async def test_what_comes_is_told_and_says_nothing_more(home):
    line = await home.listen(await home.begin())
    assert line.status == 200
    for field in ("content-type: text/event-stream", "cache-control: no-store", "x-accel-buffering: no"):
        assert field in line.head
    await line.until(live.BEAT)
    await home.append("Lunch\r\n\tat=?utf-8?q?=0A=0Adata=3A_no?=on")  # folded, and one that would be an event
    text = await line.until(b"}\n")
    name, data = text.strip().splitlines()[-2:]
    assert name == "event: news"
    found = json.loads(data.removeprefix("data: "))
    assert found["kinds"] == ["mail"]
    assert found["count"] == 1
    assert found["arrivals"][0]["from"] == "Bob"
    assert found["arrivals"][0]["subject"].startswith("Lunch")


async def test_it_beats(home, monkeypatch):
    monkeypatch.setattr(live, "BEAT_S", 0.01)
    line = await home.listen(await home.begin())
    for _ in range(3):
        await line.until(live.BEAT)


async def test_attack_089_other_sites_may_not_listen(home):
    token = await home.begin()
    for fields in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.test"},
    ):
        assert (await home.listen(token, fields)).status == 403, fields


async def test_attack_092_nobody_listens_to_others(home):
    assert (await home.listen()).status == 303
    assert (await home.listen("msw_" + "x" * 43)).status == 303
    bob, alice = await home.listen(await home.begin(BOB)), await home.listen(await home.begin())
    for each in (bob, alice):
        await each.until(live.BEAT)
    await home.append("Secret")
    assert "Secret" in await alice.until(b"}\n")
    home.stop.set()
    assert "Secret" not in await bob.rest()


@pytest.mark.parametrize("way", ["log out", "revoke", "password"])
async def test_attack_064_it_ends_with_the_session(home, way):
    token, other = await home.begin(), await home.begin()
    line, stays = await home.listen(token), await home.listen(other)
    for each in (line, stays):
        await each.until(live.BEAT)
    sessions = home.house.web_sessions
    if way == "log out":
        await sessions.end(Secret(token))
    elif way == "revoke":
        await sessions.revoke((await sessions.act(Secret(other), PEER)).actor)
    else:
        begun = await sessions.act(Secret(other), PEER)
        await sessions.change_password(begun.actor, Secret(PASSWORD), Secret(PASSWORD + "-new"), PEER)
    assert "event: ended" in await line.rest()
    if way != "password":  # that gives the other session a new token, with which its page comes back
        await home.append()
        assert "Lunch" in await stays.until(b"}\n")
    assert (await home.listen(token)).status == 303


async def test_attack_098_only_so_many_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(
        wiring_site, "LiveNews", lambda events, accounts: live.LiveNews(events, accounts, LiveTerms(of_account=2))
    )
    async with at_home(tmp_path) as home:
        token = await home.begin()
        lines = [await home.listen(token) for _ in range(2)]
        for each in lines:
            await each.until(live.BEAT)
        assert (await home.listen(token)).status == 429
        assert (await home.listen(await home.begin(BOB))).status == 200  # others may
        lines[0].writer.transport.abort()
        async with asyncio.timeout(LIMIT_S):  # until it is noticed that there is room
            while (await home.listen(token)).status != 200:
                await asyncio.sleep(0)  # not a wait: the server's turn to notice


async def test_it_does_not_delay_the_stop(home):
    """Every line comes to its end by itself, while answers that do not are cut off in the middle."""
    line = await home.listen(await home.begin())
    await line.until(live.BEAT)
    home.stop.set()
    assert "ended" not in await line.rest()  # the session goes on: the page comes back


async def test_a_line_has_an_end_of_its_own(home, monkeypatch):
    monkeypatch.setattr(live, "LIFE_S", 0.01)
    line = await home.listen(await home.begin(), HERE)
    assert "ended" not in await line.rest()
    terms = home.service.terms
    assert terms.request_s(live.PATH) > live.LIFE_S
    assert terms.request_s("/mail") == 0.0
