"""A house with 50 accounts, 10,000 messages and 1,000 events is backed up while mail arrives, and comes back elsewhere.

Every account is compared, message by message and event by event.
"""

import asyncio
import imaplib
import smtplib
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailstead.config.load import load
from mailstead.model.address import Address
from mailstead.model.dav import CollectionKind, CollectionTraits, NewResource, ResourceFacts
from mailstead.model.secret import Secret
from mailstead.wiring.house import ADMINISTRATOR, open_house
from system.server import DOMAIN, PASSWORD, Server, tls_context

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]

ACCOUNTS = [f"person{number:02}@{DOMAIN}" for number in range(50)]
EACH = 200
EVENTS_EACH = 20
SENDERS = 4


class Load:
    """Sends numbered messages to all accounts in turn, and knows which were acknowledged."""

    def __init__(self, server):
        self._server = server
        self._stop = threading.Event()
        self.acknowledged = defaultdict(set)
        self.tried = defaultdict(set)

    def send(self, sender, numbers):
        """Send messages `sender-number` for each number, to the accounts in turn; stop when told to."""
        client = smtplib.SMTP("127.0.0.1", self._server.port["mx"])
        for number in numbers:
            if self._stop.is_set():
                break
            address, name = ACCOUNTS[number % len(ACCOUNTS)], f"{sender}-{number}"
            self.tried[address].add(name)
            client.sendmail(
                "me@elsewhere.test", [address], f"From: me@elsewhere.test\r\nSubject: {name}\r\n\r\n{name * 100}\r\n"
            )
            self.acknowledged[address].add(name)
        client.quit()

    def stop(self):
        self._stop.set()

    def copy(self):
        return {address: set(self.acknowledged[address]) for address in ACCOUNTS}


def state(server, address):
    """Give everything that a client sees of an INBOX."""
    client = imaplib.IMAP4_SSL("127.0.0.1", server.port["imaps"], ssl_context=tls_context())
    client.login(address, PASSWORD)
    client.select("INBOX", readonly=True)
    found = client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE MODSEQ BODY.PEEK[])")[1]
    client.logout()
    return [piece for piece in found if isinstance(piece, tuple)]


def names(found):
    return {octets.partition(b"Subject: ")[2].partition(b"\r\n")[0].decode() for _, octets in found}


async def make_accounts(settings):
    """A command for each would take a minute."""
    async with open_house(settings) as house:
        for address in ACCOUNTS:
            account = await house.accounts.create(ADMINISTRATOR, Address.parse(address), Secret(PASSWORD))
            dav = house.storage.accounts.of(account.account_id).dav
            work = await dav.create_collection(CollectionKind.CALENDAR, "work", CollectionTraits(display_name="Work"))
            for number in range(EVENTS_EACH):
                await dav.put(work.collection_id, [event(address, number)])


def event(address, number):
    uid = f"{number}-{address}"
    octets = "".join(
        f"{line}\r\n"
        for line in (
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", f"UID:{uid}",
            "DTSTAMP:20260101T000000Z", f"DTSTART:202601{number + 1:02}T090000Z", f"SUMMARY:{'ä' * 10 * number}",
            "END:VEVENT", "END:VCALENDAR",
        )
    ).encode()  # fmt: skip
    return NewResource(f"{uid}.ics", octets, ResourceFacts(uid, "VEVENT"))


async def events(settings):
    """Give all there is of calendars, of all accounts."""
    found = {}
    async with open_house(settings) as house:
        for account in await house.storage.directory.accounts():
            dav = house.storage.accounts.of(account.account_id).dav
            for each in await dav.collections():
                resources = await dav.resources(each.collection_id, with_octets=True)
                found[str(account.address), each.name] = (each, resources)
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("backup")
    started = Server(folder)
    started.settings |= {
        "MAILSTEAD_BACKUP_TARGET": str(folder / "place"),
        "MAILSTEAD_POLICY_MESSAGES_PER_SENDER_HOUR_MAX": "0",
        "MAILSTEAD_SMTP_TRANSACTIONS_MAX": "1000000",
    }
    started.prepare()
    asyncio.run(make_accounts(load(None, started.environment).settings))
    started.start()
    yield started
    assert started.stop() == 0
    assert started.check() == []


@pytest.fixture(scope="module")
def filled(server):
    sent = Load(server)
    with ThreadPoolExecutor(SENDERS) as pool:
        share = len(ACCOUNTS) * EACH // SENDERS
        list(pool.map(sent.send, range(SENDERS), [range(share)] * SENDERS))
    assert sum(len(each) for each in sent.acknowledged.values()) == 10_000
    return sent


@pytest.fixture
def elsewhere(server, tmp_path):
    """Another machine, which has the key and knows the place."""
    other = Server(tmp_path)
    other.settings |= server.settings
    yield other
    if other.process is not None:
        assert other.stop() == 0


def test_what_comes_back_is_what_was_there(server, filled, elsewhere):
    server.run("backup")
    elsewhere.run("restore", "--key-stdin", stdin=server.run("backup", "key"))
    assert elsewhere.check() == []
    elsewhere.start()
    for address in ACCOUNTS:
        there, here = state(elsewhere, address), state(server, address)
        assert there == here
        assert names(here) == filled.acknowledged[address]
    there, here = (asyncio.run(events(load(None, each.environment).settings)) for each in (elsewhere, server))
    assert there == here
    assert sum(len(resources) for _, resources in here.values()) == 1000


def test_a_backup_under_load_has_what_was_acknowledged_before_it(server, filled, elsewhere):
    sent = Load(server)
    with ThreadPoolExecutor(SENDERS) as pool:
        sending = [pool.submit(sent.send, f"late{sender}", range(100_000)) for sender in range(SENDERS)]
        try:
            while any(not sent.acknowledged[address] for address in ACCOUNTS):
                assert not any(each.done() for each in sending)
            before = sent.copy()
            server.run("backup")
            tried = {address: set(sent.tried[address]) for address in ACCOUNTS}
        finally:
            sent.stop()
        for each in sending:
            each.result()
    elsewhere.run("restore", "--key-stdin", stdin=server.run("backup", "key"))
    assert elsewhere.check() == []
    elsewhere.start()
    for address in ACCOUNTS:
        there, here = state(elsewhere, address), state(server, address)
        assert there == here[: len(there)], (
            "each account as it was at one moment: nothing missing in between, all as it is"
        )
        found = names(there)
        assert filled.acknowledged[address] | before[address] <= found
        assert found <= filled.acknowledged[address] | tried[address]
    assert sum(map(len, tried.values())) > sum(map(len, before.values()))
