"""Every dialogue once more, over TCP and over TLS, each against a server of its own that was just started.

In the lane *tcp* a client comes to the clear-text port; where a dialogue is about an encrypted conversation, TLS is begun
there by STARTTLS or STLS first, and the greeting is shown to the dialogue behind it. In the lane *tls* a client comes to the
port with TLS from the first octet; dialogues that are about beginning TLS have no place there.
"""

import asyncio
import contextlib
import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dialogues import player
from mailstead.config.settings import Settings
from mailstead.model.address import Address
from mailstead.model.envelope import Actor
from mailstead.model.ids import BlobId
from mailstead.model.mailbox import INBOX
from mailstead.model.message import OctetRange, Wanted
from mailstead.model.queue import QueueQuery
from mailstead.model.secret import Secret
from mailstead.usecases.mailboxes import Draft
from mailstead.wiring.house import ADMINISTRATOR, open_house
from system.server import DOMAIN, Server, free_ports, tls_context

pytestmark = pytest.mark.full

TESTS = Path(__file__).parents[1]
FOLDER = TESTS / "dialogues"

STEADY = """
import datetime, mailstead.wiring.house as house
from mailstead.ports.clock import SystemClock
class SteadyClock(SystemClock):
    def now(self):
        return datetime.datetime(2026, 2, 1, 12, tzinfo=datetime.UTC)
house.SystemClock = SteadyClock
from mailstead.__main__ import main
main()
"""
"""The real server, but the day is always that of the dialogues."""

PASSWORDS = {
    "smtp": "pw-never-in-a-log-1",
    "imap": "pw-never-in-a-log {name}",
    "pop3": "pw-never-in-a-log",
    "managesieve": "pw-never-in-a-log",
}
HOSTNAMES = {"smtp": "mx.example.test", "imap": "imap.example.test", "pop3": "mx.example", "managesieve": "mx.example"}


