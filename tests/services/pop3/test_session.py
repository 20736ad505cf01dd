"""Sessions against a real store: large messages, vanished messages, bounds, revoked passwords, several at once."""

import base64
from dataclasses import replace

import player
import pytest

from mailstead.config.settings import Pop3
from mailstead.model.address import Address
from mailstead.model.envelope import Peer
from mailstead.model.errors import StorageUnavailable
from mailstead.model.secret import Secret
from mailstead.proto.sasl.client import ScramSha256Client
from mailstead.services.pop3 import session as sessions
from mailstead.wiring.house import ADMINISTRATOR

PEER = Peer("192.0.2.1", 50000, 2995, "TLSv1.3", "TLS_AES_256_GCM_SHA384")
LOG_IN = b"AUTH PLAIN " + base64.b64encode(b"\0alice@example.test\0pw-never-in-a-log") + b"\r\n"


class Client:
    def __init__(self, pop3):
        self.session = pop3.service.session(is_tls=True)
        self.conversation = player.MemoryConversation(self.session, PEER)

    async def __aenter__(self):
        await self.line()
        await self.conversation.send(LOG_IN)
        self.greeting = await self.line()
        return self

    async def __aexit__(self, *_):
        await self.conversation.close()

    async def line(self):
        return await self.conversation.line()

    async def ask(self, command):
        await self.conversation.send(command + b"\r\n")
        return await self.line()

    async def lines(self):
        found = []
        while (line := await self.line()) != b".":
            found.append(line)
        return found


async def test_a_message_of_many_pieces_arrives_whole(pop3, monkeypatch):
    monkeypatch.setattr(sessions, "PIECE_OCTETS", 1000)
    body = b"".join(b".%d\r\n" % n for n in range(2000)) + b"no end"
    await pop3.fill(b"Subject: x\r\n\r\n" + body)
    async with Client(pop3) as client:
        assert (await client.ask(b"RETR 1")).startswith(b"+OK")
        lines = [line[1:] if line.startswith(b".") else line for line in await client.lines()]
        assert b"\r\n".join(lines) == b"Subject: x\r\n\r\n" + body
        for count in (0, 1, 500, 1999, 2001, 10**9):
            await client.ask(b"TOP 1 %d" % count)
            assert len(await client.lines()) == 2 + min(count, 2001)


async def test_two_sessions_at_once_and_vanished_messages(pop3):
    await pop3.fill(b"Subject: a\r\n\r\n", b"Subject: b\r\n\r\n")
    async with Client(pop3) as one, Client(pop3) as two:
        unique_id = await two.ask(b"UIDL 2")
        assert (await one.ask(b"DELE 1")).startswith(b"+OK")
        assert (await one.ask(b"QUIT")) == b"+OK Goodbye; 1 removed"
        assert (await two.ask(b"STAT")).startswith(b"+OK 2 ")
        assert (await two.ask(b"RETR 2")).startswith(b"+OK")
        await two.lines()
        assert (await two.ask(b"DELE 1")).startswith(b"+OK")
        assert (await two.ask(b"QUIT")).startswith(b"+OK")
    async with Client(pop3) as three:
        assert (await three.ask(b"UIDL 1"))[6:] == unique_id[6:]
    assert await pop3.count() == 1


async def test_the_first_piece_that_is_gone_is_err(pop3):
    await pop3.fill(b"Subject: a\r\n\r\n")
    async with Client(pop3) as client:
        store = pop3.house.mailboxes.of(pop3.actor)
        snapshot = await store.snapshot("INBOX")
        await store.expunge(snapshot.mailbox.mailbox_id, None, only_deleted=False)
        answer = await client.ask(b"RETR 1")
        if answer.startswith(b"+OK"):  # a store may keep the octets of removed messages for a while
            await client.lines()
        else:
            assert answer == b"-ERR That message is no longer there"
        assert (await client.ask(b"NOOP")) == b"+OK"


async def test_attack_056_listing_is_bounded_to_the_oldest(pop3):
    pop3.pop3 = Pop3(messages_max=7)
    await pop3.fill(*(b"Subject: %d\r\n\r\n" % n for n in range(20)))
    async with Client(pop3) as client:
        assert client.greeting.startswith(b"+OK 7 messages")
        await client.ask(b"UIDL")
        assert len(await client.lines()) == 7
        await client.ask(b"TOP 1 0")
        assert (await client.lines())[0] == b"Subject: 0"
        assert (await client.ask(b"RETR 8")).startswith(b"-ERR")


