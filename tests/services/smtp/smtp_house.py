"""A house for SMTP tests: the embedded store in a temporary folder, and the use cases and sessions on it."""

import contextlib
from dataclasses import dataclass
from typing import Any

from mailstead.config.settings import Store
from mailstead.mime.facts import message_facts
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.secret import Secret
from mailstead.ports.clock import SystemClock
from mailstead.proto.smtp.server import ServerConnection
from mailstead.proto.smtp.types import Limits
from mailstead.services.smtp.session import MxPolicy, SmtpSession, SubmissionPolicy
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.storage import EmbeddedStorage
from mailstead.usecases.accounts import Accounts
from mailstead.usecases.addresses import Addresses
from mailstead.usecases.aliases import Aliases
from mailstead.usecases.deliveries import Deliveries
from mailstead.usecases.domains import Domains
from mailstead.usecases.passwords import HashCost, Passwords
from mailstead.usecases.receptions import Receptions, ReceptionTerms
from mailstead.usecases.staging import Staging
from mailstead.usecases.submissions import Submissions

ADMIN = Actor(None, None, is_admin=True)
PASSWORD = "pw-never-in-a-log-1"
HOSTNAME = "mx.example.test"


@dataclass
class SmtpHouse:
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
        )
        return SmtpSession(connection, SubmissionPolicy(self.submissions), self.accounts)

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
async def open_smtp_house(folder, *, quotas=None, message_octets_max=100_000, staged_octets_max=1_000_000, **limits):
    """alice, bob; sales@ is alice's alias; team@ is both; away@ leads out."""
    folder.mkdir(parents=True, exist_ok=True)
    clock, bus = SystemClock(), LocalBus()
    storage = await EmbeddedStorage.open(Store(writer_thread_count=2, reader_thread_count=2), folder, bus, clock)
    passwords = Passwords(clock, HashCost(1, 8, 1))
    accounts = Accounts(storage, bus, clock, passwords=passwords, scram_iteration_count=4096)
    addresses = Addresses(storage, bus, clock)
    try:
        aliases = Aliases(storage)
        await Domains(storage).add(ADMIN, "example.test")
        for name in ("alice", "bob"):
            address = Address(name, "example.test")
            await accounts.create(ADMIN, address, Secret(PASSWORD), (quotas or {}).get(name))
        alice, bob = Address("alice", "example.test"), Address("bob", "example.test")
        await aliases.create(ADMIN, Address("sales", "example.test"), [alice])
        await aliases.create(ADMIN, Address("team", "example.test"), [alice, bob])
        await aliases.create(ADMIN, Address("away", "example.test"), [Address("x", "elsewhere.test")])
        deliveries, staging = Deliveries(storage, clock), Staging(staged_octets_max)
        terms = ReceptionTerms(HOSTNAME, message_octets_max)
        receptions = Receptions(addresses, deliveries, staging, clock, terms)
        house = SmtpHouse(
            storage, bus, accounts, aliases, staging, deliveries, receptions, Submissions(receptions),
            Limits(message_octets_max=message_octets_max, **limits),
        )  # fmt: skip
        yield house
        assert staging.octets == 0, "octets were left in the staging budget"
        assert [finding async for finding in storage.check()] == []
    finally:
        addresses.close()
        await accounts.close()
        await storage.close()
