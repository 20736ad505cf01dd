"""A house for SMTP tests: the embedded store in a temporary folder, and the use cases and sessions on it."""

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from mailauth.zones import Zones
from mailstead.config.settings import Server as ServerSettings
from mailstead.config.settings import Settings, Smtp, Store
from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.errors import WebFailed
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.proto.smtp.server import ServerConnection
from mailstead.proto.smtp.types import Limits
from mailstead.services.smtp.session import MxPolicy, SmtpSession, SubmissionPolicy
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.receptions import Receptions
from mailstead.usecases.staging import Staging
from mailstead.usecases.submissions import Submissions
from mailstead.wiring.house import House, make_house

ADMIN = Actor(None, None, is_admin=True)
PASSWORD = "pw-never-in-a-log-1"
HOSTNAME = "mx.example.test"
HOLD_MAX_S = 30 * 86400


class NoWeb:
    """The web is outside, and silent."""

    async def get(self, url, **how):
        raise WebFailed

    async def post(self, url, octets, headers, **how):
        raise WebFailed


@dataclass
class SmtpHouse:
    house: House
    zones: Zones
    storage: Any
    bus: Any
    accounts: Accounts
    aliases: Aliases
    staging: Staging
    deliveries: Deliveries
    receptions: Receptions
    submissions: Submissions
    limits: Limits

    def mx(self, **how):
        connection = ServerConnection(HOSTNAME, self.limits, is_encrypted=how.pop("is_encrypted", False))
        return SmtpSession(connection, MxPolicy(self.receptions), **how)

    def submission(self, *, is_encrypted=True):
        connection = ServerConnection(
            HOSTNAME,
            self.limits,
            is_encrypted=is_encrypted,
            mechanisms=("SCRAM-SHA-256", "PLAIN", "LOGIN"),
            requires_auth=True,
            hold_max_s=HOLD_MAX_S,
            hold_until_max="2999-01-01T00:00:00Z",
        )
        return SmtpSession(connection, SubmissionPolicy(self.submissions), self.accounts)

    async def queued(self, address=""):
        """Items in the queue, oldest first: all, or those from or to an address."""
        return await self.storage.queue.items(QueueQuery(address=address, limit=1000))

    async def account(self, name):
        return await self.storage.directory.find(Address.parse(name if "@" in name else f"{name}@example.test"))

    async def messages(self, name):
        """The octets of all messages in an INBOX; each is compared with the facts stored beside it."""
        store = self.storage.accounts.of((await self.account(name)).account_id)
        snapshot = await store.snapshot(INBOX)
        records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.PARTS | Wanted.LISTED_HEADER)
        found = []
        for record in records:
            [octets] = await store.read_octets([OctetRange(BlobId(record.blob_id), 0, record.size_octets)])
            facts = message_facts(octets)
            assert record.parts == facts.parts
            assert record.listed_header == facts.listed_header
            assert (record.size_octets, record.header_octets) == (facts.size_octets, facts.header_octets)
            found.append(octets)
        return found


@contextlib.asynccontextmanager
async def open_smtp_house(
    folder,
    *,
    quotas=None,
    message_octets_max=100_000,
    staged_octets_max=1_000_000,
    zones=None,
    clock=None,
    web=None,
    settings=None,
    **limits,
):
    """alice, bob; sales@ is alice's alias; team@ is both; away@ leads out."""
    folder.mkdir(parents=True, exist_ok=True)
    clock, bus = clock or SystemClock(), LocalBus()
    zones = zones or Zones()
    settings = replace(
        settings or Settings(),
        server=ServerSettings(hostname=HOSTNAME, data_dir=folder),
        store=Store(writer_thread_count=2, reader_thread_count=2, staged_octets_max=staged_octets_max),
        smtp=Smtp(message_octets_max=message_octets_max),
    )
    storage = await EmbeddedStorage.open(settings.store, folder, bus, clock)
    passwords = Passwords(clock, HashCost(1, 8, 1))
    try:
        async with make_house(
            settings, storage, bus, clock, zones, web or NoWeb(), b"m" * 32, passwords=passwords
        ) as house:
            await house.domains.add(ADMIN, "example.test")
            for name in ("alice", "bob"):
                address = Address(name, "example.test")
                await house.accounts.create(ADMIN, address, Secret(PASSWORD), (quotas or {}).get(name))
            alice, bob = Address("alice", "example.test"), Address("bob", "example.test")
            await house.aliases.create(ADMIN, Address("sales", "example.test"), [alice])
            await house.aliases.create(ADMIN, Address("team", "example.test"), [alice, bob])
            await house.aliases.create(ADMIN, Address("away", "example.test"), [Address("x", "elsewhere.test")])
            yield SmtpHouse(
                house, zones, storage, bus, house.accounts, house.aliases, house.staging, house.receptions.deliveries,
                house.receptions, house.submissions, Limits(message_octets_max=message_octets_max, **limits),
            )  # fmt: skip
            assert house.staging.octets == 0, "octets were left in the staging budget"
            assert [finding async for finding in storage.check()] == []
    finally:
        await storage.close()
