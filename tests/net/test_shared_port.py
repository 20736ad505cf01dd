"""One port for mail and web: who gets which connection, and who gets none."""

import asyncio
import socket
import ssl

import pytest
from cryptography import x509

from mailstead.net import shared_port
from mailstead.net.acme.challenges import AlpnProver, ChallengeFiles
from mailstead.net.admission import Admission
from mailstead.net.client_hello import HELLO_OCTETS_MAX, NoHello, protocols_asked
from mailstead.net.shared_port import SharedPort
from mailstead.net.terms import Terms


def hello(*protocols, name="chat.test"):
    """The ClientHello of OpenSSL."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    side = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    return outgoing.read()


def test_what_a_client_offers_is_read_in_its_order():
    assert protocols_asked(hello("imap", "h2")) == (b"imap", b"h2")
    assert protocols_asked(hello()) == ()


def test_a_hello_may_come_in_pieces_and_in_several_records():
    whole = hello("smtp")
    assert [protocols_asked(whole[:size]) for size in range(1, len(whole))] == [None] * (len(whole) - 1)
    body = whole[5:]
    cut = b"".join(
        whole[:3] + len(piece).to_bytes(2, "big") + piece
        for piece in (body[at : at + 50] for at in range(0, len(body), 50))
    )
    assert protocols_asked(cut) == (b"smtp",)
    assert protocols_asked(whole + b"\x17\x03\x03") == (b"smtp",), "what follows is not our matter"


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x80\x2e\x01\x03\x01",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x08\x01\x00\x00\x04\x03\x03\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
    ],
)
def test_what_is_no_hello_is_told(octets):
    with pytest.raises(NoHello):
        protocols_asked(octets)


def test_attack_041_every_damaged_hello_is_read_or_refused():
    whole = hello("imap", "smtp")
    for position in range(len(whole)):
        for value in (0, 1, 0x7F, 0xFF):
            damaged = bytearray(whole)
            damaged[position] = value
            try:
                offered = protocols_asked(bytes(damaged))
            except NoHello:
                continue
            assert offered is None or len(offered) <= HELLO_OCTETS_MAX


class Web:
    """Takes what is for the web, and answers with TLS of its own."""

    def __init__(self, certificates):
        self.certificates = certificates
        self.count = 0

    async def adopt(self, accepted):
        self.count += 1
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader, self.answer)
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(lambda: protocol, accepted, ssl=self.certificates.context())

    async def answer(self, reader, writer):
        writer.write(b"web: " + await reader.readline())
        await writer.drain()
        writer.close()


@pytest.fixture
async def web(home):
    return Web(home.certificates)


@pytest.fixture
async def shared(home, web, tools):
    def terms(service):
        made = lambda: tools.EchoSession(home)  # noqa: E731
        return Terms(service, made, Admission(), context=home.certificates.context, is_tls_implicit=True)

    listener = SharedPort("127.0.0.1:0", {b"imap": terms("imap"), b"smtp": terms("smtp")}, web.adopt)
    listener.bind()
    await listener.start(home.pulse)
    home.listeners.append(listener)
    return listener


async def connect(listener, *protocols):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    endpoint = listener.bound[0]
    return await asyncio.open_connection(endpoint.host, endpoint.port, ssl=context, server_hostname="chat.test")


@pytest.mark.parametrize("protocols", [("imap",), ("smtp",), ("h2", "imap")])
async def test_who_offers_mail_gets_mail(shared, web, protocols):
    reader, writer = await connect(shared, *protocols)
    assert await reader.readline() == b"220 TLSv1.3\r\n"
    writer.write(b"ECHO hello\r\n")
    assert await reader.readline() == b"250 hello\r\n"
    assert (web.count, shared.open_count) == (0, 1)
    writer.close()


@pytest.mark.parametrize("protocols", [(), ("http/1.1",), ("h2", "http/1.1")])
async def test_all_others_get_the_web(shared, web, protocols):
    reader, writer = await connect(shared, *protocols)
    writer.write(b"hello\r\n")
    assert await reader.readline() == b"web: hello\r\n"
    assert (web.count, shared.open_count) == (1, 0)
    writer.close()


async def test_a_hello_that_comes_octet_by_octet_is_waited_for(shared):
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.bound[0].port)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["imap"])
    side = context.wrap_bio(incoming, outgoing, server_hostname="chat.test")
    with pytest.raises(ssl.SSLWantReadError):
        side.do_handshake()
    for octet in outgoing.read():
        writer.write(bytes([octet]))
        await writer.drain()
    incoming.write(await reader.read(65536))
    assert await until_done(side, incoming, outgoing, reader, writer)
    assert side.version() == "TLSv1.3"
    writer.close()


async def until_done(side, incoming, outgoing, reader, writer):
    while True:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            incoming.write(await reader.read(65536))
            continue
        writer.write(outgoing.read())
        await writer.drain()
        return True


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"x" * 100, b""])
async def test_attack_010_what_is_no_hello_is_hung_up_on(shared, web, octets):
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.bound[0].port)
    writer.write(octets)
    writer.write_eof()
    with_reset = False
    try:
        assert await reader.read() == b""
    except ConnectionResetError:
        with_reset = True
    assert (web.count, shared.open_count) == (0, 0) or with_reset
    writer.close()


async def test_attack_010_who_says_nothing_is_hung_up_on(shared, monkeypatch):
    monkeypatch.setattr(shared_port, "HELLO_LIMIT_S", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.bound[0].port)
    assert await reader.read() == b""
    writer.close()


async def test_without_a_web_others_are_hung_up_on(home):
    terms = Terms("imap", lambda: None, Admission(), context=home.certificates.context, is_tls_implicit=True)
    listener = SharedPort("127.0.0.1:0", {b"imap": terms}, None)
    listener.bind()
    await listener.start(home.pulse)
    home.listeners.append(listener)
    with pytest.raises((OSError, EOFError)):
        await connect(listener)


async def test_it_stops_as_others_do(shared):
    _, writer = await connect(shared, "imap")
    port = shared.bound[0].port
    shared.stop_accepting()
    assert shared.bound == []
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))
    assert shared.abort_all() == 1
    writer.close()


class Proofs:
    """Gives the context of the proofs in a folder, and counts."""

    def __init__(self, folder):
        self.files = ChallengeFiles(folder)
        self.count = 0

    def context(self):
        self.count += 1
        return self.files.alpn_context()


@pytest.fixture
async def proofs(home, web, tmp_path):
    terms = Terms("imap", lambda: None, Admission(), context=home.certificates.context, is_tls_implicit=True)
    proofs = Proofs(tmp_path / "challenges")
    proofs.listener = SharedPort("127.0.0.1:0", {b"imap": terms}, web.adopt, challenge=proofs.context)
    proofs.listener.bind()
    await proofs.listener.start(home.pulse)
    home.listeners.append(proofs.listener)
    return proofs


async def test_an_authority_gets_the_proof_of_a_name_and_then_the_end(proofs, web):
    await AlpnProver(proofs.files).prove("chat.test", "token", "token.thumbprint")
    reader, writer = await connect(proofs.listener, "acme-tls/1")
    tls = writer.get_extra_info("ssl_object")
    assert tls.selected_alpn_protocol() == "acme-tls/1"
    certificate = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True))
    assert certificate.extensions.get_extension_for_oid(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")).critical
    assert await reader.read() == b""
    assert (proofs.count, web.count) == (1, 0)
    writer.close()


async def test_without_a_proof_an_authority_gets_no_handshake(proofs, web):
    with pytest.raises((OSError, EOFError)):
        await connect(proofs.listener, "acme-tls/1")
    assert (proofs.count, web.count) == (1, 0)


async def test_who_offers_more_than_an_authority_gets_no_proof(proofs, web):
    """RFC 8737 §3: the one protocol, and no other, is what a validation offers."""
    await AlpnProver(proofs.files).prove("chat.test", "token", "token.thumbprint")
    reader, writer = await connect(proofs.listener, "acme-tls/1", "http/1.1")
    writer.write(b"hello\r\n")
    assert await reader.readline() == b"web: hello\r\n"
    assert (proofs.count, web.count) == (0, 1)
    writer.close()


async def test_where_nothing_is_ordered_an_authority_is_a_client_like_others(shared, web):
    _, writer = await connect(shared, "acme-tls/1")
    assert web.count == 1
    writer.close()
