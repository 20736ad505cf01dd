"""A house in which alice moves in from another provider, which is the same house: bob's mailbox, over IMAP with TLS on loopback."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mailauth.zones import Zones
from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.remote_imports import RemoteServer
from mailstead.model.secret import Secret
from mailstead.net.admission import Admission
from mailstead.net.certificates import Certificates
from mailstead.net.imap_source import ImapSource
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.usecases.import_work import ImportWork
from mailstead.usecases.mailboxes import Draft
from mailstead.usecases.remote_imports import ImportSecrets
from mailstead.wiring.sessions import MAKE_SESSIONS
from services.smtp.smtp_house import PASSWORD, open_smtp_house
from system.certificates import Authority

HOST = "imap.provider.test"
ALICE = Address("alice", "example.test")
BOB = Address("bob", "example.test")


class HandClock:
    def __init__(self):
        self.passed = timedelta()

    def now(self):
        return datetime(2026, 11, 28, 12, tzinfo=UTC) + self.passed

    def monotonic_s(self):
        return 1000.0 + self.passed.total_seconds()

    def advance(self, **by):
        self.passed += timedelta(**by)


@dataclass
class Moving:
    house: Any
    clock: HandClock
    alice: Actor
    bob: Actor
    server: RemoteServer
    zones: Zones
    listeners: list[Listener] = field(default_factory=list)

    @property
    def imports(self):
        return self.house.remote_imports

    @property
    def work(self):
        return self.house.import_work

    async def begin(self, chosen=None):
        return await self.imports.begin(self.alice, self.server, Secret(PASSWORD), chosen)

    async def run(self):
        """Do what is due, to its end."""
        while await self.work.begin_what_is_due():
            await self.work.settle()
        return await self.imports.status(self.alice)

    def other_worker(self, source=None):
        """Another process, as far as imports go."""
        made = self.work
        return ImportWork(
            self.house.storage, self.house.bus, self.clock, self.house.mailboxes, source or made._source,
            made._secrets, message_octets_max=made._octets_max,
        )  # fmt: skip

    async def fill(self, name, *drafts):
        """Give bob mail."""
        store = self.house.storage.accounts.of(self.bob.account_id)
        if name not in {each.name for each in await store.mailboxes()}:
            await store.create_mailbox(name)
        return await self.house.mailboxes.append(self.bob, name, drafts)

    async def held(self, actor=None):
        """All that an account holds: octets, flags and date of each message, by mailbox."""
        store = self.house.storage.accounts.of((actor or self.alice).account_id)
        found = {}
        for mailbox in await store.mailboxes():
            if not mailbox.message_count:
                continue
            snapshot = await store.snapshot(mailbox.name)
            found[mailbox.name] = [
                (
                    (await store.read_octets([OctetRange(each.blob_id, 0, each.size_octets)]))[0],
                    each.flags,
                    each.internaldate_s,
                )
                for each in await store.fetch(mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
            ]
        return found

    def hang_up(self):
        """The provider's connections are lost."""
        for listener in self.listeners:
            listener.abort_all()

    def stop_provider(self):
        """The provider goes off the net."""
        for listener in self.listeners:
            listener.stop_accepting()
        self.hang_up()


def mail(number, *flags, size=0, message_id=True, zone_hours=1):
    """One message; those of different numbers differ."""
    name = f"Message-ID: <{number}@provider.test>\r\n" if message_id else ""
    octets = (
        f"From: Carol <carol@elsewhere.test>\r\nTo: bob@example.test\r\nSubject: Mail {number}\r\n{name}"
        f"Date: Sat, 01 Feb 2025 10:00:00 +0000\r\n\r\nThis is mail {number}.\r\n"
    ).encode()
    octets += b"x" * max(0, size - len(octets))
    moment = datetime(2025, 2, 1, 10, number % 60, tzinfo=timezone(timedelta(hours=zone_hours)))
    return Draft(octets, frozenset(flags), moment)


@asynccontextmanager
async def moving_in(folder, quotas=None):
    authority = Authority(folder / "authority")
    pair = authority.pair(HOST)
    clock = HandClock()
    zones = Zones({HOST: {"A": ["127.0.0.1"]}})
    settings = Settings()
    relay = replace(settings.relay, allows_private_addresses=True, ca_file=str(authority.file))
    settings = replace(settings, relay=relay)
    opened = open_smtp_house(
        folder / "house", settings=settings, zones=zones, clock=clock, quotas=quotas, staged_octets_max=50_000_000
    )
    async with opened as smtp_house:
        house = smtp_house.house
        pulse = Pulse()
        pulse.start(asyncio.get_running_loop())
        certificates = Certificates(pair.certificate, pair.key)
        terms = Terms(
            "imap",
            MAKE_SESSIONS["imap"](house)(True),
            Admission(1000, 1000, ()),
            context=certificates.context,
            is_tls_implicit=True,
        )
        listener = Listener("127.0.0.1:0", terms)
        listener.bind()
        port = listener.bound[0].port
        await listener.start(pulse)
        actors = []
        for address in (ALICE, BOB):
            account = await house.storage.directory.find(address)
            actors.append(Actor(account.account_id, address))
        try:
            yield Moving(
                house, clock, *actors, RemoteServer(HOST, str(BOB), port=port), zones, [listener]
            )  # fmt: skip
        finally:
            listener.abort_all()
            listener.stop_accepting()
            await asyncio.sleep(0)  # one turn of the loop, in which the aborted connections end
            pulse.stop()


def source_of(moving) -> ImapSource:
    return moving.work._source


def secrets_of(key=b"k" * 32) -> ImportSecrets:
    return ImportSecrets(key)
