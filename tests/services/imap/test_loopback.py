"""Over real sockets with TLS: imaplib and imapclient, compression, STARTTLS, SCRAM, slow readers."""

import asyncio
import base64
import contextlib
import imaplib
import socket
import ssl
import zlib

import imapclient
import pytest

from mailstead.model.secret import Secret
from mailstead.net.admission import Admission
from mailstead.net.certificates import Certificates, make_self_signed
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms
from mailstead.proto.sasl.client import ScramSha256Client

ALICE = "alice@example.test"
PASSWORD = "pw-never-in-a-log alice"


@pytest.fixture
async def server(house, tmp_path):
    """Ports of a clear-text listener with STARTTLS and of one with TLS."""
    make_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem", "localhost")
    certificates = Certificates(tmp_path / "cert.pem", tmp_path / "key.pem")
    pulse = Pulse()
    pulse.start(asyncio.get_running_loop())
    admission = Admission(1000, 1000, ())
    listeners = []
    for is_tls in (False, True):
        terms = Terms(
            "imap",
            lambda is_tls=is_tls: house.service.session(is_tls=is_tls),
            admission,
            context=certificates.context,
            is_tls_implicit=is_tls,
        )
        listener = Listener("127.0.0.1:0", terms)
        listener.bind()
        listeners.append((listener, listener.bound[0].port))
        await listener.start(pulse)
    yield tuple(port for _, port in listeners)
    for listener, _ in listeners:
        listener.abort_all()
        listener.stop_accepting()
    pulse.stop()


def _trusting():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_imaplib(house, server):
    await house.fill(5)

    def talk():
        with imaplib.IMAP4_SSL("127.0.0.1", server[1], ssl_context=_trusting(), timeout=20) as client:
            client.login(ALICE, PASSWORD)
            assert client.select("INBOX") == ("OK", [b"5"])
            assert client.search(None, "SUBJECT", '"Message 3"')[1] == [b"3"]
            data = client.fetch("2", "(RFC822)")[1]
            assert b"Subject: Message 2" in data[0][1]
            assert client.append("INBOX", "(\\Seen)", None, b"Subject: new\r\n\r\nhi\r\n")[0] == "OK"
            assert client.copy("1:2", "Archive")[0] == "OK"
            assert client.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
            assert client.expunge() == ("OK", [b"1"])
            assert client.sort("REVERSE ARRIVAL", "UTF-8", "ALL")[1][0].split()[0] == b"5"
            assert client.thread("REFERENCES", "UTF-8", "ALL")[0] == "OK"
            assert client.getquotaroot("INBOX")[0] == "OK"
            assert client.namespace()[0] == "OK"
            assert client.unselect()[0] == "OK"
            assert client.enable("CONDSTORE")[0] == "OK"

    await asyncio.to_thread(talk)


async def test_starttls(house, server):
    def talk():
        client = imaplib.IMAP4("127.0.0.1", server[0], timeout=20)
        with contextlib.closing(client.socket()):
            assert "LOGINDISABLED" in client.capabilities
            with pytest.raises(imaplib.IMAP4.error):
                client.login(ALICE, PASSWORD)
            client.starttls(_trusting())
            assert "LOGINDISABLED" not in client.capabilities
            client.login(ALICE, PASSWORD)
            client.select("INBOX")
            client.logout()

    await asyncio.to_thread(talk)


async def test_imapclient_idles(house, server):
    await house.fill(2)

    def talk():
        with imapclient.IMAPClient("127.0.0.1", server[1], ssl_context=_trusting(), timeout=20) as client:
            client.login(ALICE, PASSWORD)
            assert client.select_folder("INBOX")[b"EXISTS"] == 2
            assert client.has_capability("IDLE")
            facts = client.fetch([1, 2], ["ENVELOPE", "BODYSTRUCTURE", "FLAGS", "INTERNALDATE", "RFC822.SIZE"])
            assert facts[1][b"ENVELOPE"].subject == b"Message 1"
            client.idle()
            asyncio.run_coroutine_threadsafe(house.fill(1), loop).result(20)
            assert client.idle_check(timeout=20) == [(3, b"EXISTS")]
            client.idle_done()
            assert client.search(["FROM", "bob"]) == [1, 2, 3]
            client.move([1], "Archive")
            assert client.folder_status("Archive", ["MESSAGES"]) == {b"MESSAGES": 1}
            assert len(client.list_folders()) == 6
            client.create_folder("Größe")
            assert "Größe" in [name for _, _, name in client.list_folders()]
            assert client.get_quota() == []

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(talk)


