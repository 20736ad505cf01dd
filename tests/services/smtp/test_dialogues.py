"""Plays tests/dialogues/smtp, whole, octet by octet and at random cuts: in memory, and over TCP and TLS with the driver."""

import asyncio
import contextlib
import ssl
from dataclasses import replace
from pathlib import Path

import player
import pytest

from mailstead.model.envelope import Peer
from mailstead.net.admission import Admission
from mailstead.net.certificates import make_self_signed
from mailstead.net.listener import Listener
from mailstead.net.pulse import Pulse
from mailstead.net.terms import Terms

FOLDER = Path(__file__).parents[2] / "dialogues" / "smtp"
every_dialogue = pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)


@pytest.fixture
def fresh_house(tmp_path, open_house):
    """Gives a house as the head of a dialogue wants it, and checks afterwards what the head says about the mailboxes."""
    numbers = iter(range(1000))

    @contextlib.asynccontextmanager
    async def fresh(dialogue):
        head = dialogue.head
        quotas = {name: int(octets) for name, octets in [head.get("quota", "none 0").split()]}
        message_octets_max = int(head.get("message_octets_max", 100_000))
        folder = tmp_path / str(next(numbers))
        async with open_house(folder, quotas=quotas, message_octets_max=message_octets_max) as house:
            yield house
            for wanted in filter(None, head.get("stored", "").split(", ")):
                name, count = wanted.split()
                assert len(await house.messages(name)) == int(count), f"messages of {name}"
            for wanted in filter(None, head.get("queued", "").split(", ")):
                name, count = wanted.split()
                assert len(await house.queued(name)) == int(count), f"items to {name}"
            for key in ("contains", "contains_too"):
                if key in head:
                    name, text = head[key].split(" ", 1)
                    assert text.encode() in (await house.messages(name))[0]

    return fresh


@every_dialogue
async def test_dialogue_in_memory(path, fresh_house):
    @contextlib.asynccontextmanager
    async def stage(dialogue):
        is_encrypted = dialogue.head.get("tls") == "yes"
        async with fresh_house(dialogue) as house:

            async def open_conversation():
                peer = Peer("192.0.2.1", 50000, 2525)
                if is_encrypted:
                    peer = replace(peer, tls_version="TLSv1.3", tls_cipher="TLS_AES_256_GCM_SHA384")
                make = house.mx if dialogue.head["service"] == "mx" else house.submission
                return player.MemoryConversation(make(is_encrypted=is_encrypted), peer)

            yield open_conversation

    await player.play_in_cuts(path, stage)


@pytest.fixture(scope="session")
def tls_contexts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_self_signed(folder / "cert.pem", folder / "key.pem", "localhost")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    client = ssl.create_default_context(cafile=folder / "cert.pem")
    client.check_hostname = False
    return server, client


@every_dialogue
async def test_dialogue_over_tcp_and_tls(path, fresh_house, tls_contexts):
    server_context, client_context = tls_contexts

    @contextlib.asynccontextmanager
    async def stage(dialogue):
        service, is_tls = dialogue.head["service"], dialogue.head.get("tls") == "yes"
        async with fresh_house(dialogue) as house:
            make = house.mx if service == "mx" else house.submission
            terms = Terms(
                service,
                lambda: make(is_encrypted=is_tls),
                Admission(),
                context=lambda: server_context,
                is_tls_implicit=is_tls,
            )
            listener, pulse = Listener("127.0.0.1:0", terms), Pulse()
            listener.bind()
            pulse.start(asyncio.get_running_loop())
            try:
                await listener.start(pulse)
                [endpoint] = listener.bound
                yield lambda: player.SocketConversation.open(
                    endpoint.host, endpoint.port, client_context, is_tls=is_tls
                )
            finally:
                listener.stop_accepting()
                for _ in range(1000):
                    if not listener.open_count:
                        break
                    await asyncio.sleep(0)
                listener.close()
                pulse.stop()

    await player.play_in_cuts(path, stage, ("whole", "random 1"))
