"""The statistics port: what processes count adds up, gauges keep the highest or the last, what is old goes."""

import asyncio
from datetime import timedelta

import pytest

from mailstead.model.errors import StorageFull
from mailstead.model.statistics import Amounts, Span

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def statistics(storage):
    return storage.statistics


@pytest.fixture
def now(house):
    return house.clock.now


@pytest.fixture
def begin(now):
    """Give the begin of the present hour and day."""
    hour = now().replace(minute=0, second=0, microsecond=0)
    return {Span.HOUR: hour, Span.DAY: hour.replace(hour=0)}


async def test_counts_of_several_processes_add_up_by_hour_and_by_day(house, statistics, now, begin):
    other = (await house.open()).statistics
    await asyncio.gather(
        *((statistics, other)[n % 2].record(now(), Amounts(added={"in": 1, "out": n})) for n in range(20))
    )
    for span in Span:
        assert await statistics.read(span, begin[span]) == {begin[span]: {"in": 20, "out": 190}}
        assert await other.read(span, begin[span]) == {begin[span]: {"in": 20, "out": 190}}


async def test_hours_stand_apart_and_a_day_holds_them_together(statistics, now, begin):
    for hours in range(3):
        await statistics.record(now() + hours * HOUR, Amounts(added={"in": 1 + hours}))
    await statistics.record(now() + DAY, Amounts(added={"in": 7}))
    hour, day = begin[Span.HOUR], begin[Span.DAY]
    found = await statistics.read(Span.HOUR, hour + HOUR)
    assert found == {hour + HOUR: {"in": 2}, hour + 2 * HOUR: {"in": 3}, hour + DAY: {"in": 7}}
    assert await statistics.read(Span.DAY, day) == {day: {"in": 6}, day + DAY: {"in": 7}}


async def test_a_span_begins_at_its_first_moment_and_ends_before_the_next(statistics, begin):
    hour = begin[Span.HOUR]
    for at in (hour - timedelta(microseconds=1), hour):
        await statistics.record(at, Amounts(added={"in": 1}))
    assert await statistics.read(Span.HOUR, hour - HOUR) == {hour - HOUR: {"in": 1}, hour: {"in": 1}}


async def test_of_what_is_measured_the_highest_or_the_last_stays(statistics, now, begin):
    for queue, room in ((3, 100), (9, 300), (0, 200)):
        await statistics.record(now(), Amounts(highest={"queue": queue}, latest={"room": room}))
    assert await statistics.read(Span.DAY, begin[Span.DAY]) == {begin[Span.DAY]: {"queue": 9, "room": 200}}


async def test_what_is_old_goes_from_one_span_and_stays_in_the_other(statistics, now, begin):
    await statistics.record(now() - 2 * HOUR, Amounts(added={"in": 1, "out": 1}))
    await statistics.record(now(), Amounts(added={"in": 2}))
    assert await statistics.expire(Span.HOUR, begin[Span.HOUR]) == 2
    assert await statistics.expire(Span.HOUR, begin[Span.HOUR]) == 0
    assert await statistics.read(Span.HOUR, begin[Span.HOUR] - DAY) == {begin[Span.HOUR]: {"in": 2}}
    assert await statistics.read(Span.DAY, begin[Span.DAY]) == {begin[Span.DAY]: {"in": 3, "out": 1}}


async def test_figures_outlive_the_process(house, now, begin):
    await (await house.open()).statistics.record(now(), Amounts(added={"in": 5}))
    await house.close()
    assert await (await house.open()).statistics.read(Span.DAY, begin[Span.DAY]) == {begin[Span.DAY]: {"in": 5}}


async def test_a_full_disk_refuses_figures_and_leaves_those_that_are_there(house, statistics, now, begin):
    await statistics.record(now(), Amounts(added={"in": 1}))
    full = (await house.open(disk_reserve_octets=1 << 62)).statistics
    with pytest.raises(StorageFull):
        await full.record(now(), Amounts(added={"in": 1}))
    assert await full.read(Span.DAY, begin[Span.DAY]) == {begin[Span.DAY]: {"in": 1}}


async def test_the_room_that_stores_take_grows_with_them(house, statistics, storage, now):
    before = await statistics.store_octets()
    assert before > 0
    await storage.memory.remember("filler", {"key": bytes(3_000_000)}, now() + HOUR)
    assert await statistics.store_octets() >= before + 3_000_000
    (house.folder / "not-a-store.tar").write_bytes(bytes(5_000_000))
    assert await statistics.store_octets() < before + 8_000_000
