"""The memory port: facts that run out, atomic first-comers and counters, the same for all processes, bounded."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.errors import StorageFull
from mailstead.storage.embedded import memory as memory_module

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def memory(storage):
    return storage.memory


@pytest.fixture
def now(house):
    return house.clock.now


async def test_what_is_remembered_is_recalled_until_it_runs_out(memory, house, now):
    await memory.remember("policy", {"a": b"\x00\xff", "b": b""}, now() + HOUR)
    await memory.remember("other", {"a": b"else"}, now() + HOUR)
    assert await memory.recall("policy", ["a", "b", "c"], now()) == {"a": b"\x00\xff", "b": b""}
    assert await memory.recall_all("policy", now()) == {"a": b"\x00\xff", "b": b""}
    house.clock.move(3600)
    assert await memory.recall("policy", ["a"], now()) == {}
    assert await memory.recall_all("policy", now()) == {}


async def test_remembering_again_replaces_value_and_end(memory, now):
    await memory.remember("policy", {"a": b"1"}, now() + MINUTE)
    await memory.remember("policy", {"a": b"2"}, now() + HOUR)
    assert await memory.recall("policy", ["a"], now() + 2 * MINUTE) == {"a": b"2"}


async def test_of_many_who_remember_first_one_is_first(house, memory, now):
    other = (await house.open()).memory
    tries = [
        (memory, other)[number % 2].remember_first("seen", "key", b"%d" % number, now(), now() + HOUR)
        for number in range(40)
    ]
    answers = await asyncio.gather(*tries)
    (first,) = [number for number, answer in enumerate(answers) if answer is None]
    assert {answer for answer in answers if answer is not None} == {b"%d" % first}
    assert await memory.recall("seen", ["key"], now()) == {"key": b"%d" % first}


async def test_remembering_first_is_possible_again_after_the_end(memory, house, now):
    assert await memory.remember_first("seen", "a", b"1", now(), now() + MINUTE) is None
    assert await memory.remember_first("seen", "a", b"2", now(), now() + MINUTE) == b"1"
    house.clock.move(60)
    assert await memory.remember_first("seen", "a", b"3", now(), now() + MINUTE) is None


async def test_counters_of_all_processes_add_up(house, memory, now):
    other = (await house.open()).memory
    counts = await asyncio.gather(
        *((memory, other)[number % 2].count("day", {"alice": 1, "bob": 2}, now(), now() + HOUR) for number in range(30))
    )
    assert sorted(each["alice"] for each in counts) == list(range(1, 31))
    assert sorted(each["bob"] for each in counts) == list(range(2, 62, 2))
    assert await memory.counts("day", now()) == {"alice": 30, "bob": 60}
    assert await memory.counts("other", now()) == {}


async def test_a_counter_runs_out_at_the_end_given_first(memory, house, now):
    await memory.count("day", {"alice": 5}, now(), now() + MINUTE)
    house.clock.move(30)
    assert await memory.count("day", {"alice": 1}, now(), now() + MINUTE) == {"alice": 6}
    house.clock.move(30)
    assert await memory.counts("day", now()) == {}
    assert await memory.count("day", {"alice": 1}, now(), now() + MINUTE) == {"alice": 1}


async def test_facts_and_counters_are_forgotten(memory, now):
    await memory.remember("one", {"a": b"1", "b": b"2"}, now() + HOUR)
    await memory.count("one", {"a": 1, "b": 2}, now(), now() + HOUR)
    await memory.remember("two", {"a": b"3"}, now() + HOUR)
    await memory.forget("one", ["a"])
    assert await memory.recall_all("one", now()) == {"b": b"2"}
    assert await memory.counts("one", now()) == {"b": 2}
    await memory.forget("one")
    assert await memory.recall_all("one", now()) == {}
    assert await memory.counts("one", now()) == {}
    assert await memory.recall_all("two", now()) == {"a": b"3"}


async def test_what_has_run_out_is_removed(memory, now, monkeypatch):
    monkeypatch.setattr(memory_module, "ROWS_PER_UNIT", 2)
    for kind in ("one", "two"):
        await memory.remember(kind, {str(number): b"" for number in range(5)}, now() + MINUTE)
        await memory.remember(kind, {"late": b""}, now() + HOUR)
        await memory.count(kind, {"soon": 1}, now(), now() + MINUTE)
    assert await memory.expire(now() + MINUTE) == 12
    assert await memory.expire(now() + MINUTE) == 0
    assert await memory.recall_all("two", now()) == {"late": b""}


async def test_facts_survive_the_process(house, memory, now):
    await memory.remember("policy", {"a": b"1"}, now() + HOUR)
    await memory.count("day", {"a": 1}, now(), now() + HOUR)
    await house.close()
    memory = (await house.open()).memory
    assert await memory.recall("policy", ["a"], now()) == {"a": b"1"}
    assert await memory.count("day", {"a": 1}, now(), now() + HOUR) == {"a": 2}


async def test_of_too_many_facts_those_that_run_out_first_are_forgotten(memory, now):
    """Strangers choose the keys (networks, senders): they can fill neither disk nor other kinds."""
    for bound in memory._bounds.values():
        bound._rows_max, bound._slack = 10, 1
    await memory.remember("other", {"kept": b""}, now() + MINUTE)
    for number in range(30):
        await memory.remember("grey", {str(number): b""}, now() + HOUR + number * MINUTE)
        await memory.count("rate", {str(number): 1}, now(), now() + HOUR + number * MINUTE)
    latest = {str(number) for number in range(20, 30)}
    assert set(await memory.recall_all("grey", now())) == latest
    assert set(await memory.counts("rate", now())) == latest
    assert set(await memory.recall_all("other", now())) == {"kept"}


async def test_writing_is_refused_when_the_disk_is_full_and_forgetting_works(house, now):
    memory = (await house.open(disk_reserve_octets=2**62)).memory
    for write in (
        memory.remember("a", {"b": b""}, now()),
        memory.remember_first("a", "b", b"", now(), now()),
        memory.count("a", {"b": 1}, now(), now()),
    ):
        with pytest.raises(StorageFull):
            await write
    await memory.forget("a")
    assert await memory.expire(now()) == 0
