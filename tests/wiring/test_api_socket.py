"""WebSockets on real ports, with a client that others wrote: each way to log in, both forms of frames, codes of closing."""

import asyncio
import base64
import contextlib
import json
import logging

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mailstead.config.settings import Api, Web
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.people import Group, User, UserId
from mailstead.model.secret import Secret
from mailstead.net import http_server
from mailstead.services.api.socket_limits import SocketTerms
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring import api
from mailstead.wiring.api import make_api_service
from mailstead.wiring.house import ADMINISTRATOR
from mailstead.wiring.web import make_web_service
from wiring.test_dav import ALICE, AT, LIMIT_S, PASSWORD, served

MESSAGE = b"From: Bob <bob@example.test>\r\nSubject: Hello\r\n\r\nHello, Alice\r\n"
PEER = Peer("127.0.0.1", 1, tls_version="TLSv1.3")


def basic(username, password=""):
    return {"Authorization": "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()}


OWNER = basic(ALICE, PASSWORD)


class Home:
    """A served house, and its sockets."""

    def __init__(self, house, found):
        self.house = house
        self.found = found

    def connect(self, query="", headers=None, origin=None, port=None):
        return connect(
            f"wss://localhost:{port or self.found.ports[1]}/v1/ws{query}",
            ssl=self.found.tls,
            additional_headers=headers,
            origin=origin,
            proxy=None,
            open_timeout=LIMIT_S,
        )

    async def alias_id(self):
        return (await self.house.storage.people.address_entry("example.test", "alice")).profile.object_id

    async def append(self):
        actor = await self.house.accounts.log_in(ALICE, Secret(PASSWORD), PEER, "imap")
        await self.house.mailboxes.append(actor, "INBOX", [Draft(MESSAGE)])

    async def token(self):
        people, user_id = self.house.storage.people, UserId("1" * 24)
        await people.add_user(User(user_id, "admin@people.test"), None)
        await people.set_member("example.test", user_id, Group.ADMIN)
        made = await self.house.users.tokens.create(ADMINISTRATOR, "test", user=await people.user(user_id))
        return made.secret.reveal()


@contextlib.asynccontextmanager
async def at_home(folder, services=("api",), make=make_api_service, **sections):
    houses = []

    def made(house, certificates):
        houses.append(house)
        return make(house, certificates)

    sections = sections or {"api": Api(listen=AT, listen_tls=AT)}
    async with served(folder, services, made, **sections) as (found,):
        yield Home(houses[0], found)


async def frame(socket):
    async with asyncio.timeout(LIMIT_S):
        return json.loads(await socket.recv())


async def code_of(socket):
    """Read until it ends; give the code."""
    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.recv()
    return closed.value.rcvd.code


async def status_of(connecting):
    with pytest.raises(InvalidStatus) as refused:
        async with connecting:
            pass
    return refused.value.response.status_code, json.loads(refused.value.response.body)["statusCode"]


async def test_each_way_to_log_in(tmp_path):
    async with at_home(tmp_path) as home:
        alias_id, token = await home.alias_id(), await home.token()
        log_in = {"event": "auth", "username": ALICE, "password": PASSWORD}
        ways = (
            ("", OWNER, None),
            (f"?alias_id={alias_id}", basic(token), None),
            ("?auth=message", None, log_in),
            ("?auth=message", None, {**log_in, "username": token, "password": "", "alias_id": alias_id}),
        )
        for query, headers, first in ways:
            async with home.connect(query, headers) as socket:
                if first is not None:
                    await socket.send(json.dumps(first))
                assert await frame(socket) == {"event": "connected", "aliasId": alias_id}
                await home.append()
                assert (await frame(socket))["event"] == "newMessage"
        async with home.connect() as socket:
            assert await frame(socket) == {"event": "connected", "broadcastOnly": True}
        async with home.connect("?msgpackr=true", OWNER) as socket:
            assert msgspec.msgpack.decode(await socket.recv()) == {"event": "connected", "aliasId": alias_id}


async def test_refusals_are_http_before_and_codes_behind_the_handshake(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "websockets.client")  # the other side may log its password
    async with at_home(tmp_path) as home:
        assert await status_of(home.connect("", basic(ALICE, "wrong"))) == (401, 401)
        assert await status_of(home.connect(f"?password={PASSWORD}")) == (400, 400)
        assert await status_of(home.connect("?auth=message", OWNER)) == (400, 400)
        assert await status_of(home.connect("", OWNER, origin="https://evil.test")) == (403, 403)  # attack row 89
        async with home.connect("?auth=message") as socket:
            await socket.send("nonsense")
            assert await code_of(socket) == 4400
        async with home.connect("?auth=message") as socket:
            await socket.send(json.dumps({"event": "auth", "username": ALICE, "password": "wrong"}))
            assert await code_of(socket) == 4401
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(3):
                await frame(await stack.enter_async_context(home.connect()))
            assert await status_of(home.connect()) == (429, 429)
    assert PASSWORD not in caplog.text


async def test_attack_064_a_changed_password_ends_it(tmp_path):
    async with at_home(tmp_path) as home, home.connect("", OWNER) as socket:
        await frame(socket)
        await home.house.accounts.set_password(ADMINISTRATOR, Address.parse(ALICE), Secret(PASSWORD + "-new"))
        assert await code_of(socket) == 4001


async def test_beside_the_pages_of_the_web(tmp_path):
    web = Web(listen=AT, listen_tls=AT)
    async with at_home(tmp_path, ("web", "api"), make_web_service, web=web) as home:
        async with home.connect("", OWNER) as socket:
            assert (await frame(socket))["event"] == "connected"
        for path in ("/nothing", "/v1/other"):
            with pytest.raises(InvalidStatus):
                async with connect(f"wss://localhost:{home.found.ports[1]}{path}", ssl=home.found.tls, proxy=None):
                    pass


async def test_pings_come_and_who_does_not_answer_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(http_server, "PING_S", 0.05)
    async with at_home(tmp_path) as home:
        async with home.connect("", OWNER) as socket:
            await frame(socket)
            await home.append()
            assert (await frame(socket))["event"] == "newMessage"
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", home.found.ports[1], ssl=home.found.tls, server_hostname="localhost"
        )
        fields = {
            "Host": "localhost",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
            **OWNER,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET /v1/ws HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(LIMIT_S):
            everything = await reader.read()  # to its end: we answer nothing
        assert everything.startswith(b"HTTP/1.1 101")
        assert b"\x89\x04" in everything  # a ping with four octets. Spec: RFC 6455 §5.5.2
        writer.close()


async def test_attack_010_who_does_not_read_is_cut_off(tmp_path, monkeypatch):
    """The connection is gone although nothing was read from it, so nothing is kept for it."""
    terms = SocketTerms(queued_octets=20_000, cut_s=0.0)
    make_app = api.make_app
    monkeypatch.setattr(api, "make_app", lambda house: make_app(house, sockets=terms))
    async with at_home(tmp_path) as home:
        socket = await home.connect("", OWNER)
        await frame(socket)
        socket.transport.pause_reading()
        actor = await home.house.accounts.log_in(ALICE, Secret(PASSWORD), PEER, "imap")
        events = home.found.server
        async with asyncio.timeout(60):
            while events.open_count:
                await home.house.mailboxes.append(actor, "INBOX", [Draft(MESSAGE) for _ in range(50)])
        socket.transport.abort()