def _messages_of_imap():
    """`message` and `MULTIPART` of the same dialogues in memory; by path, as tests are no packages."""
    spec = importlib.util.spec_from_file_location("imap_dialogues", TESTS / "services" / "imap" / "conftest.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def opened(folder):
    settings = Settings()
    return open_house(replace(settings, server=replace(settings.server, data_dir=folder)))


async def prepare(wire, head, folder):
    """Make what the dialogues of a wire expect, as their tests in memory do."""
    quotas = {}
    if "quota" in head:
        name, _, octets = head["quota"].rpartition(" ")
        quotas[name or "alice"] = int(octets)
    async with opened(folder) as house:
        await house.domains.add(ADMINISTRATOR, DOMAIN)
        if "chatmail" in head:
            terms = {"is_chatmail": "yes", "turn_server": "turn.example.test:3478"}
            await house.domains.set_terms(ADMINISTRATOR, DOMAIN, terms)
        actors = {}
        for name in ("alice", "bob"):
            address, secret = Address(name, DOMAIN), Secret(PASSWORDS[wire].format(name=name))
            made = await house.accounts.create(ADMINISTRATOR, address, secret, quotas.get(name))
            actors[name] = Actor(made.account_id, address)
        alice, bob = (actors[name].address for name in ("alice", "bob"))
        for name, targets in (("sales", [alice]), ("team", [alice, bob]), ("away", [Address("x", "elsewhere.test")])):
            await house.aliases.create(ADMINISTRATOR, Address(name, DOMAIN), targets)
        drafts = []
        for number in range(1, int(head.get("messages", "0")) + 1):
            if wire == "imap":
                drafts.append(_messages_of_imap().message(number))
            else:
                drafts.append(Draft(b"Subject: %d\r\n\r\n.\r\nline 1\r\nline 2\r\n" % number))
        if "multipart" in head:
            drafts.append(_messages_of_imap().MULTIPART)
        for draft in drafts:
            await house.mailboxes.append(actors["alice"], "INBOX", [draft])


async def stored(folder, name):
    """The messages of an INBOX when the server has stopped; the stores are consistent."""
    async with opened(folder) as house:
        assert [finding async for finding in house.storage.check()] == []
        account = await house.storage.directory.find(Address(name, DOMAIN))
        store = house.storage.accounts.of(account.account_id)
        snapshot = await store.snapshot(INBOX)
        found = []
        for record in await store.fetch(snapshot.mailbox.mailbox_id, snapshot.uids, Wanted.NARROW):
            found += await store.read_octets([OctetRange(BlobId(record.blob_id), 0, record.size_octets)])
        return found


async def queued(folder, address):
    """The items in the queue from or to an address when the server has stopped."""
    async with opened(folder) as house:
        return await house.storage.queue.items(QueueQuery(address=address))


async def scripts(folder):
    """The names of alice's scripts when the server has stopped."""
    async with opened(folder) as house:
        account = await house.storage.directory.find(Address("alice", DOMAIN))
        return {script.name for script in await house.filters.scripts.list(Actor(account.account_id, account.address))}


def without_starttls(dialogue):
    """The same dialogue where TLS is there already: EHLO offers what needs it, and not TLS once more."""
    return replace(
        dialogue,
        steps=tuple(
            replace(step, text="250 REQUIRETLS") if (step.kind, step.text) == ("S", "250 STARTTLS") else step
            for step in dialogue.steps
        ),
    )


def begins_tls(dialogue):
    """Whether the dialogue is about the clear text before TLS."""
    return any(step.kind == "TLS" or "STARTTLS\\r\\n" in step.text for step in dialogue.steps)


async def encrypted_by_command(conversation, wire):
    """Begin TLS on the clear-text port as clients do, and show the greeting again."""
    greeting = await conversation.line()
    if wire == "managesieve":
        while not greeting.startswith(b"OK "):
            greeting = await conversation.line()
        await conversation.send(b"STARTTLS\r\n")
        assert (await conversation.line()).startswith(b"OK ")
        await conversation.start_tls()  # the capabilities come once more by themselves
        return
    if wire == "smtp":
        await conversation.send(b"EHLO before.tls\r\n")
        while not (await conversation.line()).startswith(b"250 "):
            pass
        await conversation.send(b"STARTTLS\r\n")
        assert (await conversation.line()).startswith(b"220 ")
    elif wire == "imap":
        await conversation.send(b"tls STARTTLS\r\n")
        assert (await conversation.line()).startswith(b"tls OK ")
    else:
        await conversation.send(b"STLS\r\n")
        assert (await conversation.line()).startswith(b"+OK")
    await conversation.start_tls()
    conversation.give_back(greeting + b"\r\n")


async def into_state(conversation, state):
    """Bring an IMAP conversation to where the dialogue begins."""
    if state == "greeting":
        return
    await conversation.line()
    commands = [b'login LOGIN alice@example.test "pw-never-in-a-log alice"']
    if state == "selected":
        commands.append(b"select SELECT INBOX")
    for command in commands:
        await conversation.send(command + b"\r\n")
        while not (line := await conversation.line()).startswith(command.split()[0] + b" "):
            pass
        assert b" OK " in line, line


@contextlib.contextmanager
def started(wire, head, folder):
    [mx_tls] = free_ports(1)
    settings = {
        "MAILSTEAD_SERVER_HOSTNAME": HOSTNAMES[wire],
        "MAILSTEAD_MX_LISTEN_TLS": f"127.0.0.1:{mx_tls}",
    }
    if wire == "smtp":
        settings["MAILSTEAD_SMTP_MESSAGE_OCTETS_MAX"] = head.get("message_octets_max", "100000")
    server = Server(folder, settings=settings, command=[sys.executable, "-c", STEADY])
    server.port["mx tls"] = mx_tls
    server.start()
    try:
        yield server
        assert server.process.poll() is None, server.log()[-3000:]
        assert "Traceback" not in server.log(), server.log()[-3000:]
    finally:
        code = server.stop()
    assert code == 0, server.log()[-3000:]


PORTS = {
    ("smtp", "mx"): ("mx", "mx tls"),
    ("smtp", "submission"): ("submission", "submissions"),
    ("imap", ""): ("imap", "imaps"),
    ("pop3", ""): ("pop3", "pop3s"),
    ("managesieve", ""): ("sieve", "sieves"),
}
CASES = [
    pytest.param(path, lane, id=f"{path.parent.name}-{path.stem}-{lane}")
    for path in sorted(FOLDER.glob("*/*.txt"))
    for lane in ("tcp", "tls")
    # No case of its own rather than a skip: a dialogue about beginning TLS says nothing where TLS is there already.
    if lane == "tcp" or not (begins_tls(player.read(path)) or player.read(path).head.get("tls") == "no")
    # The greeting's capabilities are those of an encrypted conversation.
    if not (lane == "tcp" and path.name == "greeting.txt")
]


@pytest.mark.parametrize(("path", "lane"), CASES)
async def test_dialogue(path, lane, tmp_path):
    wire, dialogue = path.parent.name, player.read(path)
    head = dialogue.head
    clear, encrypted = PORTS[wire, head.get("service", "")]
    if lane == "tls" and wire == "smtp":
        dialogue = without_starttls(dialogue)
    await prepare(wire, head, tmp_path / "data")
    starting = started(wire, head, tmp_path)
    server = await asyncio.to_thread(starting.__enter__)
    try:

        async def open_conversation():
            port = server.port[encrypted if lane == "tls" else clear]
            conversation = await player.SocketConversation.open("127.0.0.1", port, tls_context(), is_tls=lane == "tls")
            if lane == "tcp" and (head.get("tls") == "yes" or wire == "imap"):
                await encrypted_by_command(conversation, wire)
            if wire == "imap":
                await into_state(conversation, head.get("state", "authenticated"))
            return conversation

        await player.play(dialogue, open_conversation)
    finally:
        await asyncio.to_thread(starting.__exit__, *sys.exc_info())
    for wanted in filter(None, head.get("stored", "").split(", ")):
        name, count = wanted.split()
        assert len(await stored(tmp_path / "data", name)) == int(count), f"messages of {name}"
    for wanted in filter(None, head.get("queued", "").split(", ")):
        address, count = wanted.split()
        assert len(await queued(tmp_path / "data", address)) == int(count), f"items to {address}"
    if wire == "managesieve":
        assert await scripts(tmp_path / "data") == set(head["left"].split())
    elif "left" in head:
        assert len(await stored(tmp_path / "data", "alice")) == int(head["left"])
    for key in ("contains", "contains_too"):
        if key in head:
            name, text = head[key].split(" ", 1)
            if lane == "tls":
                text = text.replace("with UTF8SMTP id", "with UTF8SMTPS (TLSv1")  # RFC 6531 §4.3
            assert text.encode() in (await stored(tmp_path / "data", name))[0]
