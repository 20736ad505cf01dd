"""An mx whose clients come from the gateway of its container: closed to them, open to others, told to the operator."""

import asyncio

import pytest

from mailstead.config.settings import Imap, Limits, MailListeners, Server, Settings, Store
from mailstead.model.secret import Secret
from mailstead.net.certificates import open_certificates
from mailstead.net.run import Servers
from mailstead.usecases.doctor import BRIDGED
from mailstead.wiring import bridges
from mailstead.wiring.house import open_house
from mailstead.wiring.listeners import make_listeners

LIMIT_S = 10
GATEWAY = "127.0.0.9"


@pytest.fixture
def greetings(tmp_path, monkeypatch):
    """Give how mx and imap greet a client from the address that is taken for the gateway, and what is remembered."""
    monkeypatch.setattr(bridges, "bridge_gateways", lambda: frozenset({GATEWAY}))

    async def ask(limits, source=GATEWAY):
        settings = Settings(
            server=Server(data_dir=tmp_path / "data", services=("mx", "imap")),
            store=Store(master_key=Secret("11" * 32)),
            limits=limits,
            mx=MailListeners(listen=("127.0.0.1:0",)),
            imap=Imap(listen=("127.0.0.1:0",)),
        )
        async with open_house(settings) as house:
            certificates = open_certificates("", "", settings.server.data_dir, "localhost", 5.0)
            servers = Servers(make_listeners(house, certificates))
            servers.bind()
            stop = asyncio.Event()
            running = asyncio.create_task(servers.run(stop))
            found = []
            async with asyncio.timeout(LIMIT_S):
                for listener in servers.listeners:
                    reader, writer = await asyncio.open_connection(
                        "127.0.0.1", listener.bound[0].port, local_addr=(source, 0)
                    )
                    if settings.limits.proxy_from:
                        writer.write(b"PROXY TCP4 8.8.8.8 192.0.2.1 4711 25\r\n")
                    found.append((await reader.readline()).decode())
                    writer.close()
                remembered = await _remembered(house) if found[0].startswith("421") else {}
            stop.set()
            await running
            return found, remembered

    return ask


async def _remembered(house):
    while not (found := await house.storage.memory.recall_all(BRIDGED, house.clock.now())):
        await asyncio.sleep(0.01)  # what is remembered is written beside the conversation; nothing tells of it
    return found


async def test_attack_013_the_mx_is_closed_to_who_looks_like_the_bridge_and_the_doctor_knows(greetings):
    (mx, imap), remembered = await greetings(Limits())
    assert mx.startswith("421 4.3.2 This server cannot see who is connecting")
    assert imap.startswith("* OK")  # log-ins are judged by account, too
    assert set(remembered) == {GATEWAY}


async def test_attack_013_others_are_let_in(greetings):
    (mx, imap), _ = await greetings(Limits(), source="127.0.0.10")
    assert (mx[:4], imap[:4]) == ("220 ", "* OK")


@pytest.mark.parametrize("limits", [Limits(allows_bridged_clients=True), Limits(proxy_from=(GATEWAY,))])
async def test_attack_013_the_bridge_may_be_wanted_or_be_a_proxy_that_says_who_comes(greetings, limits):
    (mx, _), _ = await greetings(limits)
    assert mx.startswith("220 ")
