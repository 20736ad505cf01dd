"""A whole house with mail going in and out: time moves by hand, the DNS is a dictionary, and remote servers say what a test wants."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mailauth.zones import Zones
from mailstead.mime.dsn import parse_dsn
from mailstead.mime.header import header_end
from mailstead.model.address import Address
from mailstead.model.envelope import Actor, Envelope, Peer, Recipient
from mailstead.model.errors import MailsteadError
from mailstead.model.ids import BlobId
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.queue import RemoteReply
from mailstead.model.trace import TraceQuery
from mailstead.policy.retry import RetryTerms
from mailstead.ports.relay import RelayFailed
from mailstead.usecases.homecoming import Homecoming
from mailstead.usecases.relays import Relays, RelaysTerms
from mailstead.usecases.webhooks import Webhooks
from services.smtp.smtp_house import ADMIN, HOSTNAME, SmtpHouse, open_smtp_house

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
OK = RemoteReply(250, "2.0.0", "Taken", "mx.out.test", "198.51.100.1", "encrypted")
NOBODY = RemoteReply(550, "5.1.1", "No such user", "mx.out.test", "198.51.100.1", is_permanent=True)
LATER = RemoteReply(451, "4.3.0", "Come again", "mx.out.test", "198.51.100.1")
DEAD = RemoteReply(0, "4.4.1", "No answer")

PEER = Peer("192.0.2.1", 50000, 2525)
ANN = Address("ann", "friend.test")
"""Her domain's SPF vouches for her when she comes from `PEER`."""
EVE = Address("eve", "stranger.test")
"""Nobody vouches for her."""
ZONES = {
    "friend.test": {"TXT": ["v=spf1 ip4:192.0.2.1 -all"]},
    "_dmarc.friend.test": {"TXT": ["v=DMARC1; p=none"]},
}


class HandClock:
    def __init__(self):
        self.passed = timedelta()

    def now(self):
        return NOW + self.passed

    def monotonic_s(self):
        return 1000.0 + self.passed.total_seconds()

    def advance(self, **by):
        self.passed += timedelta(**by)


@dataclass
class Sent:
    """One message as a remote server got it."""

    destination: str
    envelope: Envelope
    octets: bytes = field(repr=False)

    @property
    def recipients(self):
        return [str(each.address) for each in self.envelope.recipients]


class Remote:
    """All servers outside, as the port `Relay`: each destination says what `say` has set, else it takes everything."""

    def __init__(self):
        self.sent: list[Sent] = []
        self.opened: list[str] = []
        self.terms: list[Any] = []
        self.offers_dsn = False
        self.breaks_after_each = False
        self._says: dict[str, list[Any]] = {}
        self._failing: dict[str, RemoteReply] = {}

    def say(self, name: str, *answers):
        """What a destination answers to one message after the other, the last one for ever.

        An answer is for all recipients, or a list of one for each, or an exception: a bug of ours.
        """
        self._says[name] = list(answers)

    def fail(self, name: str, reply: RemoteReply | None):
        """Let no server of a destination be reached (or be reached again)."""
        if reply is None:
            del self._failing[name]
        else:
            self._failing[name] = reply

    async def open(self, destination, terms):
        self.opened.append(destination.name)
        self.terms.append(terms)
        if destination.name in self._failing:
            raise RelayFailed(self._failing[destination.name])
        return RemoteSession(self, destination.name)

    def answer(self, name, count):
        answers = self._says.get(name, [OK])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, list) else [answer] * count


class RemoteSession:
    def __init__(self, remote: Remote, name: str):
        self._remote, self._name = remote, name
        self.is_open = True

    @property
    def offers_dsn(self):
        return self._remote.offers_dsn

    async def send(self, envelope, octets):
        replies = self._remote.answer(self._name, len(envelope.recipients))
        self._remote.sent.append(Sent(self._name, envelope, octets))
        if self._remote.breaks_after_each:
            self.is_open = False
        return replies

    async def close(self):
        self.is_open = False


