"""Requests to the DAV application as the wiring makes it, without a socket."""

import asyncio
import base64
from contextlib import asynccontextmanager
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from mailstead.config.settings import Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.secret import Secret
from mailstead.wiring.dav import make_app
from mailstead.wiring.house import ADMINISTRATOR, open_house

HOST = "mail.example.test"
PASSWORD = "pw-never-in-a-log"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def xml(self):
        return ET.fromstring(self.body)


class Asking:
    """Asks as an account, or (address empty) without log-in."""

    def __init__(self, house, app):
        self.house = house
        self.app = app
        self.address = "127.0.0.1"

    async def ask(self, method, path, body=b"", by="alice@example.test", **headers):
        fields = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if by:
            fields["authorization"] = "Basic " + base64.b64encode(f"{by}:{PASSWORD}".encode()).decode()
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path.replace("%40", "@"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": (self.address, 4711),
            "server": (HOST, 443),
            "scheme": "https",
            "http_version": "1.1",
        }
        sent = []
        octets = body.encode() if isinstance(body, str) else body
        messages = [{"type": "http.request", "body": octets, "more_body": False}]

        async def receive():
            if not messages:
                await asyncio.Event().wait()  # a client that waits for the whole answer
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        start = sent[0]
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Answer(start["status"], found, b"".join(each.get("body", b"") for each in sent[1:]))

    async def prop(self, path, *names, by="alice@example.test", depth="0"):
        """Give the properties of a path that are there: Clark name to element."""
        inner = "".join(
            f'<x xmlns="{name[1:].partition("}")[0]}"/>'.replace("<x", f"<{name.partition('}')[2]}") for name in names
        )
        body = f'<D:propfind xmlns:D="DAV:"><D:prop>{inner}</D:prop></D:propfind>'
        answer = await self.ask("PROPFIND", path, body, by, depth=depth)
        assert answer.status == 207, answer
        found = {}
        for propstat in answer.xml().iter("{DAV:}propstat"):
            if " 200 " in propstat.findtext("{DAV:}status"):
                found |= {each.tag: each for each in propstat.find("{DAV:}prop")}
        return found


@asynccontextmanager
async def asking(folder, people=("alice", "bob"), services=("caldav", "carddav"), **settings):
    """Give a house with accounts of these names, and the application before it."""
    made = Settings(
        server=Server(hostname=HOST, data_dir=folder / "data", services=services),
        store=Store(master_key=Secret("00" * 32)),
        **settings,
    )
    async with open_house(made) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        for name in people:
            await house.accounts.create(ADMINISTRATOR, Address.parse(f"{name}@example.test"), Secret(PASSWORD))
        yield Asking(house, make_app(house))
