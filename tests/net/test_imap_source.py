"""A stranger's IMAP server that says what a test wants: where we connect to, what we believe, and how much we take."""

import asyncio
import re
import ssl
from contextlib import asynccontextmanager

import pytest

from mailauth.zones import Zones
from mailstead.model.errors import NoSuchMailbox, SourceFailed, SourceRefused
from mailstead.model.ids import Uid
from mailstead.model.remote_imports import RemoteMessage, RemoteSecurity, RemoteServer
from mailstead.model.secret import Secret
from mailstead.net import imap_source, imap_wire
from mailstead.net.imap_source import ImapSource
from system.certificates import Authority

HOST = "imap.stranger.test"
PASSWORD = Secret("pw-never-in-a-log elsewhere")
LIST = b'* LIST (\\HasNoChildren) "/" INBOX\r\n* LIST (\\Noselect) "/" Up\r\n* LIST (\\Sent) "/" "Up/S"\r\n'


class Stranger:
    """Answers each command by the first expression in `says` that fits; `{tag}` is the command's."""

    def __init__(self, authority):
        self.authority = authority
        self.pair = authority.pair(HOST)
        self.greeting = b"* OK hello\r\n"
        self.heard = []
        self.port = 0
        self.security = RemoteSecurity.TLS
        self.closed = asyncio.Event()
        self.talks = set()
        self.says = {
            rb"CAPABILITY": b"* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN\r\n{tag} OK done\r\n",
            rb"AUTHENTICATE": b"+ \r\n",
            rb"STARTTLS": b"{tag} OK done\r\n",
            rb"LIST": LIST + b"{tag} OK done\r\n",
            rb"STATUS": b"* STATUS x (MESSAGES 2)\r\n{tag} OK done\r\n",
            rb"EXAMINE": b"* 2 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n{tag} OK done\r\n",
            rb"FETCH \d+:\d+ \(RFC822.SIZE\)": b"* 1 FETCH (RFC822.SIZE 5)\r\n* 2 FETCH (RFC822.SIZE 6)\r\n{tag} OK done\r\n",
            rb"": b"{tag} BAD what?\r\n",
        }

    @property
    def server(self):
        return RemoteServer(HOST, "carol", self.security, self.port)

    def source(self, **options):
        options = {"allows_private": True, "ca_file": str(self.authority.file), "message_octets_max": 1000} | options
        return ImapSource(Zones({HOST: {"A": ["127.0.0.1"]}}), **options)

    def answer(self, line):
        tag, _, command = line.rstrip(b"\r\n").partition(b" ")
        if not command:  # what follows a "+"
            return self.said_password(line)
        self.tag = tag
        said = next(said for wanted, said in self.says.items() if re.search(wanted, command))
        return said.replace(b"{tag}", tag)

    def said_password(self, _line):
        return self.tag + b" OK done\r\n"

    async def talk(self, reader, writer):
        self.talks.add(asyncio.current_task())
        try:
            writer.write(self.greeting)
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(self.answer(line))
                if b"STARTTLS" in line and b"BAD" not in self.says[rb"STARTTLS"]:
                    await writer.start_tls(self.context)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self.closed.set()

    @property
    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pair.certificate, self.pair.key)
        return context

    @asynccontextmanager
    async def listening(self):
        context = self.context if self.security is RemoteSecurity.TLS else None
        server = await asyncio.start_server(self.talk, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for talk in self.talks:
                talk.cancel()
            await asyncio.gather(*self.talks, return_exceptions=True)
            self.talks.clear()

    @asynccontextmanager
    async def session(self, password=PASSWORD, **options):
        async with self.listening(), self.source(**options).connect(self.server, password) as session:
            yield session


@pytest.fixture
def stranger(tmp_path):
    return Stranger(Authority(tmp_path / "authority"))


async def refused(stranger, error=SourceRefused, password=PASSWORD, **options):
    with pytest.raises(error) as caught:
        async with stranger.session(password, **options):
            pass
    assert PASSWORD.reveal() not in caught.value.public_text + repr(caught.value.log_fields)
    return caught.value.public_text


def heard_password(stranger):
    return any(PASSWORD.reveal().encode() in line or b"AUTHENTICATE" in line for line in stranger.heard)


@pytest.mark.parametrize("security", list(RemoteSecurity))
async def test_mailboxes_with_counts_and_sizes_over_both_kinds_of_tls(stranger, security):
    stranger.security = security
    async with stranger.session() as session:
        assert not session.has_labels
        found = await session.mailboxes()
    assert [(each.name, each.levels, each.special_use, each.message_count, each.size_octets) for each in found] == [
        ("INBOX", ("INBOX",), None, 2, 11),
        ("Up/S", ("Up", "S"), "\\Sent", 2, 11),
    ]
    commands = [line.split()[1] for line in stranger.heard if len(line.split()) > 1]
    assert commands.index(b"AUTHENTICATE") > (commands.index(b"STARTTLS") if security == "starttls" else -1)


async def test_sizes_that_the_server_tells_are_not_added_up(stranger):
    stranger.says[rb"CAPABILITY"] = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN STATUS=SIZE X-GM-EXT-1\r\n{tag} OK done\r\n"
    stranger.says[rb"STATUS"] = b'* STATUS "x" (MESSAGES 2 SIZE 99)\r\n{tag} OK done\r\n'
    async with stranger.session() as session:
        assert session.has_labels
        assert {each.size_octets for each in await session.mailboxes()} == {99}
    assert not any(b"EXAMINE" in line for line in stranger.heard)


async def test_a_server_without_plain_is_logged_in_to_with_strings(stranger):
    stranger.says[rb"CAPABILITY"] = b"* CAPABILITY IMAP4rev1\r\n{tag} OK done\r\n"
    stranger.says = {rb"LOGIN": b"{tag} OK done\r\n", **stranger.says}
    async with stranger.session(Secret('a "b\\c')):
        pass
    [line] = [line for line in stranger.heard if b"LOGIN" in line]
    assert line.endswith(b' LOGIN "carol" "a \\"b\\\\c"\r\n')
    assert "ASCII" in await refused(stranger, password=Secret("пароль"))


async def test_a_wrong_password_is_told_in_the_servers_words_but_never_itself(stranger):
    stranger.said_password = lambda _: stranger.tag + b" NO [AUTHENTICATIONFAILED] Wrong,\x07 try an app password\r\n"
    assert "try an app password" in await refused(stranger)
    said = b" NO you said " + PASSWORD.reveal().encode() + b"\r\n"
    stranger.said_password = lambda _: stranger.tag + said
    assert "you said" not in await refused(stranger)
    stranger.said_password = lambda _: stranger.tag + b" NO [UNAVAILABLE] later\r\n"
    await refused(stranger, SourceFailed)


@pytest.mark.parametrize("letter", ["\r", "\n", "\0"])
async def test_attack_005_no_control_characters_reach_the_other_server(stranger, letter):
    await refused(stranger, password=Secret(f"x{letter}a1 LOGOUT"))
    assert stranger.heard == []


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("127.0.0.1", 0), ("10.1.2.3", 0), ("169.254.169.254", 0), ("::1", 0), ("::ffff:10.0.0.1", 0), ("fd00::1", 0),
        ("2130706433", 0), ("0x7f.1", 0), ("0177.0.0.1", 0), (HOST, 25), (HOST, 22), (HOST, 80), ("bad host", 0), ("", 0),
    ],
)  # fmt: skip
async def test_attack_037_no_way_into_our_own_network(stranger, host, port):
    async with stranger.listening():
        with pytest.raises(SourceRefused):
            async with stranger.source(allows_private=False).connect(RemoteServer(host, "c", port=port), PASSWORD):
                pass
    assert stranger.heard == []