@dataclass
class Flow:
    """The house, what is outside, and the worker of its queue."""

    smtp: SmtpHouse
    clock: HandClock
    remote: Remote
    relays: Relays
    make_relays: Callable[..., Relays]

    @property
    def house(self):
        return self.smtp.house

    @property
    def storage(self):
        return self.smtp.storage

    async def actor(self, name):
        account = await self.smtp.account(name)
        return Actor(account.account_id, account.address)

    async def alias(self, name, *targets, **terms):
        address = Address.parse(f"{name}@example.test")
        await self.house.aliases.create(ADMIN, address, list(targets), **terms)
        return address

    async def script(self, name, text):
        actor = await self.actor(name)
        await self.house.filters.scripts.put(actor, "main", text.encode())
        await self.house.filters.scripts.activate(actor, "main")

    async def terms(self, **changes):
        """Change what is chosen for example.test."""
        found = await self.storage.directory.domain("example.test")
        await self.storage.directory.set_terms("example.test", replace(found.terms, **changes))

    async def receive(self, *to, octets=None, mail_from=ANN, peer=PEER, helo="mx.friend.test", **envelope):
        """One message from outside, all the way to the answer; gives its queue id."""
        reception = self.smtp.receptions.begin(peer, helo, Envelope(mail_from, **envelope))
        return await self._accept(reception, to, octets or message(str(mail_from or "postmaster@friend.test")))

    async def submit(self, *to, octets=None, name="alice", mail_from="", **envelope):
        """One message of an account of ours; gives its queue id."""
        actor = await self.actor(name)
        sender = Address.parse(mail_from) if mail_from else actor.address
        submission = await self.smtp.submissions.begin(actor, PEER, "laptop", Envelope(sender, **envelope))
        return await self._accept(submission, to, octets or message(str(actor.address)))

    async def _accept(self, reception, to, octets):
        try:
            for each in to:
                recipient = each if isinstance(each, Recipient) else rcpt(each)
                more = reception.add_recipient(recipient)
                if more is not None:
                    await more
            reception.write(octets)
            await reception.accept()
        finally:
            reception.abandon()
        return reception.queue_id

    async def work(self):
        """Let the worker do all that is due now."""
        while not await self.relays.begin_what_is_due():
            await asyncio.gather(*self.relays._sending.tasks)

    async def octets(self, item):
        return await self.storage.queue.octets(item.item_id)

    async def stored(self, name, mailbox="INBOX"):
        """The octets of the messages in a mailbox; none if it is not there."""
        store = self.storage.accounts.of((await self.smtp.account(name)).account_id)
        try:
            snapshot = await store.snapshot(mailbox)
        except MailsteadError:
            return []
        records = await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW)
        found = []
        for each in records:
            found += await store.read_octets([OctetRange(BlobId(each.blob_id), 0, each.size_octets)])
        return found

    async def notices(self, to=ANN):
        """The notices to somebody outside that have been sent or wait, read as a machine would."""
        await self.work()
        sent = [each for each in self.remote.sent if each.recipients == [str(to)]]
        return [parse_dsn(each.octets) for each in sent]

    async def trace(self, **query):
        """What has been noted, oldest first, as (step, decision, reason, recipient)."""
        events = await self.storage.trace.search(TraceQuery(**query))
        return [(each.step, each.decision, each.reason, each.recipient) for each in reversed(events)]


def rcpt(text, *notify, orcpt=None):
    return Recipient(Address.parse(text if "@" in text else f"{text}@example.test"), frozenset(notify), orcpt)


def message(sender, subject="hello", header="", body="Hello\r\n"):
    head = f"From: {sender}\r\nTo: you@example.test\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x.test>\r\n"
    return (head + header + "\r\n" + body).encode()


def header_of(octets):
    return octets[: header_end(octets)]


@contextlib.asynccontextmanager
async def open_flow(folder, *, zones=None, chance=0.5, **house):
    clock, remote = HandClock(), Remote()
    names = Zones({**ZONES, **(zones or {})})
    async with open_smtp_house(folder, zones=names, clock=clock, **house) as smtp:
        house = smtp.house
        homecoming = Homecoming(house.addresses, house.dispatch, house.tracing, hostname=HOSTNAME, received_max=50)

        def make_relays(**terms):
            return Relays(
                house.storage, house.bus, clock, remote, Webhooks(house.web, house.routes, clock, hostname=HOSTNAME),
                homecoming, house.routes, house.notices, house.bounces, house.tracing,
                RelaysTerms(retry=RetryTerms(300.0, 4 * 3600.0), **terms), lambda: chance,
            )  # fmt: skip

        yield Flow(smtp, clock, remote, make_relays(), make_relays)
