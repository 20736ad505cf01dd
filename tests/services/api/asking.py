"""Requests to the API's application as the wiring makes it, without a socket.

Who asks is an address (an account, with `PASSWORD`), or a role: ``server admin``, ``domain admin`` and ``member`` of
example.test, ``stranger`` (administrator of other.test). Users of roles are made when they ask first, each with a token.
"""

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from mailstead.config.settings import Server, Settings, Store
from mailstead.model.address import Address
from mailstead.model.people import Group, User
from mailstead.model.secret import Secret
from mailstead.services.api.house import ApiTerms
from mailstead.wiring.api import make_app
from mailstead.wiring.house import ADMINISTRATOR, open_house

HOST = "mail.example.test"
BASE_URL = f"https://{HOST}"
PASSWORD = "pw-never-in-a-log"
ROLES = {
    "server admin": (True, {}),
    "domain admin": (False, {"example.test": Group.ADMIN}),
    "member": (False, {"example.test": Group.USER}),
    "stranger": (False, {"other.test": Group.ADMIN}),
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        """What an error says, in either form."""
        told = self.json()
        return told.get("message") or told.get("detail")


def basic(username, password=""):
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


class Asking:
    def __init__(self, house, app):
        self.house = house
        self.app = app
        self.address = "127.0.0.1"
        self.users = {}
        self.tokens = {}

    async def token(self, role):
        """Give a role's token; `users` then has its user."""
        if role not in self.tokens:
            is_admin, groups = ROLES[role]
            people = self.house.storage.people
            address = f"{role.replace(' ', '-')}@people.test"
            user_id = f"{len(self.tokens) + 1:024x}"
            await people.add_user(User(user_id, address, is_admin=is_admin), None)
            for domain, group in groups.items():
                if await self.house.storage.directory.domain(domain) is None:
                    await self.house.domains.add(ADMINISTRATOR, domain)
                await people.set_member(domain, user_id, group)
            self.users[role] = await people.user(user_id)
            made = await self.house.users.tokens.create(ADMINISTRATOR, "test", user=self.users[role])
            self.tokens[role] = made.secret.reveal()
        return self.tokens[role]

    async def authorization(self, by):
        return basic(await self.token(by)) if by in ROLES else basic(by, PASSWORD)

    async def ask(self, method, path, content=None, by="alice@example.test", pieces=None, **headers):
        """Ask; `content` is JSON to be, or octets (whose content_type is then to be said).

        `pieces`: of a body that comes so. `by` None: nobody.
        """
        fields = {"host": HOST, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if by is not None and "authorization" not in fields:
            fields["authorization"] = await self.authorization(by)
        octets = b""
        if isinstance(content, bytes):
            octets = content
        elif content is not None:
            octets = json.dumps(content).encode()
            fields.setdefault("content-type", "application/json")
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path.replace("%40", "@").replace("%2F", "/"),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in fields.items()],
            "client": (self.address, 4711),
            "server": (HOST, 443),
            "scheme": "https",
            "http_version": "1.1",
        }
        parts = [octets] if pieces is None else list(pieces)
        messages = [
            {"type": "http.request", "body": part, "more_body": index < len(parts) - 1}
            for index, part in enumerate(parts)
        ]
        sent = []

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


@asynccontextmanager
async def asking(folder, people=("alice", "bob"), endpoints=None, terms=None, clock=None, **settings):
    """Give a house with example.test and accounts of these names, and the application before it.

    `terms`: `ApiTerms` that differ; `endpoints`: only those.
    """
    made = Settings(
        server=Server(hostname=HOST, data_dir=folder / "data"),
        store=Store(master_key=Secret("00" * 32)),
        **settings,
    )
    async with open_house(made, clock) as house:
        await house.domains.add(ADMINISTRATOR, "example.test")
        for name in people:
            await house.accounts.create(ADMINISTRATOR, Address.parse(f"{name}@example.test"), Secret(PASSWORD))
        app = make_app(house, terms=replace(ApiTerms(base_url=BASE_URL), **(terms or {})), endpoints=endpoints)
        yield Asking(house, app)