async def test_attack_037_a_name_that_leads_into_our_own_network(stranger):
    assert "public Internet" in await refused(stranger, allows_private=False)
    assert stranger.heard == []


async def test_attack_037_a_public_address_that_is_our_own(stranger, monkeypatch):
    monkeypatch.setattr(imap_source, "is_public", lambda _: True)
    assert "this server itself" in await refused(stranger, allows_private=False)
    assert stranger.heard == []


@pytest.mark.parametrize("security", list(RemoteSecurity))
async def test_a_certificate_of_another_name_or_of_nobody_known_gets_no_password(stranger, security, tmp_path):
    stranger.security = security
    good = stranger.pair
    stranger.pair = stranger.authority.pair("other.test")
    assert "certificate" in await refused(stranger)
    stranger.pair = good
    assert "certificate" in await refused(stranger, ca_file=str(Authority(tmp_path / "others").file))
    assert not heard_password(stranger)


async def test_no_password_without_encryption(stranger):
    stranger.security = RemoteSecurity.STARTTLS
    stranger.says[rb"CAPABILITY"] = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n{tag} OK done\r\n"
    assert "encryption" in await refused(stranger)
    stranger.says[rb"CAPABILITY"] = b"* CAPABILITY IMAP4rev1 STARTTLS\r\n{tag} OK done\r\n"
    stranger.says[rb"STARTTLS"] = b"{tag} BAD so\r\n"
    await refused(stranger, SourceFailed)
    stranger.greeting = b"* PREAUTH come in\r\n"
    await refused(stranger)
    assert not heard_password(stranger)


async def test_attack_004_answers_injected_behind_starttls(stranger):
    stranger.security = RemoteSecurity.STARTTLS
    stranger.says[rb"STARTTLS"] = b"{tag} OK done\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"
    await refused(stranger, SourceFailed)
    assert not heard_password(stranger)


async def test_attack_007_what_has_no_end_is_given_up(stranger, monkeypatch):
    monkeypatch.setattr(imap_wire, "LINE_OCTETS_MAX", 10_000)
    stranger.greeting = b"* OK " + b"x" * 100_000
    await refused(stranger, SourceFailed)
    stranger.greeting = b"* OK\r\n"
    stranger.says[rb"LIST"] = LIST * 50_000
    async with stranger.session() as session:
        with pytest.raises(SourceFailed):
            await session.mailboxes()