async def test_attack_056_pipelined_retr_are_answered_one_by_one(pop3, monkeypatch):
    monkeypatch.setattr(sessions, "PIECE_OCTETS", 4096)
    await pop3.fill(b"Subject: x\r\n\r\n" + b"y" * 76 + b"\r\n" * 10000)
    async with Client(pop3) as client:
        peaks = []
        inner = client.session.connection.send_piece
        monkeypatch.setattr(
            client.session.connection, "send_piece", lambda octets: (peaks.append(len(octets)), inner(octets))[1]
        )
        await client.conversation.send(b"RETR 1\r\n" * 50)
        for _ in range(50):
            assert (await client.line()).startswith(b"+OK")
            await client.lines()
        assert max(peaks) <= 2 * 4096


async def test_attack_064_a_new_password_ends_the_session_and_removes_nothing(pop3):
    await pop3.fill(b"Subject: a\r\n\r\n")
    async with Client(pop3) as client:
        await client.ask(b"DELE 1")
        address = Address.parse("alice@example.test")
        await pop3.house.accounts.set_password(ADMINISTRATOR, address, Secret("pw-never-in-a-log 2"))
        assert await client.line() == b"-ERR [AUTH] Your log-in is no longer valid"
    assert await pop3.count() == 1


async def test_attack_048_sessions_per_account_are_limited_and_given_back(pop3):
    leave = [pop3.house.mailboxes.admit(pop3.actor) for _ in range(30)]
    async with Client(pop3) as client:
        assert client.greeting.startswith(b"-ERR [IN-USE]")
    leave.pop()()
    async with Client(pop3) as client:
        assert client.greeting.startswith(b"+OK")
    async with Client(pop3) as client:
        assert client.greeting.startswith(b"+OK")


@pytest.mark.parametrize("password", ["pw-never-in-a-log", "pw-never-in-a-log wrong"])
async def test_scram(pop3, password):
    conversation = player.MemoryConversation(pop3.service.session(is_tls=True), PEER)
    scram = ScramSha256Client("alice@example.test", Secret(password), "client-nonce")
    await conversation.line()
    await conversation.send(b"AUTH SCRAM-SHA-256 " + base64.b64encode(scram.first()) + b"\r\n")
    challenge = base64.b64decode((await conversation.line())[2:])
    await conversation.send(base64.b64encode(scram.final(challenge)) + b"\r\n")
    answer = await conversation.line()
    if password.endswith("wrong"):
        assert answer == b"-ERR [AUTH] Authentication failed"
    else:
        assert scram.check(base64.b64decode(answer[2:]))
        await conversation.send(b"\r\n")
        assert (await conversation.line()).startswith(b"+OK 0 messages")
    await conversation.close()


class Broken:
    """A store that fails where told to."""

    def __init__(self, store, **failing):
        self._store = store
        self._failing = failing

    def __getattr__(self, name):
        if name in self._failing:
            error = self._failing[name]

            async def fail(*_, **__):
                raise error

            return fail
        return getattr(self._store, name)


async def test_a_store_that_fails_is_answered_temporarily(pop3, monkeypatch):
    await pop3.fill(b"Subject: a\r\n\r\n")
    real = pop3.house.mailboxes.of(pop3.actor)
    async with Client(pop3) as client:
        broken = Broken(real, read_octets=StorageUnavailable(), expunge=StorageUnavailable())
        monkeypatch.setattr(client.session._mailboxes.__class__, "of", lambda *_: broken)
        assert (await client.ask(b"RETR 1")).startswith(b"-ERR [SYS/TEMP]")
        await client.ask(b"DELE 1")
        assert (await client.ask(b"QUIT")) == b"-ERR [SYS/TEMP] Some deleted messages were not removed"


async def test_a_bug_is_answered_vaguely(pop3):
    async with Client(pop3) as client:
        client.session.connection.receive_data(b"STAT\r\n")
        client.session.connection.next_event()
        client.session.failed(ZeroDivisionError("secret"))
        said = client.session.connection.data_to_send()
        assert said.startswith(b"-ERR [SYS/TEMP]")
        assert b"secret" not in said


def test_the_peer_is_encrypted():
    assert PEER.is_encrypted
    assert not replace(PEER, tls_version=None).is_encrypted
