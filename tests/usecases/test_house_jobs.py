"""Work that an administrator begins: one at a time, its state told by every process, told as cut off when it was."""

import asyncio

import pytest

from mailstead.model.envelope import Actor
from mailstead.model.errors import BadBackup, Conflict, NotAllowed
from mailstead.usecases.audit import Unnoted
from mailstead.usecases.house_jobs import ALIVE, HouseJobs


class Beats:
    """Lets the sign of life come when the test wants it."""

    def __init__(self):
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def sleep(self, _seconds):
        self.asked.set()
        await self.go.wait()
        self.go.clear()


@pytest.fixture
def beats():
    return Beats()


@pytest.fixture
async def jobs(storage, clock, beats):
    jobs = HouseJobs(storage.memory, clock, Unnoted(), sleep=beats.sleep)
    yield jobs
    await jobs.close()


@pytest.fixture
def others(storage, clock):
    """What another process of the house has."""
    return HouseJobs(storage.memory, clock, Unnoted())


async def test_what_comes_of_it_is_told_in_every_process(jobs, others, admin):
    async def work(progress):
        progress(3, 4)
        return {"messages": 7}

    await jobs.start(admin, "restore", "alice@example.test", work)
    await jobs.settle()
    for each in (jobs, others):
        job = await each.last(admin, "restore")
        assert (job.subject, job.error, job.result, job.percent) == ("alice@example.test", "", {"messages": 7}, 75)
        assert job.ended_at is not None
        assert not await each.is_under_way(admin)
    assert await others.last(admin, "drill") is None


async def test_one_at_a_time_in_all_processes(jobs, others, admin):
    ends = asyncio.Event()

    async def work(_progress):
        await ends.wait()
        return {}

    await jobs.start(admin, "restore", "", work)
    for each in (jobs, others):
        with pytest.raises(Conflict):
            await each.start(admin, "drill", "", work)
    ends.set()
    await jobs.settle()
    await others.start(admin, "drill", "", work)
    await others.settle()
    assert (await jobs.last(admin, "drill")).error == ""


async def test_how_far_it_is_reaches_other_processes_with_the_sign_of_life(jobs, others, admin, beats, clock):
    told, ends = asyncio.Event(), asyncio.Event()

    async def work(progress):
        progress(1, 2)
        told.set()
        await ends.wait()
        return {}

    await jobs.start(admin, "restore", "", work)
    await told.wait()
    assert (await jobs.last(admin, "restore")).percent == 50
    assert (await others.last(admin, "restore")).percent == 0
    clock.passed_s += ALIVE.total_seconds() - 1
    await beats.asked.wait()
    beats.asked.clear()
    beats.go.set()
    await beats.asked.wait()  # it has been said
    clock.passed_s += ALIVE.total_seconds() - 1
    job = await others.last(admin, "restore")
    assert (job.percent, job.ended_at) == (50, None)
    ends.set()
    await jobs.settle()


async def test_what_ended_with_its_process_is_told_as_cut_off(jobs, others, admin, clock):
    async def work(_progress):
        await asyncio.Event().wait()

    await jobs.start(admin, "restore", "", work)
    clock.passed_s += ALIVE.total_seconds() + 1
    assert "cut off" in (await others.last(admin, "restore")).error
    assert not await others.is_under_way(admin)


@pytest.mark.parametrize("error", [BadBackup("The object is missing"), RuntimeError("pw-never-in-a-log")])
async def test_an_error_is_told_and_a_bug_is_not_told_in_full(jobs, admin, error):
    async def work(_progress):
        raise error

    await jobs.start(admin, "restore", "", work)
    await jobs.settle()
    job = await jobs.last(admin, "restore")
    expected = "The object is missing" if isinstance(error, BadBackup) else "Something went wrong; the log says what"
    assert (job.error, job.result) == (expected, {})


async def test_attack_092_only_for_administrators_of_the_server(jobs):
    nobody = Actor(None, None)
    with pytest.raises(NotAllowed):
        await jobs.last(nobody, "restore")
    with pytest.raises(NotAllowed):
        await jobs.is_under_way(nobody)
    with pytest.raises(NotAllowed):
        await jobs.start(nobody, "restore", "", None)