def a_message(uid, size_octets=5):
    return RemoteMessage(Uid(uid), uid, size_octets, frozenset(), None, None)


async def test_attack_007_a_literal_that_is_larger_than_said_is_thrown_away_and_the_others_come(stranger):
    large = b"* 2 FETCH (BODY[] {200000}\r\n" + b"y" * 200_000 + b" UID 9)\r\n"
    stranger.says[rb"UID FETCH 8,9,10"] = (
        b"* 1 FETCH (UID 8 BODY[] {5}\r\nhello)\r\n"
        + large
        + b"* 3 FETCH (UID 77 BODY[] {1}\r\nx)\r\n{tag} OK done\r\n"
    )
    del stranger.says[rb""]
    async with stranger.session() as session:
        await session.open("INBOX")
        assert await session.octets([a_message(8), a_message(9), a_message(10)]) == {8: b"hello", 9: None}
        stranger.says[rb"UID FETCH 8"] = b"* 1 FETCH (UID 8 BODY[] {99999999999}\r\n"
        del stranger.says[rb"UID FETCH 8,9,10"]
        with pytest.raises(SourceFailed):
            await session.octets([a_message(8)])


async def test_garbage_is_no_answer(stranger):
    stranger.says[rb"EXAMINE"] = b"* 2 EXISTS\r\n{tag} OK done\r\n"
    async with stranger.session() as session:
        with pytest.raises(SourceFailed):
            await session.open("INBOX")
    stranger.says[rb"LIST"] = b"* LIST ((((\r\n{tag} OK done\r\n"
    async with stranger.session() as session:
        with pytest.raises(SourceFailed):
            await session.mailboxes()


async def test_a_mailbox_that_is_not_listed_is_not_there(stranger):
    async with stranger.session() as session:
        with pytest.raises(NoSuchMailbox):
            await session.open("Up")
        stranger.says[rb"EXAMINE"] = b"{tag} NO so\r\n"
        with pytest.raises(NoSuchMailbox):
            await session.open("INBOX")


class Store(Stranger):
    """Has a mailbox of some UIDs, which a test changes as it likes."""

    def __init__(self, authority, uids):
        super().__init__(authority)
        self.uids = list(uids)
        self.before = b""
        self.fetches = 0

    def answer(self, line):
        tag, _, command = line.rstrip(b"\r\n").partition(b" ")
        if command.startswith(b"EXAMINE"):
            return b"* %d EXISTS\r\n* OK [UIDVALIDITY 7]\r\n%s OK done\r\n" % (len(self.uids), tag)
        if match := re.match(rb"FETCH (\d+)(?::(\d+))? \(UID", command):
            self.fetches += 1
            first, last = int(match[1]), int(match[2] or match[1])
            before, self.before = self.before, b""
            return before + b"".join(
                b"* %d FETCH (UID %d RFC822.SIZE 5 FLAGS ())\r\n" % (number, self.uids[number - 1])
                for number in range(first, min(last, len(self.uids)) + 1)
            ) + tag + b" OK done\r\n"  # fmt: skip
        return super().answer(line)


async def test_a_listing_begins_behind_a_uid_wherever_that_is(tmp_path):
    uids = list(range(3, 3000, 7))
    store = Store(Authority(tmp_path / "authority"), uids)
    for after in (0, 2, 3, 4, 1500, 2990, 2999, 5000):
        async with store.session() as session:
            await session.open("INBOX")
            store.fetches = 0
            found, last = [], Uid(after)
            while window := await session.listing(last, 50):
                found += [each.uid for each in window]
                last = found[-1]
        assert found == [uid for uid in uids if uid > after]
        assert store.fetches <= 10 + len(found) // 50 + 2


async def test_numbers_that_move_between_two_windows_skip_nothing(tmp_path):
    store = Store(Authority(tmp_path / "authority"), range(1, 31))
    async with store.session() as session:
        await session.open("INBOX")
        assert [each.uid for each in await session.listing(Uid(0), 10)] == list(range(1, 11))
        # The server tells it at the next command that lets it: the one that lists the second ten.
        store.before = b"* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n"
        second = [each.uid for each in await session.listing(Uid(10), 10)]
        assert second == list(range(11, 21))
        del store.uids[:2]
        rest, last = [], Uid(20)
        while window := await session.listing(last, 5):
            rest += [each.uid for each in window]
            last = rest[-1]
        assert rest == list(range(21, 31))


async def test_who_waits_no_more_closes_the_connection(stranger):
    stranger.says[rb"LIST"] = b""  # and then nothing
    asked = asyncio.Event()
    answer = stranger.answer
    stranger.answer = lambda line: (b"LIST" in line and asked.set(), answer(line))[1]

    async def ask():
        async with stranger.source().connect(stranger.server, PASSWORD) as session:
            await session.mailboxes()

    async with stranger.listening():
        asking = asyncio.create_task(ask())
        await asked.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await stranger.closed.wait()