class _Wire:
    """A blocking client on bytes."""

    def __init__(self, port):
        raw = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket = _trusting().wrap_socket(raw)
        self.inflate = self.deflate = None
        self.buffer = b""

    def send(self, data):
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(data)

    def line(self):
        while b"\r\n" not in self.buffer:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError
            self.buffer += self.inflate.decompress(data) if self.inflate else data
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        return line

    def until(self, tag):
        lines = [self.line()]
        while not lines[-1].startswith(tag + b" "):
            lines.append(self.line())
        return lines


async def test_compress(house, server):
    await house.fill(50)

    def talk():
        wire = _Wire(server[1])
        wire.line()
        wire.send(f'a LOGIN {ALICE} "{PASSWORD}"\r\n'.encode())
        assert b"COMPRESS=DEFLATE" in wire.until(b"a")[-1]
        wire.send(b"b COMPRESS DEFLATE\r\n")
        assert wire.line().startswith(b"b OK")
        wire.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        wire.inflate = zlib.decompressobj(-15)
        wire.send(b"c SELECT INBOX\r\nd FETCH 1:* BODY.PEEK[]\r\n")
        assert sum(b"Body number" in line for line in wire.until(b"d")) == 50
        wire.send(b"e COMPRESS DEFLATE\r\nf LOGOUT\r\n")
        assert b"COMPRESSIONACTIVE" in wire.until(b"e")[-1]
        assert wire.until(b"f")[-1].startswith(b"f OK")
        wire.socket.close()

    await asyncio.to_thread(talk)


async def test_attack_049_a_compressed_bomb_meets_the_command_limit(house, server):
    def talk():
        wire = _Wire(server[1])
        wire.line()
        wire.send(f'a LOGIN {ALICE} "{PASSWORD}"\r\n'.encode())
        wire.until(b"a")
        wire.send(b"b COMPRESS DEFLATE\r\n")
        wire.until(b"b")
        wire.deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        wire.inflate = zlib.decompressobj(-15)
        with contextlib.suppress(OSError):
            wire.send(b"c NOOP " + b"x" * 50_000_000 + b"\r\nd NOOP\r\n")
        try:
            lines = wire.until(b"d")
        except (EOFError, OSError):
            return
        assert any(b"BAD" in line for line in lines)

    await asyncio.to_thread(talk)


async def test_scram(house, server):
    def talk():
        wire = _Wire(server[1])
        wire.line()
        scram = ScramSha256Client(ALICE, Secret(PASSWORD), "rOprNGfwEbeRWgbNEkqO")
        wire.send(b"a AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(scram.first()) + b"\r\n")
        server_first = base64.b64decode(wire.line()[2:])
        wire.send(base64.b64encode(scram.final(server_first)) + b"\r\n")
        server_final = base64.b64decode(wire.line()[2:])
        assert scram.check(server_final)
        wire.send(b"\r\n")
        assert wire.line().startswith(b"a OK")
        wire.socket.close()

    await asyncio.to_thread(talk)


async def test_a_slow_reader_holds_no_more_than_batches(house, server):
    """A client that asks for everything and reads nothing: the others go on, and it gets all of it in the end."""
    from mailstead.usecases.mailboxes import Draft

    octets = b"Subject: big\r\n\r\n" + b"x" * 998 * 1000
    await house.mailboxes.append(house.alice, "INBOX", [Draft(octets) for _ in range(20)])
    read, hops = type(house.mailboxes.of(house.alice)).read_octets, []

    async def counted(self, ranges):
        hops.append(sum(one.stop - one.start for one in ranges))
        return await read(self, ranges)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(house.mailboxes.of(house.alice)), "read_octets", counted)

        def slow():
            wire = _Wire(server[1])
            wire.line()
            wire.send(f'a LOGIN {ALICE} "{PASSWORD}"\r\nb SELECT INBOX\r\nc FETCH 1:* BODY.PEEK[]\r\n'.encode())
            wire.until(b"b")
            return wire

        wire = await asyncio.to_thread(slow)
        quick = house.session(house.bob)
        await quick.greeting()
        for _ in range(50):
            assert (await quick("NOOP"))[-1].split()[1] == "OK"
        assert sum(hops) < 15_000_000  # the rest waits for the slow one: socket buffers plus two batches
        lines = await asyncio.to_thread(wire.until, b"c")
        assert sum(map(len, lines)) > 19_000_000
        wire.socket.close()
        await quick.close()
