"""Endpoints, ports, and who is let in over a real socket."""

import asyncio
import contextlib
import errno
import resource
import socket

import pytest

from mailstead.model.errors import BadSettings
from mailstead.net.admission import Admission
from mailstead.net.endpoint import Endpoint
from mailstead.net.listener import Listener
from mailstead.net.terms import Terms
from mailstead.telemetry import metrics


def refusals(*labels):
    return metrics.REFUSALS.labels(*labels)._value.get()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:2525", "127.0.0.1", 2525),
        ("[::1]:25", "::1", 25),
        (":25", "", 25),
        ("*:25", "", 25),
        ("localhost:0", "localhost", 0),
    ],
)
def test_endpoints(text, host, port):
    assert Endpoint.parse(text) == Endpoint(host, port)


@pytest.mark.parametrize("text", ["", "25", "host", "::1:25", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", ":²"])
def test_bad_endpoints_come_with_an_example(text):
    with pytest.raises(BadSettings, match=r"127\.0\.0\.1:2525"):
        Endpoint.parse(text)


def listener_on(text, **options):
    return Listener(text, Terms("echo", lambda: None, Admission()), **options)


def test_port_in_use_says_what_to_do():
    first = listener_on("127.0.0.1:0")
    first.bind()
    port = first.bound[0].port
    with pytest.raises(BadSettings, match=f"ss -ltnp sport = :{port}"):
        listener_on(f"127.0.0.1:{port}").bind()
    first.close()


def test_shared_port_can_be_bound_by_several():
    first = listener_on("127.0.0.1:0", is_port_shared=True)
    first.bind()
    second = listener_on(f"127.0.0.1:{first.bound[0].port}", is_port_shared=True)
    second.bind()
    first.close()
    second.close()


def test_foreign_address_and_unknown_name_are_explained():
    with pytest.raises(BadSettings, match="ip address"):
        listener_on("192.0.2.1:0").bind()
    with pytest.raises(BadSettings, match="cannot listen on"):
        listener_on("no-such-host.invalid:0").bind()


def test_port_without_right_is_explained(monkeypatch):
    def refuse(self, address):
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(BadSettings, match="CAP_NET_BIND_SERVICE"):
        listener_on("127.0.0.1:25").bind()


def test_all_addresses_means_both_families():
    listener = listener_on(":0")
    listener.bind()
    hosts = {endpoint.host for endpoint in listener.bound}
    assert hosts in ({"0.0.0.0", "::"}, {"0.0.0.0"})
    listener.close()


async def test_attack_010_too_many_from_one_address_get_a_reason(home, tools):
    admission = Admission(10, 2, is_loopback_exempt=False)
    port = await home.listen(admission=admission, refusal=b"421 4.7.0 too many connections\r\n")
    before = refusals("echo", "limit", "too many from one address")
    first, second = await tools.dial(port), await tools.dial(port)
    third = await tools.dial(port, greeting=False)
    assert await third.rest() == b"421 4.7.0 too many connections\r\n"
    assert refusals("echo", "limit", "too many from one address") == before + 1
    assert await first.ask(b"QUIT") == b"221 bye"
    await first.close()
    await tools.until(lambda: admission.open_count == 1)
    fourth = await tools.dial(port)
    for client in (second, third, fourth):
        await client.close()
    await tools.until(lambda: admission.open_count == 0)


async def test_attack_013_proxy_header_from_a_stranger_is_just_a_bad_command(home, tools):
    client = await tools.dial(await home.listen(admission=Admission(proxy_from=["192.0.2.99"])))
    client.send(b"BROKEN PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n")
    assert await client.line() == b"500 broken"
    await client.close()


async def test_attack_013_proxy_header_from_the_listed_peer_gives_the_address(home, tools):
    port = await home.listen(admission=Admission(proxy_from=["127.0.0.1"]))
    client = await tools.dial(port, greeting=False)
    client.send(b"PROXY TCP6 2001:db8::5 2001:db8::1 4711 25\r\nPEER\r\n")
    assert await client.line() == b"220 clear"
    assert await client.line() == b"250 2001:db8::5 4711 None None"
    await client.close()


async def test_attack_013_the_listed_peer_must_send_a_header(home, tools):
    before = refusals("echo", "proxy", "bad header")
    client = await tools.dial(await home.listen(admission=Admission(proxy_from=["127.0.0.1"])), greeting=False)
    client.send(b"PEER\r\n")
    with contextlib.suppress(ConnectionError):
        assert await client.rest() == b""
    assert refusals("echo", "proxy", "bad header") == before + 1
    assert not home.sessions
    await client.close()


async def test_limits_count_the_address_behind_the_proxy(home, tools):
    admission = Admission(10, 1, proxy_from=["127.0.0.1"])
    port = await home.listen(admission=admission, refusal=b"421 no\r\n")
    clients = [await tools.dial(port, greeting=False) for _ in range(3)]
    for client, source in zip(clients, [b"192.0.2.1", b"192.0.2.1", b"192.0.2.2"], strict=True):
        client.send(b"PROXY TCP4 " + source + b" 198.51.100.1 4711 25\r\n")
        assert await client.line() in (b"220 clear", b"421 no")
    assert admission.open_count == 2
    for client in clients:
        await client.close()


async def test_proxy_that_says_nothing_is_cut_off(home, tools):
    client = await tools.dial(await home.listen(admission=Admission(proxy_from=["127.0.0.1"])), greeting=False)
    await tools.until(lambda: home.listeners[0].open_count == 1)
    home.pass_time(32)
    await tools.until(lambda: home.listeners[0].open_count == 0)
    await client.close()


async def test_without_descriptors_accepting_does_not_spin(home, tools):
    """When no descriptor is left the loop stays idle, and service goes on when there are some again."""
    port = await home.listen()
    served = await tools.dial(port)
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)  # asyncio reports EMFILE there
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    waiting = socket.socket()
    waiting.setblocking(False)
    filler = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        while True:
            try:
                filler.append(socket.socket())
            except OSError:
                break
        waiting.connect_ex(("127.0.0.1", port))
        cpu_before = resource.getrusage(resource.RUSAGE_SELF)
        await asyncio.sleep(0.4)  # the span in which a spinning accept would burn processor time
        cpu_after = resource.getrusage(resource.RUSAGE_SELF)
        used_s = cpu_after.ru_utime + cpu_after.ru_stime - cpu_before.ru_utime - cpu_before.ru_stime
        assert used_s < 0.2
        assert await served.ask(b"ECHO alive") == b"250 alive"
    finally:
        for raw in filler:
            raw.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        waiting.close()
    async with asyncio.timeout(10):
        while True:
            try:
                later = await tools.dial(port)
                break
            except (OSError, AssertionError):
                await asyncio.sleep(0.05)  # between tries at another's socket, which gives no event
    await later.close()
    await served.close()
