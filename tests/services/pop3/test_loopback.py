"""Over real sockets with the driver: the dialogues over TCP and TLS, and Python's own poplib."""

import asyncio
import contextlib
import poplib
import ssl
from pathlib import Path

import player
import pytest

from mailstead.net.admission import Admission
from mailstead.net.certificates import make_self_signed
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms

FOLDER = Path(__file__).parents[2] / "dialogues" / "pop3"


@pytest.fixture(scope="session")
def tls_contexts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_self_signed(folder / "cert.pem", folder / "key.pem", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=folder / "cert.pem")
    client.check_hostname = False
    return server, client


@contextlib.asynccontextmanager
async def listening(pop3, context, *, is_tls):
    terms = Terms(
        "pop3",
        lambda: pop3.service.session(is_tls=is_tls),
        Admission(),
        context=lambda: context,
        is_tls_implicit=is_tls,
    )
    listener, pulse = Listener("127.0.0.1:0", terms), Pulse()
    listener.bind()
    pulse.start(asyncio.get_running_loop())
    try:
        await listener.start(pulse)
        [endpoint] = listener.bound
        yield endpoint
    finally:
        listener.stop_accepting()
        for _ in range(1000):
            if not listener.open_count:
                break
            await asyncio.sleep(0)
        listener.close()
        pulse.stop()


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
async def test_dialogue_over_tcp_and_tls(path, tmp_path, open_pop3, tls_contexts):
    numbers = iter(range(100))
    server_context, client_context = tls_contexts

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        is_tls = dialogue.head["tls"] == "yes"
        async with open_pop3(tmp_path / str(next(numbers))) as pop3:
            for number in range(int(dialogue.head["messages"])):
                await pop3.fill(b"Subject: %d\r\n\r\n.\r\nline 1\r\nline 2\r\n" % (number + 1))
            async with listening(pop3, server_context, is_tls=is_tls) as endpoint:
                yield lambda: player.SocketConversation.open(
                    endpoint.host, endpoint.port, client_context, is_tls=is_tls
                )
            assert await pop3.count() == int(dialogue.head["left"])

    await player.play_in_cuts(path, stage, ("whole", "random 1"))


@pytest.mark.parametrize("is_tls", [True, False], ids=["implicit TLS", "STLS"])
async def test_poplib(pop3, tls_contexts, is_tls):
    server_context, client_context = tls_contexts
    big = b"Subject: big\r\n\r\n" + b".dots and text, again and again\r\n" * 60_000
    await pop3.fill(b"Subject: small\r\n\r\nHello\r\n", big)

    def talk(port):
        if is_tls:
            client = poplib.POP3_SSL("127.0.0.1", port, context=client_context, timeout=30)
        else:
            client = poplib.POP3("127.0.0.1", port, timeout=30)
            assert "STLS" in client.capa()
            client.stls(client_context)
        assert client.capa()["SASL"] == ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
        client.user("alice@example.test")
        client.pass_("pw-never-in-a-log")
        assert client.stat()[0] == 2
        assert client.list()[1][1] == b"2 %d" % len(big)
        assert len({line.split()[1] for line in client.uidl()[1]}) == 2
        assert client.top(1, 0)[1] == [b"Subject: small", b""]
        assert b"\r\n".join(client.retr(2)[1]) + b"\r\n" == big
        with pytest.raises(poplib.error_proto):
            client.utf8()  # only before log-in
        client.dele(1)
        client.rset()
        client.dele(2)
        assert client.quit().startswith(b"+OK")

    async with listening(pop3, server_context, is_tls=is_tls) as endpoint:
        await asyncio.to_thread(talk, endpoint.port)
    assert await pop3.count() == 1
