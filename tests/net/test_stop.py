"""How the server stops: goodbye, what is under way, what is cut off."""

import asyncio

import pytest

from mailstead.net.admission import Admission
from mailstead.net.listener import Listener
from mailstead.net.run import Servers
from mailstead.net.terms import Terms


def servers_of(home, tools, stop_limit_s, **terms):
    made = Terms("echo", lambda: tools.EchoSession(home), Admission(), context=home.certificates.context, **terms)
    servers = Servers([Listener("127.0.0.1:0", made)], stop_limit_s=stop_limit_s)
    servers.bind()
    return servers, servers.listeners[0].bound[0].port


async def test_idle_conversations_get_a_goodbye(home, tools):
    servers, port = servers_of(home, tools, 5)
    stop, ready = asyncio.Event(), asyncio.Event()
    run = asyncio.create_task(servers.run(stop, ready.set))
    await asyncio.wait_for(ready.wait(), 5)
    clients = [await tools.dial(port) for _ in range(3)]
    stop.set()
    assert [await client.rest() for client in clients] == [b"421 stopping\r\n"] * 3
    await asyncio.wait_for(run, 4)
    assert home.ended_count == 3
    with pytest.raises(OSError):
        await tools.dial(port)
    for client in clients:
        await client.close()


async def test_a_reply_under_way_is_finished(home, tools):
    servers, port = servers_of(home, tools, 5)
    stop = asyncio.Event()
    run = asyncio.create_task(servers.run(stop))
    await asyncio.sleep(0)
    client = await tools.dial(port)
    client.send(b"GATE x\r\n")
    await asyncio.wait_for(home.at_gate.wait(), 5)
    stop.set()
    await tools.until(lambda: home.sessions[0].wants_stop)
    assert not run.done()
    home.gate.set()
    assert await client.rest() == b"250 passed x\r\n421 stopping\r\n"
    await asyncio.wait_for(run, 4)
    await client.close()


async def test_what_does_not_end_is_cut_off_at_the_limit(home, tools):
    servers, port = servers_of(home, tools, 0.1)
    stop = asyncio.Event()
    run = asyncio.create_task(servers.run(stop))
    await asyncio.sleep(0)
    client = await tools.dial(port)
    client.send(b"GATE x\r\n")
    await asyncio.wait_for(home.at_gate.wait(), 5)
    stop.set()
    await asyncio.wait_for(run, 5)
    await tools.until(lambda: home.ended_count == 1 and home.cancelled == 1)
    await client.close()


async def test_handshakes_do_not_hold_the_stop_up(home, tools):
    servers, port = servers_of(home, tools, 30, is_tls_implicit=True)
    stop = asyncio.Event()
    run = asyncio.create_task(servers.run(stop))
    await asyncio.sleep(0)
    client = await tools.dial(port, greeting=False)
    await tools.until(lambda: servers.listeners[0].open_count == 1)
    stop.set()
    await asyncio.wait_for(run, 5)
    await client.close()


async def test_bind_failure_gives_all_ports_back(home, tools):
    first = Listener("127.0.0.1:0", Terms("echo", lambda: None, Admission()))
    first.bind()
    taken = first.bound[0]
    second = Listener("127.0.0.1:0", first.terms)
    servers = Servers([second, Listener(taken, first.terms)])
    with pytest.raises(Exception, match="another program has that port"):
        servers.bind()
    assert second.bound == []
    first.close()
