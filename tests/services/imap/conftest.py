"""A whole IMAP service in memory: fresh embedded store, real use cases, sessions without sockets."""

import contextlib
import dataclasses
import importlib.util
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mailstead.config.settings import Store
from mailstead.model.address import Address
from mailstead.model.directory import Domain, DomainTerms
from mailstead.model.envelope import Actor, Peer
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.proto.imap.connection import ImapLimits
from mailstead.services.imap.session import ImapService, ImapSession
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.announcements import Announcements
from mailstead.usecases.mailboxes import Draft, Mailboxes
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.push_tokens import PushTokens
from mailstead.usecases.staging import Staging


def _player():
    """tests/dialogues/player.py; by path, as tests are no packages."""
    name = "mailstead_dialogue_player"
    if name not in sys.modules:
        path = Path(__file__).parents[2] / "dialogues" / "player.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


player = _player()

ALICE = Address("alice", "example.test")
BOB = Address("bob", "example.test")
CHATMAIL = DomainTerms(is_chatmail=True, turn_server="turn.example.test:3478")
ADMIN = Actor(None, None, is_admin=True)
PASSWORD = "pw-never-in-a-log alice"
ENCRYPTED = Peer("192.0.2.1", 50000, 2993, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")


class SteadyClock(SystemClock):
    """The day is always the same, seconds go on."""

    def now(self):
        return datetime(2026, 2, 1, 12, 0, tzinfo=UTC)


@dataclass
class House:
    storage: EmbeddedStorage
    service: ImapService
    alice: Actor
    bob: Actor

    @property
    def mailboxes(self):
        return self.service.mailboxes

    @property
    def accounts(self):
        return self.service.accounts

    def session(self, actor=None):
        """A session without socket; logged in already if an actor is given. Its greeting is taken."""
        session = ImapSession(self.service, is_encrypted=True)
        conversation = player.MemoryConversation(session, ENCRYPTED)
        if actor is not None:
            session.log_in(actor)
        return Client(conversation)

    async def become_chatmail(self, terms=CHATMAIL, **options):
        """Make a chatmail domain of example.test; `options` of `Announcements`."""
        await self.storage.directory.set_terms("example.test", terms)
        clock = self.mailboxes.clock
        options = {"recipients_max": 100, "turn_secret": lambda: b"north"} | options
        self.service = dataclasses.replace(
            self.service,
            announcements=Announcements(self.storage, clock, **options),
            push_tokens=PushTokens(self.storage, clock),
        )

    async def fill(self, count, name="INBOX", actor=None):
        drafts = [message(number) for number in range(1, count + 1)]
        if drafts:
            await self.mailboxes.append(actor or self.alice, name, drafts)


class Client:
    """Speaks IMAP with a session in memory."""

    def __init__(self, conversation):
        self.conversation = conversation
        self.session = conversation.memory_line.session
        self._count = 0

    async def greeting(self):
        return await self.conversation.line()

    async def lines_until(self, tag):
        lines = []
        while True:
            line = (await self.conversation.line()).decode("utf-8", "replace")
            lines.append(line)
            if line.startswith(tag + " "):
                return lines

    async def __call__(self, command, tag=None):
        self._count += 1
        tag = tag or f"t{self._count}"
        await self.conversation.send(f"{tag} {command}\r\n".encode())
        return await self.lines_until(tag)

    async def line(self):
        return (await self.conversation.line()).decode("utf-8", "replace")

    async def send(self, data):
        await self.conversation.send(data)

    async def close(self):
        await self.conversation.close()


def message(number):
    day = (number - 1) % 28 + 1
    zone = timezone(timedelta(hours=1))
    octets = (
        f"Date: {datetime(2026, 1, day):%a, %d %b %Y} 12:00:00 +0100\r\n"
        "From: Bob <bob@example.test>\r\nTo: Alice <alice@example.test>\r\n"
        f"Subject: Message {number}\r\nMessage-ID: <{number}@example.test>\r\nX-Odd: yes-{number}\r\n"
        f"\r\nBody number {number}.\r\n".encode()
    )
    return Draft(octets, frozenset(), datetime(2026, 1, day, 12, tzinfo=zone))


MULTIPART = Draft(
    b"Subject: Parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nhello\r\n--b\r\n"
    b'Content-Type: text/plain; name="a.txt"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    b"aGVsbG8gd29ybGQ=\r\n\r\n--b--\r\n",
    frozenset(),
    datetime(2026, 1, 30, tzinfo=UTC),
)


@contextlib.asynccontextmanager
async def open_house(data_dir, quota_octets=None, **options):
    clock = SteadyClock()
    bus = LocalBus()
    settings = Store(disk_reserve_octets=0, master_key=Secret("00" * 32))
    storage = await EmbeddedStorage.open(settings, data_dir, bus, clock)
    passwords = Passwords(clock, HashCost(iterations=1, memory_kib=8))
    accounts = Accounts(storage, bus, clock, passwords=passwords, scram_iteration_count=4096)
    mailboxes = Mailboxes(storage, bus, clock, Staging(64 * 1024 * 1024), **options)
    service = ImapService(mailboxes, accounts, ImapLimits(), "imap.example.test")
    await storage.directory.add_domain(Domain("example.test"))
    for address in (ALICE, BOB):
        await accounts.create(ADMIN, address, Secret(f"pw-never-in-a-log {address.local_part}"), quota_octets)
    actors = [
        await accounts.log_in(str(address), Secret(f"pw-never-in-a-log {address.local_part}"), ENCRYPTED, "imap")
        for address in (ALICE, BOB)
    ]
    try:
        yield House(storage, service, *actors)
        findings = [finding async for finding in storage.check()]
        assert not findings
    finally:
        await accounts.close()
        await storage.close()


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def client(house):
    opened = house.session(house.alice)
    await opened.greeting()
    yield opened
    await opened.close()
