"""A whole house in this process: embedded store, use cases, and every service listening on a free port of localhost."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import ssl

from mailstead.config.settings import Listeners, Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.net.run import Servers
from mailstead.wiring.house import ADMINISTRATOR, House, open_house
from mailstead.wiring.listeners import make_listeners

DOMAIN = "example.test"
PASSWORD = "pw-never-in-a-log-9Zt"
LIMIT_S = 30.0
ANY_PORT = ("127.0.0.1:0",)
NOBODY = ("127.0.0.1:9",)
"""A resolver that is not there: nothing of a test goes to the Internet."""
FROM = b"From: x@elsewhere.test\r\n"


def tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """Raw octets to and from one port; what is read is bounded in time."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self._count = 0
        self.is_closed = False

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def line(self):
        async with asyncio.timeout(LIMIT_S):
            line = await self.reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError(line)
        return line[:-2].decode("utf-8", "backslashreplace")

    async def rest(self):
        """Everything until the server closes."""
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""

    async def smtp_reply(self):
        lines = []
        while not lines or lines[-1][3:4] == "-":
            lines.append(await self.line())
        return lines[-1]

    async def smtp(self, *commands):
        """Send one by one; give the last line of each reply."""
        replies = []
        for command in commands:
            await self.send(command.encode() + b"\r\n")
            replies.append(await self.smtp_reply())
        return replies

    async def imap(self, command):
        """Send one command; give all lines up to its tagged one."""
        self._count += 1
        tag = f"t{self._count}"
        await self.send(f"{tag} {command}\r\n".encode())
        return await self.imap_until(tag)

    async def imap_until(self, tag):
        lines = [await self.line()]
        while not lines[-1].startswith(f"{tag} "):
            lines.append(await self.line())
        return lines

    async def append(self, octets, mailbox="INBOX"):
        self._count += 1
        tag = f"t{self._count}"
        await self.send(f"{tag} APPEND {mailbox} {{{len(octets)}+}}\r\n".encode() + octets + b"\r\n")
        return (await self.imap_until(tag))[-1]

    async def pop3(self, command):
        await self.send(command.encode() + b"\r\n")
        return await self.line()

    async def close(self):
        self.is_closed = True
        self.writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


class Home:
    """The open house, its ports and its accounts."""

    def __init__(self, house: House, ports: dict[str, int]) -> None:
        self.house, self.ports = house, ports
        self._clients: list[Client] = []

    async def account(self, name: str, quota_octets: int | None = None) -> Actor:
        address = Address(name, DOMAIN)
        await self.house.accounts.create(ADMINISTRATOR, address, Secret(PASSWORD), quota_octets)
        found = await self.house.storage.directory.find(address)
        return Actor(found.account_id, address)

    async def dial(self, name: str, source: str = "127.0.0.1") -> Client:
        """Connect; `imaps`, `pop3s` and `submissions` are TLS from the first octet."""
        context = tls_context() if name.endswith("s") else None
        client = Client(
            *await asyncio.open_connection(
                "127.0.0.1", self.ports[name], ssl=context, limit=1 << 24, local_addr=(source, 0)
            )
        )
        self._clients.append(client)
        return client

    async def mx(self) -> Client:
        client = await self.dial("mx")
        await client.smtp_reply()
        await client.smtp("EHLO client.test")
        return client

    async def imap(self, name: str, *, select: bool = False) -> Client:
        client = await self.dial("imaps")
        await client.line()
        assert "OK" in (await client.imap(f'LOGIN {name}@{DOMAIN} "{PASSWORD}"'))[-1]
        if select:
            assert "OK" in (await client.imap("SELECT INBOX"))[-1]
        return client

    async def pop3(self, name: str) -> Client:
        client = await self.dial("pop3s")
        await client.line()
        await client.pop3(f"USER {name}@{DOMAIN}")
        assert (await client.pop3(f"PASS {PASSWORD}")).startswith("+OK")
        return client

    async def submission(self, name: str) -> Client:
        client = await self.dial("submissions")
        await client.smtp_reply()
        await client.smtp("EHLO client.test")
        assert (await client.smtp(plain(name)))[0].startswith("235")
        return client

    async def deliver(self, client: Client, to: str, octets: bytes) -> str:
        """One message through an mx conversation; the reply to the step that decided."""
        for command in ("MAIL FROM:<x@elsewhere.test>", f"RCPT TO:<{to}@{DOMAIN}>", "DATA"):
            [reply] = await client.smtp(command)
            if reply[0] not in "23":
                await client.smtp("RSET")
                return reply
        await client.send(FROM + octets + b"\r\n.\r\n")
        return await client.smtp_reply()

    async def stored(self, actor: Actor) -> list[bytes]:
        """The octets of all messages of an INBOX, in UID order."""
        store = self.house.storage.accounts.of(actor.account_id)
        snapshot = await store.snapshot(INBOX)
        records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
        octets = []
        for record in records:
            octets += await store.read_octets([OctetRange(BlobId(record.blob_id), 0, record.size_octets)])
        return octets

    async def findings(self) -> list[object]:
        return [finding async for finding in self.house.storage.check()]

    async def close(self):
        for client in self._clients:
            if not client.is_closed:
                client.writer.transport.abort()


def plain(name: str, password: str = PASSWORD) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}@{DOMAIN}\0{password}".encode()).decode()


@contextlib.asynccontextmanager
async def open_home(folder, *, names=("alice", "bob"), with_tls=True, clock=None, **sections):
    """Serve every service; `clock` is another one than the machine's; `sections` are changes of settings, like ``limits={"connections_max": 5}``."""
    settings = Settings()
    changes = {
        "server": {"data_dir": folder, "hostname": "mx.example.test"},
        "dns": {"servers": NOBODY},
        "authentication": {"is_enabled": False},
        **sections,
    }
    for service in ("mx", "submission", "imap", "pop3"):
        tls = ANY_PORT if with_tls and service != "mx" else ()
        changes[service] = {"listen": ANY_PORT, "listen_tls": tls, **changes.get(service, {})}
    for section, values in changes.items():
        settings = dataclasses.replace(settings, **{section: dataclasses.replace(getattr(settings, section), **values)})
    assert isinstance(settings.mx, Listeners)
    async with open_house(settings, clock) as house:
        certificates = open_certificates("", "", folder, "localhost", 5.0)
        servers = Servers(make_listeners(house, certificates), stop_limit_s=2.0)
        servers.bind()
        ports = {}
        for listener in servers.listeners:
            terms = listener.terms
            ports[terms.service + ("s" if terms.is_tls_implicit else "")] = listener.bound[0].port
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(servers.run(stop, ready.set))
        home = Home(house, ports)
        try:
            await ready.wait()
            await house.domains.add(ADMINISTRATOR, DOMAIN)
            for name in names:
                await home.account(name)
            yield home
            findings = await home.findings()
            assert findings == [], findings
        finally:
            await home.close()
            stop.set()
            await running
