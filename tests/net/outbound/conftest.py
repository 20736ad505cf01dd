"""A relay whose outside is made by the test: names as a dictionary, policies as a dictionary, servers on loopback."""

import asyncio
import contextlib
import random

import pytest
import uvloop

from mailauth.zones import UNAVAILABLE, Zones
from mailstead.config.settings import Relay
from mailstead.mailauth.mta_sts import Mode, Policy, PolicyResult
from mailstead.model.address import Address
from mailstead.model.envelope import Envelope, Recipient
from mailstead.model.queue import Destination, DestinationKind
from mailstead.net.outbound.conversation import TimeLimits
from mailstead.net.outbound.relay import SmtpRelay
from mailstead.ports.relay import RelayFailed, RelayTerms
from net.outbound.remote import Authority, Remote


class Names(Zones):
    """The DNS of a test, filled as it goes."""

    def add(self, name, **records):
        entry = self.names.setdefault(name, {})
        entry.update({kind.upper(): UNAVAILABLE if found is None else found for kind, found in records.items()})


class Policies:
    """MTA-STS of a test."""

    def __init__(self):
        self.of = {}

    def add(self, domain, mode, *mx):
        lines = ("version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), "max_age: 86400")
        self.of[domain] = PolicyResult(Policy(Mode(mode), mx, 86400, "1", lines), "")

    async def policy_for(self, domain):
        return self.of.get(domain, PolicyResult(None, ""))


class Notes(list):
    """What was noted for TLS-RPT."""

    def note(self, outcome):
        self.append(outcome)

    @property
    def results(self):
        return [(note.policy_type, note.mx_host, note.result_type) for note in self]


class ManualClock:
    def __init__(self):
        self.s = 1000.0

    def monotonic_s(self):
        return self.s


class World:
    def __init__(self, authority):
        self.authority = authority
        self.names = Names()
        self.policies = Policies()
        self.notes = Notes()
        self.clock = ManualClock()
        self.limits = TimeLimits()
        self.port = 0
        self.settings = {}
        self.remotes = []
        self.chance = random.Random(1)

    async def remote(self, address="127.0.0.1", **how):
        """Start a server; all of a test share one port, as mail exchangers do."""
        remote = await Remote(address, **how).start(self.port)
        self.port = remote.port
        self.remotes.append(remote)
        return remote

    async def mx(self, domain="there.test", *hosts, **how):
        """A domain with one mail exchanger each on 127.0.0.1, 127.0.0.2 …, preference ascending."""
        hosts = hosts or (f"mx.{domain}",)
        self.names.add(domain, mx=[(10 * (i + 1), host) for i, host in enumerate(hosts)])
        for i, host in enumerate(hosts):
            self.names.add(host, a=[f"127.0.0.{i + 1}"])
        return await self.remote(**how)

    def tlsa(self, host, digest, usage=3):
        self.names.authentic = ("test",)
        self.names.add(f"_{self.port}._tcp.{host}", tlsa=[(usage, 1, 1, digest)])

    def relay(self):
        settings = {"allows_private_addresses": True, "port": self.port or 25, "ca_file": str(self.authority.file)}
        return SmtpRelay(
            self.names,
            self.policies,
            self.notes,
            "us.test",
            Relay(**{**settings, **self.settings}),
            self.clock,
            limits=self.limits,
            chance=self.chance,
        )

    async def open(self, name="there.test", kind=DestinationKind.DOMAIN, port=25, **terms):
        async with asyncio.timeout(10):
            return await self.relay().open(Destination(kind, name, port), RelayTerms(**terms))

    async def refusal(self, *args, **how):
        with pytest.raises(RelayFailed) as failed:
            await self.open(*args, **how)
        return failed.value.reply

    async def send(self, octets=b"Subject: hi\r\n\r\nhello\r\n", to=("a@there.test",), session=None, **envelope):
        session = session or await self.open()
        recipients = tuple(Recipient(Address.parse(address)) for address in to)
        envelope = Envelope(**{"mail_from": Address("me", "us.test"), "recipients": recipients, **envelope})
        async with asyncio.timeout(10):
            replies = await session.send(envelope, octets)
        assert len(replies) == len(envelope.recipients)
        return replies

    async def close(self):
        for remote in self.remotes:
            await remote.stop()


def pytest_asyncio_loop_factories(config, item):
    """Run every test of this room on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def world(authority):
    world = World(authority)
    yield world
    with contextlib.suppress(asyncio.CancelledError):
        await world.close()
