"""Side files: shared commits, units that fail alone, readers that do not hold each other up."""

import asyncio

import apsw
import pytest

from mailstead.config.settings import Store
from mailstead.model.errors import StorageFull, StorageUnavailable
from mailstead.model.ids import AccountId
from mailstead.ports.clock import SystemClock
from mailstead.storage.embedded import reader as reader_module
from mailstead.storage.embedded import side_file
from mailstead.storage.embedded.bus import LocalBus
from mailstead.storage.embedded.side_file import FileKind, SideFiles
from mailstead.telemetry import metrics

SCHEMA = ("CREATE TABLE word (word TEXT PRIMARY KEY) STRICT;",)
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
async def open_files(tmp_path):
    opened = []

    def open_files(**settings):
        files = SideFiles(Store(**({"disk_reserve_octets": 0} | settings)), tmp_path, b"m" * 32, bus, SystemClock())
        opened.append(files)
        return files

    bus = LocalBus()
    yield open_files
    async with asyncio.timeout(20):
        for files in opened:
            await files.close()


@pytest.fixture
async def file(open_files):
    return open_files().open(FileKind("words", SCHEMA))


def add(word):
    return lambda unit: unit.db.execute("INSERT INTO word VALUES (?)", (word,)) and None


def words(db):
    return [word for (word,) in db.execute("SELECT word FROM word ORDER BY word")]


async def test_units_that_wait_share_a_commit(file):
    before = metrics.COMMITS._value.get()
    await asyncio.gather(*(file.write(add(f"{number:03}")) for number in range(100)))
    assert metrics.COMMITS._value.get() - before < 60
    assert len(await file.read(words)) == 100


async def test_a_unit_that_fails_leaves_the_others_alone(file):
    def half(unit):
        add("half")(unit)
        raise ZeroDivisionError

    results = await asyncio.gather(
        file.write(add("a")), file.write(half), file.write(add("a")), file.write(add("b")), return_exceptions=True
    )
    assert [type(result) for result in results] == [type(None), ZeroDivisionError, StorageUnavailable, type(None)]
    assert await file.read(words) == ["a", "b"]


async def test_attack_076_below_the_reserve_growth_is_refused_and_removing_works(open_files):
    file = open_files(disk_reserve_octets=2**62).open(FileKind("words", SCHEMA))
    with pytest.raises(StorageFull):
        await file.write(add("a"), grows=True)
    await file.write(lambda unit: unit.db.execute("DELETE FROM word") and None)


async def test_watchers_are_woken_by_units_that_say_so_and_change_something(open_files):
    files = open_files()
    file = files.open(FileKind("words", SCHEMA))
    woken = asyncio.Event()
    with files.bus.watch(AccountId("words"), woken.set):
        await file.write(add("a"))
        await file.write(lambda unit: None, wakes=True)
        await asyncio.sleep(0)
        assert not woken.is_set()
        await file.write(add("b"), wakes=True)
        async with asyncio.timeout(10):
            await woken.wait()


async def test_slow_searches_of_one_file_do_not_hold_up_another(open_files):
    files = open_files()
    slow, quick = files.open(FileKind("slow", SCHEMA)), files.open(FileKind("quick", SCHEMA))
    searches = [asyncio.create_task(slow.read(lambda db: db.execute(ENDLESS).fetchall())) for _ in range(10)]
    await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert await quick.read(words) == []
        for search in searches:
            search.cancel()
        await asyncio.gather(*searches, return_exceptions=True)
        assert await slow.read(words) == []


def test_no_file_may_take_all_readers():
    assert side_file.READER_THREAD_COUNT > reader_module.CALLS_PER_ACCOUNT


async def test_two_processes_write_one_file(open_files):
    ours, theirs = (open_files().open(FileKind("words", SCHEMA)) for _ in range(2))
    await asyncio.gather(*((ours, theirs)[number % 2].write(add(f"{number:03}")) for number in range(60)))
    assert len(await ours.read(words)) == 60


async def test_what_waits_is_finished_at_close(open_files):
    files = open_files()
    file = files.open(FileKind("words", SCHEMA))
    tasks = [asyncio.create_task(file.write(add(f"{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await files.close()
    await asyncio.gather(*tasks)
    assert len(await open_files().open(FileKind("words", SCHEMA)).read(words)) == 20


async def test_a_file_says_whether_each_commit_is_synced(open_files):
    files = open_files()
    for synchronous, level in (("FULL", 2), ("NORMAL", 1)):
        file = files.open(FileKind(synchronous, SCHEMA, synchronous))
        assert await file.write(lambda unit: unit.db.pragma("synchronous")) == level


async def test_a_broken_file_is_said_in_the_words_of_the_house(file):
    def broken(unit):
        raise apsw.IOError

    with pytest.raises(StorageUnavailable):
        await file.write(broken)
    await file.write(add("a"))
