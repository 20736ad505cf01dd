import asyncio
import multiprocessing
import socket
from contextlib import ExitStack

import pytest

from mailstead.model.ids import AccountId
from mailstead.ports.changebus import DIRECTORY
from mailstead.storage.embedded.bus import LocalBus, SocketBus

ALICE, BOB = AccountId("a" * 16), AccountId("b" * 16)


class Woken:
    """Counts wakes and lets one wait for them."""

    def __init__(self):
        self.count = 0
        self.event = asyncio.Event()

    def __call__(self):
        self.count += 1
        self.event.set()

    async def wait(self):
        async with asyncio.timeout(10):
            await self.event.wait()
        self.event.clear()


@pytest.fixture(params=["local", "socket"])
async def bus(request, tmp_path):
    bus = LocalBus() if request.param == "local" else SocketBus(tmp_path)
    yield bus
    bus.close()


async def turn():
    await asyncio.sleep(0)


async def test_publishing_is_merged_per_turn_and_wakes_only_who_watches(bus):
    alice, bob = Woken(), Woken()
    with bus.watch(ALICE, alice), bus.watch(BOB, bob):
        for _ in range(1000):
            bus.publish(ALICE)
        assert alice.count == 0
        await turn()
        assert (alice.count, bob.count) == (1, 0)
        bus.publish(ALICE)
        bus.publish(BOB)
        await turn()
        assert (alice.count, bob.count) == (2, 1)
    bus.publish(ALICE)
    await turn()
    assert alice.count == 2


async def test_watchers_may_stop_each_other_and_fail(bus):
    woken = Woken()
    with ExitStack() as scopes:

        def bad():
            raise RuntimeError("a bug")

        inner = ExitStack()
        scopes.enter_context(bus.watch(ALICE, bad))
        inner.enter_context(bus.watch(ALICE, inner.close))
        scopes.enter_context(bus.watch(ALICE, woken))
        bus.publish(ALICE)
        await turn()
        bus.publish(ALICE)
        await turn()
        assert woken.count == 2


async def test_one_callback_can_watch_twice(bus):
    woken = Woken()
    with bus.watch(ALICE, woken):
        with bus.watch(ALICE, woken):
            bus.publish(ALICE)
            await turn()
            assert woken.count == 2
        bus.publish(ALICE)
        await turn()
        assert woken.count == 3


async def test_another_bus_on_the_same_host_hears(tmp_path):
    one, two = SocketBus(tmp_path), SocketBus(tmp_path)
    woken = Woken()
    with two.watch(ALICE, woken), two.watch(DIRECTORY, woken):
        one.publish(ALICE)
        await woken.wait()
        one.publish(DIRECTORY)
        await woken.wait()
    one.close()
    two.close()
    assert list((tmp_path / "run").iterdir()) == []


async def test_who_joins_later_is_found(tmp_path):
    one = SocketBus(tmp_path)
    one.publish(ALICE)
    await turn()
    two = SocketBus(tmp_path)
    woken = Woken()
    with two.watch(ALICE, woken):
        one.publish(ALICE)
        await woken.wait()
    one.close()
    two.close()


async def test_sockets_of_dead_processes_are_removed(tmp_path):
    bus = SocketBus(tmp_path)
    dead = tmp_path / "run" / "bus-1-dead.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left_behind:
        left_behind.bind(str(dead))
    bus.publish(ALICE)
    await turn()
    assert not dead.exists()
    bus.close()


async def test_a_busy_process_hears_later_and_merged(tmp_path):
    """Fill the neighbour's queue while it does not read: nothing is lost, nothing blocks."""
    one, two = SocketBus(tmp_path), SocketBus(tmp_path)
    loop = asyncio.get_running_loop()
    loop.remove_reader(two._socket.fileno())
    accounts = [AccountId(f"{number:016x}") for number in range(3000)]
    woken = {account: Woken() for account in accounts}
    with ExitStack() as scopes:
        for account in accounts:
            scopes.enter_context(two.watch(account, woken[account]))
        for account in accounts:
            one.publish(account)
            await turn()
        assert any(neighbour.kept_back for neighbour in one._neighbours.values())
        loop.add_reader(two._socket.fileno(), two._readable)
        for account in accounts:
            await woken[account].wait()
    one.close()
    two.close()


async def test_too_much_kept_back_becomes_everything(tmp_path):
    one, two = SocketBus(tmp_path), SocketBus(tmp_path)
    loop = asyncio.get_running_loop()
    loop.remove_reader(two._socket.fileno())
    woken = Woken()
    with two.watch(BOB, woken):
        for number in range(700):
            one.publish(AccountId(f"{number:016x}"))
            await turn()
        for number in range(10_000):
            one.publish(AccountId(f"{number:016x}"))
        await turn()
        assert [neighbour.kept_back for neighbour in one._neighbours.values()] == [{"*"}]
        loop.add_reader(two._socket.fileno(), two._readable)
        await woken.wait()
    one.close()
    two.close()


async def test_a_long_folder_name_is_no_obstacle(tmp_path):
    folder = tmp_path / ("x" * 120)
    one, two = SocketBus(folder), SocketBus(folder)
    woken = Woken()
    with two.watch(ALICE, woken):
        one.publish(ALICE)
        await woken.wait()
    one.close()
    two.close()


async def test_garbage_in_the_socket_does_no_harm(tmp_path):
    bus = SocketBus(tmp_path)
    woken = Woken()
    with bus.watch(ALICE, woken), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for garbage in (b"", b"\xff\xfe", b" " * 1000, ALICE.encode()):
            stranger.sendto(garbage, str(tmp_path / "run" / bus._name))
        await woken.wait()
        assert woken.count == 1
    bus.close()


def _publish_in_another_process(folder):
    async def publish():
        bus = SocketBus(folder)
        bus.publish(ALICE)
        await asyncio.sleep(0)
        bus.close()

    asyncio.run(publish())


async def test_wakes_between_processes(tmp_path):
    bus = SocketBus(tmp_path)
    woken = Woken()
    with bus.watch(ALICE, woken):
        process = multiprocessing.get_context("spawn").Process(target=_publish_in_another_process, args=(tmp_path,))
        process.start()
        await woken.wait()
        await asyncio.to_thread(process.join)
    bus.close()
